"""The doctor's three moments in a training: before the first step, while driving, after the last.

The checks themselves are functions over values (``doctor/``); here those values are taken from a
training.  Looking changes nothing: each check leaves weights, gradients and random states alone.
"""

__all__ = ["Checkup", "keys_of"]

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Subset, TensorDataset

from manumatic.doctor.after import (
    fluke,
    overfitted,
    row_keys,
    sorted_batches,
    unfinished,
    worse_than_chance,
)
from manumatic.doctor.case import examine
from manumatic.doctor.checks import FIRST, ROWS
from manumatic.doctor.course import Course, chance
from manumatic.doctor.diagnose import case_of
from manumatic.doctor.driving import Divergence, dead_units, diverging, plateau, update_ratios
from manumatic.doctor.finding import Finding
from manumatic.doctor.stability import stability_limit, too_fast
from manumatic.parts.data import Batches, Stream, are_unseen
from manumatic.parts.optimizer import torch_class, wants_closure
from manumatic.parts.several import Optimizers

AFTER = (unfinished, overfitted, fluke, plateau, worse_than_chance)
MOST_WEIGHTS = 10**7  # of which a copy is kept for one step


class Checkup:
    """What the doctor keeps in mind during a run."""

    def __init__(self) -> None:
        self.divergence = Divergence()
        self.first: dict[str, Tensor] = {}  # weight matrices before the first step

    def before(self, training: Any) -> Iterator[Finding]:
        """Before the first step."""
        if not _readable(training):
            return
        if training.loop.step is not None:
            yield from examine(case_of(training), ROWS)
            return
        yield from examine(case_of(training), FIRST)
        if training.loop.clip_norm is None:  # what is clipped does not explode
            yield from examine(case_of(training, limit=None), [too_fast])
        data = training.data
        if isinstance(data, Batches):
            yield from sorted_batches(data.y.cpu().numpy(), data.batch_size, data.shuffle)
        weights = dict(training.model.named_parameters())
        small = sum(weight.numel() for weight in weights.values()) <= MOST_WEIGHTS
        if small and training.facts.fresh and not wants_closure(training.optimizer):
            matrices = {name: weight for name, weight in weights.items() if weight.ndim > 1}
            self.first = {name: weight.detach().clone() for name, weight in matrices.items()}

    def first_step(self, training: Any) -> Iterator[Finding]:
        """After the first step."""
        before, self.first = self.first, {}
        weights = dict(training.model.named_parameters())
        if before.keys() <= weights.keys():
            now = [weights[name].detach() for name in before]
            lr = float(training.optimizer.param_groups[0]["lr"])
            yield from update_ratios([*before.values()], now, [*before], lr)

    def epoch(self, training: Any, loss: float) -> Iterator[Finding]:
        """After an epoch with this training loss."""
        usual = training.loop.step is None and _readable(training)
        if usual and not self.divergence.found and self.divergence.saw(loss):
            yield from diverging(_course(training, "running"))

    def after(self, training: Any, ended: str) -> Iterator[Finding]:
        """After the last step."""
        course = _course(training, ended)
        if ended == "diverged":
            yield from diverging(course)
            return
        if training.loop.step is not None or not _readable(training):
            return  # nobody else knows what such a loss should do
        for check in AFTER:
            if check is not fluke or not are_unseen(training.valid):  # all rows judge
                yield from check(course)
        if isinstance(training.data, Batches):
            yield from dead_units(training.model, training.data.X)


def _course(training: Any, ended: str) -> Course:
    state, facts, group = training.state, training.facts, training.optimizer.param_groups[0]
    optimizer = training.optimizer
    if isinstance(optimizer, Optimizers):
        optimizer = next(iter(optimizer.values()))
    train, valid = (_targets(rows) for rows in (training.data, training.valid))
    lr = float(group.get("initial_lr", group["lr"]))
    grown = ended in ("diverged", "running") and _readable(training)
    return Course(
        history=state.history,
        epochs=training.loop.epochs,
        ended=ended,
        keep="best" if training.loop.uses_validation else "last",
        best_epoch=state.best.epoch,
        n_train=len(train[0]) if train else 0,
        n_valid=len(valid[0]) if valid else 0,
        n_weights=sum(w.numel() for w in training.model.parameters() if w.requires_grad),
        batch_size=int(getattr(training.data, "batch_size", 0)),
        lr=lr,
        final_lr=float(group["lr"]),
        optimizer=torch_class(optimizer).__name__,
        limit=stability_limit(case_of(training, limit=None)) if grown else None,
        chance=chance(training.loss, *train) if train else None,
        valid_chance=chance(training.loss, *train, on=valid) if train and valid else None,
        kind=facts.task.kind if facts.task.is_classification else "regression",
        prepared=facts.data.preprocess is not None,
    )


def _readable(training: Any) -> bool:
    """Whether rows can be looked at; those made on the fly would have to be made for it."""
    return isinstance(training.data, Batches | Stream)


def keys_of(data: Any) -> np.ndarray | None:
    """A number a row, to know rows again by; None where they are not in memory."""
    source = getattr(data, "source", data)
    if isinstance(source, DataLoader):
        source = source.dataset
    if isinstance(source, Subset) and isinstance(source.dataset, TensorDataset):
        return row_keys(source.dataset.tensors[0][list(source.indices)])
    tensors = getattr(source, "tensors", None)
    return None if tensors is None else row_keys(tensors[0])


def _targets(rows: Any) -> tuple[Tensor, ...]:
    """Targets, and weights where rows carry them; empty for a stream."""
    return rows.tensors[1:] if isinstance(rows, Batches) else ()
