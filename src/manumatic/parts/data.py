"""Data: tensors on a device, cut into batches."""

__all__ = [
    "Batches",
    "Stream",
    "aligned",
    "are_unseen",
    "batch_rows",
    "judged",
    "split_rows",
    "split_settings",
]

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.utils.data import DataLoader

from manumatic.errors import ComponentError, DataError
from manumatic.nets.crossed import Unseen
from manumatic.parts.augment import augmented
from manumatic.parts.lengths import by_length
from manumatic.parts.loop import LINE, in_order, shuffled


@dataclass
class Batches:
    """Rows in memory.  They live on the device as tensors; a batch is a view of the permuted rows.

    Iterating gives the batches of one epoch, ``(X, y)`` or ``(X, y, weight)``, and turns to the
    next epoch.

    Attributes
    ----------
    tensors : tuple of Tensor
        X (n, …), y (n, …) and, for weighted fits, weight (n,).
    batch_size : int
        Rows a batch; the last one may be shorter.
    shuffle : bool
        A new order each epoch.
    seed : int
        With the epoch it decides the order.
    skip : int
        Batches of the next epoch that were seen before an interruption.
    heard : callable or None
        Called when somebody iterates: a loop written by hand, for our own asks for ``batches``.
    lengths : Tensor (n,) or None
        Steps of each row; batches then hold rows of like length and are cut to their longest.
    augment : callable or None
        Changes the X of each batch.
    unseen : bool
        These validation rows are the training rows; the members that left one out judge it.
    """

    tensors: tuple[Tensor, ...] = field(repr=False)
    batch_size: int
    shuffle: bool = True
    seed: int = 0
    skip: int = field(default=0, repr=False)
    epoch: int = field(default=0, repr=False)
    heard: Callable[[], None] | None = field(default=None, repr=False)
    lengths: Tensor | None = field(default=None, repr=False)
    augment: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    unseen: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if not self.shuffle or self.batch_size >= self.n_rows:  # else each batch is a copy
            self.tensors = tuple(map(aligned, self.tensors))

    @property
    def X(self) -> Tensor:
        """All rows, in the order in which they came."""
        return self.tensors[0]

    @property
    def y(self) -> Tensor:
        """Their targets."""
        return self.tensors[1]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.tensors[0].shape[0]

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if self.heard is not None:
            self.heard()
        for _, *batch in self.batches(self.epoch):
            yield tuple(batch)
        self.epoch += 1

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch with their numbers: ``(number, X, y)``."""
        if self.batch_size >= self.n_rows:
            found: Iterator[Any] = iter([(0, *self.tensors)])
        elif self.shuffle and self.lengths is not None:
            found = by_length(self.tensors, self.lengths, self.batch_size, self.seed, epoch)
        elif self.shuffle:
            found = shuffled(self.tensors, self.batch_size, self.seed, epoch)
        else:
            found = in_order(self.tensors, self.batch_size)
        skip, self.skip = self.skip, 0
        found = itertools.islice(found, skip, None)
        return found if self.augment is None else augmented(found, self.augment)


def aligned(tensor: Tensor) -> Tensor:
    """The tensor where torch would have put it: at the beginning of a line of the cache.

    NumPy's arrays begin anywhere, and on some CPUs the same rows add up in another order there: a
    plain script, whose tensors are torch's own, would end a bit elsewhere.
    """
    return tensor if tensor.data_ptr() % LINE == 0 else tensor.clone()


def are_unseen(rows: Any) -> bool:
    """Whether rows are those that train, judged by members of the net that left them out."""
    return isinstance(rows, Batches) and rows.unseen


def judged(model: Any, rows: Any) -> Any:
    """A model as rows judge it; those that it is trained on, by members that left them out."""
    return Unseen(model) if are_unseen(rows) else model


@dataclass
class Stream:
    """Batches that come from a torch ``Dataset`` or ``DataLoader``.

    Attributes
    ----------
    source : DataLoader or Dataset
        A DataLoader is taken as it is.  A Dataset is shuffled by (seed, epoch).
    encode : callable
        From a batch's target to what the loss takes.
    augment : callable or None
        Changes the X of each batch.
    """

    source: Any
    device: torch.device
    encode: Callable[[Any], Tensor]
    batch_size: int = 32
    shuffle: bool = True
    seed: int = 0
    workers: int = 0
    skip: int = field(default=0, repr=False)
    epoch: int = field(default=0, repr=False)
    heard: Callable[[], None] | None = field(default=None, repr=False)
    seen: int = field(default=sys.maxsize, repr=False)
    augment: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """Batches an epoch; where a stream has no length, known once its last batch is out."""
        try:
            return len(self._loader(0))
        except TypeError:
            return self.seen

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if self.heard is not None:
            self.heard()
        for _, *batch in self.batches(self.epoch):
            yield tuple(batch)
        self.epoch += 1

    def _loader(self, epoch: int) -> DataLoader[Any]:
        if isinstance(self.source, DataLoader):
            return self.source
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        shuffle = self.shuffle and hasattr(self.source, "__len__")
        return DataLoader(
            self.source,
            self.batch_size,
            shuffle=shuffle,
            generator=generator,
            num_workers=self.workers,
        )

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch with their numbers: ``(number, X, y)``."""
        skip, self.skip = self.skip, 0
        self.seen = sys.maxsize
        found = enumerate(self._loader(epoch))
        current = next(found, None)
        if current is None:
            raise DataError(f"{type(self.source).__name__} gave no batch in epoch {epoch}")
        while current is not None:
            following = next(found, None)  # one batch ahead, to know which is the last
            number, batch = current
            if following is None:
                self.seen = number + 1
            if number >= skip:
                X, y = batch_rows(batch)
                yield number, self.moved(X), self.encode(y)
            current = following

    def moved(self, X: Tensor) -> Tensor:
        """Rows on the device, augmented."""
        X = X.to(self.device)
        return X if self.augment is None else self.augment(X)


