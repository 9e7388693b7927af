"""Estimators around one other: its threshold moved, or the labels that it was fitted on."""

__all__ = ["Threshold"]

from typing import Any

import torch
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.semi_supervised import SelfTrainingClassifier
from torch import Tensor

from manumatic.convert.inside import first_of
from manumatic.convert.pieces import METHODS, Piece
from manumatic.convert.registry import Build, converts


class Threshold(Piece):
    """A classifier of two classes that says yes at another threshold.

    Parameters
    ----------
    piece : Piece
        The classifier.
    method : str
        Whose numbers are compared: ``"predict_proba"`` or ``"decision_function"``.
    threshold : Tensor ()
    positive : int
        The number of the label that speaks where the threshold is reached.
    """

    threshold: Tensor

    def __init__(self, piece: Piece, method: str, threshold: Tensor, positive: int) -> None:
        super().__init__()
        self.piece, self.method, self.positive = piece, method, positive
        self.classes = piece.classes
        kept = ("predict_proba", "predict_log_proba", "decision_function")
        self.methods = ("predict", *(name for name in kept if name in piece.methods))
        self.register_buffer("threshold", threshold)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, 2) of the classifier."""
        return self.piece(x)

    def call(self, method: str, x: Tensor) -> Any:
        """The classifier's own, but for ``predict``."""
        return self.predict(x) if method == "predict" else self.piece.call(method, x)

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), int64."""
        score = self.piece.call(self.method, x)
        if self.method == "predict_proba":
            score = score[:, self.positive]
        elif self.positive == 0:
            score = -score
        return torch.where(score >= self.threshold, self.positive, 1 - self.positive)


@converts(FixedThresholdClassifier, strings=True)
def fixed(estimator: FixedThresholdClassifier, build: Build) -> Piece:
    """At a threshold that was given."""
    inner = getattr(estimator, "estimator_", estimator.estimator)
    method = _method(estimator, inner)
    threshold = estimator.threshold
    if threshold == "auto":
        threshold = 0.5 if method == "predict_proba" else 0.0
    return _threshold(estimator, inner, threshold, estimator.pos_label, build)


@converts(TunedThresholdClassifierCV, strings=True)
def tuned(estimator: TunedThresholdClassifierCV, build: Build) -> Piece:
    """At the threshold that was best."""
    positive = estimator._curve_scorer._get_pos_label()
    return _threshold(estimator, estimator.estimator_, estimator.best_threshold_, positive, build)


def _threshold(fitted: Any, inner: Any, threshold: Any, label: Any, build: Build) -> Piece:
    positive = 1 if label is None else fitted.classes_.tolist().index(label)
    piece = build.convert(inner, build.columns)
    return Threshold(piece, _method(fitted, inner), build.tensor(threshold), positive)


def _method(fitted: Any, inner: Any) -> str:
    if fitted.response_method != "auto":
        return fitted.response_method
    return first_of(inner, "predict_proba", "decision_function")


@converts(SelfTrainingClassifier, strings=True)
def self_training(estimator: SelfTrainingClassifier, build: Build) -> Piece:
    """The classifier that was fitted last."""
    piece = build.convert(estimator.estimator_, build.columns)
    piece.methods = tuple(name for name in METHODS[:4] if name in piece.methods)
    return piece
