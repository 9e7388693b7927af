"""The door of a contest: rows and target, settled once for all models."""

__all__ = ["Problem", "open_problem"]

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from manumatic.compare.metric import is_for_regression, scorer_name
from manumatic.errors import DataError, nearest
from manumatic.parts.images import (
    Images,
    are_picture_files,
    are_pictures,
    channels_first,
    read_whole,
)
from manumatic.parts.kinds import column_kinds
from manumatic.parts.mixed import is_picture_column
from manumatic.parts.rows import kind_of, read_rows
from manumatic.parts.sequences import are_sequences, padded

MOST_CLASSES = 20  # more different whole numbers than this are amounts, not labels


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
    notes: tuple[str, ...] = ()

    @property
    def is_classification(self) -> bool:
        """Whether labels are predicted."""
        return self.classes is not None

    @property
    def form(self) -> str:
        """What X is: "frame", "table", "image" (n, [c,] h, w), "sequence" (n, t, f) or "text"."""
        return kind_of(self.X)

    @property
    def is_images(self) -> bool:
        """Whether a row is an image: ``(n, height, width)`` or ``(n, channels, height, width)``."""
        return self.form == "image"

    def columns(self) -> list[dict[str, Any]]:
        """Name, kind, missing and distinct values of each column of a table; else []."""
        if self.form not in ("frame", "table"):
            return []
        frame = self.X if hasattr(self.X, "columns") else pd.DataFrame(self.X).add_prefix("x")
        return [
            {
                "name": str(name),
                "kind": _kind(column),
                "missing": int(column.isna().sum()),
                # images are not compared with each other
                "distinct": int(column.count() if _kind(column) == "image" else column.nunique()),
            }
            for name, column in frame.items()
        ]

    def describe(self) -> str:
        """One line: rows, columns, target."""
        shape = np.shape(self.X)
        if self.form == "text":
            inputs = "texts"
        elif self.form not in ("frame", "table"):
            inputs = f"{self.form}s {' x '.join(map(str, shape[1:]))}"
        else:
            kinds = pd.Series([column["kind"] for column in self.columns()]).value_counts()
            inputs = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        if self.classes is None:
            goal = f"{self.y.min():,.6g} to {self.y.max():,.6g}: regression"
        else:
            shown = [str(label) for label in self.classes[:6]] + ["..."] * (len(self.classes) > 6)
            goal = f"{len(self.classes)} classes ({', '.join(shown)}): classification"
        return f"{shape[0]:,} rows, {inputs}; target {self.target}, {goal}"


def _kind(column: pd.Series) -> str:
    if is_bool_dtype(column):
        return "yes/no"
    if is_numeric_dtype(column):
        return "numeric"
    if is_datetime64_any_dtype(column):
        return "date"
    if is_picture_column(column):
        return "image"
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
        Rows; with the target among its columns where y is a name. Or a list of images or of their
        files, or mm.Images, whose folders are the target; or strings (n,); or sequences
        (n, t, features), also as a list of arrays (t, features) of several lengths.
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
    X, y = _with_labels(X, y)
    target = y if isinstance(y, str) else target
    if target is not None:
        X, y = _pop(X, target, "target")
    if y is None:
        raise DataError("compare needs the target: compare(X, y) or compare(X, target='column')")
    name = target or str(getattr(y, "name", None) or "y")
    if isinstance(groups, str):
        X, groups = _pop(X, groups, "groups")
    if isinstance(time, str):
        time = _pop(X, time, "time")[1]
    X = _texts(X)
    labels = _column(y, len(X), "y")
    keep = _order(time, len(X))
    keep = keep[~pd.isna(labels[keep])]
    if len(keep) == 0:
        raise DataError(f"the target {name!r} is missing in all {len(labels)} rows")
    gone = len(labels) - len(keep)
    X = X.iloc[keep].reset_index(drop=True) if hasattr(X, "iloc") else X[keep]
    _check_finite(X)
    known, values, classes, why = _read_target(labels[keep], name, metric)
    return Problem(
        X=X,
        y=values,
        labels=known,
        target=name,
        classes=classes,
        groups=None if groups is None else _members(_column(groups, len(labels), "groups")[keep]),
        in_time=time is not None,
        why=why,
        notes=(f"{gone} rows without a target ({name}) were left out",) if gone else (),
    )


def _with_labels(X: Any, y: Any) -> tuple[Any, Any]:
    """Rows, and the target; the folders of images are one."""
    if isinstance(X, Images):
        return read_whole(X), X.labels if y is None else y
    return _rows(X), y