def batch_rows(batch: Any) -> tuple[Tensor, Any]:
    """``(X, y)`` of what a Dataset or DataLoader hands out; X as float32 where it holds floats."""
    if not isinstance(batch, list | tuple) or len(batch) < 2:
        raise DataError(
            f"a batch must be a pair (X, y); got {type(batch).__name__}. "
            "For prediction give the rows alone as an array or tensor"
        )
    X = torch.as_tensor(batch[0])
    return (X.float() if X.is_floating_point() else X), batch[1]


def split_rows(
    n_rows: int,
    validation: Any,
    labels: np.ndarray | None,
    seed: int,
    shuffle: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the training rows and of the validation rows, stratified where labels allow it.

    Without ``shuffle`` the last rows are held out: what comes after the others in time.

    Raises
    ------
    ComponentError
        ``validation`` leaves no row for one of the two.
    """
    held_out, stratified = split_settings(n_rows, validation, labels)
    if not shuffle:
        return np.arange(n_rows - held_out), np.arange(n_rows - held_out, n_rows)
    train, valid = train_test_split(
        np.arange(n_rows),
        test_size=held_out,
        random_state=seed,
        stratify=labels if stratified else None,
    )
    return train, valid


def split_settings(n_rows: int, validation: Any, labels: np.ndarray | None) -> tuple[int, bool]:
    """How many rows to hold out, and whether every class can be on both sides."""
    if not isinstance(validation, int | float | np.number) or isinstance(validation, bool):
        raise ComponentError(
            "validation must be a share of the rows, a number of them, None, or rows of your own "
            f"(X, y); got {validation!r}"
        )
    share = isinstance(validation, float | np.floating)
    held_out = int(np.ceil(validation * n_rows)) if share else int(validation)
    if not 0 < held_out < n_rows:
        raise ComponentError(
            f"validation={validation!r} holds out {held_out} of {n_rows} rows; "
            "it must leave at least one row on both sides"
        )
    if labels is None:
        return held_out, False
    _, counts = np.unique(labels, return_counts=True)
    return held_out, bool(counts.min() > 1 and min(held_out, n_rows - held_out) >= len(counts))
