"""Networks for rows of numbers."""

__all__ = ["Bend", "EachMember", "Heads", "MLP", "Members", "Numbers", "TableNet"]

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


class MLP(nn.Sequential):
    """Linear layers with ReLU between them: the network that every course starts with.

    Parameters
    ----------
    in_features, out_features : int
        Numbers a row, numbers a prediction.
    hidden : int or sequence of int
        Width of each hidden layer.
    dropout : float
        Share of hidden units switched off in a training step.

    Examples
    --------
    >>> MLP(4, 3, hidden=8)(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int | Sequence[int] = 64,
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        for width in [hidden] if isinstance(hidden, int) else hidden:
            layers += [nn.Linear(in_features, width), nn.ReLU()]
            if dropout > 0:
                layers += [nn.Dropout(dropout)]
            in_features = width
        super().__init__(*layers, nn.Linear(in_features, out_features))


class Numbers(nn.Module):
    """Each number as several: itself, three periodic readings and four piecewise-linear ones.

    A network of plain linear layers learns spikes and steps of a column late. Both readings show
    them to it at once (Gorishniy et al. 2022, arXiv:2203.05556): cosines of learned frequencies, as
    RealMLP has them (arXiv:2407.04491, "PBLD"), and the share of each quantile bin that lies below
    the number, as TabM has it (arXiv:2410.24210, "PLE").

    Parameters
    ----------
    columns : int
        Numbers a row.
    frequencies, bins : int
        Cosines and bins of each number.
    spread : float
        Standard deviation of the first frequencies, in cycles a unit.
    """

    edges: Tensor

    def __init__(self, columns: int, frequencies: int, bins: int, spread: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(columns, frequencies) * spread)
        self.phases = nn.Parameter((torch.rand(columns, frequencies) * 2 - 1) * torch.pi)
        self.periodic = nn.Parameter(_uniform(frequencies, columns, frequencies, 3))
        self.shift = nn.Parameter(_uniform(frequencies, columns, 3))
        self.piecewise = nn.Parameter(_uniform(bins, columns, bins, 4))
        self.register_buffer("edges", torch.linspace(-3, 3, bins + 1).repeat(columns, 1))

    @property
    def width(self) -> int:
        """Numbers that come out for one row."""
        return len(self.frequencies) * 8

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Put the edges of the bins at the quantiles of training rows (n, columns)."""
        shares = torch.linspace(0, 1, self.edges.shape[1])
        for edges, column in zip(self.edges, x.T, strict=True):
            edges.copy_(torch.quantile(column, shares))

    def forward(self, x: Tensor) -> Tensor:
        """(n, columns) → (n, 8 · columns)."""
        angles = 2 * torch.pi * x.unsqueeze(-1) * self.frequencies + self.phases
        waves = torch.einsum("nci,cio->nco", torch.cos(angles), self.periodic) + self.shift
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        empty = high - low < 1e-6  # where one value fills several bins
        shares = ((x.unsqueeze(-1) - low) / (high - low).masked_fill(empty, 1.0)).clamp(0, 1)
        steps = torch.einsum("nci,cio->nco", shares.masked_fill(empty, 0.0), self.piecewise)
        return torch.cat([x, waves.flatten(1), steps.flatten(1)], dim=1)


def _uniform(inputs: int, *shape: int) -> Tensor:
    """U(±1/√inputs), as torch begins its linear layers."""
    return (torch.rand(shape) * 2 - 1) / math.sqrt(inputs)


