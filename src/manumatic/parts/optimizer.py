"""Optimizer: a name, class or partial → a torch optimizer, and its schedule."""

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "as_optimizer",
    "build_optimizer",
    "build_schedule",
    "wants_closure",
]

import fnmatch
import functools
import inspect
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from manumatic.errors import ComponentError, nearest
from manumatic.parts.components import Optimizer
from manumatic.parts.lean import lean

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    name.lower(): found
    for name, found in vars(torch.optim).items()
    if isinstance(found, type)
    and issubclass(found, torch.optim.Optimizer)
    and found is not torch.optim.Optimizer
}


def as_optimizer(optimizer: Any) -> Optimizer:
    """The user's ``optimizer=`` as a component.

    Raises
    ------
    ComponentError
        It is no name, class, partial or ``mm.Optimizer``.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str | type | functools.partial):
        return Optimizer(optimizer)
    raise ComponentError(
        "optimizer must be a name ('adamw', 'sgd', ...), a torch.optim class, a functools.partial "
        f"of one or mm.Optimizer(...); got {optimizer!r}"
        + (
            "; an optimizer that exists already belongs to other weights"
            if isinstance(optimizer, torch.optim.Optimizer)
            else ""
        )
    )


def settings(spec: Optimizer) -> tuple[Any, dict[str, Any]]:
    """The optimizer's class or partial, and its keywords: ``fused`` where that path exists."""
    kind = spec.name
    if isinstance(kind, str):
        if kind.lower() not in OPTIMIZERS:
            raise ComponentError(
                f"no optimizer {kind!r} in torch.optim; there are "
                f"{', '.join(sorted(OPTIMIZERS))}.{nearest(kind, OPTIMIZERS)}"
            )
        kind = OPTIMIZERS[kind.lower()]
    keywords = dict(spec.arguments)
    if spec.lr is not None:
        keywords["lr"] = spec.lr
    base = kind.func if isinstance(kind, functools.partial) else kind
    decided = {"fused", "foreach", "capturable", "differentiable"} & set(keywords)
    if not decided and "fused" in inspect.signature(base).parameters:
        # one kernel over all weights: the same formulas, half the time of a step and more
        keywords["fused"] = True
    return kind, keywords


def build_optimizer(spec: Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a model's weights.

    Raises
    ------
    ComponentError
        An argument that it does not take, a pattern that matches no weight, or a model without
        weights.
    """
    kind, keywords = settings(spec)
    weights = parameter_groups(spec, model)
    name = getattr(kind, "__name__", repr(kind))
    try:
        if isinstance(kind, functools.partial):
            base: Any = kind.func
            made = lean(base)(weights, *kind.args, **{**kind.keywords, **keywords})
        else:
            made = lean(kind)(weights, **keywords)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{name}({_told(keywords)}) cannot be built: {error}") from None
    if not isinstance(made, torch.optim.Optimizer):
        raise ComponentError(
            f"{name} made a {type(made).__name__}; it must make a torch.optim.Optimizer"
        )
    return made


def recipe_of(optimizer: torch.optim.Optimizer) -> Optimizer:
    """The component that would build an optimizer like this one, for all weights of a model."""
    kind = next(form for form in type(optimizer).__mro__ if form.__module__ != lean.__module__)
    asked = inspect.signature(kind).parameters
    changed = {
        name: value
        for name, value in optimizer.defaults.items()
        if name in asked and (name == "fused" or value is not asked[name].default)
    }
    return Optimizer(kind, **changed)


def parameter_groups(spec: Optimizer, model: nn.Module) -> Any:
    """All weights, or groups of them by the patterns of ``spec.groups``; the first match counts."""
    named = dict(model.named_parameters())
    if not named:
        raise ComponentError(
            f"{type(model).__name__} has no weights to train; layers in a Python list are "
            "invisible to PyTorch, put them in nn.ModuleList"
        )
    if not spec.groups:
        return model.parameters()
    groups, taken = [], set()
    for pattern, changes in spec.groups:
        names = [name for name in named if name not in taken and fnmatch.fnmatch(name, pattern)]
        if not names:
            raise ComponentError(f"the pattern {pattern!r} matches no weight of {', '.join(named)}")
        taken.update(names)
        groups.append({"params": [named[name] for name in names], **changes})
    rest = [weight for name, weight in named.items() if name not in taken]
    found = groups + ([{"params": rest}] if rest else [])
    assert sum(len(group["params"]) for group in found) == len(named)
    return found


def build_schedule(schedule: Any, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """A torch learning-rate scheduler over so many steps, or None.

    Raises
    ------
    ComponentError
        No schedule of that name.
    """
    if schedule is None:
        return None
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ComponentError(
                f"no schedule {schedule!r}; there are {', '.join(SCHEDULES)}, or give a class of "
                f"torch.optim.lr_scheduler.{nearest(schedule, SCHEDULES)}"
            )
        kind, keywords = schedule_settings(schedule, optimizer.defaults["lr"], steps)
        return kind(optimizer, **keywords)
    return schedule(optimizer)


def schedule_settings(schedule: str, lr: float, steps: int) -> tuple[Any, dict[str, Any]]:
    """The class of torch that a name stands for, and its keywords for so many steps."""
    if schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR, {"T_max": steps}
    if schedule == "linear":
        return lr_scheduler.LinearLR, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": steps}
    return lr_scheduler.OneCycleLR, {"max_lr": lr, "total_steps": steps}


SCHEDULES = ("cosine", "linear", "one_cycle")


def wants_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer evaluates the loss itself, several times a step (LBFGS)."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def _told(keywords: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())
