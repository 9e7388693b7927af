"""Specifications and data → a training: its five components, in the order data meets them."""

__all__ = ["assemble"]

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_array, check_consistent_length
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from manumatic.errors import ComponentError, DataError
from manumatic.gears.beyond import is_beyond, open_beyond
from manumatic.gears.choices import (
    STEPS,
    STEPS_OF_TEXTS,
    as_data,
    as_loop,
    choose_batch_size,
    choose_border,
    choose_loop,
    choose_optimizer,
    choose_seed,
)
from manumatic.gears.facts import Earlier, Facts, Found, Specs, State
from manumatic.gears.handover import steps
from manumatic.gears.manual import Training
from manumatic.gears.prepare import Rows, class_weights, numeric_columns
from manumatic.gears.reads import choose_reading
from manumatic.gears.stream import encode_targets, open_stream, refuse_weights
from manumatic.gears.swap import fit_loss
from manumatic.gears.table import is_table, size_table, steps_of
from manumatic.gears.timing import fit_to_time
from manumatic.logbook import PARTS, Logbook
from manumatic.parts.components import Data, Loop
from manumatic.parts.data import Batches, split_rows
from manumatic.parts.device import OwnRandomness
from manumatic.parts.lengths import lengths_of, rows_at_once
from manumatic.parts.link import Link
from manumatic.parts.loss import as_loss, fits_scaled_target, in_units, sums
from manumatic.parts.model import (
    as_model,
    build_model,
    is_lazy,
    probe,
    resolve_model,
    show_rows,
)
from manumatic.parts.processes import Processes, join
from manumatic.parts.rows import count_rows, read_rows
from manumatic.parts.several import take_optimizer
from manumatic.task import Task, itself, read_target


def assemble(
    specs: Specs, X: Any, y: Any, sample_weight: Any = None, earlier: Earlier | None = None
) -> Training:
    """Resolve the five components for these data; X as ``read_rows`` returns it.

    Raises
    ------
    DataError, ComponentError, ValueError
        Before the first step: what cannot be used, and how to mend it.
    """
    logbook, (processes, device) = Logbook(), join(specs.device)
    seed = processes.same(choose_seed(specs.random_state))
    spec = choose_border(as_data(specs.data), specs.model, logbook)
    if earlier is None and not specs.reconstructs and not is_beyond(X):
        spec = choose_reading(spec, specs.model, X, logbook)
    if is_beyond(X):
        refuse_weights(specs, X, sample_weight)
        settled = {"device": device, "seed": seed, "logbook": logbook}
        found = open_beyond(specs, spec, X, y, earlier, **settled)
    elif isinstance(X, Dataset | DataLoader):
        refuse_weights(specs, X, sample_weight)
        found = open_stream(specs, spec, X, y, device=device, seed=seed, logbook=logbook)
    else:
        found = _in_memory(specs, spec, X, y, sample_weight, earlier, seed, logbook)
    told = _meet(processes, specs, found, logbook)
    return _build(told, found, earlier, device, seed, logbook, processes)


def _in_memory(
    specs: Specs,
    spec: Data,
    X: Any,
    y: Any,
    sample_weight: Any,
    earlier: Earlier | None,
    seed: int,
    logbook: Logbook,
) -> Found:
    rows, task, source = _read(specs, spec, X, y, sample_weight, earlier)
    loop = as_loop(specs.loop)
    n_rows = len(rows)
    if loop is None:
        batch_size = choose_batch_size(spec, n_rows, Logbook())
        most = 1000 if specs.reconstructs else 300  # a row as a target says more than one number
        wanted = STEPS_OF_TEXTS if spec.preprocess == "tokens" else STEPS
        if is_table(specs.model, np.shape(X)[1:]) and not specs.reconstructs:
            wanted = steps_of(n_rows)
        loop = choose_loop(n_rows, batch_size, logbook, most, wanted)
    train, valid = rows, None
    own = isinstance(spec.validation, tuple | list)  # rows of one's own are there to be looked at
    if own or (loop.uses_validation and spec.validation is not None):
        train, valid = _hold_out(spec, rows, task, seed, logbook)
    if earlier is None:
        scaled = fits_scaled_target(as_loss(specs.loss))
        preparation, inputs, targets = steps.prepare(
            spec, train, task=task, scale_target=scaled, seed=seed, logbook=logbook
        )
        told = {"in_shape": tuple(inputs.shape[1:]), "vocabulary": preparation.vocabulary}
        if inputs.ndim == 2 and not preparation.vocabulary:
            told["numeric"] = numeric_columns(inputs)
        task = replace(task, **told, steps=preparation.steps)
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
    weighted = train.weight is not None
    return Found(data, held, loop, task, preparation, inputs[:4], weighted, source=source)


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
    index, weight = None, _weights(sample_weight, len(values), keep=as_they_are)
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


def _weights(sample_weight: Any, n_rows: int, keep: bool) -> np.ndarray | None:
    """The weights as numbers; None where all are alike, unless those are to be kept."""
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
        held = read_rows(X, allow_nan=spec.preprocess is not None, steps=ragged)
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


