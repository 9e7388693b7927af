"""Estimator and sample rows → schema and golden rows."""

__all__ = ["Described", "describe"]

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from manumatic.convert.border import Border
from manumatic.convert.border import Column as Unread
from manumatic.deliver.ask import answers_of, outputs_for, rows_for
from manumatic.deliver.schema import (
    Column,
    Schema,
    is_missing,
    learn_column,
    profile_of,
)
from manumatic.errors import DataError
from manumatic.parts.images import Images, are_picture_files, are_pictures
from manumatic.parts.mixed import as_uri, is_picture_column
from manumatic.parts.rows import read_rows
from manumatic.parts.sequences import are_sequences, padded

REAL, MADE_UP = 24, 8  # golden rows from X, or made up; probes of null and unseen come on top
PROBED = 200  # columns that are looked at one by one
NEVER_SEEN = "never seen before"
REFUSALS = (ValueError, TypeError, KeyError, IndexError, RuntimeError, ArithmeticError)


@dataclass
class Described:
    """What a bundle says about an estimator.

    Attributes
    ----------
    schema : Schema
    rows : dict of str to list
        Golden rows as plain columns; of an array, one block ``X``.
    kinds : list of str
        What each golden row is: "of X", "made up", "size missing", "city unseen".
    answers : dict of str to ndarray
        What the estimator says about them.
    sample : dict of str to list
        The rows of X, plain; they are not kept. Empty without X.
    """

    schema: Schema
    rows: dict[str, list[Any]]
    kinds: list[str]
    answers: dict[str, np.ndarray]
    sample: dict[str, list[Any]]


def describe(
    estimator: Any, X: Any, border: Border | None, told: dict[str, str], keep_rows: bool
) -> Described:
    """Learn the schema, and make golden rows.

    Parameters
    ----------
    estimator : fitted estimator
    X : rows or None
        Sample rows.
    border : Border or None
        How its converted module reads rows; None where it has none.
    told : dict of str to str
        Output → method.
    keep_rows : bool
        Rows of X may be kept as golden rows.

    Raises
    ------
    DataError
        X is needed, or the estimator cannot take its rows.
    """
    schema, cells, total = _columns(estimator, X, border)
    real = X is not None and keep_rows
    if real:
        take = np.unique(np.linspace(0, total - 1, min(REAL, total)).astype(int))
        rows = {name: [values[i] for i in take] for name, values in cells.items()}
    else:
        rows = _made_up(schema)
        if X is not None:
            schema = replace(schema, columns=[_without_values(c) for c in schema.columns])
    count = len(next(iter(rows.values())))
    kinds = ["of X" if real else "made up"] * count
    schema = replace(schema, outputs=outputs_for(estimator, told, rows_for(schema, rows)))
    schema, extra = _probe(estimator, schema, rows)
    for kind, more in extra:
        rows = {name: values + more[name] for name, values in rows.items()}
        kinds += [kind]
    answers = answers_of(estimator, told, rows_for(schema, rows))
    if X is not None:
        schema = _with_output_profiles(estimator, schema, rows_for(schema, cells))
    return Described(schema, rows, kinds, answers, cells)


# --- columns -------------------------------------------------------------------------------------


def _columns(
    estimator: Any, X: Any, border: Border | None
) -> tuple[Schema, dict[str, list[Any]], int]:
    """The schema without outputs, and the cells of X by column."""
    if X is None:
        return _from_estimator(estimator, border), {}, 0
    X = _pictures(estimator, X)
    if hasattr(X, "to_pandas"):
        X = X.to_pandas()
    if hasattr(X, "toarray"):
        X = X.toarray()
    if isinstance(X, pd.DataFrame):
        return _from_frame(X, border, named=not _is_nameless(estimator, border))
    X = padded(X) if are_sequences(X) else _as_array(X)
    if X.ndim == 1 and X.dtype.kind in "OUT":
        column, cells = learn_column("text", X.tolist(), kind="word", text=True)
        column = replace(column, categories=None, nullable=True, example=cells[0])
        return Schema("text", False, [column], []), {"text": cells}, len(cells)
    if X.dtype.kind in "OUT":
        names = [str(i) for i in range(X.shape[1])]
        frame = pd.DataFrame(X.astype(object), columns=names).infer_objects()
        return _from_frame(frame, border, named=False)
    return _from_array(X)


def _pictures(estimator: Any, X: Any) -> Any:
    """Some images as an array like those of the fit; other rows as they are."""
    if not (isinstance(X, Images) or are_pictures(X) or are_picture_files(X)):
        return X
    known = getattr(estimator, "_preparation", None)
    return read_rows(X[:REAL], pixels=None if known is None else known.pixels)


