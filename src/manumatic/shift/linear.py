"""Least squares with and without penalties, and logistic regression."""

__all__ = ["elastic_net", "least_squares", "logistic", "ridge", "ridge_classifier"]

from typing import Any

import numpy as np
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)

from manumatic.errors import ComponentError
from manumatic.parts.components import Loss
from manumatic.parts.objectives import LogLoss, SquaredError
from manumatic.shift.pieces import Penalty, of_classes, solve, told
from manumatic.shift.registry import Shift, shifts

SQUARES = Loss(SquaredError, reduction="sum")


@shifts(LinearRegression)
def least_squares(estimator: Any) -> Shift:
    """Σ squared residuals."""
    return solve(
        estimator,
        SQUARES,
        Penalty(positive=estimator.positive),
        says=("squared error, summed", "the sum of squared residuals"),
        prices="no penalty",
        replaces="scipy.optimize.nnls" if estimator.positive else "scipy.linalg.lstsq",
    )


@shifts(Ridge)
def ridge(estimator: Any) -> Shift:
    """Σ squared residuals + alpha Σ w²."""
    return solve(
        estimator,
        SQUARES,
        Penalty(l2=2 * _one_number(estimator, "alpha"), positive=estimator.positive),
        says=("squared error, summed", "the sum of squared residuals"),
        prices=f"{told(alpha=estimator.alpha)} times the sum of squared weights",
        replaces=f"the solver, {told(solver=estimator.solver)}",
    )


@shifts(RidgeClassifier)
def ridge_classifier(estimator: Any) -> Shift:
    """Ridge on labels -1 and 1."""
    weight = estimator.class_weight
    loss = Loss(SquaredError, class_weight=weight, reduction="sum", classes=True)
    return solve(
        estimator,
        loss,
        Penalty(l2=2 * _one_number(estimator, "alpha"), positive=estimator.positive),
        says=("squared error, summed", "the sum of squared residuals of labels -1 and 1"),
        prices=f"{told(alpha=estimator.alpha)} times the sum of squared weights",
        replaces=f"the solver, {told(solver=estimator.solver)}",
    )


@shifts(Lasso, ElasticNet)
def elastic_net(estimator: Any) -> Shift:
    """Half the mean squared residual + alpha (l1_ratio Σ|w| + (1 - l1_ratio)/2 Σ w²)."""
    alpha, share = float(estimator.alpha), float(estimator.l1_ratio)
    penalty = Penalty(l1=alpha * share, l2=alpha * (1 - share), positive=bool(estimator.positive))
    return solve(
        estimator,
        Loss(SquaredError, reduction="mean", factor=0.5),
        penalty,
        says=("half the squared error, averaged", "half the mean squared residual"),
        prices=_prices(alpha, share),
        replaces="coordinate descent",
    )


@shifts(LogisticRegression)
def logistic(estimator: Any) -> Shift:
    """Σ log loss + (l1_ratio Σ|w| + (1 - l1_ratio)/2 Σ w²) / C."""
    share = _share(estimator)
    strength = 0.0 if share is None or np.isinf(estimator.C) else 1 / float(estimator.C)
    l1, l2 = strength * (share or 0.0), strength * (1 - (share or 0.0))
    # liblinear's intercept is the weight of one more column, of the size intercept_scaling
    size = float(estimator.intercept_scaling) if estimator.solver == "liblinear" else np.inf
    loss = of_classes(LogLoss, estimator.class_weight, reduction="sum")
    regularised = f"{told(C=estimator.C)}, " + (_words(share) if strength else "no penalty")
    return solve(
        estimator,
        loss,
        Penalty(l1=l1, l2=l2, bias_l1=l1 / size, bias_l2=l2 / size**2),
        says=("cross entropy, summed", "log loss; its weight C divides the penalty instead"),
        prices=regularised,
        replaces=f"the solver, {told(solver=estimator.solver)}",
        finely=not strength,
    )


def _share(estimator: Any) -> float | None:
    """The part of the penalty that is L1; None for no penalty."""
    named = {"l2": 0.0, "l1": 1.0, None: None}
    penalty = getattr(estimator, "penalty", "deprecated")
    return named.get(penalty, float(estimator.l1_ratio or 0.0))


def _words(share: float | None) -> str:
    names = {0.0: "half the sum of squared weights", 1.0: "the sum of absolute weights"}
    return names.get(share or 0.0, "a mixture of absolute and squared weights")


def _prices(alpha: float, share: float) -> str:
    if share == 1:
        return f"alpha={alpha:g} times the sum of absolute weights"
    return f"alpha={alpha:g}, of which l1_ratio={share:g} times absolute weights"


def _one_number(estimator: Any, name: str) -> float:
    value = getattr(estimator, name)
    if np.ndim(value):
        raise ComponentError(
            f"{type(estimator).__name__}({name}={value!r}) has a penalty for each target; shift "
            "covers one number: shift one estimator a target"
        )
    return float(value)
