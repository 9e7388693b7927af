"""What is being learned, as one frozen fact sheet that all later stages read."""

__all__ = ["Task", "itself", "read_target"]

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from manumatic.errors import DataError

NO_NUMBERS = (str, bytes, date, timedelta, np.datetime64, np.timedelta64)


@dataclass(frozen=True)
class Task:
    """The kind of target and the shape of one row.

    Attributes
    ----------
    kind : "regression", "binary", "multiclass", "multilabel" or "reconstruction"
        In a reconstruction the target of a row is the row, as the model sees it.
    classes : ndarray or None
        The labels in the order of the outputs; None where the target is numbers.
    n_outputs : int
        Columns of the target; 0 in a reconstruction.
    flat : bool
        The target was one-dimensional, so predictions are too.
    in_shape : tuple of int
        One row as the model sees it, after preprocessing: ``(features,)`` or ``(channels, height,
        width)``, ``(length,)`` words or ``(steps, features)``.
    numeric : tuple of int or None
        Features of a table that take more than three values: not a flag, not one of a category's.
        None where that is not known.
    vocabulary : int
        How many words there are where a row is numbers of words, else 0.
    steps : bool
        A row is a sequence of steps.
    mixed : tuple or None
        (table, texts, images) where a row has texts or images beside the numbers of a table: see
        :class:`manumatic.parts.mixed.Layout`.
    """

    kind: str
    classes: np.ndarray | None
    n_outputs: int
    flat: bool
    in_shape: tuple[int, ...] = ()
    numeric: tuple[int, ...] | None = None
    vocabulary: int = 0
    steps: bool = False
    mixed: tuple[Any, ...] | None = None

    @property
    def is_classification(self) -> bool:
        """Whether labels are predicted."""
        return self.kind not in ("regression", "reconstruction")

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a row of this shape can be predicted for; sequences may be of any length."""
        here = 1 if self.steps else 0
        return len(shape) == len(self.in_shape) and tuple(shape[here:]) == self.in_shape[here:]

    @property
    def out_features(self) -> int:
        """How many numbers the model returns for a row."""
        if self.kind in ("binary", "multiclass") and self.classes is not None:
            return len(self.classes)
        return math.prod(self.in_shape) if self.kind == "reconstruction" else self.n_outputs


def read_target(y: Any, *, classification: bool, classes: Any = None) -> tuple[Task, np.ndarray]:
    """Settle the target: what kind it is, and its values as numbers.

    Parameters
    ----------
    y : array-like (n,) or (n, outputs)
    classification : bool
    classes : array-like or None
        All labels, where y may hold only some of them.

    Returns
    -------
    task : Task
        With ``in_shape`` still empty.
    values : ndarray
        Class numbers (n,) of int64, indicators (n, labels) of float32, or floats (n,) / (n,
        outputs).

    Raises
    ------
    DataError
        One class only, labels of several types, a value that is missing, not finite or no number.
    ValueError
        scikit-learn's own words for a target that is missing or of the wrong kind.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    if hasattr(y, "detach"):
        y = y.detach().cpu()
        y = y.flatten() if y.shape[1:] == (1,) else y  # how PyTorch writes one target
    return _labels(y, classes) if classification else _numbers(y)


def itself(rows: Any) -> tuple[Task, np.ndarray]:
    """The task of giving rows back: there is nothing to read, so each target is a 0 in its place.

    Parameters
    ----------
    rows : array or DataFrame of n rows

    Returns
    -------
    task : Task
        With ``in_shape`` still empty.
    values : ndarray (n,)
    """
    return Task("reconstruction", None, 0, False), np.zeros(len(rows))


