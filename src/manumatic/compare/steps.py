"""Sequences as scikit-learn's models take them: one row of numbers each."""

__all__ = ["MOST_NUMBERS", "summary"]

import warnings
from typing import Any

import numpy as np

MOST_NUMBERS = 1000  # of a row, up to which its steps are columns, too


def summary(X: Any, whole: bool = False) -> np.ndarray:
    """Mean, spread, least, largest, first and last value and slope of each feature.

    Parameters
    ----------
    X : ndarray (n, t, features)
        NaN where there is no step.
    whole : bool
        The steps themselves come behind, as columns.

    Returns
    -------
    ndarray (n, 7 · features) or (n, (7 + t) · features)
        A feature without a value in a row is NaN.

    Examples
    --------
    >>> summary(np.array([[[1.0], [2.0], [6.0]]])).round(2)
    array([[3.  , 2.16, 1.  , 6.  , 1.  , 6.  , 2.5 ]])
    """
    X = np.asarray(X, dtype=np.float64)
    there = ~np.isnan(X)
    numbers = np.arange(X.shape[1])[None, :, None]
    first = np.where(there, numbers, X.shape[1] - 1).min(axis=1, keepdims=True)
    last = np.where(there, numbers, 0).max(axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # features without a value
        mean = np.nanmean(X, axis=1)
        time = np.where(there, numbers, np.nan)
        away = time - np.nanmean(time, axis=1, keepdims=True)
        slope = np.nansum(away * (X - mean[:, None]), axis=1) / np.nansum(away**2, axis=1)
        slope = np.where(np.isfinite(slope), slope, np.where(np.isnan(mean), np.nan, 0.0))
        columns = [mean, np.nanstd(X, axis=1), np.nanmin(X, axis=1), np.nanmax(X, axis=1)]
    columns += [np.take_along_axis(X, at, axis=1)[:, 0] for at in (first, last)]
    steps = [X.reshape(len(X), -1)] if whole else []
    return np.column_stack([*columns, slope, *steps])
