"""Rows of any kind → the inputs of a graph, by the schema alone: no pandas, scikit-learn, torch."""

__all__ = ["STRANGER", "cells_of", "feed_of", "feeds_of"]

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manumatic.deliver.schema import Column, Schema, is_missing
from manumatic.errors import DataError, nearest

EPOCH = datetime.datetime(1970, 1, 1)
STRANGER = "\x00a word that nobody knows"  # no category is called so


def cells_of(schema: Schema, rows: Any) -> dict[str, Any]:
    """Rows of any kind → column name → cells (n,); an array is one block ``X``.

    Parameters
    ----------
    schema : Schema
    rows : DataFrame, dict of columns, list of dicts, array or list of rows
        Names decide where there are some, else the order. A schema of text takes a list of strings.

    Raises
    ------
    DataError
        A column is missing, unknown or of another length, or there is none at all.
    """
    named = isinstance(rows, Mapping) or hasattr(rows, "columns")
    if schema.form == "text":
        return {"text": rows["text"] if named else _flat(rows)}
    if schema.form == "array":
        return {"X": rows["X"] if isinstance(rows, Mapping) and "X" in rows else rows}
    if named:
        return _named(schema, rows)
    if isinstance(rows, list | tuple) and rows and isinstance(rows[0], Mapping):
        return _checked(schema, _columns(schema, rows))
    return _by_place(schema, rows)


def _named(schema: Schema, rows: Any) -> dict[str, Any]:
    """Columns of a table; where the model knows no names, those of the table mean nothing."""
    names = rows.columns if hasattr(rows, "columns") else rows
    found = {str(name): rows[name] for name in names}
    if not schema.named and list(found) != schema.names:
        return _by_place(schema, list(zip(*found.values(), strict=True)))
    return _checked(schema, found)


