"""What a model takes and gives: typed columns, outputs, and a profile of the training rows."""

__all__ = ["Column", "KINDS", "Output", "Schema", "is_missing", "learn_column", "profile_of"]

import datetime
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from manumatic.errors import DataError

KINDS = ("number", "integer", "boolean", "word", "date", "duration", "image")
FORMS = ("table", "array", "text")
MOST_WORDS = 10_000  # different values that are listed
QUANTILES = 11  # edges of the profile: minimum, deciles, maximum
TOP = 50  # values that the profile of a column of words counts


@dataclass(frozen=True)
class Column:
    """A column of the rows.

    Attributes
    ----------
    name : str
    kind : "number", "integer", "boolean", "word", "date", "duration" or "image"
        A date is given as ISO 8601 text (UTC where it says nothing), a duration in seconds, an
        image as text: ``data:image/png;base64,...``.
    nullable : bool
        The model takes a missing value here.
    unseen : bool
        The model takes a word that is not among the categories.
    categories : list or None
        The words that the model knows; None where it is no word, or they are too many to list. A
        None in it means that the model knows a missing value as a word of its own.
    text : bool
        Words are compared as text: 1 and "1" are the same.
    low, high : float, str or None
        The range seen in the sample rows.
    example : Any
        A value to show.
    dtype : str or None
        What the sample rows held it as, in the words of pandas or NumPy.
    profile : dict or None
        What the sample rows looked like, to see drift: see :func:`profile_of`. Dates are measured
        in seconds since 1970.
    """

    name: str
    kind: str
    nullable: bool = False
    unseen: bool = True
    categories: list[Any] | None = None
    text: bool = False
    low: Any = None
    high: Any = None
    example: Any = None
    dtype: str | None = None
    profile: dict[str, Any] | None = None


@dataclass(frozen=True)
class Output:
    """One of the things that a model says about a row.

    Attributes
    ----------
    name : str
        ``label``, ``prediction``, ``probability``, ``score`` or ``transformed``; of several
        targets with classes, ``probability_0`` …
    method : str
        The method of the estimator that gives it.
    dtype : str
    shape : list of int
        Of one row; empty for a single value.
    classes : list or None
        The labels, or for several targets a list of such lists.
    profile : dict or None
        As in :class:`Column`, of what the model said about the sample rows.
    """

    name: str
    method: str
    dtype: str
    shape: list[int]
    classes: list[Any] | None = None
    profile: dict[str, Any] | None = None


@dataclass(frozen=True)
class Schema:
    """What a model takes and gives.

    Attributes
    ----------
    form : "table", "array" or "text"
        Columns, one block of numbers a row, or one text a row.
    named : bool
        Columns have names of their own; else they are "0", "1" … and go by position.
    columns : list of Column
        Of an array, one for each number of a row where a row is flat.
    outputs : list of Output
    shape : list of int
        Of a row of an array: ``[features]``, ``[height, width]`` …
    dtype : str
        Of an array.

    Examples
    --------
    >>> schema = Schema("table", True, [Column("size", "number", nullable=True)], [])
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    form: str
    named: bool
    columns: list[Column]
    outputs: list[Output]
    shape: list[int] | None = None
    dtype: str = "float64"

    @property
    def names(self) -> list[str]:
        """Of the columns, in order."""
        return [column.name for column in self.columns]

    @property
    def methods(self) -> dict[str, str]:
        """Output → the method of the estimator that gives it."""
        return {output.name: output.method for output in self.outputs}

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Any) -> "Schema":
        """From plain values.

        Parameters
        ----------
        told : dict
            What :meth:`to_json` gave.

        Raises
        ------
        DataError
            They are no schema.
        """
        given = dict(_known(cls, told))
        columns = [Column(**_known(Column, one)) for one in given.pop("columns", ())]
        outputs = [Output(**_known(Output, one)) for one in given.pop("outputs", ())]
        try:
            schema = cls(columns=columns, outputs=outputs, **given)
        except TypeError as error:
            raise DataError(f"this is no schema: {error}") from None
        strange = [c.kind for c in columns if c.kind not in KINDS]
        if schema.form not in FORMS or strange or len(set(schema.names)) < len(columns):
            raise DataError(
                f"this is no schema: form {schema.form!r}, kinds {strange}, columns {schema.names}"
            )
        return schema


def _known(kind: type[Any], told: Any) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    if not isinstance(told, dict) or not set(told) <= names:
        raise DataError(f"this is no {kind.__name__} of a schema: {str(told)[:80]}")
    return told


def is_missing(value: Any) -> bool:
    """None, NaN, and what pandas has for them.

    Parameters
    ----------
    value : object
        A cell.

    Examples
    --------
    >>> is_missing(float("nan")), is_missing(0.0), is_missing("")
    (True, False, False)
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and math.isnan(value)


