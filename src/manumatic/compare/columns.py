"""What stands before a scikit-learn candidate, fitted inside the fold with it."""

__all__ = ["Brightness", "Columns", "flatten", "preprocessing"]

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import validate_data

from manumatic.compare.problem import Problem
from manumatic.compare.steps import MOST_NUMBERS, summary
from manumatic.convert.border import Column, Handed
from manumatic.convert.compose import Pick, SideBySide
from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build, converts
from manumatic.errors import DataError
from manumatic.parts.cells import numbers, words
from manumatic.parts.columns import TOKEN, Table
from manumatic.parts.kinds import column_kinds
from manumatic.parts.reasons import DROPPED

MOST_LEVELS = 255  # of a category in HistGradientBoosting
LABELS = {"pairs", "categories", "levels"}


def preprocessing(problem: Problem, wish: str) -> list[Any]:
    """The steps in front of an estimator.

    Parameters
    ----------
    problem : Problem
    wish : "none", "scaled", "plain", "native" or "words"
        None: X as it is. Scaled: numbers filled and standardised, for models that measure
        distances. Plain: numbers as they are, gaps included, for trees. Native: labels as
        categories, too, for boosted trees. Words: texts as weighed counts (TF-IDF) of words and
        pairs, for linear models and distances; every other wish reads their leading directions.
        Sequences become summaries of each feature and, where they are short, columns; images become
        rows of pixels, scaled all alike.
    """
    if wish == "none":
        return []
    if problem.form == "text":
        return [_counted() if wish == "words" else Table()]
    if problem.form == "sequence":
        whole = np.prod(problem.X.shape[1:]) <= MOST_NUMBERS and not np.isnan(problem.X).any()
        rows = FunctionTransformer(summary, kw_args={"whole": bool(whole)})
        return [rows, *(_scaling() if wish == "scaled" else [])]
    if problem.is_images:
        return [FunctionTransformer(flatten), *([Brightness()] if wish == "scaled" else [])]
    if hasattr(problem.X, "columns") and not _only_numbers(problem.X):
        return [Columns(wish, problem.is_classification)]
    return _scaling() if wish == "scaled" else []


def _counted() -> TfidfVectorizer:
    return TfidfVectorizer(
        token_pattern=TOKEN, ngram_range=(1, 2), max_features=20_000, sublinear_tf=True
    )


def flatten(images: Any) -> np.ndarray:
    """Images (n, ...) as rows (n, pixels)."""
    return np.reshape(images, (len(images), -1))


class Brightness(TransformerMixin, BaseEstimator):
    """Pixels (n, pixels) minus their mean over their spread, one number each for all of them.

    They share a unit, and a pixel at the border that is hardly ever lit is no more telling than the
    others: SVC is right on 98.7 % of scikit-learn's digits so, and on 98.1 % when each pixel is
    standardised.

    Examples
    --------
    >>> Brightness().fit_transform([[0.0, 4.0], [0.0, 4.0]])
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Mean and spread over all pixels of all rows."""
        X = validate_data(self, X, dtype=np.float64)
        self.mean_, self.scale_ = float(X.mean()), float(X.std()) or 1.0
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scaled rows."""
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray((X - self.mean_) / self.scale_)


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
            name: pd.unique(texts[pd.notna(texts)]).tolist() for name, texts in _texts(X, labels)
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
            levels = pd.Index(self.levels_[name])
            codes = levels.get_indexer(texts)  # -1, missing, for unseen
            frame[f"c{place}"] = pd.Categorical.from_codes(codes, levels)
        return frame


def _texts(X: pd.DataFrame, names: list[str]) -> list[tuple[str, np.ndarray]]:
    """Columns as strings, by name."""
    return list(zip(names, words(X[names]).T, strict=True)) if names else []


@converts(Columns, strings=True)
def columns(estimator: Columns, build: Build) -> Piece:
    """As PyTorch, for ONNX: numbers as fit decided; behind them labels, as words for the trees."""
    before, parts = build.columns or (), {}
    given: list[Column] = []
    if estimator.numbers_.transformers:
        parts["numbers"] = build.convert(estimator.numbers_, build.columns)
        width = max(found.stop for found in estimator.numbers_.output_indices_.values())
        given = [Column(f"n{place}", computed=True) for place in range(width)]
    if estimator.levels_:
        names = list(getattr(estimator, "feature_names_in_", range(estimator.n_features_in_)))
        places = [names.index(name) for name in estimator.levels_]
        parts["labels"] = Pick(places)
        given += [Handed(before[place], text=True) for place in places]
    made = SideBySide(parts)
    made.columns = tuple(given) if estimator.levels_ else None
    return made
