"""Rows in memory → the data component: targets, weights, rows held out, numbers, batches."""

__all__ = ["loop_for", "open_rows", "read_weights"]

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array, check_consistent_length
from torch import Tensor

from manumatic.errors import ComponentError, DataError
from manumatic.gears.choices import (
    STEPS,
    STEPS_OF_TEXTS,
    as_loop,
    choose_batch_size,
    choose_loop,
)
from manumatic.gears.facts import Earlier, Found, Specs
from manumatic.gears.finetune import has_learned
from manumatic.gears.handover import steps
from manumatic.gears.pictures import (
    FEW_PICTURES,
    is_picture_net,
    picture_loop,
    picture_steps,
)
from manumatic.gears.prepare import Preparation, Rows, class_weights, numeric_columns
from manumatic.gears.table import (
    FEW,
    are_few,
    averaged,
    crossed_loop,
    is_table,
    leaves_out,
    steps_of,
    table_loop,
)
from manumatic.logbook import Logbook
from manumatic.nets.crossed import CrossedNet
from manumatic.parts.components import Data, Loop
from manumatic.parts.data import Batches, split_rows
from manumatic.parts.lengths import lengths_of, rows_at_once
from manumatic.parts.loss import as_loss, fits_scaled_target, sums
from manumatic.parts.mixed import layout_of
from manumatic.parts.rows import count_distinct, count_rows, kind_of, pixels_in, read_rows
from manumatic.task import Task, itself, read_target


def open_rows(
    specs: Specs,
    spec: Data,
    X: Any,
    y: Any,
    sample_weight: Any,
    earlier: Earlier | None,
    seed: int,
    logbook: Logbook,
) -> Found:
    """The data component for rows in memory, as ``read_rows`` returns them.

    Raises
    ------
    DataError, ComponentError, ValueError
        Rows, targets or weights that cannot be used.
    """
    rows, task, source = _read(specs, spec, X, y, sample_weight, earlier)
    loop, unseen = _loop(specs, spec, rows, earlier, logbook)
    train, valid = rows, None
    if _holds_out(spec, loop) and not unseen:
        train, valid = _hold_out(spec, rows, task, seed, logbook)
    if earlier is None:
        scaled = fits_scaled_target(as_loss(specs.loss))
        preparation, inputs, targets = steps.prepare(
            spec, train, task=task, scale_target=scaled, seed=seed, logbook=logbook
        )
        task = _shaped(task, preparation, inputs)
    else:
        preparation, task = earlier.preparation, earlier.task
        inputs, targets = preparation.pair(train, task, preparation.numbers(train.X))
    batch_size = choose_batch_size(spec, len(train), logbook)
    data = Batches(_tensors(inputs, targets, train), batch_size, spec.shuffle, seed)
    at_once, held = max(batch_size, 1024), None
    if task.vocabulary or task.steps:
        data.lengths, at_once = _lengths(inputs, logbook), rows_at_once(inputs)
    if valid is not None:
        numbers = steps.numbers(preparation, valid.X)
        tensors = _tensors(numbers, preparation.pair(valid, task, numbers)[1], valid)
        held = Batches(tensors, at_once, shuffle=False, seed=seed)
    elif unseen and task.mixed is None:
        held = Batches(data.tensors, at_once, shuffle=False, seed=seed, unseen=True)
    weighted = train.weight is not None
    return Found(data, held, loop, task, preparation, inputs[:4], weighted, source=source)


def _loop(
    specs: Specs, spec: Data, rows: Rows, earlier: Earlier | None, logbook: Logbook
) -> tuple[Loop, bool]:
    """The loop, and whether members that leave rows out judge in it."""
    own = as_loop(specs.loop)
    judges = own is None or own.uses_validation
    unseen = judges and _leaves_out(specs, spec, rows, earlier)
    return own or (_crossed if unseen else loop_for)(specs, spec, rows, logbook), unseen


