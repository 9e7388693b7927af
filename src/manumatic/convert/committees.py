"""Ensembles of any estimators: they vote, or what they predict is averaged."""

__all__ = [
    "BaggedClassifiers",
    "BaggedRegressors",
    "BoostedClassifiers",
    "Mean",
    "Median",
    "Member",
    "Voters",
]

import math
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from torch import Tensor, nn

from manumatic.convert.inside import Inside, Members, Spread, inside, places
from manumatic.convert.pieces import Classifier, Piece, Regressor
from manumatic.convert.probabilities import ByProbability, total
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError


class Voters(ByProbability):
    """Classifiers whose labels are counted, or whose probabilities are averaged.

    Parameters
    ----------
    classes : ndarray (k,)
    members : Members
        Their labels are numbers of ``classes``.
    weights : Tensor (members,)
    soft : bool
        Probabilities, and not labels.
    flat : bool
        ``transform`` puts probabilities side by side.
    """

    weights: Tensor

    def __init__(
        self, classes: Any, members: Members, weights: Tensor, *, soft: bool, flat: bool
    ) -> None:
        has = ("predict", "predict_proba", "transform") if soft else ("predict", "transform")
        super().__init__(classes, None, has)
        self.members, self.soft, self.flat = members, soft, flat
        self.register_buffer("weights", weights)

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the probabilities, or votes, (n, k)."""
        return super().forward(x) if self.soft else self._votes(x)

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), int64."""
        return (self.predict_proba(x) if self.soft else self._votes(x)).argmax(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """The mean of all probabilities (n, k)."""
        weights = self.weights[:, None, None]
        return total(list(self._all(x) * weights)) / self.weights.sum()

    def transform(self, x: Tensor) -> Tensor:
        """What each says: labels (n, members), or probabilities (n, members · k)."""
        if not self.soft:
            return torch.stack(
                [member.piece.call("predict", x) for member in self.members.all()], 1
            )
        found = self._all(x)
        return torch.cat(list(found), 1) if self.flat else found

    def _all(self, x: Tensor) -> Tensor:
        return torch.stack([member.call("predict_proba", x) for member in self.members.all()])

    def _votes(self, x: Tensor) -> Tensor:
        labels = self.transform(x)[:, :, None]
        said = labels == torch.arange(len(self.classes), device=x.device)
        return (said * self.weights[:, None]).sum(1)


class Mean(Regressor):
    """The weighted mean of what regressors predict; ``transform`` shows all.

    Parameters
    ----------
    members : Members
    weights : Tensor (members,)
    """

    methods = ("predict", "transform")
    weights: Tensor

    def __init__(self, members: Members, weights: Tensor) -> None:
        super().__init__()
        self.members = members
        self.register_buffer("weights", weights)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, 1)."""
        return (self.transform(x) * self.weights).sum(1, keepdim=True) / self.weights.sum()

    def transform(self, x: Tensor) -> Tensor:
        """What each predicts (n, members)."""
        return torch.stack([member.predict(x) for member in self.members.all()], 1)


class Member(nn.Module):
    """An estimator of a bag: it sees some of the columns, and knows some of the labels.

    Parameters
    ----------
    inner : Inside
    features : array of int
    classes : sequence of int, optional
        The labels that it knows, as numbers of the ``width`` labels of the bag.
    width : int
    """

    features: Tensor

    def __init__(self, inner: Inside, features: Any, classes: Any = None, width: int = 0) -> None:
        super().__init__()
        self.inner, self.width = inner, width
        self.register_buffer("features", torch.as_tensor(np.array(features), dtype=torch.int64))
        partly = classes is not None and len(classes) < width
        self.spread = Spread(classes, width) if partly else None
        self.spread_logs = Spread(classes, width, -math.inf) if partly else None

    def call(self, method: str, x: Tensor) -> Tensor:
        """A method on the columns of its own."""
        return self.inner.call(method, x.index_select(1, self.features))

    def odds(self, x: Tensor) -> Tensor:
        """Probabilities (n, width), or one vote where it has none."""
        if "predict_proba" not in self.inner.piece.methods:
            labels = torch.arange(self.width, device=x.device)
            return (self.call("predict", x)[:, None] == labels).to(x.dtype)
        found = self.call("predict_proba", x)
        return found if self.spread is None else self.spread(found)

    def log_odds(self, x: Tensor) -> Tensor:
        """Their logarithms (n, width)."""
        found = self.call("predict_log_proba", x)
        return found if self.spread_logs is None else self.spread_logs(found)


class BaggedClassifiers(ByProbability):
    """The mean of probabilities or votes.

    Parameters
    ----------
    classes : ndarray (k,)
    members : list of Member
    has : tuple of str
    """

    log_count: Tensor

    def __init__(self, classes: Any, members: list[Member], has: tuple[str, ...]) -> None:
        super().__init__(classes, None, has)
        self.members = nn.ModuleList(members)
        # a buffer: an ONNX graph holds numbers in the code as float32
        count = torch.tensor(len(members), dtype=torch.float64)
        self.register_buffer("log_count", count.log())
        self.logs = "predict_log_proba" in members[0].inner.piece.methods

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        return total([member.odds(x) for member in self._all()]) / len(self.members)

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Their logarithms (n, k), summed without leaving the logarithms."""
        if not self.logs:
            return self.predict_proba(x).log()
        found = torch.stack([member.log_odds(x) for member in self._all()])
        return found.logsumexp(0) - self.log_count

    def decision_function(self, x: Tensor) -> Tensor:
        """The mean of the scores."""
        given = [member.call("decision_function", x) for member in self._all()]
        return total(given) / len(self.members)

    def _all(self) -> list[Member]:
        return [member for member in self.members if isinstance(member, Member)]


