"""Data beyond memory: Parquet files, folders of images, arrays too large to copy off a disk."""

__all__ = ["first_rows", "in_blocks", "is_beyond", "open_beyond"]

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manumatic.errors import ComponentError, DataError
from manumatic.gears.choices import STEPS, as_loop, choose_batch_size
from manumatic.gears.facts import Earlier, Found, Specs
from manumatic.gears.memory import loop_for
from manumatic.gears.prepare import Preparation, Rows, numeric_columns, prepare_rows
from manumatic.gears.stream import EPOCHS
from manumatic.logbook import Logbook
from manumatic.parts.components import Data, Loop
from manumatic.parts.data import Batches, split_rows
from manumatic.parts.flow import Flow, held_out
from manumatic.parts.images import Images
from manumatic.parts.loss import as_loss, fits_scaled_target
from manumatic.parts.mapped import Mapped, sampled
from manumatic.parts.parquet import Parquet
from manumatic.parts.rows import read_rows
from manumatic.task import Task, read_target

LARGE = 10**8  # numbers of a memory-mapped array, 400 MB as float32; smaller ones are read whole


def is_beyond(X: Any) -> bool:
    """Whether rows are to be read as they are needed, and not at once."""
    large = isinstance(X, np.memmap) and X.ndim > 1 and X.size > LARGE
    return large or isinstance(X, Parquet | Images)


def first_rows(X: Any) -> Any:
    """Some rows, as a table or an array in memory."""
    if isinstance(X, Parquet):
        return next(X.blocks()).head(100)
    return np.array(X[:100])


