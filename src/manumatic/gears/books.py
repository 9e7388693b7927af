"""The books of a run: its history, the weights it promises, and what to do when it explodes."""

__all__ = ["diverged", "note", "settle"]

import math
import time
from typing import Any

import torch

from manumatic.errors import DivergedError
from manumatic.gears.checkpoint import write_checkpoint
from manumatic.parts.loop import Step
from manumatic.parts.model import copy_weights


def note(training: Any, step: Step | None) -> None:
    """After each step; None is the end of the loop.

    Raises
    ------
    FloatingPointError
        (epoch, batch, loss) of an epoch whose mean loss is not finite.
    """
    state, loop = training.state, training.loop
    if step is None:
        if not state.ended:
            state.ended = True
            settle(training)
            training.watcher.end(training, _how(training))
            if not _finite(training):
                raise FloatingPointError(state.epoch, state.batch, math.nan)
    else:
        state.epoch, state.batch, state.epoch_done = step.epoch, step.batch, step.last
        state.steps += 1
        # a number, not its tensor: little tensors that stay keep the large ones that go from being
        # reused, a megabyte a step; a GPU has memory of its own and must not wait
        state.losses.append(step.loss.item() if step.loss.is_cpu else step.loss)
        if state.steps == 1:
            training.watcher.first_step(training)
        if step.last:
            _note_epoch(training, step)
    saves = loop.saves
    if saves is not None and (step is None or _is_due(training, saves.every)):
        write_checkpoint(training, saves.path)


def _is_due(training: Any, every: float) -> bool:
    """Whether it is time for a checkpoint; one clock counts where all must help to write it."""
    processes, due = training.facts.processes, time.monotonic() - training.state.saved >= every
    return processes.same(due) if processes.shards.on else due and processes.rank == 0


def _note_epoch(training: Any, step: Step) -> None:
    state = training.state
    losses, state.losses = state.losses, []
    if training.facts.device.type == "cpu":
        loss = sum(map(float, losses)) / len(losses)
    else:
        losses = [torch.as_tensor(loss, device=training.facts.device) for loss in losses]
        loss = torch.stack(losses).mean().item()  # one wait an epoch, not one a step
    training.watcher.epoch(training, step, loss)
    if not math.isfinite(loss):
        raise FloatingPointError(step.epoch, step.batch, loss)
    if step.epoch % max(1, training.loop.epochs // 20) == 0 and _finite(training):
        # a gradient can be NaN while the loss is not: to these weights we can go back
        state.safe = copy_weights(training.model)


def _how(training: Any) -> str:
    """What ended the loop."""
    if training.state.next_epoch >= training.loop.epochs:
        return "epochs"
    return "time" if training._late() else "patience"


def settle(training: Any) -> None:
    """Put the weights that the loop promises into the model: the best ones, or the average."""
    state = training.state
    promised = state.best.weights
    if promised is None and state.average is not None and state.steps:
        promised = state.average.module.state_dict()
    if promised is not None:
        training.model.load_state_dict(promised)


def diverged(training: Any, error: FloatingPointError) -> DivergedError:
    """The error to raise, once the last finite weights are back in the model."""
    epoch, batch, loss = error.args
    training.steps = None
    training.watcher.end(training, "diverged")
    if not _finite(training) and training.state.safe:
        training.model.load_state_dict(training.state.safe)
    lr = training.optimizer.param_groups[0]["lr"]
    clip = "clip in the step" if training.loop.step else "mm.Loop(clip_norm=1.0)"
    return DivergedError(
        f"the loss is {loss} in epoch {epoch}, batch {batch}: the steps are too long, or a row "
        "holds a number that is too large. The last finite weights are kept. Try a smaller "
        f'learning rate (it is {float(lr):g}), preprocess="auto" or {clip}',
        epoch,
        batch,
    )


def _finite(training: Any) -> bool:
    """Whether the weights are; a buffer may be infinite, as thresholds are, if it was before."""
    safe, model = training.state.safe or {}, training.model
    usual = {name for name, before in safe.items() if bool(torch.isfinite(before).all())}
    buffers = [buffer for name, buffer in model.named_buffers() if name in usual]
    return all(bool(torch.isfinite(weight).all()) for weight in (*model.parameters(), *buffers))
