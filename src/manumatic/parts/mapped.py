"""Arrays on a disk, folders of images: rows are gathered batch by batch, never copied whole."""

__all__ = ["Mapped", "sampled"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manumatic.parts.data import Stream
from manumatic.parts.images import Images

NUMBERS = 2**22  # gathered at once: 16 MB of float32
SAMPLE = 20_000  # rows that the preprocessing is fitted on
PIXELS = 2**25  # and numbers of images, 128 MB as float32


def sampled(X: Any, rows: np.ndarray) -> np.ndarray:
    """Those of the rows that preprocessing and target scaling are fitted on.

    Parameters
    ----------
    X : ndarray or Images (n, ...)
    rows : ndarray of int
        The numbers of the training rows.
    """
    most = max(1, min(SAMPLE, PIXELS * len(X) // X.size)) if isinstance(X, Images) else SAMPLE
    return rows[:: -(-len(rows) // most)]


@dataclass
class Mapped(Stream):
    """Batches of rows on a disk, in the order that rows in memory would have.

    Attributes
    ----------
    X : np.memmap or Images (n, …)
        On the disk.
    y : ndarray (n,) or (n, outputs)
        In memory.
    index : ndarray of int
        The rows that belong to these.
    numbers : callable
        Rows → tensor, by the preprocessing.
    rank, world : int
        Which of how many processes reads; it reads its share of each batch alone.
    rows : int
        Of the batch under way, in all processes together.
    """

    X: Any = field(default=None, repr=False)
    y: Any = field(default=None, repr=False)
    index: Any = field(default=None, repr=False)
    numbers: Callable[[Any], Tensor] = field(default=torch.as_tensor, repr=False)
    rank: int = 0
    world: int = 1
    rows: int = field(default=0, repr=False)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.index)

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def count(self, X: Tensor) -> int:
        """Rows of the batch that these are a share of."""
        return self.rows

    def share(self, rank: int, world: int) -> "Mapped":
        """The part of each batch that falls to one of several processes."""
        skip, self.skip = self.skip, 0
        return replace(self, rank=rank, world=world, skip=skip)

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch with their numbers: ``(number, X, y)``."""
        number, self.skip = self.skip, 0
        order = self._order(epoch).split(self.batch_size)
        width = max(1, int(np.prod(self.X.shape[1:])))
        together = max(1, NUMBERS // (self.batch_size * width))
        for first in range(number, len(order), together):
            batches = order[first : first + together]
            mine = [rows.tensor_split(self.world)[self.rank] for rows in batches]
            X, y = self._gather(self.index[torch.cat(mine).numpy()])
            sizes = [len(rows) for rows in mine]
            for rows, *batch in zip(batches, X.split(sizes), y.split(sizes), strict=True):
                self.rows = len(rows)
                yield number, self.moved(batch[0]), batch[1]
                number += 1

    def _order(self, epoch: int) -> Tensor:
        if not self.shuffle or self.batch_size >= self.n_rows:
            return torch.arange(self.n_rows)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        return torch.randperm(self.n_rows, generator=generator)

    def _gather(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Read in the order of the disk, handed out in the order asked for."""
        if not len(rows):  # no transformer takes none
            X, y = self._gather(self.index[:1])
            return X[:0], y[:0]
        ahead = np.argsort(rows, kind="stable")
        back = np.empty_like(ahead)
        back[ahead] = np.arange(len(rows))
        found = np.asarray(self.X[rows[ahead]])
        return self.numbers(found)[torch.from_numpy(back)], self.encode(self.y[rows])
