"""The nearest of the stored rows: the same ones that scikit-learn finds.

Which of several rows at exactly the same distance comes last into the k, scikit-learn leaves to
the order in which a tree or a thread visits them. Here it is the one that lies first in the tree's
order, or in that of the rows where there is no tree.
"""

__all__ = ["Nearest", "Within", "nearest_of", "stored"]

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.convert.distances import Distance, distance_of, squared_distances
from manumatic.convert.kernels import dense
from manumatic.convert.registry import Build
from manumatic.convert.repeat import exact

SPARE = 32  # candidates beside the k: a product of matrices may order near ones differently


class Nearest(nn.Module):
    """Distances to the k nearest rows, and their numbers.

    Euclidean distances are compared as sums of squared differences, feature by feature, which is
    what scikit-learn's trees do; ‖x‖² − 2xy + ‖y‖² only picks who is compared.

    Parameters
    ----------
    rows : Tensor (m, features)
    numbers : Tensor (m,)
        What a row is called in the answer.
    distance : Distance
    k : int
    """

    rows: Tensor
    numbers: Tensor

    def __init__(self, rows: Tensor, numbers: Tensor, distance: Distance, k: int) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("numbers", numbers)
        self.distance, self.k = distance, k
        twins = int(rows.unique(dim=0, return_counts=True)[1].max())
        euclidean = distance.metric == "minkowski" and distance.p == 2
        kept = k + SPARE + twins
        self.kept = kept if euclidean and kept < len(rows) else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (n, k) and numbers (n, k), in the order of the rows."""
        if self.kept is None:
            ranks, places = self.distance.ranks(x, self.rows), None
        else:
            rough = squared_distances(x, self.rows)
            places = rough.topk(self.kept, 1, largest=False).indices.sort(1).values
            ranks = self.distance.ranks(x, self.rows[places])
        chosen = self._first(ranks)
        found = ranks.gather(1, chosen)
        numbers = chosen if places is None else places.gather(1, chosen)
        return self.distance.finish(found), self.numbers[numbers]

    def _first(self, ranks: Tensor) -> Tensor:
        """The places (n, k) of the k smallest; of equal ones, the first."""
        last = ranks.topk(self.k, 1, largest=False).values.amax(1, keepdim=True)
        below, at = ranks < last, ranks == last
        free = self.k - below.sum(1, keepdim=True)
        inside = below | (at & (at.cumsum(1) <= free))
        n = ranks.shape[1]
        order = torch.arange(n, 0, -1, device=ranks.device)
        return n - torch.where(inside, order, 0).topk(self.k, 1).values


class Within(nn.Module):
    """Distances to all rows, and which are within a radius.

    Parameters
    ----------
    rows : Tensor (m, features)
    distance : Distance
    radius : float
    """

    rows: Tensor
    limit: Tensor

    def __init__(self, rows: Tensor, distance: Distance, radius: float) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.distance = distance
        exact(self, limit=distance.rank_of(radius))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (n, m) and truths (n, m)."""
        ranks = self.distance.ranks(x, self.rows)
        return self.distance.finish(ranks), ranks <= self.limit


def stored(estimator: Any) -> tuple[Distance, np.ndarray]:
    """The distance that an estimator of ``sklearn.neighbors`` takes, and its rows.

    Parameters
    ----------
    estimator : fitted estimator

    Returns
    -------
    Distance
    ndarray (m, features)

    Raises
    ------
    ConvertError
        The metric has no formula here.

    Examples
    --------
    >>> from sklearn.neighbors import NearestNeighbors
    >>> stored(NearestNeighbors().fit([[1.0], [2.0]]))[1].shape
    (2, 1)
    """
    given = {"p": getattr(estimator, "p", None), **(estimator.metric_params or {})}
    distance = distance_of(estimator.metric, type(estimator).__name__, given)
    return distance, dense(estimator._fit_X)


def nearest_of(estimator: Any, k: int, build: Build) -> Nearest:
    """The search of an estimator of ``sklearn.neighbors``.

    Parameters
    ----------
    estimator : fitted estimator
    k : int
    build : Build

    Returns
    -------
    Nearest

    Examples
    --------
    >>> from sklearn.neighbors import NearestNeighbors
    >>> near = nearest_of(NearestNeighbors().fit([[1.0], [2.0], [5.0]]), 1, Build())
    >>> near(torch.tensor([[4.0]], dtype=torch.float64))
    (tensor([[1.]], dtype=torch.float64), tensor([[2]]))
    """
    distance, rows = stored(estimator)
    order = np.arange(len(rows))
    if estimator._tree is not None:
        order = np.array(estimator._tree.get_arrays()[1])
    return Nearest(build.tensor(rows[order]), torch.as_tensor(order), distance, k)
