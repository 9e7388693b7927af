"""A time budget: how many epochs fit into it, found out on a copy before the first step."""

__all__ = ["fit_to_time"]

import copy
import time
from typing import Any

import torch

from manumatic.parts.components import Loop
from manumatic.parts.device import threads_for
from manumatic.parts.loop import evaluate, loop
from manumatic.parts.optimizer import build_optimizer, wants_closure

SHARE = 0.02  # of the budget goes to the trial
SPARE = 0.1  # of it stays free: other programs come and go


def fit_to_time(training: Any) -> None:
    """Cut the epochs of a training to what its seconds allow; schedules are cut along.

    The trial takes copies: no weight, no batch and no random number of the run is used up.
    """
    spec = training.loop
    if spec.time is None or wants_closure(training.optimizer) or spec.step is not None:
        return
    with torch.random.fork_rng([]), threads_for(training.model, training.data.batch_size):
        seconds = _epoch(training, SHARE * spec.time)
    epochs = max(1, min(spec.epochs, int((1 - SPARE) * spec.time / seconds)))
    why = f"an epoch takes about {seconds:.2g} s"
    if epochs < spec.epochs:
        changed = {"epochs": epochs}
        if spec.patience is not None:
            changed["patience"] = max(1, round(spec.patience * epochs / spec.epochs))
        training.parts["loop"] = Loop(**(spec.get_params(deep=False) | changed))
    training.facts.logbook.note("loop", f"{epochs} epochs in {spec.time:g} seconds", why)


def _epoch(training: Any, budget: float) -> float:
    """Seconds that an epoch takes: steps of a copy, and a look at the validation rows."""
    model, loss = copy.deepcopy((training.model, training.loss))
    optimizer = build_optimizer(training.facts.optimizer, model)
    spec, data = training.loop, training.data
    kept = {"accumulate": spec.accumulate, "clip_norm": spec.clip_norm}
    steps = loop(model, data, loss, optimizer, epochs=2**31, **kept)
    next(steps)  # the first step pays for what all share
    begin = time.perf_counter()
    for taken, _ in enumerate(steps, 1):
        if taken >= 3 and time.perf_counter() - begin > budget:
            break
    seconds = (time.perf_counter() - begin) / taken * -(-len(data) // spec.accumulate)
    if training.valid is not None:
        begin = time.perf_counter()
        evaluate(model, loss, training.valid)
        seconds += time.perf_counter() - begin
    return seconds
