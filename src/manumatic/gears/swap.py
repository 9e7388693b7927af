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
from manumatic.gears.choices import check_loop, choose_optimizer
from manumatic.gears.finetune import thawing
from manumatic.gears.own_step import check_judged, checked, free
from manumatic.gears.table import choose_net
from manumatic.nets.crossed import CrossedNet
from manumatic.parts.components import Loop, Model
from manumatic.parts.data import Batches, Stream, are_unseen, judged
from manumatic.parts.device import OwnRandomness, autocast, grad_scaler
from manumatic.parts.loop import Best, Step, closure_loop, loop, stepped_loop, validated
from manumatic.parts.loss import as_loss, check_loss, choose_loss, in_units, shape_target
from manumatic.parts.model import (
    as_model,
    build_model,
    copy_weights,
    probe,
    show_rows,
    take_shapes,
)
from manumatic.parts.optimizer import torch_class, wants_closure
from manumatic.parts.processes import refuse_apart
from manumatic.parts.schedules import Waves
from manumatic.parts.several import Optimizers, build_schedules, take_optimizer


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
    facts, ours = training.facts, isinstance(model, str)
    if not isinstance(model, nn.Module):
        facts.model = choose_net(
            as_model(model), facts.task, training.data, facts.device, facts.logbook, training.valid
        )
        training.state.rng = OwnRandomness(facts.seed, facts.device)  # as if it had come first
        with training.state.rng:
            model = build_model(facts.model)
            facts.was_lazy = take_shapes(model, facts.sample, finished=False)
            facts.shown = show_rows(
                model, training.data, target=in_units(facts.task, as_loss(facts.loss))
            )
    else:
        training.state.rng = OwnRandomness(facts.seed, facts.device)
        with training.state.rng:
            facts.was_lazy = take_shapes(model, facts.sample, finished=True)
        facts.model, facts.shown = Model(copy.deepcopy(model)), 0  # where it starts from
    training.parts["model"] = model.to(facts.device)
    fit_loss(training, facts.loss)
    chosen = choose_optimizer(facts.asked, model, facts.task, ours=ours, logbook=facts.logbook)
    facts.optimizer, training.parts["optimizer"] = take_optimizer(chosen, model)
    training.state.best, training.state.safe = Best(), {}  # these were another model's
    if are_unseen(training.valid) and not isinstance(model, CrossedNet):
        training.valid = None
        told = "no rows are held out: this model has no members that leave some out"
        facts.logbook.note("loop", told, "mm.Data(validation=...) holds some out for any model")
    _start_over(training)


def _loss(training: Any, loss: Any) -> None:
    fit_loss(training, loss)
    training.facts.loss = loss
    training.state.best = Best()  # it was measured in another unit


def _optimizer(training: Any, optimizer: Any) -> None:
    training.facts.optimizer, made = take_optimizer(optimizer, training.model)
    training.facts.asked = training.facts.optimizer
    training.parts["optimizer"] = made
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
    schedule = training.state.schedule
    if isinstance(schedule, Waves) and schedule.model is not None:
        schedule.model.drop(1.0)
    if schedule is not None:
        for group in training.optimizer.param_groups:
            for name in [name for name in group if name.startswith("initial_")]:
                group[name.removeprefix("initial_")] = group.pop(name)  # as the schedule found it
    training.state.schedule = training.state.scaler = training.state.average = None
    training.state.ended = False


EXCHANGES = {"data": _data, "model": _model, "loss": _loss, "optimizer": _optimizer, "loop": _loop}


def fit_loss(training: Any, loss: Any) -> None:
    """A loss for the model as it is now, and targets in the shape of its outputs.

    A finished loss (an object that can be called) is taken as it is.
    """
    facts, data = training.facts, training.data
    prediction = facts.sample.to(facts.device)
    if not free(training):
        with torch.random.fork_rng([]):  # looking must not change what is drawn later
            prediction = probe(training.model, prediction)
    apart = getattr(training.model, "answers_apart", False)
    chosen, training.link = choose_loss(
        as_loss(loss),
        facts.task,
        prediction,
        facts.weighted,
        facts.logbook,
        free=free(training),
        apart=apart,
    )
    finished = callable(loss) and not (isinstance(loss, type) or facts.weighted or apart)
    training.parts["loss"] = loss if finished else chosen
    facts.out_shape = tuple(prediction.shape[1:])
    for batches in (data, training.valid):
        if isinstance(batches, Stream):
            batches.encode = functools.partial(encoded, training)
        elif isinstance(batches, Batches):
            X, y, *weight = batches.tensors
            shaped = shape_target(training.loss, facts.task, y, facts.out_shape)
            batches.tensors = (X, shaped.to(facts.device), *weight)
    if isinstance(data, Batches) and training.loop.step is None:
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
        # a read costs a microsecond on a CPU; a GPU would wait for it, so there epochs are judged;
        # of several processes none may stop before the others
        "guard": facts.device.type == "cpu" and facts.processes.alone,
    }
    model, data, loss_fn = _joined(training)
    parts = (model, data, loss_fn, training.optimizer)
    if spec.step is not None:
        steps = _stepped(training, common)
    elif wants_closure(training.optimizer):
        steps = closure_loop(*parts, schedule=state.schedule, **common)
    else:
        steps = loop(
            *parts,
            schedule=state.schedule,
            autocast=autocast(spec.precision, facts.device),
            scaler=state.scaler,
            accumulate=spec.accumulate,
            clip_norm=spec.clip_norm,
            average=state.average,
            count=facts.processes.count(data),
            **common,
        )
    steps = facts.processes.steps(steps, model, training.model)
    if training.valid is None or not spec.uses_validation:
        return steps
    kept = judged(training.model if state.average is None else state.average.module, training.valid)
    valid = facts.processes.share(training.valid)
    loss_fn, count = facts.processes.loss(training.loss, valid), facts.processes.count(valid)
    return validated(steps, kept, loss_fn, valid, state.best, spec.patience, count)


