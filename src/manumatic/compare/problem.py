"""The door of a contest: rows, target and metric, settled once for all models."""

__all__ = ["Metric", "Problem", "choose_metric", "open_problem"]

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import get_scorer, get_scorer_names

from manumatic.errors import DataError, nearest

MOST_CLASSES = 20  # more different whole numbers than this are amounts, not labels
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


@dataclass(frozen=True)
class Problem:
    """What is to be learned.

    Attributes
    ----------
    X : DataFrame or ndarray
        Rows without the target and without the groups.
    y : ndarray (n_rows,)
        Numbers; class numbers 0, 1, ... in classification.
    labels : ndarray (n_rows,)
        The target as the user gave it.
    target : str
        Its name.
    classes : ndarray or None
        Labels in the order of the class numbers; None in regression.
    groups : ndarray or None
        Rows of one group are never on both sides of a split.
    in_time : bool
        The rows are sorted by time.
    why : str
        What decided between regression and classification.
    notes : tuple of str
        What the door changed.
    """

    X: Any
    y: np.ndarray
    labels: np.ndarray
    target: str
    classes: np.ndarray | None
    groups: np.ndarray | None = None
    in_time: bool = False
    why: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def is_classification(self) -> bool:
        """Whether labels are predicted."""
        return self.classes is not None

    @property
    def is_images(self) -> bool:
        """Whether a row is an image: ``(n, height, width)`` or ``(n, channels, height, width)``."""
        return not hasattr(self.X, "columns") and np.ndim(self.X) > 2

    def columns(self) -> list[dict[str, Any]]:
        """Name, kind, missing and distinct values of each column of a table; [] for images."""
        if self.is_images:
            return []
        frame = self.X if hasattr(self.X, "columns") else pd.DataFrame(self.X).add_prefix("x")
        return [
            {
                "name": str(name),
                "kind": _kind(column),
                "missing": int(column.isna().sum()),
                "distinct": int(column.nunique()),
            }
            for name, column in frame.items()
        ]

    def describe(self) -> str:
        """One line: rows, columns, target."""
        shape = np.shape(self.X)
        if self.is_images:
            inputs = f"images {' x '.join(map(str, shape[1:]))}"
        else:
            kinds = pd.Series([column["kind"] for column in self.columns()]).value_counts()
            inputs = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        if self.classes is None:
            goal = f"{self.y.min():,.6g} to {self.y.max():,.6g}: regression"
        else:
            shown = ", ".join(map(str, self.classes[:6])) + (
                ", ..." if len(self.classes) > 6 else ""
            )
            goal = f"{len(self.classes)} classes ({shown}): classification"
        return f"{shape[0]:,} rows, {inputs}; target {self.target}, {goal}"


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "yes/no"
    if pd.api.types.is_numeric_dtype(column):
        return "numeric"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "date"
    return "category" if isinstance(column.dtype, pd.CategoricalDtype) else "text"


def open_problem(
    X: Any,
    y: Any = None,
    *,
    target: str | None = None,
    groups: Any = None,
    time: Any = None,
    metric: str | None = None,
) -> Problem:
    """Settle rows and target.

    Parameters
    ----------
    X : DataFrame, array (n, features), images (n, h, w) or (n, c, h, w), sparse matrix
        Rows; with the target among its columns where y is a name.
    y : array (n,) or str, optional
        The target, or the name of its column.
    target : str, optional
        The name of the target's column, as y.
    groups, time : array (n,) or str, optional
        Values, or the name of a column. Groups leave X; time stays.
    metric : str, optional
        A scorer's name decides between regression and classification where the target does not.

    Returns
    -------
    Problem

    Raises
    ------
    DataError
        There is nothing to learn from these rows; the message names the column and the value.

    Examples
    --------
    >>> open_problem([[1.0], [2.0], [3.0], [4.0]], [1.5, 2.5, 3.5, 4.5]).describe()
    '4 rows, 1 numeric; target y, 1.5 to 4.5: regression'
    """
    X = _rows(X)
    notes: list[str] = []
    target = y if isinstance(y, str) else target
    if target is not None:
        X, y = _pop(X, target, "target")
    elif y is None:
        raise DataError(
            "compare needs the target: compare(X, y) or compare(frame, target='column')"
        )
    name = target or str(getattr(y, "name", None) or "y")
    if isinstance(groups, str):
        X, groups = _pop(X, groups, "groups")
    if isinstance(time, str):
        time = _pop(X, time, "time")[1]
    labels, sides = _same_length(X, y, {"groups": groups, "time": time})
    keep = np.flatnonzero(~pd.isna(labels))
    if len(keep) == 0:
        raise DataError(f"the target {name!r} is missing in all {len(labels)} rows")
    if len(keep) < len(labels):
        notes.append(f"{len(labels) - len(keep)} rows without a target ({name}) were left out")
    if sides["time"] is not None:
        order = _in_time(sides["time"])
        keep = order[np.isin(order, keep)]
    labels = labels[keep]
    values, classes, why = _read_target(labels, name, metric)
    X = X.iloc[keep].reset_index(drop=True) if hasattr(X, "iloc") else X[keep]
    _finite(X)
    members = None if sides["groups"] is None else pd.factorize(sides["groups"][keep])[0]
    if members is not None and members.max() < 1:
        raise DataError("groups holds one group only: there is no second one to test on")
    return Problem(
        X, values, labels, name, classes, members, sides["time"] is not None, why, tuple(notes)
    )


