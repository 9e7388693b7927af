"""A learning-rate range test: one short training with ever longer steps, until the loss leaves."""

__all__ = ["Probe", "RangeTest", "range_test", "rate_that_leaves"]

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from manumatic.errors import ComponentError, DivergedError
from manumatic.parts.components import Loop
from manumatic.parts.data import Batches

HIGH = 10.0
ROWS = 512  # to measure the loss on: a batch of a few rows says more about them than about the rate
WINDOW = 3  # neighbours on either side whose median smooths the loss


class Probe(NamedTuple):
    """One step of a range test.

    Attributes
    ----------
    lr : float
    loss : float
        After the step with that rate, on rows that are the same for all steps.
    smoothed : float
        The median of seven.
    """

    lr: float
    loss: float
    smoothed: float


@dataclass(frozen=True)
class RangeTest:
    """What a range test has seen.

    Attributes
    ----------
    probes : list of Probe
    lowest : Probe
        Where the smoothed loss is lowest.
    diverges_from : float or None
        The rate from which the loss stays above its lowest by a tenth of all that it had gained.
    """

    probes: list[Probe]
    lowest: Probe
    diverges_from: float | None

    @property
    def suggested(self) -> float:
        """A tenth of the rate at which the smoothed loss is lowest.

        There the steps are short enough for a few of them; a whole training needs room. Unlike the
        steepest point of the curve it moves little when the loss is noisy.
        """
        return self.lowest.lr / 10

    @property
    def began_too_high(self) -> bool:
        """The loss exploded at once: there was no time to see it fall."""
        return self.probes[-1].lr < 10 * self.probes[0].lr


def range_test(training: Any, low: float = 1e-6, steps: int = 100) -> RangeTest:
    """Take one step each with rates that grow by the same factor, up to 10.

    Parameters
    ----------
    training : Training
        A fresh one that nobody needs afterwards.
    low : float
        The first rate.
    steps : int
        At most so many; the test ends where the loss stays far above what it was at the start.

    Returns
    -------
    RangeTest

    Raises
    ------
    ComponentError
        The optimizer has no learning rate.
    DivergedError
        The loss is no finite number before the first step.

    References
    ----------
    L. N. Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, arXiv:1506.01186.
    """
    rates = np.geomspace(low, HIGH, steps).tolist()
    losses = _losses(_prepared(training, steps), rates)
    after = np.array(losses[1:])
    # nothing is known beyond the end, and the loss is not made to look low there
    padded = np.append(after, [math.inf] * WINDOW)
    smoothed = [
        float(np.median(padded[max(0, at - WINDOW) : at + WINDOW + 1])) for at in range(len(after))
    ]
    probes = [Probe(*row) for row in zip(rates, after.tolist(), smoothed, strict=False)]
    lowest = min(probes, key=lambda probe: probe.smoothed)
    return RangeTest(probes, lowest, rate_that_leaves(probes, lowest, losses[0]))


def _prepared(training: Any, steps: int) -> Any:
    """The same training without a schedule, and without what ends, judges or saves it."""
    kept = {
        name: getattr(training.loop, name)
        for name in ("clip_norm", "accumulate", "precision", "step")
    }
    training.valid = None
    training.optimizer = clone(training.facts.optimizer).set_params(schedule=None)
    training.loop = Loop(epochs=steps + 1, **kept)
    if "lr" not in training.optimizer.defaults:
        name = type(training.optimizer).__name__
        raise ComponentError(f"{name} has no learning rate to try; give an optimizer with lr=")
    return training


def _losses(training: Any, rates: list[float]) -> list[float]:
    """The loss before the first step, then after each; infinite in the end, where it explodes."""
    groups, usual = training.optimizer.param_groups, float(training.optimizer.defaults["lr"])
    shares = [float(group["lr"]) / usual for group in groups]  # groups keep their proportion
    rows = _fixed_rows(training)
    losses = [_measured(training, rows)]
    if not math.isfinite(losses[0]):
        raise DivergedError(
            f"the loss is {losses[0]} before the first step; no rate can mend it", 0
        )
    try:
        for lr in rates:
            for group, share in zip(groups, shares, strict=True):
                group["lr"] = lr * share
            training.step()
            losses.append(_measured(training, rows))
            if _far_above(losses):
                break
    except DivergedError:
        losses.append(math.inf)
    return losses


def _fixed_rows(training: Any) -> tuple[Tensor, ...]:
    data = training.data
    if not isinstance(data, Batches):
        with torch.random.fork_rng([]):
            return tuple(next(iter(data.batches(0)))[1:])
    order = torch.randperm(data.n_rows, generator=torch.Generator().manual_seed(0))
    return tuple(tensor[order[:ROWS].to(tensor.device)] for tensor in data.tensors)


@torch.no_grad()
def _measured(training: Any, rows: tuple[Tensor, ...]) -> float:
    X, *target = rows
    training.model.eval()
    with torch.random.fork_rng([]):
        loss = training.loss(training.model(X), *target).item()
    training.model.train()  # the loop does that when an epoch begins, not before each step
    return loss if math.isfinite(loss) else math.inf


def _far_above(losses: list[float]) -> bool:
    """Three in a row above four times the first."""
    first = losses[0]
    return min(losses[-3:]) > first + 3 * max(abs(first), first - min(losses))


def rate_that_leaves(probes: list[Probe], lowest: Probe, first: float) -> float | None:
    """The first rate after the lowest point from which on all losses are above the line."""
    line = lowest.smoothed + 0.1 * max(first - lowest.smoothed, 0.0)
    last = max((at for at, probe in enumerate(probes) if probe.loss <= line), default=-1)
    last = max(last, probes.index(lowest))
    return probes[last + 1].lr if last + 1 < len(probes) else None
