"""What converted estimators are tested on: kinds of tasks, three data sets each, and the cases.

A case is an estimator, not fitted, and the kinds of tasks that it does. The files ``cases_*.py``
list them, one file a family; ``test_parity.py`` runs them all, and ``docs/make_parity.py`` writes
the table.
"""

__all__ = ["DATA", "Case", "agrees", "all_cases", "data_sets"]

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.base import clone

from manumatic.convert.module import Converted, to_torch
from manumatic.convert.parity import Parity, parity

TRAIN, HELD = 120, 60


@dataclass(frozen=True)
class Case:
    """An estimator and the kinds of tasks that it does.

    ``loose`` is the share of labels that may differ in float32 (rows beside a border), ``single``
    the tolerance of numbers there, ``double`` the one in float64.
    """

    estimator: Any
    kinds: tuple[str, ...]
    note: str = ""
    double: float = 1e-9
    single: float = 1e-3
    loose: float = 0.05

    def __str__(self) -> str:
        name = type(self.estimator).__name__
        return f"{name}[{self.note}]" if self.note else name


def _sklearn(name: str) -> tuple[np.ndarray, Any]:
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def _made(kind: str, **given: Any) -> tuple[np.ndarray, Any]:
    return getattr(datasets, f"make_{kind}")(n_samples=TRAIN + HELD, random_state=3, **given)


def _binary(name: str) -> tuple[np.ndarray, Any]:
    X, y = _sklearn(name)
    return X[y < 2], np.array(["no", "yes"])[y[y < 2]]


def _prices() -> tuple[np.ndarray, Any]:
    """Numbers with two decimals, as prices have: thresholds of trees fall on them."""
    rng = np.random.default_rng(5)
    X = rng.normal(20, 8, (TRAIN + HELD, 4)).round(2)
    return X, (X[:, 0] * 1.19 + np.where(X[:, 1] > 20, 5, 0) + rng.normal(0, 1, len(X))).round(2)


def _targets(name: str) -> tuple[np.ndarray, Any]:
    X, y = _sklearn(name)
    return X, np.column_stack([y, X[:, 0] - X[:, 1] ** 2])


def _holes(X: np.ndarray, y: Any) -> tuple[np.ndarray, Any]:
    X = np.array(X, float)
    X[np.random.default_rng(0).random(X.shape) < 0.15] = np.nan
    return X, y


def _small(X: np.ndarray, y: Any) -> tuple[np.ndarray, Any]:
    """Four steps between the smallest and the largest number of a column."""
    spread = np.where(np.ptp(X, 0) > 0, np.ptp(X, 0), 1)
    return (3.99 * (X - X.min(0)) / spread).astype(int), y


def _column(i: int, X: np.ndarray, y: Any) -> tuple[np.ndarray, Any]:
    return X[:, i : i + 1], y


def _known(X: np.ndarray, y: Any) -> tuple[np.ndarray, Any]:
    return X, np.where(np.random.default_rng(0).random(len(y)) < 0.5, y, -1)


def _flats(seed: int) -> tuple[pd.DataFrame, Any]:
    """Numbers and words, both with holes, and a town that only the held rows have."""
    rng, n = np.random.default_rng(seed), TRAIN + HELD
    frame = pd.DataFrame(
        {
            "size": rng.normal(80, 25, n).round(1),
            "town": rng.choice(["Bonn", "Kiel", "Ulm", "Trier"], n),
            "rooms": rng.integers(1, 6, n),
            "state": pd.Series(rng.choice(["new", "old", "rare"], n, p=[0.5, 0.47, 0.03])),
        }
    )
    frame.loc[rng.random(n) < 0.1, "size"] = np.nan
    frame.loc[rng.random(n) < 0.1, "town"] = np.nan
    frame.loc[n - 3, "town"] = "Jena"
    price = frame["size"].fillna(80) * 4 + frame["rooms"] * 30 + (frame["town"] == "Bonn") * 90
    return frame, price.to_numpy() + rng.normal(0, 10, n)


def _flats_classes(seed: int) -> tuple[pd.DataFrame, Any]:
    frame, price = _flats(seed)
    return frame, np.array(["cheap", "fair", "dear"])[np.digitize(price, [350, 480])]


