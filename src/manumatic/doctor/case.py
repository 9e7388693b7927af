"""A case: the values that the doctor looks at before training, and the looking itself."""

__all__ = ["Case", "Check", "examine", "randomness_kept"]

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.doctor.finding import Finding
from manumatic.task import Task


@dataclass(frozen=True)
class Case:
    """Values, never their owner; of plain PyTorch objects as well as of a training.

    Attributes
    ----------
    model : torch.nn.Module
    X, y : Tensor
        Rows as the model takes them (n, …) and targets as the loss takes them. Of a stream: its
        first batch.
    loss : callable
        (prediction, target) → one number, or (prediction, target, weight).
    optimizer : torch.optim.Optimizer or None
    weight : Tensor (n,) or None
    task : Task or None
        None where nobody said what is being learned: plain PyTorch.
    batch_size : int
        Rows a step.
    shuffle : bool
    columns : list of str or None
        Names of the columns of X, where it is a table with names.
    prepared : bool
        manumatic chose the preprocessing of X itself: its scale is settled.
    """

    model: nn.Module
    X: Tensor
    y: Tensor
    loss: Callable[..., Tensor] | None = None
    optimizer: torch.optim.Optimizer | None = None
    weight: Tensor | None = None
    task: Task | None = None
    batch_size: int = 0
    shuffle: bool = True
    columns: list[str] | None = None
    prepared: bool = False

    def rows(self, most: int) -> tuple[Tensor, ...]:
        """The first rows: what ``loss`` takes after the prediction, X before it."""
        rest = (self.y,) if self.weight is None else (self.y, self.weight)
        return tuple(tensor[:most] for tensor in (self.X, *rest))


Check = Callable[[Case], Iterator[Finding]]


def examine(case: Case, checks: Iterable[Check]) -> list[Finding]:
    """Run checks; weights, gradients, modes and random states are afterwards as they were.

    Checks get the model in eval mode and take gradients with ``torch.autograd.grad``, which leaves
    ``.grad`` alone; what must train does so on a deep copy.
    """
    modes = [(layer, layer.training) for layer in case.model.modules()]
    with randomness_kept():
        case.model.eval()
        try:
            return [finding for check in checks for finding in check(case)]
        finally:
            for layer, mode in modes:
                layer.training = mode


@contextlib.contextmanager
def randomness_kept() -> Iterator[None]:
    """Whatever a user's code draws from, it is afterwards where it was."""
    devices = range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)
    numpy, python = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(list[Any](devices)):
            yield
    finally:
        np.random.set_state(numpy)
        random.setstate(python)
