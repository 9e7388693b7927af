"""Weights of counts."""

__all__ = ["CASES"]

from sklearn.feature_extraction.text import TfidfTransformer
from suite import Case

CASES = [
    Case(TfidfTransformer(), ("counts",)),
    Case(TfidfTransformer(norm="l1", use_idf=False), ("counts",), "l1"),
    Case(TfidfTransformer(norm=None, sublinear_tf=True, smooth_idf=False), ("counts",), "slow"),
]