class Members(nn.Module):
    """A linear layer that members share, each with a scale of its own for every input.

    y = W (r · x) + b with r and b a member's own: BatchEnsemble (Wen et al. 2020,
    arXiv:2002.06715) as TabM uses it, without the scale of outputs.

    Parameters
    ----------
    members, in_features, out_features : int
    """

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / math.sqrt(in_features))
        self.scale = nn.Parameter(torch.ones(members, in_features))
        self.bias = nn.Parameter(torch.zeros(members, out_features))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """For rows (n, members, inputs): outputs of spread 1, kinks where rows are.

        The bias is minus a random mean of five outputs (RealMLP's "he+5"): each unit begins to
        bend at a place where there are rows.
        """
        self.weight.div_(self.seen(x).std(dim=0).clamp(min=1e-6).unsqueeze(-1))
        outputs = self.seen(x)
        five = torch.randint(len(outputs), (5, *outputs.shape[1:]))
        shares = torch.empty(five.shape).exponential_()
        self.bias.sub_((shares / shares.sum(dim=0) * outputs.gather(0, five)).sum(dim=0))

    def seen(self, x: Tensor) -> Tensor:
        """Outputs by which weights and biases begin: of all members together, which share them."""
        return self(x).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, members, in_features) → (n, members, out_features)."""
        return nn.functional.linear(x * self.scale, self.weight) + self.bias


class Heads(nn.Module):
    """A last linear layer for each member.

    Parameters
    ----------
    members, in_features, out_features : int
    """

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        weight = torch.randn(members, in_features, out_features)
        self.weight = nn.Parameter(weight / math.sqrt(in_features))
        self.bias = nn.Parameter(torch.zeros(members, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """(n, members, in_features) → (n, members, out_features)."""
        return torch.einsum("nki,kio->nko", x, self.weight) + self.bias


class Bend(nn.Module):
    """x + a · (silu(x) - x), with a learned for each unit: how much it bends.

    RealMLP bends with Mish, which looks the same and costs three times as much on a CPU.

    Parameters
    ----------
    features : int
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bend = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """(…, features) → the same shape."""
        return x + self.bend * (nn.functional.silu(x) - x)


