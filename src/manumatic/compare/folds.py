"""The folds that all models share."""

__all__ = ["Folds", "make_folds"]

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    TimeSeriesSplit,
)

from manumatic.compare.problem import Problem
from manumatic.errors import DataError


@dataclass(frozen=True)
class Folds:
    """Row numbers to train and to test on, one pair a fold, and what they are in words."""

    pairs: list[tuple[np.ndarray, np.ndarray]]
    kind: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def ratio(self) -> float:
        """Test rows for each training row, averaged over the folds."""
        return float(np.mean([len(test) / len(train) for train, test in self.pairs]))


def make_folds(problem: Problem, folds: int = 5, repeats: int = 1, seed: int = 0) -> Folds:
    """Split the rows of a problem.

    Parameters
    ----------
    problem : Problem
    folds : int
        Fewer where the rows, the smallest class or the groups do not fill them.
    repeats : int
        Times the whole split is drawn anew. Time has one order only, so it is split once.
    seed : int

    Returns
    -------
    Folds

    Raises
    ------
    DataError
        Two folds cannot be filled.

    Examples
    --------
    >>> from manumatic.compare.problem import open_problem
    >>> X, y = [[float(i)] for i in range(20)], [i + 0.5 for i in range(20)]
    >>> make_folds(open_problem(X, y), folds=5, repeats=2).kind
    '5 shuffled folds, drawn 2 times'
    """
    if folds < 2 or repeats < 1:
        raise DataError(f"folds must be 2 or more and repeats 1 or more; got {folds} and {repeats}")
    if problem.in_time and problem.groups is not None:
        raise DataError("groups and time were both given; the folds can keep one of them apart")
    most, what = _most_folds(problem)
    notes = [f"{what}, so {most} folds instead of {folds}"] if most < folds else []
    if most < 2:
        raise DataError(f"{what}: too few for two folds")
    if problem.in_time and repeats > 1:
        notes.append(f"time has one order: split once instead of {repeats} times")
    folds, repeats = min(folds, most), 1 if problem.in_time else repeats
    splitters, words = _splitters(problem, folds, repeats, seed)
    rows = np.zeros(len(problem.y))
    pairs = [
        pair for splitter in splitters for pair in splitter.split(rows, problem.y, problem.groups)
    ]
    times = f", drawn {repeats} times" if repeats > 1 else ""
    return Folds(pairs, f"{folds} {words}{times}", tuple(notes))


def _most_folds(problem: Problem) -> tuple[int, str]:
    """How many folds can be filled (two test rows each), and what sets the limit."""
    limits = [(len(problem.y) // (1 if problem.in_time else 2), f"there are {len(problem.y)} rows")]
    if problem.groups is not None:
        groups = len(np.unique(problem.groups))
        limits.append((groups, f"there are {groups} groups"))
    elif problem.classes is not None and not problem.in_time:
        counts = np.bincount(problem.y)
        rarest = problem.classes[counts.argmin()]
        limits.append((int(counts.min()), f"class {str(rarest)!r} has {counts.min()} of the rows"))
    return min(limits, key=lambda limit: limit[0])


def _splitters(problem: Problem, folds: int, repeats: int, seed: int) -> tuple[list[Any], str]:
    if problem.in_time:
        return [TimeSeriesSplit(folds)], "folds in time: train on the past, test on what came next"
    if problem.groups is not None:
        grouped = StratifiedGroupKFold if problem.is_classification else GroupKFold
        seeds = range(seed, seed + repeats)
        return [
            grouped(folds, shuffle=True, random_state=s) for s in seeds
        ], "folds of whole groups"
    if problem.is_classification:
        drawn = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        return [drawn], "shuffled folds with the classes in proportion"
    return [RepeatedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)], "shuffled folds"
