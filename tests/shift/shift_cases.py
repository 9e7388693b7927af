"""Estimators whose solution is one, their data, and how far a shifted one is from it.

``python tests/shift/shift_cases.py`` prints the table of docs/shift.md.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    TweedieRegressor,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

import manumatic as mm

RNG = np.random.default_rng(0)
N = 151  # odd, so that a median is one


def standardised(rows):
    return StandardScaler().fit_transform(rows)[:N]


ROWS, TARGET = load_diabetes(return_X_y=True)
ROWS, TARGET = standardised(ROWS), TARGET[:N]
PAIR = np.c_[TARGET, 5 * ROWS[:, 0] + RNG.normal(size=N)]
COUNTS = RNG.poisson(np.exp(1 + ROWS[:, 2] / 2))
POSITIVE = RNG.gamma(2, np.exp(1 + ROWS[:, 2] / 2))
CANCER, TWO = load_breast_cancer(return_X_y=True)
CANCER, TWO = standardised(CANCER[:, :8]), TWO[:N]
WINE, THREE = load_wine(return_X_y=True)
SOME = RNG.permutation(len(WINE))[:N]
WINE, THREE = StandardScaler().fit_transform(WINE[:, :6])[SOME], THREE[SOME]
WEIGHT = RNG.uniform(0.2, 3, N)

NUMBER, NUMBERS = (ROWS, TARGET), (ROWS, PAIR)
COUNT, GAIN = (ROWS, COUNTS), (ROWS, POSITIVE)
BINARY, CLASSES = (CANCER, TWO), (WINE, THREE)

EXACT = {"tol": 1e-10, "max_iter": 10**6}
SLOW = {"tol": 1e-9, "max_iter": 10**7}
SAGA = EXACT | {"solver": "saga"}
LIBLINEAR = EXACT | {"solver": "liblinear"}

# estimator, with parameters that make scikit-learn exact, and the data that it is fitted on
CASES = [
    *((LinearRegression(), data) for data in (NUMBER, NUMBERS)),
    (LinearRegression(fit_intercept=False), NUMBER),
    (LinearRegression(positive=True), NUMBER),
    *((Ridge(10.0), data) for data in (NUMBER, NUMBERS)),
    (Ridge(100.0, fit_intercept=False), NUMBER),
    (Ridge(0.1, positive=True, tol=1e-10), NUMBER),
    *((Lasso(1.0, **EXACT), data) for data in (NUMBER, NUMBERS)),
    (Lasso(0.1, positive=True, **EXACT), NUMBER),
    *((ElasticNet(0.3, l1_ratio=0.3, **EXACT), data) for data in (NUMBER, NUMBERS)),
    *((LogisticRegression(**EXACT), data) for data in (BINARY, CLASSES)),
    *((LogisticRegression(C=np.inf, **EXACT), data) for data in (BINARY,)),
    *((LogisticRegression(C=0.5, l1_ratio=1.0, **SAGA), data) for data in (BINARY, CLASSES)),
    *((LogisticRegression(C=0.5, l1_ratio=0.5, **SAGA), data) for data in (BINARY, CLASSES)),
    *((LogisticRegression(C=0.1, class_weight="balanced", **EXACT), d) for d in (BINARY, CLASSES)),
    (LogisticRegression(class_weight={0: 1, 1: 5}, fit_intercept=False, **EXACT), BINARY),
    (LogisticRegression(**LIBLINEAR), BINARY),
    (LogisticRegression(l1_ratio=1.0, intercept_scaling=5.0, **LIBLINEAR), BINARY),
    *((RidgeClassifier(), data) for data in (BINARY, CLASSES)),
    (RidgeClassifier(5.0, class_weight="balanced"), BINARY),
    *((LinearSVC(**SLOW), data) for data in (BINARY, CLASSES)),
    *((LinearSVC(penalty="l1", dual=False, **SLOW), data) for data in (BINARY, CLASSES)),
    *((LinearSVC(loss="hinge", C=0.3, **SLOW), data) for data in (BINARY, CLASSES)),
    (LinearSVC(loss="hinge", C=0.1, class_weight="balanced", **SLOW), BINARY),
    (LinearSVC(class_weight={0: 1, 1: 5}, **SLOW), BINARY),
    (LinearSVR(**SLOW), NUMBER),
    (LinearSVR(C=0.1, epsilon=10.0, intercept_scaling=100.0, **SLOW), NUMBER),
    (LinearSVR(loss="squared_epsilon_insensitive", dual=False, epsilon=5.0, **SLOW), NUMBER),
    (HuberRegressor(tol=1e-9, max_iter=10**4), NUMBER),
    (HuberRegressor(epsilon=2.0, alpha=1.0, tol=1e-9, max_iter=10**4), NUMBER),
    (QuantileRegressor(alpha=0.0), NUMBER),
    (QuantileRegressor(quantile=0.8, alpha=0.1), NUMBER),
    (PoissonRegressor(alpha=0.1, tol=1e-9, max_iter=10**4), COUNT),
    (GammaRegressor(alpha=0.1, tol=1e-9, max_iter=10**4), GAIN),
    (TweedieRegressor(power=1.5, alpha=0.1, tol=1e-9, max_iter=10**4), COUNT),
    (TweedieRegressor(power=3.0, alpha=0.1, tol=1e-9, max_iter=10**4), GAIN),
    (TweedieRegressor(power=0.0, alpha=0.1, tol=1e-9, max_iter=10**4), NUMBER),
]


def name_of(case):
    estimator, data = case
    kinds = {"NUMBER": NUMBER, "NUMBERS": NUMBERS, "COUNT": COUNT, "GAIN": GAIN}
    kinds |= {"BINARY": BINARY, "CLASSES": CLASSES}
    kind = next(name.lower() for name, value in kinds.items() if value is data)
    given = {
        name: value
        for name, value in estimator.get_params().items()
        if value is not type(estimator)().get_params()[name] and name not in ("tol", "max_iter")
    }
    told = ", ".join(f"{name}={value}" for name, value in given.items())
    return f"{type(estimator).__name__}({told}) {kind}"


def solutions(case, **weights):
    """scikit-learn's estimator, fitted, and the shifted one."""
    estimator, (X, y) = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = clone(estimator).fit(X, y, **weights)
    return fitted, mm.shift(estimator).fit(X, y, **weights)


def difference(fitted, net):
    """The largest of the coefficients, relative to the largest coefficient."""
    coef = np.atleast_2d(fitted.coef_)
    found = net.model_.weight.detach().numpy()
    return np.abs(found - coef).max() / np.abs(coef).max()


def table():
    """The rows of docs/shift.md: the largest difference over all cases of an estimator."""
    worst, nets = {}, {}
    for case in CASES:
        name = type(case[0]).__name__
        for weights in ({}, {"sample_weight": WEIGHT}):
            fitted, net = solutions(case, **weights)
            worst[name] = max(worst.get(name, 0.0), difference(fitted, net))
        nets.setdefault(name, net)
    for name, net in nets.items():
        does = {row.part: row.did for row in reversed(net.logbook_)}
        parts = " | ".join(does[part] for part in ("model", "loss", "optimizer", "loop"))
        print(f"| `{name}` | {parts} | {worst[name]:.0e} |")


if __name__ == "__main__":
    table()
