"""One optimizer for all members of a stack, each with its own learning rates and weight decay."""

__all__ = ["Rates", "Stepper", "clip"]

import math
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from manumatic.model_selection.members import options_of
from manumatic.model_selection.weights import Weights
from manumatic.parts.lean import lean
from manumatic.parts.optimizer import SCHEDULES, build_schedule, torch_class


class Rates:
    """Learning rates and weight decay of all members at each step, and what else is scheduled.

    Parameters
    ----------
    trainings : sequence of Training
        With one schedule, and the same number of steps where there is one; before that schedule
        has touched their optimizers.
    steps : int
        To the end.

    Attributes
    ----------
    table, decay : Tensor (T, K, groups) of float64
        Row t holds for step t, and the last row is what is left after the last step; T = 1
        without a schedule.
    moved : list of list of dict
        Options of each group at step t; empty where the schedule moves nothing but rates.
    """

    def __init__(self, trainings: Sequence[Any], steps: int) -> None:
        first = trainings[0]
        schedule = first.facts.optimizer.schedule
        base = [
            tuple((float(g["lr"]), float(g["weight_decay"])) for g in t.optimizer.param_groups)
            for t in trainings
        ]
        self.moved: list[list[dict[str, Any]]] = []
        found = torch.tensor([base], dtype=torch.float64)  # (T, K, groups, 2)
        if isinstance(schedule, str) and schedule in SCHEDULES:
            # these multiply what they find: one course for all, to the last digit
            course, self.moved = _course(first, [(1.0, 1.0)] * len(base[0]), steps)
            found = course[:, None] * found
        elif schedule is not None:
            courses = {pairs: _course(first, pairs, steps) for pairs in set(base)}
            found = torch.stack([courses[pairs][0] for pairs in base], dim=1)
            self.moved = courses[base[0]][1]
        self.table, self.decay = found.to(first.facts.device).unbind(3)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Rates and decays (K, groups) for a step counted from 0."""
        step = min(step, len(self.table) - 1)
        return self.table[step], self.decay[step]

    def keep(self, places: list[int]) -> None:
        """Go on with some of the members."""
        self.table, self.decay = self.table[:, places], self.decay[:, places]


def _course(
    training: Any, pairs: Sequence[tuple[float, float]], steps: int
) -> tuple[Tensor, list[list[dict[str, Any]]]]:
    """(T, groups, 2) of rates and decays when a schedule drives a stand-in that begins so."""
    own = [options_of(group) for group in training.optimizer.param_groups]
    groups = [
        options | {"params": [torch.zeros(1)], "lr": lr, "weight_decay": decay}
        for options, (lr, decay) in zip(own, pairs, strict=True)
    ]
    stand_in = torch_class(training.optimizer)(groups, lr=pairs[0][0])
    found, moved = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is stepped before the schedule
        schedule = build_schedule(training.facts.optimizer.schedule, stand_in, steps)
        for step in range(steps + 1):
            now = list(zip(own, stand_in.param_groups, strict=True))
            found.append([(float(g["lr"]), float(g["weight_decay"])) for _, g in now])
            # what a schedule notes beside them in a group is its own affair
            moved.append([{name: group[name] for name in options} for options, group in now])
            if step < steps:
                schedule.step()
    moves = any(options != own for options in moved)
    return torch.tensor(found, dtype=torch.float64), moved if moves else []


class Stepper:
    """Steps of torch's own optimizer, taken by a stand-in whose learning rate is 1.

    The stand-in begins each step at 0, so that where it ends is the direction of the step; each
    member goes there as far as its own learning rate says. That is the same step, because the
    optimizers that come here (``members.LINEAR``) multiply by the learning rate at the very end.

    Parameters
    ----------
    trainings : sequence of Training
        With optimizers that are alike but for learning rates and weight decay.
    weights : Weights
        Changed in place.
    rates : Rates
    """

    def __init__(self, trainings: Sequence[Any], weights: Weights, rates: Rates) -> None:
        first = trainings[0]
        self.source, self.rates = weights, rates
        self.kind = torch_class(first.optimizer)
        self.groups = list(_groups(first, weights.learned))
        self.taken = 0
        self._stand_in()
        named = [dict(training.model.named_parameters()) for training in trainings]
        for name, move in self.moves.items():  # Adagrad has a state before its first step
            found = [
                t.optimizer.state.get(own[name]) for t, own in zip(trainings, named, strict=True)
            ]
            if found[0]:
                self.inner.state[move] = {k: _stacked([s[k] for s in found]) for k in found[0]}

    def _stand_in(self) -> None:
        self.weights = {
            name: self.source.now[name] for _, names, _ in self.groups for name in names
        }
        self.moves = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        kind: Any = lean(self.kind)
        self.inner = kind(
            [
                {
                    **options,
                    "params": [self.moves[n] for n in names],
                    "lr": 1.0,
                    "weight_decay": 0.0,
                }
                for _, names, options in self.groups
            ]
        )
        self.vectors: dict[str, tuple[Tensor, Tensor | None, Tensor | None]] = {}

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor]) -> None:
        """One step of all members.

        Parameters
        ----------
        gradients : dict
            (K, ...) by name, without gaps in memory.
        """
        if self.taken == 0 or len(self.rates.table) > 1 or not self.vectors:
            self._turn_to(self.taken)
        self.taken += 1
        for name, (_, decay, left) in self.vectors.items():
            if left is not None:
                self.weights[name].mul_(left)
            elif decay is not None:
                gradients[name] = torch.addcmul(gradients[name], self.weights[name], decay)
        if self.kind is torch.optim.SGD and not any(g["momentum"] for g in self.inner.param_groups):
            for name, (lr, *_) in self.vectors.items():
                self.weights[name].addcmul_(gradients[name], lr, value=-1)
            return
        torch._foreach_zero_(list(self.moves.values()))
        for name, move in self.moves.items():
            move.grad = gradients[name]
        self.inner.step()
        for name, move in self.moves.items():
            self.weights[name].addcmul_(move, self.vectors[name][0])

    def _turn_to(self, step: int) -> None:
        """Learning rate, weight decay and what decoupled decay leaves, (K, 1, ...) by name."""
        lrs, decays = self.rates.at(step)
        for place, (number, names, options) in enumerate(self.groups):
            if self.rates.moved:
                self.inner.param_groups[place].update(self.rates.moved[step][number])
            lr, decay = lrs[:, number], decays[:, number]
            apart = self.kind is torch.optim.AdamW or options.get("decoupled_weight_decay", False)
            left = 1 - lr * decay if apart and decay.any() else None
            for name in names:
                self.vectors[name] = (
                    self._beside(name, lr),
                    self._beside(name, decay) if decay.any() and not apart else None,
                    None if left is None else self._beside(name, left),
                )

    def _beside(self, name: str, numbers: Tensor) -> Tensor:
        weight = self.weights[name]
        return numbers.to(weight).view(-1, *[1] * (weight.ndim - 1))

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the members, when their weights do."""
        states = {name: self.inner.state.get(move, {}) for name, move in self.moves.items()}
        chosen = list(places)
        self.rates.keep(chosen)
        self._stand_in()
        for name, move in self.moves.items():
            if states[name]:
                self.inner.state[move] = {k: _of(v, chosen) for k, v in states[name].items()}

    def put_rates(self, place: int, training: Any, step: int) -> None:
        """Write the rates of one member at a step, counted from 0, into its own optimizer."""
        rates, decays = (numbers[place].tolist() for numbers in self.rates.at(step))
        for number, group in enumerate(training.optimizer.param_groups):
            group.update(lr=rates[number], weight_decay=decays[number])
            if self.rates.moved:
                group.update(self.rates.moved[step][number])

    def hand_back(self, place: int, training: Any) -> None:
        """Put rates and state of one member into its own optimizer."""
        self.put_rates(place, training, self.taken)
        named = dict(training.model.named_parameters())
        for name, move in self.moves.items():
            state = self.inner.state.get(move)
            if state:
                own = {key: _of(value, place) for key, value in state.items()}
                training.optimizer.state[named[name]] = own


