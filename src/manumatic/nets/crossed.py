"""The table net that judges itself: cross-validation inside one net."""

__all__ = ["Apart", "CrossedNet", "PARTS", "Unseen"]

import math
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.nets.table import Members, TableNet

PARTS = 8  # of the training rows; each member leaves one of them out
PRIME, FACTOR = 2**31 - 1, 48271


class Apart(Members):
    """A linear layer whose members have weights of their own: what one learns, no other knows.

    Parameters
    ----------
    members, in_features, out_features : int
    """

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__(members, in_features, out_features)
        weight = torch.randn(members, out_features, in_features)
        self.weight = nn.Parameter(weight / math.sqrt(in_features))

    def seen(self, x: Tensor) -> Tensor:
        """Outputs by which weights and biases begin: of each member by itself."""
        outputs: Tensor = self(x)
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        """(n, members or 1, in_features) → (n, members, out_features)."""
        return torch.einsum("nki,koi->nko", x * self.scale, self.weight) + self.bias


class CrossedNet(TableNet):
    """A table net each of whose members leaves an eighth of the training rows out.

    So all rows train, and each can still be judged by members that did not learn from it: where to
    stop and how sure to be is decided by as many rows as there are. Only how numbers are read is
    learned together. Parameters are those of :class:`TableNet`.

    Examples
    --------
    >>> net = CrossedNet(4, 3, members=8).eval()
    >>> rows = torch.rand(5, 4)
    >>> net(rows).shape, net(rows, unseen=True).shape
    (torch.Size([5, 3]), torch.Size([5, 3]))
    """

    layer = Apart

    @property
    def parts(self) -> Tensor:
        """(members,) the part of the rows that each leaves out."""
        members = torch.arange(len(self.head.bias), device=self.head.bias.device)
        return members % min(PARTS, len(members))

    def part_of(self, x: Tensor) -> Tensor:
        """(n, in_features) → (n,): the numbers in a row decide, so equal rows are in one part."""
        columns = torch.arange(1, x.shape[1] + 1, device=x.device)
        codes = (x * 1024).round().long() * ((FACTOR * columns) ** 2 % PRIME)
        return codes.sum(dim=1) % PRIME % min(PARTS, len(self.head.bias))

    def left_out(self, x: Tensor) -> Tensor:
        """(n, in_features) → (n, members, 1): whether a member leaves a row out."""
        return (self.part_of(x).unsqueeze(1) == self.parts).unsqueeze(2)

    def forward(self, x: Tensor, unseen: bool = False, whole: bool = False) -> Tensor:
        """(n, in_features) → (n, members, out_features); in evaluation their mean.

        With ``unseen`` it is the mean of the members that left a row out. ``whole`` asks all
        members about all rows for it: several times the work, but no shape depends on values,
        which ``torch.func.vmap`` cannot have.
        """
        if not (self.training or unseen):
            return super().forward(x)
        if not (self.training or whole):
            return self.within(self._unseen(x))
        answers, away = self.answers(self.read(x)), self.left_out(x)
        if self.training:
            return torch.where(away, answers.detach(), answers)  # what is detached teaches nothing
        return self.within((answers * away).sum(dim=1) / away.sum(dim=1))

    def _unseen(self, x: Tensor) -> Tensor:
        """(n, in_features) → (n, out_features): each member answers for its own part only.

        The rows of a part stand in a column of their own; where it ends early, row 0 fills it.
        """
        part, own = self.part_of(x), self.parts
        inside = part.unsqueeze(1) == own.unique()
        place = (inside.cumsum(dim=0) - 1)[inside]
        rows = part.new_zeros(int(place.max()) + 1, inside.shape[1])
        rows[place, part] = torch.arange(len(x), device=x.device)
        answers = self.answers(self.read(x)[rows[:, own], 0])
        told = answers.new_zeros(*rows.shape, answers.shape[2]).index_add(1, own, answers)
        return told[place, part] / own.bincount()[part].unsqueeze(1)


class Unseen:
    """A net as it is judged on rows that it is trained on: by members that left them out.

    Parameters
    ----------
    net : CrossedNet
    """

    def __init__(self, net: Any) -> None:
        self.net = net

    def __call__(self, x: Tensor) -> Tensor:
        """(n, in_features) → (n, out_features)."""
        answers: Tensor = self.net(x, unseen=True)
        return answers

    def __getattr__(self, name: str) -> Any:
        """All else is the net's own: its mode, its weights."""
        return getattr(self.net, name)
