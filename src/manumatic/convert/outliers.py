"""Detectors of outliers: how normal a row is, and where the border lies."""

__all__ = ["Detector", "Ellipse"]

from typing import Any

import torch
from sklearn import covariance
from torch import Tensor

from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build, converts


class Detector(Piece):
    """Above 0 inside, below outside; ``forward`` gives that as one column (n, 1)."""

    methods: tuple[str, ...] = ("predict", "decision_function", "score_samples")

    def forward(self, x: Tensor) -> Tensor:
        """Decisions (n, 1)."""
        return self.call("decision_function", x)[:, None]

    def predict(self, x: Tensor) -> Tensor:
        """1 inside and on the border, −1 outside (n,)."""
        return torch.where(self.call("decision_function", x) < 0, -1, 1)


class Ellipse(Detector):
    """−(x − centre)ᵀ precision (x − centre), against an offset.

    Parameters
    ----------
    centre : Tensor (features,)
    precision : Tensor (features, features)
    offset : Tensor ()
    """

    centre: Tensor
    precision: Tensor
    offset: Tensor

    def __init__(self, centre: Tensor, precision: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("precision", precision)
        self.register_buffer("offset", offset)

    def score_samples(self, x: Tensor) -> Tensor:
        """Minus the squared Mahalanobis distance (n,)."""
        gap = x - self.centre
        return -(gap @ self.precision * gap).sum(1)

    def decision_function(self, x: Tensor) -> Tensor:
        """The score above the border's (n,)."""
        return self.score_samples(x) - self.offset


@converts(covariance.EllipticEnvelope)
def elliptic_envelope(estimator: Any, build: Build) -> Piece:
    """The ellipse of the robust covariance."""
    given = estimator.location_, estimator.get_precision(), estimator.offset_
    return Ellipse(*(build.tensor(each) for each in given))
