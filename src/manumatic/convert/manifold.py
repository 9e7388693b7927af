"""Manifolds: new rows between their neighbours on the map."""

__all__ = ["Geodesic", "LocallyLinear"]

from typing import Any

import numpy as np
import torch
from sklearn import manifold
from torch import Tensor, nn

from manumatic.convert.nearest import Nearest, nearest_of
from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact
from manumatic.errors import ConvertError


class Geodesic(Transformer):
    """Ways over the neighbours to all rows, centred, onto axes (Tenenbaum et al. 2000).

    Parameters
    ----------
    search : Nearest
    ways : Tensor (m, m)
        Lengths between the stored rows.
    means : Tensor (m,)
        Of −½ · ways².
    mean : Tensor ()
    axes : nn.Parameter (m, outputs)
    """

    ways: Tensor
    means: Tensor
    mean: Tensor

    def __init__(
        self, search: Nearest, ways: Tensor, means: Tensor, mean: Tensor, axes: nn.Parameter
    ) -> None:
        super().__init__()
        self.search, self.axes = search, axes
        self.register_buffer("ways", ways)
        self.register_buffer("means", means)
        self.register_buffer("mean", mean)

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates (n, outputs)."""
        distances, found = self.search(x)
        shortest = self.ways[found[:, 0]] + distances[:, :1]
        for i in range(1, self.search.k):
            way = self.ways[found[:, i]] + distances[:, i : i + 1]
            shortest = torch.minimum(shortest, way)
        likeness = -0.5 * shortest**2
        middle = likeness.mean(1, keepdim=True)
        return (likeness - self.means - middle + self.mean) @ self.axes


class LocallyLinear(Transformer):
    """The weights that rebuild a row from its neighbours, on the map (Roweis & Saul 2000).

    Parameters
    ----------
    search : Nearest
    rows : Tensor (m, features)
    places : nn.Parameter (m, outputs)
        The rows on the map.
    reg : float
        How much of the trace is added to the diagonal.
    """

    rows: Tensor
    reg: Tensor

    def __init__(self, search: Nearest, rows: Tensor, places: nn.Parameter, reg: float) -> None:
        super().__init__()
        self.search, self.places = search, places
        exact(self, reg=reg)
        self.register_buffer("rows", rows)

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates (n, outputs)."""
        _, found = self.search(x)
        gap = self.rows[found] - x[:, None]
        gram = gap @ gap.transpose(1, 2)
        trace = gram.diagonal(dim1=1, dim2=2).sum(1)
        ridge = torch.where(trace > 0, self.reg * trace, self.reg)
        eye = torch.eye(self.search.k, dtype=x.dtype, device=x.device)
        weights = _solved(gram + ridge[:, None, None] * eye)
        return (weights[:, :, None] * self.places[found]).sum(1) / weights.sum(1, keepdim=True)


def _solved(matrix: Tensor) -> Tensor:
    """Solutions (n, k) of matrix · w = 1 by Gauss and Jordan: positive definite, so no pivots.

    ``torch.linalg.solve`` has no counterpart in ONNX.
    """
    k = matrix.shape[1]
    given = torch.cat([matrix, torch.ones_like(matrix[:, :, :1])], 2)
    for i in range(k):
        row = given[:, i : i + 1] / given[:, i : i + 1, i : i + 1]
        given = given - given[:, :, i : i + 1] * row
        given = torch.cat([given[:, :i], row, given[:, i + 1 :]], 1)
    return given[:, :, k]


@converts(manifold.Isomap)
def isomap(estimator: Any, build: Build) -> Piece:
    """Geodesic distances on kernel axes."""
    if estimator.n_neighbors is None:
        raise ConvertError(
            f"Isomap with radius={estimator.radius!r} follows any number of neighbours; fit it "
            "with n_neighbors"
        )
    inner, centre = estimator.kernel_pca_, estimator.kernel_pca_._centerer
    some = inner.eigenvalues_ != 0
    axes = np.where(some, inner.eigenvectors_ / np.sqrt(np.where(some, inner.eigenvalues_, 1)), 0)
    return Geodesic(
        nearest_of(estimator.nbrs_, estimator.n_neighbors, build),
        build.tensor(estimator.dist_matrix_),
        build.tensor(centre.K_fit_rows_),
        build.tensor(centre.K_fit_all_),
        build.weight(axes),
    )


@converts(manifold.LocallyLinearEmbedding)
def locally_linear(estimator: Any, build: Build) -> Piece:
    """Barycentric weights."""
    neighbours = estimator.nbrs_
    search = nearest_of(neighbours, estimator.n_neighbors, build)
    places = build.weight(estimator.embedding_)
    return LocallyLinear(search, build.tensor(neighbours._fit_X), places, estimator.reg)