Maker = Callable[[], tuple[Any, Any]]
DATA: dict[str, dict[str, Maker]] = {
    "binary": {
        "breast_cancer": lambda: _binary("breast_cancer"),
        "iris": lambda: _binary("iris"),
        "moons": lambda: _made("moons", noise=0.3),
    },
    "multiclass": {
        "iris": lambda: _sklearn("iris"),
        "wine": lambda: _sklearn("wine"),
        "digits": lambda: _sklearn("digits"),
    },
    "regression": {
        "diabetes": lambda: _sklearn("diabetes"),
        "prices": _prices,
        "friedman": lambda: _made("friedman1"),
    },
    "targets": {  # several numbers a row
        "diabetes": lambda: _targets("diabetes"),
        "made": lambda: _made("regression", n_features=6, n_targets=3, noise=2.0),
        "low rank": lambda: _made("regression", n_features=9, n_targets=2, effective_rank=3),
    },
    "labels": {  # several yes or no a row
        "made": lambda: _made("multilabel_classification", n_features=8, n_classes=3),
        "sparse": lambda: _made("multilabel_classification", n_features=20, n_labels=1),
        "many": lambda: _made("multilabel_classification", n_features=5, n_classes=6),
    },
    "counts": {  # nothing below 0, in X and y
        "digits": lambda: _sklearn("digits"),
        "poisson": lambda: (lambda X: (X, X.sum(1)))(
            np.random.default_rng(1).poisson(3.0, (TRAIN + HELD, 7)).astype(float)
        ),
        "wine": lambda: _sklearn("wine"),
    },
    "missing": {  # NaN in X; classes
        "iris": lambda: _holes(*_sklearn("iris")),
        "wine": lambda: _holes(*_sklearn("wine")),
        "breast_cancer": lambda: _holes(*_binary("breast_cancer")),
    },
    "missing numbers": {  # NaN in X; a number
        "diabetes": lambda: _holes(*_sklearn("diabetes")),
        "prices": lambda: _holes(*_prices()),
        "friedman": lambda: _holes(*_made("friedman1")),
    },
    "words": {f"flats {seed}": lambda seed=seed: _flats_classes(seed) for seed in (1, 2, 3)},
    "words and a number": {f"flats {seed}": lambda seed=seed: _flats(seed) for seed in (1, 2, 3)},
    "categories": {  # 0 to 3; classes
        name: lambda name=name: _small(*_sklearn(name)) for name in ("iris", "wine", "digits")
    },
    "one column": {  # and a number
        "diabetes": lambda: _column(2, *_sklearn("diabetes")),
        "prices": lambda: _column(0, *_prices()),
        "friedman": lambda: _column(3, *_made("friedman1")),
    },
    "some labels": {  # −1 where nobody knows
        name: lambda name=name: _known(*_sklearn(name)) for name in ("iris", "wine", "digits")
    },
}


@cache
def data_sets(kind: str, name: str) -> tuple[Any, Any, Any]:
    """Training rows, their target, and rows that were held out."""
    X, y = DATA[kind][name]()
    order = np.random.default_rng(0).permutation(len(X))[: TRAIN + HELD]
    n = len(order) * 2 // 3
    if isinstance(X, pd.DataFrame):
        return X.iloc[:n], y[:n], X.iloc[n:]
    X, y = X[order], np.asarray(y)[order]
    held = X[n:].copy()
    if kind not in ("categories", "counts", "missing", "missing numbers"):
        held[0] = 0.0
        held[1] = 3 * np.abs(X).max()  # far from all that was seen
    return X[:n], y[:n], held


def agrees(case: Case, kind: str, name: str) -> tuple[Parity, Parity, Converted]:
    """Fit, convert, and compare: the figures of float64 and of float32, and the module."""
    X, y, held = data_sets(kind, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of solvers that stop early
        fitted = clone(case.estimator).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of log(0) on both sides, and of near-singular matrices
        module = to_torch(fitted)
        found = parity(fitted, module, held, case.double).require()
        rough = parity(fitted, to_torch(fitted).float(), held, case.single)
    for one in rough.differences:
        if one.method == "predict_log_proba":
            continue  # float32 has no probabilities below 1e-45
        labels = one.method == "predict" and module.net.classes is not None
        assert one.largest <= (case.loose if labels else case.single), f"float32: {rough}"
    return found, rough, module


@cache
def all_cases() -> dict[str, list[Case]]:
    """Cases by family."""
    files = sorted(Path(__file__).parent.glob("cases_*.py"))
    return {file.stem.removeprefix("cases_"): import_module(file.stem).CASES for file in files}
