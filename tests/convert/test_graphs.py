"""Every covered class as an ONNX graph, compared in a live session of onnxruntime."""

import functools
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer
from suite import DATA, Case, all_cases, data_sets

from manumatic.convert.functions import SAME_NAME
from manumatic.convert.module import Converted, to_torch
from manumatic.convert.parity import parity
from manumatic.deliver.graph import onnx_graph, outputs_of
from manumatic.deliver.session import Session

OTHER_GRAPHS = {  # kinds of rows and targets that change what a graph has to do
    *("binary", "labels", "targets", "categories", "counts"),
    *("missing", "missing numbers", "words", "words and a number"),
}
LONELY = ("SparsePCA", "MiniBatchSparsePCA")  # scikit-learn gives one row without its first axis


def runs() -> list:
    """The first case of each class, and of each of its kinds of rows that needs another graph."""
    seen: set[tuple[str, str]] = set()
    found = []
    for family, cases in all_cases().items():
        for case in cases:
            name = type(case.estimator).__name__
            for kind in case.kinds:
                graph = (name, kind if kind in OTHER_GRAPHS else "")
                if graph not in seen:
                    found.append(pytest.param(case, kind, id=f"{family}-{case}-{kind}"))
                seen.add(graph)
    return found


def fitted_on(case: Case, kind: str) -> tuple[object, object]:
    X, y, held = data_sets(kind, next(iter(DATA[kind])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of solvers that stop early
        return clone(case.estimator).fit(X, y), held


@pytest.fixture(autouse=True, scope="module")
def signatures_are_read_once() -> Iterator[None]:
    """onnxscript parses the source of its 500 functions again for each graph: half a second."""
    from onnxscript.values import TracedOnnxFunction

    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(TracedOnnxFunction.function_ir.fget)
        patch.setattr(TracedOnnxFunction, "function_ir", property(once))
        yield


def session_of(module: Converted) -> Session:
    return Session(onnx_graph(module), module)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of log(0) on both sides, and of torch.onnx about itself
@pytest.mark.parametrize(("case", "kind"), runs())
def test_every_class_has_a_graph(case: Case, kind: str) -> None:
    fitted, held = fitted_on(case, kind)
    module = to_torch(fitted)
    name = type(fitted).__name__
    session, methods = session_of(module), tuple(dict.fromkeys(outputs_of(module).values()))
    assert methods
    for rows in (held[:2], held) if name in LONELY else (held[:1], held[:2], held):
        parity(fitted, session, rows, case.double, methods).require()
    if name in LONELY:
        one, all_of_them = session.transform(held[:1]), session.transform(held)
        np.testing.assert_allclose(one, all_of_them[:1], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SAME_NAME.split(), "cbrt", "rint", "sign"])
def test_functions_keep_their_digits(name: str) -> None:
    """Relative to small results, too: onnxruntime has many of them for float32 alone."""
    X = np.array([[1e-300, 0.3], [-1e-12, 0.7], [2.5, -0.25], [0.0, -0.999], [1e5, -3.3]])
    X = np.vstack([X, [[np.nan, 20.0], [1e-9, 1.0], [0.5, -0.5]]])
    with np.errstate(all="ignore"):
        fitted = FunctionTransformer(getattr(np, name)).fit(X)
        theirs = fitted.transform(X)
        ours = session_of(to_torch(fitted)).transform(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-300)
