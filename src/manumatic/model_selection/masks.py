"""Dropout in a stack: each member draws its own masks, as it would alone."""

__all__ = ["Draws", "Dropout", "Mask", "Recorded", "Served", "dropout"]

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

# With the number of dimensions that an input of several rows has; None: any.
DROPOUTS: dict[Any, int | None] = {
    F.dropout: None,
    torch.dropout: None,
    F.dropout1d: 3,
    F.dropout2d: 4,
    F.dropout3d: 5,
}


class Mask(NamedTuple):
    """What one call of dropout draws for one member."""

    shape: tuple[int, ...]
    share: float  # of what is set to 0
    dtype: torch.dtype


class Dropout(NamedTuple):
    """A call of dropout that sets something to 0."""

    X: Tensor
    share: float
    inplace: bool

    def times(self, masks: Iterator[Tensor]) -> Tensor:
        """What it returns, with the next of the masks."""
        whole = torch.zeros((), dtype=self.X.dtype, device=self.X.device)
        mask = next(masks) if self.share < 1 else whole
        return self.X.mul_(mask) if self.inplace else self.X * mask


def dropout(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Dropout | None:
    """The call, if it is one of dropout that sets something to 0."""
    if func not in DROPOUTS:
        return None
    given = dict(zip(("input", "p", "training", "inplace"), args, strict=False)) | kwargs
    X, share = given["input"], float(given.get("p", 0.5))
    draws = given.get("training", given.get("train", True)) and share > 0 and X.numel()
    if not draws or DROPOUTS[func] not in (None, X.ndim):
        return None
    return Dropout(X, share, bool(given.get("inplace", False)))


class Recorded(TorchFunctionMode):
    """Notes what dropout would draw, and lets everything pass."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[Mask] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        called = dropout(func, args, kwargs or {})
        if called is None:
            return func(*args, **(kwargs or {}))
        X, share, _ = called
        whole = func in (F.dropout, torch.dropout)
        if share < 1:
            shape = tuple(X.shape) if whole else (*X.shape[:2], *[1] * (X.ndim - 2))
            self.masks.append(Mask(shape, share, X.dtype))
        return X.clone()


class Served(TorchFunctionMode):
    """Dropout multiplies by the masks given, one after the other."""

    def __init__(self, masks: Sequence[Tensor]) -> None:
        super().__init__()
        self.masks: Iterator[Tensor] = iter(masks)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        called = dropout(func, args, kwargs or {})
        return func(*args, **(kwargs or {})) if called is None else called.times(self.masks)


class Draws:
    """Draws the masks of all members, each from the random state that its training has.

    ``F.dropout`` fills a tensor in the shape of its input by ``bernoulli_`` and divides; on the CPU
    so does this, and a member gets the very numbers that it would get alone. A GPU draws for the
    whole stack at once, from one state: one kernel in place of one a member, and other numbers.

    Parameters
    ----------
    states : sequence of list of Tensor
        ``training.state.rng.state`` of each member.
    device : torch.device
    """

    def __init__(self, states: Sequence[list[Tensor]], device: torch.device) -> None:
        self.device = device
        self.alone = device.type == "cpu"
        self.members = len(states)
        self.generators = [torch.Generator(device) for _ in (states if self.alone else states[:1])]
        for generator, state in zip(self.generators, states, strict=self.alone):
            generator.set_state(state[0 if self.alone else 1])

    def __call__(self, masks: Sequence[Mask], rows: Sequence[int]) -> list[Tensor]:
        """Masks (K, ...) for one step: 0, or 1 / (1 - share); ``rows`` a member really holds."""
        found = []
        most = max(rows)
        for shape, share, dtype in masks:
            mask = torch.ones(self.members, *shape, dtype=dtype, device=self.device)
            if self.alone:
                for one, generator, real in zip(mask, self.generators, rows, strict=True):
                    part = one if real == most else one[:real]
                    part.bernoulli_(1 - share, generator=generator)
            else:
                mask.bernoulli_(1 - share, generator=self.generators[0])
            found.append(mask.div_(1 - share))
        return found

    def hand_back(self, place: int, state: list[Tensor]) -> None:
        """Put the state of one member back where it came from."""
        if self.alone:
            state[0] = self.generators[place].get_state()

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the members."""
        self.members = len(places)
        if self.alone:
            self.generators = [self.generators[place] for place in places]
