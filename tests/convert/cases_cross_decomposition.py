"""Partial least squares."""

__all__ = ["CASES"]

from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from suite import Case

CASES = [
    Case(PLSRegression(), ("regression", "targets")),
    Case(PLSRegression(3, scale=False), ("regression", "targets"), "no scale"),
    Case(PLSCanonical(1), ("regression", "targets")),
    Case(CCA(1), ("regression", "targets")),
    Case(PLSSVD(1), ("regression", "targets")),
]
