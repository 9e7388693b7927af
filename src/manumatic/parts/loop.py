"""The training loop: one generator, one yield a step.

A gear is whoever calls ``next()``: automatic drains the generator, manual steps it, and ``eject``
prints this page with the branches cut away that a run never takes.  So it imports torch and the
standard library only: it is plain PyTorch.
"""

__all__ = [
    "Best",
    "LINE",
    "Step",
    "closure_loop",
    "evaluate",
    "in_order",
    "loop",
    "require_finite",
    "shuffled",
    "stepped_loop",
    "update",
    "validated",
]

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LINE = 64  # bytes of the cache's lines, at whose beginnings torch's tensors lie


@dataclass(slots=True)
class Step:
    """What one step of the optimizer leaves behind.  Its gradients stay until the next step."""

    epoch: int
    batch: int
    loss: Tensor  # detached, not .item(): looking must not make a GPU wait
    last: bool  # of its epoch
    valid_loss: float | None = None


def loop(
    model: nn.Module,
    data: Any,
    loss_fn: Callable[..., Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    start: int = 0,
    autocast: Any = None,
    scaler: Any = None,
    accumulate: int = 1,
    clip_norm: float | None = None,
    schedule: Any = None,
    average: Any = None,
    guard: bool = False,
    count: Callable[[Tensor], int] = len,
) -> Iterator[Step]:
    """Train, one step of the optimizer at a time."""
    rows = 0
    for epoch in range(start, epochs):
        if not model.training:  # a walk over all layers, so only after an evaluation
            model.train()
        for batch, X, *target in data.batches(epoch):
            with autocast or contextlib.nullcontext():
                prediction = model(X)  # forward
                loss = loss_fn(prediction, *target)  # one number: how wrong it is
            if guard:
                require_finite(loss, epoch, batch)  # before backward: the last finite weights stay
            if accumulate == 1:
                optimizer.zero_grad()
                (loss if scaler is None else scaler.scale(loss)).backward()  # gradients
            else:
                # sums over rows, not means, so that a short last window is still weighted right
                if rows == 0:
                    optimizer.zero_grad()
                rows += count(X)
                (loss * count(X) if scaler is None else scaler.scale(loss * count(X))).backward()
                if (batch + 1) % accumulate and batch + 1 < len(data):
                    continue
            update(model, optimizer, scaler, accumulate, rows, clip_norm, schedule, average)
            rows = 0
            yield Step(epoch, batch, loss.detach(), batch + 1 == len(data))


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: Any,
    accumulate: int,
    rows: int,
    clip_norm: float | None,
    schedule: Any,
    average: Any,
) -> None:
    """Change the weights once, by the gradients in place."""
    if accumulate > 1:
        for weight in model.parameters():
            if weight.grad is not None:
                weight.grad /= rows  # the mean over the rows that the window really held
    if clip_norm is not None:
        if scaler is not None:
            scaler.unscale_(optimizer)
        # one bad batch must not throw the weights away
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if scaler is None:
        optimizer.step()  # new weights
    else:
        scaler.step(optimizer)
        scaler.update()
    if schedule is not None:
        schedule.step()  # once a step, not once an epoch
    if average is not None:
        average.update_parameters(model)


def require_finite(loss: Tensor, epoch: int, batch: int) -> None:
    """Raise FloatingPointError(epoch, batch, loss) when training has exploded."""
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(epoch, batch, value)


def closure_loop(
    model: nn.Module,
    data: Any,
    loss_fn: Callable[..., Tensor],
    optimizer: Any,
    *,
    epochs: int,
    start: int = 0,
    schedule: Any = None,
    guard: bool = False,
) -> Iterator[Step]:
    """Train with an optimizer that asks for the loss many times a step, as LBFGS does."""
    for epoch in range(start, epochs):
        if not model.training:  # a walk over all layers, so only after an evaluation
            model.train()
        for batch, X, *target in data.batches(epoch):

            def closure() -> Tensor:
                optimizer.zero_grad()
                loss = loss_fn(model(X), *target)  # noqa: B023 (called before the batch changes)
                loss.backward()
                return loss

            loss = optimizer.step(closure).detach()
            if guard:
                require_finite(loss, epoch, batch)
            if schedule is not None:
                schedule.step()
            yield Step(epoch, batch, loss.detach(), batch + 1 == len(data))


def stepped_loop(
    model: nn.Module,
    data: Any,
    loss_fn: Callable[..., Tensor],
    optimizer: Any,
    step: Callable[..., Tensor],
    *,
    epochs: int,
    start: int = 0,
    schedules: Sequence[Any] = (),
    average: Any = None,
    guard: bool = False,
) -> Iterator[Step]:
    """Train by a step of the user's own: it changes the weights and returns the loss."""
    for epoch in range(start, epochs):
        if not model.training:  # a walk over all layers, so only after an evaluation
            model.train()
        for batch, X, *target in data.batches(epoch):
            loss = step(model, loss_fn, optimizer, X, *target)
            if guard:
                require_finite(loss, epoch, batch)
            for schedule in schedules:
                schedule.step()  # once a step, not once an epoch
            if average is not None:
                average.update_parameters(model)
            yield Step(epoch, batch, loss.detach(), batch + 1 == len(data))


@dataclass(slots=True)
class Best:
    """The weights that did best on the validation rows."""

    loss: float = math.inf
    epoch: int = -1
    weights: dict[str, Tensor] | None = None


def validated(
    steps: Iterator[Step],
    model: nn.Module,
    loss_fn: Callable[..., Tensor],
    data: Any,
    best: Best,
    patience: int | None = None,
    count: Callable[[Tensor], int] = len,
) -> Iterator[Step]:
    """Measure each epoch on the validation rows, stop without gain, end with the best weights."""
    for step in steps:
        if step.last:
            step.valid_loss = evaluate(model, loss_fn, data, count)
            if step.valid_loss < best.loss:
                weights = {name: weight.clone() for name, weight in model.state_dict().items()}
                best.loss, best.epoch, best.weights = step.valid_loss, step.epoch, weights
        yield step
        if patience is not None and step.last and step.epoch - best.epoch >= patience:
            break
    if best.weights is not None:
        model.load_state_dict(best.weights)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    loss_fn: Callable[..., Tensor],
    data: Any,
    count: Callable[[Tensor], int] = len,
) -> float:
    """The mean loss over all rows of data, nothing learned."""
    model.eval()
    total, rows = 0.0, 0
    for _, X, *target in data.batches(0):
        total += loss_fn(model(X), *target).item() * count(X)
        rows += count(X)
    return total / rows


def shuffled(tensors: tuple[Tensor, ...], size: int, seed: int, epoch: int) -> Iterator[Any]:
    """Batches in an order that (seed, epoch) alone decide; no global random state is touched."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    order = torch.randperm(len(tensors[0]), generator=generator).to(tensors[0].device)
    first, numbers = 0, size * max(1, tensors[0][0].numel())
    # many batches are gathered at once and handed out as views: one copy in place of hundreds
    together = size * max(1, 2**22 // numbers)
    # but on some CPUs a view that begins within a line of the cache adds up in another order
    if any(size * t[0].numel() * t.element_size() % LINE for t in tensors):
        together = size
    for rows in order.split(together):
        for number, batch in enumerate(
            zip(*(t[rows].split(size) for t in tensors), strict=True), first
        ):
            yield number, *batch
        first = number + 1


def in_order(tensors: tuple[Tensor, ...], size: int) -> Iterator[Any]:
    """Batches in the order of the rows."""
    for number, batch in enumerate(zip(*(t.split(size) for t in tensors), strict=True)):
        yield number, *batch
