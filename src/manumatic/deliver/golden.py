"""Golden rows: what a model said when it was saved, to be said again wherever it is loaded."""

__all__ = ["Mismatch", "TOLERANCE", "as_answers", "as_plain", "largest_gap", "replay"]

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from manumatic.errors import DataError

TOLERANCE = 1e-5  # relative to the output's own size: float32 on another machine or runtime


class Mismatch(NamedTuple):
    """Where two that should say the same differ most.

    Attributes
    ----------
    output : str
    row : int
    gap : float
        Relative to the size of the output; of labels, 1 where they differ.
    """

    output: str
    row: int
    gap: float


def as_plain(values: np.ndarray) -> Any:
    """An array as JSON has it; None for NaN, and "inf" or "-inf" where a number has no end.

    Parameters
    ----------
    values : ndarray
    """
    if values.dtype.kind == "f":
        flat = [_plain(value) for value in values.ravel().tolist()]
        return _nested(flat, values.shape)
    return values.tolist()


def _plain(value: float) -> Any:
    if value != value:
        return None
    return value if abs(value) != np.inf else str(value)


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    if len(shape) <= 1:
        return flat
    step = int(np.prod(shape[1:]))
    return [_nested(flat[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def as_answers(told: Mapping[str, Any], dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Plain values → arrays, by output.

    Parameters
    ----------
    told : mapping of str to list
        From :func:`as_plain`.
    dtypes : mapping of str to str
        Of each output.
    """
    found = {}
    for name, values in told.items():
        kind = dtypes[name]
        if kind.startswith("float"):
            found[name] = np.asarray(values, dtype=object).astype(np.float64)
        else:
            found[name] = np.asarray(values, dtype=object)
    return found


def largest_gap(
    expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> Mismatch | None:
    """The largest difference between two sets of answers for the same rows; None without any.

    Numbers are compared relative to themselves or to the largest finite number in their column.
    A label may be another where the two most probable ones are as near to each other as numbers
    may differ.

    Parameters
    ----------
    expected, found : mapping of str to ndarray (n, …)
        By output. What ``found`` lacks is infinitely far off.

    Examples
    --------
    >>> a = {"prediction": np.array([1.0, 2.0])}
    >>> largest_gap(a, {"prediction": np.array([1.0, 2.2])})
    Mismatch(output='prediction', row=1, gap=0.1)
    """
    worst = None
    for name, wanted in expected.items():
        got = found.get(name)
        if got is None or np.shape(got) != np.shape(wanted):
            return Mismatch(name, 0, np.inf)
        if wanted.dtype.kind == "f":
            gaps = _relative(wanted, np.asarray(got, np.float64))
        else:
            differ = np.asarray(wanted, dtype=object) != np.asarray(got, dtype=object)
            gaps = np.where(_undecided(expected, wanted), 0.0, differ.astype(np.float64))
        rows = gaps.reshape(len(gaps), -1).max(axis=1)
        row = int(rows.argmax())
        if worst is None or rows[row] > worst.gap:
            worst = Mismatch(name, row, float(rows[row]))
    return worst


def _relative(wanted: np.ndarray, got: np.ndarray) -> np.ndarray:
    """|difference| over the size of the output; infinite where only one is NaN or endless."""
    finite = np.isfinite(wanted) & np.isfinite(got)
    same = (np.isnan(wanted) & np.isnan(got)) | (wanted == got)
    size = np.abs(np.where(np.isfinite(wanted), wanted, 0.0)).max(axis=0, keepdims=True)
    size = np.where(size > 0, size, 1.0)
    gaps = np.abs(np.subtract(wanted, got, where=finite, out=np.zeros_like(wanted))) / size
    return np.where(same, 0.0, np.where(finite, gaps, np.inf))


def _undecided(expected: Mapping[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Rows whose two most probable labels are nearer than numbers may differ."""
    odds = expected.get("probability")
    if odds is None or odds.ndim != 2 or odds.shape[1] < 2 or labels.ndim != 1:
        return np.zeros(labels.shape, bool)
    top = np.sort(odds, axis=1)
    return top[:, -1] - top[:, -2] <= TOLERANCE


def replay(
    expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray], who: str
) -> Mismatch | None:
    """Compare answers, and raise where they differ by more than ``TOLERANCE``.

    Parameters
    ----------
    expected, found : mapping of str to ndarray (n, …)
        By output.
    who : str
        Who gave ``found``.

    Returns
    -------
    Mismatch or None
        The largest difference, which is allowed.

    Raises
    ------
    DataError
        They differ; the message names output, row and how far off it is.
    """
    worst = largest_gap(expected, found)
    if worst is not None and not worst.gap <= TOLERANCE:
        raise DataError(
            f"{who} disagrees with the estimator that was saved: {worst.output} of golden row "
            f"{worst.row} is off by {worst.gap:.3g}, and {TOLERANCE:g} is allowed"
        )
    return worst
