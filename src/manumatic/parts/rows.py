"""The border: X of any kind → one array or DataFrame; and which rows count how often."""

__all__ = [
    "as_images",
    "count_distinct",
    "count_rows",
    "kind_of",
    "mean_and_spread",
    "pixels_in",
    "read_rows",
]

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.utils import check_array

from manumatic.errors import DataError
from manumatic.parts.images import (
    Images,
    are_picture_files,
    are_pictures,
    as_fitted,
    channels_first,
    stacked_like,
)
from manumatic.parts.sequences import are_images, are_sequences, padded

LARGEST_DENSE = 5e8  # cells; 2 GB of float32
AS_IT_IS = 'preprocess=None takes X as it is, and preprocess="auto" fills missing values'


def kind_of(rows: Any) -> str:
    """ "frame", "text", "image", "sequence" or "table" for what :func:`read_rows` returned."""
    if isinstance(rows, pd.DataFrame):
        return "frame"
    if rows.ndim == 1:
        return "text"
    if rows.ndim > 2:
        return "image" if are_images(rows) else "sequence"
    return "table"


def pixels_in(rows: Any) -> tuple[int, ...] | None:
    """The shape of a row, (h, w) or (c, h, w), where rows that were read are images."""
    return tuple(rows.shape[1:]) if kind_of(rows) == "image" else None


def read_rows(
    X: Any,
    *,
    allow_nan: bool = True,
    steps: bool = False,
    pixels: Sequence[int] | None = None,
) -> Any:
    """Bring X to one of four forms.

    Parameters
    ----------
    X : array, DataFrame, list, sparse matrix or tensor
        Rows of numbers; mixed columns; strings (n,); images (n, h, w), (n, c, h, w) or
        (n, h, w, c), or a list of PIL images, of arrays of bytes or of image files; sequences
        (n, t, f), or a list of arrays (t, f) of several lengths.
    allow_nan : bool
        Whether missing values may pass.
    steps : bool
        Lists of numbers in several lengths are sequences of one feature, and no mistake.
    pixels : sequence of int, optional
        The shape of an image, (h, w) or (c, h, w), to which images are brought.

    Returns
    -------
    rows : DataFrame, or ndarray (n, d) of floats, (n,) of strings, (n, …) of float32 or uint8

    Raises
    ------
    ValueError, TypeError
        In scikit-learn's words, for what cannot be read as rows.
    DataError
        For a sparse matrix too large to be dense, infinity, rows of several lengths, records.
    """
    X = _of_others(X)
    if not steps and _are_pictures(X):
        return stacked_like(X, pixels)
    if isinstance(X, pd.DataFrame):
        return _read_frame(X, allow_nan)
    if _is_text(X):
        # a missing text is an empty one
        return np.asarray(["" if _is_missing(t) else str(t) for t in X], dtype=object)
    if are_sequences(X, flat=steps):
        return padded(X)
    if sparse.issparse(X):
        X = _dense(X)
    _refuse_records(X)
    if _holds_strings(X):
        return _read_frame(_in_columns(X), allow_nan)
    rows = _numbers(X, allow_nan)
    return _as_fitted(rows, pixels, moves=allow_nan) if rows.ndim > 2 else rows


def _dense(X: Any) -> np.ndarray:
    cells = X.shape[0] * X.shape[1]
    if cells > LARGEST_DENSE:
        raise DataError(
            f"X is sparse with {cells:.1e} cells, too many to hold as dense rows; "
            "put sklearn.decomposition.TruncatedSVD in front"
        )
    dense: np.ndarray = check_array(X, accept_sparse="csr", ensure_all_finite=False).toarray()
    return dense


def _in_columns(X: Any) -> pd.DataFrame:
    times = isinstance(X, np.ndarray) and X.dtype.kind in "mM"
    cells = X if times else np.asarray(X, dtype=object)  # objects of nanoseconds are numbers
    return pd.DataFrame(cells).infer_objects()


def _are_pictures(X: Any) -> bool:
    return are_pictures(X) or are_picture_files(X)


def _as_fitted(rows: np.ndarray, pixels: Sequence[int] | None, *, moves: bool) -> np.ndarray:
    """Images as those of the fit; before it, with channels first where they may be moved."""
    if pixels is not None:
        return as_fitted(rows, pixels)
    return channels_first(rows) if moves else rows


