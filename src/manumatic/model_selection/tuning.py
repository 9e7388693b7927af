"""Trials one after the other: draw, train in the manual gear, judge, and write down."""

__all__ = ["Search", "private", "refuse_units", "with_params"]

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from manumatic.errors import ComponentError, DivergedError
from manumatic.gears.manual import Training
from manumatic.model_selection.folds import Fold
from manumatic.model_selection.spaces import Space
from manumatic.model_selection.studies import LEASE, RUNGS, alive, give_up, load_optuna, take_over
from manumatic.parts.components import Component, Loop
from manumatic.parts.loop import evaluate
from manumatic.watch.spec import Watch

REPEATS = 20  # draws of what was there before, until there is nothing new to be expected
OF_TARGET = ("data", "data__target", "data__preprocess")  # they scale the target


class _Stopped(Exception):
    """A trial ends before its loop does; the argument says why."""


@dataclass
class Search:
    """Trials, until time is over, there are enough, or nothing new is drawn.

    Attributes
    ----------
    net : Classifier, Regressor or Autoencoder
        As it is; trials train clones.
    explicit : mapping
        The components of the net, for those that are "auto" and drawn from.
    space : Space
    folds : sequence of Fold
    scorer : callable or None
        (estimator, X, y) → number, greater is better; None is the validation loss.
    study : optuna.Study
    reopen : callable
        The same study, read anew.
    deadline : float
        On the monotonic clock.
    most : int or None
        Trials of the study that have a score or were stopped for good.
    on_trial : callable or None
        Hears of each of our trials when it has ended, as a finished trial of Optuna.
    """

    net: Any
    explicit: Mapping[str, Component]
    space: Space
    folds: Sequence[Fold]
    scorer: Callable[..., float] | None
    study: Any
    reopen: Callable[[], Any]
    deadline: float = math.inf
    most: int | None = None
    on_trial: Callable[[Any], Any] | None = None
    epochs: int = field(default=0, init=False)  # of the trial at hand

    def run(self) -> bool:
        """Run trials; whether Ctrl-C ended them."""
        repeats = 0
        try:
            while repeats < REPEATS and self._goes_on():
                repeats = repeats + 1 if self._one() == "repeat" else 0
        except KeyboardInterrupt:
            return True
        return False

    def _goes_on(self) -> bool:
        take_over(self.study)
        if monotonic() >= self.deadline:
            return False
        if self.most is None:
            return True
        state = load_optuna().trial.TrialState
        states = (state.COMPLETE, state.PRUNED, state.RUNNING)  # those of others, too
        return len(self.study.get_trials(deepcopy=False, states=states)) < self.most

    def _one(self) -> str:
        optuna = load_optuna()
        trial = self.study.ask()
        try:
            ended = self._train_and_tell(trial)
        except optuna.exceptions.UpdateFinishedTrialError:
            return "lost"  # this process slept, and another took the trial over
        except KeyboardInterrupt:
            self.study = self.reopen()  # it may have been in the middle of reading
            give_up(self.study, trial.number)
            raise
        except BaseException as error:
            trial.set_user_attr("outcome", {"ended": "error", "why": str(error)})
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        if self.on_trial is not None:
            self.on_trial(self.study.get_trials(deepcopy=False)[trial.number])
        return ended

    def _train_and_tell(self, trial: Any) -> str:
        """Train, and write down what came of it: complete, pruned, diverged, time or repeat."""
        state = load_optuna().trial.TrialState
        value, ended, why, self.epochs = None, "complete", "", 0
        try:
            value = self._value(trial)
        except _Stopped as stop:
            ended = str(stop)
        except DivergedError as error:
            ended, why = "diverged", str(error)
        trial.set_user_attr("outcome", {"ended": ended, "why": why, "epochs": self.epochs})
        if ended == "complete":
            self.study.tell(trial, value)
        elif ended in ("pruned", "diverged"):  # the sampler learns from these, too
            self.study.tell(trial, state=state.PRUNED)
        elif ended == "time":
            give_up(self.study, trial.number)
        else:
            self.study.tell(trial, state=state.FAIL)
        return ended

    def _value(self, trial: Any) -> float:
        """The score of a trial that is trained to the end of its loop."""
        pulse = _Pulse(trial, self.deadline)
        pulse()
        net = clone(self.net)
        if "as_it_is" not in trial.user_attrs:
            params = self.space.draw(trial)
            if self._known(trial):
                raise _Stopped("repeat")
            net = with_params(net, params, self.explicit, scored=self.scorer is not None)
        pairs = [fold.training(net) for fold in self.folds]
        self._side_by_side(trial, [training for training, _ in pairs], pulse)
        values = [self._judge(*pair, fold) for pair, fold in zip(pairs, self.folds, strict=True)]
        value = float(np.mean(values))
        if not math.isfinite(value):
            raise DivergedError(f"the score is {value}", self.epochs)
        return value

    def _side_by_side(self, trial: Any, trainings: list[Training], pulse: "_Pulse") -> None:
        """An epoch of each in turn; at the rungs their mean validation loss is compared."""
        sign = 1.0 if self.scorer is None else -1.0  # a score grows where a loss falls
        last, losses, running = 0, [math.nan] * len(trainings), [*enumerate(trainings)]
        while running:
            running = [(n, training) for n, training in running if _epoch(training, pulse)]
            for number, training in running:
                losses[number] = float(training.watcher.values["loss/valid"])
            if not running:
                break
            self.epochs = max(training.state.next_epoch for _, training in running)
            loss = float(np.mean(losses))
            if not math.isfinite(loss):
                raise DivergedError(f"the validation loss is {loss}", self.epochs - 1)
            rung = RUNGS * self.epochs // running[0][1].loop.epochs
            if rung > last:
                last = rung
                trial.report(sign * loss, rung)
                if rung < RUNGS and trial.should_prune():
                    raise _Stopped("pruned")

    def _judge(self, training: Training, held: Any, fold: Fold) -> float:
        if self.scorer is None:  # of the weights that are kept, in the unit of the loop
            return evaluate(training.model, training.loss, held)
        X, y, weight = fold.valid
        weights = {} if weight is None else {"sample_weight": weight}
        return float(self.scorer(training.automatic(), X, y, **weights))

    def _known(self, trial: Any) -> bool:
        """Whether the same was drawn before, and trained."""
        state = load_optuna().trial.TrialState
        done = self.study.get_trials(deepcopy=False, states=(state.COMPLETE, state.PRUNED))
        return bool(trial.params) and any(other.params == trial.params for other in done)


