"""Specifications and data → a training: its five components, in the order data meets them."""

__all__ = ["assemble"]

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sklearn.base import clone
from torch import nn
from torch.utils.data import DataLoader, Dataset

from manumatic.errors import ComponentError, DataError
from manumatic.gears.beyond import is_beyond, open_beyond
from manumatic.gears.choices import (
    as_data,
    choose_border,
    choose_optimizer,
    choose_seed,
)
from manumatic.gears.facts import Earlier, Facts, Found, Specs, State
from manumatic.gears.finetune import is_trained
from manumatic.gears.manual import Training
from manumatic.gears.memory import open_rows
from manumatic.gears.pictures import choose_augment
from manumatic.gears.reads import choose_reading
from manumatic.gears.stream import encode_targets, open_stream, refuse_weights
from manumatic.gears.swap import fit_loss
from manumatic.gears.table import choose_net
from manumatic.gears.timing import fit_to_time
from manumatic.logbook import PARTS, Logbook
from manumatic.parts.components import Loop, Model
from manumatic.parts.data import Batches
from manumatic.parts.device import OwnRandomness
from manumatic.parts.link import Link
from manumatic.parts.loss import as_loss, in_units
from manumatic.parts.model import (
    as_model,
    build_model,
    is_lazy,
    show_rows,
    take_shapes,
)
from manumatic.parts.processes import Processes, join
from manumatic.parts.several import take_optimizer


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
        found = open_rows(specs, spec, X, y, sample_weight, earlier, seed, logbook)
    told = _meet(processes, specs, found, logbook)
    return _build(told, found, earlier, device, seed, logbook, processes)


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
    model_spec = choose_net(model_spec, found.task, found.data, device, logbook, found.valid)
    rng = OwnRandomness(seed, device)
    fresh = earlier is None and not is_trained(model_spec)
    with rng:
        model, model_spec, begun = _made(model_spec, specs, found, earlier, fresh)
    _avoid_single_rows(model, found, logbook, processes.world)
    _move(model, found, device)
    wanted = as_data(specs.data)
    found.data.augment = choose_augment(wanted, model, found, device, ours=ours, book=logbook)
    model = processes.shards.split(model)
    chosen = choose_optimizer(specs.optimizer, model, found.task, ours=ours, logbook=logbook)
    recipe, optimizer = take_optimizer(chosen, model)
    facts = Facts(
        task=found.task,
        preparation=found.preparation,
        sample=found.sample,
        model=model_spec,
        fresh=fresh,
        **begun,
        loss=specs.loss,
        optimizer=recipe,
        asked=specs.optimizer,
        device=device,
        seed=seed,
        weighted=found.weighted,
        watch=specs.watch,
        verbose=specs.verbose,
        logbook=logbook,
        encode=partial(encode_targets, task=found.task, preparation=found.preparation),
        source=found.source,
        data=wanted,
        processes=processes,
    )
    parts = dict(zip(PARTS, (found.data, model, None, optimizer, found.loop), strict=True))
    training = Training(
        parts, found.valid, Link("identity"), facts, State(processes.randomness(rng, seed))
    )
    return _ready(training, specs, processes)


def _made(
    spec: Model, specs: Specs, found: Found, earlier: Earlier | None, fresh: bool
) -> tuple[nn.Module, Model, dict[str, Any]]:
    """The model, how it is made, and what it took from the rows."""
    model = build_model(spec) if earlier is None else earlier.model
    finished = isinstance(spec.net, nn.Module)
    lazy = take_shapes(model, found.sample, finished=finished)
    if finished and is_lazy(spec.net):
        spec = Model(copy.deepcopy(model))  # where training starts, shapes and all
    in_them = in_units(found.task, as_loss(specs.loss))
    shown = show_rows(model, found.data, target=in_them) if fresh else 0
    return model, spec, {"was_lazy": lazy, "shown": shown}


def _ready(training: Training, specs: Specs, processes: Processes) -> Training:
    """What goes by all the others: the loss, the epochs that fit into the time, a checkpoint."""
    fit_loss(training, specs.loss)
    fit_to_time(training)
    loop = training.loop
    if training.valid is None and (loop.patience is not None or loop.keep == "best"):
        told = f"all {loop.epochs} epochs, the last weights kept"
        training.facts.logbook.note("loop", told, "no rows are held out to judge by")
    saves = training.loop.saves
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