class BaggedRegressors(Regressor):
    """The mean of what regressors predict on columns of their own."""

    def __init__(self, members: list[Member]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        found = self.predict(x)
        return found[:, None] if found.ndim == 1 else found

    def predict(self, x: Tensor) -> Tensor:
        """Predictions, (n,) or (n, targets) as the regressors give them."""
        members = [member for member in self.members if isinstance(member, Member)]
        return total([member.call("predict", x) for member in members]) / len(members)


class BoostedClassifiers(Classifier):
    """Weighted votes: for a class w, against it w / (k − 1). (Zhu et al., SAMME, 2009)

    Parameters
    ----------
    classes : ndarray (k,)
    members : Members
    labels : list of Tensor
        The labels that each knows, as numbers of ``classes``.
    weights : Tensor (members,)
    """

    def __init__(
        self, classes: Any, members: Members, labels: list[Tensor], weights: Tensor
    ) -> None:
        has = ("predict", "predict_proba", "predict_log_proba", "decision_function")
        super().__init__(classes, None, has)
        self.members, self.weights = members, nn.Parameter(weights)
        for i, known in enumerate(labels):
            self.register_buffer(f"labels{i}", known)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, k)."""
        others = len(self.classes) - 1
        numbers = torch.arange(len(self.classes), device=x.device)
        votes = []
        for i, (member, weight) in enumerate(zip(self.members.all(), self.weights, strict=True)):
            said = getattr(self, f"labels{i}")[member.piece.call("predict", x)]
            votes.append(torch.where(said[:, None] == numbers, weight, -weight / others))
        scores = total(votes) / self.weights.sum()
        if len(self.classes) > 2:
            return scores / others
        d = (scores[:, 1] - scores[:, 0])[:, None]
        return torch.cat([torch.zeros_like(d), d], 1)

    def decision_function(self, x: Tensor) -> Tensor:
        """Votes (n, k), or (n,) for the second of two classes."""
        found = super().decision_function(x)
        return found * (len(self.classes) - 1) if found.ndim == 2 else found


class Median(Regressor):
    """The weighted median of what regressors predict. (Drucker, AdaBoost.R2, 1997)"""

    def __init__(self, members: Members, weights: Tensor) -> None:
        super().__init__()
        self.members, self.weights = members, nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, 1)."""
        found, order = torch.stack([member.predict(x) for member in self.members.all()], 1).sort(1)
        reached = self.weights[order].cumsum(1)
        below = (reached < 0.5 * reached[:, -1:]).sum(1, keepdim=True)
        return found.gather(1, below)


@converts(VotingClassifier, VotingRegressor, strings=True)
def voting(estimator: Any, build: Build) -> Piece:
    """Labels counted, probabilities or predictions averaged."""
    members = inside(estimator.estimators_, build, build.columns)
    given = estimator._weights_not_none
    weights = build.tensor(np.ones(len(members)) if given is None else given)
    if isinstance(estimator, VotingRegressor):
        return Mean(members, weights)
    soft = estimator.voting == "soft"
    if soft and not estimator.flatten_transform:
        raise ConvertError(
            "VotingClassifier(flatten_transform=False) transforms into three dimensions, members "
            "before rows; set it to True, which changes nothing else"
        )
    return Voters(estimator.classes_, members, weights, soft=soft, flat=True)


@converts(BaggingClassifier, BaggingRegressor, strings=True)
def bagging(estimator: Any, build: Build) -> Piece:
    """The mean of all, each on the columns that it was given."""
    classifies = isinstance(estimator, BaggingClassifier)
    width = estimator.n_classes_ if classifies else 0
    members = []
    for each, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        columns = None if build.columns is None else [build.columns[i] for i in features]
        inner = Inside(build.convert(each, columns))
        members.append(Member(inner, features, each.classes_ if classifies else None, width))
    if not classifies:
        return BaggedRegressors(members)
    has = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    kept = tuple(name for name in has if hasattr(estimator, name))
    return BaggedClassifiers(estimator.classes_, members, kept)


@converts(AdaBoostClassifier, strings=True)
def boosted_classifier(estimator: AdaBoostClassifier, build: Build) -> Piece:
    """Weighted votes."""
    if len(estimator.classes_) == 1:
        raise ConvertError(
            f"AdaBoostClassifier has seen one class only: {estimator.classes_.tolist()}"
        )
    members = inside(estimator.estimators_, build, build.columns)
    labels = [places(each.classes_, estimator.classes_) for each in estimator.estimators_]
    weights = build.tensor(estimator.estimator_weights_[: len(members)])
    return BoostedClassifiers(estimator.classes_, members, labels, weights)


@converts(AdaBoostRegressor, strings=True)
def boosted_regressor(estimator: AdaBoostRegressor, build: Build) -> Piece:
    """The weighted median."""
    members = inside(estimator.estimators_, build, build.columns)
    return Median(members, build.tensor(estimator.estimator_weights_[: len(members)]))
