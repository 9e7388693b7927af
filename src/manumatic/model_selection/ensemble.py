"""Deep ensembles: the same net from several seeds, trained together, averaged."""

__all__ = ["Ensemble"]

import numbers
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
    is_classifier,
)
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from manumatic.doctor.finding import Finding, Findings
from manumatic.errors import ComponentError, DivergedError
from manumatic.gears.books import settle
from manumatic.gears.handover import steps
from manumatic.gears.manual import Training
from manumatic.gears.net import Net
from manumatic.gears.prepare import Preparation, Rows
from manumatic.logbook import Logbook
from manumatic.model_selection.prepared import Prepared
from manumatic.model_selection.stack import train_together
from manumatic.parts.components import Data
from manumatic.parts.kinds import column_kinds
from manumatic.parts.rows import kind_of

FACTS = ("classes_", "n_features_in_", "feature_names_in_")  # that all members have in common
Method = TypeVar("Method", bound=Callable[..., Any])
with_classes: Callable[[Method], Method] = available_if(is_classifier)


class Ensemble(MetaEstimatorMixin, BaseEstimator):
    """Several nets that differ in their seed alone, trained as one stack, their answers averaged.

    A deep ensemble (Lakshminarayanan, Pritzel and Blundell 2017, arXiv:1612.01474), without the
    paper's adversarial examples. The seed decides the initial weights, the order of batches,
    dropout, and the rows held out where the loop holds out any. Each member is equal to the same
    net fitted alone with that seed. A classifier averages probabilities, a regressor predictions.

    Parameters
    ----------
    net : Classifier or Regressor
        What each member is a copy of. A model given as an instance of nn.Module is where all of
        them start, so they hardly differ; a class gives each its own initial weights.
    members : int
        How many.
    random_state : int, RandomState or None
        Draws the seeds of the members, in place of the ``random_state`` of the net. A larger
        ensemble of the same ``random_state`` begins with the same members.

    Attributes
    ----------
    estimators_ : list of Classifier or of Regressor
        The fitted members.
    seeds_ : list of int
        Theirs.
    findings_ : Findings
        Those of the members, one a code. A member that diverged is left out and told of here.
    logbook_ : Logbook
        The decisions that all members have in common, and how many members there are.
    classes_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import manumatic as mm
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = mm.Regressor("mlp", loop=mm.Loop(epochs=20))
    >>> ensemble = mm.Ensemble(net, members=4, random_state=0).fit(X[:400], y[:400])
    >>> prediction, std = ensemble.predict(X[400:], return_std=True)
    >>> prediction.shape, std.shape
    ((42,), (42,))

    The same net from several seeds is also how far a score is luck:

    >>> scores = ensemble.scores(X[400:], y[400:])
    >>> print(f"{len(scores)} seeds, R2 {scores.mean():.2f} ± {scores.std():.2f}")
    4 seeds, R2 0.70 ± 0.01
    """

    def __init__(self, net: Any, members: int = 8, *, random_state: Any = None) -> None:
        self.net = net
        self.members = members
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train all members together.

        Parameters
        ----------
        X, y, sample_weight
            As for the ``fit`` of the net.

        Raises
        ------
        DataError, ComponentError
            What cannot be used, and how to mend it.
        DivergedError
            The loss of every member left the finite numbers; where it is only some, those are
            left out.
        KeyboardInterrupt
            Ctrl-C; members that have begun stay as they are at that moment, and can predict.
        """
        self.__dict__.pop("estimators_", None)
        nets = self._copies()
        shared = _Shared()
        with _taken_over(prepare=shared.prepare, numbers=shared.numbers):
            trainings = [net._assemble(X, y, sample_weight, None) for net in nets]
        try:
            errors = train_together(trainings)
        except KeyboardInterrupt:
            self._keep(trainings)
            raise
        kept = [t for t, error in zip(trainings, errors, strict=True) if error is None]
        if not kept and errors[0] is not None:
            raise DivergedError(
                f"all {len(nets)} members diverged; the first of them: {errors[0]}",
                errors[0].epoch,
                errors[0].batch,
            )
        return self._adopt(kept, [training for training in trainings if training not in kept])

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Labels of the highest mean probability, or the mean of the members' predictions.

        Parameters
        ----------
        X
            As for the ``predict`` of the net.
        return_std : bool
            Regression only: also how far the members disagree.

        Returns
        -------
        y : ndarray (n,) or (n, outputs)
        std : ndarray of the same shape
            The standard deviation between the members' predictions (divided by their number), in
            the units of y. It grows where the rows of training leave the members free. It is not
            the noise of y, and no interval that y falls into with a known probability: a member
            has no idea of the noise, and many rows make all members agree however noisy y is.
        """
        if is_classifier(self):
            if return_std:
                raise ComponentError(
                    f"return_std={return_std!r} is for numbers; for classes, predict_proba tells "
                    "how sure the ensemble is"
                )
            return self._labels(self.predict_proba(X))
        found = self._each("predict", X)
        mean = found.mean(axis=0)
        return (mean, found.std(axis=0)) if return_std else mean

    @with_classes
    def predict_proba(self, X: Any) -> np.ndarray:
        """The mean of the members' probabilities, (n, classes) or (n, labels)."""
        return self._each("predict_proba", X).mean(axis=0)

    @with_classes
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the mean probabilities."""
        logs = self._each("predict_log_proba", X).astype(np.float64)
        return logsumexp(logs, axis=0) - np.log(len(logs))  # finite where a probability rounds to 0

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of the ensemble, or its R²."""
        mixin = ClassifierMixin if is_classifier(self) else RegressorMixin
        return mixin.score(self, X, y, sample_weight)

    def scores(self, X: Any, y: Any, sample_weight: Any = None) -> pd.Series:
        """The score of each member, by its seed: how much of a score is luck.

        Returns
        -------
        Series
            Accuracy or R² on these rows. ``.mean()`` and ``.std()`` (divided by members - 1) are
            those of one net from a seed at random.
        """
        check_is_fitted(self)
        found = [member.score(X, y, sample_weight) for member in self.estimators_]
        return pd.Series(found, pd.Index(self.seeds_, name="seed"), name="score")

    # --- inside ----------------------------------------------------------------------------------

    def _copies(self) -> list[Net]:
        """The members, not yet fitted."""
        if not isinstance(self.net, Net):
            raise ComponentError(
                f"an Ensemble is made of a mm.Classifier or mm.Regressor; got {self.net!r}. In a "
                "Pipeline it takes the place of the net: make_pipeline(scaler, mm.Ensemble(net))"
            )
        if not isinstance(self.members, numbers.Integral) or self.members < 1:
            raise ComponentError(f"members must be a whole number, 1 or more; got {self.members!r}")
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.members)
        return [clone(self.net).set_params(random_state=int(seed)) for seed in seeds]

    def _keep(self, trainings: Sequence[Training]) -> None:
        """After an interrupt: the members as they are, where they have begun."""
        begun = [training for training in trainings if training.state.steps]
        kept = [t for t in begun if t.state.ended or t.watcher.open]  # the others diverged
        for training in kept:
            if not training.state.ended:
                settle(training)
                training.watcher.end(training, "interrupted")
        if kept:
            self._adopt(kept, [training for training in begun if training not in kept])

    def _adopt(self, kept: Sequence[Training], lost: Sequence[Training]) -> Self:
        """Become what these trainings have learned."""
        members = [training.automatic() for training in kept]
        self.logbook_ = _decisions(kept, lost)
        self.findings_ = _findings(kept, lost)
        self.seeds_ = [training.facts.seed for training in kept]
        for fact in FACTS:
            self.__dict__.pop(fact, None)  # of an earlier fit
            if hasattr(members[0], fact):
                setattr(self, fact, getattr(members[0], fact))
        self.estimators_ = members
        return self

    def _each(self, method: str, X: Any) -> np.ndarray:
        """What a method of each member returns, (members, n, …)."""
        check_is_fitted(self)
        with _taken_over(numbers=_once()):
            return np.stack([getattr(member, method)(X) for member in self.estimators_])

    def _labels(self, probabilities: np.ndarray) -> np.ndarray:
        if self.estimators_[0]._task.kind == "multilabel":
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimators_")

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.net)