def _numbers(X: Any, allow_nan: bool) -> np.ndarray:
    """An array of floats, or of bytes where it is more than a table."""
    if isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim > 2 and len(X):
        return X  # all of them finite, and as float64 eight times as large
    rows = check_array(
        X,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        allow_nd=True,
        input_name="X",
    )
    _refuse_cells(rows, allow_nan)
    return rows.astype(np.float32) if rows.ndim > 2 else rows


def _of_others(X: Any) -> Any:
    """Tensors, masked arrays and polars' tables as NumPy and pandas have them."""
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu().to_dense()
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()  # NumPy has none
    if isinstance(X, Images):
        return np.asarray(X)
    if np.ma.is_masked(X):
        return X.astype(np.float64).filled(np.nan)
    if "polars" in sys.modules:
        polars = sys.modules["polars"]
        if isinstance(X, polars.LazyFrame):
            raise DataError(
                "X is a LazyFrame, which holds no rows; X.collect() makes a table of it"
            )
        if isinstance(X, polars.DataFrame):
            return X.to_pandas()
        if isinstance(X, polars.Series):
            return X.to_list()
    return X


def _is_text(X: Any) -> bool:
    flat = isinstance(X, list | tuple | pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1)
    if not flat or len(X) == 0:
        return False
    if not any(isinstance(value, str) for value in X):
        return False
    others = [value for value in X if not (isinstance(value, str) or _is_missing(value))]
    if others:
        raise DataError(
            f"X is one-dimensional and holds texts, but also {others[0]!r}; give texts only, or a "
            "table with rows (n, d)"
        )
    return True


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _holds_strings(X: Any) -> bool:
    """A two-dimensional array or list with words or dates in it: columns, not numbers."""
    if isinstance(X, list | tuple):
        try:
            X = np.asarray(X)
        except ValueError:
            return False  # what has no one shape: check_array says so
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind not in "OUSTmM":
        return False
    if X.dtype.kind in "mM":
        return True  # as floats they would be nanoseconds
    try:
        X.astype(np.float64)
    except (ValueError, TypeError):
        return any(isinstance(value, str | date | timedelta) for value in X.flat)
    return False


def _refuse_records(X: Any) -> None:
    """Raise for rows that NumPy would take for one thing each."""
    rows = X if isinstance(X, list | tuple) else ()
    if isinstance(X, Mapping) or any(isinstance(row, Mapping) for row in rows[:1]):
        told = f"a {type(X).__name__}{' of dicts' * bool(rows)}"
        raise DataError(f"X is {told}; pandas.DataFrame(X) makes a table of it")
    if getattr(getattr(X, "dtype", None), "names", None):
        raise DataError("X is an array of records; pandas.DataFrame(X) makes a table of it")
    if isinstance(X, Iterator):
        raise DataError(f"X is a {type(X).__name__}, which gives its rows once; list(X) keeps them")
    lengths = {len(row) for row in rows if isinstance(row, list | tuple)}
    if len(lengths) > 1:
        raise DataError(
            f"the rows of X hold from {min(lengths)} to {max(lengths)} values; give all the same "
            'columns, or a net for sequences, such as model="gru"'
        )


