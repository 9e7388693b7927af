"""Compare both gears on the same folds: a leaderboard, a verdict, a report."""

__all__ = ["Comparison", "Contest", "compare", "plan"]

import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from manumatic.compare.candidates import AUTOMATIC, MANUAL, Candidate, line_up
from manumatic.compare.facts import collect_facts
from manumatic.compare.findings import look_at
from manumatic.compare.folds import Folds, make_folds
from manumatic.compare.metric import Metric, choose_metric
from manumatic.compare.problem import Problem, open_problem
from manumatic.compare.race import Row, race
from manumatic.compare.verdict import decide, judge
from manumatic.errors import ComponentError, nearest
from manumatic.show.report import render_fragment, write_report
from manumatic.show.text import leaderboard

OnRow = Callable[[Row], Any]


@dataclass
class Contest:
    """Everything that is decided before the first fit; iterate :meth:`steps` to run it.

    Attributes
    ----------
    problem, metric, folds : Problem, Metric, Folds
    candidates : list of Candidate
        In the order in which they run: simplest first.
    notes : list of str
        What was changed or left out, and why.
    time_limit : float or None
        Seconds for the whole contest.
    seed : int
    rows : list of Row
        Finished rows.
    interrupted : bool
        Ctrl-C ended it.
    seconds : float
        Wall time so far.
    """

    problem: Problem
    metric: Metric
    folds: Folds
    candidates: list[Candidate]
    notes: list[str]
    time_limit: float | None = None
    seed: int = 0
    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        counts = [sum(c.gear == gear for c in self.candidates) for gear in (AUTOMATIC, MANUAL)]
        return (
            f"{counts[0]} scikit-learn + {counts[1]} PyTorch models x {len(self.folds)} folds"
            f" = {len(self.candidates) * len(self.folds)} fits; {self.folds.kind}; seed {self.seed}"
        )

    @property
    def missed(self) -> list[str]:
        """Names of the models that did not get their turn."""
        return [candidate.name for candidate in self.candidates[len(self.rows) :]]

    def steps(self) -> Iterator[Row]:
        """Yield the growing row after each fold, and once more when the model is finished."""
        begin = clock.monotonic()
        deadline = begin + (float("inf") if self.time_limit is None else self.time_limit)
        for candidate in self.candidates[len(self.rows) :]:
            if clock.monotonic() > deadline:
                return
            for row in race(candidate, self.problem, self.metric, self.folds, deadline):
                self.seconds = clock.monotonic() - begin
                if row.finished:
                    self.rows.append(row)
                yield row

    def run(self, on_row: OnRow | None = None, on_fold: OnRow | None = None) -> "Comparison":
        """Run to the end, or to Ctrl-C: rows that are finished count."""
        try:
            for row in self.steps():
                hear = on_row if row.finished else on_fold
                if hear is not None:
                    hear(row)
        except KeyboardInterrupt:
            self.interrupted = True
        return Comparison(self)


def plan(
    X: Any,
    y: Any = None,
    *,
    target: str | None = None,
    models: Sequence[str] | None = None,
    nets: Mapping[str, Any] | None = None,
    metric: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    groups: Any = None,
    time: Any = None,
    time_limit: float | None = None,
    random_state: int = 0,
) -> Contest:
    """Settle a contest without running it; the parameters are those of :func:`compare`.

    Examples
    --------
    >>> X, y = [[i, i % 3] for i in range(40)], [i + 0.5 for i in range(40)]
    >>> print(plan(X, y, models=["RidgeCV"]))
    2 scikit-learn + 0 PyTorch models x 5 folds = 10 fits; 5 shuffled folds; seed 0
    """
    if time_limit is not None and not time_limit >= 0:
        raise ComponentError(f"time_limit takes seconds, 0 or more, or None; got {time_limit!r}")
    problem = open_problem(X, y, target=target, groups=groups, time=time, metric=metric)
    chosen = choose_metric(problem, metric)
    shared = make_folds(problem, folds, repeats, random_state)
    candidates, left_out = line_up(problem, models, nets, random_state)
    notes = [*problem.notes, *shared.notes, *left_out]
    return Contest(problem, chosen, shared, candidates, notes, time_limit, random_state)


