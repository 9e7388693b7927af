"""Transformers that bend numbers: powers and quantiles, so that they look normal or uniform."""

__all__ = ["BoxCox", "NormalQuantile", "Powers", "Quantiles", "YeoJohnson"]

from typing import Any

import numpy as np
import torch
from sklearn import preprocessing
from torch import Tensor, nn

from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.places import count_below
from manumatic.convert.registry import Build, converts
from manumatic.convert.scale import Affine

BOTH = ("transform", "inverse_transform")
NEAR = 1e-7  # as scikit-learn: so near to the ends a quantile is the end
NEAREST = float(NEAR - np.spacing(1))  # normal quantiles of less are those of this
# Wichura's algorithm AS 241, 1988: rational functions for the middle and for the tails
MIDDLE = """
2.5090809287301226727e3 3.3430575583588128105e4 6.7265770927008700853e4 4.5921953931549871457e4
1.3731693765509461125e4 1.9715909503065514427e3 1.3314166789178437745e2 3.3871328727963666080
5.2264952788528545610e3 2.8729085735721942674e4 3.9307895800092710610e4 2.1213794301586595867e4
5.3941960214247511077e3 6.8718700749205790830e2 4.2313330701600911252e1 1.0
"""
TAIL = """
7.74545014278341407640e-4 2.27238449892691845833e-2 2.41780725177450611770e-1 1.27045825245236838258
3.64784832476320460504 5.76949722146069140550 4.63033784615654529590 1.42343711074968357734
1.05075007164441684324e-9 5.47593808499534494600e-4 1.51986665636164571966e-2
1.48103976427480074590e-1 6.89767334985100004550e-1 1.67638483018380384940
2.05319162663775882187 1.0
"""


class BoxCox(Transformer):
    """(x^λ − 1) / λ, or log x where λ is 0; NaN for what is not positive (Box and Cox 1964).

    Parameters
    ----------
    power : Tensor (features,)
        λ.
    flat : Tensor (features,) of bool
        Where λ is 0.
    """

    methods = BOTH
    power: Tensor
    flat: Tensor

    def __init__(self, power: Tensor, flat: Tensor) -> None:
        super().__init__()
        self.register_buffer("flat", flat)
        self.register_buffer("power", torch.where(flat, torch.ones_like(power), power))

    def forward(self, x: Tensor) -> Tensor:
        """Bent columns (n, features)."""
        logs = torch.where(x > 0, x, torch.nan).log()
        return torch.where(self.flat, logs, (self.power * logs).expm1() / self.power)

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back again."""
        return torch.where(self.flat, x.exp(), ((x * self.power).log1p() / self.power).exp())


class YeoJohnson(Transformer):
    """Box-Cox of x + 1 above 0, and of 1 − x with the power 2 − λ below (Yeo and Johnson 2000).

    Parameters
    ----------
    power : Tensor (features,)
        λ.
    """

    methods = BOTH
    power: Tensor
    zero: Tensor
    two: Tensor

    def __init__(self, power: Tensor) -> None:
        super().__init__()
        small = float(np.spacing(1.0))
        self.register_buffer("power", power)
        # settled in float64: in float32 more powers would be 0 or 2
        self.register_buffer("zero", power.abs() < small)
        self.register_buffer("two", (power - 2).abs() <= small)

    def _powers(self) -> tuple[Tensor, Tensor]:
        """λ and 2 − λ, 1 where they are 0 and nobody looks."""
        return torch.where(self.zero, 1.0, self.power), torch.where(self.two, 1.0, 2 - self.power)

    def forward(self, x: Tensor) -> Tensor:
        """Bent columns (n, features)."""
        above, below = self._powers()
        up, down = x.clamp(min=0).log1p(), (-x).clamp(min=0).log1p()
        right = torch.where(self.zero, up, (above * up).expm1() / above)
        left = torch.where(self.two, -down, -(below * down).expm1() / below)
        return torch.where(x >= 0, right, left)

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back again."""
        above, below = self._powers()
        up, down = x.clamp(min=0), (-x).clamp(min=0)
        right = torch.where(self.zero, up.exp(), (up * above + 1).pow(1 / above)) - 1
        left = 1 - torch.where(self.two, down.exp(), (down * below + 1).pow(1 / below))
        return torch.where(x >= 0, right, left)


