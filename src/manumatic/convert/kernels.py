"""Kernels between rows and stored rows, under the names that scikit-learn gives them."""

__all__ = [
    "AdditiveChi2",
    "Chi2",
    "Cosine",
    "Gaussian",
    "Kernel",
    "Laplacian",
    "Linear",
    "Polynomial",
    "Sigmoid",
    "dense",
    "pairwise_kernel",
]

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.convert.distances import Distance, by_feature, squared_distances
from manumatic.convert.repeat import exact
from manumatic.errors import ConvertError


class Kernel(nn.Module):
    """How alike rows are: (n, features), (m, features) → (n, m).

    Parameters
    ----------
    gamma, coef0, degree : float
        As in ``sklearn.metrics.pairwise``; a kernel takes those that its formula has.
    """

    gamma: Tensor
    coef0: Tensor
    degree: Tensor | float

    def __init__(self, gamma: float = 1.0, coef0: float = 1.0, degree: float = 3.0) -> None:
        super().__init__()
        exact(self, gamma=gamma, coef0=coef0)
        if degree % 1:
            exact(self, degree=degree)
        else:  # x * x is cheaper than a power, and a whole number is exact in any graph
            self.degree = degree


class Linear(Kernel):
    """xy."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        return x @ y.T


class Polynomial(Kernel):
    """(γ xy + c)ᵈ."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        # γ · y is a constant; a scalar beside a matrix product, onnxruntime rounds to float32
        return (x @ (self.gamma * y).T + self.coef0) ** self.degree


class Sigmoid(Kernel):
    """tanh(γ xy + c)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        return (x @ (self.gamma * y).T + self.coef0).tanh()


class Gaussian(Kernel):
    """exp(−γ ‖x − y‖²)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        return (-self.gamma * squared_distances(x, y)).exp()


class Laplacian(Kernel):
    """exp(−γ Σ|x − y|)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        return (-self.gamma * Distance("minkowski", 1.0)(x, y)).exp()


class Cosine(Kernel):
    """xy / (‖x‖ ‖y‖)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        lengths = [(rows * rows).sum(1, keepdim=True).sqrt() for rows in (x, y)]
        x, y = (
            rows / torch.where(length == 0, 1.0, length)
            for rows, length in zip((x, y), lengths, strict=True)
        )
        return x @ y.T


class AdditiveChi2(Kernel):
    """−Σ (x − y)² / (x + y), of what is not below 0."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        return -by_feature(x, y, _chi2)


class Chi2(Kernel):
    """exp(−γ Σ (x − y)² / (x + y)), of what is not below 0."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Likeness (n, m)."""
        return (-self.gamma * by_feature(x, y, _chi2)).exp()


def _chi2(a: Tensor, b: Tensor) -> Tensor:
    both = a + b
    return torch.where(both == 0, 0.0, (a - b) ** 2 / torch.where(both == 0, 1.0, both))


KERNELS: dict[str, type[Kernel]] = {
    "additive_chi2": AdditiveChi2,
    "chi2": Chi2,
    "cosine": Cosine,
    "laplacian": Laplacian,
    "linear": Linear,
    "poly": Polynomial,
    "polynomial": Polynomial,
    "rbf": Gaussian,
    "sigmoid": Sigmoid,
}


def pairwise_kernel(name: Any, who: str, n_features: int, **given: Any) -> Kernel:
    """The kernel with this name.

    Parameters
    ----------
    name : str
    who : str
        The estimator, for the error.
    n_features : int
        Of the rows: γ is one over it where it is None, but 1 for "chi2".
    **given : float or None
        ``gamma``, ``coef0``, ``degree``.

    Returns
    -------
    Kernel

    Raises
    ------
    ConvertError
        The kernel is a function or precomputed, so that nobody knows its formula.

    Examples
    --------
    >>> rows = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    >>> pairwise_kernel("poly", "KernelRidge", 2, degree=2)(rows, rows).item()
    12.25
    """
    if not isinstance(name, str) or name not in KERNELS:
        raise ConvertError(
            f"{who} has kernel={name!r}, whose formula nobody knows here; the kernels that can be "
            f"converted are {', '.join(KERNELS)}"
        )
    given = {key: value for key, value in given.items() if value is not None}
    given.setdefault("gamma", 1.0 if name == "chi2" else 1.0 / n_features)
    extra = sorted(set(given) - {"gamma", "coef0", "degree"})
    if extra:
        raise ConvertError(f"{who} gives its kernel {name!r} the unknown parameter {extra[0]!r}")
    return KERNELS[name](**given)


def dense(values: Any) -> np.ndarray:
    """An array of what may be a sparse matrix.

    Parameters
    ----------
    values : array or sparse matrix

    Returns
    -------
    ndarray

    Examples
    --------
    >>> dense([1, 2])
    array([1, 2])
    """
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)
