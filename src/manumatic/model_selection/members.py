"""Which trainings may share a stack: what must be equal, and why some must go alone."""

__all__ = ["LINEAR", "alike", "options_of", "why_alone"]

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from manumatic.model_selection.likeness import likeness
from manumatic.parts.data import Batches
from manumatic.parts.optimizer import torch_class, wants_closure

# Each number of a weight goes its own way, and its step is the learning rate times a direction
# that does not depend on the learning rate.
LINEAR = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.Adamax,
    torch.optim.Adadelta,
)
HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)
# What may differ between members, or says how a step is computed and not what.
FREE = ("params", "lr", "initial_lr", "weight_decay", "fused", "foreach")


def why_alone(training: Any) -> str:
    """Why a training cannot share a stack; empty where its components allow it."""
    for look in (_begun, _rows, _optimizer, _thaw, _loop, _watch, _network):
        reason = look(training)
        if reason:
            return reason
    return ""


def alike(training: Any) -> Hashable:
    """What the members of a stack have in common."""
    data, valid, loop, facts = training.data, training.valid, training.loop, training.facts
    scheduled = facts.optimizer.schedule is not None
    names = {id(weight): name for name, weight in training.model.named_parameters()}
    groups = tuple(
        (tuple(names.get(id(weight)) for weight in group["params"]), likeness(options_of(group)))
        for group in training.optimizer.param_groups
    )
    return (
        facts.device,
        likeness(training.model, contents=False),
        likeness(training.loss),
        _form(data),
        None if valid is None else _form(valid),
        loop.uses_validation,
        loop.ema,
        torch_class(training.optimizer),
        groups,
        likeness(facts.optimizer.schedule),
        loop.epochs if scheduled else 0,
    )


def options_of(group: dict[str, Any]) -> dict[str, Any]:
    """The options of a group of parameters that all members must share."""
    return {name: value for name, value in group.items() if name not in FREE}


def _form(data: Batches) -> Hashable:
    """The shape of the batches: members may differ in how many rows the last one holds."""
    one = len(data) == 1
    rows = tuple((tuple(tensor.shape[1:]), tensor.dtype) for tensor in data.tensors)
    return rows, len(data), None if one else data.batch_size, one or data.shuffle, data.unseen


def _begun(training: Any) -> str:
    begun = training.steps is not None or training.state.steps or training.state.ended
    return "it has begun already" if begun else ""


def _rows(training: Any) -> str:
    for data in (training.data, training.valid):
        if type(data) is not Batches and data is not None:
            return f"its rows come from a {type(data).__name__}"
        if data is not None and data.lengths is not None:
            return "its batches are cut to their longest row"
        if data is not None and data.augment is not None:
            return "its batches are augmented"
    return ""


def _optimizer(training: Any) -> str:
    optimizer = training.optimizer
    name = torch_class(optimizer).__name__
    if wants_closure(optimizer):
        return f"{name} evaluates the loss itself"
    if torch_class(optimizer) not in LINEAR:
        return f"the step of {name} is not the learning rate times a direction"
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        return f"hooks watch the steps of {name}"
    for group in optimizer.param_groups:
        for option in ("maximize", "capturable", "differentiable"):
            if group.get(option):
                return f"{name} was given {option}=True"
        if any(isinstance(value, Tensor) for value in group.values()):
            return f"an option of {name} is a tensor"
    return ""


def _thaw(training: Any) -> str:
    return "its layers thaw on a schedule" if getattr(training.model, "plan", None) else ""


def _loop(training: Any) -> str:
    plain = {"accumulate": 1, "checkpoint": None, "step": None}
    for name, value in plain.items():
        if getattr(training.loop, name) != value:
            return f"{name}={getattr(training.loop, name)!r} of its loop"
    if training.loop.precision not in ("auto", "float32"):
        return f"precision={training.loop.precision!r} of its loop"
    return ""


def _watch(training: Any) -> str:
    watcher = training.watcher
    if watcher.verbose:
        return "it shows its progress (verbose)"
    if any(getattr(logger, "tensors", False) for logger in watcher.loggers):
        return "a logger of it draws gradients"
    return ""


def _network(training: Any) -> str:
    model = training.model
    for layer in model.modules():
        if any(getattr(layer, hooks) for hooks in HOOKS):
            return f"its {type(layer).__name__} layer carries hooks"
    weights = list(model.parameters())
    if len({weight.device for weight in weights}) != 1:
        return "its weights are on several devices"
    if any(weight.is_sparse or weight.is_complex() for weight in weights):
        return "its weights are sparse or complex"
    return ""
