"""Decompositions with a formula."""

__all__ = ["CASES"]

from sklearn import decomposition
from suite import Case

X = ("multiclass", "regression")
CASES = [
    Case(decomposition.PCA(), ("multiclass", "regression")),
    Case(decomposition.PCA(2), X, "two"),
    Case(decomposition.PCA(2, whiten=True), X, "whiten"),
    Case(decomposition.PCA(0.9, whiten=True), X, "share"),
    Case(decomposition.PCA(2, svd_solver="arpack"), ("regression",), "arpack"),
    Case(decomposition.IncrementalPCA(2), X),
    Case(decomposition.IncrementalPCA(2, whiten=True), X, "whiten"),
    Case(decomposition.TruncatedSVD(1), ("binary", *X)),
    Case(decomposition.TruncatedSVD(1, algorithm="arpack"), X, "arpack"),
    Case(decomposition.FastICA(2, random_state=0), X),
    Case(
        decomposition.FastICA(2, whiten="arbitrary-variance", fun="cube", random_state=0), X, "cube"
    ),
    Case(decomposition.FastICA(whiten=False, random_state=0), ("regression",), "not whitened"),
    Case(decomposition.FactorAnalysis(2, random_state=0), X),
    Case(decomposition.FactorAnalysis(2, rotation="varimax", random_state=0), X, "varimax"),
    Case(decomposition.SparsePCA(2, max_iter=20, random_state=0), X),
    Case(decomposition.MiniBatchSparsePCA(2, max_iter=20, random_state=0), X),
    *[
        # products of numbers in the thousands: float32 has two digits left
        Case(decomposition.KernelPCA(3, kernel=kernel, gamma=gamma), X, kernel, single=0.1)
        for kernel, gamma in {
            "linear": None,
            "poly": 0.001,
            "rbf": 0.01,
            "sigmoid": 0.0001,
            "cosine": None,
        }.items()
    ],
    Case(
        decomposition.KernelPCA(2, kernel="rbf", gamma=0.01, fit_inverse_transform=True),
        X,
        "and back",
    ),
    Case(
        decomposition.DictionaryLearning(
            3, transform_algorithm="threshold", transform_alpha=0.3, max_iter=5, random_state=0
        ),
        ("multiclass",),
    ),
    Case(
        decomposition.DictionaryLearning(
            3,
            transform_algorithm="threshold",
            fit_algorithm="cd",
            positive_code=True,
            split_sign=True,
            max_iter=5,
            random_state=0,
        ),
        ("multiclass",),
        "split",
    ),
    Case(
        decomposition.MiniBatchDictionaryLearning(
            3, transform_algorithm="threshold", max_iter=5, random_state=0
        ),
        ("multiclass",),
    ),
]
