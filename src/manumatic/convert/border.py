"""Where rows of any kind become one tensor: numbers stay, words become codes, dates seconds."""

__all__ = ["Border", "Column", "Handed"]

from collections.abc import Iterable, Mapping, Sequence
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
    computed : bool
        It is no column of the rows: some step computes it.

    Attributes
    ----------
    kind : "number", "word", "date" or None
        None as long as nobody has asked.
    words : dict
        Value → code, for words: all values that some step knows. Words are only ever added, so a
        code once given keeps its meaning.
    text : bool
        Words are compared as text: 1, 1.0 and "1" are the same, and None is missing. Otherwise as
        scikit-learn compares them: None is a word, and only NaN is missing.
    form : str or None
        How dates are written, as in ``strptime``; ``"ISO8601"``, or None for a guess. "seconds" for
        lengths of time.
    coerce : bool
        Words in a column of numbers are missing values, not an error.
    full : str or None
        Who cannot do with a missing value.
    only : dict
        Who refuses other values → the values that it takes, as OneHotEncoder does by default.
    """

    def __init__(self, name: str, computed: bool = False) -> None:
        self.name, self.computed = name, computed
        self.kind: str | None = None
        self.words: dict[Any, int] = {}
        self.text = False
        self.form: str | None = None
        self.coerce = False
        self.full: str | None = None
        self.only: dict[str, set[Any]] = {}

    def read_as_number(self, who: str, coerce: bool = False, missing: bool = True) -> None:
        """Some step computes with it; what is no number is missing, or else an error."""
        self.full = self.full if missing else who
        self.coerce = coerce and (self.coerce or self.kind is None)
        self._settle("number", who)

    def codes(self, values: Sequence[Any], who: str) -> np.ndarray:
        """The codes (k,) of the values that a step knows; NaN for a missing one."""
        self._settle("word", who)
        for value in values:
            if not _is_nan(value):
                self.words.setdefault(value, len(self.words))
        return np.array([np.nan if _is_nan(v) else self.words[v] for v in values], np.float64)

    def read_as_date(self, who: str, form: str | None = None) -> None:
        """Some step takes it apart: seconds since 1970, UTC; or, a length of time, seconds."""
        if self.kind == "date" and self.form != form:
            raise ConvertError(
                f"{who} reads the dates of the column {self.name!r} as {form!r}, an earlier step "
                f"as {self.form!r}; give one of them a copy of the column"
            )
        self._settle("date", who)
        self.form = form

    def require(self, values: Iterable[Any], who: str) -> bool:
        """A step takes these values only; the border raises where it meets another.

        Returns False where the border cannot tell, because the values are computed later.
        """
        taken = {np.nan if _is_nan(value) else value for value in values}
        self.only[who] = self.only.get(who, taken) & taken
        return not self.computed

    def _settle(self, kind: str, who: str, text: bool = False) -> None:
        if self.kind not in (None, kind) or (self.kind is not None and self.text != text):
            was, new = (("text" if t else k) for k, t in ((self.kind, self.text), (kind, text)))
            raise ConvertError(
                f"{who} takes the column {self.name!r} as a {new}, an earlier step as a {was}; one "
                "tensor cannot hold both. Give the step a copy of the column"
            )
        self.kind, self.text = kind, text


class Handed(Column):
    """A column as a step hands it on: the codes stay, but some values are others now.

    Parameters
    ----------
    source : Column
    replaced : dict, optional
        Value → what stands in its place now; NaN for the missing ones.
    text : bool
        Its words are compared as text.

    Examples
    --------
    >>> town = Column("town")
    >>> filled = Handed(town, {np.nan: "Ulm"})
    >>> filled.codes(["Bonn", "Ulm"], "OneHotEncoder")
    array([0., 1.])
    >>> filled.require(["Bonn", "Ulm"], "OneHotEncoder")
    True
    >>> Border([town]).transform(pd.DataFrame({"town": ["Ulm", None]}))
    array([[ 1.],
           [nan]])
    """

    def __init__(
        self, source: Column, replaced: dict[Any, Any] | None = None, text: bool = False
    ) -> None:
        super().__init__(source.name)
        self.source, self.replaced, self.text = source, replaced or {}, text
        self.words, self.kind = source.words, source.kind

    def read_as_number(self, who: str, coerce: bool = False, missing: bool = True) -> None:
        """Some step computes with it."""
        if self.text:
            self._settle("number", who)
        filled = any(map(_is_nan, self.replaced))
        self.source.read_as_number(who, coerce, missing or filled)
        self.kind = "number"

    def read_as_date(self, who: str, form: str | None = None) -> None:
        """Some step takes it apart."""
        self.source.read_as_date(who, form)

    def require(self, values: Iterable[Any], who: str) -> bool:
        """A step takes these values only."""
        taken = set(values)
        before = [old for old, new in self.replaced.items() if any(_same(new, v) for v in taken)]
        return self.source.require([*taken, *before], who)

    def _settle(self, kind: str, who: str, text: bool = False) -> None:
        self.source._settle(kind, who, text or self.text)
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

        Codes and whole numbers are exact up to 2⁵³ in float64 and 2²⁴ in float32.

        Raises
        ------
        DataError
            A column is missing, there are too many, one that holds numbers holds words, or a step
            refuses values that it has not seen.
        """
        rows = _frame(X)
        if not isinstance(rows, pd.DataFrame):
            if all(column.kind in (None, "number") for column in self.columns):
                return self._numbers(rows)
            rows = pd.DataFrame(rows)
        frame = self._ordered(rows)
        read = [_read(column, frame.iloc[:, i]) for i, column in enumerate(self.columns)]
        return np.column_stack(read)

    def _numbers(self, X: np.ndarray) -> np.ndarray:
        kept = [np.float64, np.float32]
        rows = check_array(X, dtype=kept, ensure_all_finite=False, input_name="X")
        self._count(rows.shape[1])
        for i, column in enumerate(self.columns):
            if column.only:
                _refuse(column, pd.Series(rows[:, i]))
            _require_full(column, rows[:, i])
        return rows

    def _ordered(self, frame: pd.DataFrame) -> pd.DataFrame:
        names = [column.name for column in self.columns]
        if not self.named or isinstance(frame.columns, pd.RangeIndex):
            self._count(frame.shape[1])
            return frame
        gone = [name for name in names if name not in frame.columns]
        if gone:
            raise DataError(
                f"X lacks the column {gone[0]!r}; it has {list(frame.columns)[:10]}."
                f"{nearest(gone[0], frame.columns)}"
            )
        return frame if list(frame.columns) == names else frame[names]

    def _count(self, found: int) -> None:
        if found != len(self.columns):
            raise DataError(
                f"X has {found} features, but the estimator was fitted on {len(self.columns)}"
            )

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _frame(X: Any) -> pd.DataFrame | np.ndarray:
    """A DataFrame, or an array where all is numbers."""
    if isinstance(X, pd.DataFrame):
        return X
    if hasattr(X, "toarray"):
        return np.asarray(X.toarray())
    if hasattr(X, "to_pandas"):  # polars: None stays None, as scikit-learn sees it
        named = {name: X[name] for name in X.columns}
        return pd.DataFrame(
            {
                name: column.to_numpy() if column.dtype.is_numeric() else _objects(column)
                for name, column in named.items()
            }
        )
    if isinstance(X, list | tuple):
        if X and isinstance(X[0], Mapping):
            return pd.DataFrame(list(X))
        X = np.asarray(X, dtype=object)
        if not any(isinstance(value, str | bytes) or value is None for value in X.flat):
            X = np.asarray(X.tolist())
    rows = np.asarray(X)
    if rows.dtype.kind in "fiub" or rows.ndim != 2:
        return rows
    return pd.DataFrame(rows.astype(object))


