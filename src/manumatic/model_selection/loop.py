"""The loop of a stack: all members in step, the books of each its own."""

__all__ = ["Stack"]

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from manumatic.errors import DivergedError
from manumatic.gears.books import diverged, note
from manumatic.gears.swap import complete
from manumatic.model_selection.engine import Network
from manumatic.model_selection.gathered import Batch, Gathered
from manumatic.model_selection.masks import Draws
from manumatic.model_selection.steppers import Rates, Stepper, clip
from manumatic.model_selection.weights import Weights
from manumatic.parts.device import threads_for
from manumatic.parts.loop import Step
from manumatic.parts.schedules import Waves

IDLE = 0.25  # the share of places in a stack that may belong to members that have ended


class Stack:
    """Trainings that are alike, trained together.

    A member that comes to its end gets its weights and books back at that moment; its place idles
    until a quarter of all places do, and those are closed. A member whose loss is not finite
    leaves at once.

    Parameters
    ----------
    trainings : sequence of Training
    network : Network

    Attributes
    ----------
    members : list of Training
        Those that have a place.
    idle : list of bool
        Whether that member has come to its end.
    errors : dict
        DivergedError by the ``id`` of a training whose loss did not stay finite.
    """

    def __init__(self, trainings: Sequence[Any], network: Network) -> None:
        first = trainings[0]
        self.network = network
        self.members = list(trainings)
        self.idle = [False] * len(trainings)
        self.errors: dict[int, DivergedError] = {}
        self.device = first.facts.device
        self.rows = Gathered([t.data for t in trainings])
        self.valid = None if first.valid is None else Gathered([t.valid for t in trainings])
        self.weights = Weights([t.model for t in trainings], network.learned, first.loop.ema)
        self.draws = Draws([t.state.rng.state for t in trainings], self.device)
        self.lengths = [t.loop.clip_norm for t in trainings]
        # as long as the longest member; where there is a schedule, all are equally long
        rates = Rates(trainings, max(t.loop.epochs for t in trainings) * len(first.data))
        for training in trainings:
            complete(training)
        self.stepper = Stepper(trainings, self.weights, rates)
        schedule = first.state.schedule
        self.falls = isinstance(schedule, Waves) and schedule.model is not None
        self.sums = torch.zeros(len(trainings), dtype=torch.float64, device=self.device)
        self.position = 0, -1, False  # epoch and batch of the last step, and whether it ended it

    def run(self) -> list[DivergedError | None]:
        """Train all to their ends; interrupted, the others could go on from where they stand.

        Returns
        -------
        errors : list
            For each training a DivergedError, or None.
        """
        trainings = list(self.members)
        for training in trainings:
            training.watcher.begin(training)
        try:
            with threads_for(self.network.model, self.rows.size):
                epoch = 0
                while not all(self.idle):
                    self._train(epoch)
                    self._note(epoch)
                    epoch += 1
        except BaseException:
            for place in self._active():
                self._leave(place)
            raise
        return [self.errors.get(id(training)) for training in trainings]

    # --- one epoch -------------------------------------------------------------------------------

    def _train(self, epoch: int) -> None:
        self.rows.begin(epoch)
        self.sums = torch.zeros_like(self.sums)
        for number in range(self.rows.length):
            batch = self.rows.batch(number)
            if self.falls:
                self.network.drop(self.members[0].state.schedule.left(self.stepper.taken))
            losses, gradients = self.network.gradients(self.weights.now, self._masks(batch), batch)
            # a read costs a microsecond on a CPU; a GPU would wait for it, so there epochs count
            if self.device.type == "cpu" and not math.isfinite(losses.sum().item()):
                places = self._part_with(losses, epoch, number)
                losses = losses[places]
                gradients = {name: gradient[places] for name, gradient in gradients.items()}
                if not self.members:
                    return
            if any(self.lengths):
                clip(gradients, self.lengths)
            self.stepper.step(gradients)
            self.weights.follow()
            self.sums += losses
            self.position = epoch, number, number + 1 == self.rows.length
            if self.stepper.taken == 1:
                for place in self._active():
                    self._place(place)
                    self.members[place].watcher.first_step(self.members[place])

    def _masks(self, batch: Batch) -> list[Tensor]:
        plan = self.network.masks(self.weights.now, batch.tensors[0])
        return self.draws(plan, batch.rows) if plan else []

    def _note(self, epoch: int) -> None:
        """Close the epoch in the books of each member; end those whose course is over."""
        means = self.sums / self.rows.length
        if not math.isfinite(means.sum().item()):
            means = means[self._part_with(means, epoch, self.rows.length - 1)]
        valid = self._valid_losses()
        steps = zip(means.tolist(), means.unbind(), valid, strict=True)
        for place, (mean, loss, judged) in enumerate(steps):
            if not self.idle[place]:
                self._note_one(place, Step(epoch, self.position[1], loss, True, judged), mean)
        active = self._active()
        self.weights.keep_best([p for p in active if self.members[p].state.best.epoch == epoch])
        self.weights.keep_safe(
            [p for p in active if epoch % max(1, self.members[p].loop.epochs // 20) == 0]
        )
        for place in active:
            if _is_over(self.members[place], epoch):
                self._end(place)
        active = self._active()
        if 0 < len(active) <= (1 - IDLE) * len(self.members):
            self._keep(active)

    def _note_one(self, place: int, step: Step, mean: float) -> None:
        training = self.members[place]
        best, valid, watcher = training.state.best, step.valid_loss, training.watcher
        if valid is not None and training.loop.uses_validation and valid < best.loss:
            best.loss, best.epoch = valid, step.epoch
        self._place(place, weights=bool(watcher.metrics or watcher.tracked or watcher.loggers))
        watcher.epoch(training, step, mean)

    def _valid_losses(self) -> Sequence[float | None]:
        """The mean loss of each member over its validation rows."""
        if self.valid is None or not self.members:
            return [None] * len(self.members)
        self.valid.begin(0)
        total = torch.zeros_like(self.sums)
        for number in range(self.valid.length):
            batch = self.valid.batch(number)
            rows = torch.tensor(batch.rows, device=self.device)
            total += self.network.losses(self.weights.judged, batch) * rows
        means: list[float] = (total / torch.tensor(self.valid.n_rows, device=self.device)).tolist()
        return means

    # --- ends ------------------------------------------------------------------------------------

    def _end(self, place: int) -> None:
        training = self.members[place]
        self._hand_back(place)
        average, best = training.state.average, training.state.best.weights
        if average is not None and best is not None:
            average.module.load_state_dict(best)
        self.idle[place] = True
        training.steps = iter(())
        try:
            note(training, None)
        except FloatingPointError as error:
            self.errors[id(training)] = diverged(training, error)

    def _part_with(self, losses: Tensor, epoch: int, number: int) -> list[int]:
        """End the members whose loss is not finite, before their step; the places of the others."""
        finite = torch.isfinite(losses).tolist()
        for place in self._active():
            if not finite[place]:
                training = self.members[place]
                self._hand_back(place)
                training.model.train()
                self.idle[place] = True
                error = FloatingPointError(epoch, number, losses[place].item())
                self.errors[id(training)] = diverged(training, error)
        places = [place for place, fine in enumerate(finite) if fine]
        self._keep(places)
        return places

    def _hand_back(self, place: int) -> None:
        """All that is a member's own, as its own loop would have left it."""
        training = self.members[place]
        state = training.state
        self._place(place)
        # alone, the average is judged where there is one, and the model stays as it was
        training.model.train(self.valid is None or state.average is not None)
        state.safe = self.weights.own(self.weights.safe, place)
        if state.best.epoch >= 0:
            state.best.weights = self.weights.own(self.weights.best, place)
        if self.network.draws:
            self.draws.hand_back(place, state.rng.state)
        self.stepper.hand_back(place, training)
        if self.falls:
            training.model.drop(state.schedule.left(self.stepper.taken))

    def _leave(self, place: int) -> None:
        """Hand back what a training needs to go on by itself."""
        training = self.members[place]
        state, (_, batch, done) = training.state, self.position
        if state.schedule is not None:  # some find their way by what they did before
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that no step of the optimizer came before
                for _ in range(self.stepper.taken):
                    state.schedule.step()
        if not done:
            state.losses = [self.sums[place] / (batch + 1)] * (batch + 1)
        self._hand_back(place)

    def _place(self, place: int, weights: bool = True) -> None:
        """Tell a training where it stands, and write weights and rates where they are read."""
        training = self.members[place]
        state = training.state
        state.epoch, state.batch, state.epoch_done = self.position
        state.steps = self.stepper.taken
        if weights:
            self.weights.put_into(training.model, place)
            if state.average is not None:
                self.weights.put_into(state.average.module, place, self.weights.judged)
                state.average.n_averaged.fill_(self.stepper.taken)
            self.stepper.put_rates(place, training, self.stepper.taken)

    # --- who is in it ----------------------------------------------------------------------------

    def _active(self) -> list[int]:
        return [place for place, idle in enumerate(self.idle) if not idle]

    def _keep(self, places: list[int]) -> None:
        """Go on with some of the members."""
        self.members = [self.members[place] for place in places]
        self.idle = [self.idle[place] for place in places]
        self.lengths = [self.lengths[place] for place in places]
        self.sums = self.sums[places]
        if places:
            self.weights.keep(places)
            self.stepper.keep(places)
            self.draws.keep(places)
            self.rows.keep(places)
            if self.valid is not None:
                self.valid.keep(places)


def _is_over(training: Any, epoch: int) -> bool:
    loop = training.loop
    patience = None if training.valid is None else loop.patience
    waited = epoch - training.state.best.epoch
    return epoch + 1 >= loop.epochs or (patience is not None and waited >= patience)