def in_blocks(X: Any, pixels: Any = None) -> Iterator[Any]:
    """All rows in their order, some at a time; images of one shape, where it is given."""
    X = X.like(pixels) if isinstance(X, Images) else X
    if isinstance(X, Parquet):
        yield from X.blocks()
        return
    rows = max(1, 2**22 // int(np.prod(X.shape[1:])))
    for first in range(0, len(X), rows):
        yield np.array(X[first : first + rows])


def open_beyond(
    specs: Specs,
    spec: Data,
    X: Any,
    y: Any,
    earlier: Earlier | None,
    *,
    device: torch.device,
    seed: int,
    logbook: Logbook,
) -> Found:
    """The data component for rows that are read as they are needed.

    Raises
    ------
    DataError
        The target is missing, or given twice.
    ComponentError
        A full batch was asked for.
    """
    if specs.reconstructs:
        raise DataError(f"an Autoencoder takes rows in memory; got {type(X).__name__}")
    streamed = isinstance(X, Parquet)
    batch_size = choose_batch_size(spec, len(X), logbook if streamed else Logbook())
    if spec.batch_size is None:
        raise ComponentError(
            f"batch_size=None would hold all {len(X)} rows at once; give a number of rows"
        )
    loop = as_loop(specs.loop)
    if loop is None and isinstance(X, Images):
        loop = loop_for(specs, spec, Rows(X, np.empty(len(X))), logbook)
    elif loop is None:
        steps = -(-len(X) // batch_size)
        loop = Loop(int(np.clip(round(STEPS / steps), 1, EPOCHS)))
        logbook.note("loop", f"{loop.epochs} epochs", f"{steps} steps an epoch")
    if streamed:
        return _parquet(specs, spec, X, y, earlier, loop, batch_size, device, seed, logbook)
    if isinstance(X, Images):
        X = X if earlier is None else X.like(earlier.preparation.pixels)
        y = _labels(X) if y is None else y
    return _mapped(specs, spec, X, y, earlier, loop, device, seed, logbook)


def _labels(X: Images) -> np.ndarray:
    """What the folders are called."""
    if X.labels is None:
        raise DataError(f"there are no folders that are labels ({X}); give y")
    return X.labels


def _parquet(
    specs: Specs,
    spec: Data,
    table: Parquet,
    y: Any,
    earlier: Earlier | None,
    loop: Loop,
    batch_size: int,
    device: torch.device,
    seed: int,
    logbook: Logbook,
) -> Found:
    if y is not None:
        raise DataError(
            f"the target comes from the files, mm.Parquet(target={table.target!r}); y was given, "
            f"too: {type(y).__name__}"
        )
    target = table.named_target()
    own, share = spec.validation, _share(spec, loop, len(table))
    valid_rows = partial(held_out, share=share, seed=seed) if share else None
    keep = partial(_others, held=valid_rows) if share else None
    head = table.head(keep)
    labels = table.labels() if specs.classification else head[target].to_numpy()
    values = head.pop(target).to_numpy()
    found = _prepare(specs, spec, head[table.columns], labels, values, earlier, seed, logbook)
    task, preparation, sample = found
    numbers = partial(_numbers, preparation=preparation, spec=spec)

    def flow(rows: Parquet, size: int, shuffle: bool, keep: Any) -> Flow:
        return Flow(
            None, device, _same, size, shuffle, seed, table=rows, numbers=numbers, keep=keep
        )

    valid: Any = None
    if isinstance(own, Parquet):
        valid = flow(own, max(batch_size, 1024), False, None)
    elif isinstance(own, tuple | list):
        valid = _rows_of_ones_own(own, spec, task, preparation, batch_size, seed)
    elif share:
        valid = flow(table, max(batch_size, 1024), False, valid_rows)
        logbook.note(
            "data",
            f"{valid.n_rows} of {len(table)} rows held out",
            "by their numbers; each epoch reads the files once more for them",
        )
    data = flow(table, batch_size, spec.shuffle, keep)
    logbook.note(
        "data",
        f"{len(data.lanes)} streams of rows, shuffled within {table.buffer} rows",
        "the files are never in memory as a whole",
    )
    return Found(data, valid, loop, task, preparation, sample[:4], source=None)


def _mapped(
    specs: Specs,
    spec: Data,
    X: Any,
    y: Any,
    earlier: Earlier | None,
    loop: Loop,
    device: torch.device,
    seed: int,
    logbook: Logbook,
) -> Found:
    classes = specs.classes if earlier is None else earlier.task.classes
    task, labels = read_target(y, classification=specs.classification, classes=classes)
    if len(labels) != len(X):
        raise DataError(f"X has {len(X)} rows and y {len(labels)}; they must be as many")
    plain = labels if task.classes is None or task.kind == "multilabel" else task.classes[labels]
    train, valid = np.arange(len(X)), None
    own = isinstance(spec.validation, tuple | list | Images)
    if not own and _share(spec, loop, len(X)):
        by_class = labels if task.kind in ("binary", "multiclass") else None
        train, valid = split_rows(len(X), spec.validation, by_class, seed, shuffle=spec.shuffle)
        logbook.note("data", f"{len(valid)} of {len(X)} rows held out", "the loop uses them")
    batch_size = choose_batch_size(spec, len(train), logbook)
    some = sampled(X, train)
    head = np.array(X[some])
    task, preparation, sample = _prepare(
        specs, spec, head, plain, plain[some], earlier, seed, logbook
    )
    numbers = partial(_numbers, preparation=preparation, spec=spec)

    def mapped(index: np.ndarray, size: int, shuffle: bool, X: Any = X, y: Any = plain) -> Mapped:
        return Mapped(
            None, device, _same, size, shuffle, seed, X=X, y=y, index=index, numbers=numbers
        )

    held: Any = None if valid is None else mapped(valid, max(batch_size, 1024), False)
    if isinstance(spec.validation, Images):
        images = spec.validation.like(preparation.pixels or X.shape[1:])
        every = np.arange(len(images))
        held = mapped(every, max(batch_size, 1024), False, images, _labels(images))
    elif own:
        held = _rows_of_ones_own(spec.validation, spec, task, preparation, batch_size, seed)
    data = mapped(train, batch_size, spec.shuffle)
    return Found(data, held, loop, task, preparation, sample[:4], source=Rows(X, plain))


def _prepare(
    specs: Specs,
    spec: Data,
    head: Any,
    labels: np.ndarray,
    values: np.ndarray,
    earlier: Earlier | None,
    seed: int,
    logbook: Logbook,
) -> tuple[Task, Preparation, Tensor]:
    """Task, preprocessing and prepared rows, from some of the rows."""
    rows = read_rows(head, allow_nan=spec.preprocess is not None)
    if earlier is not None:
        return earlier.task, earlier.preparation, earlier.preparation.numbers(rows)
    classification = specs.classification
    task, _ = read_target(labels, classification=classification, classes=specs.classes)
    _, y = read_target(values, classification=classification, classes=task.classes)
    preparation, inputs, _ = prepare_rows(
        spec,
        Rows(rows, y),
        task=task,
        scale_target=fits_scaled_target(as_loss(specs.loss)),
        seed=seed,
        logbook=logbook,
    )
    if preparation.preprocess is not None or preparation.target is not None:
        logbook.note("data", f"prepared as {len(rows)} of the rows say", "they are read once")
    numeric = numeric_columns(inputs) if inputs.ndim == 2 and not preparation.vocabulary else ()
    described = replace(
        task,
        in_shape=tuple(inputs.shape[1:]),
        vocabulary=preparation.vocabulary,
        steps=preparation.steps,
        numeric=numeric,
    )
    return described, preparation, inputs


def _share(spec: Data, loop: Loop, n_rows: int) -> float:
    """The share of the rows to hold out; 0 where there are none, or rows of one's own."""
    wanted = spec.validation
    own = isinstance(wanted, Parquet | Images | tuple | list)
    if wanted is None or own or not loop.uses_validation:
        return 0.0
    share = wanted if isinstance(wanted, float | np.floating) else wanted / n_rows
    if not 0 < share < 1:
        raise ComponentError(
            f"validation={wanted!r} of {n_rows} rows must leave some on both sides"
        )
    return float(share)


def _rows_of_ones_own(
    given: Any, spec: Data, task: Task, preparation: Preparation, batch_size: int, seed: int
) -> Batches:
    if len(given) != 2:
        raise ComponentError(
            f"validation rows of your own are a pair (X, y); got {len(given)} things"
        )
    classes = task.classes if task.kind in ("binary", "multiclass") else None
    _, y = read_target(given[1], classification=task.is_classification, classes=classes)
    inputs = _numbers(given[0], preparation=preparation, spec=spec)
    targets = torch.from_numpy(np.array(preparation.targets(y)))
    return Batches((inputs, targets), max(batch_size, 1024), shuffle=False, seed=seed)


def _numbers(rows: Any, *, preparation: Preparation, spec: Data) -> Tensor:
    given = read_rows(rows, allow_nan=spec.preprocess is not None, pixels=preparation.pixels)
    return preparation.numbers(given)


def _others(numbers: np.ndarray, *, held: Any) -> np.ndarray:
    return ~held(numbers)


def _same(targets: Any) -> Any:
    return targets  # how they are read is known once there is a loss (swap.fit_loss)
