"""What a training run was resolved for, and how far it has come."""

__all__ = ["Earlier", "Facts", "Found", "Specs", "State"]

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.gears.prepare import Preparation
from manumatic.history import History
from manumatic.logbook import Logbook
from manumatic.parts.components import Data, Loop, Model, Optimizer
from manumatic.parts.device import OwnRandomness
from manumatic.parts.loop import Best
from manumatic.parts.processes import Processes
from manumatic.task import Task
from manumatic.watch.spec import Watch


@dataclass(frozen=True)
class Specs:
    """What the user asked for, as the estimator's constructor took it."""

    model: Any
    data: Any
    loss: Any
    optimizer: Any
    loop: Any
    device: Any
    random_state: Any
    verbose: int
    classification: bool
    watch: Watch
    classes: Any = None
    reconstructs: bool = False  # each row is its own target


@dataclass(frozen=True)
class Earlier:
    """A fit to go on from: its weights, and its way of reading rows."""

    task: Task
    preparation: Preparation
    model: nn.Module


@dataclass
class Found:
    """The data component, resolved."""

    data: Any
    valid: Any
    loop: Loop
    task: Task
    preparation: Preparation
    sample: Tensor
    weighted: bool = False
    source: Any = None


@dataclass
class Facts:
    """What the components were resolved for.

    Attributes
    ----------
    task : Task
    preparation : Preparation
        The fitted preprocessing and target scaling.
    sample : Tensor
        A few training rows, to see what a model returns.
    data, model, loss, optimizer : components
        As asked for.
    weighted : bool
        Rows carry weights.
    asked : Any
        The optimizer in the user's own words: "auto" is chosen anew for another model.
    watch : Watch
        What to record.
    encode : callable
        The target of a streamed batch → numbers.
    source : Any
        The rows, targets and weights as given; what ``eject`` writes beside the script.
    make : callable
        Training → fitted estimator.
    """

    task: Task
    preparation: Preparation
    sample: Tensor
    data: Data
    model: Model
    loss: Any
    optimizer: Optimizer
    asked: Any
    device: torch.device
    seed: int
    weighted: bool
    watch: Watch
    verbose: int
    logbook: Logbook
    encode: Callable[[Any], Any]
    out_shape: tuple[int, ...] = ()  # of one raw output
    was_lazy: bool = False  # the model took its shapes from the sample
    shown: int = 0  # tensors that the model saw to choose its initial weights: none, X, or y, too
    fresh: bool = True  # the weights have never been trained
    swapped: str = ""  # a component that was exchanged after the first step
    source: Any = None
    make: Callable[[Any], Any] | None = None
    processes: Processes = field(default_factory=Processes)  # that train together


@dataclass
class State:
    """How far a run has come, and what it carries along beside weights and optimizer."""

    rng: OwnRandomness
    epoch: int = 0
    batch: int = -1  # the last one done
    steps: int = 0
    ended: bool = False
    losses: list[Any] = field(default_factory=list)  # of this epoch: numbers, or tensors on a GPU
    history: History = field(default_factory=History)
    best: Best = field(default_factory=Best)
    schedule: Any = None
    scaler: Any = None
    average: Any = None
    safe: dict[str, Tensor] = field(default_factory=dict)  # finite weights to fall back on
    saved: float = field(default_factory=time.monotonic)  # when a checkpoint was last written
    begun: float | None = None  # when the first run() did
    epoch_done: bool = False

    @property
    def next_epoch(self) -> int:
        """The epoch that the next step belongs to, counted from 0."""
        return self.epoch + self.epoch_done
