"""Linear models: one matrix, one bias, and what stands behind them."""

__all__ = ["Exp", "linear_layer"]

from typing import Any

import numpy as np
from sklearn import linear_model, svm
from torch import Tensor, nn

from manumatic.convert.pieces import Classifier, Piece, Regressor
from manumatic.convert.registry import Build, converts


def linear_layer(coef: Any, intercept: Any, build: Build) -> nn.Linear:
    """x · coefᵀ + intercept as a layer whose weights can be trained.

    Parameters
    ----------
    coef : array (features,) or (outputs, features)
    intercept : float or array (outputs,)
    build : Build

    Returns
    -------
    torch.nn.Linear

    Examples
    --------
    >>> linear_layer([7.0], 45.0, Build())
    Linear(in_features=1, out_features=1, bias=True)
    """
    weight = build.weight(np.atleast_2d(np.asarray(coef, np.float64)))
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    layer.weight = weight
    layer.bias = build.weight(np.broadcast_to(np.ravel(intercept), (weight.shape[0],)))
    return layer


class Exp(nn.Module):
    """eˣ: the link of a rate."""

    def forward(self, x: Tensor) -> Tensor:
        """Rates (n, targets)."""
        return x.exp()


@converts(
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.Lasso,
)
def regression(estimator: Any, build: Build) -> Piece:
    """One output a target."""
    flat = np.ndim(estimator.coef_) == 1
    return Regressor(linear_layer(estimator.coef_, estimator.intercept_, build), flat=flat)


@converts(linear_model.LogisticRegression, linear_model.LogisticRegressionCV)
def logistic(estimator: Any, build: Build) -> Piece:
    """Scores whose softmax are the probabilities."""
    layer = linear_layer(estimator.coef_, estimator.intercept_, build)
    has = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    return Classifier(estimator.classes_, layer, has)


@converts(svm.LinearSVC)
def margins(estimator: Any, build: Build) -> Piece:
    """Scores without probabilities."""
    layer = linear_layer(estimator.coef_, estimator.intercept_, build)
    return Classifier(estimator.classes_, layer, ("predict", "decision_function"))
