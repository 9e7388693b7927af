"""Running one candidate over the folds: a row of the leaderboard grows fold by fold."""

__all__ = ["Attempt", "Row", "race"]

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean, median, stdev
from types import TracebackType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from manumatic.compare.candidates import Candidate, count_parameters
from manumatic.compare.folds import Folds
from manumatic.compare.metric import Metric
from manumatic.compare.problem import Problem
from manumatic.doctor.finding import facts_of
from manumatic.show.text import decimals

MOST_POINTS = 400  # of a loss curve


@dataclass
class Row:
    """What one model did.

    Attributes
    ----------
    candidate : Candidate
    scores : list of float
        One a fold, as shown: an RMSE is positive.
    fit_seconds, cpu_seconds : list of float
        Wall time and processor time of each fit.
    predict_us : list of float
        Microseconds a row, from one call of ``predict`` on all test rows.
    parameters : int or None
        Fitted numbers on the first fold; see :func:`count_parameters`.
    notes : list of str
        Warnings that the model gave.
    error : str
        What stopped it; empty when all folds are done.
    trace : dict
        Loss curves and logbook of the first fold's network.
    difference, p, verdict : float, float, str
        Mean paired difference to the best, its p value, and best, tie, worse or failed; set by
        :func:`~manumatic.compare.verdict.judge`.
    """

    candidate: Candidate
    scores: list[float] = field(default_factory=list)
    fit_seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    predict_us: list[float] = field(default_factory=list)
    parameters: int | None = None
    notes: list[str] = field(default_factory=list)
    error: str = ""
    finished: bool = False
    trace: dict[str, Any] = field(default_factory=dict)
    difference: float | None = None
    p: float | None = None
    verdict: str = ""

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.candidate.name

    @property
    def gear(self) -> str:
        """scikit-learn or PyTorch."""
        return self.candidate.gear

    @property
    def ok(self) -> bool:
        """Whether all folds have a score."""
        return self.finished and not self.error

    @property
    def mean(self) -> float:
        """Mean score."""
        return fmean(self.scores) if self.scores else float("nan")

    @property
    def sd(self) -> float:
        """Standard deviation of the scores."""
        return stdev(self.scores) if len(self.scores) > 1 else float("nan")

    @property
    def seconds(self) -> float:
        """Median wall time of a fit."""
        return median(self.fit_seconds) if self.fit_seconds else float("nan")

    @property
    def microseconds(self) -> float:
        """Median prediction time of a row."""
        return median(self.predict_us) if self.predict_us else float("nan")

    def __str__(self) -> str:
        digits = decimals(self.sd)
        said = self.error or f"{self.mean:,.{digits}f} ± {self.sd:,.{digits}f}"
        return f"{self.name:<22}{said}"


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


def race(
    candidate: Candidate,
    problem: Problem,
    metric: Metric,
    folds: Folds,
    deadline: float = float("inf"),
) -> Iterator[Row]:
    """Fit and score a candidate on each fold; yield its row after each, and when it is finished.

    Parameters
    ----------
    candidate : Candidate
    problem : Problem
    metric : Metric
    folds : Folds
    deadline : float
        ``time.monotonic()`` after which no further fold is begun; a fit that has begun is finished.
    """
    row = Row(candidate)
    for number, (train, test) in enumerate(folds.pairs):
        if time.monotonic() > deadline:
            row.error = f"time limit reached after {number} of {len(folds)} folds"
            break
        with warnings.catch_warnings(record=True) as caught, Attempt() as attempt:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)
            # one thread for everybody: times compare, and small fits don't wait for a second one
            with threadpool_limits(1):
                _one_fold(row, problem, metric, train, test)
        row.notes += [note for note in map(_first_line, caught) if note not in row.notes]
        if attempt.error is not None:
            row.error = f"{type(attempt.error).__name__}: {_first_line(attempt.error)}"
            break
        yield row
    row.finished = True
    yield row


def _one_fold(
    row: Row, problem: Problem, metric: Metric, train: np.ndarray, test: np.ndarray
) -> None:
    estimator, unseen = row.candidate.build(), _take(problem.X, test)
    wall, cpu = time.perf_counter(), time.process_time()
    estimator.fit(_take(problem.X, train), problem.y[train])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    score = metric.score(estimator, unseen, problem.y[test])
    if not np.isfinite(score):
        raise FloatingPointError(f"{metric.label} is {score}")
    begin = time.perf_counter()  # after scoring, so that nothing is done for the first time
    estimator.predict(unseen)
    row.predict_us.append((time.perf_counter() - begin) / len(test) * 1e6)
    if not row.scores:
        row.parameters = count_parameters(estimator)
        row.trace = _trace(estimator)
    row.scores.append(score)
    row.fit_seconds.append(wall)
    row.cpu_seconds.append(cpu)


def _take(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _first_line(message: Any) -> str:
    text = str(getattr(message, "message", message)).strip()
    return text.splitlines()[0] if text else "no message"


def _trace(net: Any) -> dict[str, Any]:
    """What a network tells about its training."""
    net = net[-1] if hasattr(net, "steps") else net
    if not hasattr(net, "history_"):
        return {}
    curves = {part: _thinned(net.history_.curve("loss", part)) for part in ("train", "valid")}
    return {
        "curves": {part: points for part, points in curves.items() if points},
        "logbook": [list(entry) for entry in net.logbook_],
        "findings": facts_of(net.findings_),
        "epochs": getattr(net, "n_iter_", None),
    }


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    step = -(-len(points) // (MOST_POINTS - 1)) or 1
    kept = points[:-1:step] + points[-1:]
    return [(epoch, float(f"{value:.5g}")) for epoch, value in kept]
