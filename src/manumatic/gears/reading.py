"""From raw outputs to what the user reads: labels, probabilities, numbers in the target's units.

Both are estimators whose X is a tensor of raw outputs, so that scikit-learn's scorers can measure
a network on outputs that are already there.
"""

__all__ = ["Labels", "Numbers", "Reader", "reader_of"]

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from torch import Tensor

from manumatic.gears.prepare import Preparation
from manumatic.parts.link import Link
from manumatic.task import Task


class Labels(ClassifierMixin, BaseEstimator):
    """Raw outputs (n, …) → labels and probabilities."""

    def __init__(self, link: Link, task: Task) -> None:
        self.link = link
        self.task = task
        self.classes_ = task.classes

    def predict_proba(self, raw: Tensor) -> np.ndarray:
        """Probabilities (n, classes), or (n, labels) for a multilabel target."""
        return self.link(raw).numpy()

    def predict_log_proba(self, raw: Tensor) -> np.ndarray:
        """Logarithms of the probabilities."""
        if self.link.kind == "softmax":  # else a probability that rounds to 0 would be -inf
            return self.link.scores(raw).log_softmax(dim=1).numpy()
        return self.link(raw).log().numpy()

    def predict(self, raw: Tensor) -> np.ndarray:
        """The most probable label of each row; multilabel: 1 where a probability exceeds a half."""
        probabilities = self.predict_proba(raw)
        if self.task.kind == "multilabel":
            return (probabilities > 0.5).astype(np.int64)
        return self._classes[probabilities.argmax(axis=1)]

    def target(self, y: Tensor) -> np.ndarray:
        """Targets as the loss takes them → the user's labels."""
        return y.numpy().astype(np.int64) if self._many else self._classes[self._numbers(y).numpy()]

    def tensors(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities, those of the second class where there are two, and class numbers."""
        probabilities = self.link(raw)
        if self.task.kind == "binary":
            probabilities = probabilities[:, 1]
        return probabilities, y.long() if self._many else self._numbers(y)

    @property
    def _many(self) -> bool:
        return self.task.kind == "multilabel"

    @property
    def _classes(self) -> np.ndarray:
        assert self.task.classes is not None
        return self.task.classes

    def _numbers(self, y: Tensor) -> Tensor:
        """Class numbers, whatever form the loss wanted: numbers, one column, or one-hot."""
        one_hot = y.ndim == 2 and y.shape[1] > 1
        return (y.argmax(dim=1) if one_hot else y.reshape(-1)).long()


class Numbers(RegressorMixin, BaseEstimator):
    """Raw outputs (n, outputs) → numbers in the units of the user's target."""

    def __init__(self, link: Link, task: Task, preparation: Preparation) -> None:
        self.link = link
        self.task = task
        self.preparation = preparation

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, raw: Tensor) -> np.ndarray:
        """Predictions (n,), or (n, outputs) where the target had several columns."""
        return self.target(self.link(raw))

    def target(self, y: Tensor) -> np.ndarray:
        """Targets as the loss takes them → the user's units."""
        # float64: a large target with a small spread would lose its last digits in float32
        values = self.preparation.original(y.reshape(len(y), -1).double().numpy())
        return values.reshape(-1) if self.task.flat else values

    def tensors(self, raw: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions and targets in the units of the loss, both (n,) or (n, outputs)."""
        read = self.link(raw)
        return (read.reshape(-1), y.reshape(-1)) if self.task.flat else (read, y)


Reader = Labels | Numbers


def reader_of(link: Link, task: Task, preparation: Preparation) -> Any:
    """The reader for a task."""
    if task.is_classification:
        return Labels(link, task)
    return Numbers(link, task, preparation)