def _build(
    specs: Specs,
    found: Found,
    earlier: Earlier | None,
    device: torch.device,
    seed: int,
    logbook: Logbook,
    processes: Processes,
) -> Training:
    """Model, loss, optimizer and loop for data that are settled."""
    model_spec = as_model(specs.model)
    ours = isinstance(model_spec.net, str)
    if is_table(model_spec, found.task.in_shape) and not specs.reconstructs:
        model_spec = size_table(model_spec, found.task, found.n_rows, device, logbook)
    model_spec = resolve_model(model_spec, found.task, logbook)
    rng = OwnRandomness(seed, device)
    with rng:
        model = build_model(model_spec) if earlier is None else earlier.model
        lazy = is_lazy(model)
        if lazy:
            probe(model, found.sample)
        fresh = earlier is None and not isinstance(model_spec.net, nn.Module)
        shown = 0
        if fresh:
            in_them = in_units(found.task, as_loss(specs.loss))
            shown = show_rows(model, found.data, target=in_them)
    _avoid_single_rows(model, found, logbook, processes.world)
    _move(model, found, device)
    model = processes.shards.split(model)
    chosen = choose_optimizer(specs.optimizer, model, found.task, ours=ours, logbook=logbook)
    recipe, optimizer = take_optimizer(chosen, model)
    facts = Facts(
        task=found.task,
        preparation=found.preparation,
        sample=found.sample,
        model=model_spec,
        was_lazy=lazy,
        fresh=fresh,
        shown=shown,
        loss=specs.loss,
        optimizer=recipe,
        device=device,
        seed=seed,
        weighted=found.weighted,
        watch=specs.watch,
        verbose=specs.verbose,
        logbook=logbook,
        encode=partial(encode_targets, task=found.task, preparation=found.preparation),
        source=found.source,
        data=as_data(specs.data),
        processes=processes,
    )
    parts = dict(zip(PARTS, (found.data, model, None, optimizer, found.loop), strict=True))
    training = Training(
        parts, found.valid, Link("identity"), facts, State(processes.randomness(rng, seed))
    )
    fit_loss(training, specs.loss)
    fit_to_time(training)
    saves = found.loop.saves
    if saves is not None and saves.resume and processes.same(Path(saves.path).exists()):
        training.load(saves.path)
    return training


def _meet(processes: Processes, specs: Specs, found: Found, logbook: Logbook) -> Specs:
    """Several processes see the same rows, and one of them speaks."""
    if processes.alone:
        if specs.device == "fsdp":
            logbook.note("loop", "one process holds all weights", "torchrun has started no other")
        return specs
    if not processes.agree((len(found.data), found.sample.double().sum().item())):
        raise DataError(
            f"process {processes.rank} of {processes.world} was given other rows than the first; "
            "give all processes the same, each takes its share of every batch"
        )
    _refuse_apart(processes, found.loop)
    how = "FSDP2 shares weights out" if processes.shards.on else "DDP averages their gradients"
    logbook.note("loop", f"{processes.world} processes, a share of each batch for each", how)
    if processes.rank == 0:
        return specs
    watch = clone(specs.watch).set_params(log=None)
    return replace(specs, verbose=0, watch=watch)


def _refuse_apart(processes: Processes, loop: Loop) -> None:
    """Raise for what several processes cannot do together."""
    if loop.time is not None:
        raise ComponentError(
            f"mm.Loop(time={loop.time!r}) goes by the clock of one process, and "
            f"{processes.world} must stop together; give a number of epochs"
        )
    if processes.shards.on and (loop.ema is not None or loop.precision in ("float16", "fp16")):
        given = f"precision={loop.precision!r}" if loop.ema is None else f"ema={loop.ema!r}"
        raise ComponentError(
            f'{given} does not go with weights that are shared out (device="fsdp"); use '
            'device="auto", where each process has a copy, or precision="bfloat16"'
        )


def _move(model: nn.Module, found: Found, device: torch.device) -> None:
    model.to(device)
    for batches in (found.data, found.valid):
        if isinstance(batches, Batches):
            batches.tensors = tuple(tensor.to(device) for tensor in batches.tensors)
            batches.lengths = None if batches.lengths is None else batches.lengths.to(device)


def _avoid_single_rows(model: nn.Module, found: Found, logbook: Logbook, world: int) -> None:
    """Batch norm cannot learn from one row: no batch may be that short."""
    data = found.data
    if not isinstance(data, Batches) or not any(
        isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.modules()
    ):
        return
    if data.n_rows == 1:
        raise DataError(
            f"{type(model).__name__} has batch norm, which cannot learn from n_samples = 1 row"
        )
    before, fewest = data.batch_size, 2 * world  # two for each process
    while min(data.batch_size, data.n_rows % data.batch_size or fewest) < fewest <= data.n_rows:
        data.batch_size += 1
    if data.batch_size != before:
        logbook.note(
            "data",
            f"batches of {data.batch_size}",
            f"{before} would leave {'one row' if world == 1 else 'a process one row'}, "
            "too few for batch norm",
        )
