"""Networks for texts (n, words): a bag of vectors, and vectors that a sequence net reads.

A text is numbers of its words, 0 for none.
"""

__all__ = [
    "TextBag",
    "TextConv",
    "TextGRU",
    "TextLSTM",
    "TextTransformer",
    "pair_numbers",
    "word_vectors",
]

from typing import Any

import torch
from torch import Tensor, nn

from manumatic.nets.sequence import (
    SequenceConv,
    SequenceGRU,
    SequenceLSTM,
    SequenceTransformer,
    pooled,
)


def word_vectors(count: int, width: int) -> nn.Embedding:
    """A vector a word, small at first; that of number 0, which is no word, is 0 and stays so."""
    vectors = nn.Embedding(count, width, padding_idx=0)
    with torch.no_grad():
        vectors.weight.mul_(0.1)
    return vectors


def pair_numbers(ids: Tensor, count: int) -> Tensor:
    """Neighbouring words (n, length) → numbers of their pairs, 1 to count - 1; 0 for none.

    Two pairs may share a number (hashing): among many vectors few of them matter.
    """
    first, second = ids[:, :-1], ids[:, 1:]
    mixed = (first * 1_000_003 + second) % (count - 1) + 1
    return mixed.masked_fill(second == 0, 0)


class TextBag(nn.Module):
    """Vectors of words and of pairs of words, in no order: mean and maximum, and a linear layer.

    The mean is that of Joulin et al. 2017, arXiv 1607.01759; the maximum finds the one word that
    says it all.

    Parameters
    ----------
    vocabulary, out_features : int
        Numbers of words, 0 for padding among them; numbers a prediction.
    width : int
        Numbers of a vector.
    pairs : int
        Vectors for pairs of neighbouring words; 0 looks at single words only.
    dropout : float
        Share of mean and maximum switched off in a training step.
    forget : float
        Share of the words left out in a training step.

    Examples
    --------
    >>> TextBag(100, 2)(torch.tensor([[5, 7, 2], [8, 0, 0]])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        vocabulary: int,
        out_features: int,
        width: int = 64,
        pairs: int = 2**15,
        dropout: float = 0.5,
        forget: float = 0.3,
    ) -> None:
        super().__init__()
        self.words = word_vectors(vocabulary, width)
        self.pairs = word_vectors(pairs, width) if pairs else None
        self.forget = nn.Dropout(forget)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, out_features))

    def forward(self, ids: Tensor) -> Tensor:
        """(n, length) of int64 → (n, out_features)."""
        mask = self.forget((ids != 0).float()) > 0
        vectors = self.words(ids)
        if self.pairs is not None:
            both = self.pairs(pair_numbers(ids, self.pairs.num_embeddings))
            vectors = torch.cat([vectors, both], 1)
            mask = torch.cat([mask, mask[:, :-1] & mask[:, 1:]], 1)
        return self.head(pooled(vectors, mask))


class TextGRU(nn.Module):
    """Vectors of words, read one after the other by a recurrent network.

    Parameters
    ----------
    vocabulary, out_features : int
        Numbers of words, 0 for padding among them; numbers a prediction.
    width : int
        Numbers of a vector.
    hidden : int
        Numbers a word inside the network that reads.
    layers : int
        Its layers.
    dropout : float
        Share of numbers switched off in a training step, of the vectors too.

    Examples
    --------
    >>> TextGRU(100, 2)(torch.tensor([[5, 7, 2], [8, 0, 0]])).shape
    torch.Size([2, 2])
    """

    reader: Any = SequenceGRU

    def __init__(
        self,
        vocabulary: int,
        out_features: int,
        width: int = 64,
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.words = word_vectors(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.read = self.reader(width, out_features, hidden, layers, dropout=dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """(n, length) of int64 → (n, out_features)."""
        return self.read.read(self.dropout(self.words(ids)), ids != 0)


class TextLSTM(TextGRU):
    """Vectors of words, read by an LSTM; parameters as :class:`TextGRU`."""

    reader = SequenceLSTM


class TextConv(TextGRU):
    """Vectors of words, read by convolutions; parameters as :class:`TextGRU`."""

    reader = SequenceConv


class TextTransformer(TextGRU):
    """Vectors of words, read by a transformer; parameters as :class:`TextGRU`."""

    reader = SequenceTransformer
