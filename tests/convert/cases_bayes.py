"""Naive Bayes."""

__all__ = ["CASES"]

from sklearn import naive_bayes
from suite import Case

CLASSES = ("binary", "multiclass")
CASES = [
    Case(naive_bayes.GaussianNB(), CLASSES),
    Case(naive_bayes.GaussianNB(var_smoothing=1e-3), CLASSES, "smoothed"),
    Case(naive_bayes.MultinomialNB(), ("counts",)),
    Case(naive_bayes.MultinomialNB(fit_prior=False, alpha=0.1), ("counts",), "no prior"),
    Case(naive_bayes.ComplementNB(), ("counts",)),
    Case(naive_bayes.ComplementNB(norm=True), ("counts",), "norm"),
    Case(naive_bayes.BernoulliNB(), CLASSES),
    Case(naive_bayes.BernoulliNB(binarize=2.0), ("counts",), "binarize"),
    Case(naive_bayes.CategoricalNB(min_categories=4), ("categories",)),
    Case(naive_bayes.CategoricalNB(fit_prior=False, min_categories=6), ("categories",), "6 each"),
]
