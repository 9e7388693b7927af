"""Before step 1: weights that no step will change."""

__all__ = ["hidden_weights", "untrained_weights"]

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.doctor.case import Case
from manumatic.doctor.finding import Finding
from manumatic.doctor.forward import FEW, LOOK, measure, names, slopes, twin

OWN = frozenset(vars(nn.Module()))  # what torch itself keeps in a module
BOXES = {list: "list", tuple: "tuple", dict: "dict"}


def untrained_weights(case: Case) -> Iterator[Finding]:
    """MM203: weights that PyTorch cannot see, that the optimizer lacks, or without a gradient.

    Frozen weights (``requires_grad=False``) are meant, and nothing is said of them.
    """
    found = hidden_weights(case) or _strangers(case) or _unused(case)
    if found:
        yield Finding("MM203", *found)


# --- what parameters() does not list -------------------------------------------------------------


def hidden_weights(case: Case) -> tuple[str, str] | None:
    """Layers and weights in Python lists, tuples, dicts: the words for them and the line."""
    known = _trainable(case.model) | _held(case.optimizer)
    for path, layer in case.model.named_modules():
        for name, value in vars(layer).items():
            things = [] if name in OWN else _inside(value)
            lost = [thing for thing in things if _trainable(thing) - known]
            if lost:
                return _say_hidden(".".join(filter(None, ("self", path, name))), value, lost)
    return None


def _inside(value: Any) -> list[Any]:
    """What a plain attribute of a module holds; lists of lists too."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [thing for part in value for thing in _inside(part)]
    return [value] if isinstance(value, nn.Module | Tensor) else []


def _trainable(thing: nn.Module | Tensor) -> set[int]:
    tensors = thing.parameters() if isinstance(thing, nn.Module) else [thing]
    return {id(weight) for weight in tensors if weight.requires_grad and weight.is_leaf}


def _held(optimizer: torch.optim.Optimizer | None) -> set[int]:
    groups = [] if optimizer is None else optimizer.param_groups
    return {id(weight) for group in groups for weight in group["params"]}


def _say_hidden(where: str, value: Any, lost: list[Any]) -> tuple[str, str]:
    own = f"self.{where.rpartition('.')[2]}"
    box = next((word for kind, word in BOXES.items() if isinstance(value, kind)), "")
    layers = isinstance(lost[0], nn.Module)
    weights = [w for thing in lost for w in (thing.parameters() if layers else [thing])]
    count = f"{sum(weight.numel() for weight in weights):,} weights"
    if layers:
        count = f"{len(lost)} layer{'s' * (len(lost) > 1)} ({count})"
    if not box:
        said = f"{where} is a plain tensor: PyTorch does not see its {count}, nor trains them."
        return said, f"{own} = nn.Parameter({own}.detach())"
    kind = ("Module" if layers else "Parameter") + ("Dict" if box == "dict" else "List")
    said = f"{where} is a Python {box}: PyTorch does not see its {count}, nor trains them."
    return said, f"{own} = nn.{kind}({own})"


# --- what the optimizer does not hold ------------------------------------------------------------


def _strangers(case: Case) -> tuple[str, str] | None:
    trainable = _trainable(case.model)
    if case.optimizer is None or not trainable or trainable & _held(case.optimizer):
        return None
    kind, lr = type(case.optimizer).__name__, case.optimizer.param_groups[0]["lr"]
    said = f"{kind} holds none of the model's {len(trainable)} weight tensors, but another model's."
    return said, f"optimizer = torch.optim.{kind}(model.parameters(), lr={float(lr):g})"


# --- what no gradient reaches --------------------------------------------------------------------


def _unused(case: Case) -> tuple[str, str] | None:
    named = {n: weight for n, weight in case.model.named_parameters() if weight.requires_grad}
    lost = _without_gradient(case, case.model, list(named), FEW)
    # heads that only training uses, experts that these few rows do not ask: look again
    copied = twin(case.model) if lost else None
    if copied is not None:
        lost = _without_gradient(case, copied.train(), lost, LOOK)
    if not lost:
        return None
    if len(lost) == len(named):
        said = f"none of the {len(lost)} weight tensors gets a gradient: forward cuts the graph."
        return said, "x = self.head(x)  # no detach(), .data, .numpy() or argmax() before or after"
    told = "gets no gradient" if len(lost) == 1 else "get no gradient"
    owner = lost[0].rpartition(".")[0] or lost[0]
    said = f"{names([repr(name) for name in lost])} {told}: the loss does not depend on them."
    return said, f"hidden = self.{owner}(hidden)  # in forward; or leave it out of __init__"


def _without_gradient(case: Case, model: nn.Module, wanted: list[str], most: int) -> list[str]:
    weights = dict(model.named_parameters())
    X, *rest = case.rows(most)
    found = slopes(
        model, X, lambda prediction: measure(case, prediction, *rest), [weights[n] for n in wanted]
    )
    return [n for n, slope in zip(wanted, found or (), strict=False) if slope is None]
