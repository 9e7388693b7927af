"""Classifiers whose probabilities are computed otherwise than by softmax alone."""

__all__ = ["ByProbability", "Joint", "Logistic", "normalised", "total", "two_columns"]

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.convert.pieces import Classifier

SMALLEST = torch.finfo(torch.float32).tiny  # an ONNX graph holds such a bound as float32


def total(parts: Sequence[Tensor]) -> Tensor:
    """Their sum, one after another as scikit-learn adds: a tie stays a tie."""
    return reduce(torch.add, parts)


def two_columns(p: Tensor) -> Tensor:
    """The probability (n,) of the second class → those of both (n, 2)."""
    return torch.stack([1 - p, p], 1)


def normalised(p: Tensor) -> Tensor:
    """Rows (n, k) that sum to 1; those that are all 0 become the same everywhere."""
    total = p.sum(1, keepdim=True)
    nothing = total == 0
    same = torch.ones_like(p) / p.shape[1]  # an ONNX graph would hold the number 1/3 as float32
    return torch.where(nothing, same, p / torch.where(nothing, 1.0, total))


class Logistic(Classifier):
    """Scores → probabilities as scikit-learn's linear models have them.

    Two classes: 1 − σ(d) and σ(d). Their logarithms are −inf beyond d = 37, as they are there.
    """

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        scores = self(x)
        if scores.shape[1] == 2:
            return two_columns((scores[:, 1] - scores[:, 0]).sigmoid())
        return scores.softmax(1)


class Joint(Classifier):
    """``body`` gives log P(x, class) for every class, also where there are one or two.

    log P(x) is subtracted as scikit-learn does it, in one piece: far out, where both are large, its
    digits are lost there, too.

    Parameters
    ----------
    classes : ndarray (k,)
    body : nn.Module, optional
        (n, features) → (n, k); or a subclass overrides ``forward``.
    has : sequence of str
    """

    def __init__(
        self,
        classes: Any,
        body: nn.Module | None = None,
        has: Sequence[str] = ("predict", "predict_proba", "predict_log_proba"),
    ) -> None:
        super().__init__(classes, body, has)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, k)."""
        return self.body(x)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        return self.predict_log_proba(x).exp()

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Their logarithms (n, k), finite where the scores are."""
        scores = self(x)
        return scores - scores.logsumexp(1, keepdim=True)


class ByProbability(Classifier):
    """A subclass computes ``predict_proba``; the label is the likeliest, scores are logarithms."""

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the probabilities (n, k), finite."""
        return self.predict_proba(x).clamp_min(SMALLEST).log()

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        raise NotImplementedError  # a subclass computes them

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), int64."""
        return self.predict_proba(x).argmax(1)