def _stacked(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)) if values[0].ndim else values[0].clone()


def _of(value: Any, places: Any) -> Any:
    """The share of some members, or of one; a number that all have in common is copied."""
    if not isinstance(value, Tensor):
        return value
    return (value[places] if value.ndim else value).clone()


def _groups(training: Any, learned: Collection[str]) -> Any:
    """Number, names and options of each group of parameters that has something to learn."""
    names = {id(weight): name for name, weight in training.model.named_parameters()}
    for number, group in enumerate(training.optimizer.param_groups):
        found = [name for w in group["params"] if (name := names.get(id(w))) in learned]
        if found:
            yield number, found, options_of(group)


@torch.no_grad()
def clip(gradients: dict[str, Tensor], lengths: Sequence[float | None]) -> None:
    """Shorten each member's gradient to its own longest length, as ``clip_grad_norm_`` does.

    Parameters
    ----------
    gradients : dict
        (K, ...) by name; changed in place.
    lengths : sequence of float or None
        K; None leaves a member as it is.
    """
    parts = [gradient.reshape(len(lengths), -1).norm(dim=1) for gradient in gradients.values()]
    norm = torch.stack(parts).norm(dim=0)
    longest = norm.new_tensor([math.inf if length is None else length for length in lengths])
    share = (longest / (norm + 1e-6)).clamp(max=1).where(longest < math.inf, 1)
    for gradient in gradients.values():
        gradient.mul_(share.to(gradient).view(-1, *[1] * (gradient.ndim - 1)))