def _rows(X: Any) -> Any:
    """A pandas DataFrame or an array, never empty."""
    if are_pictures(X) or are_picture_files(X):
        return read_rows(X)
    if are_sequences(X):
        return padded(X)
    if not hasattr(X, "columns") and np.ndim(X) == 1 and any(isinstance(t, str) for t in X):
        return read_rows(X)
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
        X = channels_first(np.asarray(X))
        if X.dtype.kind in "OUS":
            X = pd.DataFrame(X).infer_objects().rename(columns="x{}".format)
    _check_shape(X)
    return X


def _check_shape(X: Any) -> None:
    if np.ndim(X) < 2:
        raise DataError(f"X must have rows and columns; it has shape {np.shape(X)}")
    if np.ndim(X) > 4:
        raise DataError(
            f"X has shape {np.shape(X)}; compare takes tables, texts, images (n, h, w) or "
            "(n, c, h, w), and sequences (n, t, features)"
        )
    if len(X) == 0:
        raise DataError("X has no rows")


def _texts(X: Any) -> Any:
    """A table of one column of text is a list of texts."""
    if not hasattr(X, "columns") or X.shape[1] != 1 or column_kinds(X)[0][0] != "text":
        return X
    return read_rows(X.iloc[:, 0].tolist())


def _pop(X: Any, column: str, role: str) -> tuple[Any, Any]:
    """X without a column, and the column."""
    if not hasattr(X, "columns"):
        raise DataError(f"{role}={column!r} names a column, but X is an array: give the values")
    if column not in X.columns:
        known = [*X.columns[:12], *["..."] * (len(X.columns) > 12)]
        hint = nearest(column, X.columns)
        raise DataError(f"no column {column!r}.{hint} Columns: {', '.join(known)}")
    if X.shape[1] == 1:
        raise DataError(f"{column!r} is the only column: there is nothing left to learn from")
    return X.drop(columns=column), X[column]


def _column(values: Any, rows: int, role: str) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise DataError(f"{role} must be one column; it has shape {found.shape}")
    if len(found) != rows:
        raise DataError(f"X has {rows} rows but {role} has {len(found)}")
    return found


def _order(time: Any, rows: int) -> np.ndarray:
    """Row numbers as they come, or oldest first; text is read as dates."""
    if time is None:
        return np.arange(rows)
    moments = given = pd.Series(_column(time, rows, "time"))
    if not is_numeric_dtype(given):
        moments = pd.to_datetime(given, errors="coerce", format="mixed")
    if moments.isna().any():
        raise DataError(f"time: {given[moments.isna()].iloc[0]!r} is no number and no date")
    return np.argsort(moments.to_numpy(), kind="stable")


def _members(groups: np.ndarray) -> np.ndarray:
    """Groups as numbers."""
    numbers = pd.factorize(groups, use_na_sentinel=False)[0]
    if numbers.max() == 0:
        raise DataError(f"groups holds one group only, {groups[0]!r}: there is none to test on")
    return numbers


def _read_target(
    labels: np.ndarray, name: str, metric: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    """Labels of one kind, their numbers, classes (None in regression), and what decided."""
    column = pd.Series(labels).infer_objects()
    if column.nunique() == 1:
        raise DataError(f"the target {name!r} is {str(labels[0])!r} in every row: nothing to learn")
    if not is_numeric_dtype(column) or is_bool_dtype(column):
        labels = column.to_numpy() if is_bool_dtype(column) else column.to_numpy().astype(str)
        classes, codes = np.unique(labels, return_inverse=True)
        return labels, codes, classes, "the target holds labels"
    labels = column.to_numpy()
    if not np.isfinite(labels.astype(float)).all():
        raise DataError(f"the target {name!r} holds an infinite value, {column.max()}")
    regression, why = _is_amount(column)
    if metric is not None:
        regression, why = is_for_regression(scorer_name(metric)), f"{metric} asks for it"
    if regression:
        return labels, labels.astype(float), None, why
    classes, codes = np.unique(labels, return_inverse=True)
    return labels, codes, classes, why


def _is_amount(column: pd.Series) -> tuple[bool, str]:
    """Whether numbers are amounts and not labels: fractions, or too many different ones."""
    values, distinct = column.to_numpy(float), column.nunique()
    if (values != np.round(values)).any():
        return True, "the target holds fractions"
    few = distinct == 2 or distinct <= min(MOST_CLASSES, len(values) // 5)
    return not few, f"{distinct} different whole numbers in {len(values)} rows"


def _check_finite(X: Any) -> None:
    if kind_of(X) == "text":
        return
    names, numbers = None, X
    if hasattr(X, "columns"):
        frame = X.select_dtypes("number", exclude="timedelta")
        names, numbers = frame.columns, frame.to_numpy(dtype=float, na_value=np.nan)
    places = np.argwhere(np.isinf(numbers))
    if len(places):
        row, column = places[0][:2]
        name = str(column) if names is None else names[column]
        raise DataError(f"column {name!r} holds an infinite value in row {row}; replace it")
