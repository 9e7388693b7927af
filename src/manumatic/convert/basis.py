"""More columns from one: products, splines and bins."""

__all__ = ["Bins", "Products", "Splines"]

from typing import Any

import numpy as np
import torch
from sklearn import preprocessing
from torch import Tensor

from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.places import count_below, padded
from manumatic.convert.registry import Build, converts


class Products(Transformer):
    """Products of columns, multiplied in scikit-learn's order.

    Parameters
    ----------
    powers : ndarray (outputs, features) of int
        How often each column goes into each product.
    """

    factors: Tensor

    def __init__(self, powers: np.ndarray) -> None:
        super().__init__()
        n_features = powers.shape[1]
        # the last column first, as scikit-learn extends products of later columns by earlier ones
        factors = [np.repeat(np.arange(n_features), row)[::-1] for row in powers]
        table = padded(factors, n_features).astype(np.int64)  # column n_features is 1
        self.register_buffer("factors", torch.as_tensor(table))

    def forward(self, x: Tensor) -> Tensor:
        """Products (n, outputs)."""
        with_one = torch.cat([x, x.new_ones(x.shape[0], 1)], 1)
        found = with_one[:, self.factors[:, 0]]
        for column in self.factors.T[1:]:
            found = found * with_one[:, column]
        return found


class Splines(Transformer):
    """B-splines of each column (de Boor 1978, chapter X).

    Parameters
    ----------
    knots : Tensor (features, splines + degree + 1)
    degree : int
    splines : int
        How many a column has; fewer than the knots make where the first follow the last.
    extrapolation : str
        As in SplineTransformer.
    bounds : Tensor (2, features)
        Where each column begins and ends.
    ends : Tensor (4, features, splines)
        Values at both, and slopes there, for what lies beyond them.
    zeros : bool
        A missing value has zeros.
    bias : bool
        Keep the last spline of each column.
    """

    knots: Tensor
    bounds: Tensor
    ends: Tensor
    number: Tensor

    def __init__(
        self,
        knots: Tensor,
        degree: int,
        splines: int,
        extrapolation: str,
        bounds: Tensor,
        ends: Tensor,
        *,
        zeros: bool,
        bias: bool,
    ) -> None:
        super().__init__()
        self.degree, self.splines, self.extrapolation = degree, splines, extrapolation
        self.zeros, self.bias = zeros, bias
        self.register_buffer("knots", knots)
        self.register_buffer("bounds", bounds)
        self.register_buffer("ends", ends)
        self.register_buffer("number", torch.arange(splines))

    def forward(self, x: Tensor) -> Tensor:
        """Values (n, features · splines)."""
        (first, last), at = self.bounds, x
        if self.extrapolation == "periodic":
            period = last - first
            whole = first + (x - first).remainder(torch.where(period > 0, period, 1.0))
            at = torch.where(period > 0, whole, 0.0)
        found = self._values(at)
        outside = ((x < first) | (x > last))[..., None]
        if self.extrapolation == "error":
            found = torch.where(outside, torch.nan, found)
        elif self.extrapolation in ("constant", "linear"):
            found = torch.where(outside, self._beyond(x, first, last), found)
        gone = x.isnan()[..., None]
        found = torch.where(gone, 0.0 if self.zeros else torch.nan, found)
        return (found if self.bias else found[..., :-1]).flatten(1)

    def _beyond(self, x: Tensor, first: Tensor, last: Tensor) -> Tensor:
        low, high, slope_low, slope_high = self.ends
        below = low + (x - first)[..., None] * slope_low
        above = high + (x - last)[..., None] * slope_high
        return torch.where((x < first)[..., None], below, above)

    def _values(self, x: Tensor) -> Tensor:
        """All splines at x (n, features): those that are not 0 by recursion over the degree."""
        k, width = self.degree, self.knots.shape[1]
        start = torch.arange(len(self.knots), device=x.device) * width
        flat = self.knots.reshape(-1)
        left = count_below(x, self.knots[:, k + 1 : -k - 1].contiguous(), equal=True) + k
        h = [torch.ones_like(x)]
        for j in range(1, k + 1):
            lower, h = h, [torch.zeros_like(x)]
            for i in range(1, j + 1):
                high, low = flat[start + left + i], flat[start + left + i - j]
                flat_piece = high == low
                share = lower[i - 1] / torch.where(flat_piece, 1.0, high - low)
                h[i - 1] = torch.where(flat_piece, h[i - 1], h[i - 1] + share * (high - x))
                h.append(torch.where(flat_piece, 0.0, share * (x - low)))
        found = torch.zeros_like(x)[..., None]
        for i, value in enumerate(h):
            number = (left - k + i) % self.splines
            found = found + (number[..., None] == self.number) * value[..., None]
        return found


