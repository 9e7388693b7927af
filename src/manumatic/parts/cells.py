"""Cells of a table → numbers or words: what scikit-learn's transformers do not read themselves.

Eject copies these functions into a plain script, each on its own: they use ``np``, ``pd`` and their
arguments only.  One row gives what it gives among others, so nothing is guessed from the rows.
"""

__all__ = [
    "date_names",
    "dates",
    "numbers",
    "seconds",
    "sentences",
    "smooth_clip",
    "words",
]

import numpy as np
import pandas as pd


def smooth_clip(
    X: np.ndarray, bound: float | list[float] = 3.0, dtype: str | None = None
) -> np.ndarray:
    """Squeeze outliers smoothly into ±bound: x / √(1 + (x/bound)²); near 0 x stays as it is."""
    X, limit = np.asarray(X), np.asarray(bound, np.float32)  # float32 stays float32
    found = np.empty_like(X, dtype)
    for first in range(0, len(X), 4096):  # what stands between x and the result stays small
        x = X[first : first + 4096]
        found[first : first + 4096] = x / np.sqrt(1 + np.square(x / limit))
    return found


def numbers(table: pd.DataFrame) -> np.ndarray:
    """Numbers of any kind, strings of them too, as floats (n, d); what is none becomes NaN."""
    if all(isinstance(kind, np.dtype) and kind.kind in "fiub" for kind in table.dtypes):
        return table.to_numpy(dtype=float)
    columns = [pd.to_numeric(table[name], errors="coerce") for name in table]
    return np.column_stack([column.to_numpy(dtype=float, na_value=np.nan) for column in columns])


def seconds(table: pd.DataFrame) -> np.ndarray:
    """Durations as seconds (n, d); missing ones become NaN."""
    columns = []
    for name in table:
        column = table[name]
        if column.dtype.kind == "M":  # all missing: NaT alone is taken for a date
            column = column.astype(str)
        lengths = pd.to_timedelta(column, errors="coerce").dt.total_seconds()
        columns.append(lengths.to_numpy(dtype=float, na_value=np.nan))
    return np.column_stack(columns)


def words(table: pd.DataFrame) -> np.ndarray:
    """Every value as a string (n, d), so that 1, 1.0 and "1" are the same; missing ones are NaN."""
    columns = []
    for name in table:
        codes, values = pd.factorize(table[name])  # a missing value has the code -1, the last text
        texts = [
            str(int(value) if isinstance(value, float | bool) and value % 1 == 0 else value)
            for value in values.tolist()
        ]
        columns.append(np.array([*texts, np.nan], dtype=object)[codes])
    return np.column_stack(columns)


def sentences(table: pd.DataFrame | np.ndarray | list[str]) -> list[str]:
    """One column of text, (n,) or (n, 1), as a list of strings; missing ones are empty."""
    column = pd.DataFrame(table).iloc[:, 0]
    return ["" if gone else str(text) for text, gone in zip(column, column.isna(), strict=True)]


def dates(table: pd.DataFrame, formats: list[str]) -> np.ndarray:
    """Thirteen numbers a date, in UTC: year to hour, seconds since 1970, circles, is missing."""
    columns = []
    for name, form in zip(table, formats, strict=True):
        column = table[name]
        if column.dtype.kind in "fiub":  # all missing, or 20240105
            column = column.astype(str)
        times = pd.to_datetime(column, format=form, errors="coerce", utc=True)
        when, start = times.dt, pd.Timestamp(0, tz="UTC").as_unit("s")  # 9999 is a date, too
        columns += [when.year, when.month, when.day, when.day_of_week, when.hour]
        columns.append((times - start).dt.total_seconds())
        clock = when.hour + when.minute / 60
        for turn in ((when.month - 1) / 12, when.day_of_week / 7, clock / 24):
            waves = np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)
            columns += [np.round(2**40 * wave) / 2**40 for wave in waves]  # half a turn has sine 0
        columns.append(times.isna())
    return np.column_stack([np.asarray(column, dtype=float) for column in columns])


def date_names(transformer: object, columns: list[str]) -> list[str]:
    """Names of what :func:`dates` returns."""
    plain = ["year", "month", "day", "weekday", "hour", "seconds"]
    circles = [f"{part}_{of}" for part in ("month", "weekday", "hour") for of in ("sin", "cos")]
    return [f"{column}_{part}" for column in columns for part in [*plain, *circles, "missing"]]
