"""Imputers and flags."""

__all__ = ["CASES"]

from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (it brings the class)
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from suite import Case

HOLES = ("missing numbers",)
CASES = [
    *(
        Case(SimpleImputer(strategy=strategy), HOLES, strategy)
        for strategy in ("mean", "median", "most_frequent", "constant")
    ),
    Case(SimpleImputer(add_indicator=True), HOLES, "flags"),
    Case(SimpleImputer(missing_values=0, strategy="median"), ("counts",), "zeros"),
    Case(MissingIndicator(features="all"), (*HOLES, "words and a number")),
    Case(KNNImputer(n_neighbors=3), HOLES),
    Case(KNNImputer(weights="distance", add_indicator=True), HOLES, "distance"),
    Case(IterativeImputer(max_iter=3, tol=1e9), HOLES),
    Case(
        IterativeImputer(Ridge(), max_iter=2, tol=1e9, n_nearest_features=2, random_state=0),
        HOLES,
        "nearest",
    ),
    Case(make_pipeline(SimpleImputer(), LogisticRegression(max_iter=300)), ("missing",), "model"),
]