class Bins(Transformer):
    """The number of the bin that each value falls into.

    Parameters
    ----------
    edges : Tensor (features, most)
        Inner edges of each column, NaN behind them.
    centers : Tensor (features, most + 1)
    hot : bool
        A column for each bin.
    single : bool
        Values are rounded to float32 before.
    """

    methods = ("transform", "inverse_transform")
    edges: Tensor
    centers: Tensor
    sizes: Tensor

    def __init__(self, edges: Tensor, centers: Tensor, *, hot: bool, single: bool) -> None:
        super().__init__()
        self.hot, self.single = hot, single
        self.register_buffer("edges", edges)
        self.register_buffer("centers", centers)
        sizes = (~centers.isnan()).sum(1)
        column = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        number = torch.cat([torch.arange(int(size)) for size in sizes])
        self.register_buffer("column", column)
        self.register_buffer("number", number)

    column: Tensor
    number: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (n, features), or ones and zeros (n, bins)."""
        at = x.float().to(self.edges.dtype) if self.single else x
        found = count_below(at, self.edges, equal=True)
        if self.hot:
            return (found[:, self.column] == self.number).to(x.dtype)
        return found.to(x.dtype)

    def inverse_transform(self, x: Tensor) -> Tensor:
        """The middle of the bins (n, features)."""
        if self.hot:
            blocks = [x[:, self.column == i].argmax(1) for i in range(len(self.centers))]
            x = torch.stack(blocks, 1)
        columns = torch.arange(len(self.centers), device=x.device)
        return self.centers[columns, x.long()]


@converts(preprocessing.PolynomialFeatures)
def polynomial(estimator: Any, build: Build) -> Piece:
    """Products of columns up to a degree."""
    return Products(estimator.powers_)


@converts(preprocessing.SplineTransformer)
def spline(estimator: Any, build: Build) -> Piece:
    """Splines of each column."""
    splines, linear = estimator.bsplines_, estimator.extrapolation == "linear"
    k, n = estimator.degree, splines[0].c.shape[1]
    bounds, ends, on = np.zeros((2, len(splines))), np.zeros((4, len(splines), n)), k
    for i, one in enumerate(splines):
        first, last = bounds[:, i] = one.t[on], one.t[-on - 1]
        # scikit-learn 1.9 counts its degree up in this loop: later columns begin a knot later
        on += linear and on <= 1
        ends[0, i, :on], ends[1, i, n - on :] = one(first)[:on], one(last)[n - on :]
        if linear:
            ends[2, i, :on], ends[3, i, n - on :] = one(first, 1)[:on], one(last, 1)[n - on :]
    return Splines(
        build.tensor(np.stack([one.t for one in splines])),
        k,
        n,
        estimator.extrapolation,
        build.tensor(bounds),
        build.tensor(ends),
        zeros=estimator.handle_missing == "zeros",
        bias=estimator.include_bias,
    )


@converts(preprocessing.KBinsDiscretizer)
def bins(estimator: Any, build: Build) -> Piece:
    """The bin of each value."""
    edges, hot = estimator.bin_edges_, "onehot" in estimator.encode
    single = estimator.dtype is not None and np.dtype(estimator.dtype) == np.float32
    centers = padded([(one[1:] + one[:-1]) * 0.5 for one in edges], np.nan)
    return Bins(
        build.tensor(padded([one[1:-1] for one in edges], np.nan)),
        build.tensor(centers.astype(np.float32) if single and not hot else centers),
        hot=hot,
        single=single,
    )