def _objects(values: Any) -> pd.Series:
    return pd.Series(values.to_list(), dtype=object)


def _read(column: Column, values: pd.Series) -> np.ndarray:
    """One column as float64 (n,)."""
    if column.only:
        _refuse(column, values)
    if column.kind == "word" or (column.kind is None and values.dtype.kind not in "fiub"):
        return _codes(column, values)  # of those that nobody reads, what is missing
    if column.kind == "date":
        return _seconds(column, values)
    if column.coerce and values.dtype.kind not in "fiub":
        values = pd.to_numeric(values, errors="coerce")
    try:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError):
        row, value = _first_word(values)
        raise DataError(
            f"the column {column.name!r} must hold numbers, and row {row} of it is {value!r}"
        ) from None
    _require_full(column, numbers)
    return numbers


def _require_full(column: Column, numbers: np.ndarray) -> None:
    if column.full is not None and np.isnan(numbers).any():
        row = int(np.argmax(np.isnan(numbers)))
        raise DataError(
            f"Input X contains NaN: row {row} of the column {column.name!r}, and {column.full} "
            "takes no missing values; put a SimpleImputer before it"
        )


def _first_word(values: pd.Series) -> tuple[int, Any]:
    numbers = pd.to_numeric(values.astype(object), errors="coerce")
    row = int(np.argmax((numbers.isna() & values.notna()).to_numpy()))
    return row, values.iloc[row]


