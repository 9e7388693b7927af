"""Where rows of any kind become one tensor: numbers stay, words become codes, dates seconds."""

__all__ = ["Border", "Column"]

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array

from manumatic.errors import ConvertError, DataError, nearest

UNKNOWN = -1.0  # the code of a word that no step knows; a missing one is NaN


class Column:
    """A column of the rows, and what the steps of the pipeline want it to be.

    Parameters
    ----------
    name : str
        As the rows name it.

    Attributes
    ----------
    kind : "number", "word", "date" or None
        None as long as nobody has asked.
    words : dict
        Value → code, for words: all values that some step knows. Words are only ever added, so a
        code once given keeps its meaning.
    text : bool
        Words are compared as text: 1, 1.0 and "1" are the same.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind: str | None = None
        self.words: dict[Any, int] = {}
        self.text = False

    def read_as_number(self, who: str) -> None:
        """Some step computes with it."""
        self._settle("number", who)

    def codes(self, values: Sequence[Any], who: str) -> np.ndarray:
        """The codes (k,) of the values that a step knows; NaN for a missing one."""
        self._settle("word", who)
        known = [value for value in values if not _is_nan(value)]
        for value in known:
            self.words.setdefault(value, len(self.words))
        return np.array([np.nan if _is_nan(v) else self.words[v] for v in values], np.float64)

    def read_as_date(self, who: str) -> None:
        """Some step takes it apart: seconds since 1970, UTC."""
        self._settle("date", who)

    def _settle(self, kind: str, who: str) -> None:
        if self.kind not in (None, kind):
            raise ConvertError(
                f"{who} takes the column {self.name!r} as a {kind}, an earlier step as a "
                f"{self.kind}; one tensor cannot hold both. Give the step a copy of the column"
            )
        self.kind = kind


class Border(TransformerMixin, BaseEstimator):
    """Rows of any kind → numbers (n, columns), as a converted module takes them.

    Parameters
    ----------
    columns : sequence of Column
    named : bool
        The columns have names: those of a DataFrame are put in order.

    Examples
    --------
    >>> size, city = Column("size"), Column("city")
    >>> size.read_as_number("Ridge")
    >>> city.codes(["Bonn", "Ulm"], "OneHotEncoder")
    array([0., 1.])
    >>> flats = pd.DataFrame({"city": ["Ulm", "Kiel", None], "size": [50, 80, 65]})
    >>> Border([size, city]).transform(flats)
    array([[50.,  1.],
           [80., -1.],
           [65., nan]])
    """

    def __init__(self, columns: Sequence[Column], named: bool = True) -> None:
        self.columns = columns
        self.named = named

    def fit(self, X: Any, y: Any = None) -> Self:
        """There is nothing to learn."""
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Numbers (n, columns) of float64, or of float32 where X is; a missing value is NaN.

        Raises
        ------
        DataError
            A column is missing, there are too many, or one that holds numbers holds words.
        """
        if hasattr(X, "toarray"):
            X = X.toarray()
        if hasattr(X, "to_pandas"):
            X = X.to_pandas()
        if all(column.kind in (None, "number") for column in self.columns) and not hasattr(
            X, "columns"
        ):
            return self._numbers(X)
        frame = self._frame(X)
        return np.column_stack(
            [_read(column, frame.iloc[:, i]) for i, column in enumerate(self.columns)]
        )

    def _numbers(self, X: Any) -> np.ndarray:
        kept = [np.float64, np.float32]
        rows = check_array(X, dtype=kept, ensure_all_finite=False, input_name="X")
        self._count(rows.shape[1])
        return rows

    def _frame(self, X: Any) -> pd.DataFrame:
        if not hasattr(X, "columns"):
            X = pd.DataFrame(np.asarray(X, dtype=object))
            self._count(X.shape[1])
            return X
        if not self.named:
            self._count(X.shape[1])
            return X
        names = [column.name for column in self.columns]
        gone = [name for name in names if name not in X.columns]
        if gone:
            raise DataError(
                f"X lacks the column {gone[0]!r}; it has {list(X.columns)[:10]}."
                f"{nearest(gone[0], X.columns)}"
            )
        return X[names]

    def _count(self, found: int) -> None:
        if found != len(self.columns):
            raise DataError(
                f"X has {found} features, but the estimator was fitted on {len(self.columns)}"
            )

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _read(column: Column, values: pd.Series) -> np.ndarray:
    """One column as float64 (n,)."""
    if column.kind == "word":
        return _codes(column, values)
    if column.kind == "date":
        return _seconds(values)
    if column.kind is None and values.dtype.kind not in "fiub":
        return np.full(len(values), np.nan)  # nobody reads it
    try:
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise DataError(f"the column {column.name!r} must hold numbers: {error}") from None


def _codes(column: Column, values: pd.Series) -> np.ndarray:
    """Each different value is looked up once."""
    places, unique = pd.factorize(values, use_na_sentinel=False)
    found = [_code(column, value) for value in unique.tolist()]
    return np.array(found, np.float64)[places]


def _code(column: Column, value: Any) -> float:
    if value is None and None in column.words:
        return column.words[None]
    if value is None or _is_nan(value):
        return np.nan
    if column.text:
        whole = isinstance(value, float | bool) and value % 1 == 0
        value = str(int(value) if whole else value)
    return column.words.get(value, UNKNOWN)


def _seconds(values: pd.Series) -> np.ndarray:
    times = pd.to_datetime(values, errors="coerce", utc=True)
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)


def _is_nan(value: Any) -> bool:
    return value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)
