"""Partial least squares, which for one target is conjugate gradients stopped early."""

__all__ = ["one_target", "partial_least_squares"]

from typing import Any

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from manumatic.errors import ComponentError
from manumatic.gears.automatic import Regressor
from manumatic.nets.linear import level_line
from manumatic.parts.components import Loop, Loss, Model, Optimizer
from manumatic.parts.objectives import SquaredError
from manumatic.parts.proximal import ConjugateGradients
from manumatic.shift.pieces import layer, told, whole
from manumatic.shift.registry import Shift, shifts


@shifts(PLSRegression)
def partial_least_squares(estimator: Any) -> Shift:
    """n_components steps of conjugate gradients on least squares, from zero."""
    steps = int(estimator.n_components)
    net = Regressor(
        _model(estimator),
        data=whole(
            preprocess=StandardScaler(with_std=bool(estimator.scale)),
            target=StandardScaler(with_std=False),
        ),
        loss=Loss(SquaredError, reduction="sum", factor=0.5),
        optimizer=Optimizer(ConjugateGradients),
        loop=Loop(epochs=steps),
    )
    roles = {
        "data": ("all rows at once, centred", told(scale=estimator.scale)),
        "model": ("one linear layer without a bias", "coef_, in units of the scaled columns"),
        "loss": ("half the squared error, summed", "what all components together would minimise"),
        "optimizer": (
            "conjugate gradients",
            "a step spans the space that a component adds; from zero, the two are equal",
        ),
        "loop": (f"{steps} steps", told(n_components=estimator.n_components)),
    }
    return Shift(net, roles)


def _model(estimator: Any) -> Model:
    if not hasattr(estimator, "coef_"):
        return Model(one_target)
    one_target(estimator.coef_.shape[1], estimator.coef_.shape[0])
    rows = len(estimator.x_scores_)
    # its spread divides by n - 1, that of the scaler by n
    spread = estimator._x_std * np.sqrt((rows - 1) / rows) if estimator.scale else 1.0
    return Model(layer(estimator.coef_ * spread, 0.0, bias=False))


def one_target(in_features: int, out_features: int) -> nn.Linear:
    """A line for one target; refuses more.

    Raises
    ------
    ComponentError
        Several targets share components, which no loss and optimizer over weights express.
    """
    if out_features > 1:
        raise ComponentError(
            f"PLSRegression on {out_features} targets finds components that they share, which no "
            "loss says; shift one PLSRegression a target"
        )
    return level_line(in_features, 1, bias=False)
