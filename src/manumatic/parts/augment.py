"""Augmentation: small changes of training batches that leave their targets true."""

__all__ = ["Augment", "augmented"]

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


class Augment(nn.Module):
    """Each image moved by some pixels, turned left to right or with a square cut out, by chance.

    It works on a whole batch where that lives. All draws come from torch's generator.

    Parameters
    ----------
    shift : int
        The farthest that an image moves in both directions, in pixels.
    flip : bool
        Every other image is turned left to right. Wrong for digits and text.
    cutout : int
        Side of a square that is set to 0, the mean pixel once images are standardised; a part of
        it may lie outside (DeVries & Taylor, arXiv:1708.04552). 0 is none.
    border : "edge", "reflect" or "zero"
        What comes in from outside when an image moves: its last pixels, its mirror image, or 0.

    Raises
    ------
    ValueError
        A setting that no image can follow.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> Augment(shift=1)(torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])).flatten()
    tensor([2., 2., 2., 2.])
    """

    def __init__(
        self, shift: int = 0, flip: bool = False, cutout: int = 0, border: str = "edge"
    ) -> None:
        super().__init__()
        for name, value in (("shift", shift), ("cutout", cutout)):
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"Augment({name}=...) must be pixels, 0 or more; got {value!r}")
        if border not in ("edge", "reflect", "zero"):
            raise ValueError(f'border must be "edge", "reflect" or "zero"; got {border!r}')
        self.shift, self.flip, self.cutout, self.border = shift, flip, cutout, border

    def extra_repr(self) -> str:
        """The settings."""
        return f"shift={self.shift}, flip={self.flip}, cutout={self.cutout}, border={self.border!r}"

    def forward(self, X: Tensor) -> Tensor:
        """Images (n, c, h, w) → as many, changed."""
        if self.shift:
            X = self._moved(X)
        if self.flip:
            turned = torch.rand(len(X), device=X.device) < 0.5
            X = torch.where(turned[:, None, None, None], X.flip(3), X)
        if self.cutout:
            rows, columns = (self._hidden(len(X), side, X.device) for side in X.shape[2:])
            X = X.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
        return X

    def _moved(self, X: Tensor) -> Tensor:
        for along in (2, 3):
            side = X.shape[along]
            by = torch.randint(-self.shift, self.shift + 1, (len(X), 1), device=X.device)
            places = torch.arange(side, device=X.device) + by  # where each row comes from: (n, h)
            inside = (places >= 0) & (places < side)
            if self.border == "reflect":
                places = (side - 1) - ((side - 1) - places.abs()).abs()  # -1 is 1, h is h - 2
            across = (
                (slice(None), None, slice(None), None) if along == 2 else (slice(None), None, None)
            )
            X = X.gather(along, places.clamp(0, side - 1)[across].expand_as(X))
            if self.border == "zero":
                X = X * inside[across]
        return X

    def _hidden(self, n: int, side: int, device: torch.device) -> Tensor:
        """Which rows (or columns) of each image the square covers: (n, side)."""
        first = torch.randint(side, (n, 1), device=device) - self.cutout // 2
        places = torch.arange(side, device=device)
        return (first <= places) & (places < first + self.cutout)


def augmented(batches: Iterator[Any], augment: Callable[[Tensor], Tensor]) -> Iterator[Any]:
    """Batches ``(number, X, …)`` with X changed when its turn comes, and not before."""
    for number, X, *target in batches:
        yield number, augment(X), *target
