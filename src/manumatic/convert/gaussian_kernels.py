"""The kernels of Gaussian processes, their fitted lengths as parameters."""

__all__ = [
    "Both",
    "Constant",
    "Covariance",
    "Dot",
    "HalfInteger",
    "Pairwise",
    "Periodic",
    "Power",
    "Rational",
    "Squared",
    "Stretched",
    "White",
    "covariance",
]

from collections.abc import Callable
from math import factorial, pi, sqrt
from typing import Any

import torch
from sklearn.gaussian_process import kernels
from torch import Tensor, nn

from manumatic.convert.distances import Distance, root
from manumatic.convert.kernels import pairwise_kernel
from manumatic.convert.registry import Build
from manumatic.convert.repeat import exact
from manumatic.errors import ConvertError


class Covariance(nn.Module):
    """(n, features), (m, features) → (n, m); ``variance`` is its diagonal on the same rows."""

    def variance(self, x: Tensor) -> Tensor:
        """The covariance of each row with itself (n,): 1, if not said otherwise."""
        return torch.ones_like(x[:, 0])


class Constant(Covariance):
    """The same everywhere."""

    def __init__(self, value: nn.Parameter) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        return self.value.expand(x.shape[0], y.shape[0])

    def variance(self, x: Tensor) -> Tensor:
        """The value (n,)."""
        return self.value.expand(x.shape[0])


class White(Covariance):
    """Noise: nothing between one row and another."""

    def __init__(self, level: nn.Parameter) -> None:
        super().__init__()
        self.level = level

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        return x.new_zeros(x.shape[0], y.shape[0])

    def variance(self, x: Tensor) -> Tensor:
        """The level (n,)."""
        return self.level.expand(x.shape[0])


class Dot(Covariance):
    """xy + σ₀²."""

    def __init__(self, sigma: nn.Parameter) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        return x @ y.T + self.sigma**2

    def variance(self, x: Tensor) -> Tensor:
        """‖x‖² + σ₀² (n,)."""
        return (x * x).sum(1) + self.sigma**2


class Stretched(Covariance):
    """A function of the squared distance, each feature in its own unit.

    Distances are differences taken one by one, as in scikit-learn: near 0 a root has no digits to
    lose.

    Parameters
    ----------
    length : nn.Parameter () or (features,)
    """

    def __init__(self, length: nn.Parameter) -> None:
        super().__init__()
        self.length = length

    def squared(self, x: Tensor, y: Tensor) -> Tensor:
        """Squared distances (n, m)."""
        return Distance("minkowski", 2.0).ranks(x / self.length, y / self.length)


class Squared(Stretched):
    """exp(−d² / 2)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        return (-0.5 * self.squared(x, y)).exp()


class HalfInteger(Stretched):
    """Matérn with ν = p + ½: e⁻ᵗ times a polynomial of degree p in t = √(2ν) d.

    C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), (4.16).
    """

    stretch: Tensor
    factors: Tensor

    def __init__(self, length: nn.Parameter, p: int) -> None:
        super().__init__(length)
        factors = [
            factorial(p) * factorial(p + i) / (factorial(2 * p) * factorial(i) * factorial(p - i))
            for i in range(p + 1)
        ]
        exact(self, stretch=sqrt(2 * p + 1), factors=factors)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        t = self.stretch * root(self.squared(x, y))
        total = torch.zeros_like(t)
        for factor in self.factors:  # from the highest power down
            total = total * (2 * t) + factor
        return total * (-t).exp()


class Rational(Stretched):
    """(1 + d² / 2α)⁻ᵅ."""

    def __init__(self, length: nn.Parameter, alpha: nn.Parameter) -> None:
        super().__init__(length)
        self.alpha = alpha

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        return (1 + self.squared(x, y) / (2 * self.alpha)) ** -self.alpha


class Periodic(Covariance):
    """exp(−2 (sin(π d / period) / length)²)."""

    pi: Tensor

    def __init__(self, length: nn.Parameter, period: nn.Parameter) -> None:
        super().__init__()
        self.length, self.period = length, period
        exact(self, pi=pi)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        d = Distance("minkowski", 2.0)(x, y)
        return (-2 * ((self.pi / self.period * d).sin() / self.length) ** 2).exp()


class Both(Covariance):
    """Two kernels added or multiplied."""

    def __init__(self, first: Covariance, second: Covariance, *, times: bool) -> None:
        super().__init__()
        self.first, self.second, self.times = first, second, times

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        one, two = self.first(x, y), self.second(x, y)
        return one * two if self.times else one + two

    def variance(self, x: Tensor) -> Tensor:
        """Sum or product (n,)."""
        one, two = self.first.variance(x), self.second.variance(x)
        return one * two if self.times else one + two


class Power(Covariance):
    """A kernel to a power."""

    exponent: Tensor

    def __init__(self, body: Covariance, exponent: float) -> None:
        super().__init__()
        self.body = body
        exact(self, exponent=exponent)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        return self.body(x, y) ** self.exponent

    def variance(self, x: Tensor) -> Tensor:
        """To the same power (n,)."""
        return self.body.variance(x) ** self.exponent


class Pairwise(Covariance):
    """A kernel of ``sklearn.metrics.pairwise``."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Covariances (n, m)."""
        return self.body(x, y)

    def variance(self, x: Tensor) -> Tensor:
        """Each row with itself (n,)."""
        found: Tensor = torch.vmap(lambda row: self.body(row[None], row[None])[0, 0])(x)
        return found


