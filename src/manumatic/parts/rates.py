"""Learning rates by layer: each learns at a share of the rate of the layer behind it."""

__all__ = ["blocks_of", "by_layer"]

import fnmatch
import functools
import inspect
from collections.abc import Iterator, Sequence

from sklearn.base import clone
from torch import Tensor, nn

from manumatic.errors import ComponentError
from manumatic.parts.components import Optimizer
from manumatic.parts.optimizer import settings

CONTAINERS = (nn.Sequential, nn.ModuleList)


def by_layer(spec: Optimizer, model: nn.Module) -> Optimizer:
    """The recipe with ``layer_decay`` written out as groups; those of the user come first.

    The last block that they leave learns at ``lr``, the one before it at ``lr · layer_decay``.

    Raises
    ------
    ComponentError
        It is no number above 0, or there is no rate to begin with.
    """
    decay = spec.layer_decay
    if decay is None:
        return spec
    if not isinstance(decay, int | float) or isinstance(decay, bool) or not 0 < decay <= 1:
        raise ComponentError(f"layer_decay must be above 0 and at most 1, or None; got {decay!r}")
    given = list(spec.groups or ())
    lr, taken = _rate(spec), [pattern for pattern, _ in given]
    rest = [name for name, _ in model.named_parameters() if not _fits(name, taken)]
    blocks = [[p for p in block if fnmatch.filter(rest, p)] for block in blocks_of(model)]
    blocks = [block for block in blocks if block]
    for depth, block in enumerate(reversed(blocks)):
        given += [(pattern, {"lr": lr * decay**depth}) for pattern in block]
    return clone(spec).set_params(lr=lr, groups=given, layer_decay=None)


def blocks_of(model: nn.Module) -> list[list[str]]:
    """Patterns of the weights of each layer or block, from the rows to the answer.

    An entry of an ``nn.Sequential`` or ``nn.ModuleList`` is a block; what is not in one is a layer.
    Norms and the like, whose weights are all vectors, go with what is before them.

    Examples
    --------
    >>> blocks_of(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.ReLU(), nn.Linear(3, 1)))
    [['0.*', '1.*'], ['3.*']]
    """
    blocks: list[list[str]] = []
    for pattern, weights in _walk(model, ""):
        if blocks and all(weight.ndim < 2 for weight in weights):
            blocks[-1].append(pattern)
        else:
            blocks.append([pattern])
    return blocks


def _walk(module: nn.Module, before: str) -> Iterator[tuple[str, Sequence[Tensor]]]:
    for name, weight in module.named_parameters(recurse=False):
        yield before + name, [weight]
    for name, child in module.named_children():
        inside, weights = f"{before}{name}.", list(child.parameters())
        opened = type(child) in CONTAINERS or (type(module) not in CONTAINERS and _nests(child))
        if weights and opened:
            yield from _walk(child, inside)
        elif weights:
            yield f"{inside}*", weights


def _nests(module: nn.Module) -> bool:
    """Whether it holds several blocks, one behind the other."""
    return any(
        sum(any(True for _ in block.parameters()) for block in inner.children()) > 1
        for inner in module.modules()
        if type(inner) in CONTAINERS
    )


def _fits(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _rate(spec: Optimizer) -> float:
    """The recipe's learning rate, or the optimizer's own."""
    kind, keywords = settings(spec)
    if isinstance(kind, functools.partial):
        keywords = kind.keywords | keywords
        kind = kind.func
    asked = inspect.signature(kind).parameters
    lr = keywords.get("lr", asked["lr"].default if "lr" in asked else None)
    if not isinstance(lr, int | float):
        raise ComponentError(
            f"layer_decay={spec.layer_decay!r} needs a learning rate to begin with; give "
            "mm.Optimizer(..., lr=1e-4)"
        )
    return lr
