"""CPU time to predict: scikit-learn, and what other libraries and we make of the fitted model.

    python benchmarks/convert.py                  # minutes
    python benchmarks/convert.py --quick          # does it run? the numbers mean nothing
    python benchmarks/convert.py --write          # measure, and refresh docs/benchmarks.md
    python benchmarks/convert.py --peers PYTHON   # Hummingbird lives there

The same rows go in as scikit-learn takes them (arrays; a DataFrame with words for the pipeline) and
probabilities come out, one thread. Who differs by more than 1e-4 from scikit-learn is marked.
"""

__all__ = ["main"]

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts its threads
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import functools
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from convert_peer import numbers as flat
from convert_peer import seconds
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from table import environment, markdown, refresh

from manumatic.convert.module import to_torch
from manumatic.deliver.graph import onnx_graph
from manumatic.deliver.runtime import open_session
from manumatic.deliver.session import feeds

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PEER = Path(__file__).with_name("convert_peer.py")
PACKAGES = ("manumatic", "torch", "scikit-learn", "onnxruntime", "skl2onnx")
PEER_PACKAGES = ("hummingbird-ml", "torch", "scikit-learn", "onnx")
PLAIN_CODE = {"cpp.simdlen": 1}  # vectors of look-ups cost a forest a half more
PART = 1024  # rows at a time: what 100 trees keep of them stays in the cache
SIZES = (1, 1_000, 100_000)
SCIKIT, HUMMINGBIRD, SKL2ONNX = "scikit-learn", "Hummingbird", "skl2onnx + onnxruntime"
EAGER, COMPILED, EXPORTED = "manumatic, eager", "manumatic, compiled", "manumatic, exported"
Predict = Callable[[], Any]

# --- the models -----------------------------------------------------------------------------------


def numbers(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Thirty columns, ten of them informative."""
    return make_classification(n, 30, n_informative=10, random_state=0)


def flats(n: int) -> pd.DataFrame:
    """Numbers and words with holes."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["size", "age", "score"])
    frame["town"] = rng.choice(["Bonn", "Kiel", "Ulm", "Trier"], n)
    frame["state"] = rng.choice(["new", "old", "rare"], n)
    return frame.mask(rng.random(frame.shape) < 0.05)


def models() -> Iterator[tuple[str, Any, Any]]:
    """Name, fitted model, and rows for all sizes."""
    X, y = numbers(20_000)
    rows = numbers(max(SIZES))[0]
    yield "RandomForest(100)", RandomForestClassifier(100, random_state=0).fit(X, y), rows
    yield "HistGradientBoosting", HistGradientBoostingClassifier(random_state=0).fit(X, y), rows
    yield (
        "GradientBoosting",
        GradientBoostingClassifier(random_state=0).fit(X[:5000], y[:5000]),
        rows,
    )
    yield "SVC", SVC().fit(X[:3000], y[:3000]), rows[:10_000]
    yield "KNeighbors", KNeighborsClassifier().fit(X[:3000], y[:3000]), rows[:10_000]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["size", "age", "score"]),
        (OneHotEncoder(handle_unknown="ignore"), ["town", "state"]),
    )
    frame = flats(max(SIZES))
    label = (frame["size"].fillna(0) + (frame["town"] == "Bonn") > 0.5).to_numpy()
    pipe = make_pipeline(columns, LogisticRegression()).fit(frame[:20_000], label[:20_000])
    yield "ColumnTransformer + LogisticRegression", pipe, frame


# --- who predicts ---------------------------------------------------------------------------------


def _output(model: Any) -> str:
    return "predict_proba" if hasattr(model, "predict_proba") else "decision_function"


def scikit(model: Any, rows: Any) -> Predict:
    """As it is."""
    predict = getattr(model, _output(model))
    return lambda: predict(rows)


def eager(model: Any, rows: Any) -> Predict:
    """Our module, from the same rows."""
    predict = getattr(to_torch(model), _output(model))
    return lambda: predict(rows)


@functools.cache
def _compiled(model: Any) -> tuple[Any, Any]:
    """Compiled once for any number of rows, and once more for a single one."""
    module, method = to_torch(model), _output(model)

    def call(given: torch.Tensor) -> torch.Tensor:
        return module.net.call(method, given)

    return module, torch.compile(call, dynamic=True, options=PLAIN_CODE)


def compiled(model: Any, rows: Any) -> Predict:
    """Our module under torch.compile, from a tensor."""
    module, call = _compiled(model)
    x = module.encode(rows)

    def run() -> Any:
        with torch.inference_mode():
            return torch.cat([call(part) for part in x.split(PART)])

    return run


def exported(model: Any, rows: Any) -> Predict:
    """Our graph in onnxruntime, from arrays or columns."""
    module = to_torch(model)
    session, given = open_session(onnx_graph(module)), feeds(module, rows)
    (name,) = [o.name for o in session.get_outputs() if o.name in ("probability", "score")]
    return lambda: session.run([name], given)[0]


