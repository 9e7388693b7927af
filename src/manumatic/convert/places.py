"""Where a number falls among sorted ones, without searchsorted, which ONNX does not have."""

__all__ = ["Slots", "count_below", "padded"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FEW = 64  # so many comparisons are cheaper than halving, and one node of a graph


def padded(rows: Sequence[Any], fill: float) -> np.ndarray:
    """Rows of several lengths as one array (rows, longest), at least one column wide.

    Examples
    --------
    >>> padded([[1, 2], [3]], np.inf)
    array([[ 1.,  2.],
           [ 3., inf]])
    """
    found = np.full((len(rows), max([1, *(len(row) for row in rows)])), fill)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found


def count_below(x: Tensor, edges: Tensor, *, equal: bool) -> Tensor:
    """How many of a column's edges lie below each number.

    Parameters
    ----------
    x : Tensor (n, features)
    edges : Tensor (features, k)
        Sorted upwards in each row.
    equal : bool
        Edges that equal the number count, too.

    Returns
    -------
    Tensor (n, features) of int64; 0 for NaN

    Examples
    --------
    >>> edges = torch.tensor([[1.0, 2.0, 2.0]])
    >>> count_below(torch.tensor([[2.0]]), edges, equal=True)
    tensor([[3]])
    >>> count_below(torch.tensor([[2.0]]), edges, equal=False)
    tensor([[1]])
    """
    n_features, k = edges.shape
    if k <= FEW:
        wide = x[..., None]
        return (wide >= edges if equal else wide > edges).sum(-1)
    flat = edges.reshape(-1)
    start = torch.arange(n_features, device=x.device) * k
    count = torch.zeros_like(x, dtype=torch.int64)
    step = 1 << (k.bit_length() - 1)
    while step:  # the largest count whose last edge is still below, bit by bit
        tried = count + step
        edge = flat[start + tried.clamp(max=k) - 1]
        below = (x >= edge if equal else x > edge) & (tried <= k)
        count = torch.where(below, tried, count)
        step >>= 1
    return count


class Slots(nn.Module):
    """The number of the slot that each value of a column falls into.

    The known values of a column have the slots 0, 1, … in the order given; unknown ones have
    ``width``, and missing ones ``width + 1``.

    Parameters
    ----------
    known : sequence of arrays
        The values of each column, NaN nowhere.

    Attributes
    ----------
    width : int
        The largest number of known values.

    Examples
    --------
    >>> slots = Slots([np.array([3.0, 1.0]), np.array([5.0])])
    >>> slots(torch.tensor([[1.0, 5.0], [2.0, float("nan")]], dtype=torch.float64))
    tensor([[1, 0],
            [2, 3]])
    """

    values: Tensor
    order: Tensor

    def __init__(self, known: Sequence[np.ndarray]) -> None:
        super().__init__()
        orders = [np.argsort(values, kind="stable") for values in known]
        told = [values[order] for values, order in zip(known, orders, strict=True)]
        self.width = max([1, *(len(values) for values in told)])
        # past the end comes NaN, which equals nothing, and is never below
        self.register_buffer("values", torch.as_tensor(padded(told, np.nan)))
        order = padded(orders, self.width).astype(np.int64)
        self.register_buffer("order", torch.as_tensor(order))

    def forward(self, x: Tensor) -> Tensor:
        """Slots (n, features) of int64."""
        place = count_below(x, self.values, equal=False).clamp(max=self.width - 1)
        at = place + torch.arange(x.shape[1], device=x.device) * self.width
        same = self.values.reshape(-1)[at] == x
        slot = torch.where(same, self.order.reshape(-1)[at], self.width)
        return torch.where(x.isnan(), self.width + 1, slot)
