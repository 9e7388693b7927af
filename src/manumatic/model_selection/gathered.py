"""The rows of all members of a stack, cut into batches as each would see them alone."""

__all__ = ["Batch", "Gathered"]

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from manumatic.parts.data import Batches


class Batch(NamedTuple):
    """One batch of each member.

    Attributes
    ----------
    tensors : tuple of Tensor
        X, y and weights, (K, B, ...) each.
    rows : list of int
        How many of the B each member really holds; others repeat its first and must not count.
    share : Tensor (K, B) or None
        What a row counts in the mean of its member; None where all hold B.
    """

    tensors: tuple[Tensor, ...]
    rows: list[int]
    share: Tensor | None


class Gathered:
    """Rows of several members, each batch of them gathered by one index.

    Rows that several members share lie in memory once.

    Parameters
    ----------
    members : sequence of Batches
        Alike but for their rows: the same number of batches of the same size.
    """

    def __init__(self, members: Sequence[Batches]) -> None:
        first = members[0]
        self.length = len(first)
        self.size = max(m.n_rows for m in members) if self.length == 1 else first.batch_size
        self.shuffle = first.shuffle and self.length > 1
        self.seeds = [member.seed for member in members]
        self.n_rows = [member.n_rows for member in members]
        pool, starts = _pooled([member.tensors for member in members])
        self.tensors = pool
        self.starts = torch.tensor(starts)
        self.order: Tensor | None = None  # (K, most rows) of this epoch
        self.kept: tuple[int, Batch] | None = None  # the last batch, where the next may be the same

    def begin(self, epoch: int) -> None:
        """Turn to an epoch."""
        if self.order is not None and not self.shuffle:
            return
        orders: dict[tuple[int, int], Tensor] = {}
        for key in zip(self.seeds, self.n_rows, strict=True):
            if key not in orders:
                orders[key] = self._order(*key, epoch)
        keys = zip(self.seeds, self.n_rows, strict=True)
        stacked = torch.stack([orders[key] for key in keys]) + self.starts[:, None]
        self.order = stacked.to(self.tensors[0].device)

    def _order(self, seed: int, n_rows: int, epoch: int) -> Tensor:
        """As ``parts.loop.shuffled``; what is missing to the most rows repeats a row."""
        if self.shuffle:
            generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
            order = torch.randperm(n_rows, generator=generator)
        else:
            order = torch.arange(n_rows)
        missing = max(self.n_rows) - n_rows
        last = (self.length - 1) * self.size  # the first row of the last batch
        return torch.cat([order, order[last].expand(missing)]) if missing else order

    def batch(self, number: int) -> Batch:
        """One batch of the epoch, counted from 0."""
        if self.kept is not None and self.kept[0] == number:
            return self.kept[1]
        assert self.order is not None
        index = self.order[:, number * self.size : (number + 1) * self.size]
        width = index.shape[1]
        flat = index.reshape(-1)
        tensors = tuple(
            tensor.index_select(0, flat).view(len(index), width, *tensor.shape[1:])
            for tensor in self.tensors
        )
        rows = [min(width, n_rows - number * self.size) for n_rows in self.n_rows]
        found = Batch(tensors, rows, None if min(rows) == width else self._share(rows, width))
        if not self.shuffle and self.length == 1:
            self.kept = number, found
        return found

    def _share(self, rows: list[int], width: int) -> Tensor:
        device = self.tensors[0].device
        real = torch.tensor(rows, device=device)[:, None]
        counts = torch.arange(width, device=device) < real
        return counts.to(torch.float64) / real

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the members."""
        most = max(self.n_rows)
        self.seeds = [self.seeds[place] for place in places]
        self.n_rows = [self.n_rows[place] for place in places]
        self.starts = self.starts[list(places)]
        self.kept = None
        if self.order is not None:
            self.order = self.order[list(places), : self.order.shape[1] - most + max(self.n_rows)]


def _pooled(members: Sequence[tuple[Tensor, ...]]) -> tuple[tuple[Tensor, ...], list[int]]:
    """All different rows, one after the other, and where those of each member start."""
    different: list[tuple[Tensor, ...]] = []
    known: dict[tuple[int, ...], int] = {}  # numbers in ``different`` by where they lie
    alike: dict[tuple[float, ...], list[int]] = {}  # and by their sums, which are quick to compare
    numbers = []
    for tensors in members:
        place = tuple(tensor.data_ptr() for tensor in tensors)
        if place not in known:
            sums = tuple(float(tensor.double().sum()) for tensor in tensors)
            same = [n for n in alike.get(sums, []) if _equal(different[n], tensors)]
            known[place] = same[0] if same else len(different)
            if not same:
                alike.setdefault(sums, []).append(len(different))
                different.append(tensors)
        numbers.append(known[place])
    lengths = torch.tensor([0] + [len(tensors[0]) for tensors in different]).cumsum(0).tolist()
    if len(different) == 1:
        return different[0], [0] * len(numbers)
    pool = tuple(torch.cat(column) for column in zip(*different, strict=True))
    return pool, [lengths[number] for number in numbers]


def _equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
