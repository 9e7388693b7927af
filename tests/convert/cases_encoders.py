"""Encoders of words and numbers."""

__all__ = ["CASES"]

from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from suite import Case

WORDS, PLACES = ("words", "words and a number"), ["town", "state"]
UNSEEN = {"handle_unknown": "use_encoded_value", "unknown_value": -1}


def _table(encoder, model, columns=PLACES, imputer=None):
    """Numbers filled and scaled, words encoded, and a model."""
    words = encoder if imputer is None else make_pipeline(imputer, encoder)
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["size"]),
            (words, columns),
            ("passthrough", ["rooms"]),
        ),
        model,
    )


CASES = [
    Case(_table(OneHotEncoder(handle_unknown="ignore"), Ridge()), WORDS[1:], "one-hot"),
    Case(
        _table(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500)),
        WORDS[:1],
        "one-hot",
    ),
    Case(
        _table(
            OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10, drop="first"),
            Ridge(),
            imputer=SimpleImputer(strategy="most_frequent"),
        ),
        WORDS[1:],
        "infrequent",
    ),
    Case(
        _table(
            OneHotEncoder(handle_unknown="warn", max_categories=3),
            Ridge(),
            imputer=SimpleImputer(strategy="constant", fill_value="nowhere"),
        ),
        WORDS[1:],
        "constant",
    ),
    Case(_table(OrdinalEncoder(encoded_missing_value=-2, **UNSEEN), Ridge()), WORDS[1:], "ordinal"),
    Case(_table(TargetEncoder(cv=3), Ridge()), WORDS[1:], "target"),
    Case(_table(TargetEncoder(cv=3), LogisticRegression(max_iter=500)), WORDS[:1], "targets"),
    Case(
        make_pipeline(
            OneHotEncoder(handle_unknown="ignore", max_categories=6), FunctionTransformer()
        ),
        (*WORDS, "counts"),
        "all columns",
    ),
    Case(OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=9), ("counts", *WORDS)),
    Case(OrdinalEncoder(max_categories=5, **UNSEEN), ("counts", *WORDS)),
    Case(TargetEncoder(cv=3), ("counts", "multiclass", *WORDS)),
]