def _as_array(X: Any) -> np.ndarray:
    """Lists as numbers, or as objects where they hold words."""
    if isinstance(X, np.ndarray):
        return X
    cells = np.asarray(X, dtype=object)
    words = any(isinstance(cell, str) for cell in cells.ravel().tolist())
    return cells if words else np.asarray(X)


def _is_nameless(estimator: Any, border: Border | None) -> bool:
    if border is not None:
        return not border.named
    known = hasattr(estimator, "n_features_in_") and not hasattr(estimator, "feature_names_in_")
    return known and not hasattr(estimator, "steps")


def _from_array(X: np.ndarray) -> tuple[Schema, dict[str, list[Any]], int]:
    if X.dtype.kind not in "fiub" or X.ndim < 2:
        raise DataError(f"X must be rows; got {X.dtype} of the shape {X.shape}")
    shape = list(X.shape[1:])
    columns = []
    if X.ndim == 2:
        kind = "number"
        columns = [learn_column(str(i), X[:, i].tolist(), kind=kind)[0] for i in range(X.shape[1])]
    cells = X.astype(object)
    if X.dtype.kind == "f":
        cells[np.isnan(X)] = None
    dtype = X.dtype.name if X.dtype.kind == "f" else "float64"
    return Schema("array", False, columns, [], shape, dtype), {"X": cells.tolist()}, len(X)


def _from_frame(
    frame: pd.DataFrame, border: Border | None, *, named: bool
) -> tuple[Schema, dict[str, list[Any]], int]:
    told: dict[str, Unread] = {}
    if border is not None:
        places = [column.name for column in border.columns] if named else map(str, frame.columns)
        told = dict(zip(places, border.columns, strict=True))
    columns, cells = [], {}
    for given in frame.columns:
        name = str(given)
        if told and name not in told:
            continue  # a column that the estimator has not seen in fit
        if is_picture_column(frame[given]):
            cells[name] = list(map(as_uri, frame[given]))
            columns.append(Column(name, "image", nullable=True, dtype="object"))
            continue
        column, cells[name] = _from_series(name, frame[given], told.get(name, Unread(name)))
        columns.append(column)
    return Schema("table", named, columns, []), cells, len(frame)


def _from_series(name: str, values: pd.Series, known: Unread) -> tuple[Column, list[Any]]:
    """A column, from its cells and from how the estimator reads it."""
    kind = known.kind
    if kind == "date":
        kind = "duration" if known.form == "seconds" else kind
        values = _as_dates(values, known.form)
    elif kind == "number" and values.dtype.kind not in "fiubmM":
        values = pd.to_numeric(values, errors="coerce" if known.coerce else "raise")
    column, cells = learn_column(
        name,
        _cells(values),
        kind=kind,
        words=list(known.words) if kind == "word" else None,
        text=known.text,
        dtype=str(values.dtype),
    )
    if column.dtype == "category":
        column = replace(column, categories=[_item(v) for v in values.cat.categories])
    return column, cells


def _as_dates(values: pd.Series, form: str | None) -> pd.Series:
    """Dates or lengths of time, where they are written as text."""
    if values.dtype.kind in "mM":
        return values
    if form == "seconds":
        return pd.to_timedelta(values, errors="coerce")
    return pd.to_datetime(values, errors="coerce", utc=True, format=form).dt.tz_localize(None)


def _cells(values: pd.Series) -> list[Any]:
    if values.dtype.kind == "M":
        return [None if is_missing(value) else value.to_pydatetime() for value in values]
    if values.dtype.kind == "m":
        return [None if is_missing(value) else value.to_timedelta64() for value in values]
    return values.tolist()


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _from_estimator(estimator: Any, border: Border | None) -> Schema:
    """Without sample rows: what the border knows, or names and numbers."""
    if border is None:
        names = getattr(estimator, "feature_names_in_", None)
        count = getattr(estimator, "n_features_in_", None)
        if count is None:
            raise DataError(
                f"{type(estimator).__name__} does not say what rows it takes; give some: "
                "save(estimator, path, X)"
            )
        if names is None:
            columns = [Column(str(i), "number") for i in range(count)]
            return Schema("array", False, columns, [], [count])
        return Schema("table", True, [Column(str(name), "number") for name in names], [])
    columns = [
        learn_column(
            told.name,
            [],
            kind="duration" if told.form == "seconds" else told.kind or "number",
            words=list(told.words),
            text=told.text,
        )[0]
        for told in border.columns
    ]
    if not border.named and all(column.kind == "number" for column in columns):
        return Schema("array", False, columns, [], [len(columns)])
    return Schema("table", border.named, columns, [])