def _numbers(y: Any) -> tuple[Task, np.ndarray]:
    given = np.asarray(y)
    for value in given.flat if given.dtype.kind in "OUSTmM" else ():
        if isinstance(value, NO_NUMBERS):
            raise DataError(
                f"y holds {str(value)!r}, which is no number: a Regressor learns numbers "
                "(y.astype(float) reads them from text), a Classifier labels"
            )
    values = check_array(
        y, ensure_2d=False, dtype="numeric", ensure_all_finite=False, input_name="y"
    )
    values = values.astype(np.float64, copy=False)
    bad = ~np.isfinite(values)
    if bad.any():
        value, row = values[bad][0], int(np.argwhere(bad)[0, 0])
        told = "NaN" if np.isnan(value) else "infinity"
        raise DataError(f"Input y contains {told}: row {row} is {value}; leave such rows out")
    largest = np.abs(values).max()
    if largest > np.finfo(np.float32).max:
        raise DataError(
            f"y holds {largest:g}, more than a float32 can; divide it by a power of ten"
        )
    flat = values.ndim == 1
    n_outputs = 1 if flat else values.shape[1]
    if not flat and n_outputs == 1:
        values, flat = column_or_1d(values, warn=True), True
    return Task("regression", None, n_outputs, flat), values


def _labels(y: Any, known: Any) -> tuple[Task, np.ndarray]:
    if _is_list_of_rows(y):
        if len({len(row) for row in y}) > 1 or isinstance(y[0], set):
            raise DataError(
                f"y holds several labels a row, such as {y[0]}; "
                "sklearn.preprocessing.MultiLabelBinarizer().fit_transform(y) makes a column of 0 "
                "and 1 of each label"
            )
        y = np.asarray([np.asarray(row) for row in y])  # multilabel as a list of rows
    missing = _missing_label(y)
    if missing is not None:
        raise DataError(f"Input y contains NaN: row {missing} has no label; leave such rows out")
    y = _of_one_type(y)
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    check_classification_targets(y)
    if kind == "multilabel-indicator":
        values = check_array(y, accept_sparse=True, input_name="y")
        values = values.toarray() if hasattr(values, "toarray") else values
        n_labels = values.shape[1]
        return Task("multilabel", np.arange(n_labels), n_labels, False), values.astype(np.float32)
    if kind == "multiclass-multioutput":
        raise DataError(
            f"y has {np.shape(y)[1]} columns of several classes each; a Classifier learns one such "
            "column, or many of 0 and 1 (multilabel). Fit one Classifier a column: "
            "sklearn.multioutput.MultiOutputClassifier(net)"
        )
    labels = column_or_1d(y, warn=True)
    if known is not None:
        classes = np.unique(known)
        values = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        if not np.array_equal(classes[values], labels):
            stranger = labels[classes[values] != labels].tolist()[0]
            raise DataError(
                f"y holds the label {stranger!r}, which is not among the classes {classes}"
            )
    else:
        classes, values = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"y holds one class only, {classes.tolist()[0]!r}: there is nothing to tell apart"
        )
    found = "binary" if len(classes) == 2 else "multiclass"
    return Task(found, classes, 1, True), values.astype(np.int64)


def _missing_label(y: Any) -> int | None:
    """The first row without a label."""
    missing = np.asarray(pd.isna(y))
    return int(np.argwhere(missing)[0, 0]) if missing.ndim and missing.any() else None


def _of_one_type(y: Any) -> Any:
    """Labels in an array of objects as what they are: numbers, booleans or text, and not several.

    scikit-learn looks at the first of them only.
    """
    labels = np.asarray(y)
    if labels.dtype != object or labels.ndim != 1 or infer_dtype(labels) in ("string", "bytes"):
        return y
    plain = pd.Series(labels).infer_objects().to_numpy()
    if plain.dtype == object:
        types = sorted({type(label).__name__ for label in labels})
        raise DataError(
            f"y holds labels of the type {' and '.join(types)}, such as {labels[0]!r}; "
            "make all of them numbers or all text: [str(label) for label in y]"
        )
    return plain


def _is_list_of_rows(y: Any) -> bool:
    return isinstance(y, list) and len(y) > 0 and isinstance(y[0], list | set | np.ndarray)
