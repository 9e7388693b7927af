"""Exchange one of the five components of a training; start the loop with those at hand."""

__all__ = ["begin", "complete", "describe", "encoded", "exchange", "fit_loss", "steps_in"]

import copy
import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from manumatic.doctor.after import seen_before
from manumatic.errors import ComponentError
from manumatic.gears.checkup import keys_of
from manumatic.gears.choices import check_loop
from manumatic.parts.components import Loop, Model
from manumatic.parts.data import Batches, Stream
from manumatic.parts.device import OwnRandomness, autocast, grad_scaler
from manumatic.parts.loop import Best, Step, closure_loop, loop, validated
from manumatic.parts.loss import as_loss, check_loss, choose_loss, shape_target
from manumatic.parts.model import as_model, build_model, copy_weights, is_lazy, probe, resolve_model
from manumatic.parts.optimizer import (
    as_optimizer,
    build_optimizer,
    build_schedule,
    recipe_of,
    torch_class,
    wants_closure,
)


def exchange(training: Any, name: str, value: Any) -> None:
    """Take a new component, and make anew what depends on it."""
    parts, facts, link = dict(training.parts), copy.copy(training.facts), training.link
    rows = [(b, b.tensors) for b in (training.data, training.valid) if isinstance(b, Batches)]
    try:
        EXCHANGES[name](training, value)
    except BaseException:  # what cannot be taken leaves all as it was
        training.parts, training.facts, training.link = parts, facts, link
        for batches, tensors in rows:
            batches.tensors = tensors
        raise
    training.steps = None
    if training.state.steps:
        training.facts.swapped = name


def _data(training: Any, data: Any) -> None:
    if isinstance(data, DataLoader | Dataset):
        facts = training.facts
        data = Stream(data, facts.device, functools.partial(encoded, training), seed=facts.seed)
    if not hasattr(data, "batches") or not hasattr(data, "__len__"):
        raise ComponentError(
            "training.data takes a DataLoader, a Dataset, or an object with batches(epoch) "
            f"and a length; got {type(data).__name__}"
        )
    if training.state.steps:  # other rows for weights that have learned: a fold after a fold?
        keys = keys_of(training.data), keys_of(data)
        if keys[0] is not None and keys[1] is not None:
            training.findings.add(*seen_before(keys[0], keys[1]))
    if isinstance(data, Batches | Stream):
        data.heard = functools.partial(training.watcher.listen, training)
    training.parts["data"] = data
    training.facts.source = None  # these rows are not the ones that came


def _model(training: Any, model: Any) -> None:
    facts = training.facts
    if not isinstance(model, nn.Module):
        facts.model = resolve_model(as_model(model), facts.task, facts.logbook)
        training.state.rng = OwnRandomness(facts.seed, facts.device)  # as if it had come first
        with training.state.rng:
            model = build_model(facts.model)
            if is_lazy(model):
                probe(model, facts.sample)
    else:
        facts.model = Model(copy.deepcopy(model))  # where it starts from
        training.state.rng = OwnRandomness(facts.seed, facts.device)
    training.parts["model"] = model.to(facts.device)
    fit_loss(training, facts.loss)
    training.parts["optimizer"] = build_optimizer(facts.optimizer, model)
    training.state.best, training.state.safe = Best(), {}  # these were another model's
    _start_over(training)


def _loss(training: Any, loss: Any) -> None:
    fit_loss(training, loss)
    training.facts.loss = loss
    training.state.best = Best()  # it was measured in another unit


def _optimizer(training: Any, optimizer: Any) -> None:
    if not isinstance(optimizer, torch.optim.Optimizer):
        training.facts.optimizer = as_optimizer(optimizer)
        optimizer = build_optimizer(training.facts.optimizer, training.model)
    else:
        training.facts.optimizer = recipe_of(optimizer)
    training.parts["optimizer"] = optimizer
    _start_over(training)


def _loop(training: Any, spec: Any) -> None:
    if not isinstance(spec, Loop):
        raise ComponentError(
            f"training.loop takes mm.Loop(...); got {spec!r}. For a loop of your own, write it: "
            "for X, y in training.data: ..."
        )
    check_loop(spec)
    training.parts["loop"] = spec
    _start_over(training)


def _start_over(training: Any) -> None:
    """The schedule, the scaler and the average belong to an optimizer, a model and a loop."""
    if training.state.schedule is not None:
        for group in training.optimizer.param_groups:
            group["lr"] = group.pop("initial_lr", group["lr"])  # where the schedule found it
    training.state.schedule = training.state.scaler = training.state.average = None
    training.state.ended = False


EXCHANGES = {"data": _data, "model": _model, "loss": _loss, "optimizer": _optimizer, "loop": _loop}


