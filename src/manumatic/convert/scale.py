"""Scalers: numbers shifted and stretched, column by column."""

__all__ = ["Affine"]

from typing import Any

import numpy as np
from sklearn import preprocessing
from torch import Tensor

from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts


class Affine(Transformer):
    """(x − shift) / scale, in scikit-learn's order: 1/scale first would be an ulp off."""

    methods = ("transform", "inverse_transform")
    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """Scaled columns (n, features)."""
        return (x - self.shift) / self.scale

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back to the units of the columns."""
        return x * self.scale + self.shift


@converts(preprocessing.StandardScaler)
def standard(estimator: Any, build: Build) -> Piece:
    """Minus the mean, over the standard deviation."""
    n = estimator.n_features_in_
    shift = estimator.mean_ if estimator.with_mean else np.zeros(n)
    scale = estimator.scale_ if estimator.with_std else np.ones(n)
    return Affine(build.tensor(shift), build.tensor(scale))
