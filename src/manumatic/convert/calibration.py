"""CalibratedClassifierCV: scores → probabilities through a curve that was fitted on held rows."""

__all__ = ["Average", "Calibrated", "Curves", "Sigmoid", "Temperature"]

from typing import Any

import torch
from sklearn.calibration import CalibratedClassifierCV, _CalibratedClassifier
from torch import Tensor, nn

from manumatic.convert.inside import Inside, Spread, first_of, places
from manumatic.convert.pieces import Piece
from manumatic.convert.probabilities import ByProbability, normalised, total, two_columns
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact

EPS = 1e-12  # that scikit-learn adds to probabilities before it takes their logarithm


class Sigmoid(nn.Module):
    """σ(−(a·x + b)), Platt's calibration."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (n, 1)."""
        return (-(self.a * x + self.b)).sigmoid()


class Curves(nn.Module):
    """A curve for each class; then the rows are divided by their sums.

    Parameters
    ----------
    curves : list of nn.Module
        (n, 1) → (n, 1).
    target : Tensor (curves,)
        The class of each, among ``width``.
    width : int
    """

    def __init__(self, curves: list[nn.Module], target: Tensor, width: int) -> None:
        super().__init__()
        self.curves = nn.ModuleList(curves)
        self.spread = Spread(target, width) if width > 2 else None
        self.width = width

    def forward(self, scores: Tensor) -> Tensor:
        """Scores (n, curves) → probabilities (n, width)."""
        found = [curve(scores[:, i : i + 1]) for i, curve in enumerate(self.curves)]
        if self.spread is None:
            return two_columns(found[0][:, 0])
        return normalised(self.spread(torch.cat(found, 1)))


class Temperature(nn.Module):
    """softmax(β · logits). (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017)

    Parameters
    ----------
    beta : Tensor ()
        1 / temperature.
    odds : bool
        Probabilities come in, and not scores.
    """

    eps: Tensor

    def __init__(self, beta: Tensor, *, odds: bool) -> None:
        super().__init__()
        self.beta = nn.Parameter(beta)
        self.odds = odds
        exact(self, eps=EPS)

    def forward(self, scores: Tensor) -> Tensor:
        """Scores (n, classes), or (n, 1) of two classes → probabilities."""
        if scores.shape[1] == 1:
            other = 1 - scores if self.odds else -scores
            scores = torch.cat([other, scores], 1)
        # log(p + ε): onnxruntime takes an addition of 1e-12 for one of nothing
        logits = (scores / self.eps).log1p() + self.eps.log() if self.odds else scores
        return (self.beta * logits).softmax(1)


class Calibrated(nn.Module):
    """A classifier and its calibration.

    Parameters
    ----------
    inner : Inside
    method : str
        ``"decision_function"`` or ``"predict_proba"``.
    calibration : nn.Module
        Scores (n, k), or (n, 1) of two classes → probabilities.
    """

    most: Tensor

    def __init__(self, inner: Inside, method: str, calibration: nn.Module) -> None:
        super().__init__()
        self.inner, self.method, self.calibration = inner, method, calibration
        self.two = len(inner.piece.classes) == 2
        exact(self, most=1 + 1e-5)  # more is no rounding

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (n, classes)."""
        scores = self.inner.call(self.method, x)
        if self.two:
            scores = self.inner.positive(self.method, x)[:, None]
        p = self.calibration(scores)
        return torch.where((p > 1) & (p <= self.most), 1.0, p)


class Average(ByProbability):
    """The mean of the probabilities of all.

    Parameters
    ----------
    classes : ndarray (k,)
    members : list of Calibrated
    """

    def __init__(self, classes: Any, members: list[Calibrated]) -> None:
        super().__init__(classes, None, ("predict", "predict_proba"))
        self.members = nn.ModuleList(members)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, classes)."""
        return total([member(x) for member in self.members]) / len(self.members)


@converts(CalibratedClassifierCV, strings=True)
def calibrated(estimator: CalibratedClassifierCV, build: Build) -> Piece:
    """One calibrated classifier a fold, or one alone."""
    members = [_member(each, build) for each in estimator.calibrated_classifiers_]
    return Average(estimator.classes_, members)


def _member(calibrated: _CalibratedClassifier, build: Build) -> Calibrated:
    inner = Inside(build.convert(calibrated.estimator, build.columns))
    method = first_of(calibrated.estimator, "decision_function", "predict_proba")
    return Calibrated(inner, method, _calibration(calibrated, method, build))


def _calibration(calibrated: _CalibratedClassifier, method: str, build: Build) -> nn.Module:
    if calibrated.method == "temperature":
        beta = build.tensor(calibrated.calibrators[0].beta_)
        return Temperature(beta, odds=method == "predict_proba")
    curves: list[nn.Module] = []
    for each in calibrated.calibrators:
        if calibrated.method == "isotonic":
            curves.append(build.convert(each))
        else:
            curves.append(Sigmoid(build.tensor(each.a_), build.tensor(each.b_)))
    # a fold that saw two classes of three has one curve, and it counts for the first of them
    target = places(calibrated.estimator.classes_, calibrated.classes)[: len(curves)]
    return Curves(curves, target, len(calibrated.classes))
