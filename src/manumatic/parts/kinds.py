"""Which kind each column of a table is, from the training rows."""

__all__ = ["FAR", "MANY", "PROSE", "column_kinds", "date_format", "is_tailed", "number_kinds"]

import re
import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype
from pandas.tseries.api import guess_datetime_format

from manumatic.errors import DataError
from manumatic.parts.cells import numbers, words
from manumatic.parts.mixed import is_picture_column

MANY = 40  # different values from which a category is no longer one-hot (skrub's border)
PROSE = 4  # words a value, on average, from which a string is a text
FAR = 5  # quartile distances from the median from which a value is an outlier: 6.7 σ of a normal
UNIQUE = 0.9  # different values a row from which strings are taken to name the row

BLANKS = {"", "-", "?", "na", "n/a", "nan", "none", "null"}  # how files write "missing"
YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)")  # no string without a year is taken for a date
ROW_NAME = re.compile(
    r"(?i:(^|[\W_])(id|idx|index|key|no|nr|row|uuid|guid|unnamed: \d+)$)|[a-z](Id|ID)$"
)
# what pandas sees in a column → kind; anything else is looked at as strings
SEEN = {
    **dict.fromkeys(("boolean", "integer", "floating", "decimal"), "numbers"),
    "mixed-integer-float": "numbers",
    **dict.fromkeys(("timedelta", "timedelta64"), "durations"),
    **dict.fromkeys(("datetime", "datetime64", "date"), "dates"),
}


