"""Several targets, an estimator each: side by side, or one after another."""

__all__ = ["ClassifierLine", "Line", "RegressorLine", "SeveralClassifiers", "SeveralRegressors"]

from typing import Any

import numpy as np
import torch
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from torch import Tensor, nn

from manumatic.convert.inside import Inside, Members, inside
from manumatic.convert.pieces import Piece, Regressor
from manumatic.convert.registry import Build, converts


class SeveralRegressors(Regressor):
    """A regressor for each target."""

    def __init__(self, members: Members) -> None:
        super().__init__(flat=False)
        self.members = members

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        return torch.stack([member.predict(x) for member in self.members.all()], 1)


class SeveralClassifiers(Piece):
    """A classifier for each target; ``forward`` puts their scores side by side.

    Parameters
    ----------
    members : Members
    classes : list of ndarray
    """

    def __init__(self, members: Members, classes: list[Any]) -> None:
        super().__init__()
        self.members, self.classes = members, classes
        odds = all("predict_proba" in member.piece.methods for member in members.all())
        self.methods = ("predict", "predict_proba") if odds else ("predict",)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes of all targets)."""
        return torch.cat([member(x) for member in self.members.all()], 1)

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n, targets), int64."""
        return torch.stack([member.piece.call("predict", x) for member in self.members.all()], 1)

    def predict_proba(self, x: Tensor) -> list[Tensor]:
        """Probabilities (n, k) of each target."""
        return [member.call("predict_proba", x) for member in self.members.all()]


class Line(nn.Module):
    """Estimators in a line: each sees the rows and what those before it said.

    Parameters
    ----------
    members : Members
    order : array of int
        Which target each predicts.
    told : str
        The method whose answer the next ones see.
    """

    back: Tensor

    def __init__(self, members: Members, order: Any, told: str) -> None:
        super().__init__()
        self.members, self.told = members, told
        self.register_buffer("back", torch.as_tensor(np.argsort(order)))

    def forward(self, x: Tensor, method: str) -> Tensor:
        """What each answers (n, targets), in the order of the targets."""
        found = []
        for member in self.members.all():
            found.append(self._ask(member, method, x))
            x = torch.cat([x, self._ask(member, self.told, x)[:, None]], 1)
        return torch.stack(found, 1).index_select(1, self.back)

    def _ask(self, member: Inside, method: str, x: Tensor) -> Tensor:
        if method == "number":
            return member.piece.call("predict", x)
        return member.positive(method, x)


class RegressorLine(Regressor):
    """Regressors in a line."""

    def __init__(self, line: Line) -> None:
        super().__init__(flat=False)
        self.line = line

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        return self.line(x, "predict")


class ClassifierLine(Piece):
    """Classifiers in a line.

    Parameters
    ----------
    line : Line
    classes : list of ndarray
    has : tuple of str
    """

    def __init__(self, line: Line, classes: list[Any], has: tuple[str, ...]) -> None:
        super().__init__()
        self.line, self.classes, self.methods = line, classes, has

    def forward(self, x: Tensor) -> Tensor:
        """For each of two labels its score (n, targets); predicted values where there is none."""
        known = ("decision_function", "predict_proba")
        return self.line(x, next((name for name in known if name in self.methods), "predict"))

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n, targets), int64."""
        return self.line(x, "number")

    def predict_proba(self, x: Tensor) -> Tensor:
        """Of the second label of each target (n, targets)."""
        return self.line(x, "predict_proba")

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Their logarithms (n, targets)."""
        return self.predict_proba(x).log()

    def decision_function(self, x: Tensor) -> Tensor:
        """Scores of the second label of each target (n, targets)."""
        return self.line(x, "decision_function")


@converts(MultiOutputClassifier, MultiOutputRegressor, strings=True)
def side_by_side(estimator: Any, build: Build) -> Piece:
    """One a target, all on the same rows."""
    members = inside(estimator.estimators_, build, build.columns)
    if isinstance(estimator, MultiOutputRegressor):
        return SeveralRegressors(members)
    return SeveralClassifiers(members, list(estimator.classes_))


@converts(RegressorChain)
def regressor_chain(estimator: RegressorChain, build: Build) -> Piece:
    """One a target, each on the predictions of those before it, too."""
    return RegressorLine(Line(inside(estimator.estimators_, build), estimator.order_, "predict"))


@converts(ClassifierChain)
def classifier_chain(estimator: ClassifierChain, build: Build) -> Piece:
    """The same with labels; scikit-learn gives them back as numbers with a point."""
    members = inside(estimator.estimators_, build)
    line = Line(members, estimator.order_, estimator.chain_method_)
    classes = [np.asarray(estimator.classes_[i], np.float64) for i in np.argsort(estimator.order_)]
    two = all(len(each) == 2 for each in classes)
    scores = ("predict_proba", "predict_log_proba", "decision_function")
    there = tuple(name for name in scores if hasattr(estimator, name))
    has = [name for name in there if two and (name != scores[1] or scores[0] in there)]
    piece = ClassifierLine(line, classes, ("predict", *has))
    # scikit-learn has these by name, and stops there
    piece.without = tuple(name for name in there if name not in has)
    return piece
