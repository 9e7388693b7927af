"""Columns of any kind → plain numbers, for models that bring a preprocessing of their own."""

__all__ = ["Codes"]

from itertools import groupby
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from sklearn.utils.validation import check_is_fitted

from manumatic.errors import DataError
from manumatic.parts.cells import numbers, seconds, words
from manumatic.parts.columns import Table
from manumatic.parts.kinds import column_kinds
from manumatic.parts.reasons import DROPPED

LABELS = {"pairs", "categories", "levels"}


class Codes(TransformerMixin, BaseEstimator):
    """Each column as near to what it was as numbers can be, in the order of the columns.

    Numbers stay as they are, missing ones too; durations are seconds. Labels become 0, 1, ..., and
    -1 where one is missing or was not there in fit. Dates become calendar and clock, texts topics,
    as they do for a network. Columns of no use are dropped. An array passes through.

    Parameters
    ----------
    random_state : int
        For the topics of texts.

    Attributes
    ----------
    columns_ : ColumnTransformer or None
        What was decided, fitted; None for an array.
    labels_ : list of int
        Places of the labels among the numbers that come out.

    Examples
    --------
    >>> flats = pd.DataFrame({"size": [50.0, None, 65.5], "city": ["Ulm", "Bonn", "Ulm"]})
    >>> Codes().fit_transform(flats)
    array([[50. ,  1. ],
           [ nan,  0. ],
           [65.5,  1. ]])
    """

    keeps_missing = True  # what comes out may hold NaN

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Decide what each column becomes, and learn it.

        Parameters
        ----------
        X : DataFrame or array (n, d)
        y : None
            Not looked at.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit, and give the numbers (n, features)."""
        self.columns_, self.labels_ = None, list[int]()
        if not isinstance(X, pd.DataFrame):
            return np.asarray(X, dtype=float)
        kinds = [kind for kind, _ in column_kinds(X)]
        useful = [place for place, kind in enumerate(kinds) if kind not in DROPPED]
        if not useful:
            raise DataError(f"no column is of use for learning: {dict(zip(X, kinds, strict=True))}")
        parts = []
        for sort, group in groupby(useful, lambda place: _sort(kinds[place])):
            places = list(group)
            parts.append((f"{sort}{places[0]}", self._recipe(sort), places))
        self.columns_ = ColumnTransformer(parts, sparse_threshold=0)
        found = np.asarray(self.columns_.fit_transform(X), dtype=float)
        for name, span in self.columns_.output_indices_.items():
            if name.startswith("labels"):
                self.labels_ += range(span.start, span.stop)
        return found

    def transform(self, X: Any) -> np.ndarray:
        """Give the numbers (n, features)."""
        check_is_fitted(self)
        if self.columns_ is None:
            return np.asarray(X, dtype=float)
        return np.asarray(self.columns_.transform(X), dtype=float)

    def _recipe(self, sort: str) -> Any:
        if sort == "labels":
            unknown = {"unknown_value": -1, "encoded_missing_value": -1}
            codes = OrdinalEncoder(handle_unknown="use_encoded_value", **unknown)
            return make_pipeline(FunctionTransformer(words), codes)
        if sort == "others":
            return Table(random_state=self.random_state)
        return FunctionTransformer(numbers if sort == "numbers" else seconds)


def _sort(kind: str) -> str:
    if kind in LABELS:
        return "labels"
    return kind if kind in ("numbers", "durations") else "others"