def _leaves_out(specs: Specs, spec: Data, rows: Rows, earlier: Earlier | None) -> bool:
    """Whether all rows train, and each is judged by members of the table net that left it out.

    Equal rows are left out together; where most have an equal, that would ask for what no row says.
    """
    if specs.reconstructs or not _is_usual(spec) or spec.preprocess == "mixed":
        return False
    if not spec.shuffle:  # the last rows are the ones to foretell
        return False
    if not leaves_out(specs.model, np.shape(rows.X)[1:], len(rows)):
        return False
    going_on = earlier is None or isinstance(earlier.model, CrossedNet)
    return going_on and 2 * count_distinct(rows.X) >= len(rows)


def _is_usual(spec: Data) -> bool:
    """Whether nobody has said which rows judge."""
    return bool(spec.validation == Data().validation)


def _holds_out(spec: Data, loop: Loop) -> bool:
    """Whether there are rows to judge by; rows of one's own are there to be looked at."""
    own = isinstance(spec.validation, tuple | list)
    return own or (loop.uses_validation and spec.validation is not None)


def _crossed(specs: Specs, spec: Data, rows: Rows, logbook: Logbook) -> Loop:
    """As long as members that leave rows out gain by it."""
    n_rows = len(rows)
    loop = crossed_loop(n_rows, choose_batch_size(spec, n_rows, Logbook()), logbook)
    return _averaged(specs, loop, n_rows, logbook)


def loop_for(specs: Specs, spec: Data, rows: Rows, logbook: Logbook) -> Loop:
    """As long as the model needs for so many rows."""
    n_rows, batch_size = len(rows), choose_batch_size(spec, len(rows), Logbook())
    soon = spec.preprocess == "tokens" or has_learned(specs.model)
    wanted = STEPS_OF_TEXTS if soon else STEPS
    if specs.reconstructs:  # a row as a target says more than one number
        return choose_loop(n_rows, batch_size, logbook, 1000, wanted)
    few, short = False, table_loop
    table = is_table(specs.model, np.shape(rows.X)[1:])
    if table:
        few, wanted = are_few(n_rows), steps_of(n_rows)
    elif kind_of(rows.X) == "image" and is_picture_net(specs.model):
        few, short = n_rows < FEW_PICTURES, picture_loop
        wanted = picture_steps(n_rows, batch_size)
    if few and (spec.validation is None or _is_usual(spec)):
        return short(n_rows, logbook)
    loop = choose_loop(n_rows, batch_size, logbook, wanted=wanted)
    return _averaged(specs, loop, n_rows, logbook) if table else loop


def _averaged(specs: Specs, loop: Loop, n_rows: int, logbook: Logbook) -> Loop:
    """An average belongs to the recipe; weights that FSDP2 shares out have none."""
    recipe = getattr(specs.optimizer, "name", specs.optimizer) == "auto"
    keeps = recipe and n_rows >= FEW and specs.device != "fsdp"
    return averaged(loop, logbook) if keeps else loop


def _shaped(task: Task, preparation: Preparation, inputs: Tensor) -> Task:
    """The task with what the prepared rows look like."""
    table = inputs.ndim == 2 and not preparation.vocabulary
    mixed = layout_of(preparation.preprocess)
    return replace(
        task,
        in_shape=tuple(inputs.shape[1:]),
        vocabulary=preparation.vocabulary,
        steps=preparation.steps,
        numeric=numeric_columns(inputs[:, : mixed[0]] if mixed else inputs) if table else None,
        mixed=mixed,
    )


def _lengths(inputs: Tensor, logbook: Logbook) -> Tensor | None:
    """The steps of each row, where they differ."""
    lengths = lengths_of(inputs)
    low, high = int(lengths.min()), int(lengths.max())
    if low == high:
        return None
    told = f"rows have {low} to {high} steps, and padding costs time"
    logbook.note("data", "batches of rows of like length, cut to their longest", told)
    return lengths


