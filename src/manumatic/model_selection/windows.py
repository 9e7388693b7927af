"""A series in time → windows of its past and what came next, for any model of rows."""

__all__ = ["windows"]

import warnings
from typing import Any

import numpy as np
import pandas as pd

from manumatic.errors import DataError


def windows(
    series: Any, length: int, horizon: int = 1, step: int = 1, *, target: Any = None
) -> tuple[np.ndarray, Any]:
    """Cut a series into windows; what is to be forecast always comes after all of its window.

    Parameters
    ----------
    series : array (t,) or (t, features), Series or DataFrame
        In the order of time, oldest first. Where an index of dates leaves some out, the steps
        between are missing (NaN).
    length : int
        Steps that a window holds.
    horizon : int
        Steps that are forecast.
    step : int
        Steps from one window to the next.
    target : str or int, optional
        The feature to forecast: the name or the place of a column; needed where there are several.

    Returns
    -------
    X : ndarray (n, length, features) of float64
        Windows, oldest first. A missing value is NaN.
    y : ndarray (n,) or (n, horizon) of float64
        The ``horizon`` steps behind each window; (n,) for one. A Series or DataFrame by the date of
        the first of them where the series has an index. Windows without all of their target are
        left out.

    Raises
    ------
    DataError
        The series is too short, out of order or unevenly dated, or the target is not among its
        features.

    Notes
    -----
    Targets of neighbouring windows overlap. ``TimeSeriesSplit(gap=horizon - 1)`` keeps those out of
    training that reach into the time that is tested on.

    Examples
    --------
    >>> X, y = windows([1.0, 2.0, 3.0, 4.0, 5.0], length=3)
    >>> X[:, :, 0].tolist(), y.tolist()
    ([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]], [4.0, 5.0])
    """
    for name, number in (("length", length), ("horizon", horizon), ("step", step)):
        if not isinstance(number, int | np.integer) or number < 1:
            raise DataError(f"{name} must be a whole number, 1 or more; got {number!r}")
    values, index = _evenly(series)
    place = _place(series, values.shape[1], target)
    if len(values) < length + horizon:
        raise DataError(
            f"the series has {len(values)} steps; windows of {length} and {horizon} to forecast "
            f"need {length + horizon}"
        )
    first = np.arange(0, len(values) - length - horizon + 1, step)
    X = values[first[:, None] + np.arange(length)]
    y = values[first[:, None] + length + np.arange(horizon), place]
    keep = ~np.isnan(y).any(axis=1) & ~np.isnan(X).all(axis=(1, 2))
    X, y, first = X[keep], y[keep], first[keep] + length
    y = y[:, 0] if horizon == 1 else y
    if index is None:
        return X, y
    return X, pd.Series(y, index[first]) if horizon == 1 else pd.DataFrame(y, index[first])


def _evenly(series: Any) -> tuple[np.ndarray, Any]:
    """Values (t, features), one a step of time, and the index of those that has one."""
    if not isinstance(series, pd.Series | pd.DataFrame):
        try:
            values = np.asarray(series, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise DataError(f"the series holds what is no number: {error}") from None
        if values.ndim not in (1, 2):
            raise DataError(f"a series is (t,) or (t, features); got the shape {values.shape}")
        return values.reshape(len(values), -1), None
    frame = series.to_frame() if isinstance(series, pd.Series) else series
    try:
        values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise DataError(f"the series holds what is no number: {error}") from None
    if not isinstance(frame.index, pd.DatetimeIndex):
        return values, frame.index
    every = _every(frame.index)
    if every is None:
        return values, frame.index
    whole = pd.date_range(frame.index[0], frame.index[-1], freq=every)
    found = np.full((len(whole), values.shape[1]), np.nan)
    found[whole.get_indexer(frame.index)] = values
    return found, whole


def _every(dates: pd.DatetimeIndex) -> Any:
    """The time between steps where some are left out; None where the dates are even."""
    if not dates.is_monotonic_increasing or not dates.is_unique:
        raise DataError(
            "the dates of the series are not in order, each once; use series.sort_index() and "
            "drop what comes twice"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas 4, which returns something else than a string
        if len(dates) < 3 or pd.infer_freq(dates) is not None:
            return None
    apart = pd.Series(dates).diff().dropna()
    usual = apart.mode().iloc[0]
    if (apart % usual != pd.Timedelta(0)).any():
        raise DataError(
            f"the dates of the series are unevenly spaced ({apart.min()} to {apart.max()}); "
            "bring them into step with series.asfreq() or series.resample()"
        )
    return usual


def _place(series: Any, features: int, target: Any) -> int:
    """The column that is forecast."""
    if isinstance(series, pd.DataFrame) and target in series.columns:
        return int(series.columns.get_loc(target))
    if target is None and features == 1:
        return 0
    if isinstance(target, int | np.integer) and 0 <= target < features:
        return int(target)
    known = list(series.columns) if isinstance(series, pd.DataFrame) else f"0 to {features - 1}"
    raise DataError(f"target={target!r} names no feature to forecast; there are {known}")
