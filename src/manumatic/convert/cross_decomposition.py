"""Partial least squares: directions that two tables share."""

__all__ = ["LeastSquares", "Scores"]

from typing import Any

from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from torch import Tensor, nn

from manumatic.convert.pieces import Piece, Regressor, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.scale import Affine


class LeastSquares(Regressor):
    """Predictions, scores of the rows, and rows from scores.

    Parameters
    ----------
    scale : Affine
        Of the rows.
    coef : Parameter (targets, features)
    intercept : Parameter (targets,)
    axes : tuple of Parameter (features, components)
        Rotations, which give scores, and loadings, which give rows back.
    flat : bool
    """

    methods = ("predict", "transform", "inverse_transform")

    def __init__(
        self,
        scale: Affine,
        coef: nn.Parameter,
        intercept: nn.Parameter,
        axes: tuple[nn.Parameter, nn.Parameter],
        *,
        flat: bool,
    ) -> None:
        super().__init__(flat=flat)
        self.scale, self.coef, self.intercept = scale, coef, intercept
        self.rotations, self.loadings = axes

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        return (x - self.scale.shift) @ self.coef.mT + self.intercept

    def transform(self, x: Tensor) -> Tensor:
        """Scores (n, components)."""
        return self.scale(x) @ self.rotations

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Rows (n, features) from scores (n, components)."""
        return self.scale.inverse_transform(x @ self.loadings.mT)


class Scores(nn.Module):
    """Scaled rows times directions."""

    def __init__(self, scale: Affine, weights: nn.Parameter) -> None:
        super().__init__()
        self.scale, self.weights = scale, weights

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, components)."""
        return self.scale(x) @ self.weights


@converts(PLSRegression, PLSCanonical, CCA)
def least_squares(estimator: Any, build: Build) -> Piece:
    """All three differ in how they are fitted."""
    scale = Affine(build.tensor(estimator._x_mean), build.tensor(estimator._x_std))
    coef, intercept = build.weight(estimator.coef_), build.weight(estimator.intercept_)
    axes = (build.weight(estimator.x_rotations_), build.weight(estimator.x_loadings_))
    return LeastSquares(scale, coef, intercept, axes, flat=estimator._predict_1d)


@converts(PLSSVD)
def singular(estimator: PLSSVD, build: Build) -> Piece:
    """Scores alone."""
    scale = Affine(build.tensor(estimator._x_mean), build.tensor(estimator._x_std))
    return Transformer(Scores(scale, build.weight(estimator.x_weights_)))
