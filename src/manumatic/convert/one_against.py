"""Many classes from classifiers of two: one against the rest, one against one, codes."""

__all__ = ["Always", "Binaries", "Codes", "Duels", "OneAgainstRest", "OneAgainstRestLabels"]

from typing import Any

import torch
from sklearn.base import is_regressor
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
    _ConstantPredictor,
    _threshold_for_binary_predict,
)
from torch import Tensor, nn

from manumatic.convert.inside import Members, first_of, inside
from manumatic.convert.linear import YesOrNo
from manumatic.convert.pieces import Classifier, Piece
from manumatic.convert.probabilities import two_columns
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError


class Always(Piece):
    """A label that all rows had: it speaks for every row.

    Parameters
    ----------
    value : Tensor ()
        1, 0 or −1.
    """

    methods = ("predict", "predict_proba", "decision_function")
    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, x: Tensor) -> Tensor:
        """The value (n, 1)."""
        return torch.zeros_like(x[:, :1]) + self.value

    def predict(self, x: Tensor) -> Tensor:
        """The value (n,)."""
        return self(x)[:, 0]

    def decision_function(self, x: Tensor) -> Tensor:
        """The same."""
        return self(x)[:, 0]

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, 2)."""
        return two_columns(self(x)[:, 0])


class Binaries(nn.Module):
    """Classifiers of two classes, or regressors of 0 and 1.

    Parameters
    ----------
    members : Members
    methods : list of str
        What each is asked for its confidence.
    """

    def __init__(self, members: Members, asked: list[str]) -> None:
        super().__init__()
        self.members, self.asked = members, asked

    def forward(self, x: Tensor) -> Tensor:
        """How sure each is of its second class (n, members)."""
        pairs = zip(self.members.all(), self.asked, strict=True)
        return torch.stack([member.positive(method, x) for member, method in pairs], 1)

    def ask(self, method: str, x: Tensor) -> Tensor:
        """One method of all (n, members)."""
        return torch.stack([member.positive(method, x) for member in self.members.all()], 1)


class OneAgainstRest(Classifier):
    """A classifier a class; the surest gives the label.

    Parameters
    ----------
    classes : ndarray (k,)
    binaries : Binaries
        k of them, or one for two classes.
    threshold : float
        Of the one.
    has : tuple of str
    """

    body: Binaries

    def __init__(
        self, classes: Any, binaries: Binaries, threshold: float, has: tuple[str, ...]
    ) -> None:
        super().__init__(classes, binaries, has)
        self.threshold = threshold

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), int64."""
        sure = self.body(x)
        if sure.shape[1] == 1:
            return (sure[:, 0] > self.threshold).long()
        return sure.argmax(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k), over their sum where it is not 0."""
        p = self.body.ask("predict_proba", x)
        p = two_columns(p[:, 0]) if p.shape[1] == 1 else p
        total = p.sum(1, keepdim=True)
        return torch.where(total == 0, p, p / torch.where(total == 0, 1.0, total))

    def decision_function(self, x: Tensor) -> Tensor:
        """Scores (n, k), or (n,) of the second of two classes."""
        found = self.body.ask("decision_function", x)
        return found[:, 0] if found.shape[1] == 1 else found


class OneAgainstRestLabels(YesOrNo):
    """A classifier a label; each says whether it is there.

    Parameters
    ----------
    binaries : Binaries
    threshold : float
    has : tuple of str
    """

    body: Binaries

    def __init__(self, binaries: Binaries, threshold: float, has: tuple[str, ...]) -> None:
        super().__init__(binaries, len(binaries.asked), has)
        self.threshold = threshold

    def predict(self, x: Tensor) -> Tensor:
        """1 where the label is there, (n, labels)."""
        return (self(x) > self.threshold).long()

    def predict_proba(self, x: Tensor) -> Tensor:
        """Of each label (n, labels); they do not exclude each other."""
        return self.body.ask("predict_proba", x)

    def decision_function(self, x: Tensor) -> Tensor:
        """Scores (n, labels)."""
        return self.body.ask("decision_function", x)


class Duels(Classifier):
    """A classifier a pair of classes: victories, and confidence where they tie.

    Parameters
    ----------
    classes : ndarray (k,)
    binaries : Binaries
        (0, 1), (0, 2) … (1, 2) …
    threshold : float
        Of the one pair of two classes.
    """

    body: Binaries
    first: Tensor
    second: Tensor

    def __init__(self, classes: Any, binaries: Binaries, threshold: float) -> None:
        super().__init__(classes, binaries, ("predict", "decision_function"))
        self.threshold = threshold
        first, second = torch.triu_indices(len(classes), len(classes), 1)
        numbers = torch.arange(len(classes))
        self.register_buffer("first", (first[:, None] == numbers).double())
        self.register_buffer("second", (second[:, None] == numbers).double())

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, k): whole numbers are victories, the rest is confidence."""
        said, sure = self.body.ask("predict", x), self.body(x)
        won = (said == 0).to(x.dtype) @ self.first + (said == 1).to(x.dtype) @ self.second
        total = sure @ (self.second - self.first)
        return won + total / (3 * (total.abs() + 1))

    def decision_function(self, x: Tensor) -> Tensor:
        """Scores (n, k), or (n,) of the second of two classes."""
        found = self(x)
        return found[:, 1] if found.shape[1] == 2 else found

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), int64."""
        found = self.decision_function(x)
        return (found > self.threshold).long() if found.ndim == 1 else found.argmax(1)


class Codes(Classifier):
    """Each class has a code word; the nearest gives the label. (Dietterich and Bakiri, 1995)

    Parameters
    ----------
    classes : ndarray (k,)
    binaries : Binaries
    words : Tensor (k, members)
    """

    words: Tensor

    def __init__(self, classes: Any, binaries: Binaries, words: Tensor) -> None:
        super().__init__(classes, binaries, ("predict",))
        self.register_buffer("words", words)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, k): −distance² to the words."""
        return -((self.body(x)[:, None] - self.words) ** 2).sum(2)