class _Shared(Prepared):
    """Rows prepared once for all seeds, unless the preparing itself draws numbers."""

    def prepare(self, spec: Data, train: Rows, *, seed: int, **rest: Any) -> Any:
        """As :func:`~manumatic.gears.prepare.prepare_rows`."""
        return super().prepare(spec, train, seed=seed if _draws(spec, train) else 0, **rest)


def _draws(spec: Data, train: Rows) -> bool:
    """Whether "auto" uses the seed: for topics of texts, and for folds of target means."""
    kind = kind_of(train.X)
    if not isinstance(spec.preprocess, str) or kind not in ("frame", "text"):
        return False
    return kind == "text" or any(k in ("text", "levels") for k, _ in column_kinds(train.X))


def _once() -> Callable[[Preparation, Any], Tensor]:
    """Rows → numbers, once for all members that share their preparation."""
    found: dict[int, Tensor] = {}

    def numbers(preparation: Preparation, rows: Any) -> Tensor:
        if id(preparation) not in found:
            found[id(preparation)] = preparation.numbers(rows)
        return found[id(preparation)]

    return numbers


@contextmanager
def _taken_over(**ways: Callable[..., Any]) -> Iterator[None]:
    """In here, these steps of a fit are done in these ways."""
    before = {name: getattr(steps, name) for name in ways}
    for name, way in ways.items():
        setattr(steps, name, way)
    try:
        yield
    finally:
        for name, way in before.items():
            setattr(steps, name, way)


def _decisions(kept: Sequence[Training], lost: Sequence[Training]) -> Logbook:
    first, *others = [training.facts.logbook for training in kept]
    book = Logbook(row for row in first if all(row in other for other in others))
    book.note(
        "model",
        f"{len(kept)} members, their answers averaged",
        "from different seeds their errors differ; estimators_[0].logbook_ is that of one",
    )
    if not kept[0].facts.fresh:
        why = "the model is an instance; a class would give each weights of its own"
        book.note("model", "all members start from the same weights", why)
    if lost:
        seeds = ", ".join(str(training.facts.seed) for training in lost)
        book.note("loop", f"left out: members of the seeds {seeds}", "they diverged")
    return book


def _findings(kept: Sequence[Training], lost: Sequence[Training]) -> Findings:
    """The findings of all members, one a code, each with how many members it is of."""
    everything = [training.findings for training in (*lost, *kept)]
    merged = Findings(muted=everything[0].muted)
    for finding in (finding for findings in everything for finding in findings):
        count = sum(finding.code in findings.codes for findings in everything)
        merged.add(_of_many(finding, count, len(everything), len(lost)))
    return merged


def _of_many(finding: Finding, count: int, members: int, lost: int) -> Finding:
    if finding.code == "MM301" and lost:
        said = f"Diverged and left out: {lost} of {members} members. {finding.message}"
    else:
        said = f"{finding.message} ({count} of {members} members)"
    return finding._replace(message=said)