def _columns(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns of a list of dicts; a cell that a row lacks is missing."""
    strange = [name for row in rows for name in row if name not in schema.names]
    if strange:
        raise DataError(_unknown(schema, strange[0]))
    there = {name for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in schema.names if name in there}


def _unknown(schema: Schema, name: str) -> str:
    return f"the model knows no column {name!r}.{nearest(name, schema.names)}"


def _checked(schema: Schema, found: dict[str, Any]) -> dict[str, Any]:
    gone = [name for name in schema.names if name not in found]
    if gone:
        hint = nearest(gone[0], found)
        raise DataError(f"the rows lack the column {gone[0]!r}.{hint}")
    strange = [name for name in found if name not in schema.names]
    if strange:
        raise DataError(_unknown(schema, strange[0]))
    lengths = {name: len(found[name]) for name in schema.names}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns have different lengths: {lengths}")
    return {name: found[name] for name in schema.names}


def _by_place(schema: Schema, rows: Any) -> dict[str, Any]:
    """Columns of rows without names, in the order of the schema."""
    table = rows if isinstance(rows, np.ndarray) else np.array(list(map(list, rows)), dtype=object)
    if table.ndim != 2 or table.shape[1] != len(schema.columns):
        raise DataError(
            f"rows have the shape {tuple(table.shape[1:])}; the model takes "
            f"{len(schema.columns)} columns: {', '.join(schema.names[:10])}"
        )
    return dict(zip(schema.names, table.T, strict=True))


def _flat(rows: Any) -> list[Any]:
    return [row[0] if isinstance(row, list | tuple | np.ndarray) else row for row in rows]


def feeds_of(schema: Schema, rows: Any) -> dict[str, np.ndarray]:
    """Rows of any kind → the inputs of the graph.

    Parameters
    ----------
    schema : Schema
    rows
        As for :func:`cells_of`.

    Returns
    -------
    dict of str to ndarray
        Columns (n, 1): float64, NaN where one is missing; or text, "" where one is missing. Of an
        array ``X`` (n, …).

    Raises
    ------
    DataError
        A cell is of the wrong kind, missing where none may be, infinite, or a word that the model
        does not take. The message names row and column and never the value.

    Examples
    --------
    >>> schema = Schema("table", True, [Column("size", "number"), Column("city", "word")], [])
    >>> feeds_of(schema, [{"size": 50, "city": "Ulm"}, {"size": 80.5, "city": "Bonn"}])["size"]
    array([[50. ],
           [80.5]])
    """
    cells = cells_of(schema, rows)
    if schema.form == "array":
        return {"X": _block(schema, cells["X"])}
    if schema.form == "text":
        column = Column("text", "word", nullable=True, text=True)
        return {"text": feed_of(column, list(cells["text"]))}
    found = {column.name: feed_of(column, cells[column.name]) for column in schema.columns}
    if not len(next(iter(found.values()))):
        raise DataError("there are 0 rows; give one at least")
    return found


def feed_of(column: Column, values: Any) -> np.ndarray:
    """One column → an input (n, 1) of the graph; errors as of :func:`feeds_of`.

    Parameters
    ----------
    column : Column
    values : sequence (n,)

    Examples
    --------
    >>> feed_of(Column("size", "number", nullable=True), [50, None])
    array([[50.],
           [nan]])
    """
    read = _words if column.kind == "word" else _numbers
    return read(column, values)[:, None]


def _block(schema: Schema, rows: Any) -> np.ndarray:
    """Numbers (n, …) of float64."""
    if hasattr(rows, "to_numpy"):
        rows = rows.to_numpy()
    rows = np.asarray(rows)
    if rows.dtype.kind == "O":
        flat = _numbers(Column("X", "number", nullable=True), rows.ravel())
        rows = flat.reshape(rows.shape)
    if rows.dtype.kind not in "fiu":
        raise DataError(f"X must hold numbers; it holds {rows.dtype}")
    if rows.ndim < 2 or list(rows.shape[1:]) != schema.shape or not len(rows):
        raise DataError(
            f"X has the shape {rows.shape}; the model takes (n, "
            f"{', '.join(map(str, schema.shape or []))}) with a row at least"
        )
    numbers = rows.astype(np.float64)
    for place, column in enumerate(schema.columns):
        _check_finite(column, numbers[:, place])
    return numbers


def _numbers(column: Column, values: Any) -> np.ndarray:
    """One column as float64 (n,): numbers, dates as seconds since 1970 (UTC), durations."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if column.kind == "date":
        numbers = _each(column, values, _seconds)
    elif isinstance(values, np.ndarray) and values.dtype.kind in (
        "fiub" if column.kind == "boolean" else "fiu"
    ):
        numbers = values.astype(np.float64)
    else:
        numbers = _each(column, values, _number)
    _check_finite(column, numbers)
    return numbers


def _check_finite(column: Column, numbers: np.ndarray) -> None:
    if np.isfinite(numbers).all():
        return
    endless = np.isinf(numbers)
    if endless.any():
        raise DataError(_at(int(endless.argmax()), column, "is infinite"))
    if not column.nullable:
        raise DataError(_at(int(np.isnan(numbers).argmax()), column, "is missing"))


def _each(column: Column, values: Any, read: Callable[[Column, Any], float | None]) -> np.ndarray:
    found = np.empty(len(values))
    for row, value in enumerate(values):
        number = np.nan if is_missing(value) else read(column, value)
        if number is None:
            raise DataError(_at(row, column, f"is a {type(value).__name__}"))
        found[row] = number
    return found


def _number(column: Column, value: Any) -> float | None:
    if column.kind == "duration" and isinstance(value, datetime.timedelta | np.timedelta64):
        return float(np.timedelta64(value) / np.timedelta64(1, "s"))
    if isinstance(value, bool | np.bool_):
        return float(value) if column.kind == "boolean" else None
    if not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return float(value)
    except OverflowError:
        return np.inf


def _seconds(column: Column, value: Any) -> float | None:
    """Seconds since 1970, UTC."""
    if isinstance(value, np.datetime64):
        return float((value - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if not isinstance(value, datetime.datetime):
        return None
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return (value - EPOCH).total_seconds()


def _words(column: Column, values: Any) -> np.ndarray:
    """One column as text (n,); a word that the model does not know stays one."""
    known = {word: str(word) for word in column.categories or () if word is not None}
    missing = "None" if None in (column.categories or ()) else ""
    found = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        if is_missing(value):
            if not column.nullable:
                raise DataError(_at(row, column, "is missing"))
            found[row] = missing
        elif isinstance(value, str | int | float | np.number | np.bool_):
            found[row] = _word(row, column, known, _as_text(value) if column.text else value)
        else:
            raise DataError(_at(row, column, f"is a {type(value).__name__}"))
    return found


def _word(row: int, column: Column, known: dict[Any, str], word: Any) -> str:
    """The text of a word in the graph; where words are listed, 1 must not become the word "1"."""
    if column.categories is None:
        return str(word)
    if word not in known and not column.unseen:
        raise DataError(_at(row, column, "is a word that the model has never seen"))
    return known.get(word, STRANGER)


def _as_text(value: Any) -> str:
    whole = isinstance(value, float | bool | np.floating | np.bool_) and value % 1 == 0
    return str(int(value) if whole else value)


EXPECTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "word": "one of the known words",
    "date": "a date (ISO 8601)",
    "duration": "seconds",
}


def _at(row: int, column: Column, what: str) -> str:
    empty = ", or nothing" if column.nullable else ""
    return f"row {row}, {column.name!r} {what}; expected {EXPECTED[column.kind]}{empty}"