@converts(_ConstantPredictor)
def always(estimator: _ConstantPredictor, build: Build) -> Piece:
    """What OneVsRestClassifier puts where all rows have a label, or none."""
    return Always(build.tensor(estimator.y_[0]))


def _binaries(fitted: Any, build: Build, columns: Any) -> Binaries:
    asked = [
        "predict" if is_regressor(each) else first_of(each, "decision_function", "predict_proba")
        for each in fitted.estimators_
    ]
    return Binaries(inside(fitted.estimators_, build, columns), asked)


@converts(OneVsRestClassifier, strings=True)
def one_against_rest(estimator: OneVsRestClassifier, build: Build) -> Piece:
    """One a class or a label."""
    binaries = _binaries(estimator, build, build.columns)
    threshold = _threshold_for_binary_predict(estimator.estimators_[0])
    scores = ("predict_proba", "decision_function")
    has = ("predict", *(name for name in scores if hasattr(estimator, name)))
    if estimator.multilabel_:
        return OneAgainstRestLabels(binaries, threshold, has)
    return OneAgainstRest(estimator.classes_, binaries, threshold, has)


@converts(OneVsOneClassifier)
def one_against_one(estimator: OneVsOneClassifier, build: Build) -> Piece:
    """One a pair of classes."""
    if estimator.pairwise_indices_ is not None:
        raise ConvertError(
            "OneVsOneClassifier around an estimator of a precomputed kernel sees a part of the "
            "kernel's columns each; give the estimator a kernel by name"
        )
    threshold = _threshold_for_binary_predict(estimator.estimators_[0])
    return Duels(estimator.classes_, _binaries(estimator, build, None), threshold)


@converts(OutputCodeClassifier, strings=True)
def codes(estimator: OutputCodeClassifier, build: Build) -> Piece:
    """One a letter of the code."""
    words = build.tensor(estimator.code_book_)
    return Codes(estimator.classes_, _binaries(estimator, build, build.columns), words)
