"""``export``: a fitted estimator into a file of another world, compared before it is written."""

__all__ = ["export"]

import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch

from manumatic.convert.module import Converted, to_torch
from manumatic.convert.parity import Parity, parity
from manumatic.deliver.graph import Outputs, onnx_graph, outputs_of
from manumatic.deliver.probes import BATCHES, probe_rows
from manumatic.deliver.session import Session, Told
from manumatic.errors import ComponentError
from manumatic.files import write_whole


def export(estimator: Any, path: str | Path, X: Any = None, *, allowed: float = 1e-6) -> Parity:
    """Write a fitted estimator into a file of another world, and compare the two.

    Parameters
    ----------
    estimator : fitted estimator
        manumatic's, scikit-learn's, or a pipeline of both.
    path : path
        Its ending says what to write: ``.onnx`` the whole pipeline as one graph, words, dates and
        missing values included; ``.pt2`` a program of ``torch.export``; ``.pt`` the weights alone,
        a ``state_dict``; ``.ts`` TorchScript, which PyTorch itself has deprecated; ``.joblib`` a
        pickle, which runs code when it is loaded.
    X : array or DataFrame (n, features), optional
        Rows to compare on, beside those that are made up: numbers of all sizes, words of each
        column, missing values and unseen words where the estimator takes them.
    allowed : float
        The largest relative difference; labels must be the same.

    Returns
    -------
    Parity
        The largest difference of each method, over batches of 1, 2, 33 and all rows.

    Raises
    ------
    ComponentError
        An ending that is none of these.
    ConvertError
        A part has no counterpart there, or the file disagrees with the estimator; nothing is
        written then.
    MissingExtra
        A package for this format is not there.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import Ridge
    >>> ridge = Ridge().fit([[0.0], [1.0], [2.0]], [1.0, 2.5, 4.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(ridge, f"{folder}/ridge.onnx").largest < 1e-12
    True
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ComponentError(
            f"export to {path.name!r}: the ending must be one of {', '.join(FORMATS)}"
        )
    module = estimator if isinstance(estimator, Converted) else to_torch(estimator)
    content, other = FORMATS[path.suffix](estimator, module)
    made_up = probe_rows(estimator, module)
    rows = [made_up if X is None else X, *(made_up[:n] for n in BATCHES), made_up]
    methods = tuple(outputs_of(module).values())
    found = [parity(estimator, other, some, allowed, methods) for some in rows]
    worst = max(found, key=lambda one: one.largest).require()
    write_whole(path, content)
    return worst


Format = Callable[[Any, Converted], tuple[bytes, Any]]


def _onnx(estimator: Any, module: Converted) -> tuple[bytes, Any]:
    graph = onnx_graph(module)
    return graph, Session(graph, module)


def _pt2(estimator: Any, module: Converted) -> tuple[bytes, Any]:
    rows = torch.zeros(3, module.n_features_in_, dtype=module.like.dtype)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    outputs, file = copy.deepcopy(Outputs(module).eval()), io.BytesIO()
    for tensor in (*outputs.parameters(), *outputs.buffers()):
        tensor.data = tensor.data.clone()  # the archive holds no tensors that share memory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own archive
        program = torch.export.export(outputs, (rows,), dynamic_shapes=shapes)
        torch.export.save(program, file)
        file.seek(0)
        again = torch.export.load(file).module()  # our own bytes: what we wrote, not what we meant
    return file.getvalue(), _by_tensor(module, again)


def _torchscript(estimator: Any, module: Converted) -> tuple[bytes, Any]:
    rows = torch.zeros(3, module.n_features_in_, dtype=module.like.dtype)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and somebody asked for it
        traced = torch.jit.trace(Outputs(module).eval(), rows)  # manumatic: ignore[MM001]
        torch.jit.save(traced, file)
        file.seek(0)
        again = torch.jit.load(file)
    return file.getvalue(), _by_tensor(module, again)


def _by_tensor(module: Converted, program: Any) -> Told:
    def run(X: Any) -> list[np.ndarray]:
        with torch.no_grad():
            return [found.numpy() for found in program(module.encode(X))]

    return Told(module, run)


def _weights(estimator: Any, module: Converted) -> tuple[bytes, Any]:
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    again = to_torch(estimator)
    again.load_state_dict(torch.load(file, weights_only=True))
    return file.getvalue(), again


def _joblib(estimator: Any, module: Converted) -> tuple[bytes, Any]:
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return file.getvalue(), joblib.load(file)


FORMATS: dict[str, Format] = {
    ".onnx": _onnx,
    ".pt2": _pt2,
    ".pt": _weights,
    ".ts": _torchscript,
    ".joblib": _joblib,
}