def column_kinds(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Kind of every column, and the format of the dates among them.

    Parameters
    ----------
    frame : DataFrame (n, d)
        At least one row.

    Returns
    -------
    list of (kind, format)
        Kinds are "numbers", "durations", "dates", "pairs" (two different values), "categories",
        "levels" (:data:`MANY` different values or more), "text", "images", and those of no
        use: "constant", "missing" and "ids". The format is empty but for dates.

    Raises
    ------
    DataError
        A column holds complex numbers, or what is no single value: lists, dictionaries, arrays.

    Examples
    --------
    >>> flats = pd.DataFrame({"size": ["50", "80.5", "?"], "built": ["1.3.1990", "31.12.2001", ""]})
    >>> column_kinds(flats)
    [('numbers', ''), ('dates', '%d.%m.%Y')]
    """
    plain = [isinstance(kind, np.dtype) and kind.kind in "fiub" for kind in frame.dtypes]
    block = frame if all(plain) else frame.loc[:, plain]
    known = iter(number_kinds(block.to_numpy(dtype=float), block.columns))
    return [
        (next(known), "") if simple else _kind(frame.iloc[:, place])
        for place, simple in enumerate(plain)
    ]


def number_kinds(block: np.ndarray, names: Iterable[object] = ()) -> list[str]:
    """Kinds of the columns of a block of floats (n, d): "numbers" or of no use.

    Only columns named like an id are looked at one by one: in all others, different whole numbers
    may be a rank or a day.
    """
    low, high = block.min(axis=0), block.max(axis=0)  # NaN where a value is missing
    kinds = np.where(low == high, "constant", "numbers").astype(object)
    gaps = np.flatnonzero(np.isnan(low))
    kinds[gaps[np.isnan(block[:, gaps]).all(axis=0)]] = "missing"
    for i, name in enumerate(names):
        if kinds[i] == "numbers" and ROW_NAME.search(str(name)) and _are_counts(block[:, i]):
            kinds[i] = "ids"
    return list(kinds)


def is_tailed(block: np.ndarray) -> np.ndarray:
    """Whether the columns of a block of floats (n, d) hold outliers; quartiles from 2,000 rows.

    Examples
    --------
    >>> is_tailed(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0], [5.0, 500.0]]))
    array([False,  True])
    """
    some = block[:: max(1, len(block) // 2000)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without a value among these rows
        low, middle, high = np.nanquantile(some, [0.25, 0.5, 0.75], axis=0)
        far = np.fmax(np.nanmax(block, axis=0) - middle, middle - np.nanmin(block, axis=0))
    return far > FAR * (high - low) * (1 + 1e-9)  # the same in any unit, also at the border


def date_format(values: pd.Series) -> str | None:
    """The one format in which all of these different strings are dates.

    Returns
    -------
    str or None
        "ISO8601" or a pattern of strptime. Where 01/02/2024 could be either, the month is first,
        as in pandas; a 13 anywhere settles it.

    Examples
    --------
    >>> date_format(pd.Series(["01/02/2024", "13/02/2024"]))
    '%d/%m/%Y'
    """
    values = values[~_are_blank(values)]
    if values.empty or not YEAR.search(values.iloc[0]):
        return None
    with warnings.catch_warnings():  # a guess that fits badly warns; it is checked below instead
        warnings.simplefilter("ignore")
        guesses = [guess_datetime_format(values.iloc[0], dayfirst=day) for day in (False, True)]
    for form in ("ISO8601", *filter(None, guesses)):
        tries = (values.iloc[:20], values)  # most columns that are no dates fail on a few
        if all(_are_dates(some, form) for some in tries):
            return form
    return None


def _are_dates(values: pd.Series, form: str) -> bool:
    return bool(pd.to_datetime(values, format=form, errors="coerce", utc=True).notna().all())


def _are_blank(values: pd.Series) -> pd.Series:
    return values.str.strip().str.lower().isin(BLANKS)


def _are_counts(values: np.ndarray) -> bool:
    """Different whole numbers, none missing."""
    return len(np.unique(values)) == len(values) and np.array_equal(values, np.rint(values))


def _are_numbers(values: pd.Series) -> bool:
    """Different strings that are numbers, blanks aside; "0123" is a code."""
    parsed = pd.to_numeric(values, errors="coerce")
    if parsed.isna().all() or np.isinf(parsed).any():
        return False
    blank = _are_blank(values[parsed.isna()])
    return bool(blank.all()) and not values.str.match(r"\s*[+-]?0\d").any()


def _kind(column: pd.Series) -> tuple[str, str]:
    """Kind of one column, and the format of its dates."""
    if is_picture_column(column):
        return "images", ""
    found = infer_dtype(column, skipna=True)
    if found == "complex":
        raise DataError(f"column {column.name!r} holds complex numbers: give their .real and .imag")
    different = _different(column)
    if column.isna().all():
        return "missing", ""
    if len(different) == 1:
        return "constant", ""
    kind = SEEN.get(found, "")
    if not kind:
        texts = pd.Series(words(different.to_frame())[:, 0], dtype=object)
        values, known = texts.dropna().drop_duplicates(), int(column.count())
        if found == "categorical":
            return _word_kind(values, known), ""
        if form := date_format(values):
            return "dates", form
        kind = "numbers" if _are_numbers(values) else _word_kind(values, known)
    if kind == "numbers":
        kind = number_kinds(numbers(column.to_frame()), [column.name])[0]
    return kind, "ISO8601" if kind == "dates" else ""


def _different(column: pd.Series) -> pd.Series:
    """One row for each value."""
    try:
        return pd.Series(column.unique(), name=column.name)
    except (TypeError, NotImplementedError):  # the latter from Arrow
        example = next(value for value in column if getattr(value, "__hash__", None) is None)
        raise DataError(
            f"column {column.name!r} holds a {type(example).__name__}, {example!r}: "
            "make it one number or string a row, or several columns"
        ) from None


def _word_kind(values: pd.Series, known: int) -> str:
    """Kind of a column of strings from its different values and how many rows have one."""
    many, unique = len(values) >= MANY, len(values) > UNIQUE * known
    length = np.mean([len(value.split()) for value in values[:1000]])
    if (length >= PROSE and (many or unique)) or (length >= PROSE / 2 and many and unique):
        return "text"
    if many:
        return "ids" if unique else "levels"
    return "pairs" if len(values) <= 2 else "categories"