class TableNet(nn.Module):
    """The default for tables: RealMLP's recipe with TabM's members, sized for a laptop.

    Numbers are read in three ways (:class:`Numbers`), flags and categories as they are; a learned
    scale in front chooses among them; then linear layers that several members share
    (:class:`Members`), each unit with a bend of its own (:class:`Bend`). In training the members
    answer apart and each has its own loss (:class:`EachMember`); in evaluation they answer with
    their mean. Holzmüller et al. 2024, arXiv:2407.04491 (RealMLP); Gorishniy et al. 2024,
    arXiv:2410.24210 (TabM).

    RealMLP writes a linear layer as W x / √inputs ("NTK parametrisation"). Here the root is in the
    initial weights, as is usual, and in their learning rates: to Adam both are the same.

    Parameters
    ----------
    in_features, out_features : int
        Numbers a row, numbers a prediction.
    hidden, depth : int
        Width and number of the hidden layers.
    members : int
        Predictors in one net.
    dropout : float or (float, float)
        Share of hidden units switched off in a training step; of two, the first is that of the
        first half of training, from which it falls to the second.
    frequencies, bins : int
        Of each number; see :class:`Numbers`.
    spread : float
        Standard deviation of the first frequencies, in cycles a unit of a scaled column.
    numeric : sequence of int, optional
        Features that are numbers rather than flags. None means all.

    Examples
    --------
    >>> net = TableNet(4, 3, members=2)
    >>> net(torch.zeros(5, 4)).shape, net.eval()(torch.zeros(5, 4)).shape
    (torch.Size([5, 2, 3]), torch.Size([5, 3]))
    """

    answers_apart = True  # in training, one answer of each member
    layer: type[Members] = Members
    numeric: Tensor
    flags: Tensor
    lowest: Tensor
    highest: Tensor
    layers: Any
    bends: Any

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int = 128,
        depth: int = 2,
        members: int = 8,
        dropout: float | Sequence[float] = 0.15,
        frequencies: int = 16,
        bins: int = 16,
        spread: float = 0.1,
        numeric: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        numeric = range(in_features) if numeric is None else numeric
        flags = [place for place in range(in_features) if place not in set(numeric)]
        self.register_buffer("numeric", torch.tensor(list(numeric), dtype=torch.long))
        self.register_buffer("flags", torch.tensor(flags, dtype=torch.long))
        self.numbers = Numbers(len(numeric), frequencies, bins, spread)
        width = len(flags) + self.numbers.width
        self.scale = nn.Parameter(torch.ones(width))
        widths = [width] + [hidden] * depth
        self.layers = nn.ModuleList(self.layer(members, a, b) for a, b in pairwise(widths))
        self.bends = nn.ModuleList(Bend(hidden) for _ in range(depth))
        nn.init.normal_(self.layers[0].scale)  # members differ by what they see of a row
        self.rates = (dropout, dropout) if isinstance(dropout, int | float) else tuple(dropout)
        self.dropout = nn.Dropout(self.rates[0])
        self.head = Heads(members, hidden, out_features)
        self.register_buffer("lowest", torch.full((out_features,), -math.inf))
        self.register_buffer("highest", torch.full((out_features,), math.inf))

    @torch.no_grad()
    def initialise(self, X: Tensor, y: Tensor | None = None) -> None:
        """Begin where the training rows suggest.

        Parameters
        ----------
        X : Tensor (n, in_features)
            At most 4,096 of them are looked at.
        y : Tensor (n,) or (n, out_features), optional
            What outputs are compared with as they are; predictions stay between its extremes.
        """
        if y is not None:
            y = y.reshape(len(y), -1)
            self.lowest.copy_(y.amin(dim=0))
            self.highest.copy_(y.amax(dim=0))
        X = X[:: -(-len(X) // 4096)]
        self.numbers.initialise(X[:, self.numeric])
        x = self.read(X)
        for layer, bend in zip(self.layers, self.bends, strict=True):
            layer.initialise(x)
            x = bend(layer(x))
        self.head.weight.div_(self.head(x).flatten(0, 1).std(dim=0).clamp(min=1e-6))

    @property
    def falls(self) -> bool:
        """Whether the dropout rate changes in training."""
        return self.rates[0] != self.rates[1]

    def drop(self, share: float) -> None:
        """Set the dropout rate between the last (share 0) and the first (share 1)."""
        first, last = self.rates
        self.dropout.p = last + (first - last) * share

    def read(self, x: Tensor) -> Tensor:
        """(n, in_features) → (n, 1, width): the same for all members."""
        read = torch.cat([x[:, self.flags], self.numbers(x[:, self.numeric])], dim=1)
        return (read * self.scale).unsqueeze(1)

    def answers(self, x: Tensor) -> Tensor:
        """What was read of rows (n, 1 or members, width) → (n, members, out_features)."""
        for layer, bend in zip(self.layers, self.bends, strict=True):
            x = bend(layer(x))
            x = x * self.dropout(torch.ones_like(x[:, :1]))  # one draw for all: draws are dear
        told: Tensor = self.head(x)
        return told

    def within(self, outputs: Tensor) -> Tensor:
        """Outputs (n, out_features), none beyond the extremes of the training targets."""
        return torch.clamp(outputs, self.lowest, self.highest)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_features) → (n, members, out_features); in evaluation their mean."""
        answers = self.answers(self.read(x))
        return answers if self.training else self.within(answers.mean(dim=1))


class EachMember(nn.Module):
    """The mean of the members' own losses; the loss of their mean would make them lean on others.

    Parameters
    ----------
    loss : callable
        On outputs (n, out_features) and targets; a mean over rows.
    """

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.loss = loss

    @property
    def reduction(self) -> str:
        """That of the loss, where it has one."""
        return str(self.loss.reduction)

    @reduction.setter
    def reduction(self, value: str) -> None:
        self.loss.reduction = value

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """One number for outputs (n, members, out_features), or (n, out_features) of their mean."""
        if prediction.ndim == 2:
            return self.loss(prediction, target)
        members = prediction.shape[1]
        found = self.loss(prediction.flatten(0, 1), target.repeat_interleave(members, dim=0))
        return found.unflatten(0, (-1, members)).mean(dim=1) if found.ndim else found
