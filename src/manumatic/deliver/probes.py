"""Rows to try a model on when nobody gives any: numbers of all sizes, all words, and the edges."""

__all__ = ["BATCHES", "probe_rows"]

import warnings
from typing import Any

import numpy as np
import pandas as pd

from manumatic.convert.module import Converted
from manumatic.deliver.rows import STRANGER

BATCHES = (1, 2, 33)  # rows at a time: the sizes at which exporters have gone wrong
METHODS = ("predict", "transform")


def probe_rows(estimator: Any, module: Converted, n: int = 64, seed: int = 0) -> Any:
    """Made-up rows that an estimator takes.

    Parameters
    ----------
    estimator : fitted estimator
        It is asked whether it takes missing values and unseen words, column by column.
    module : Converted
        The same estimator; its border knows the columns and their words.
    n : int
        Rows.
    seed : int
        The same seed makes the same rows.

    Returns
    -------
    DataFrame or ndarray (n, features)
        As the estimator was fitted on: with names or without.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from manumatic.convert.module import to_torch
    >>> ridge = Ridge().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> probe_rows(ridge, to_torch(ridge)).shape
    (64, 1)
    """
    rng, columns = np.random.default_rng(seed), module.border.columns
    frame = pd.DataFrame({i: _values(column, n, rng) for i, column in enumerate(columns)})
    for i, column in enumerate(columns):
        strangers: list[Any] = [np.nan]
        if column.kind == "word":
            strangers.append(STRANGER)
        for value in strangers:
            tried = frame.copy()
            tried.iloc[rng.choice(n, max(1, n // 8), replace=False), i] = value
            frame = tried if _takes(estimator, _shaped(tried, module)) else frame
    return _shaped(frame, module)


def _values(column: Any, n: int, rng: np.random.Generator) -> Any:
    if column.kind == "word":
        words = np.array([*column.words, None], dtype=object)[:-1]
        return words[rng.integers(0, len(words), n)] if len(words) else np.full(n, STRANGER)
    if column.kind == "date":
        return pd.to_datetime(rng.integers(0, 2_000_000_000, n), unit="s")
    # from thousandths to thousands, so that thresholds in any units have rows on both sides
    numbers = rng.normal(size=n) * 10.0 ** rng.integers(-3, 4, n)
    return np.where(rng.random(n) < 0.3, np.abs(numbers).round(), numbers)


def _shaped(frame: pd.DataFrame, module: Converted) -> Any:
    if module.border.named:
        return frame.set_axis([column.name for column in module.border.columns], axis=1)
    return frame.to_numpy()


def _takes(estimator: Any, rows: Any) -> bool:
    method = next(name for name in METHODS if hasattr(estimator, name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some warn of words that they have not seen
            getattr(estimator, method)(rows)
    except (ValueError, TypeError):
        return False
    return True