def _refuse(column: Column, values: pd.Series) -> None:
    """What an encoder with handle_unknown="error" does; in a graph it could not."""
    for who, taken in column.only.items():
        missing = any(_is_nan(value) for value in taken)
        for value in pd.unique(values).tolist():
            if missing if _is_nan(value) else (_text(value) if column.text else value) in taken:
                continue
            row = int(np.argmax([_same(value, other) for other in values.tolist()]))
            raise DataError(
                f"Found unknown categories [{value!r}] in column {column.name!r}, row {row}: {who} "
                'refuses what it has not seen in fit; handle_unknown="ignore" takes it'
            )


def _same(value: Any, other: Any) -> bool:
    return bool(_is_nan(value) and _is_nan(other)) or other is value or bool(other == value)


def _codes(column: Column, values: pd.Series) -> np.ndarray:
    """Each different value is looked up once."""
    if values.dtype == object:  # None and NaN are two things to scikit-learn, one to factorize
        known: dict[Any, float] = {}
        found = [
            known[value] if value in known else known.setdefault(value, _code(column, value))
            for value in values.tolist()
        ]
        return np.array(found, np.float64)
    places, unique = pd.factorize(values, use_na_sentinel=False)
    return np.array([_code(column, value) for value in unique.tolist()], np.float64)[places]


def _code(column: Column, value: Any) -> float:
    if _is_nan(value) or (column.text and value is None):
        return np.nan
    return column.words.get(_text(value) if column.text else value, UNKNOWN)


def _text(value: Any) -> str:
    whole = isinstance(value, float | bool) and value % 1 == 0
    return str(int(value) if whole else value)


def _seconds(column: Column, values: pd.Series) -> np.ndarray:
    if column.form == "seconds":
        if values.dtype.kind == "M":  # all missing: NaT alone is taken for a date
            values = values.astype(str)
        lengths = pd.to_timedelta(values, errors="coerce")
        return lengths.dt.total_seconds().to_numpy(np.float64, na_value=np.nan)
    if values.dtype.kind in "fiub":  # all missing, or 20240105
        values = values.astype(str)
    times = pd.to_datetime(values, format=column.form, errors="coerce", utc=True)
    start = pd.Timestamp(0, tz="UTC").as_unit("s")  # in nanoseconds it would end in 2262
    return (times - start).dt.total_seconds().to_numpy(np.float64)


def _is_nan(value: Any) -> bool:
    return value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)
