"""Several optimizers: one for each named part of a model, for a step of the user's own."""

__all__ = [
    "Optimizers",
    "Recipes",
    "Together",
    "build_optimizers",
    "build_schedules",
    "take_optimizer",
]

from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import nn

from manumatic.errors import ComponentError, nearest
from manumatic.parts.components import Component
from manumatic.parts.optimizer import as_optimizer, build_optimizer, build_schedule, recipe_of
from manumatic.parts.rates import by_layer


class Recipes(Component):
    """The user's ``optimizer={"generator": mm.Optimizer(...), ...}`` as one component."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments

    @property
    def schedule(self) -> dict[str, Any] | None:
        """The schedules by name, None where there is none."""
        found = {name: recipe.schedule for name, recipe in self.arguments.items()}
        return found if any(schedule is not None for schedule in found.values()) else None

    def set_params(self, **params: Any) -> Self:
        """Set what is the same for all of them: ``schedule=None``.

        Raises
        ------
        ComponentError
            Anything else belongs to one of them.
        """
        if params.keys() - {"schedule"}:
            raise ComponentError(
                f"{', '.join(params)} cannot be set: there are {len(self.arguments)} optimizers, "
                f"for {', '.join(self.arguments)}; give this run one, mm.Optimizer(...)"
            )
        for recipe in self.arguments.values():
            recipe.set_params(**params)
        return self


class Together(dict[str, Any]):
    """Optimizers, or schedules, by the names of the parts of the model that they belong to."""

    def step(self) -> None:
        """Step each of them."""
        for part in self.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Their states by name."""
        return {name: part.state_dict() for name, part in self.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over states by name."""
        for name, part in self.items():
            part.load_state_dict(state[name])


class Optimizers(Together):
    """The optimizers of a model's parts; ``optimizer["generator"]`` is torch's own.

    Examples
    --------
    >>> model = nn.ModuleDict({"generator": nn.Linear(2, 4), "critic": nn.Linear(4, 1)})
    >>> recipes, optimizer = take_optimizer({"generator": "adam", "critic": "sgd"}, model)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.001, 0.001]
    """

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all of them."""
        return [group for optimizer in self.values() for group in optimizer.param_groups]

    @property
    def defaults(self) -> dict[str, Any]:
        """The settings of the first."""
        return dict(next(iter(self.values())).defaults)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimizer in self.values():
            optimizer.zero_grad()


def take_optimizer(given: Any, model: nn.Module) -> tuple[Any, Any]:
    """The user's ``optimizer=`` as a component, and what it makes of a model's weights.

    Parameters
    ----------
    given : str, type, partial, mm.Optimizer, torch.optim.Optimizer, or a dict of them
        A dict has one for each named child of the model.
    model : torch.nn.Module

    Raises
    ------
    ComponentError
        No such child, or weights that none of them would train.
    """
    if isinstance(given, torch.optim.Optimizer):
        return recipe_of(given), given
    if isinstance(given, dict):
        if not given:
            raise ComponentError("optimizer={} names no part of the model; give it mm.Optimizer()")
        if all(isinstance(part, torch.optim.Optimizer) for part in given.values()):
            _check_names(given, model)
            _check_cover(Optimizers(given), model)
            return Recipes(**{name: recipe_of(o) for name, o in given.items()}), Optimizers(given)
        given = Recipes(**{str(name): as_optimizer(part) for name, part in given.items()})
    if isinstance(given, Recipes):
        return given, build_optimizers(given, model)
    spec = by_layer(as_optimizer(given), model)
    return spec, build_optimizers(spec, model)


def build_optimizers(spec: Any, model: nn.Module) -> Any:
    """The optimizer of a model's weights, or those of its parts.

    Raises
    ------
    ComponentError
        As :func:`take_optimizer`.
    """
    if not isinstance(spec, Recipes):
        return build_optimizer(spec, model)
    _check_names(spec.arguments, model)
    parts = dict(model.named_children())
    made = Optimizers({n: build_optimizer(part, parts[n]) for n, part in spec.arguments.items()})
    _check_cover(made, model)
    return made


def build_schedules(schedule: Any, optimizer: Any, steps: int, model: nn.Module) -> Any:
    """The schedule of an optimizer, or those of several, over so many steps; or None."""
    if schedule is None or not isinstance(optimizer, Optimizers):
        return build_schedule(schedule, optimizer, steps, model)
    found = {n: build_schedule(part, optimizer[n], steps) for n, part in schedule.items()}
    return Together({name: part for name, part in found.items() if part is not None})


def _check_names(names: Mapping[Any, Any] | Iterable[Any], model: nn.Module) -> None:
    parts = [name for name, _ in model.named_children()]
    for name in names:
        if name not in parts:
            raise ComponentError(
                f"optimizer={{{name!r}: ...}} names no part of {type(model).__name__}; its parts "
                f"are {', '.join(parts) or 'none'}.{nearest(str(name), parts)}"
            )


def _check_cover(optimizers: Optimizers, model: nn.Module) -> None:
    held = {id(weight) for group in optimizers.param_groups for weight in group["params"]}
    missed = [n for n, w in model.named_parameters() if w.requires_grad and id(w) not in held]
    if missed:
        raise ComponentError(
            f"no optimizer trains {', '.join(missed[:3])}{', ...' if missed[3:] else ''}; name "
            f"their part, optimizer={{{missed[0].partition('.')[0]!r}: mm.Optimizer(...)}}, or "
            "freeze them with requires_grad_(False)"
        )
