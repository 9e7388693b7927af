"""Scalers: numbers shifted and stretched, column by column or row by row."""

__all__ = ["Affine", "Bounded", "Centered", "Normalized", "Stretched", "Threshold"]

from typing import Any

import numpy as np
import torch
from sklearn import preprocessing
from torch import Tensor

from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts

BOTH = ("transform", "inverse_transform")


class Affine(Transformer):
    """(x − shift) / scale, in scikit-learn's order: 1/scale first would be an ulp off.

    Parameters
    ----------
    shift, scale : Tensor (features,)
    """

    methods = BOTH
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


class Stretched(Transformer):
    """x · scale + shift, which is the order of MinMaxScaler.

    Parameters
    ----------
    scale, shift : Tensor (features,)
    """

    methods = BOTH
    shift: Tensor
    scale: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """Scaled columns (n, features)."""
        return x * self.scale + self.shift

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back to the units of the columns."""
        return (x - self.shift) / self.scale


class Bounded(Transformer):
    """A scaler whose numbers stay within bounds; the way back knows nothing of them.

    Parameters
    ----------
    scaler : Transformer
    bounds : Tensor (2,)
        A buffer, because torch.onnx rounds numbers in the code to float32.
    """

    methods = BOTH
    body: Transformer
    bounds: Tensor

    def __init__(self, scaler: Transformer, bounds: Tensor) -> None:
        super().__init__(scaler)
        self.register_buffer("bounds", bounds)

    def forward(self, x: Tensor) -> Tensor:
        """Scaled columns (n, features) within the bounds; NaN stays."""
        return torch.minimum(torch.maximum(self.body(x), self.bounds[0]), self.bounds[1])

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back to the units of the columns."""
        found: Tensor = self.body.call("inverse_transform", x)
        return found


class Normalized(Transformer):
    """Each row over its own norm; a row of zeros stays.

    Parameters
    ----------
    norm : "l1", "l2" or "max"
    """

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Rows (n, features) of the norm 1."""
        if self.norm == "l1":
            size = x.abs().sum(1, keepdim=True)
        elif self.norm == "l2":
            size = x.square().sum(1, keepdim=True)
            # the square root of 0 has no slope
            size = torch.where(size == 0, size, size.where(size != 0, 1.0).sqrt())
        else:
            size = x.abs().amax(1, keepdim=True)
        return x / torch.where(size == 0, 1.0, size)


class Threshold(Transformer):
    """1 where a number is more than the threshold, else 0.

    Parameters
    ----------
    threshold : Tensor ()
    """

    threshold: Tensor

    def __init__(self, threshold: Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)

    def forward(self, x: Tensor) -> Tensor:
        """Ones and zeros (n, features)."""
        return (x > self.threshold).to(x.dtype)


class Centered(Transformer):
    """Rows of a kernel (n, training rows) as if the features had been centred.

    Parameters
    ----------
    means : Tensor (training rows,)
    mean : Tensor ()
    """

    means: Tensor
    mean: Tensor

    def __init__(self, means: Tensor, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("means", means)
        self.register_buffer("mean", mean)

    def forward(self, x: Tensor) -> Tensor:
        """The centred kernel (n, training rows)."""
        return x - self.means - x.sum(1, keepdim=True) / x.shape[1] + self.mean


@converts(preprocessing.StandardScaler)
def standard(estimator: Any, build: Build) -> Piece:
    """Minus the mean, over the standard deviation."""
    n = estimator.n_features_in_
    shift = estimator.mean_ if estimator.with_mean else np.zeros(n)
    scale = estimator.scale_ if estimator.with_std else np.ones(n)
    return Affine(build.tensor(shift), build.tensor(scale))


@converts(preprocessing.RobustScaler)
def robust(estimator: Any, build: Build) -> Piece:
    """Minus the median, over the distance of the quartiles."""
    n = estimator.n_features_in_
    shift = estimator.center_ if estimator.with_centering else np.zeros(n)
    scale = estimator.scale_ if estimator.with_scaling else np.ones(n)
    return Affine(build.tensor(shift), build.tensor(scale))


@converts(preprocessing.MinMaxScaler)
def min_max(estimator: Any, build: Build) -> Piece:
    """From the smallest and the largest to the ends of a range."""
    made = Stretched(build.tensor(estimator.scale_), build.tensor(estimator.min_))
    return Bounded(made, build.tensor(estimator.feature_range)) if estimator.clip else made


@converts(preprocessing.MaxAbsScaler)
def max_abs(estimator: Any, build: Build) -> Piece:
    """Over the largest size."""
    scale = build.tensor(estimator.scale_)
    made = Affine(torch.zeros_like(scale), scale)
    return Bounded(made, build.tensor([-1, 1])) if estimator.clip else made


@converts(preprocessing.Normalizer)
def normalizer(estimator: Any, build: Build) -> Piece:
    """Rows of one length."""
    return Normalized(estimator.norm)


@converts(preprocessing.Binarizer)
def binarizer(estimator: Any, build: Build) -> Piece:
    """More than the threshold or not."""
    return Threshold(build.tensor(estimator.threshold))


@converts(preprocessing.KernelCenterer)
def kernel_centerer(estimator: Any, build: Build) -> Piece:
    """The kernel of centred features."""
    return Centered(build.tensor(estimator.K_fit_rows_), build.tensor(estimator.K_fit_all_))
