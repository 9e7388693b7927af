"""Isotonic regression: a broken line that never falls."""

__all__ = ["BrokenLine"]

import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor, nn

from manumatic.convert.pieces import Piece, Regressor
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError


class BrokenLine(Regressor):
    """Straight between the knots; ``transform`` and ``predict`` are the same.

    Parameters
    ----------
    knots : Tensor (k,)
        Rising.
    values : Tensor (k,)
    clip : bool
        The first and last value go on beyond the ends; else NaN stands there.
    single : bool
        scikit-learn rounds to float32, as the rows that it was fitted on were.
    """

    methods = ("predict", "transform")
    knots: Tensor

    def __init__(self, knots: Tensor, values: Tensor, *, clip: bool, single: bool = False) -> None:
        super().__init__()
        self.register_buffer("knots", knots)
        self.values = nn.Parameter(values)
        self.clip, self.single = clip, single

    def forward(self, x: Tensor) -> Tensor:
        """Values (n, 1) at the numbers (n, 1)."""
        x = x.to(torch.float32).to(x.dtype) if self.single else x
        first, last = self.knots[0], self.knots[-1]
        at = torch.where(x < first, first, torch.where(x > last, last, x)) if self.clip else x
        found = self._between(at)
        if not self.clip and len(self.knots) > 1:
            found = torch.where((x < first) | (x > last), torch.nan, found)
        return found.to(torch.float32).to(x.dtype) if self.single else found

    def _between(self, x: Tensor) -> Tensor:
        if len(self.knots) == 1:
            return torch.zeros_like(x) + self.values
        right = (x >= self.knots).sum(1, keepdim=True).clamp(1, len(self.knots) - 1)
        left = right - 1
        rise = self.values[right] - self.values[left]
        slope = rise / (self.knots[right] - self.knots[left])
        found = slope * (x - self.knots[left]) + self.values[left]
        return torch.where(x == self.knots[-1], self.values[-1], found)

    def transform(self, x: Tensor) -> Tensor:
        """Values (n,)."""
        return self.predict(x)


@converts(IsotonicRegression)
def isotonic(estimator: IsotonicRegression, build: Build) -> Piece:
    """Knots and values."""
    if estimator.out_of_bounds == "raise":
        raise ConvertError(
            "IsotonicRegression(out_of_bounds='raise') stops at a number outside of what it was "
            "fitted on, and a module cannot; refit with 'nan' or 'clip'"
        )
    knots, values = (
        build.tensor(numbers) for numbers in (estimator.X_thresholds_, estimator.y_thresholds_)
    )
    single = estimator.X_thresholds_.dtype.itemsize == 4
    return BrokenLine(knots, values, clip=estimator.out_of_bounds == "clip", single=single)
