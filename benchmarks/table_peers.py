"""Who runs in tables.py: manumatic, and other people's models at their defaults.

``CONTESTANTS["lightgbm"].build("binary")`` is fitted on a DataFrame as it comes. What a model
cannot read (words, holes, dates) is laid out for it, and no further.
"""

__all__ = ["CONTESTANTS", "Cat", "Contestant", "Tidy"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.compose import make_column_selector as columns
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

RARE, HGB_LEVELS = 5, 250  # rows that a one-hot column needs; levels that HGB is given

# --- how a table is laid out for those who do not read a DataFrame as it is -----------------------


class Tidy(TransformerMixin, BaseEstimator):
    """Dates become numbers, words a category of the training rows' levels.

    A date is its year, month, day, weekday, hour and the days since 1970. A word that training did
    not show is missing. ``most`` folds the rarest levels into one; ``blank`` is a word for missing
    ones (and everything is a plain string); ``fill`` puts the mean into missing numbers, and says
    where in a category of its own.
    """

    def __init__(self, most: int | None = None, blank: str | None = None, fill: bool = False):
        self.most = most
        self.blank = blank
        self.fill = fill

    def fit(self, X: pd.DataFrame, y: Any = None) -> "Tidy":
        """Learn levels and means."""
        flat = _undated(X)
        words = flat.select_dtypes(exclude=["number", "bool"])
        self.levels_ = {name: words[name].value_counts().index[: self.most] for name in words}
        numbers = flat.drop(columns=list(words))
        self.means_ = numbers.mean()
        self.holes_ = [name for name in numbers if numbers[name].isna().any()]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The same columns for other rows; they are called c0, c1, …."""
        flat = _undated(X)
        found: dict[str, pd.Series] = {}
        for name in flat:
            key = f"c{len(found)}"
            if name in self.levels_:
                found[key] = self._words(flat[name], self.levels_[name])
            else:
                numbers = flat[name].astype(float)
                found[key] = numbers.fillna(self.means_[name]) if self.fill else numbers
        if self.fill:
            for name in self.holes_:
                there = np.where(flat[name].isna(), "no", "yes")
                found[f"c{len(found)}"] = pd.Series(pd.Categorical(there, ["no", "yes"]), X.index)
        return pd.DataFrame(found)

    def _words(self, column: pd.Series, levels: pd.Index) -> pd.Series:
        known = sorted(levels.astype(str))
        words = column.astype(object).where(column.isin(levels))
        if self.most is not None and len(levels) == self.most:
            words = words.where(words.notna() | column.isna(), "all others")
            known = [*known, "all others"]
        if self.blank is not None:
            return words.where(words.notna(), self.blank).astype(str)
        return words.where(words.isna(), words.astype(str)).astype(pd.CategoricalDtype(known))


def _undated(X: pd.DataFrame) -> pd.DataFrame:
    dates = X.select_dtypes("datetime")
    parts = [X.drop(columns=list(dates))]
    for name in dates:
        when = X[name].dt
        bits = {f"{name} {bit}": getattr(when, bit) for bit in ("year", "month", "day", "hour")}
        days = (X[name] - pd.Timestamp(0)) / pd.Timedelta("1D")
        parts.append(pd.DataFrame({**bits, f"{name} weekday": when.weekday, f"{name} days": days}))
    return pd.concat(parts, axis=1)


WORDS, NUMBERS = columns(dtype_include="category"), columns(dtype_include="number")


def _one_hot() -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", min_frequency=RARE)
    return make_pipeline(Tidy(), ColumnTransformer([("n", numbers, NUMBERS), ("w", words, WORDS)]))


def _codes() -> Any:
    words = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    numbers = SimpleImputer(strategy="median")
    return make_pipeline(Tidy(), ColumnTransformer([("n", numbers, NUMBERS), ("w", words, WORDS)]))


# --- the contestants: each is handed the kind of task, and is at its own defaults -----------------


def manumatic(kind: str) -> Any:
    """No options, the table as it is."""
    import manumatic as mm

    return (mm.Regressor if kind == "regression" else mm.Classifier)(random_state=0)


def linear(kind: str) -> Any:
    """One-hot, imputed with indicators, standardised."""
    last = Ridge() if kind == "regression" else LogisticRegression(max_iter=1000)
    return make_pipeline(_one_hot(), last)


def forest(kind: str) -> Any:
    """Ordinal codes, medians."""
    last = RandomForestRegressor if kind == "regression" else RandomForestClassifier
    return make_pipeline(_codes(), last(random_state=0, n_jobs=1))


def histgb(kind: str) -> Any:
    """Categories by dtype; it takes no more than 255 levels, so rare ones are folded."""
    regression = kind == "regression"
    last = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return make_pipeline(Tidy(most=HGB_LEVELS), last(random_state=0))


def mlp(kind: str) -> Any:
    """One-hot and scaled, the target of a regression too."""
    if kind == "regression":
        net = TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler())
        return make_pipeline(_one_hot(), net)
    return make_pipeline(_one_hot(), MLPClassifier(random_state=0))


def lightgbm(kind: str) -> Any:
    """Categories by dtype."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    last = LGBMRegressor if kind == "regression" else LGBMClassifier
    return make_pipeline(Tidy(), last(random_state=0, n_jobs=1, verbosity=-1))


def xgboost(kind: str) -> Any:
    """Categories by dtype."""
    from xgboost import XGBClassifier, XGBRegressor

    last = XGBRegressor if kind == "regression" else XGBClassifier
    return make_pipeline(Tidy(), last(random_state=0, n_jobs=1, enable_categorical=True))


class Cat(BaseEstimator):
    """CatBoost is told which columns are words, and wants a word for missing ones."""

    def __init__(self, last: Any):
        self.last = last

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Cat":
        """All columns of words are cat_features."""
        self.tidy_ = Tidy(blank="missing").fit(X)
        X = self.tidy_.transform(X)
        words = list(X.select_dtypes(exclude="number"))
        self.last_ = self.last(
            random_seed=0, thread_count=1, allow_writing_files=False, verbose=False
        ).fit(X, y, cat_features=words)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Values."""
        return self.last_.predict(self.tidy_.transform(X))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Probabilities."""
        return self.last_.predict_proba(self.tidy_.transform(X))


def catboost(kind: str) -> Any:
    """All words and texts are categories."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    return Cat(CatBoostRegressor if kind == "regression" else CatBoostClassifier)


def _pytabkit(name: str, kind: str, **options: Any) -> Any:
    import pytabkit

    last = getattr(pytabkit, f"{name}_{'Regressor' if kind == 'regression' else 'Classifier'}")
    common = {"n_cv": 1, "device": "cpu", "random_state": 0, "n_threads": 1}
    return make_pipeline(Tidy(fill=True), last(**common, **options))


def realmlp(kind: str) -> Any:
    """For AUC it is told so, and its label smoothing is off: the README of pytabkit says to."""
    auc = {"val_metric_name": "1-auc_ovr", "use_ls": False}
    return _pytabkit("RealMLP_TD", kind, **(auc if kind == "binary" else {}))


def tabm(kind: str) -> Any:
    """As it comes."""
    return _pytabkit("TabM_D", kind)


@dataclass(frozen=True)
class Contestant:
    """Who it is, how to build it, and the package it needs."""

    label: str
    build: Callable[[str], Any]
    package: str


CONTESTANTS = {
    "manumatic": Contestant("manumatic", manumatic, "manumatic"),
    "linear": Contestant("linear", linear, "sklearn"),
    "forest": Contestant("random forest", forest, "sklearn"),
    "histgb": Contestant("HistGradientBoosting", histgb, "sklearn"),
    "lightgbm": Contestant("LightGBM", lightgbm, "lightgbm"),
    "xgboost": Contestant("XGBoost", xgboost, "xgboost"),
    "catboost": Contestant("CatBoost", catboost, "catboost"),
    "mlp": Contestant("scikit-learn MLP", mlp, "sklearn"),
    "realmlp": Contestant("RealMLP_TD", realmlp, "pytabkit"),
    "tabm": Contestant("TabM_D", tabm, "pytabkit"),
}
