"""Columns of any kind → numbers of one size, from scikit-learn's own transformers."""

__all__ = ["Table", "array_preprocess", "in_float32", "table_preprocess", "text_preprocess"]

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from manumatic.errors import DataError
from manumatic.logbook import Logbook
from manumatic.parts.cells import (
    date_names,
    dates,
    numbers,
    seconds,
    sentences,
    smooth_clip,
    words,
)
from manumatic.parts.kinds import MANY, column_kinds, is_tailed, number_kinds
from manumatic.parts.mixed import Pictures
from manumatic.parts.reasons import REASONS, note_kinds
from manumatic.parts.rows import read_rows
from manumatic.parts.tokens import Tokenizer

TOKEN = r"[\u3040-\u30ff\u4e00-\u9fff]|\w+|[^\w\s]+"  # one East Asian sign, a word, or "!!"
NARROW = 3.0  # the bound of columns with outliers, as in RealMLP (arXiv 2407.04491)
WIDE = 10.0  # the bound without outliers: a line stays a line, and yet nothing explodes


def _function(function: Any, names: Any = "one-to-one", **arguments: Any) -> FunctionTransformer:
    return FunctionTransformer(function, kw_args=arguments or None, feature_names_out=names)


def _fill(*, flag: bool = True) -> SimpleImputer:
    """Missing → 0, which is the median after scaling; a flag for columns that missed one in fit."""
    return SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=flag, copy=False)


def _scale(bound: float | list[float] = NARROW) -> list[Any]:
    """Median 0, quartiles 1 apart, outliers squeezed into ±bound.

    The spread goes first: it cancels out where the quartiles differ, and is the scale of the
    columns where they do not (mostly zeros), which RobustScaler alone would leave in any unit. It
    copies the rows; what follows may write into the copy.
    """
    squeeze = _function(smooth_clip, bound=bound)
    return [StandardScaler(with_mean=False), RobustScaler(copy=False), squeeze]


def _topics(texts: Sequence[str], *, most: int, longest: int, seed: int) -> Pipeline:
    """Text → the leading directions of its weighted word counts (latent semantic analysis)."""
    vocabulary = set(re.findall(TOKEN, " ".join(islice(filter(str.strip, texts), 1000)).lower()))
    if len(set(texts)) < 2 or not vocabulary:
        raise DataError(
            f"all texts are alike, {texts[0]!r}: there is nothing to tell rows apart by"
        )
    return make_pipeline(
        _function(sentences),
        TfidfVectorizer(
            token_pattern=TOKEN, ngram_range=(1, longest), max_features=20_000, sublinear_tf=True
        ),
        TruncatedSVD(min(most, len(vocabulary), len(texts)), random_state=seed),
        VarianceThreshold(1e-12),  # without directions made of rounding errors
        *_scale(),
    )


def _directions(seed: int) -> Pipeline:
    """Images → the leading directions of their pixels."""
    return make_pipeline(Pictures(size=(16, 16)), TruncatedSVD(30, random_state=seed), *_scale())