class _Pulse:
    """Called after each step: ends a trial that is out of time, and says that it is alive."""

    def __init__(self, trial: Any, deadline: float) -> None:
        self.trial, self.deadline, self.due = trial, deadline, -math.inf

    def __call__(self) -> None:
        now = monotonic()
        if now >= self.deadline:
            raise _Stopped("time")
        if now >= self.due:
            self.due = now + LEASE / 4
            self.trial.set_user_attr("alive", alive())


def _epoch(training: Training, pulse: _Pulse) -> bool:
    """Train to the end of an epoch; False where the loop had ended."""
    for step in training:
        pulse()
        if step.last:
            return True
    return False


def private(net: Any) -> Any:
    """A clone that writes no file and prints nothing.

    Raises
    ------
    ComponentError
        It is no net of ours.
    """
    if not hasattr(net, "manual"):
        raise ComponentError(
            f"tune takes a manumatic Classifier, Regressor or Autoencoder; got "
            f"{type(net).__name__}. Of a Pipeline give the last step, and rows as the others hand "
            "them on"
        )
    net = clone(net).set_params(verbose=0, warm_start=False)
    if isinstance(net.loop, Loop):
        net.set_params(loop__checkpoint=None)
    if isinstance(net.watch, Watch):
        net.set_params(watch__log=None)
    return net


def refuse_units(net: Any, names: Iterable[str]) -> None:
    """Raise ComponentError for a parameter that changes what the loss measures."""
    for name in names:
        if name.split("__")[0] == "loss" or (name in OF_TARGET and not is_classifier(net)):
            raise ComponentError(
                f"{name!r} changes what the loss measures, so losses would not compare; "
                'say what to compare instead, as scoring="accuracy" or scoring="r2"'
            )


def with_params(
    net: Any, params: Mapping[str, Any], explicit: Mapping[str, Component], *, scored: bool
) -> Any:
    """The net with parameters, the components that they address made explicit; it is changed.

    Parameters
    ----------
    net : Classifier, Regressor or Autoencoder
    params : mapping
    explicit : mapping
        Components by name.
    scored : bool
        A scorer judges, not the loss.

    Raises
    ------
    ComponentError
        A parameter changes the unit of the loss, and the loss judges.
    """
    if not scored:
        refuse_units(net, params)
    for name in params:
        part, inside, _ = name.partition("__")
        if inside and part in explicit and not isinstance(params.get(part, None), Component):
            value = getattr(net, part)
            if not isinstance(value, Component):
                net.set_params(**{part: clone(explicit[part])})
    return net.set_params(**params)
