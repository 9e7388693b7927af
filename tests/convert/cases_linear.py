"""Linear models."""

__all__ = ["CASES"]

from sklearn import linear_model, svm
from suite import Case

CLASSES, NUMBERS = ("binary", "multiclass"), ("regression", "targets")
CASES = [
    Case(linear_model.LinearRegression(), NUMBERS),
    Case(linear_model.Ridge(), NUMBERS),
    Case(linear_model.Lasso(), NUMBERS),
    Case(linear_model.LogisticRegression(max_iter=300), CLASSES),
    Case(svm.LinearSVC(), CLASSES),
]
