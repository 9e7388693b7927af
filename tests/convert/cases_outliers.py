"""Detectors of outliers."""

__all__ = ["CASES"]

from sklearn.covariance import EllipticEnvelope
from suite import Case

CASES = [
    Case(EllipticEnvelope(random_state=0), ("binary", "regression")),
    Case(
        EllipticEnvelope(contamination=0.3, assume_centered=True, random_state=0),
        ("regression",),
        "around 0",
    ),
]
