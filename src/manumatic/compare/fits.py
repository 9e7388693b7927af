"""Fitting and scoring one fold of a candidate, or several whose networks are trained together."""

__all__ = ["Attempt", "Fit", "company_pays", "fit_all"]

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from manumatic.compare.candidates import Candidate, count_parameters
from manumatic.compare.metric import Metric
from manumatic.compare.problem import Problem

FEWEST_FOLDS = 10  # with 5, the four that follow the first gain nothing
MOST_WEIGHTS = 100_000  # above, and with convolutions, arithmetic is the bottleneck


class Attempt:
    """A candidate is anybody's code: what it raises becomes ``error``. Ctrl-C goes through."""

    error: Exception | None = None

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            self.error = error
        return self.error is not None


class Fit:
    """One fold of one candidate; a call fits and scores it.

    Parameters
    ----------
    candidate : Candidate
    problem : Problem
    metric : Metric
    rows : pair of array
        Row numbers to train and to test on.

    Attributes
    ----------
    estimator : estimator
        Fitted after the call.
    times : dict
        "fit_time" and "cpu_time" of the fit in seconds.
    score : float
    predict_us : float
        Microseconds a row, from one call of ``predict`` on all test rows.
    error : Exception or None
        What the candidate raised.
    """

    def __init__(
        self,
        candidate: Candidate,
        problem: Problem,
        metric: Metric,
        rows: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self.candidate = candidate
        self.problem = problem
        self.metric = metric
        self.rows = rows
        self.estimator: Any = None
        self.times: dict[str, float] = {}
        self.score = self.predict_us = float("nan")
        self.error: Exception | None = None

    def __call__(self) -> list[dict[str, float]]:
        """Fit and score; the times."""
        with Attempt() as attempt:
            self._run()
        self.error = attempt.error
        return [self.times]  # as scikit-learn does: a meeting takes the time of others off it

    @property
    def net(self) -> Any:
        """The estimator, or what stands at the end of its pipeline."""
        return self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator

    def _run(self) -> None:
        X, y, (train, test) = self.problem.X, self.problem.y, self.rows
        estimator, unseen = self.candidate.build(), _take(X, test)
        wall, cpu = time.perf_counter(), time.process_time()
        estimator.fit(_take(X, train), y[train])
        self.times["fit_time"] = time.perf_counter() - wall
        self.times["cpu_time"] = time.process_time() - cpu
        self.estimator, self.score = estimator, self.metric.score(estimator, unseen, y[test])
        if not np.isfinite(self.score):
            raise FloatingPointError(f"{self.metric.label} is {self.score}")
        begin = time.perf_counter()  # after scoring, so that nothing is done for the first time
        estimator.predict(unseen)
        self.predict_us = (time.perf_counter() - begin) / len(test) * 1e6


def fit_all(fits: Sequence[Fit]) -> None:
    """Fit and score; the networks are trained together where there are several.

    One thread for everybody: times compare, and small fits don't wait for a second one.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C.
    """
    with threadpool_limits(1):
        if len(fits) == 1:
            fits[0]()
        else:
            _meet(fits)


def _meet(fits: Sequence[Fit]) -> None:
    from manumatic.model_selection.meeting import Meeting  # loads torch

    meeting, wall, cpu = Meeting(), time.perf_counter(), time.process_time()
    try:
        for call in [meeting.add(fit) for fit in fits]:
            meeting.until(call)
    finally:
        meeting.close()
    busy = (time.process_time() - cpu) / (time.perf_counter() - wall)
    for fit in fits:  # the clock of the process has counted the others, too
        fit.times["cpu_time"] = fit.times.get("fit_time", 0.0) * busy


def company_pays(fit: Fit, folds: int) -> bool:
    """Whether the other folds are better trained together, by the first one.

    Parameters
    ----------
    fit : Fit
        Of the first fold, fitted.
    folds : int
        How many there are with it.
    """
    model = getattr(fit.net, "model_", None)
    if folds < FEWEST_FOLDS or model is None:
        return False
    from torch.nn.modules.conv import _ConvNd

    from manumatic.model_selection.backend import holds_net

    small = (count_parameters(fit.estimator) or 0) < MOST_WEIGHTS
    convolves = any(isinstance(layer, _ConvNd) for layer in model.modules())
    return small and not convolves and holds_net(fit.candidate.estimator)


def _take(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
