"""Asking an estimator: plain rows → what it takes, and what it says about them."""

__all__ = ["answers_of", "methods_of", "outputs_for", "rows_for"]

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from manumatic.deliver.schema import Column, Output, Schema, is_missing
from manumatic.errors import DataError

METHODS = (  # output → methods, the first that is there
    ("probability", ("predict_proba",)),
    ("score", ("decision_function", "score_samples")),
    ("transformed", ("transform",)),
)


def rows_for(schema: Schema, cells: dict[str, list[Any]]) -> Any:
    """Plain columns → the DataFrame, array or list of texts that the estimator takes.

    Parameters
    ----------
    schema : Schema
    cells : dict of str to list
        Golden rows.
    """
    if schema.form == "text":
        return list(cells["text"])
    if schema.form == "array":
        return np.array(cells["X"], dtype=object).astype(schema.dtype)
    if not schema.named:
        found = [list(map(_nan, cells[c.name])) for c in schema.columns]
        return np.array(list(zip(*found, strict=True)), dtype=object)
    return pd.DataFrame({c.name: _series(c, cells[c.name]) for c in schema.columns})


def _nan(value: Any) -> Any:
    return np.nan if value is None else value


def _series(column: Column, cells: Sequence[Any]) -> pd.Series:
    """A column as the sample rows had it."""
    dtype = column.dtype or ""
    if column.kind == "date":
        zone = dtype.partition(", ")[2].rstrip("]")
        dates = pd.Series(pd.to_datetime(list(cells), utc=bool(zone), format="ISO8601"))
        return dates.dt.tz_convert(zone) if zone else dates
    if column.kind == "duration":
        return pd.Series(pd.to_timedelta(np.array(cells, np.float64), unit="s"))
    if dtype == "category":
        known = column.categories or []
        strange = set(cells) - {*known, None}
        return pd.Series(pd.Categorical(cells, categories=[*known, *sorted(strange, key=str)]))
    if column.kind == "image":
        return pd.Series(list(cells), dtype=object)
    if column.kind == "word":
        return _word_series(column, cells, dtype)
    return _number_series(column, cells, dtype, None in cells)


def _word_series(column: Column, cells: Sequence[Any], dtype: str) -> pd.Series:
    empty = None if None in (column.categories or ()) else np.nan
    values = [empty if cell is None else cell for cell in cells]
    textual = all(isinstance(value, str) or is_missing(value) for value in values)
    return pd.Series(values, dtype=dtype if dtype in ("str", "string") and textual else object)


def _number_series(column: Column, cells: Sequence[Any], dtype: str, missing: bool) -> pd.Series:
    if dtype[:1].isupper():  # pandas' own: Int64, Float64
        return pd.Series(cells, dtype=dtype)
    if dtype == "boolean":
        return pd.Series(cells, dtype=dtype)
    if column.kind == "boolean":
        return pd.Series(list(map(_nan, cells)), dtype=object if missing else bool)
    if dtype.startswith("float"):
        return pd.Series(cells, dtype=dtype)
    if column.kind == "integer" and not missing:
        return pd.Series(cells, dtype=dtype if dtype.startswith(("int", "uint")) else "int64")
    return pd.Series(cells, dtype="float64")


# --- outputs -------------------------------------------------------------------------------------


def methods_of(estimator: Any) -> dict[str, str]:
    """Outputs and the methods that give them, as a graph of the estimator would name them.

    Parameters
    ----------
    estimator : fitted estimator
    """
    extra = [
        (name, method)
        for name, methods in METHODS
        for method in [next((m for m in methods if hasattr(estimator, m)), None)]
        if method is not None
    ][:1]
    if not hasattr(estimator, "predict"):
        return _several(estimator, dict(extra))
    labels = hasattr(estimator, "classes_") or bool(extra)
    extra = [pair for pair in extra if pair[0] != "transformed"]
    return _several(estimator, {"label" if labels else "prediction": "predict"} | dict(extra))


def _several(estimator: Any, told: dict[str, str]) -> dict[str, str]:
    """Several targets have probabilities each."""
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, list) or "probability" not in told:
        return told
    method = told.pop("probability")
    return told | {f"probability_{i}": method for i in range(len(classes))}


def outputs_for(estimator: Any, told: dict[str, str], rows: Any) -> list[Output]:
    """The outputs of an estimator, after a look at what it says.

    Parameters
    ----------
    estimator : fitted estimator
    told : dict of str to str
        Output → method.
    rows
        As :func:`rows_for` makes them.

    Raises
    ------
    DataError
        It has no output.
    """
    if not told:
        raise DataError(f"{type(estimator).__name__} has neither predict nor transform")
    outputs = []
    for name, found in answers_of(estimator, told, rows).items():
        classes = None
        if told[name] == "predict" and hasattr(estimator, "classes_"):
            given = estimator.classes_
            classes = [of.tolist() for of in given] if isinstance(given, list) else given.tolist()
        dtype = {"U": "str", "O": "object", "T": "object"}.get(found.dtype.kind, found.dtype.name)
        outputs.append(Output(name, told[name], dtype, list(found.shape[1:]), classes))
    return outputs


def answers_of(estimator: Any, told: dict[str, str], rows: Any) -> dict[str, np.ndarray]:
    """What an estimator says about rows that it takes, by output.

    Parameters
    ----------
    estimator : fitted estimator
    told : dict of str to str
        Output → method.
    rows
        As :func:`rows_for` makes them.
    """
    found: dict[str, np.ndarray] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about words never seen, which is what is tried
        for method in dict.fromkeys(told.values()):
            names = [name for name, of in told.items() if of == method]
            values = getattr(estimator, method)(rows)
            parts = values if isinstance(values, list) else [values]
            found |= zip(names, map(_array, parts), strict=True)
    return found


def _array(values: Any) -> np.ndarray:
    if hasattr(values, "toarray"):
        values = values.toarray()
    values = np.asarray(values)
    return values.astype(np.float64) if values.dtype.kind == "f" else values
