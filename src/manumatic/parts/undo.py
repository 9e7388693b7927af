"""Prepared numbers → the rows that they came from, as far as the preprocessing has a way back."""

__all__ = ["undo"]

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from manumatic.errors import DataError
from manumatic.parts.cells import numbers, smooth_clip
from manumatic.parts.rows import as_images

STEEP = 0.999  # of the bound: beyond, the way back from a squeezed outlier runs to infinity


def undo(preprocess: Any, values: np.ndarray) -> np.ndarray:
    """Rows in their own units.

    Parameters
    ----------
    preprocess : transformer or None
        Fitted. Scaling, squeezing and filling of numbers have a way back, so has each transformer
        with an ``inverse_transform``.
    values : ndarray (n, ...)
        What it made of rows, or what a network says it did.

    Returns
    -------
    ndarray (n, ...)
        Columns that the preprocessing had dropped are NaN.

    Raises
    ------
    DataError
        A step has no way back: columns that became one-hot, dates, text.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> scaler = StandardScaler().fit([[1.0], [3.0]])
    >>> undo(scaler, np.array([[-1.0], [0.0], [2.0]])).ravel()
    array([1., 2., 4.])
    """
    if preprocess is None:
        return values
    if step := _one_way(preprocess):
        raise DataError(
            f"inverse_transform has no way back from {step}: it brings back numbers that were "
            "scaled. mm.Data(preprocess=...) takes a transformer with an inverse_transform"
        )
    return _back(preprocess, values)


def _one_way(part: Any) -> str:
    """The first step without a way back, in words; "" where there is none."""
    if isinstance(part, Pipeline):
        return next(filter(None, (_one_way(step) for _, step in part.steps)), "")
    if isinstance(part, ColumnTransformer):
        for name, inside, _ in part.transformers_:
            if _one_way(inside):
                where = part._transformer_to_input_indices[name]
                known = getattr(part, "feature_names_in_", range(part.n_features_in_))
                listed = ", ".join(str(known[place]) for place in where[:4])
                return f"{name!r} (columns {listed}{', …' * (len(where) > 4)})"
    elif isinstance(part, FunctionTransformer):
        ours = part.func in (None, smooth_clip, numbers, as_images)
        return "" if ours or part.inverse_func is not None else f"{part.func.__name__!r}"
    elif not (isinstance(part, str | SimpleImputer) or hasattr(part, "inverse_transform")):
        return type(part).__name__
    return ""


def _back(part: Any, values: Any) -> Any:
    if isinstance(part, Pipeline):
        for _, step in reversed(part.steps):
            values = _back(step, values)
        return values
    if isinstance(part, ColumnTransformer):
        return _columns_back(part, values)
    if isinstance(part, SimpleImputer):
        return values[:, : part.n_features_in_]  # flags stand behind; nothing tells what is missing
    if isinstance(part, FunctionTransformer):
        return _function_back(part, values)
    return values if isinstance(part, str) else part.inverse_transform(values)


def _function_back(part: FunctionTransformer, values: Any) -> Any:
    told = part.kw_args or {}
    if part.func is smooth_clip:
        bound = np.asarray(told.get("bound", 3.0))
        share = np.clip(values / bound, -STEEP, STEEP)
        return bound * share / np.sqrt(1 - share**2)
    if part.func is as_images:
        scale, mean = (np.asarray(told.get(n, d)) for n, d in (("scale", 1.0), ("mean", 0.0)))
        return values * scale.reshape(-1, 1, 1) + mean.reshape(-1, 1, 1)
    return values if part.func is numbers else part.inverse_transform(values)


def _columns_back(part: ColumnTransformer, values: np.ndarray) -> np.ndarray:
    pieces = [
        (
            part._transformer_to_input_indices[name],
            _back(inside, values[:, part.output_indices_[name]]),
        )
        for name, inside, _ in part.transformers_
        if not (isinstance(inside, str) and inside == "drop")
    ]
    plain = all(np.asarray(piece).dtype.kind in "fiub" for _, piece in pieces)
    rows = np.full((len(values), part.n_features_in_), np.nan, dtype=float if plain else object)
    for where, piece in pieces:
        rows[:, where] = piece
    return rows
