"""Does a converted module say what the estimator says? Method by method, on given rows."""

__all__ = ["Difference", "Parity", "parity"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manumatic.convert.pieces import METHODS
from manumatic.errors import ConvertError


@dataclass(frozen=True)
class Difference:
    """How far one method is off.

    Attributes
    ----------
    method : str
    largest : float
        The largest |difference| over all outputs, relative to 1 or the output, whichever is larger;
        of labels, the share of rows that differ. Infinite where a method is missing or one gives
        NaN and the other does not.
    rows : list of int
        The rows that are off by more than allowed, worst first, ten at most.
    """

    method: str
    largest: float
    rows: list[int]


@dataclass(frozen=True)
class Parity:
    """All methods of an estimator, compared.

    Attributes
    ----------
    name : str
        Of the estimator.
    differences : list of Difference
    allowed : float
    """

    name: str
    differences: list[Difference]
    allowed: float

    @property
    def largest(self) -> float:
        """Over all methods."""
        return max((one.largest for one in self.differences), default=0.0)

    def require(self) -> "Parity":
        """Raise ConvertError where something differs by more than is allowed."""
        for one in self.differences:
            if not one.largest <= self.allowed:
                raise ConvertError(
                    f"the converted {self.name} differs from scikit-learn's in {one.method} by "
                    f"{one.largest:.3g} (allowed {self.allowed:g}), first in the rows {one.rows}"
                )
        return self

    def __str__(self) -> str:
        told = ", ".join(f"{one.method} {one.largest:.1e}" for one in self.differences)
        return f"{self.name}: {told}"


def parity(
    estimator: Any,
    other: Any,
    X: Any,
    allowed: float | None = None,
    methods: Sequence[str] = METHODS,
) -> Parity:
    """Compare two that have scikit-learn's methods on the same rows.

    Parameters
    ----------
    estimator : fitted estimator
        Who is right.
    other : Converted
    X : array or DataFrame (n, features)
    allowed : float, optional
        Largest relative difference; default 1e-9 in float64, 1e-4 where a part is float32.
    methods : sequence of str
        Which methods to compare; default all that the estimator has.

    Returns
    -------
    Parity

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from manumatic.convert.module import to_torch
    >>> scaler = StandardScaler().fit([[1.0], [3.0]])
    >>> print(parity(scaler, to_torch(scaler), [[2.0], [5.0]]))
    StandardScaler: transform 0.0e+00, inverse_transform 0.0e+00
    """
    if allowed is None:
        kinds = [w.element_size() for w in other.state_dict().values() if w.is_floating_point()]
        allowed = 1e-9 if min(kinds) == 8 else 1e-4
    found: list[Difference] = []
    without = getattr(getattr(other, "net", None), "without", ())
    for method in methods:
        if method in without or not hasattr(estimator, method):
            continue
        given = X if method != "inverse_transform" else estimator.transform(X)
        theirs = _theirs(estimator, method, given)
        if theirs is None:
            continue
        if not hasattr(other, method):
            found.append(Difference(method, np.inf, []))
            continue
        ours = getattr(other, method)(given)
        found.append(_difference(method, theirs, ours, allowed))
    return Parity(type(estimator).__name__, found, allowed)


def _theirs(estimator: Any, method: str, given: Any) -> Any:
    """What the estimator gives; None for a way back that it refuses, or that ends in words."""
    if method != "inverse_transform":
        return getattr(estimator, method)(given)
    try:
        found = estimator.inverse_transform(given)
    except (ValueError, IndexError):  # a SimpleImputer without flags; an OrdinalEncoder, by mistake
        return None
    return None if _dense(found).dtype.kind in "OUS" else found


def _difference(method: str, theirs: Any, ours: Any, allowed: float) -> Difference:
    if isinstance(theirs, list | tuple):  # several targets
        pairs = zip(theirs, ours, strict=True)
        parts = [_difference(method, one, other, allowed) for one, other in pairs]
        return max(parts, key=lambda part: part.largest)
    theirs, ours = _dense(theirs), _dense(ours)
    if theirs.shape != ours.shape:
        return Difference(f"{method}, of the shape {ours.shape} and not {theirs.shape}", np.inf, [])
    if theirs.dtype.kind not in "fc":
        wrong = (theirs != ours).reshape(len(theirs), -1).any(1)
        return Difference(method, float(wrong.mean()), np.flatnonzero(wrong)[:10].tolist())
    with np.errstate(invalid="ignore"):
        off = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
    same = (theirs == ours) | (np.isnan(theirs) & np.isnan(ours))
    off = np.where(same, 0.0, np.where(np.isfinite(off), off, np.inf)).reshape(len(theirs), -1)
    worst = off.max(1) if off.shape[1] else np.zeros(len(off))
    order = [int(row) for row in np.argsort(-worst)[:10] if worst[row] > allowed]
    return Difference(method, float(worst.max()), order)


def _dense(values: Any) -> np.ndarray:
    values = values.toarray() if hasattr(values, "toarray") else values
    return np.asarray(values)