def _recipes(classification: bool | None, seed: int, formats: list[str]) -> dict[str, Pipeline]:
    """What each kind of column but text becomes; in the order of the output columns."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    frequent = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MANY, sparse_output=False
    )
    means = TargetEncoder(
        target_type="auto" if classification else "continuous",
        cv=KFold(5, shuffle=True, random_state=seed),
    )
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    calendar = _function(dates, date_names, formats=formats)
    text = _function(words)
    return {
        "numbers": make_pipeline(_function(numbers), *_scale(WIDE), _fill()),
        "tailed": make_pipeline(_function(numbers), *_scale(), _fill()),
        "durations": make_pipeline(_function(seconds), *_scale(WIDE), _fill()),
        "pairs": make_pipeline(text, codes, MinMaxScaler(feature_range=(-1, 1)), _fill()),
        "categories": make_pipeline(text, one_hot),
        "levels": make_pipeline(text, means, *_scale()),
        "frequent": make_pipeline(text, frequent),
        "dates": make_pipeline(calendar, VarianceThreshold(), *_scale(), _fill(flag=False)),
    }


def table_preprocess(
    frame: pd.DataFrame,
    *,
    classification: bool | None,
    seed: int,
    mixed: bool = False,
    logbook: Logbook | None = None,
) -> ColumnTransformer:
    """Decide how each column of a table becomes numbers.

    Parameters
    ----------
    frame : DataFrame (n, d)
        The training rows. Columns of numbers, booleans, durations, dates, categories and text,
        with missing values; strings that are numbers or dates are read as such.
    classification : bool or None
        Whether the target is classes; None when there is no target, or more than one column of it.
    seed : int
        For the folds of the target means and the directions of the texts.
    mixed : bool
        Texts stay words and images stay pixels, for a net that reads them.
    logbook : Logbook or None
        Gets one row for each kind of column.

    Returns
    -------
    ColumnTransformer
        Not yet fitted. Use its ``fit_transform(frame, y)`` on the training rows: target means are
        cross-fitted there. It takes unseen and missing values in any column.

    Raises
    ------
    DataError
        No column is of use, two have the same name, or one holds lists or complex numbers.

    Examples
    --------
    >>> flats = pd.DataFrame({"size": [50.0, 80.0, None, 65.0], "lift": [True, False, True, True]})
    >>> table_preprocess(flats, classification=None, seed=0).fit_transform(flats).round(2)
    array([[-1.  ,  0.  ,  0.  ],
           [ 1.  , -3.71,  0.  ],
           [ 0.  ,  0.  ,  1.  ],
           [ 0.  ,  0.  ,  0.  ]])
    """
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"two columns are called {twice!r}: rename one of them")
    if len(frame) == 0:
        raise DataError("the table has no rows")
    places, formats = _places(frame, classification)
    if mixed:
        own = {"text": "words", "images": "pixels"}
        places = {own.get(kind, kind): at for kind, at in places.items()}
    note_kinds({kind: frame.columns[places[kind]] for kind in REASONS if kind in places}, logbook)
    named = all(isinstance(name, str) for name in frame.columns)  # else scikit-learn takes places
    keys = {kind: list(frame.columns[at]) if named else at for kind, at in places.items()}
    recipes = _recipes(classification, seed, formats)
    parts = [(kind, recipe, keys[kind]) for kind, recipe in recipes.items() if kind in keys]
    for i, place in enumerate(places.get("text", ()), 1):
        topics = _topics(sentences(frame.iloc[:, [place]]), most=30, longest=1, seed=seed)
        parts.append((f"text{i}", topics, [frame.columns[place] if named else place]))
    apart = {"images": _directions(seed), "words": Tokenizer(), "pixels": Pictures()}
    for kind, reader in apart.items():
        for i, place in enumerate(places.get(kind, ()), 1):
            name = frame.columns[place] if named else place
            parts.append((f"{kind}{i}", clone(reader), [name]))
    return ColumnTransformer(parts, sparse_threshold=0)


def _places(
    frame: pd.DataFrame, classification: bool | None
) -> tuple[dict[str, list[int]], list[str]]:
    """Kind → places of the columns, and the formats of the dates among them."""
    places: dict[str, list[int]] = {}
    formats = []
    for place, (kind, form) in enumerate(column_kinds(frame)):
        kind = "frequent" if kind == "levels" and classification is None else kind
        places.setdefault(kind, []).append(place)
        formats += [form] if form else []
    if at := places.pop("numbers", []):
        for place, tailed in zip(at, is_tailed(numbers(frame.iloc[:, at])), strict=True):
            places.setdefault("tailed" if tailed else "numbers", []).append(place)
    return places, formats


def array_preprocess(X: np.ndarray, *, logbook: Logbook | None = None) -> Pipeline:
    """Scale an array of numbers.

    Parameters
    ----------
    X : ndarray (n, d)
        The training rows, NaN where a value is missing.
    logbook : Logbook or None

    Returns
    -------
    Pipeline
        Not yet fitted. Medians are 0, quartiles 1 apart, outliers in (-3, 3), or in (-10, 10) in
        columns that have none in training; a missing value is 0 and, for columns that missed one
        in fit, 1 in a column behind. No float type is changed.

    Raises
    ------
    DataError
        No column has a value.

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    >>> array_preprocess(X).fit_transform(X).round(2).ravel()
    array([-1. , -0.5,  0. ,  0.5,  1. ])
    """
    places: dict[str, list[int]] = {}
    for place, kind in enumerate(number_kinds(X)):
        places.setdefault("missing" if kind == "missing" else "numbers", []).append(place)
    note_kinds(places, logbook)
    first = []
    if "missing" in places:
        first = [ColumnTransformer([("known", "passthrough", places["numbers"])])]
    bounds = [NARROW if tailed else WIDE for tailed in is_tailed(X[:, places["numbers"]])]
    bound = bounds if len(set(bounds)) > 1 else bounds[0]
    return make_pipeline(*first, *_scale(bound), _fill())


def text_preprocess(texts: Sequence[str], *, seed: int, logbook: Logbook | None = None) -> Pipeline:
    """Turn texts into at most 100 numbers each.

    Parameters
    ----------
    texts : sequence of str (n,)
        The training rows.
    seed : int
        For the directions of the singular value decomposition.
    logbook : Logbook or None

    Returns
    -------
    Pipeline
        Not yet fitted; takes strings (n,) or one column (n, 1) of them. Words, pairs of words,
        punctuation and single East Asian signs are counted and weighted (TF-IDF), and the counts
        reduced to their leading directions.

    Raises
    ------
    DataError
        All texts are the same or empty.

    Examples
    --------
    >>> reviews = ["very good tea", "not good at all", "good, very good!", "stale tea"]
    >>> text_preprocess(reviews, seed=0).fit_transform(reviews).shape
    (4, 4)
    """
    pipe = _topics(texts, most=100, longest=2, seed=seed)
    if logbook is not None:
        logbook.note(
            "data", "text as up to 100 topics", "TF-IDF of words and pairs, and a truncated SVD"
        )
    return pipe


def in_float32(preprocess: Any) -> Any:
    """The same, not yet fitted, in the type that nets read from where outliers are squeezed on.

    What follows only fills gaps, so no number is rounded that would not be rounded anyway; and the
    largest arrays on the way are half as large.

    Parameters
    ----------
    preprocess : transformer
        One of those made here.

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    >>> in_float32(array_preprocess(X)).fit_transform(X).dtype
    dtype('float32')
    """
    for step in preprocess.get_params().values():
        if isinstance(step, OneHotEncoder | OrdinalEncoder):
            step.set_params(dtype="float32")
        elif getattr(step, "func", None) is smooth_clip:
            step.set_params(kw_args={**step.kw_args, "dtype": "float32"})
    return preprocess


class Table(TransformerMixin, BaseEstimator):
    """Columns of any kind → numbers, decided in fit: the front of a scikit-learn pipeline.

    Parameters
    ----------
    random_state : int
        For the folds of the target means and the directions of texts.
    classification : bool or None
        Whether the target is classes; None looks at y.

    Attributes
    ----------
    columns_ : ColumnTransformer or Pipeline
        What was decided, fitted.
    logbook_ : Logbook
        The decisions and their reasons.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> flats = pd.DataFrame({"size": [50, 80, 110, 65], "city": ["Bonn", "Ulm", "Ulm", "Bonn"]})
    >>> model = make_pipeline(Table(), Ridge()).fit(flats, [500.0, 820.0, 1100.0, 660.0])
    >>> print(model[0].logbook_)
    data  1 column scaled by median and quartiles: size  missing values: the median, and a flag
    data  1 column as −1 or 1: city                      two values; missing and unseen ones 0
    """

    def __init__(self, random_state: int = 0, classification: bool | None = None) -> None:
        self.random_state = random_state
        self.classification = classification

    def fit(self, X: Any, y: Any = None) -> Self:
        """Decide what each column becomes, and learn it.

        Parameters
        ----------
        X : DataFrame, array (n, d) or strings (n,)
        y : array (n,), optional
            For the target means of columns with many different values.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and give the numbers to train on, (n, features); target means are cross-fitted."""
        rows = self._read(X, reset=True)
        self.logbook_ = Logbook()
        if isinstance(rows, pd.DataFrame):
            classes = self.classification
            if y is None or np.ndim(y) > 1:
                classes = None  # no one target to take the means of
            elif classes is None:
                classes = type_of_target(y) in ("binary", "multiclass")
            self.columns_ = table_preprocess(
                rows, classification=classes, seed=self.random_state, logbook=self.logbook_
            )
        elif rows.ndim == 1:
            self.columns_ = text_preprocess(rows, seed=self.random_state, logbook=self.logbook_)
        else:
            self.columns_ = array_preprocess(rows, logbook=self.logbook_)
        return self.columns_.fit_transform(rows, y)

    def transform(self, X: Any) -> Any:
        """Give the numbers (n, features); columns of a DataFrame are taken by name."""
        check_is_fitted(self)
        return self.columns_.transform(self._read(X, reset=False))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the numbers."""
        check_is_fitted(self)
        if not hasattr(self, "n_features_in_"):
            input_features = ["text"]
        return self.columns_.get_feature_names_out(input_features)

    def _read(self, X: Any, *, reset: bool) -> Any:
        """A DataFrame whose names are text, in the order of fit; floats (n, d); or strings (n,)."""
        rows = read_rows(X)
        if isinstance(rows, pd.DataFrame):
            names = [str(name) for name in rows.columns]
            rows = rows if names == list(rows.columns) else rows.set_axis(names, axis=1)
            if not reset and set(names) == set(getattr(self, "feature_names_in_", ())):
                rows = rows[list(self.feature_names_in_)]
        if rows.ndim == 2:
            validate_data(self, rows, reset=reset, skip_check_array=True)
        return rows

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        tags.input_tags.string = tags.input_tags.categorical = True
        return tags
