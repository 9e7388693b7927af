"""Sequences: rows of steps in several lengths, scaled feature by feature on the steps there are."""

__all__ = ["Sequences", "are_images", "are_sequences", "padded", "steps_of"]

from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from manumatic.errors import DataError

SMALLEST_IMAGE = 8  # pixels a side, from which a square is taken for an image


def are_sequences(X: Any, *, flat: bool = False) -> bool:
    """Whether X is a list of arrays (steps, features) that no one array can hold.

    Parameters
    ----------
    X : object
    flat : bool
        Rows of plain numbers in several lengths count, too: one feature a step.
    """
    if isinstance(X, pd.Series):
        X = X.to_numpy()
    if not _is_list(X) or len(X) == 0:
        return False
    kinds = (list, tuple, np.ndarray, torch.Tensor, pd.DataFrame, pd.Series)
    if not all(isinstance(row, kinds) for row in X):
        return False
    several = len({len(row) for row in X}) > 1 or isinstance(X, np.ndarray)
    return several and (flat or any(np.ndim(row[0]) for row in map(np.asarray, X) if len(row)))


def _is_list(X: Any) -> bool:
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1
    return isinstance(X, list | tuple)


def padded(X: Any) -> np.ndarray:
    """Sequences of several lengths as one array; steps that are not there are NaN.

    Parameters
    ----------
    X : sequence of n arrays (steps, features), or (steps,) for one feature

    Returns
    -------
    ndarray (n, longest, features) of float32

    Raises
    ------
    DataError
        Rows of different numbers of features, or of something that is no number.

    Examples
    --------
    >>> padded([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]])[0]
    array([[ 1.,  2.],
           [nan, nan]], dtype=float32)
    """
    rows = [_one(row, place) for place, row in enumerate(X)]
    widths = [row.shape[1] if len(row) else None for row in rows]
    width = next((width for width in widths if width is not None), None)
    if width is None:
        raise DataError(f"none of the {len(rows)} rows of X has a step")
    for place, other in enumerate(widths):
        if other not in (None, width):
            first = widths.index(width)
            raise DataError(
                f"row {place} of X has {other} features a step, and row {first} has {width}; "
                "sequences may differ in length, not in features"
            )
    found = np.full((len(rows), max(map(len, rows)), width), np.nan, np.float32)
    for place, row in enumerate(rows):
        if len(row):
            found[place, : len(row)] = row
    return found


def _one(row: Any, place: int) -> np.ndarray:
    try:
        numbers = np.asarray(row, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"row {place} of X is no array (steps, features): {error}") from None
    numbers = numbers.reshape(-1, 1) if numbers.ndim == 1 else numbers
    if numbers.ndim != 2:
        raise DataError(
            f"row {place} of X has the shape {numbers.shape}; a sequence is (steps, features)"
        )
    if np.isinf(numbers).any():
        raise DataError(f"row {place} of X contains infinity; replace it with NaN (missing)")
    return numbers


def are_images(X: np.ndarray) -> bool:
    """Whether rows (n, a, b) are taken for images: whole bytes, or squares of 8 or more pixels.

    Examples
    --------
    >>> are_images(np.zeros((2, 28, 28))), are_images(np.zeros((2, 100, 3)))
    (True, False)
    """
    square = X.ndim == 3 and X.shape[1] == X.shape[2] >= SMALLEST_IMAGE
    return X.ndim > 3 or X.dtype == np.uint8 or (square and not np.isnan(X).any())


def steps_of(X: np.ndarray) -> np.ndarray:
    """All steps that are there, one below the other: (n, t, features) → (steps, features)."""
    return X[~np.isnan(X).all(axis=2)]


class Sequences(TransformerMixin, BaseEstimator):
    """Each step through a transformer of rows, fitted on the steps that are there.

    Parameters
    ----------
    each : transformer or None
        (steps, features) → numbers; None standardises.

    Attributes
    ----------
    each_ : transformer
        Fitted.

    Examples
    --------
    >>> X = np.array([[[1.0], [3.0]], [[5.0], [np.nan]]])
    >>> Sequences().fit_transform(X).round(2).tolist()
    [[[-1.22], [0.0]], [[1.22], [nan]]]
    """

    def __init__(self, each: Any = None) -> None:
        self.each = each

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the transformer on the steps that are there.

        Parameters
        ----------
        X : ndarray (n, t, features), or (n, t) for one feature; NaN where there is no step
        """
        rows = self._read(X)
        self.each_ = (StandardScaler() if self.each is None else clone(self.each)).fit(
            rows[~np.isnan(rows).all(axis=2)]
        )
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Numbers (n, t, features) of float32; steps that are not there are NaN."""
        check_is_fitted(self)
        rows = self._read(X)
        there = ~np.isnan(rows).all(axis=2)
        steps = rows[there] if there.any() else np.zeros((1, rows.shape[2]), np.float32)
        numbers = np.asarray(self.each_.transform(steps), dtype=np.float32)
        found = np.full((*rows.shape[:2], numbers.shape[1]), np.nan, np.float32)
        if there.any():
            found[there] = numbers
        return found

    def _read(self, X: Any) -> np.ndarray:
        rows = np.asarray(X, dtype=np.float32)
        return rows[..., np.newaxis] if rows.ndim == 2 else rows
