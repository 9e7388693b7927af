"""Mixtures of Gaussians: how likely each component is, given a row."""

__all__ = ["Mixture"]

from math import log, pi
from typing import Any

import numpy as np
import torch
from scipy.special import digamma
from sklearn import mixture
from torch import Tensor, nn

from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact


class Mixture(Piece):
    """log(weight · density) of each component: softmax are the odds, logsumexp the density.

    Parameters
    ----------
    means : nn.Parameter (components, features)
    precision : nn.Parameter
        Cholesky factors of the precisions: (components, features, features), (features, features),
        (components, features) or (components,).
    constant : nn.Parameter (components,)
        What is added beside the Gaussians' own logarithms: those of the weights.
    kind : str
        scikit-learn's ``covariance_type``.
    """

    methods = ("predict", "predict_proba", "score_samples")
    size: Tensor

    def __init__(
        self, means: nn.Parameter, precision: nn.Parameter, constant: nn.Parameter, kind: str
    ) -> None:
        super().__init__()
        self.means, self.precision, self.constant = means, precision, constant
        self.kind = kind
        exact(self, size=means.shape[1] * log(2 * pi))

    def _scaled(self, gap: Tensor) -> tuple[Tensor, Tensor]:
        """Gaps (components, n, features) in units of the components, and log|factor|."""
        if self.kind == "full":
            diagonal = self.precision.diagonal(dim1=1, dim2=2)
            return gap @ self.precision, diagonal.log().sum(1)
        if self.kind == "tied":
            return gap @ self.precision, self.precision.diagonal().log().sum()
        if self.kind == "diag":
            return gap * self.precision[:, None], self.precision.log().sum(1)
        return gap * self.precision[:, None, None], self.precision.log() * gap.shape[2]

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, components)."""
        scaled, volume = self._scaled(x - self.means[:, None])
        square = (scaled * scaled).sum(2).T
        return -0.5 * (self.size + square) + volume + self.constant

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the components (n,)."""
        return self(x).argmax(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """The odds (n, components)."""
        return self(x).softmax(1)

    def score_samples(self, x: Tensor) -> Tensor:
        """log density (n,)."""
        return torch.logsumexp(self(x), 1)


@converts(mixture.GaussianMixture)
def gaussian(estimator: Any, build: Build) -> Piece:
    """The Gaussians and their weights."""
    return _mixture(estimator, np.log(estimator.weights_), build)


@converts(mixture.BayesianGaussianMixture)
def bayesian(estimator: Any, build: Build) -> Piece:
    """The same in expectation over weights, means and precisions (Bishop 2006, 10.64–10.66)."""
    n_features = estimator.n_features_in_
    freedom = np.asarray(estimator.degrees_of_freedom_)
    spread = digamma(0.5 * (freedom - np.arange(n_features)[:, None])).sum(0)
    constant = (
        estimator._estimate_log_weights()
        - 0.5 * n_features * np.log(freedom)
        + 0.5 * (n_features * np.log(2.0) + spread - n_features / estimator.mean_precision_)
    )
    return _mixture(estimator, constant, build)


def _mixture(estimator: Any, constant: np.ndarray, build: Build) -> Piece:
    means, precision = estimator.means_, estimator.precisions_cholesky_
    weights = build.weight(means), build.weight(precision), build.weight(constant)
    return Mixture(*weights, kind=estimator.covariance_type)