class Powers(Transformer):
    """A power of each column, then its standard scores.

    Parameters
    ----------
    bent : BoxCox or YeoJohnson
    scaler : Affine
    """

    methods = BOTH

    def __init__(self, bent: Transformer, scaler: Affine) -> None:
        super().__init__()
        self.bent, self.scaler = bent, scaler

    def forward(self, x: Tensor) -> Tensor:
        """Bent and scaled columns (n, features)."""
        found: Tensor = self.scaler(self.bent(x))
        return found

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back again."""
        found: Tensor = self.bent.call("inverse_transform", self.scaler.inverse_transform(x))
        return found


class NormalQuantile(nn.Module):
    """Φ⁻¹(p), and of 10⁻⁷ where p is less: torch.special.ndtri has no counterpart in ONNX.

    All numbers are buffers, because torch.onnx rounds those in the code to float32.
    """

    numbers: Tensor
    middle: Tensor
    tail: Tensor

    def __init__(self) -> None:
        super().__init__()
        numbers = (NEAREST, 1 - NEAREST, 0.180625, 0.425, 1.6)
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.float64)[:, None])
        for name, text in (("middle", MIDDLE), ("tail", TAIL)):
            factors = torch.tensor([float(n) for n in text.split()], dtype=torch.float64)
            self.register_buffer(name, factors.reshape(2, 8))

    def forward(self, p: Tensor) -> Tensor:
        """Quantiles, in the shape of p."""
        low, high, shift, bound, start = self.numbers
        p = torch.minimum(torch.maximum(p, low), high)
        q = p - 0.5
        middle = q * _ratio(shift - q * q, self.middle)
        # the logarithm of a small p, not of 1 - (1 - p), which has fewer digits
        tail = _ratio((-torch.where(q < 0, p, 1 - p).log()).sqrt() - start, self.tail)
        return torch.where(q.abs() <= bound, middle, torch.where(q < 0, -tail, tail))


def _ratio(x: Tensor, factors: Tensor) -> Tensor:
    """One polynomial of seventh degree over another."""
    (top, bottom), *others = factors.T
    top, bottom = top.expand_as(x), bottom.expand_as(x)  # added to 0, torch.onnx drops what is tiny
    for above, below in others:
        top, bottom = top * x + above, bottom * x + below
    return top / bottom


class Quantiles(Transformer):
    """The share of training values below, as it is or as the normal quantile of it.

    Parameters
    ----------
    quantiles : Tensor (features, k)
        Of the training values, sorted.
    shares : Tensor (k,)
        The share of values below each.
    normal : bool
        Give normal quantiles.
    """

    methods = BOTH
    near: Tensor
    quantiles: Tensor
    shares: Tensor

    def __init__(self, quantiles: Tensor, shares: Tensor, normal: bool) -> None:
        super().__init__()
        self.normal = NormalQuantile() if normal else None
        self.register_buffer("near", torch.tensor([NEAR], dtype=torch.float64))
        self.register_buffer("quantiles", quantiles)
        self.register_buffer("shares", shares)

    def forward(self, x: Tensor) -> Tensor:
        """Shares in [0, 1] or normal quantiles (n, features); NaN stays."""
        shares = self.shares.expand_as(self.quantiles)
        # where quantiles repeat, the mean of the first and the last
        up = _interpolated(x, self.quantiles, shares)
        down = _interpolated(-x, -self.quantiles.flip(1), -shares.flip(1))
        found = 0.5 * (up - down)
        first, last = self.quantiles[:, 0], self.quantiles[:, -1]
        found = torch.where(
            x + self.near > last if self.normal is not None else x == last, 1.0, found
        )
        found = torch.where(
            x - self.near < first if self.normal is not None else x == first, 0.0, found
        )
        if self.normal is not None:
            found = self.normal(found)
        return torch.where(x.isnan(), x, found)

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back again."""
        share = torch.special.ndtr(x) if self.normal is not None else x
        found = _interpolated(share, self.shares.expand_as(self.quantiles), self.quantiles)
        first, last = self.quantiles[:, 0], self.quantiles[:, -1]
        found = torch.where(
            share + self.near > 1 if self.normal is not None else share == 1, last, found
        )
        found = torch.where(
            share - self.near < 0 if self.normal is not None else share == 0, first, found
        )
        return torch.where(x.isnan(), x, found)


def _interpolated(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """numpy.interp for each column: x (n, features), xs and ys (features, k)."""
    k = xs.shape[1]
    start = torch.arange(len(xs), device=x.device) * k
    left = (count_below(x, xs, equal=True) - 1).clamp(0, k - 1)
    right = (left + 1).clamp(max=k - 1)
    x0, x1 = (xs.reshape(-1)[start + at] for at in (left, right))
    y0, y1 = (ys.reshape(-1)[start + at] for at in (left, right))
    wide = torch.where(x1 == x0, 1.0, x1 - x0)
    between = (y1 - y0) / wide * (x - x0) + y0
    return torch.where((x0 == x) | (x < x0) | (right == left), y0, between)


@converts(preprocessing.PowerTransformer)
def power(estimator: Any, build: Build) -> Piece:
    """A power of each column, that makes it most like a normal one."""
    power = build.tensor(estimator.lambdas_)
    box_cox = estimator.method == "box-cox"
    bent = BoxCox(power, power.abs() < 1e-19) if box_cox else YeoJohnson(power)
    if not estimator.standardize:
        return bent
    scaler = estimator._scaler
    return Powers(bent, Affine(build.tensor(scaler.mean_), build.tensor(scaler.scale_)))


@converts(preprocessing.QuantileTransformer)
def quantile(estimator: Any, build: Build) -> Piece:
    """Where a value falls among those of training."""
    quantiles = build.tensor(np.asarray(estimator.quantiles_).T.copy())
    normal = estimator.output_distribution == "normal"
    return Quantiles(quantiles, build.tensor(estimator.references_), normal)
