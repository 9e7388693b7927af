"""Naive Bayes: a sum of logarithms over the columns."""

__all__ = ["Above", "Frequencies", "Gaussians"]

from typing import Any

import numpy as np
import torch
from sklearn import naive_bayes
from torch import Tensor, nn

from manumatic.convert.linear import linear_layer
from manumatic.convert.pieces import Piece
from manumatic.convert.probabilities import Joint
from manumatic.convert.registry import Build, converts


class Gaussians(nn.Module):
    """log P(class) + Σ log N(x; mean, variance), the columns independent."""

    circle: Tensor

    def __init__(self, mean: Tensor, variance: Tensor, prior: Tensor) -> None:
        super().__init__()
        # a buffer: an ONNX graph holds numbers in the code as float32
        self.register_buffer("circle", torch.tensor(2.0 * torch.pi, dtype=torch.float64))
        self.mean, self.variance = nn.Parameter(mean), nn.Parameter(variance)
        self.prior = nn.Parameter(prior)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes). (x − mean)² is not expanded: digits would be lost."""
        scale = -0.5 * (self.circle * self.variance).log().sum(1)
        off = ((x[:, None] - self.mean) ** 2 / self.variance).sum(2)
        return self.prior.log() + (scale - 0.5 * off)


class Above(nn.Module):
    """1 where a number is above a threshold, 0 elsewhere."""

    threshold: Tensor

    def __init__(self, threshold: Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)

    def forward(self, x: Tensor) -> Tensor:
        """Zeros and ones (n, features)."""
        return (x > self.threshold).to(x.dtype)


class Frequencies(nn.Module):
    """log P(class) + Σ log P(category | class), looked up column by column.

    A number that is no category gives NaN; scikit-learn raises an error.
    """

    sizes: Tensor
    starts: Tensor

    def __init__(self, tables: list[Tensor], prior: Tensor) -> None:
        super().__init__()
        last = torch.full((1, len(prior)), torch.nan, dtype=prior.dtype)
        self.table = nn.Parameter(torch.cat([*tables, last]))  # (all categories + 1, classes)
        self.prior = nn.Parameter(prior)
        sizes = torch.tensor([len(table) for table in tables])
        self.register_buffer("sizes", sizes)
        self.register_buffer("starts", sizes.cumsum(0) - sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes)."""
        known = (x >= 0) & (x < self.sizes)
        places = torch.where(known, x, 0.0).long() + self.starts
        return self.table[torch.where(known, places, len(self.table) - 1)].sum(1) + self.prior


@converts(naive_bayes.GaussianNB)
def gaussian(estimator: naive_bayes.GaussianNB, build: Build) -> Piece:
    """A bell a column and class."""
    learned = (estimator.theta_, estimator.var_, estimator.class_prior_)
    return Joint(estimator.classes_, Gaussians(*map(build.tensor, learned)))


@converts(naive_bayes.MultinomialNB, naive_bayes.ComplementNB)
def counts(estimator: Any, build: Build) -> Piece:
    """Linear in the counts; the complement has no prior unless there is but one class."""
    prior = estimator.class_log_prior_
    if isinstance(estimator, naive_bayes.ComplementNB) and len(estimator.classes_) > 1:
        prior = np.zeros_like(prior)
    return Joint(estimator.classes_, linear_layer(estimator.feature_log_prob_, prior, build))


@converts(naive_bayes.BernoulliNB)
def bernoulli(estimator: naive_bayes.BernoulliNB, build: Build) -> Piece:
    """Linear in zeros and ones."""
    yes = estimator.feature_log_prob_
    with np.errstate(divide="ignore"):  # a column that is always there
        no = np.log(1 - np.exp(yes))
    body: nn.Module = linear_layer(yes - no, estimator.class_log_prior_ + no.sum(1), build)
    if estimator.binarize is not None:
        body = nn.Sequential(Above(build.tensor(estimator.binarize)), body)
    return Joint(estimator.classes_, body)


@converts(naive_bayes.CategoricalNB)
def categorical(estimator: naive_bayes.CategoricalNB, build: Build) -> Piece:
    """A table a column."""
    tables = [build.tensor(table.T) for table in estimator.feature_log_prob_]
    return Joint(estimator.classes_, Frequencies(tables, build.tensor(estimator.class_log_prior_)))
