"""Distances between rows and stored rows, with the digits that scikit-learn's have."""

__all__ = ["Distance", "by_feature", "distance_of", "root", "squared_distances"]

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.convert.repeat import exact
from manumatic.errors import ConvertError


def root(squared: Tensor) -> Tensor:
    """√, with the gradient 0 at 0 instead of ∞.

    Parameters
    ----------
    squared : Tensor
        Nothing below 0.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> root(torch.tensor([0.0, 9.0]))
    tensor([0., 3.])
    """
    some = squared > 0
    return torch.where(some, torch.where(some, squared, 1.0).sqrt(), 0.0)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """‖x‖² − 2xy + ‖y‖², around the mean of ``y``: one matrix product.

    Parameters
    ----------
    x : Tensor (n, features)
    y : Tensor (m, features)

    Returns
    -------
    Tensor (n, m)
        As exact as the rows are near to each other: a row that is there twice may be off by
        1e-16 · ‖x‖².

    Examples
    --------
    >>> squared_distances(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 0.0], [0.0, 3.0]]))
    tensor([[25.,  0.]])
    """
    middle = y.detach().mean(0)
    x, y = x - middle, y - middle
    sums = (x * x).sum(1, keepdim=True) - 2 * (x @ y.T) + (y * y).sum(1)
    return sums.clamp_min(0.0)


def by_feature(
    x: Tensor,
    y: Tensor,
    term: Callable[[Tensor, Tensor], Tensor],
    join: Callable[[Tensor, Tensor], Tensor] = torch.add,
) -> Tensor:
    """A term for each feature, joined in their order, as the loops in C do it: equal to the bit.

    Parameters
    ----------
    x : Tensor (n, features)
    y : Tensor (m, features)
    term : callable
        Takes a column (n, 1) and one (m,), or (n, m).
    join : callable
        Takes two Tensors (n, m).

    Returns
    -------
    Tensor (n, m)
        Memory for n · m numbers, not n · m · features.

    Examples
    --------
    >>> by_feature(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2), lambda a, b: (a - b).abs())
    tensor([[3.]])
    """
    total = term(x[..., :1], y[..., 0])
    for feature in range(1, x.shape[-1]):
        total = join(total, term(x[..., feature : feature + 1], y[..., feature]))
    return total


class Distance(nn.Module):
    """Distances in two steps: ``ranks`` to compare with, and what they stand for.

    Parameters
    ----------
    metric : str
        "minkowski" or "cosine".
    p : float
        The power; ``inf`` is the largest difference.
    """

    power: Tensor
    root: Tensor

    def __init__(self, metric: str, p: float = 2.0) -> None:
        super().__init__()
        self.metric, self.p = metric, p
        if p not in (1.0, 2.0, float("inf")):
            exact(self, power=p, root=1 / p)

    def ranks(self, x: Tensor, y: Tensor) -> Tensor:
        """Σ|x − y|ᵖ (n, m), or 1 − cosine."""
        if self.metric == "cosine":
            return (1 - _unit(x) @ _unit(y).T).clamp(0.0, 2.0)
        if self.p == float("inf"):
            return by_feature(x, y, self._term, torch.maximum)
        return by_feature(x, y, self._term)

    def _term(self, a: Tensor, b: Tensor) -> Tensor:
        gap = a - b
        if self.p == 2:
            return gap * gap
        return gap.abs() if self.p in (1.0, float("inf")) else gap.abs() ** self.power

    def finish(self, ranks: Tensor) -> Tensor:
        """Distances for ranks."""
        if self.metric == "cosine" or self.p in (1.0, float("inf")):
            return ranks
        return root(ranks) if self.p == 2 else ranks**self.root

    def rank_of(self, distance: float) -> float:
        """The rank of a distance."""
        plain = self.metric == "cosine" or self.p in (1.0, float("inf"))
        return distance if plain else distance**self.p

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Distances (n, m)."""
        return self.finish(self.ranks(x, y))


def _unit(x: Tensor) -> Tensor:
    length = root((x * x).sum(1, keepdim=True))
    return x / torch.where(length == 0, 1.0, length)


POWERS = {
    **dict.fromkeys(["euclidean", "l2"], 2.0),
    **dict.fromkeys(["manhattan", "l1", "cityblock"], 1.0),
    **dict.fromkeys(["chebyshev", "infinity"], float("inf")),
}


def distance_of(metric: Any, who: str, given: dict[str, Any] | None = None) -> Distance:
    """The distance with this name in scikit-learn.

    Parameters
    ----------
    metric : str
    who : str
        The estimator, for the error.
    given : dict, optional
        Its parameters: ``p``.

    Returns
    -------
    Distance

    Raises
    ------
    ConvertError
        The metric is a function, precomputed, or none of those known, or it has weights.

    Examples
    --------
    >>> distance_of("manhattan", "KNeighborsClassifier").p
    1.0
    """
    given = {key: value for key, value in (given or {}).items() if value is not None}
    known = metric in ("minkowski", "cosine", *POWERS) if isinstance(metric, str) else False
    if not known:
        raise ConvertError(
            f"{who} measures with metric={metric!r}; euclidean, manhattan, chebyshev, minkowski "
            "and cosine can be converted"
        )
    extra = sorted(set(given) - {"p"})
    if extra:
        raise ConvertError(
            f"{who} measures with metric_params={extra[0]!r}; scale the columns in a step before it"
        )
    if metric == "cosine":
        return Distance("cosine")
    return Distance("minkowski", POWERS.get(metric, float(given.get("p", 2))))
