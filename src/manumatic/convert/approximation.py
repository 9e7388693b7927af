"""Features whose products are nearly a kernel, and random projections."""

__all__ = ["AdditiveChi2", "Cosines", "CountSketch", "Landmarks"]

from math import cosh, pi, sqrt
from typing import Any

import numpy as np
import torch
from sklearn import kernel_approximation, neighbors, random_projection
from torch import Tensor, nn

from manumatic.convert.decomposition import Mapped, ThereAndBack
from manumatic.convert.kernels import dense, pairwise_kernel
from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact

INTERVALS = {1: 0.8, 2: 0.5, 3: 0.4}  # AdditiveChi2Sampler's, by sample_steps


class Landmarks(Transformer):
    """Kernels with some rows, times a matrix (Williams & Seeger, NIPS 2000).

    Parameters
    ----------
    kernel : nn.Module
    rows : nn.Parameter (m, features)
    matrix : nn.Parameter (m, outputs)
    """

    def __init__(self, kernel: nn.Module, rows: nn.Parameter, matrix: nn.Parameter) -> None:
        super().__init__()
        self.kernel, self.rows, self.matrix = kernel, rows, matrix

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, outputs)."""
        return self.kernel(x, self.rows) @ self.matrix


class Cosines(Transformer):
    """√(2 / outputs) · cos(x · weights + offset), of log(x + skew) where there is a skew.

    Parameters
    ----------
    weights : nn.Parameter (features, outputs)
    offset : nn.Parameter (outputs,)
    skew : float, optional
    """

    skew: Tensor
    height: Tensor

    def __init__(
        self, weights: nn.Parameter, offset: nn.Parameter, skew: float | None = None
    ) -> None:
        super().__init__()
        self.weights, self.offset, self.skewed = weights, offset, skew is not None
        exact(self, skew=skew or 0.0, height=sqrt(2 / len(offset)))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, outputs)."""
        x = (x + self.skew).log() if self.skewed else x
        return (x @ self.weights + self.offset).cos() * self.height


class AdditiveChi2(Transformer):
    """Vedaldi & Zisserman's features of each column, at regular frequencies (CVPR 2010).

    Parameters
    ----------
    steps : int
    interval : float
    """

    interval: Tensor
    fades: Tensor

    def __init__(self, steps: int, interval: float) -> None:
        super().__init__()
        self.steps = steps
        exact(self, interval=interval, fades=[cosh(pi * j * interval) for j in range(steps)])

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, (2 · steps − 1) · features)."""
        some = x != 0
        safe = torch.where(some, x, 1.0)
        found = [(safe * self.interval).sqrt()]
        turn = self.interval * safe.log()
        for j in range(1, self.steps):
            factor = (2 * safe * self.interval / self.fades[j]).sqrt()
            found += [factor * (j * turn).cos(), factor * (j * turn).sin()]
        return torch.cat([torch.where(some, each, 0.0) for each in found], 1)


class CountSketch(Transformer):
    """(γ xy + c)ᵈ as a circular convolution of d sketches (Pham & Pagh, KDD 2013).

    A convolution is a product of Fourier transforms; those are matrices here, which every exporter
    knows.

    Parameters
    ----------
    sketches : ndarray (degree, features or one more, outputs)
        Signs where a feature is counted; the last row counts the constant, if there is one.
    gamma, coef0 : float
    """

    real: Tensor
    imaginary: Tensor
    back_real: Tensor
    back_imaginary: Tensor

    def __init__(self, sketches: np.ndarray, gamma: float, coef0: float) -> None:
        super().__init__()
        self.constant = coef0 != 0
        sketches = sketches * sqrt(gamma)
        if self.constant:
            sketches[:, -1] *= sqrt(coef0 / gamma)

        n = sketches.shape[2]
        wave = np.exp(-2j * pi * (np.outer(np.arange(n), np.arange(n)) % n) / n)
        there = sketches @ wave
        self.register_buffer("real", torch.tensor(there.real))
        self.register_buffer("imaginary", torch.tensor(there.imag))
        self.register_buffer("back_real", torch.tensor(wave.real / n))
        self.register_buffer("back_imaginary", torch.tensor(wave.imag / n))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, outputs)."""
        if self.constant:
            x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        real, imaginary = x @ self.real[0], x @ self.imaginary[0]
        for d in range(1, self.real.shape[0]):
            one, two = x @ self.real[d], x @ self.imaginary[d]
            real, imaginary = real * one - imaginary * two, real * two + imaginary * one
        return real @ self.back_real + imaginary @ self.back_imaginary


@converts(kernel_approximation.Nystroem)
def nystroem(estimator: Any, build: Build) -> Piece:
    """Kernels with the rows that were drawn."""
    given = dict(estimator.kernel_params or {})
    given |= {key: getattr(estimator, key) for key in ("gamma", "coef0", "degree")}
    rows = dense(estimator.components_)
    kernel = pairwise_kernel(estimator.kernel, "Nystroem", rows.shape[1], **given)
    return Landmarks(kernel, build.weight(rows), build.weight(estimator.normalization_.T))


@converts(kernel_approximation.RBFSampler, kernel_approximation.SkewedChi2Sampler)
def sampler(estimator: Any, build: Build) -> Piece:
    """Random cosines."""
    given = build.weight(estimator.random_weights_), build.weight(estimator.random_offset_)
    return Cosines(*given, skew=getattr(estimator, "skewedness", None))


@converts(kernel_approximation.AdditiveChi2Sampler)
def additive_chi2(estimator: Any, build: Build) -> Piece:
    """Regular cosines."""
    interval = estimator.sample_interval
    return AdditiveChi2(
        estimator.sample_steps, INTERVALS[estimator.sample_steps] if interval is None else interval
    )


@converts(kernel_approximation.PolynomialCountSketch)
def count_sketch(estimator: Any, build: Build) -> Piece:
    """Hashes and signs as matrices."""
    degree, n_features = estimator.indexHash_.shape
    sketches = np.zeros((degree, n_features, estimator.n_components))
    for d in range(degree):
        sketches[d, np.arange(n_features), estimator.indexHash_[d]] = estimator.bitHash_[d]
    return CountSketch(sketches, estimator.gamma, estimator.coef0)


@converts(random_projection.GaussianRandomProjection, random_projection.SparseRandomProjection)
def projection(estimator: Any, build: Build) -> Piece:
    """A random matrix; back with its pseudo-inverse."""
    components = dense(estimator.components_)
    inverse = getattr(estimator, "inverse_components_", None)
    inverse = np.linalg.pinv(components) if inverse is None else inverse
    zero = build.tensor(np.zeros(components.shape[1]))
    return ThereAndBack(zero, build.weight(components.T), build.weight(inverse.T))


@converts(neighbors.NeighborhoodComponentsAnalysis)
def neighbourhood(estimator: Any, build: Build) -> Piece:
    """The learned matrix."""
    zero = build.tensor(np.zeros(estimator.components_.shape[1]))
    return Mapped(zero, build.weight(estimator.components_.T))
