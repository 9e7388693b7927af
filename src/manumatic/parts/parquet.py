"""Rows in files: read piece by piece, shuffled within a buffer, never all in memory.

The rows are cut into a few streams of equal length, and a batch takes as many rows from each.  So
rows that lie far apart meet in a batch, processes read different streams, and the batches are the
same whatever the number of processes.  (MosaicML Streaming calls such streams canonical nodes.)
"""

__all__ = ["Flow", "Parquet", "Piece", "held_out"]

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from manumatic.errors import DataError, MissingExtra, nearest
from manumatic.parts.data import Stream
from manumatic.parts.processes import Share

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Piece:
    """A row group of a file, or a file that has none.

    Attributes
    ----------
    fragment : pyarrow.dataset.Fragment
        The file.
    group : int or None
        Which of its row groups; None where its format has none.
    first : int
        The number of its first row among all rows.
    rows : int
        How many it has.
    """

    fragment: Any
    group: int | None
    first: int
    rows: int


class Parquet:
    """Parquet files, or any other Arrow dataset, as the ``X`` of ``fit`` and ``predict``.

    Parameters
    ----------
    path : path, sequence of paths or pyarrow.dataset.Dataset
        A file, a folder with all that is in it, a pattern with ``*``, several of them, or a dataset
        that Arrow has opened (Feather, CSV, an object store).
    target : str or None
        The column to predict; None where there is nothing to learn.
    columns : sequence of str or None
        The others to read; None reads all.
    streams : int
        Places that are read at the same time, at most; as many processes can share the reading.
    buffer : int
        Rows held in memory to be shuffled, over all streams.
    sample : int
        Rows that preprocessing and target scaling are fitted on, from the beginning of each stream.

    Raises
    ------
    MissingExtra
        Without pyarrow.
    DataError
        Nothing can be read there, or the target is not among the columns.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = pd.DataFrame({"size": [40.0, 60.0, 80.0], "rent": [400.0, 600.0, 800.0]})
    ...     frame.to_parquet(f"{folder}/flats.parquet")
    ...     rows = Parquet(folder, target="rent")
    ...     len(rows), rows.columns
    (3, ['size'])
    """

    def __init__(
        self,
        path: Any,
        target: str | None = None,
        *,
        columns: Sequence[str] | None = None,
        streams: int = 8,
        buffer: int = 65_536,
        sample: int = 20_000,
    ) -> None:
        for name, value in (("streams", streams), ("buffer", buffer), ("sample", sample)):
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise DataError(f"mm.Parquet({name}=...) must be 1 or more; got {value!r}")
        self.dataset = _opened(path)
        self.target = target
        names = [name for name in self.dataset.schema.names if not name.startswith("__index_level")]
        for name in (*([] if target is None else [target]), *(columns or ())):
            if name not in names:
                told = f"Columns: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
                raise DataError(f"no column {name!r} in {path}.{nearest(name, names)} {told}")
        self.columns = [name for name in (columns or names) if name != target]
        self.streams, self.buffer, self.sample = streams, buffer, sample
        self.pieces: list[Piece] = []
        for fragment in self.dataset.get_fragments():
            for group, rows in _groups(fragment):
                self.pieces.append(Piece(fragment, group, len(self), rows))
        if not len(self):
            raise DataError(f"{path} holds no rows")

    def __len__(self) -> int:
        """How many rows there are, as the files say."""
        return self.pieces[-1].first + self.pieces[-1].rows if self.pieces else 0

    def __repr__(self) -> str:
        return f"Parquet, {len(self)} rows in {len(self.pieces)} row groups"

    def lanes(self, batch_size: int) -> list[tuple[int, int]]:
        """Row numbers (from, to) of the streams: as many as divide a batch evenly."""
        most = min(self.streams, len(self.pieces), batch_size)
        count = next(number for number in range(most, 0, -1) if batch_size % number == 0)
        cuts = [len(self) * number // count for number in range(count + 1)]
        return list(pairwise(cuts))

    def read(
        self,
        low: int = 0,
        high: int | None = None,
        *,
        rows: int = 65_536,
        order: Callable[[int], Sequence[int]] = range,
        columns: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, "pd.DataFrame"]]:
        """Blocks of rows with the number of their first one.

        Parameters
        ----------
        low, high : int
            Row numbers from where and up to where.
        rows : int
            The most a block may have.
        order : callable
            From the number of pieces to the order in which they are read.
        columns : sequence of str or None
            None reads all, the target too.
        """
        high = len(self) if high is None else high
        wanted = [*self.columns, *filter(None, [self.target])] if columns is None else columns
        inside = [p for p in self.pieces if p.first < high and low < p.first + p.rows]
        for number in order(len(inside)):
            piece = inside[number]
            at = piece.first
            for batch in _batches(piece, list(wanted), self.dataset.schema, rows):
                start, stop = max(low, at), min(high, at + batch.num_rows)
                if start < stop:
                    yield start, batch.slice(start - at, stop - start).to_pandas()
                at += batch.num_rows
                if at >= high:
                    break

    def blocks(self) -> Iterator["pd.DataFrame"]:
        """All rows in their order, without the target: what ``predict`` reads."""
        for _, frame in self.read(rows=16_384, columns=self.columns):
            yield frame

    def head(self, keep: Callable[[np.ndarray], np.ndarray] | None = None) -> "pd.DataFrame":
        """The first rows of each stream, ``sample`` in all; ``keep`` says of row numbers which."""
        import pandas as pd

        count = min(self.streams, len(self.pieces))
        share, found = -(-self.sample // count), []
        for number in range(count):
            low, high = (len(self) * n // count for n in (number, number + 1))
            missing = share
            for first, frame in self.read(low, high, rows=min(share, 16_384)):
                if keep is not None:
                    frame = frame[keep(np.arange(first, first + len(frame)))]
                found.append(frame[:missing])
                missing -= len(found[-1])
                if not missing:
                    break
        return pd.concat(found, ignore_index=True)

    def labels(self) -> np.ndarray:
        """The distinct values of the target; a pass over that one column."""
        found: set[Any] = set()
        for _, frame in self.read(columns=[self.named_target()]):
            found.update(frame.iloc[:, 0].dropna().unique().tolist())
        return np.asarray(sorted(found))

    def targets(self) -> np.ndarray:
        """All values of the target in their order, for a score."""
        name = self.named_target()
        return np.concatenate([frame[name].to_numpy() for _, frame in self.read(columns=[name])])

    def named_target(self) -> str:
        """The target; a DataError where none is named."""
        if self.target is None:
            raise DataError("which column is to be predicted? mm.Parquet(path, target=...) says it")
        return self.target


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
            yield number, X.to(self.device), y

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


def _opened(path: Any) -> Any:
    """An Arrow dataset."""
    try:
        import pyarrow
        import pyarrow.dataset as arrow
    except ImportError:
        raise MissingExtra("pyarrow", "arrow") from None
    if isinstance(path, arrow.Dataset):
        return path
    paths = [path] if isinstance(path, str | Path) else list(path)
    files = [
        name
        for one in map(str, paths)
        for name in (sorted(glob.glob(one)) if glob.has_magic(one) else [one])
    ]
    if not files or not all(Path(name).exists() for name in files):
        absent = next((name for name in files if not Path(name).exists()), path)
        raise DataError(f"{absent}: no such file or folder")
    try:
        if len(files) == 1:
            return arrow.dataset(files[0], format="parquet", partitioning="hive")
        return arrow.dataset(files, format="parquet")
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OSError) as error:
        raise DataError(f"{path} is no Parquet: {str(error).splitlines()[0]}") from None


def _groups(fragment: Any) -> Iterator[tuple[int | None, int]]:
    """Row groups of a file and their rows; the whole file where its format has none."""
    if not hasattr(fragment, "row_groups"):
        yield None, fragment.count_rows()
        return
    for number, group in enumerate(_again(fragment).row_groups):
        yield number, group.num_rows


def _again(fragment: Any, groups: list[int] | None = None) -> Any:
    """The same file anew: one that was read keeps its footer, and many footers are gigabytes."""
    return fragment.format.make_fragment(
        fragment.path, fragment.filesystem, fragment.partition_expression, row_groups=groups
    )


def _batches(piece: Piece, columns: list[str], schema: Any, rows: int) -> Iterator[Any]:
    """Arrow's record batches, one at a time: read ahead, they would pile up in memory."""
    import pyarrow.dataset as arrow

    options: dict[str, Any] = {}
    fragment = piece.fragment
    if piece.group is not None:
        fragment = _again(fragment, [piece.group])
        options["fragment_scan_options"] = arrow.ParquetFragmentScanOptions(
            use_buffered_stream=True, pre_buffer=False
        )
    yield from fragment.to_batches(
        schema=schema,
        columns=columns,
        batch_size=rows,
        batch_readahead=0,
        fragment_readahead=0,
        use_threads=False,
        **options,
    )
