"""Densities of kernels."""

__all__ = ["CASES"]

from sklearn import neighbors
from suite import Case

KERNELS = ("gaussian", "tophat", "epanechnikov", "exponential", "linear", "cosine")

# one leaf: with several, scikit-learn subtracts bounds and loses the digits of small densities
LEAF = {"leaf_size": 500}
CASES = [
    *[
        Case(
            neighbors.KernelDensity(bandwidth=3.0, kernel=kernel, **LEAF),
            ("multiclass", "regression"),
            kernel,
        )
        for kernel in KERNELS
    ],
    Case(neighbors.KernelDensity(bandwidth="scott", **LEAF), ("regression",), "scott"),
    Case(
        neighbors.KernelDensity(metric="manhattan", bandwidth=2.0, **LEAF),
        ("regression",),
        "manhattan",
    ),
]
