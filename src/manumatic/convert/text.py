"""Text: a tensor has none, so what counts words stays outside; what weighs counts is arithmetic."""

__all__ = ["Weighed"]

from typing import Any

import torch
from sklearn.feature_extraction.text import TfidfTransformer
from torch import Tensor

from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.scale import Normalized


class Weighed(Transformer):
    """Counts of words, each weighed by how few texts have it (Spärck Jones 1972).

    Parameters
    ----------
    rarity : Tensor (words,) or None
        log((1 + texts) / (1 + texts with the word)) + 1.
    norm : "l1", "l2" or None
        Of the rows.
    slow : bool
        1 + log(count) instead of the count.
    """

    rarity: Tensor | None

    def __init__(self, rarity: Tensor | None, norm: str | None, slow: bool) -> None:
        super().__init__(None if norm is None else Normalized(norm))
        self.norm, self.slow = norm, slow
        self.register_buffer("rarity", rarity)

    def forward(self, x: Tensor) -> Tensor:
        """Weights (n, words)."""
        if self.slow:
            x = torch.where(x == 0, 0.0, torch.where(x == 0, 1.0, x).log() + 1)
        if self.rarity is not None:
            x = torch.where(x == 0, 0.0, x * self.rarity)  # a word that no text has: infinite
        return x if self.norm is None else super().forward(x)


@converts(TfidfTransformer)
def tfidf(estimator: Any, build: Build) -> Piece:
    """Counts times rarity, over the length of the row."""
    rarity = build.tensor(estimator.idf_) if estimator.use_idf else None
    return Weighed(rarity, estimator.norm, estimator.sublinear_tf)
