"""Discriminant analysis: Gaussian classes with one covariance, or each with its own."""

__all__ = ["LinearDiscriminant", "OwnCovariances", "Projection", "Quadratic"]

from typing import Any

import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from torch import Tensor, nn

from manumatic.convert.linear import ODDS, linear_layer
from manumatic.convert.pieces import Piece
from manumatic.convert.probabilities import Joint, Logistic
from manumatic.convert.registry import Build, converts


class Projection(nn.Module):
    """(x − shift) · directions."""

    shift: Tensor

    def __init__(self, shift: Tensor, directions: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)
        self.directions = nn.Parameter(directions)

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates (n, directions)."""
        return (x - self.shift) @ self.directions


class LinearDiscriminant(Logistic):
    """Scores as of a logistic regression, and the directions that part the classes.

    Parameters
    ----------
    classes : ndarray (k,)
    body : nn.Module
        Scores (n, k), or (n, 1) of two classes.
    projection : nn.Module or None
        None where the solver has none.
    """

    floor: Tensor

    def __init__(self, classes: Any, body: nn.Module, projection: nn.Module | None) -> None:
        has = ODDS if projection is None else (*ODDS, "transform")
        super().__init__(classes, body, has)
        self.projection = projection
        # a buffer: an ONNX graph holds numbers in the code as float32
        floor = torch.tensor(torch.finfo(torch.float64).tiny, dtype=torch.float64).log()
        self.register_buffer("floor", floor)
        self.without = ("transform",) if projection is None else ()

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Logarithms of the probabilities, finite: 0 becomes the smallest normal number."""
        p = self.predict_proba(x)
        nothing = p == 0
        return torch.where(nothing, self.floor, torch.where(nothing, 1.0, p).log())

    def transform(self, x: Tensor) -> Tensor:
        """Coordinates (n, components)."""
        assert self.projection is not None
        return self.projection(x)


class Quadratic(Joint):
    """The largest score is subtracted first: more digits are left far out."""

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Logarithms of the probabilities (n, k)."""
        return self(x).log_softmax(1)


class OwnCovariances(nn.Module):
    """log P(class) − (log |Σ| + distance²) / 2, each class with its own mean and axes.

    Parameters
    ----------
    means : list of Tensor (features,)
    axes : list of Tensor (features, rank)
        Directions over the root of their variance.
    offset : Tensor (classes,)
        log P(class) − log |Σ| / 2.
    """

    def __init__(self, means: list[Tensor], axes: list[Tensor], offset: Tensor) -> None:
        super().__init__()
        self.means, self.axes = nn.ParameterList(means), nn.ParameterList(axes)
        self.offset = nn.Parameter(offset)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes)."""
        parts = zip(self.means, self.axes, strict=True)
        far = [(((x - mean) @ axes) ** 2).sum(1) for mean, axes in parts]
        return -0.5 * torch.stack(far, 1) + self.offset


@converts(LinearDiscriminantAnalysis)
def linear(estimator: LinearDiscriminantAnalysis, build: Build) -> Piece:
    """Scores and, but for the solver ``"lsqr"``, a projection."""
    body = linear_layer(estimator.coef_, estimator.intercept_, build)
    projection = None
    if estimator.solver != "lsqr":
        directions = build.tensor(estimator.scalings_[:, : estimator._max_components])
        shift = estimator.xbar_ if estimator.solver == "svd" else 0.0
        projection = Projection(build.tensor(shift), directions)
    return LinearDiscriminant(estimator.classes_, body, projection)


@converts(QuadraticDiscriminantAnalysis)
def quadratic(estimator: QuadraticDiscriminantAnalysis, build: Build) -> Piece:
    """A distance a class."""
    variances = [build.tensor(s) for s in estimator.scalings_]
    pairs = zip(estimator.rotations_, variances, strict=True)
    axes = [build.tensor(rotation) * s**-0.5 for rotation, s in pairs]
    spread = torch.stack([s.log().sum() for s in variances])
    offset = build.tensor(estimator.priors_).log() - 0.5 * spread
    body = OwnCovariances([build.tensor(mean) for mean in estimator.means_], axes, offset)
    return Quadratic(estimator.classes_, body, ODDS)