def _rows(X: Any) -> Any:
    """A pandas DataFrame or an array, never empty."""
    if hasattr(X, "to_pandas"):  # polars, pyarrow
        X = X.to_pandas()
    if hasattr(X, "toarray"):  # sparse: half of the candidates take dense rows only
        X = X.toarray()
    if hasattr(X, "columns"):
        repeated = X.columns[X.columns.duplicated()]
        if len(repeated):
            raise DataError(f"column {repeated[0]!r} appears more than once; rename one of them")
        X = X.rename(columns=str)
    else:
        X = np.asarray(X)
        if X.dtype.kind in "OUS":
            X = pd.DataFrame(X).infer_objects().rename(columns="x{}".format)
    if np.ndim(X) < 2:
        raise DataError(f"X must have rows and columns; it has shape {np.shape(X)}")
    if np.ndim(X) > 4:
        raise DataError(
            f"X has shape {np.shape(X)}; compare takes tables and images (n, h, w) or (n, c, h, w)"
        )
    if len(X) == 0:
        raise DataError("X has no rows")
    return X


def _pop(X: Any, column: str, role: str) -> tuple[Any, Any]:
    """X without a column, and the column."""
    if not hasattr(X, "columns"):
        raise DataError(f"{role}={column!r} names a column, but X is an array: give the values")
    if column not in X.columns:
        known = ", ".join(map(str, X.columns[:12])) + (", ..." if len(X.columns) > 12 else "")
        raise DataError(f"no column {column!r}.{nearest(column, X.columns)} Columns: {known}")
    if X.shape[1] == 1:
        raise DataError(f"{column!r} is the only column: there is nothing left to learn from")
    return X.drop(columns=column), X[column]


def _same_length(X: Any, y: Any, sides: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"y must be one column; it has shape {labels.shape}")
    found = {name: None if side is None else np.asarray(side) for name, side in sides.items()}
    for name, values in {"y": labels, **found}.items():
        if values is not None and len(values) != len(X):
            raise DataError(f"X has {len(X)} rows but {name} has {len(values)}")
    return labels, found


def _in_time(values: np.ndarray) -> np.ndarray:
    """Row numbers, oldest first; text is read as dates."""
    series = pd.Series(values)
    if not pd.api.types.is_numeric_dtype(series):
        series = pd.to_datetime(series, errors="coerce", format="mixed")
    if series.isna().any():
        raise DataError(
            f"time: {pd.Series(values)[series.isna()].iloc[0]!r} is no number and no date"
        )
    return np.argsort(series.to_numpy(), kind="stable")


def _read_target(
    labels: np.ndarray, name: str, metric: str | None
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Numbers, classes (None in regression) and what decided."""
    numbers = pd.Series(labels).infer_objects()
    asked = None if metric is None else _is_for_regression(scorer_name(metric))
    is_text = pd.api.types.is_bool_dtype(numbers) or not pd.api.types.is_numeric_dtype(numbers)
    distinct = numbers.nunique()
    if distinct == 1:
        raise DataError(f"the target {name!r} is {str(labels[0])!r} in every row: nothing to learn")
    if asked is not None and not (asked and is_text):
        regression, why = asked, f"{metric} asks for it"
    elif is_text:
        regression, why = False, "the target holds labels"
    else:
        floats = numbers.to_numpy(float)
        if not np.isfinite(floats).all():
            raise DataError(f"the target {name!r} holds an infinite value")
        whole = bool((floats == np.round(floats)).all())
        few = distinct == 2 or distinct <= min(MOST_CLASSES, len(floats) // 5)
        regression = not (whole and few)
        why = f"{distinct} different {'whole numbers' if whole else 'numbers'}"
    if regression:
        return numbers.to_numpy(float), None, why
    classes, codes = np.unique(
        labels.astype(str) if is_text and labels.dtype == object else labels, return_inverse=True
    )
    return codes, classes, why


def _finite(X: Any) -> None:
    numbers = X.select_dtypes("number") if hasattr(X, "columns") else np.asarray(X)
    infinite = np.isinf(np.asarray(numbers, dtype=float))
    if infinite.any():
        where = np.argwhere(infinite)[0]
        column = numbers.columns[where[1]] if hasattr(numbers, "columns") else where[1]
        raise DataError(
            f"column {str(column)!r} holds an infinite value in row {where[0]}; replace it"
        )


def scorer_name(metric: str) -> str:
    """scikit-learn's name for ``"rmse"``, ``"log_loss"``, ``"accuracy"``..."""
    spoken = {label.lower().replace(" ", "_"): name for name, label in SPOKEN.items()}
    known = get_scorer_names()
    for name in (metric, f"neg_{metric}", spoken.get(metric.lower(), "")):
        if name in known:
            return name
    raise DataError(f"no metric {metric!r}.{nearest(metric, [*spoken, *known])}")


def _is_for_regression(scorer: str) -> bool:
    return scorer in ("r2", "explained_variance") or "error" in scorer or "deviance" in scorer


def choose_metric(problem: Problem, metric: str | None = None) -> Metric:
    """The metric that was asked for, or the one that fits the target, with the reason."""
    if metric is not None:
        name, reason = scorer_name(metric), "asked for"
    elif problem.classes is None:
        name, reason = "neg_root_mean_squared_error", "an error in the units of the target"
    else:
        counts = np.bincount(problem.y)
        share = f"the smallest class has {counts.min() / counts.sum():.0%} of the rows"
        if counts.min() * 2 >= counts.mean():
            name, reason = "accuracy", f"the classes are balanced: {share}"
        elif len(counts) == 2:
            name, reason = "roc_auc", f"{share}, so accuracy would reward guessing the larger"
        else:
            name, reason = "balanced_accuracy", f"{share}, so every class counts the same"
    if problem.is_classification and _is_for_regression(name):
        raise DataError(f"metric {metric!r} is for regression, but {problem.target!r} holds labels")
    label = SPOKEN.get(name, name.removeprefix("neg_").replace("_", " "))
    return Metric(name, label, -1 if name.startswith("neg_") else 1, reason)