def _read(
    specs: Specs, spec: Data, X: Any, y: Any, sample_weight: Any, earlier: Earlier | None
) -> tuple[Rows, Task, Any]:
    """Rows, targets and weights as they count."""
    classes = specs.classes if earlier is None else earlier.task.classes
    if specs.reconstructs:
        task, values = itself(X)
    else:
        task, values = read_target(y, classification=specs.classification, classes=classes)
    check_consistent_length(X, values)
    loss = as_loss(specs.loss)
    as_they_are = sums(loss)
    index, weight = None, read_weights(sample_weight, len(values), keep=as_they_are)
    if not as_they_are:
        index, weight = count_rows(X, values, weight, sort=spec.shuffle)
    by_class = class_weights(loss.class_weight, y, task)
    rows, source = Rows(X, values, by_class), Rows(X, _plain(y, task, values))
    if index is not None:
        rows, source = rows.take(index), source.take(index)
    if weight is not None:
        rows.weight = weight if rows.weight is None else rows.weight * weight
    if rows.weight is not None and not as_they_are:
        rows.weight = rows.weight / rows.weight.mean()  # so that learning rates keep their meaning
    source.weight = rows.weight
    return rows, task, source


def _plain(y: Any, task: Task, values: np.ndarray) -> np.ndarray:
    """The target in the user's own words, for an ejected script."""
    if task.classes is None or task.kind == "multilabel":
        return values
    return task.classes[values]


def read_weights(sample_weight: Any, n_rows: int, *, keep: bool = False) -> np.ndarray | None:
    """The weights as numbers; None where all are alike, unless those are to be kept.

    Parameters
    ----------
    sample_weight : array-like (n,) or None
    n_rows : int
    keep : bool
        Whether weights that are all alike are kept.

    Raises
    ------
    DataError, ValueError
        They are not one number a row, 0 or more, and more than 0 for some.
    """
    if sample_weight is None:
        return None
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(n_rows,)}!")
    if weight.min() < 0 or weight.max() == 0:
        raise DataError(
            "sample_weight must be 0 or more, and more than 0 for some row; the least is "
            f"{weight.min():g}, the largest {weight.max():g} (sample weights all zero or negative)"
        )
    return None if not keep and (weight == weight[0]).all() else weight


def _hold_out(spec: Data, rows: Rows, task: Task, seed: int, logbook: Logbook) -> tuple[Rows, Rows]:
    if isinstance(spec.validation, tuple | list):
        if len(spec.validation) != 2:
            raise ComponentError(
                f"validation rows of your own are a pair (X, y); got {len(spec.validation)} things"
            )
        X, y = spec.validation
        classes = task.classes if task.kind in ("binary", "multiclass") else None
        ragged = spec.preprocess == "sequences"
        pixels = None if ragged else pixels_in(rows.X)
        held = read_rows(X, allow_nan=spec.preprocess is not None, steps=ragged, pixels=pixels)
        if task.kind == "reconstruction":
            _, values = itself(held)
        else:
            _, values = read_target(y, classification=task.is_classification, classes=classes)
        weight = None if rows.weight is None else np.ones(len(values))
        check_consistent_length(held, values)
        return rows, Rows(held, values, weight)
    labels = rows.y if task.kind in ("binary", "multiclass") else None
    train, valid = split_rows(len(rows), spec.validation, labels, seed, shuffle=spec.shuffle)
    logbook.note(
        "data",
        f"{'the last ' * (not spec.shuffle)}{len(valid)} of {len(rows)} rows held out",
        "the loop uses them to choose when to stop and which weights to keep",
    )
    return rows.take(train), rows.take(valid)


def _tensors(inputs: Tensor, targets: np.ndarray, rows: Rows) -> tuple[Tensor, ...]:
    # a copy where the user's array may not be written to: torch has no such tensors
    target = torch.from_numpy(np.require(targets, requirements=["C", "W"]))
    if rows.weight is None:
        return inputs, target
    return inputs, target, torch.from_numpy(rows.weight.astype(np.float32))