def learn_column(
    name: str,
    values: Sequence[Any],
    *,
    kind: str | None = None,
    words: Sequence[Any] | None = None,
    text: bool = False,
    dtype: str | None = None,
) -> tuple[Column, list[Any]]:
    """What a column is, from its cells and from what the estimator says.

    Parameters
    ----------
    name : str
    values : sequence
        Cells of sample rows, maybe none.
    kind : "number", "word", "date", "duration" or None
        What the estimator reads it as; None where it does not say.
    words : sequence, optional
        The words that the estimator knows.
    text : bool
        It compares them as text.
    dtype : str, optional
        Of the sample rows.

    Returns
    -------
    Column
        ``nullable`` says whether a sample is missing; only the estimator knows what it takes.
    list
        The cells as plain values: None for a missing one.

    Examples
    --------
    >>> column, cells = learn_column("size", [50, None, 80.5])
    >>> column.kind, column.low, column.high, cells
    ('number', 50.0, 80.5, [50.0, None, 80.5])
    """
    kept = [value for value in values if not is_missing(value)]
    found = _kind_of(kind, kept, dtype)
    cells = [None if is_missing(value) else _plain(value, found) for value in values]
    there = [cell for cell in cells if cell is not None]
    ordered = found != "word" and bool(there)
    categories = _categories(there, words) if found == "word" else None
    example = there[0] if there else next((c for c in categories or () if c is not None), None)
    column = Column(
        name,
        found,
        nullable=len(there) < len(cells),
        categories=categories,
        text=text,
        low=min(there) if ordered else None,
        high=max(there) if ordered else None,
        example=example,
        dtype=dtype,
        profile=profile_of(_measured(cells, found)) if cells else None,
    )
    return column, cells


def _categories(cells: list[Any], words: Sequence[Any] | None) -> list[Any] | None:
    """The words that an estimator knows, else those of the cells where they can be listed."""
    known = list(words) if words is not None else sorted(set(cells), key=str)
    if words is None and len(known) > MOST_WORDS:
        return None
    return [None if is_missing(word) else _plain(word, "word") for word in known]


def _measured(cells: list[Any], kind: str) -> list[Any]:
    """Dates as seconds since 1970: quantiles say more of them than counts."""
    if kind != "date":
        return cells
    start = datetime.datetime(1970, 1, 1)
    return [
        None if cell is None else (datetime.datetime.fromisoformat(cell) - start).total_seconds()
        for cell in cells
    ]


def _kind_of(told: str | None, values: Sequence[Any], dtype: str | None) -> str:
    if told in ("word", "date", "duration"):
        return told
    if dtype is not None and dtype.startswith("timedelta"):
        return "duration"
    if told is None and values:
        if all(isinstance(v, datetime.date | np.datetime64) for v in values):
            return "date"
        if any(isinstance(v, str) for v in values):
            return "word"
    if values and all(isinstance(v, bool | np.bool_) for v in values):
        return "boolean"
    if values and all(isinstance(v, int | np.integer) for v in values):
        return "integer"
    return "number"


def _plain(value: Any, kind: str) -> Any:
    """A cell as JSON has it."""
    if kind == "date":
        return _iso(value)
    if kind == "duration":
        return float(np.timedelta64(value) / np.timedelta64(1, "s"))
    if kind in ("number", "integer"):
        return int(value) if kind == "integer" else float(value)
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float) else str(value)


def _iso(value: Any) -> str:
    """A date as text in UTC, to the microsecond."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if not isinstance(value, datetime.date):
        raise DataError(f"{value!r} is no date")
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    return value.replace(microsecond=value.microsecond).isoformat()


def profile_of(cells: Sequence[Any]) -> dict[str, Any]:
    """A few numbers that tell one month's rows from another's: quantiles or counts, and nulls.

    Parameters
    ----------
    cells : sequence
        Plain values, None for a missing one.

    Returns
    -------
    dict
        ``rows``, ``null`` (share of missing ones), and ``edges`` (minimum, deciles, maximum) for
        numbers or ``counts`` (the most frequent values and how many) and ``other`` for words.

    Examples
    --------
    >>> profile_of([0.0, 1.0, 2.0, None])["edges"][::5]
    [0.0, 1.0, 2.0]
    >>> profile_of(["Ulm", "Bonn", "Ulm"])["counts"]
    [['Ulm', 2], ['Bonn', 1]]
    """
    there = [cell for cell in cells if cell is not None]
    told = {"rows": len(cells), "null": (len(cells) - len(there)) / max(1, len(cells))}
    if there and all(isinstance(c, int | float) and not isinstance(c, bool) for c in there):
        edges = np.quantile(np.asarray(there, np.float64), np.linspace(0, 1, QUANTILES))
        return told | {"edges": edges.tolist()}
    top = Counter(there).most_common(TOP)
    return told | {
        "counts": [list(pair) for pair in top],
        "other": len(there) - sum(count for _, count in top),
    }
