"""Scalers and functions of each number."""

__all__ = ["CASES"]

import numpy as np
from sklearn import preprocessing
from sklearn.pipeline import FeatureUnion, make_pipeline
from suite import Case

X, HOLES = ("regression", "counts"), ("missing numbers",)
CASES = [
    Case(preprocessing.StandardScaler(), X + HOLES),
    Case(preprocessing.StandardScaler(with_mean=False), X, "spread"),
    Case(preprocessing.StandardScaler(with_std=False), X, "mean"),
    Case(preprocessing.MinMaxScaler(), X + HOLES),
    Case(preprocessing.MinMaxScaler((-2, 3), clip=True), X + HOLES, "clip"),
    Case(preprocessing.MaxAbsScaler(), X + HOLES),
    Case(preprocessing.MaxAbsScaler(clip=True), X, "clip"),
    Case(preprocessing.RobustScaler(), X + HOLES),
    Case(preprocessing.RobustScaler(with_centering=False, unit_variance=True), X, "unit"),
    Case(preprocessing.RobustScaler(with_scaling=False), X, "median"),
    Case(preprocessing.Normalizer("l1"), X, "l1"),
    Case(preprocessing.Normalizer("l2"), X, "l2"),
    Case(preprocessing.Normalizer("max"), X, "max"),
    Case(preprocessing.Binarizer(threshold=5.0), X),
    Case(preprocessing.FunctionTransformer(), X),
    Case(preprocessing.FunctionTransformer(np.log1p, np.expm1), ("counts",), "log1p"),
    Case(
        make_pipeline(
            preprocessing.StandardScaler(),
            FeatureUnion(
                [
                    (name, preprocessing.FunctionTransformer(getattr(np, name)))
                    for name in ("cbrt", "sign", "rint", "tanh", "square", "negative", "floor")
                ]
            ),
        ),
        X,
        "functions",
        single=1.0,  # rint and floor of a number that float32 puts on the other side
    ),
]
