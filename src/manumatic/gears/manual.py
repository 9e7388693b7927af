"""The manual gear: the five components of one training run, in the user's own hands."""

__all__ = ["Part", "Training"]

import copy
import time
from collections.abc import Iterator
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

from manumatic.doctor.finding import Findings
from manumatic.errors import ComponentError
from manumatic.gears.books import diverged, note, settle
from manumatic.gears.checkpoint import read_checkpoint, write_checkpoint
from manumatic.gears.facts import Facts, State
from manumatic.gears.swap import begin, describe, exchange
from manumatic.gears.watching import Watcher
from manumatic.parts.components import Loop
from manumatic.parts.device import threads_for
from manumatic.parts.loop import Step


class Part:
    """One of the five components; when it is assigned, what depends on it is made anew."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, training: Any, owner: type | None = None) -> Any:
        return self if training is None else training.parts[self.name]

    def __set__(self, training: Any, value: Any) -> None:
        exchange(training, self.name, value)


class Training:
    """Five components, resolved for these data: look, swap, step, or write the loop yourself.

    ``net.manual(X, y)`` makes one.  Iterating yields a :class:`~manumatic.parts.loop.Step` after
    each step of the optimizer, gradients still in place.

    Parameters
    ----------
    parts : dict
        The five components by name.
    valid, link, facts, state
        As below.

    Attributes
    ----------
    parts : dict
        The five components by name.
    data : Batches or Stream
        ``training.data.X``, ``for X, y in training.data``.
    model : torch.nn.Module
    loss : callable
        (prediction, target) → one number; (prediction, target, weight) where rows carry weights.
    optimizer : torch.optim.Optimizer
    loop : mm.Loop
        Each of the five can be assigned; what depends on it is made anew (a new model gets a new
        optimizer).
    valid : Batches, Stream or None
        Rows held out, if the loop uses them.
    link : Link
        Raw outputs → predictions or probabilities.
    facts : Facts
        What the components were resolved for: the task, the preprocessing, the seed, the logbook.
    state : State
        How far the run has come; ``training.state.history`` holds the losses.

    Examples
    --------
    >>> import manumatic as mm
    >>> net = mm.Regressor(
    ...     "linear",
    ...     data=mm.Data(batch_size=None, preprocess=None),
    ...     optimizer=mm.Optimizer("sgd", lr=0.01),
    ...     loop=mm.Loop(epochs=1000),
    ...     random_state=42,
    ... )
    >>> training = net.manual([[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80])
    >>> step = training.step()
    >>> round(step.loss.item(), 4), round(training.model.weight.grad.item(), 2)
    (4031.2007, -402.2)
    """

    data = Part()
    model = Part()
    loss = Part()
    optimizer = Part()
    loop = Part()

    def __init__(
        self, parts: dict[str, Any], valid: Any, link: Any, facts: Facts, state: State
    ) -> None:
        self.parts = parts
        self.valid = valid
        self.link = link
        self.facts = facts
        self.state = state
        self.steps: Iterator[Step] | None = None  # the loop under way; None after a swap
        self.watcher = Watcher(facts.watch, facts.verbose)
        self.data.heard = partial(self.watcher.listen, self)

    def __repr__(self) -> str:
        rows = "\n".join(f"  {name:<9} {describe(part)}" for name, part in self.parts.items())
        return f"Training at epoch {self.state.epoch}\n{rows}"

    def __iter__(self) -> Iterator[Step]:
        while (step := self.step()) is not None:
            yield step

    def step(self) -> Step | None:
        """One step of the optimizer; None when the loop has ended.

        Raises
        ------
        DivergedError
            The loss is no longer a finite number.
        """
        try:
            with self.state.rng, threads_for(self.model, self._rows_a_step()):
                step = next(self._under_way(), None)
            note(self, step)
        except FloatingPointError as error:
            raise diverged(self, error) from None
        return step

    def run(self, epochs: int | None = None) -> "Training":
        """Train to the end of the loop, or for so many epochs from here.

        Raises
        ------
        DivergedError
            The loss is no longer a finite number; the last finite weights are in
            ``training.model``.
        """
        self.state.begun = self.state.begun or time.monotonic()
        until = self.loop.epochs if epochs is None else self._extend(epochs)
        try:
            with self.state.rng, threads_for(self.model, self._rows_a_step()):
                for step in self._under_way():
                    note(self, step)
                    if step.last and step.epoch + 1 == until < self.loop.epochs:
                        return self
                    if self._late():  # other programs took their share of the machine
                        break
            note(self, None)
        except FloatingPointError as error:
            raise diverged(self, error) from None
        return self

    @property
    def findings(self) -> Findings:
        """What the doctor has found so far."""
        return self.watcher.findings

    def automatic(self) -> Any:
        """Back in the automatic gear: a fitted estimator with these weights.

        It has a copy of the model while the loop is under way, which can go on as if not asked.
        """
        assert self.facts.make is not None
        self.watcher.hush()
        model = self.model
        if self.steps is not None and not self.state.ended and self.facts.processes.alone:
            self.parts["model"] = copy.deepcopy(model)
        try:
            settle(self)
            return self.facts.make(self)
        finally:
            self.parts["model"] = model

    def eject(self, path: str | Path | None = None) -> str:
        """Write the plain PyTorch script of this run, from its first step; returns its text.

        Raises
        ------
        EjectError
            A component has no source that could be written down.
        """
        from manumatic.gears.eject import eject  # reading source costs half a second of imports

        return eject(self, path)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint, atomically."""
        write_checkpoint(self, path)

    def load(self, path: str | Path) -> "Training":
        """Go on from a checkpoint as if training had never stopped.

        Raises
        ------
        DataError
            The file is damaged or belongs to another run.
        """
        read_checkpoint(self, path)
        self.steps = None
        return self

    # --- inside ----------------------------------------------------------------------------------

    def _under_way(self) -> Iterator[Step]:
        if self.steps is None:
            self.steps = begin(self)
            self.watcher.begin(self)
        return self.steps

    def _extend(self, epochs: int) -> int:
        """The epoch that so many more end with; the loop is made as long as that."""
        if not isinstance(epochs, Integral) or epochs < 1:
            raise ComponentError(f"run(epochs=...) takes a whole number, 1 or more; got {epochs!r}")
        until = self.state.next_epoch + epochs
        if until > self.loop.epochs:
            self.loop = Loop(**(self.loop.get_params() | {"epochs": until}))
        elif self.state.ended:  # patience had run out
            self.loop = Loop(**(self.loop.get_params() | {"patience": None}))
        return until

    def _late(self) -> bool:
        limit, begun = self.loop.time, self.state.begun
        return limit is not None and begun is not None and time.monotonic() - begun > limit

    def _rows_a_step(self) -> int:
        return int(getattr(self.data, "batch_size", 1))
