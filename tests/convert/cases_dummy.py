"""Dummies."""

__all__ = ["CASES"]

from sklearn.dummy import DummyClassifier, DummyRegressor
from suite import Case

CLASSES = ("binary", "multiclass", "labels", "words")
NUMBERS = ("regression", "targets", "missing numbers")
CASES = [
    Case(DummyClassifier(), CLASSES),
    Case(DummyClassifier(strategy="most_frequent"), CLASSES, "most_frequent"),
    Case(DummyClassifier(strategy="constant", constant=2), ("multiclass",), "constant"),
    Case(DummyRegressor(), NUMBERS),
    Case(DummyRegressor(strategy="median"), NUMBERS, "median"),
    Case(DummyRegressor(strategy="quantile", quantile=0.9), NUMBERS, "quantile"),
    Case(DummyRegressor(strategy="constant", constant=7), ("regression",), "constant"),
]
