"""Optimizer: a name, class or partial → a torch optimizer, and its schedule."""

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "as_optimizer",
    "build_optimizer",
    "build_schedule",
    "parameter_groups",
    "recipe_of",
    "schedule_settings",
    "settings",
    "torch_class",
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
from manumatic.parts.proximal import FISTA
from manumatic.parts.schedules import Waves

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    name.lower(): found
    for name, found in vars(torch.optim).items()
    if isinstance(found, type)
    and issubclass(found, torch.optim.Optimizer)
    and found is not torch.optim.Optimizer
} | {"fista": FISTA}


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
    if isinstance(optimizer, torch.optim.Optimizer):
        name = type(optimizer).__name__
        raise ComponentError(
            f"the {name} given belongs to other weights already; give the recipe, "
            f"mm.Optimizer(torch.optim.{name}, lr=...)"
        )
    raise ComponentError(
        "optimizer must be a name ('adamw', 'sgd', ...), a torch.optim class, a functools.partial "
        f"of one or mm.Optimizer(...); got {optimizer!r}"
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
    base, given = kind, keywords
    if isinstance(kind, functools.partial):
        base, given = kind.func, kind.keywords | keywords
    decided = {"fused", "foreach", "capturable", "differentiable"} & set(given)
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
    name = _name(kind)
    try:
        if isinstance(kind, functools.partial):
            base: Any = kind.func
            made = lean(base)(weights, *kind.args, **{**kind.keywords, **keywords})
        else:
            made = lean(kind)(weights, **keywords)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ComponentError(f"{name}({_told(keywords)}) cannot be built: {error}") from None
    if not isinstance(made, torch.optim.Optimizer):
        raise ComponentError(
            f"{name} made a {type(made).__name__}; it must make a torch.optim.Optimizer"
        )
    for pattern, changes in spec.groups or ():
        for word in set(changes) - set(made.defaults):
            raise ComponentError(
                f"the group {pattern!r} sets {word!r}, which {name} does not know; "
                f"it knows {', '.join(made.defaults)}.{nearest(word, made.defaults)}"
            )
    return made


def recipe_of(optimizer: torch.optim.Optimizer) -> Optimizer:
    """The component that would build an optimizer like this one, for all weights of a model."""
    kind = torch_class(optimizer)
    asked = inspect.signature(kind).parameters
    changed = {
        name: value
        for name, value in optimizer.defaults.items()
        if name in asked and (name == "fused" or value is not asked[name].default)
    }
    return Optimizer(kind, **changed)


def torch_class(optimizer: torch.optim.Optimizer) -> type:
    """The class that the user knows: of a LeanAdam, torch's Adam."""
    return next(form for form in type(optimizer).__mro__ if form.__module__ != lean.__module__)


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
    if not isinstance(spec.groups, list | tuple):
        raise ComponentError(
            f"groups must be a list of (pattern, settings), such as [('head.*', {{'lr': 1e-4}})]; "
            f"got {spec.groups!r}"
        )
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


def build_schedule(
    schedule: Any, optimizer: torch.optim.Optimizer, steps: int, model: Any = None
) -> Any:
    """A torch learning-rate scheduler over so many steps, or None; the model's dropout falls along.

    Raises
    ------
    ComponentError
        No schedule of that name, or one that this optimizer cannot have.
    """
    if schedule is None:
        return None
    kind: Any = schedule
    keywords: dict[str, Any] = {}
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ComponentError(
                f"no schedule {schedule!r}; there are {', '.join(SCHEDULES)}, or give a class of "
                f"torch.optim.lr_scheduler.{nearest(schedule, SCHEDULES)}"
            )
        kind, keywords = schedule_settings(schedule, optimizer.defaults["lr"], steps)
        if kind is Waves and getattr(model, "falls", False):
            keywords["model"] = model
        if schedule == "one_cycle" and len({group["lr"] for group in optimizer.param_groups}) > 1:
            raise ComponentError(
                "schedule='one_cycle' has one largest rate, and the groups have rates of their "
                "own; take 'cosine' or 'linear'"
            )
    try:
        made = kind(optimizer, **keywords)
    except (TypeError, ValueError) as error:
        raise ComponentError(
            f"the schedule {_name(schedule)} cannot be built: {error}; "
            "give functools.partial(ItsClass, argument=...)"
        ) from None
    if isinstance(made, lr_scheduler.ReduceLROnPlateau) or not hasattr(made, "step"):
        raise ComponentError(
            f"the schedule {_name(schedule)} cannot be stepped once a step of the optimizer; "
            f"take {', '.join(SCHEDULES)} or another class of torch.optim.lr_scheduler"
        )
    return made


def schedule_settings(schedule: str, lr: float, steps: int) -> tuple[Any, dict[str, Any]]:
    """The class of torch that a name stands for, and its keywords for so many steps."""
    if schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR, {"T_max": steps}
    if schedule == "linear":
        return lr_scheduler.LinearLR, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": steps}
    if schedule == "waves":
        return Waves, {"steps": steps}
    return lr_scheduler.OneCycleLR, {"max_lr": lr, "total_steps": steps}


SCHEDULES = ("cosine", "linear", "one_cycle", "waves")


def wants_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer evaluates the loss itself, several times a step (LBFGS)."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def _name(thing: Any) -> str:
    return str(getattr(thing, "__name__", repr(thing)))


def _told(keywords: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())
