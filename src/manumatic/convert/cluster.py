"""Clusters: the nearest centre, a tree of centres, and groups of features."""

__all__ = ["Centres", "Groups", "Halves", "Subclusters"]

from typing import Any

import numpy as np
import torch
from sklearn import cluster
from torch import Tensor, nn

from manumatic.convert.distances import root, squared_distances
from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError


class Centres(Piece):
    """−distance² to each centre; the largest is the cluster.

    Parameters
    ----------
    centres : nn.Parameter (clusters, features)
    transforms : bool
        Distances to the centres are its ``transform``.
    """

    def __init__(self, centres: nn.Parameter, *, transforms: bool) -> None:
        super().__init__()
        self.centres = centres
        self.methods = ("predict", "transform") if transforms else ("predict",)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, clusters)."""
        return -squared_distances(x, self.centres)

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the clusters (n,)."""
        return self(x).argmax(1)

    def transform(self, x: Tensor) -> Tensor:
        """Distances (n, clusters)."""
        return root(squared_distances(x, self.centres))


class Halves(Centres):
    """A tree of pairs of centres: a row goes to the nearer one, down to a leaf.

    The score of a leaf is the narrowest of the decisions on the way to it, so that only one leaf
    has a score above 0.

    Parameters
    ----------
    centres : nn.Parameter (clusters, features)
        Of the leaves.
    left, right : nn.Parameter (splits, features)
    way : Tensor (clusters, splits)
        1 where the way to the leaf goes left, −1 right, 0 elsewhere.
    """

    way: Tensor

    def __init__(
        self, centres: nn.Parameter, left: nn.Parameter, right: nn.Parameter, way: Tensor
    ) -> None:
        super().__init__(centres, transforms=True)
        self.left, self.right = left, right
        self.register_buffer("way", way)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, clusters)."""
        margin = squared_distances(x, self.right) - squared_distances(x, self.left)
        scores = margin[:, None] * self.way
        return torch.where(self.way == 0, torch.inf, scores).amin(2)


class Subclusters(Centres):
    """The nearest of many small centres, each of which belongs to a cluster.

    Parameters
    ----------
    centres : nn.Parameter (subclusters, features)
    labels : Tensor (subclusters,)
    """

    labels: Tensor
    groups: Tensor

    def __init__(self, centres: nn.Parameter, labels: Tensor) -> None:
        super().__init__(centres, transforms=True)
        found, groups = labels.unique(return_inverse=True)
        self.clusters = len(found)
        self.register_buffer("labels", labels)
        self.register_buffer("groups", groups)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, clusters)."""
        scores = super().forward(x)
        empty = torch.full_like(scores[:, :1], -torch.inf).expand(-1, self.clusters)
        return empty.scatter_reduce(1, self.groups.expand(scores.shape[0], -1), scores, "amax")

    def predict(self, x: Tensor) -> Tensor:
        """Labels of the clusters (n,)."""
        return self.labels[super().forward(x).argmax(1)]


POOLS = {np.mean: "mean", np.max: "max", np.min: "min", np.sum: "sum", np.median: "median"}


class Groups(Transformer):
    """Features that are alike pooled into one.

    Parameters
    ----------
    labels : ndarray (features,)
        The group of each feature.
    pool : str
        "mean", "sum", "max", "min" or "median".
    """

    methods = ("transform", "inverse_transform")
    labels: Tensor
    sizes: Tensor
    order: Tensor

    def __init__(self, labels: np.ndarray, pool: str) -> None:
        super().__init__()
        self.pool = pool
        self.register_buffer("labels", torch.as_tensor(labels, dtype=torch.int64))
        self.counts = np.bincount(labels).tolist()
        self.register_buffer("sizes", torch.tensor(self.counts))
        self.register_buffer("order", torch.as_tensor(labels).argsort(stable=True))

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features (n, groups)."""
        if self.pool in ("mean", "sum"):
            hot = torch.nn.functional.one_hot(self.labels, len(self.counts)).to(x.dtype)
            return x @ hot / self.sizes if self.pool == "mean" else x @ hot
        groups = x.index_select(1, self.order).split(self.counts, 1)
        return torch.stack([self._pooled(members) for members in groups], 1)

    def _pooled(self, members: Tensor) -> Tensor:
        if self.pool == "max":
            return members.amax(1)
        if self.pool == "min":
            return members.amin(1)
        ordered, n = members.sort(1).values, members.shape[1]
        return (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Each feature gets what its group has (n, features)."""
        return x.index_select(1, self.labels)


@converts(cluster.KMeans, cluster.MiniBatchKMeans)
def k_means(estimator: Any, build: Build) -> Piece:
    """The nearest centre."""
    return Centres(build.weight(estimator.cluster_centers_), transforms=True)


@converts(cluster.MeanShift, cluster.AffinityPropagation)
def peaks(estimator: Any, build: Build) -> Piece:
    """The nearest centre."""
    centres = getattr(estimator, "cluster_centers_", None)
    if centres is None or not len(centres):
        why = f"affinity={getattr(estimator, 'affinity', None)!r}" if centres is None else "no fit"
        raise ConvertError(
            f"{type(estimator).__name__} has no centres ({why}), so there is nothing to be near "
            "to; fit it on rows, until it converges"
        )
    return Centres(build.weight(getattr(centres, "toarray", lambda: centres)()), transforms=False)


@converts(cluster.BisectingKMeans)
def bisecting(estimator: Any, build: Build) -> Piece:
    """The tree of halves."""
    root_node = estimator._bisecting_tree
    if root_node.left is None:  # one cluster
        return Centres(build.weight(estimator.cluster_centers_), transforms=True)
    mean = getattr(estimator, "_X_mean", 0.0)
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    ways: dict[int, dict[int, float]] = {}
    open_nodes: list[tuple[Any, dict[int, float]]] = [(root_node, {})]
    while open_nodes:
        node, way = open_nodes.pop()
        if node.left is None:
            ways[node.label] = way
            continue
        split = len(left)
        left.append(node.left.center + mean)
        right.append(node.right.center + mean)
        open_nodes += [(node.left, {**way, split: 1.0}), (node.right, {**way, split: -1.0})]
    signs = np.zeros((len(ways), len(left)))
    for label, way in ways.items():
        for split, sign in way.items():
            signs[label, split] = sign
    centres, one, other = (build.weight(v) for v in (estimator.cluster_centers_, left, right))
    return Halves(centres, one, other, build.tensor(signs))


@converts(cluster.Birch)
def birch(estimator: Any, build: Build) -> Piece:
    """The nearest subcluster."""
    labels = torch.as_tensor(np.asarray(estimator.subcluster_labels_), dtype=torch.int64)
    return Subclusters(build.weight(estimator.subcluster_centers_), labels)


@converts(cluster.FeatureAgglomeration)
def agglomeration(estimator: Any, build: Build) -> Piece:
    """Pooled features."""
    pool = POOLS.get(estimator.pooling_func)
    if pool is None:
        raise ConvertError(
            f"FeatureAgglomeration pools with {estimator.pooling_func!r}; np.mean, np.median, "
            "np.max, np.min and np.sum can be converted"
        )
    return Groups(estimator.labels_, pool)
