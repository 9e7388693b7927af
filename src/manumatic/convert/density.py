"""Densities of kernels around the stored rows."""

__all__ = ["Bumps"]

from math import inf, lgamma, log, nan, pi
from typing import Any

import numpy as np
import torch
from sklearn import neighbors
from torch import Tensor

from manumatic.convert.distances import Distance, distance_of
from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact


class Bumps(Piece):
    """The sum of a bump on every stored row; ``forward`` gives its logarithm (n, 1).

    scikit-learn subtracts bounds of whole branches of a tree, so that it has no digits left where a
    density is 1e-16 of the highest one possible; there the two differ, and this one is right.

    Parameters
    ----------
    rows : Tensor (m, features)
    logs : Tensor (m,)
        Of the rows' weights.
    distance : Distance
    bandwidth : float
    kernel : str
        The shape of the bumps.
    """

    methods = ("score_samples",)
    rows: Tensor
    logs: Tensor
    bandwidth: Tensor
    size: Tensor
    quarter: Tensor

    def __init__(
        self, rows: Tensor, logs: Tensor, distance: Distance, bandwidth: float, kernel: str
    ) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("logs", logs)
        self.distance, self.kernel = distance, kernel
        size = _log_size(kernel, rows.shape[1]) + rows.shape[1] * log(bandwidth)
        exact(self, bandwidth=bandwidth, size=size, quarter=pi / 2)

    def _bump(self, d: Tensor) -> Tensor:
        """log of the bump at distances in bandwidths, as high as 1."""
        if self.kernel == "gaussian":
            return -0.5 * d * d
        if self.kernel == "exponential":
            return -d
        near = d < 1
        d = torch.where(near, d, 0.0)
        if self.kernel == "tophat":
            found = torch.zeros_like(d)
        elif self.kernel == "epanechnikov":
            found = (1 - d * d).log()
        elif self.kernel == "linear":
            found = (1 - d).log()
        else:
            found = (self.quarter * d).cos().log()
        return torch.where(near, found, -inf)

    def forward(self, x: Tensor) -> Tensor:
        """log density (n, 1)."""
        return self.score_samples(x)[:, None]

    def score_samples(self, x: Tensor) -> Tensor:
        """log density (n,)."""
        found = self._bump(self.distance(x, self.rows) / self.bandwidth) + self.logs
        return torch.logsumexp(found, 1) - self.size


def _log_ball(n: int) -> float:
    """log volume of the ball of radius 1 in n dimensions."""
    return 0.5 * n * log(pi) - lgamma(0.5 * n + 1)


def _log_size(kernel: str, n: int) -> float:
    """log ∫ of a bump of bandwidth 1 and height 1 in n dimensions."""
    sphere = log(2 * pi) + _log_ball(n - 2)
    if kernel == "gaussian":
        return 0.5 * n * log(2 * pi)
    if kernel == "tophat":
        return _log_ball(n)
    if kernel == "epanechnikov":
        return _log_ball(n) + log(2 / (n + 2))
    if kernel == "exponential":
        return sphere + lgamma(n)
    if kernel == "linear":
        return _log_ball(n) - log(n + 1)
    # scikit-learn's series, which is not the integral in an even number of columns: NaN from 4 on
    total, term = 0.0, 2 / pi
    for k in range(1, n + 1, 2):
        total += term
        term *= -(n - k) * (n - k - 1) * (2 / pi) ** 2
    return log(total) + sphere if total > 0 else nan


@converts(neighbors.KernelDensity)
def density(estimator: Any, build: Build) -> Piece:
    """A bump on every row."""
    distance = distance_of(estimator.metric, "KernelDensity", estimator.metric_params)
    rows = np.asarray(estimator.tree_.data)
    given = estimator.tree_.sample_weight
    weights = np.ones(len(rows)) if given is None else np.asarray(given)
    with np.errstate(divide="ignore"):  # a weight of 0 is a bump of height 0
        logs = np.log(weights / weights.sum())
    kept = build.tensor(rows), build.tensor(logs)
    return Bumps(*kept, distance, estimator.bandwidth_, estimator.kernel)
