"""Batches from files: shuffled within a buffer, never all rows in memory.

The rows are cut into a few streams of equal length, and a batch takes as many rows from each.  So
rows that lie far apart meet in a batch, processes read different streams, and the batches are the
same whatever the number of processes.  (MosaicML Streaming calls such streams canonical nodes.)
"""

__all__ = ["Flow", "held_out"]

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from manumatic.errors import DataError
from manumatic.parts.data import Stream
from manumatic.parts.processes import Share

if TYPE_CHECKING:
    import pandas as pd


def held_out(numbers: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which rows are for validation, decided by their numbers alone (SplitMix64, Steele 2014)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed < np.uint64(min(share, 1 - 2**-53) * 2**64)


@dataclass
class Flow(Stream):
    """Batches from files.

    Attributes
    ----------
    table : Parquet
    numbers : callable
        DataFrame → tensor, by the preprocessing.
    keep : callable or None
        Row numbers → which of them belong to these rows; None takes all.
    lanes : list of (int, int)
        Row numbers of the streams; empty asks the table.
    mine : list of int
        Those that this process reads; None reads all.
    rows : int
        Of the batch under way, in all processes together.
    """

    table: Any = None
    numbers: Callable[[Any], Tensor] = field(default=torch.as_tensor, repr=False)
    keep: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)
    lanes: list[tuple[int, int]] = field(default_factory=list, repr=False)
    mine: list[int] | None = field(default=None, repr=False)
    lengths: list[int] = field(default_factory=list, repr=False)
    rows: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        self.lanes = self.lanes or self.table.lanes(self.batch_size)
        self.lengths = self.lengths or [self._length(*lane) for lane in self.lanes]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return sum(self.lengths)

    def __len__(self) -> int:
        return -(-max(self.lengths) // self._size)

    def count(self, X: Tensor) -> int:
        """Rows of the batch that these are a share of."""
        return self.rows

    def share(self, rank: int, world: int) -> Any:
        """The streams that fall to one of several processes; its part of each batch if too few."""
        if len(self.lanes) < world:
            return Share(self, rank, world)
        skip, self.skip = self.skip, 0
        return replace(self, mine=list(range(len(self.lanes)))[rank::world], skip=skip)

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch with their numbers: ``(number, X, y)``."""
        skip, self.skip = self.skip, 0
        mine = range(len(self.lanes)) if self.mine is None else self.mine
        streams = [self._stream(lane, epoch) for lane in mine]
        nothing: tuple[Tensor, Tensor] | None = None
        for number in range(len(self)):
            found = [part for stream in streams if (part := next(stream, None)) is not None]
            if number < skip:
                continue
            if found:
                X, y = (torch.cat(column) for column in zip(*found, strict=True))
                nothing = X[:0], y[:0]
            else:
                assert nothing is not None, "a process has no rows at all"
                X, y = nothing
            self.rows = sum(
                min(self._size, max(0, length - number * self._size)) for length in self.lengths
            )
            yield number, self.moved(X), y

    @property
    def _size(self) -> int:
        """Rows that a batch takes from each stream."""
        return self.batch_size // len(self.lanes)

    def _length(self, low: int, high: int) -> int:
        if self.keep is None:
            return high - low
        cuts = range(low, high, 10**6)
        return sum(int(self.keep(np.arange(cut, min(high, cut + 10**6))).sum()) for cut in cuts)

    def _stream(self, lane: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The rows of one stream in the order of this epoch, as much at a time as a batch takes."""
        seed = (1_000_003 * self.seed + epoch) * 1009 + lane
        generator = torch.Generator().manual_seed(seed % 2**63)

        def order(count: int) -> Sequence[int]:
            return torch.randperm(count, generator=generator).tolist()

        low, high = self.lanes[lane]
        rows = max(self._size, self.table.buffer // len(self.lanes))
        rest: list[Tensor] = []
        frames = self.table.read(low, high, rows=rows, order=order if self.shuffle else range)
        for frame in _together(map(self._kept, frames), rows):
            block = [
                self.numbers(frame[self.table.columns]),
                self.encode(frame[self.table.target].to_numpy()),
            ]
            if self.shuffle:
                mixed = torch.randperm(len(block[0]), generator=generator)
                block = [block[0][mixed], block[1][mixed.to(self.device)]]
            if rest:
                block = [torch.cat(pair) for pair in zip(rest, block, strict=True)]
            whole = len(block[0]) // self._size * self._size
            for at in range(0, whole, self._size):
                yield block[0][at : at + self._size], block[1][at : at + self._size]
            rest = [column[whole:].clone() for column in block]  # a view would keep it all
        if rest and len(rest[0]):
            yield rest[0], rest[1]

    def _kept(self, block: tuple[int, "pd.DataFrame"]) -> "pd.DataFrame":
        """The rows of a block that belong to these."""
        first, frame = block
        missing = int(frame[self.table.target].isna().sum())
        if missing:
            raise DataError(
                f"the target {self.table.target!r} is missing in {missing} of the {len(frame)} "
                f"rows from row {first} on; leave such rows out"
            )
        if self.keep is None:
            return frame
        return frame[self.keep(np.arange(first, first + len(frame)))]


def _together(frames: Iterable["pd.DataFrame"], rows: int) -> Iterator["pd.DataFrame"]:
    """Short frames as one of about so many rows: preparing a frame costs more than its rows."""
    import pandas as pd

    waiting: list[Any] = []
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= rows:
            yield waiting[0] if len(waiting) == 1 else pd.concat(waiting, ignore_index=True)
            waiting = []
    if any(map(len, waiting)):
        yield pd.concat(waiting, ignore_index=True)
