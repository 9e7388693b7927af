"""Discriminant analysis."""

__all__ = ["CASES"]

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as Lda
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as Qda
from suite import Case

CLASSES = ("binary", "multiclass")
CASES = [
    Case(Lda(), CLASSES),
    Case(Lda(n_components=1), CLASSES, "1 component"),
    Case(Lda(solver="lsqr", shrinkage="auto"), CLASSES, "lsqr"),
    Case(Lda(solver="eigen", shrinkage=0.3), CLASSES, "eigen"),
    Case(Qda(reg_param=0.1), ("binary",)),  # more rows a class than columns
    Case(Qda(solver="eigen", shrinkage=0.3), CLASSES, "eigen"),
]
