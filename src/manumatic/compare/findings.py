"""What the doctor says of a contest: its rows, its folds, its best network."""

__all__ = ["look_at"]

from collections.abc import Sequence

from manumatic.compare.candidates import MANUAL
from manumatic.compare.folds import Folds
from manumatic.compare.metric import Metric
from manumatic.compare.problem import Problem
from manumatic.compare.race import Row
from manumatic.doctor.after import no_better_than, scaled_before_split, sorted_folds
from manumatic.doctor.finding import Findings

BASELINE = "baseline"


def look_at(problem: Problem, folds: Folds, rows: Sequence[Row], metric: Metric) -> Findings:
    """Findings of the whole contest; those of each network's fit are in its trace.

    That a network does no better than scikit-learn's models is the verdict, not a finding.

    Parameters
    ----------
    problem, folds, metric : Problem, Folds, Metric
    rows : sequence of Row
        Best first.
    """
    found = Findings()
    found.add(*scaled_before_split(problem.X))
    if problem.groups is None:
        found.add(*sorted_folds(problem.labels, folds.pairs))
    nets = [row for row in rows if row.ok and row.gear == MANUAL]
    guess = [row for row in rows if row.ok and row.candidate.family == BASELINE]
    if nets and guess:
        scores = nets[0].name, nets[0].scores, guess[0].name, guess[0].scores
        found.add(*no_better_than(*scores, lower_is_better=metric.sign < 0))
    return found