# --- golden rows ---------------------------------------------------------------------------------


def _made_up(schema: Schema) -> dict[str, list[Any]]:
    """Rows that fit the schema, from a generator of their own."""
    rng = np.random.default_rng(0)
    if schema.form == "text":
        words = ["a", "text", "of", "some", "words", NEVER_SEEN]
        return {"text": [" ".join(rng.permutation(words)) for _ in range(MADE_UP)]}
    if schema.form == "array" and not schema.columns:
        return {"X": rng.random((MADE_UP, *(schema.shape or []))).tolist()}
    found = {column.name: _cells_made_up(column, rng) for column in schema.columns}
    if schema.form == "array":
        return {"X": [list(row) for row in zip(*found.values(), strict=True)]}
    return found


def _cells_made_up(column: Column, rng: np.random.Generator) -> list[Any]:
    if column.kind == "word":
        words = [word for word in column.categories or () if word is not None] or ["a", "b"]
        return [words[i] for i in rng.integers(len(words), size=MADE_UP)]
    if column.kind == "image":
        return [None] * MADE_UP
    if column.kind == "date":
        first = np.datetime64(column.low or "2020-01-01", "s")
        last = np.datetime64(column.high or "2024-12-31", "s")
        steps = rng.integers(int((last - first) / np.timedelta64(1, "s")) + 1, size=MADE_UP)
        return [str(first + np.timedelta64(int(step), "s")) for step in steps]
    if column.kind == "boolean":
        return [bool(value) for value in rng.integers(2, size=MADE_UP)]
    if column.low is None:
        numbers = rng.normal(scale=3.0, size=MADE_UP)
        return [float(number) for number in numbers]
    if column.kind == "integer":
        return [int(n) for n in rng.integers(column.low, column.high + 1, size=MADE_UP)]
    return [float(number) for number in rng.uniform(column.low, column.high, size=MADE_UP)]


def _without_values(column: Column) -> Column:
    """Where rows may not be kept, an example of one may not be, either."""
    return replace(column, example=None)


def _probe(
    estimator: Any, schema: Schema, rows: dict[str, list[Any]]
) -> tuple[Schema, list[tuple[str, dict[str, list[Any]]]]]:
    """Try a missing value in each column, and a word never seen: what the estimator takes it takes.

    Returns the schema with ``nullable`` and ``unseen`` set, and the rows that went through.
    """
    if schema.form == "text" or not schema.columns or len(schema.columns) > PROBED:
        return schema, []
    columns, extra = [], []
    for place, column in enumerate(schema.columns):
        missing = _changed(schema, rows, place, None)
        nullable = _takes(estimator, schema, missing)
        if nullable:
            extra.append((f"{column.name} missing", missing))
        unseen = True
        if column.kind == "word":
            strange = _changed(schema, rows, place, _stranger(column))
            unseen = _takes(estimator, schema, strange)
            if unseen:
                extra.append((f"{column.name} unseen", strange))
        columns.append(replace(column, nullable=nullable, unseen=unseen))
    return replace(schema, columns=columns), extra


def _stranger(column: Column) -> Any:
    """A word that the column does not know, of the kind of those that it does."""
    known = [word for word in column.categories or () if word is not None]
    numbers = known and all(type(word) in (int, float) for word in known)
    return max(known) + 1 if numbers else NEVER_SEEN


def _changed(
    schema: Schema, rows: dict[str, list[Any]], place: int, value: Any
) -> dict[str, list[Any]]:
    """One golden row with another cell."""
    if schema.form == "array":
        block = list(rows["X"][place % len(rows["X"])])
        block[place] = value
        return {"X": [block]}
    name = schema.columns[place].name
    index = place % len(rows[name])
    return {each: [values[index]] for each, values in rows.items()} | {name: [value]}


def _takes(estimator: Any, schema: Schema, row: dict[str, list[Any]]) -> bool:
    try:
        found = answers_of(estimator, schema.methods, rows_for(schema, row))
    except REFUSALS:
        return False
    return all(v.dtype.kind != "f" or bool(np.isfinite(v).all()) for v in found.values())


def _with_output_profiles(estimator: Any, schema: Schema, given: Any) -> Schema:
    """What the model said about the sample rows, to see drift of what it says."""
    answers = answers_of(estimator, schema.methods, given)
    outputs = []
    for output in schema.outputs:
        values = answers[output.name]
        told = values.ndim == 1 and output.method == "predict"
        outputs.append(replace(output, profile=profile_of(values.tolist()) if told else None))
    return replace(schema, outputs=outputs)