def fit_loss(training: Any, loss: Any) -> None:
    """A loss for the model as it is now, and targets in the shape of its outputs.

    A finished loss (an object that can be called) is taken as it is.
    """
    facts, data = training.facts, training.data
    with torch.random.fork_rng([]):  # looking must not change what is drawn later
        prediction = probe(training.model, facts.sample.to(facts.device))
    chosen, training.link = choose_loss(
        as_loss(loss), facts.task, prediction, facts.weighted, facts.logbook
    )
    finished = callable(loss) and not isinstance(loss, type) and not facts.weighted
    training.parts["loss"] = loss if finished else chosen
    facts.out_shape = tuple(prediction.shape[1:])
    for batches in (data, training.valid):
        if isinstance(batches, Stream):
            batches.encode = functools.partial(encoded, training)
        elif isinstance(batches, Batches):
            X, y, *weight = batches.tensors
            shaped = shape_target(training.loss, facts.task, y, facts.out_shape)
            batches.tensors = (X, shaped.to(facts.device), *weight)
    if isinstance(data, Batches):
        with torch.random.fork_rng([]):
            rest = [tensor[: len(prediction)] for tensor in data.tensors[1:]]
            check_loss(training.loss, prediction, *rest)


def encoded(training: Any, y: Any) -> torch.Tensor:
    """The target of a streamed batch as the loss takes it."""
    facts = training.facts
    return shape_target(training.loss, facts.task, facts.encode(y), facts.out_shape).to(
        facts.device
    )


def begin(training: Any) -> Iterator[Step]:
    """The loop with the components at hand, from where the run is."""
    spec, state, facts = training.loop, training.state, training.facts
    complete(training)
    state.safe = state.safe or copy_weights(training.model)
    training.data.skip = 0 if state.epoch_done else state.batch + 1
    common: dict[str, Any] = {
        "epochs": 0 if state.ended else spec.epochs,
        "start": state.next_epoch,
        "schedule": state.schedule,
        # a read costs a microsecond on a CPU; a GPU would wait for it, so there epochs are judged
        "guard": facts.device.type == "cpu",
    }
    parts = (training.model, training.data, training.loss, training.optimizer)
    if wants_closure(training.optimizer):
        _refuse_with_closure(spec)
        steps = closure_loop(*parts, **common)
    else:
        steps = loop(
            *parts,
            autocast=autocast(spec.precision, facts.device),
            scaler=state.scaler,
            accumulate=spec.accumulate,
            clip_norm=spec.clip_norm,
            average=state.average,
            **common,
        )
    if training.valid is None or not spec.uses_validation:
        return steps
    judged = training.model if state.average is None else state.average.module
    return validated(steps, judged, training.loss, training.valid, state.best, spec.patience)


def complete(training: Any) -> None:
    """What goes with optimizer and loop, where it does not exist yet."""
    spec, state = training.loop, training.state
    if state.schedule is None:
        steps = steps_in(training, spec.epochs - state.next_epoch)
        state.schedule = build_schedule(
            training.facts.optimizer.schedule, training.optimizer, steps
        )
    if state.scaler is None:
        state.scaler = grad_scaler(spec.precision, training.facts.device)
    if state.average is None and spec.ema is not None:
        state.average = AveragedModel(training.model, multi_avg_fn=get_ema_multi_avg_fn(spec.ema))


def steps_in(training: Any, epochs: int) -> int:
    """Steps of the optimizer in so many epochs; a short last window is a step, too."""
    return max(1, epochs * -(-len(training.data) // training.loop.accumulate))


def _refuse_with_closure(spec: Loop) -> None:
    refused = {"accumulate": 1, "clip_norm": None, "ema": None, "precision": "auto"}
    for name, without in refused.items():
        if getattr(spec, name) != without:
            raise ComponentError(
                f"{name}={getattr(spec, name)!r} does not go with an optimizer that evaluates the "
                "loss itself (LBFGS); leave it out"
            )


def describe(part: Any) -> str:
    """One line for a component."""
    if isinstance(part, Batches):
        if len(part) == 1:
            return f"{part.n_rows} rows in one batch"
        return f"{part.n_rows} rows, {len(part)} batches of {part.batch_size}"
    if isinstance(part, nn.Module):
        weights = sum(weight.numel() for weight in part.parameters())
        return f"{type(part).__name__}, {weights} weights" if weights else type(part).__name__
    if isinstance(part, torch.optim.Optimizer):
        group = part.param_groups[0]
        return f"{torch_class(part).__name__}, lr {float(group.get('initial_lr', group['lr'])):g}"
    return repr(part)
