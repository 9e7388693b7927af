"""Support vector machines."""

__all__ = ["CASES"]

import warnings

from sklearn import svm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from suite import Case

CLASSES = ("binary", "multiclass")


def scaled(model):
    """After a scaler: products of numbers in the thousands have no nine digits left."""
    return make_pipeline(StandardScaler(), model)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # probability=True is on its way out
    CASES = [
        Case(svm.SVC(), CLASSES),
        *[
            Case(scaled(svm.SVC(kernel=kernel, degree=2, coef0=0.5)), CLASSES, kernel)
            for kernel in ("linear", "poly", "sigmoid")
        ],
        Case(svm.SVC(gamma=0.01, class_weight="balanced"), CLASSES, "balanced"),
        Case(svm.SVC(decision_function_shape="ovo"), CLASSES, "by pair"),
        Case(svm.SVC(break_ties=True, C=0.1), CLASSES, "break ties"),
        Case(svm.SVC(probability=True, random_state=0), CLASSES, "probability"),
        Case(
            scaled(svm.SVC(probability=True, kernel="linear", break_ties=True, random_state=0)),
            CLASSES,
            "probability, linear",
        ),
        # dual coefficients of 1e4, which add up to 1: float32 has three digits left
        Case(svm.NuSVC(nu=0.1), CLASSES, single=3e-2),
        Case(svm.NuSVC(nu=0.1, probability=True, random_state=0), CLASSES, "pairs", single=3e-2),
        Case(svm.SVR(C=10.0), ("regression",)),
        Case(scaled(svm.SVR(kernel="linear")), ("regression",), "linear"),
        Case(scaled(svm.SVR(kernel="poly", C=10.0)), ("regression",), "poly"),
        Case(svm.NuSVR(C=10.0), ("regression",)),
        Case(svm.OneClassSVM(nu=0.2), ("multiclass", "regression")),
        Case(svm.OneClassSVM(nu=0.5, kernel="linear"), ("multiclass",), "linear"),
    ]