def skl2onnx(model: Any, rows: Any) -> Predict:
    """scikit-learn's graph in onnxruntime, float32 as it comes."""
    from skl2onnx import to_onnx

    options = {"zipmap": False} if _output(model) == "predict_proba" else {"raw_scores": True}
    if isinstance(rows, pd.DataFrame):
        rows = rows.astype(dict.fromkeys(["size", "age", "score"], np.float32))
        rows = rows.astype({"town": object, "state": object}).fillna({"town": "", "state": ""})
        given = {name: rows[[name]].to_numpy() for name in rows}
        graph = to_onnx(model, rows[:1], options=options)
    else:
        given = {"X": rows.astype(np.float32)}
        graph = to_onnx(model, given["X"][:1], options=options)
    session = open_session(graph.SerializeToString())
    return lambda: session.run(None, given)[1]


WHO = {
    SCIKIT: scikit,
    SKL2ONNX: skl2onnx,
    EAGER: eager,
    COMPILED: compiled,
    EXPORTED: exported,
}

# --- measuring ------------------------------------------------------------------------------------


def cell_of(name: str, model: Any, rows: Any, budget: float) -> tuple[float, np.ndarray]:
    """CPU seconds of a call, and one number a row."""
    run = WHO[name](model, rows)
    said = flat(run())
    return seconds(run, budget), said


def hummingbird(python: str, model: Any, rows: Any, budget: float) -> tuple[float, np.ndarray]:
    """Hummingbird's module, compiled by TorchScript, in a Python of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given"
        path.write_bytes(pickle.dumps((model, rows, _output(model))))
        done = subprocess.run(
            [python, str(PEER), str(path), str(budget)], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        answer = path.with_suffix(".out").read_bytes()
        spent, said = pickle.loads(answer)  # noqa: S301 (of our own process)
    return spent, said


def measure(
    sizes: Sequence[int], names: Sequence[str], only: str, budget: float, peers: str
) -> dict[str, Any]:
    """CPU seconds by model, size and name; what went wrong where somebody cannot."""
    found: dict[str, Any] = {}
    for model_name, model, rows in models():
        if only not in model_name:
            continue
        for size in sizes:
            size = min(size, len(rows))
            cell = found.setdefault(model_name, {}).setdefault(size, {})
            truth = flat(scikit(model, rows[:size])())
            for name in names:
                print(model_name, size, name, file=sys.stderr)
                ask = functools.partial(cell_of, name)
                if name == HUMMINGBIRD:
                    ask = functools.partial(hummingbird, peers)
                try:
                    spent, said = ask(model, rows[:size], budget)
                except Exception as error:  # noqa: BLE001 (a peer may fail in any way: say so)
                    cell[name] = {"error": f"{type(error).__name__}: {error}"[:200]}
                    print(cell[name]["error"], file=sys.stderr)
                    continue
                cell[name] = {"seconds": spent, "off": float(np.abs(said - truth).max())}
                print(cell[name], file=sys.stderr)
    return found


def versions(python: str) -> str:
    """Of Hummingbird, and of what it runs with."""
    code = "from importlib.metadata import version as v; "
    code += f"print(', '.join(f'{{n}} {{v(n)}}' for n in {PEER_PACKAGES}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or "Hummingbird is not installed"


def report(found: dict[str, Any], names: Sequence[str], peers: str) -> str:
    """A table a model."""
    told = f"{environment(PACKAGES)}; {versions(peers)}"
    parts = [told + ". Milliseconds of CPU; ✗ differs by more than 1e-4."]
    for model_name, sizes in found.items():
        rows = []
        for name in names:
            cells = [_told(cell.get(name, {"error": ""})) for cell in sizes.values()]
            rows.append([name, *cells])
        parts.append(markdown([model_name, *(f"{size:,} rows" for size in sizes)], rows))
    return "\n\n".join(parts)


def _told(cell: dict[str, Any]) -> str:
    if "error" in cell:
        return "–"
    mark = "" if cell["off"] <= 1e-4 else " ✗"
    return f"{1e3 * cell['seconds']:.3g}{mark}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rows, one short run of each")
    parser.add_argument("--write", action="store_true", help="refresh docs/benchmarks.md")
    parser.add_argument("--only", default="", help="models whose name holds this")
    parser.add_argument("--without", default="", help="leave out names that hold one of these")
    parser.add_argument("--peers", default=sys.executable, help="a Python that has Hummingbird")
    options = parser.parse_args(arguments)
    without = [part for part in options.without.split(",") if part]
    everybody = [SCIKIT, HUMMINGBIRD, *list(WHO)[1:]]
    names = [name for name in everybody if not any(part in name for part in without)]
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes, budget = ((1, 100), 0.0) if options.quick else (SIZES, 1.0)
        found = measure(sizes, names, options.only, budget, options.peers)
    text = report(found, names, options.peers)
    print(text)
    if options.write:
        refresh(PAGE, "convert", text)


if __name__ == "__main__":
    main()
