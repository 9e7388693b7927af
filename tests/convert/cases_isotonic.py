"""Isotonic regression."""

__all__ = ["CASES"]

from sklearn.isotonic import IsotonicRegression
from suite import Case

KINDS = ("one column",)
STEEP = 0.2  # between two knots side by side, the line is steeper than float32 can follow
CASES = [
    Case(IsotonicRegression(), KINDS, single=STEEP),
    Case(IsotonicRegression(out_of_bounds="clip"), KINDS, "clip", single=STEEP),
    Case(IsotonicRegression(increasing=False), KINDS, "falling", single=STEEP),
]
