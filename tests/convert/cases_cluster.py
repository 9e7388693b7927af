"""Clusters: centres, trees of centres, groups of features."""

__all__ = ["CASES"]

import numpy as np
from sklearn import cluster
from suite import Case

X = ("multiclass", "regression")
CASES = [
    Case(cluster.KMeans(4, n_init=2, random_state=0), X),
    Case(cluster.KMeans(1, n_init=1, random_state=0), ("regression",), "one cluster"),
    Case(cluster.MiniBatchKMeans(3, n_init=2, random_state=0), X),
    Case(cluster.BisectingKMeans(5, random_state=0), X),
    Case(cluster.BisectingKMeans(1, random_state=0), ("regression",), "one cluster"),
    Case(
        cluster.BisectingKMeans(4, bisecting_strategy="largest_cluster", random_state=0),
        ("multiclass",),
        "largest first",
    ),
    Case(cluster.MeanShift(), X),
    Case(cluster.AffinityPropagation(random_state=0), ("multiclass",)),
    # float32: a distance near 0 is the root of a difference of squares
    Case(cluster.Birch(n_clusters=3, threshold=0.3), X, single=1e-2),
    Case(cluster.Birch(n_clusters=None, threshold=0.8), ("multiclass",), "alone", single=1e-2),
    Case(cluster.FeatureAgglomeration(2), X),
    *[
        Case(cluster.FeatureAgglomeration(2, pooling_func=pool), ("multiclass",), pool.__name__)
        for pool in (np.max, np.min, np.median, np.sum)
    ],
]
