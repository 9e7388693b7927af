"""Random draws that are the same on every platform and in every version of NumPy."""

__all__ = ["Draws"]

from collections.abc import Sequence
from typing import Any

import numpy as np


class Draws:
    """Draws of n values each, made from the uniform stream of PCG64 alone.

    NumPy keeps that stream for good; its normal draws and choices it may improve (NEP 19).

    Parameters
    ----------
    seed : int
    n : int
        Values a draw.

    Examples
    --------
    >>> Draws(seed=0, n=3).uniform(10, 20).round(2)
    array([16.37, 12.7 , 10.41])
    """

    def __init__(self, seed: int, n: int) -> None:
        self.n = n
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, low: Any = 0.0, high: Any = 1.0) -> np.ndarray:
        """Evenly spread over [low, high)."""
        return low + (high - low) * self._generator.random(self.n)

    def normal(self, mean: Any = 0.0, spread: float = 1.0) -> np.ndarray:
        """Bell-shaped: the sum of twelve uniform draws has variance 1 (and stays within ±6)."""
        return mean + spread * (self._generator.random((12, self.n)).sum(axis=0) - 6)

    def chance(self, probability: Any) -> np.ndarray:
        """True with that probability."""
        return self._generator.random(self.n) < probability

    def pick(self, weights: Sequence[float]) -> np.ndarray:
        """Places 0, 1, … as often as their weights say."""
        edges = np.cumsum(weights) / np.sum(weights)
        return np.searchsorted(edges[:-1], self._generator.random(self.n), side="right")
