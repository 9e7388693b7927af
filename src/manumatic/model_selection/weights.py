"""Weights and buffers of all members of a stack: as they are, averaged, the best, the finite."""

__all__ = ["Weights"]

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]


class Weights:
    """Stacked tensors by name, (K, ...) each.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Alike; they are read, not changed.
    learned : sequence of str
        Names of the weights that have a gradient.
    ema : float or None
        Decay of a moving average, which then is what is judged and kept.

    Attributes
    ----------
    now, safe, best, average : dict
        Tensors by name; ``best`` is empty until something was best, ``average`` until a step.
    """

    def __init__(
        self, models: Sequence[nn.Module], learned: Sequence[str] = (), ema: float | None = None
    ) -> None:
        columns = zip(*(_tensors(model) for model in models), strict=True)
        self.learned = frozenset(learned)
        self.now = self._learnable(
            {column[0][0]: torch.stack([t.detach() for _, t in column]) for column in columns}
        )
        self.safe = _copies(self.now)
        # a buffer may be infinite from the start, as thresholds of trees are
        self.watched = [name for name, t in self.now.items() if bool(torch.isfinite(t).all())]
        self.best: Tensors = {}
        self.ema, self.average = ema, Tensors()
        names = {id(tensor): name for name, tensor in _tensors(models[0])}
        state = models[0].state_dict(keep_vars=True)  # a weight in two places has two names there
        self.names = {key: names[id(t)] for key, t in state.items() if id(t) in names}

    @property
    def judged(self) -> Tensors:
        """What predicts: the average where there is one."""
        return self.average or self.now

    @torch.no_grad()
    def follow(self) -> None:
        """After a step, take the average along as ``AveragedModel`` does: at first it is a copy."""
        if self.ema is None:
            return
        if not self.average:
            self.average = _copies(self.now)
        average = [self.average[name] for name in self.learned]
        torch._foreach_lerp_(average, [self.now[name] for name in self.learned], 1 - self.ema)
        for name in self.average.keys() - self.learned:
            self.average[name].copy_(self.now[name])

    def keep_best(self, places: Sequence[int]) -> None:
        """Remember the weights of these members as their best."""
        if places and not self.best:
            self.best = _copies(self.judged)
        else:
            self._copy(self.judged, self.best, places)

    def keep_safe(self, places: Sequence[int]) -> None:
        """Remember the weights of those of these members that are finite."""
        if places:
            watched = [self.now[name] for name in self.watched]
            parts = [torch.isfinite(t).reshape(len(t), -1).all(1) for t in watched]
            finite = torch.stack(parts).all(0).tolist()
            self._copy(self.now, self.safe, [place for place in places if finite[place]])

    @torch.no_grad()
    def _copy(self, found: Tensors, kept: Tensors, places: Sequence[int]) -> None:
        for name, tensor in found.items() if places else ():
            if len(places) == len(tensor):
                kept[name].copy_(tensor)
            else:
                where = torch.tensor(places, device=tensor.device)
                kept[name][where] = tensor[where]

    @torch.no_grad()
    def put_into(self, model: nn.Module, place: int, kept: Tensors | None = None) -> None:
        """Write one member's weights, as they are now, into a model of its own."""
        for name, tensor in _tensors(model):
            tensor.copy_((kept or self.now)[name][place])

    def own(self, kept: Tensors, place: int) -> Tensors:
        """One member's share of ``safe`` or ``best``, as its ``state_dict`` names them."""
        return {key: kept[name][place].clone() for key, name in self.names.items()}

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the members."""
        chosen = list(places)
        self.now = self._learnable({name: t.detach()[chosen] for name, t in self.now.items()})
        self.safe = {name: tensor[chosen] for name, tensor in self.safe.items()}
        self.best = {name: tensor[chosen] for name, tensor in self.best.items()}
        self.average = {name: tensor[chosen] for name, tensor in self.average.items()}

    def _learnable(self, tensors: Tensors) -> Tensors:
        return {name: t.requires_grad_(name in self.learned) for name, t in tensors.items()}


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _copies(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