Maker = Callable[[Any, Build, int], Covariance]


def _matern(kernel: Any, build: Build, n_features: int) -> Covariance:
    length, p = build.weight(kernel.length_scale), kernel.nu - 0.5
    if kernel.nu == float("inf"):
        return Squared(length)
    if p != int(p) or p < 0:
        raise ConvertError(
            f"Matern with nu={kernel.nu!r} needs Bessel functions, which PyTorch cannot "
            "differentiate or export; take 0.5, 1.5, 2.5 … or inf"
        )
    return HalfInteger(length, int(p))


def _pairwise(kernel: Any, build: Build, n_features: int) -> Covariance:
    given = kernel.pairwise_kernels_kwargs or {}
    return Pairwise(
        pairwise_kernel(kernel.metric, "PairwiseKernel", n_features, gamma=kernel.gamma, **given)
    )


def _two(kernel: Any, build: Build, n_features: int) -> Covariance:
    parts = (covariance(each, build, n_features) for each in (kernel.k1, kernel.k2))
    return Both(*parts, times=isinstance(kernel, kernels.Product))


MAKERS: dict[type, Maker] = {
    kernels.ConstantKernel: lambda kernel, build, n: Constant(build.weight(kernel.constant_value)),
    kernels.DotProduct: lambda kernel, build, n: Dot(build.weight(kernel.sigma_0)),
    kernels.ExpSineSquared: lambda kernel, build, n: Periodic(
        build.weight(kernel.length_scale), build.weight(kernel.periodicity)
    ),
    kernels.Exponentiation: lambda kernel, build, n: Power(
        covariance(kernel.kernel, build, n), kernel.exponent
    ),
    kernels.Matern: _matern,
    kernels.PairwiseKernel: _pairwise,
    kernels.Product: _two,
    kernels.RBF: lambda kernel, build, n: Squared(build.weight(kernel.length_scale)),
    kernels.RationalQuadratic: lambda kernel, build, n: Rational(
        build.weight(kernel.length_scale), build.weight(kernel.alpha)
    ),
    kernels.Sum: _two,
    kernels.WhiteKernel: lambda kernel, build, n: White(build.weight(kernel.noise_level)),
}


def covariance(kernel: Any, build: Build, n_features: int) -> Covariance:
    """A fitted kernel of ``sklearn.gaussian_process.kernels`` as a module.

    Parameters
    ----------
    kernel : Kernel
    build : Build
    n_features : int
        Of the rows.

    Returns
    -------
    Covariance
        Its lengths and variances are parameters.

    Raises
    ------
    ConvertError
        A kernel of somebody's own, or a Matérn whose ν is no half of an odd number.

    Examples
    --------
    >>> covariance(2.0 * kernels.RBF(), Build(), 1)(torch.zeros(1, 1), torch.zeros(1, 1)).item()
    2.0
    """
    maker = MAKERS.get(type(kernel))
    if maker is None:
        known = ", ".join(sorted(kind.__name__ for kind in MAKERS))
        raise ConvertError(
            f"nobody knows the formula of the kernel {kernel!r} here; those that can be converted "
            f"are {known}"
        )
    return maker(kernel, build, n_features)
