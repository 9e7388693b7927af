"""One training a learning rate, alike in everything else."""

__all__ = ["Run", "best_of", "ends_at", "judged", "train_with", "with_verdicts"]

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sklearn.base import clone

from manumatic.errors import DivergedError
from manumatic.history import History

CLOSE = 1.05  # of the best loss


class Run(NamedTuple):
    """What one learning rate came to.

    Attributes
    ----------
    lr : float
    final_loss : float
        Of the last epoch; infinite where training diverged.
    best_loss : float
        The lowest of all epochs.
    diverged_at : int or None
        The epoch, counted from 0.
    seconds : float
    verdict : str
        "best"; "close" to it; "slow", a smaller rate that is not there yet; "rough", a larger one
        that does not settle; "grows" or "diverged".
    """

    lr: float
    final_loss: float
    best_loss: float
    diverged_at: int | None
    seconds: float
    verdict: str = ""


def train_with(training: Any, lr: float) -> tuple[Run, History]:
    """Train to the end with this rate; what explodes is no error here.

    Parameters
    ----------
    training : Training
        A fresh one, which is used up.
    lr : float
    """
    training.optimizer = clone(training.facts.optimizer).set_params(lr=lr)
    began, diverged_at = time.perf_counter(), None
    try:
        training.run()
    except DivergedError as error:
        diverged_at = error.epoch
    seconds = time.perf_counter() - began
    history = training.state.history
    losses = [loss for _, loss in history.curve("loss", judged(training))]
    best = min((loss for loss in losses if math.isfinite(loss)), default=math.inf)
    final = losses[-1] if diverged_at is None else math.inf
    return Run(lr, final, best, diverged_at, seconds), history


def judged(training: Any) -> str:
    """The part whose loss decides: "valid" where the loop itself decides by it."""
    return "valid" if training.valid is not None and training.loop.uses_validation else "train"


def best_of(runs: Sequence[Run], part: str) -> Run | None:
    """The run that ends with the lowest loss; the loop keeps the best weights by validation."""
    done = [run for run in runs if run.diverged_at is None]
    return min(done, key=lambda run: ends_at(run, part), default=None)


def with_verdicts(runs: Sequence[Run], part: str, firsts: Sequence[float]) -> list[Run]:
    """The runs with a word for each; ``firsts`` are the losses of their first epochs."""
    best = best_of(runs, part)
    return [
        run._replace(verdict=_verdict(run, best, part, first))
        for run, first in zip(runs, firsts, strict=True)
    ]


def _verdict(run: Run, best: Run | None, part: str, first: float) -> str:
    if run.diverged_at is not None or best is None:
        return "diverged"
    if run is best:
        return "best"
    loss, lowest = ends_at(run, part), ends_at(best, part)
    if loss > first:
        return "grows"
    if loss - lowest <= (CLOSE - 1) * abs(lowest):
        return "close"
    return "slow" if run.lr < best.lr else "rough"


def ends_at(run: Run, part: str) -> float:
    """The loss of the weights that are kept: the best ones, where validation rows decide."""
    return run.best_loss if part == "valid" else run.final_loss
