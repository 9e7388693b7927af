"""What stands before a scikit-learn candidate, fitted inside the fold with it."""

__all__ = ["Columns", "flatten", "preprocessing"]

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import validate_data

from manumatic.compare.problem import Problem
from manumatic.errors import DataError
from manumatic.parts.cells import numbers, words
from manumatic.parts.columns import DROPPED, Table
from manumatic.parts.kinds import column_kinds

MOST_LEVELS = 255  # of a category in HistGradientBoosting
LABELS = {"pairs", "categories", "levels"}


def preprocessing(problem: Problem, wish: str) -> list[Any]:
    """The steps in front of an estimator.

    Parameters
    ----------
    problem : Problem
    wish : "none", "scaled", "plain" or "native"
        None: X as it is. Scaled: numbers filled and standardised, for models that measure
        distances. Plain: numbers as they are, gaps included, for trees. Native: labels as
        categories, too, for boosted trees.
    """
    if wish == "none":
        return []
    if problem.is_images:
        return [FunctionTransformer(flatten), *([StandardScaler()] if wish == "scaled" else [])]
    if hasattr(problem.X, "columns") and not _only_numbers(problem.X):
        return [Columns(wish, problem.is_classification)]
    return _scaling() if wish == "scaled" else []


def flatten(images: Any) -> np.ndarray:
    """Images (n, ...) as rows (n, pixels)."""
    return np.reshape(images, (len(images), -1))


def _scaling() -> list[Any]:
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return [fill, StandardScaler()]


def _only_numbers(frame: pd.DataFrame) -> bool:
    plain = all(isinstance(kind, np.dtype) and kind.kind in "fiu" for kind in frame.dtypes)
    return plain and not DROPPED & {kind for kind, _ in column_kinds(frame)}


class Columns(TransformerMixin, BaseEstimator):
    """A table as scikit-learn's models take it; which column is what is decided in fit.

    Columns of no use are dropped; dates, text and (but for ``wish="native"``) labels become numbers
    as they do for a network.

    Parameters
    ----------
    wish : "scaled", "plain" or "native"
        See :func:`preprocessing`.
    classification : bool
        Whether the target is classes.
    """

    def __init__(self, wish: str = "plain", classification: bool = False) -> None:
        self.wish = wish
        self.classification = classification

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Decide what each column becomes, and learn it."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None) -> Any:
        """Fit, and give what to train on (n, features)."""
        validate_data(self, X, reset=True, skip_check_array=True)
        kinds = {name: kind for name, (kind, _) in zip(X, column_kinds(X), strict=True)}
        useful = [name for name in X if kinds[name] not in DROPPED]
        if not useful:
            raise DataError(f"no column is of use for learning: {kinds}")
        native = self.wish == "native"
        labels = [name for name in useful if native and kinds[name] in LABELS]
        labels = [name for name in labels if X[name].nunique() <= MOST_LEVELS]
        self.levels_ = {
            name: pd.CategoricalDtype(pd.unique(texts[pd.notna(texts)]))
            for name, texts in _texts(X, labels)
        }
        counts = [name for name in useful if kinds[name] == "numbers"]
        others = [name for name in useful if name not in {*labels, *counts}]
        scale = _scaling() if self.wish == "scaled" else []
        read = make_pipeline(FunctionTransformer(numbers), *scale)
        table = Table(classification=self.classification)
        parts = [("numbers", read, counts), ("others", table, others)]
        self.numbers_ = ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)
        return self._with_labels(self.numbers_.fit_transform(X, y), X)

    def transform(self, X: pd.DataFrame) -> Any:
        """Give what to predict from (n, features); a label that was not there in fit is missing."""
        validate_data(self, X, reset=False, skip_check_array=True)
        return self._with_labels(self.numbers_.transform(X), X)

    def _with_labels(self, found: np.ndarray, X: pd.DataFrame) -> Any:
        if self.wish != "native":
            return found
        frame = pd.DataFrame(found).add_prefix("n")  # LightGBM takes no names with [, ] or :
        for place, (name, texts) in enumerate(_texts(X, list(self.levels_))):
            codes = self.levels_[name].categories.get_indexer(texts)  # -1, missing, for unseen
            frame[f"c{place}"] = pd.Categorical.from_codes(codes, dtype=self.levels_[name])
        return frame


def _texts(X: pd.DataFrame, names: list[str]) -> list[tuple[str, np.ndarray]]:
    """Columns as strings, by name."""
    return list(zip(names, words(X[names]).T, strict=True)) if names else []
