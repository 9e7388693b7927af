"""Networks for sequences (n, steps, features): convolution, GRU, LSTM, transformer.

A step that is not there is NaN in all features. It is never packed away (PyTorch cannot export
that) but masked: a row says the same alone and beside longer ones.
"""

__all__ = [
    "Attention",
    "SequenceConv",
    "SequenceGRU",
    "SequenceLSTM",
    "SequenceTransformer",
    "Steps",
    "last_of",
    "pooled",
    "real_steps",
    "waves",
]

import math
from typing import Any

import torch
from torch import Tensor, nn


def real_steps(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n, steps, features) with 0 for steps that are not there, and which are (n, steps)."""
    mask = ~x[..., 0].isnan()
    return x.masked_fill(~mask.unsqueeze(-1), 0.0), mask


def pooled(x: Tensor, mask: Tensor) -> Tensor:
    """Mean and largest number over the steps that are there: (n, steps, k) → (n, 2k)."""
    there = mask.unsqueeze(-1)
    mean = (x * there).sum(1) / there.sum(1).clamp(min=1)
    most = x.masked_fill(~there, -math.inf).amax(1)
    return torch.cat([mean, most.where(mask.any(1, keepdim=True), 0.0)], 1)  # no step: all 0


def last_of(x: Tensor, mask: Tensor) -> Tensor:
    """The last step that is there: (n, steps, k) → (n, k)."""
    numbers = torch.arange(mask.shape[1], device=x.device)
    place = (mask * numbers).amax(1).view(-1, 1, 1)
    return x.gather(1, place.expand(-1, 1, x.shape[2])).squeeze(1)


class Steps(nn.Module):
    """What reads steps: the networks below say how (``read``), given which steps are there."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, steps, in_features), NaN where there is no step → (n, out_features)."""
        return self.read(*real_steps(x))

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Steps (n, steps, in_features), and which are there → (n, out_features)."""
        raise NotImplementedError  # each network reads in its own way


class SequenceGRU(Steps):
    """A gated recurrent network; its last state, and mean and maximum of all, decide.

    Cho et al. 2014, arXiv 1406.1078. Padding stands behind the steps, where it changes no state
    that is looked at.

    Parameters
    ----------
    in_features, out_features : int
        Numbers a step, numbers a prediction.
    hidden : int
        Numbers of the state.
    layers : int
        Recurrent layers on top of each other.
    dropout : float
        Share of what is read off the states that is switched off in a training step.

    Examples
    --------
    >>> SequenceGRU(3, 2)(torch.zeros(4, 10, 3)).shape
    torch.Size([4, 2])
    """

    layer: Any = nn.GRU

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.recurrent = self.layer(in_features, hidden, layers, batch_first=True, dropout=between)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(3 * hidden, out_features))

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Steps (n, steps, in_features), and which are there → (n, out_features)."""
        states = self.recurrent(x)[0]
        return self.head(torch.cat([last_of(states, mask), pooled(states, mask)], 1))


class SequenceLSTM(SequenceGRU):
    """A recurrent network with long short-term memory; parameters as :class:`SequenceGRU`.

    Hochreiter & Schmidhuber 1997.

    Examples
    --------
    >>> SequenceLSTM(3, 2)(torch.zeros(4, 10, 3)).shape
    torch.Size([4, 2])
    """

    layer = nn.LSTM


class SequenceConv(Steps):
    """Residual convolutions over the steps, each seeing twice as far; mean and maximum decide.

    After Bai, Kolter & Koltun 2018, arXiv 1803.01271, looking both ways.

    Parameters
    ----------
    in_features, out_features : int
        Numbers a step, numbers a prediction.
    hidden : int
        Channels.
    layers : int
        Convolutions; the i-th skips 2ⁱ − 1 steps between those that it sees.
    kernel : int
        Steps that one convolution sees; odd.
    dropout : float
        Share of channels switched off in a training step.

    Examples
    --------
    >>> SequenceConv(3, 2)(torch.zeros(4, 10, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int = 64,
        layers: int = 3,
        kernel: int = 5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(in_features, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.blocks = nn.ModuleList(
            nn.Conv1d(hidden, hidden, kernel, padding=2**i * (kernel // 2), dilation=2**i)
            for i in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3 * hidden, out_features)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Steps (n, steps, in_features), and which are there → (n, out_features)."""
        there = mask.unsqueeze(-1)
        x = self.enter(x)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            seen = torch.relu(norm(x)) * there  # beyond the last step a convolution sees 0
            x = x + self.dropout(block(seen.transpose(1, 2)).transpose(1, 2))
        return self.head(torch.cat([last_of(x, mask), pooled(x, mask)], 1))


class Attention(nn.Module):
    """Each step looks at all steps that are there; then a small network of its own.

    Vaswani et al. 2017, arXiv 1706.03762, with the norms first.

    Parameters
    ----------
    width : int
        Numbers a step.
    heads : int
        Looks at a time; they share the width.
    dropout : float
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.together = nn.Linear(width, width)
        self.deep = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, steps, width), and which steps are there → (n, steps, width)."""
        n, steps, width = x.shape
        parts = self.query_key_value(self.before(x)).view(n, steps, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (n, heads, steps, k)
        likeness = query @ key.transpose(2, 3) / math.sqrt(width // self.heads)
        share = likeness.masked_fill(~mask.view(n, 1, 1, steps), -math.inf).softmax(3)
        seen = (self.dropout(share) @ value).transpose(1, 2).reshape(n, steps, width)
        x = x + self.dropout(self.together(seen))
        return x + self.dropout(self.deep(self.between(x)))


class SequenceTransformer(Steps):
    """Blocks of attention over the steps; mean and maximum decide.

    Parameters
    ----------
    in_features, out_features : int
        Numbers a step, numbers a prediction.
    hidden : int
        Numbers of a step inside; a multiple of 2 · heads.
    layers : int
        Blocks.
    heads : int
        Looks at a time of a block.
    dropout : float
        Share of numbers and looks switched off in a training step.

    Examples
    --------
    >>> SequenceTransformer(3, 2)(torch.zeros(4, 10, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int = 64,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(in_features, hidden)
        self.blocks = nn.ModuleList(Attention(hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(3 * hidden, out_features)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Steps (n, steps, in_features), and which are there → (n, out_features)."""
        x = self.enter(x)
        numbers = torch.arange(x.shape[1], device=x.device)
        x = x + waves(numbers, x.shape[2])
        looked_at = mask | (numbers == 0)  # a row without steps looks at nothing, which is no share
        for block in self.blocks:
            x = block(x, looked_at)
        x = self.norm(x)
        return self.head(torch.cat([last_of(x, mask), pooled(x, mask)], 1))


def waves(numbers: Tensor, width: int) -> Tensor:
    """Places in a row (steps,) as sines and cosines of many lengths (steps, width)."""
    lengths = torch.arange(0, width, 2, device=numbers.device) * (-math.log(10_000) / width)
    angles = numbers.unsqueeze(1) * lengths.exp()
    return torch.cat([angles.sin(), angles.cos()], 1)