def _joined(training: Any) -> tuple[Any, Any, Any]:
    """Model, data and loss as all processes train on them; alone, as they are."""
    processes, facts = training.facts.processes, training.facts
    if processes.alone:
        return training.model, training.data, training.loss
    closure = wants_closure(training.optimizer)
    if closure or training.loop.step is not None:
        what = f"{torch_class(training.optimizer).__name__}" if closure else "a step of your own"
        raise ComponentError(
            f"{what} decides when the loss is evaluated, and {processes.world} processes must do "
            "so together; train in one process, without torchrun"
        )
    refuse_apart(training.loss)
    data = processes.share(training.data)
    model = processes.wrap(training.model, facts.sample.to(facts.device))
    return model, data, processes.loss(training.loss, data)


def _stepped(training: Any, common: dict[str, Any]) -> Iterator[Step]:
    """The loop with the user's step; several optimizers come to it as a plain dict."""
    spec, optimizer, schedule = training.loop, training.optimizer, training.state.schedule
    several = isinstance(optimizer, Optimizers)
    if training.valid is not None:
        check_judged(training)
    return stepped_loop(
        training.model,
        training.data,
        training.loss,
        dict(optimizer) if several else optimizer,
        checked(spec.step),
        schedules=[] if schedule is None else [*schedule.values()] if several else [schedule],
        average=training.state.average,
        **common,
    )


def complete(training: Any) -> None:
    """What goes with optimizer and loop, where it does not exist yet.

    Raises
    ------
    ComponentError
        The two do not go together.
    """
    spec, state = training.loop, training.state
    _refuse_together(spec, training.optimizer)
    if state.schedule is None:
        steps = steps_in(training, spec.epochs - state.next_epoch)
        state.schedule = build_schedules(
            training.facts.optimizer.schedule, training.optimizer, steps, training.model
        )
        state.schedule = thawing(training, steps_in(training, 1), state.schedule)
    if state.scaler is None:
        state.scaler = grad_scaler(spec.precision, training.facts.device)
    if state.average is None and spec.ema is not None:
        state.average = AveragedModel(training.model, multi_avg_fn=get_ema_multi_avg_fn(spec.ema))


def steps_in(training: Any, epochs: int) -> int:
    """Steps of the optimizer in so many epochs; a short last window is a step, too."""
    return max(1, epochs * -(-len(training.data) // training.loop.accumulate))


def _refuse_together(spec: Loop, optimizer: Any) -> None:
    refused: dict[str, Any] = {"accumulate": 1, "clip_norm": None, "precision": "auto"}
    if spec.step is not None:
        what, instead = "a step of your own", "do it in the step"
    elif isinstance(optimizer, Optimizers):
        raise ComponentError(
            f"optimizers for {', '.join(optimizer)} need a step that says when each is used, "
            "mm.Loop(step=...); settings of their own for some weights need one optimizer, "
            "mm.Optimizer(..., groups=[(pattern, settings)])"
        )
    elif wants_closure(optimizer):
        what, instead = "an optimizer that evaluates the loss itself (LBFGS)", "leave it out"
        refused["ema"] = None
    else:
        return
    for name, without in refused.items():
        if (given := getattr(spec, name)) != without:
            raise ComponentError(f"{name}={given!r} does not go with {what}; {instead}")


def describe(part: Any) -> str:
    """One line for a component."""
    if isinstance(part, Batches):
        if len(part) == 1:
            return f"{part.n_rows} rows in one batch"
        return f"{part.n_rows} rows, {len(part)} batches of {part.batch_size}"
    if isinstance(part, nn.Module):
        weights = sum(weight.numel() for weight in part.parameters())
        return f"{type(part).__name__}, {weights} weights" if weights else type(part).__name__
    if isinstance(part, Optimizers):
        return "; ".join(f"{name}: {describe(one)}" for name, one in part.items())
    if isinstance(part, torch.optim.Optimizer):
        group = part.param_groups[0]
        return f"{torch_class(part).__name__}, lr {float(group.get('initial_lr', group['lr'])):g}"
    return repr(part)