def _read_frame(frame: pd.DataFrame, allow_nan: bool) -> pd.DataFrame:
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        # check_array's sentence, which scikit-learn's users know
        check_array(np.empty(frame.shape), input_name="X")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"X has two columns named {twice!r}; rename one of them")
    numbers = frame.select_dtypes("number", exclude=[np.complexfloating])
    _refuse_cells(numbers.to_numpy(dtype=np.float64, na_value=np.nan), True, numbers.columns)
    if not allow_nan and frame.isna().to_numpy().any():
        column = frame.columns[frame.isna().any()][0]
        raise DataError(f"Input X contains NaN in column {column!r}; {AS_IT_IS}")
    return _with_times(frame)


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Periods, and times of Arrow, as NumPy has them: pandas subtracts no date from those."""
    read = frame
    for place, kind in enumerate(frame.dtypes):
        period = isinstance(kind, pd.PeriodDtype)
        if period or (isinstance(kind, pd.ArrowDtype) and kind.kind == "M"):
            column = frame.iloc[:, place]
            read = frame.copy(deep=False) if read is frame else read
            read.isetitem(place, column.dt.to_timestamp() if period else pd.DatetimeIndex(column))
    return read


def _refuse_cells(cells: np.ndarray, allow_nan: bool, names: Any = None) -> None:
    """Raise for infinity, and for NaN where it may not pass; the names are those of columns."""
    if np.isfinite(np.sum(cells)):
        return  # one pass without a mask, as scikit-learn does it
    for told, found, way in (
        ("infinity", np.isinf, "replace it with NaN (missing) or a number that means something"),
        ("NaN", np.isnan, AS_IT_IS),
    ):
        if told == "infinity" or not allow_nan:
            for row, *place in np.argwhere(found(cells))[:1]:
                column = names[place[0]] if names is not None else int(place[0])
                where = f"column {column!r}" if cells.ndim == 2 else f"row {row}"
                raise DataError(f"Input X contains {told} in {where}; {way}")


def as_images(X: np.ndarray, mean: Any = 0.0, scale: Any = 1.0) -> np.ndarray:
    """Images (n, h, w) or (n, c, h, w) as float32 with a channel axis, centred and scaled.

    ``mean`` and ``scale`` are numbers, or one for each channel.
    """
    X = np.asarray(X, dtype=np.float32)
    if X.ndim == 3:
        X = X[:, np.newaxis]
    mean, scale = (np.reshape(np.float32(each), (-1, 1, 1)) for each in (mean, scale))
    return (X - mean) / scale


def mean_and_spread(X: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of pixels; a spread of 0 is told as 1.

    Bytes are counted value by value: exact in any order, and no copy of eight times their size.

    Parameters
    ----------
    X : ndarray

    Examples
    --------
    >>> mean_and_spread(np.array([[0, 255], [0, 255]], np.uint8))
    (127.5, 127.5)
    """
    if X.dtype != np.uint8:
        return float(np.mean(X)), float(np.std(X)) or 1.0
    values = np.arange(256)
    counts = sum(np.bincount(row.ravel(), minlength=256) for row in X)
    mean = float(counts @ values / X.size)
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / X.size)) or 1.0


def count_rows(
    rows: Any, y: np.ndarray, weight: np.ndarray | None, *, sort: bool = True
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Which rows training sees, how often and in which order.

    A row with weight 2 and a row given twice must train to the same weights, bit for bit, whatever
    the network draws at random.  So rows with whole-number weights are repeated, and where any row
    counts more than once all are put into an order that does not depend on how they came.  Other
    weights multiply the loss.  Without ``sort`` the rows stay in the order in which they came.

    Returns
    -------
    index : ndarray of int or None
        Rows to take; None means as they are.
    weight : ndarray or None
        Weights of those rows, with mean 1; None means all alike.
    """
    code = _row_codes(rows, y) if sort else None
    if weight is None:
        if code is None or len(np.unique(code)) == len(code):
            return None, None
        return np.argsort(code, kind="stable"), None
    if np.all(weight == np.floor(weight)) and weight.sum() <= 10 * len(weight):
        order = np.arange(len(weight)) if code is None else np.argsort(code, kind="stable")
        return np.repeat(order, weight[order].astype(np.int64)), None
    index = np.flatnonzero(weight)
    return index, (weight[index] / weight[index].mean()).astype(np.float32)


def count_distinct(rows: Any) -> int:
    """How many different rows there are; all, where rows cannot be compared."""
    code = _row_codes(rows, np.zeros(len(rows)))
    return len(rows) if code is None else len(np.unique(code))


def _row_codes(rows: Any, y: np.ndarray) -> np.ndarray | None:
    """A 64-bit code a row, equal for equal rows; None where there is too much to look at."""
    if rows.size > 2e7:
        return None
    if isinstance(rows, pd.DataFrame):
        try:
            code = pd.util.hash_pandas_object(rows, index=False).to_numpy().copy()
        except TypeError:
            return None  # a column of lists or dicts: the preprocessing says which
    elif rows.ndim == 1:
        code = pd.util.hash_array(rows).copy()
    else:
        code = _mix(rows.reshape(len(rows), -1))
    return code * np.uint64(0x9E3779B97F4A7C15) + _mix(y.reshape(len(y), -1))


def _mix(numbers: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(numbers, dtype=np.float64).view(np.uint64)
    factors = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64)
    bits = bits ^ (bits >> np.uint64(29))
    return (bits * (2 * factors + 1)).sum(axis=1, dtype=np.uint64)