def compare(
    X: Any,
    y: Any = None,
    *,
    target: str | None = None,
    models: Sequence[str] | None = None,
    nets: Mapping[str, Any] | None = None,
    metric: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    groups: Any = None,
    time: Any = None,
    time_limit: float | None = None,
    random_state: int = 0,
    on_row: OnRow | None = None,
) -> "Comparison":
    """scikit-learn's models and PyTorch's networks on the same folds, and which to use.

    Everything is fitted inside the folds, preprocessing included. A model that fails becomes a row
    with its error. Ctrl-C ends the contest and keeps what is finished.

    Parameters
    ----------
    X : DataFrame, array (n, features), images (n, h, w) or (n, c, h, w), sparse matrix
        Rows; with the target among its columns where ``y`` or ``target`` is a name.
    y : array (n,) or str, optional
    target : str, optional
        The name of the target's column.
    models : sequence of str, optional
        Names out of the leaderboard; all by default. "tabicl" and "tabpfn" only when named.
    nets : mapping of str to model, optional
        Networks of your own: ``{"mine": MyNet}``; whatever ``Classifier(model=...)`` takes, or an
        estimator.
    metric : str, optional
        Any scorer name of scikit-learn, ``"rmse"``, ``"mae"``... By default RMSE in regression;
        accuracy for balanced classes, else ROC AUC (two classes) or balanced accuracy.
    folds, repeats : int
    groups : array (n,) or str, optional
        Rows of one group are never on both sides of a split.
    time : array (n,) or str, optional
        Sorts the rows; each fold trains on the past and is tested on what came next.
    time_limit : float, optional
        Seconds for the whole contest. No fold is begun after that; models without a turn are named.
    random_state : int
        Draws the folds and seeds the models.
    on_row : callable, optional
        Called with each finished :class:`~manumatic.compare.race.Row`; ``print`` will do.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        There is nothing to learn from these rows.
    ComponentError
        A name in ``models`` is unknown.

    Examples
    --------
    >>> X = [[i, (7 * i) % 11] for i in range(60)]
    >>> y = [3.0 * a + b % 5 for a, b in X]
    >>> compare(X, y, models=["LinearRegression", "KNeighbors"]).verdict.model
    'LinearRegression'
    """
    contest = plan(
        X,
        y,
        target=target,
        models=models,
        nets=nets,
        metric=metric,
        folds=folds,
        repeats=repeats,
        groups=groups,
        time=time,
        time_limit=time_limit,
        random_state=random_state,
    )
    return contest.run(on_row)


class Comparison:
    """The result of a contest.

    Attributes
    ----------
    rows : list of Row
        Best first; models that failed come last.
    verdict : Verdict
        Which gear and model, the rule and the reasons.
    interrupted : bool
        Ctrl-C ended the contest: the rows are those that were finished.
    findings : Findings
        What the doctor says of the rows, the folds and the best network.
    contest : Contest
        Problem, metric, folds and candidates.

    Examples
    --------
    >>> X = [[float(i)] for i in range(40)]
    >>> result = compare(X, [2 * i + i % 3 for i in range(40)], models=["LinearRegression"])
    >>> result.frame["name"].tolist()
    ['LinearRegression', 'Dummy']
    >>> result.best.predict([[50.0]]).round()
    array([101.])
    """

    def __init__(self, contest: Contest) -> None:
        self.contest = contest
        self.interrupted = contest.interrupted
        self.rows = judge(contest.rows, contest.metric, contest.folds.ratio)
        images = contest.problem.is_images
        self.verdict = decide(self.rows, contest.metric, contest.folds.ratio, images)
        self.findings = look_at(contest.problem, contest.folds, self.rows, contest.metric)
        self._refitted: dict[str, Any] = {}

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The leaderboard, tidy: one row a model, best first."""
        columns = ["name", "gear", "mean", "sd", "difference", "p", "verdict"]
        columns += ["seconds", "microseconds", "parameters", "error"]
        return pd.DataFrame(
            [[getattr(row, name) for name in columns] for row in self.rows], columns=columns
        )

    @property
    def best(self) -> Any:
        """The model that the verdict names, fitted on all rows (once, when first asked for)."""
        return self.model(self.verdict.model)

    @property
    def X(self) -> Any:
        """The rows of the contest, target and groups taken out: what its models were fitted on.

        So the best model leaves as a bundle: ``mm.save(comparison.best, "best.mm", comparison.X)``.
        """
        return self.contest.problem.X

    def model(self, name: str) -> Any:
        """A model of the contest by name, fitted on all rows with the labels as they were given.

        Parameters
        ----------
        name : str
            As in the leaderboard.

        Returns
        -------
        estimator
            Its preprocessing included. Fitted once, when first asked for.

        Raises
        ------
        ComponentError
            No model of the contest is called so.
        """
        if name not in self._refitted:
            found = {candidate.name: candidate for candidate in self.contest.candidates}
            if name not in found:
                raise ComponentError(
                    f"no model {name!r}.{nearest(name, found)} Models: {', '.join(found)}"
                )
            problem = self.contest.problem
            self._refitted[name] = found[name].build().fit(problem.X, problem.labels)
        return self._refitted[name]

    def facts(self) -> dict[str, Any]:
        """All that was found, ready for JSON: ``{"schema": 1, "kind": "comparison", ...}``."""
        return collect_facts(self)

    def report(self, path: str | Path) -> Path:
        """Write one self-contained HTML page and return its path."""
        return write_report(self.facts(), path)

    def _repr_html_(self) -> str:
        return render_fragment(self.facts())

    def __repr__(self) -> str:
        found = f"\n\n{self.findings}" if self.findings else ""
        return f"{leaderboard(self.facts())}\n\n{self.verdict}{found}"
