"""Rows of several lengths: how long each is, and batches cut to their longest row.

Eject prints these functions: torch and the standard library only.
"""

__all__ = ["by_length", "lengths_of", "rows_at_once"]

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

MOST_PAIRS = 2**24  # of steps that look at each other, at a time: half a GB in a transformer


def lengths_of(X: Tensor) -> Tensor:
    """Steps of each row up to the last one there: words (n, t), or numbers (n, t, features)."""
    there = X != 0 if X.ndim == 2 else ~X[..., 0].isnan()
    return (there * torch.arange(1, X.shape[1] + 1, device=X.device)).amax(1).clamp(min=1)


def by_length(
    tensors: tuple[Tensor, ...], lengths: Tensor, size: int, seed: int, epoch: int
) -> Iterator[Any]:
    """Batches of rows of like length, each cut to its longest; (seed, epoch) alone decide."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    order = torch.randperm(len(lengths), generator=generator).to(lengths.device)
    found: list[Tensor] = []
    for some in order.split(8 * size):  # sorting more would show the same batches each epoch
        found += some[lengths[some].argsort(stable=True)].split(size)
    for number, place in enumerate(torch.randperm(len(found), generator=generator).tolist()):
        rows = found[place]
        X, *rest = (tensor[rows] for tensor in tensors)
        yield number, X[:, : int(lengths[rows].max())], *rest


def rows_at_once(X: Tensor) -> int:
    """How many rows with steps a network may predict for at a time."""
    return max(1, min(1024, MOST_PAIRS // X.shape[1] ** 2))
