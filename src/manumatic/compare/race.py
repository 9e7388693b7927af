"""Running one candidate over the folds: a row of the leaderboard grows fold by fold."""

__all__ = ["Row", "race"]

import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, stdev
from typing import Any

from manumatic.compare.candidates import Candidate, count_parameters
from manumatic.compare.fits import Attempt, Fit, company_pays, fit_all
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
        Wall time and processor time of each fit; of those trained together, its own and an equal
        share of the time together.
    predict_us : list of float
        Microseconds a row, from one call of ``predict`` on all test rows.
    parameters : int or None
        Fitted numbers on the first fold; see :func:`count_parameters`.
    together : int
        Folds whose networks were trained together.
    notes : list of str
        Warnings that the model gave, and why folds in company were trained alone after all.
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
    together: int = 0
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


def race(
    candidate: Candidate,
    problem: Problem,
    metric: Metric,
    folds: Folds,
    deadline: float = float("inf"),
) -> Iterator[Row]:
    """Fit and score a candidate on each fold; yield its row after each, and when it is finished.

    The folds of a small network are trained together after the first one where that is faster
    (:func:`~manumatic.compare.fits.company_pays`); else one fold follows another.

    Parameters
    ----------
    candidate : Candidate
    problem : Problem
    metric : Metric
    folds : Folds
    deadline : float
        ``time.monotonic()`` after which no further fold is begun; a fit that has begun is finished.
        Folds are trained together where they would be done by then even one after another.
    """
    row = Row(candidate)
    fits, size = [Fit(candidate, problem, metric, pair) for pair in folds.pairs], 1
    while fits and not row.error:
        if time.monotonic() > deadline:
            row.error = f"time limit reached after {len(row.scores)} of {len(folds)} folds"
            break
        heat, fits = fits[:size], fits[size:]
        _run(row, heat)
        for fit in heat:
            with Attempt() as attempt:
                _book(row, fit)
            if attempt.error is not None:
                row.error = f"{type(attempt.error).__name__}: {_first_line(attempt.error)}"
                break
            yield row
        if fits and len(row.scores) == 1 and company_pays(heat[0], len(folds)):
            # only where all would end in time one after another: the limit holds as ever
            enough = time.monotonic() + row.fit_seconds[0] * len(fits) <= deadline
            size = len(fits) if enough else 1
    row.finished = True
    yield row


def _run(row: Row, fits: Sequence[Fit]) -> None:
    """Fit and score: one fold, or several whose networks are trained together."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        fit_all(fits)
    notes = [_first_line(warning) for warning in caught]
    if len(fits) > 1:
        alone = Counter(why for fit in fits for why in _alone(fit))
        row.together = len(fits) - alone.total()
        notes += [f"{n} folds trained one after another: {why}" for why, n in alone.items()]
    row.notes += dict.fromkeys(note for note in notes if note not in row.notes)


def _alone(fit: Fit) -> list[str]:
    """Why the network of a fold could not share the training of the others."""
    logbook = getattr(fit.net, "logbook_", ())
    return [entry.why for entry in logbook if entry.did == "trained alone"]


def _book(row: Row, fit: Fit) -> None:
    if fit.error is not None:
        raise fit.error
    if not row.scores:
        row.parameters = count_parameters(fit.estimator)
        row.trace = _trace(fit.net)
    row.scores.append(fit.score)
    row.fit_seconds.append(fit.times["fit_time"])
    row.cpu_seconds.append(fit.times["cpu_time"])
    row.predict_us.append(fit.predict_us)


def _first_line(message: Any) -> str:
    text = str(getattr(message, "message", message)).strip()
    return text.splitlines()[0] if text else "no message"


def _trace(net: Any) -> dict[str, Any]:
    """What a network tells about its training."""
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
