"""Selectors."""

__all__ = ["CASES"]

from sklearn import feature_selection as fs
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from suite import Case

X, CLASSES = ("regression",), ("binary", "multiclass")
F = fs.f_regression
MODEL = LogisticRegression(max_iter=100)
CASES = [
    Case(fs.VarianceThreshold(), (*X, "counts", "missing numbers")),
    Case(fs.SelectKBest(F, k=2), X),
    Case(fs.SelectPercentile(F, percentile=40), X),
    Case(fs.SelectFpr(F), X),
    Case(fs.SelectFdr(F), X),
    Case(fs.SelectFwe(F), X),
    Case(fs.GenericUnivariateSelect(F, mode="k_best", param=3), X),
    Case(fs.SelectFromModel(Lasso(alpha=0.1)), X),
    Case(fs.SequentialFeatureSelector(Ridge(), n_features_to_select=2, cv=2), X),
    Case(fs.RFE(Ridge(), n_features_to_select=2), (*X, "targets")),
    Case(fs.RFE(MODEL, n_features_to_select=2, step=0.5), CLASSES),
    Case(fs.RFECV(MODEL, cv=2, step=0.5), CLASSES),
    Case(
        make_pipeline(
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=9),
            fs.VarianceThreshold(0.3),
        ),
        ("words",),
        "words",
    ),
]
