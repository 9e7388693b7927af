"""Rows in files: opened, described, and read piece by piece."""

__all__ = ["Parquet", "Piece"]

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manumatic.errors import DataError, MissingExtra, nearest

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
        _check_counts(streams=streams, buffer=buffer, sample=sample)
        self.dataset = _opened(path)
        self.target = target
        names = [name for name in self.dataset.schema.names if not name.startswith("__index_level")]
        _check_columns([*filter(None, [target]), *(columns or ())], names, path)
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


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise DataError(f"mm.Parquet({name}=...) must be 1 or more; got {value!r}")


def _check_columns(wanted: Sequence[str], names: Sequence[str], path: Any) -> None:
    for name in wanted:
        if name not in names:
            told = f"Columns: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
            raise DataError(f"no column {name!r} in {path}.{nearest(name, names)} {told}")


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
