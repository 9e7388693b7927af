"""A step of the user's own, ``mm.Loop(step=...)``: what it must return, and what is left to it."""

__all__ = ["check_judged", "checked", "free"]

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from manumatic.errors import ComponentError
from manumatic.parts.data import Batches
from manumatic.parts.loss import check_loss
from manumatic.parts.model import probe


def free(training: Any) -> bool:
    """Whether the step alone knows what forward returns and what the loss compares.

    Where there are targets, ``forward(X)`` is what predict reads, whoever takes the steps.
    """
    own: bool = training.loop.step is not None
    return own and training.facts.task.kind == "reconstruction"


def checked(step: Callable[..., Any]) -> Callable[..., Tensor]:
    """The same step; what it returns is looked at.

    Raises
    ------
    ComponentError
        It does not return the loss: one number in a tensor.
    """
    name = getattr(step, "__name__", type(step).__name__)

    @functools.wraps(step, assigned=(), updated=())
    def run(*parts: Any) -> Tensor:
        loss = step(*parts)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            found = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise ComponentError(
                f"{name} returned {found}; a step must return its loss, one number in a tensor: "
                "return loss"
            )
        return loss

    return run


def check_judged(training: Any) -> None:
    """Try ``loss_fn(model(X), target)`` on a few rows held out, before training does.

    Raises
    ------
    ComponentError
        This model and this loss cannot be judged so.
    """
    if not isinstance(training.valid, Batches):
        return
    X, *target = (tensor[: len(training.facts.sample)] for tensor in training.valid.tensors)
    try:
        with torch.random.fork_rng([]):
            check_loss(training.loss, probe(training.model, X), *target)
    except ComponentError as error:
        raise ComponentError(
            f"rows held out are judged by loss_fn(model(X), target), and {error}. Where the step "
            'has a measure of its own, leave out patience, keep="best" and validation rows'
        ) from None
