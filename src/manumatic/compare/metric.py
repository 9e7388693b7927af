"""How a prediction is scored, and why that way."""

__all__ = ["Metric", "choose_metric", "is_for_regression", "scorer_name"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names

from manumatic.errors import DataError, nearest

if TYPE_CHECKING:
    from manumatic.compare.problem import Problem

SPOKEN = {
    "neg_root_mean_squared_error": "RMSE",
    "neg_mean_squared_error": "MSE",
    "neg_mean_absolute_error": "MAE",
    "neg_mean_absolute_percentage_error": "MAPE",
    "neg_log_loss": "log loss",
    "roc_auc": "ROC AUC",
    "r2": "R2",
}


@dataclass(frozen=True)
class Metric:
    """How a prediction is scored.

    Attributes
    ----------
    name : str
        scikit-learn's name of the scorer.
    label : str
        What people call it.
    sign : int
        -1 where lower is better: scikit-learn's ``neg_`` scores are shown without their minus.
    reason : str
        Why this one.
    """

    name: str
    label: str
    sign: int
    reason: str

    def score(self, estimator: Any, X: Any, y: Any) -> float:
        """The score as it is shown: an RMSE is positive."""
        return self.sign * float(get_scorer(self.name)(estimator, X, y))


def choose_metric(problem: "Problem", metric: str | None = None) -> Metric:
    """The metric that was asked for, or the one that fits the target.

    Raises
    ------
    DataError
        There is no such metric, or it is for numbers and the target holds labels.
    """
    name, reason = _fitting(problem) if metric is None else (scorer_name(metric), "asked for")
    if problem.is_classification and is_for_regression(name):
        raise DataError(f"metric {metric!r} is for regression, but {problem.target!r} holds labels")
    label = SPOKEN.get(name, name.removeprefix("neg_").replace("_", " "))
    return Metric(name, label, -1 if name.startswith("neg_") else 1, reason)


def _fitting(problem: "Problem") -> tuple[str, str]:
    if not problem.is_classification:
        return "neg_root_mean_squared_error", "an error in the units of the target"
    counts = np.bincount(problem.y)
    share = f"the smallest class has {counts.min() / counts.sum():.0%} of the rows"
    if counts.min() * 2 >= counts.mean():
        return "accuracy", f"the classes are balanced: {share}"
    if len(counts) == 2:
        return "roc_auc", f"{share}, so accuracy would reward guessing the larger"
    return "balanced_accuracy", f"{share}, so every class counts the same"


def scorer_name(metric: str) -> str:
    """scikit-learn's name of ``"rmse"``, ``"log_loss"``, ``"accuracy"``...

    Examples
    --------
    >>> scorer_name("RMSE"), scorer_name("max_error")
    ('neg_root_mean_squared_error', 'neg_max_error')
    """
    spoken = {label.lower().replace(" ", "_"): name for name, label in SPOKEN.items()}
    known = get_scorer_names()
    for name in (metric, f"neg_{metric}", spoken.get(metric.lower(), "")):
        if name in known:
            return name
    raise DataError(f"no metric {metric!r}.{nearest(metric, [*spoken, *known])}")


def is_for_regression(scorer: str) -> bool:
    """Whether a scorer compares numbers, by scikit-learn's name of it."""
    return scorer in ("r2", "explained_variance") or "error" in scorer or "deviance" in scorer
