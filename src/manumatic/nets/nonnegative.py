"""A network whose weights are parts that are only added: non-negative matrix factorisation."""

__all__ = ["NonNegative", "nndsvd"]

import math

import torch
from torch import Tensor, nn

PASSES = 200  # of accelerated projected gradient; the error falls with their square


class NonNegative(nn.Module):
    """Rows as sums of parts: amounts times parts, neither below 0.

    The encoder has no weights: the amounts of a row are those that give it back best, found by
    accelerated projected gradient (Beck & Teboulle 2009). At such amounts the gradient of the error
    is that of the parts alone (Danskin's theorem), so descending it is descending in both. The
    parts are squares of the weights, and so never below 0. Where no start is given, the first batch
    of the training gives it (:func:`nndsvd`).

    Parameters
    ----------
    in_features : int
        Numbers a row, 0 or more each.
    code : int
        How many parts.

    Examples
    --------
    >>> net = NonNegative(4, code=2)
    >>> net.encode(torch.ones(3, 4)).min() >= 0, net(torch.ones(3, 4)).min() >= 0
    (tensor(True), tensor(True))
    """

    started: Tensor

    def __init__(self, in_features: int, code: int = 2) -> None:
        super().__init__()
        self.in_features = in_features
        self.code = code
        self.roots = nn.Parameter(torch.rand(code, in_features))
        self.register_buffer("started", torch.tensor(False))

    @property
    def parts(self) -> Tensor:
        """The parts, (code, in_features)."""
        return self.roots.square()

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(n, ...) → the best amounts of the parts, (n, code)."""
        parts = self.parts
        # parts of one length: the same best amounts in other units, found much faster
        lengths = parts.norm(dim=1).clamp(min=1e-12)
        parts = parts / lengths.unsqueeze(1)
        towards, among = x.flatten(1) @ parts.T, parts @ parts.T
        step = 1 / torch.linalg.matrix_norm(among, ord=2)
        amounts = ahead = (towards * step).clamp(min=0)
        speed = 1.0
        for _ in range(PASSES):
            before, amounts = amounts, (ahead + step * (towards - ahead @ among)).clamp(min=0)
            faster = (1 + math.sqrt(1 + 4 * speed**2)) / 2
            ahead = amounts + (speed - 1) / faster * (amounts - before)
            speed = faster
        return amounts / lengths

    def decode(self, code: Tensor) -> Tensor:
        """Amounts (n, code) → (n, in_features)."""
        return code @ self.parts

    def forward(self, x: Tensor) -> Tensor:
        """The sum of the parts, in the shape of x."""
        if self.training and not self.started:
            self.start_at(nndsvd(x.detach().flatten(1), self.code))
        return self.decode(self.encode(x)).reshape(x.shape)

    @torch.no_grad()
    def start_at(self, parts: Tensor) -> None:
        """Take parts (code, in_features) as they are."""
        self.roots.copy_(parts.sqrt())
        self.started.fill_(True)


def nndsvd(rows: Tensor, number: int) -> Tensor:
    """Parts to start from: what is positive in the singular vectors (Boutsidis & Gallopoulos 2008).

    Parameters
    ----------
    rows : Tensor (n, d)
        0 or more each.
    number : int
        How many parts, at most the smaller of n and d.

    Returns
    -------
    Tensor (number, d)
        Zeros are filled with the mean of all rows, else they would stay zeros.
    """
    left, sizes, right = torch.linalg.svd(rows, full_matrices=False)
    parts = []
    for i in range(number):
        sides = [(sign * left[:, i]).clamp(min=0) for sign in (1, -1)]
        beside = [(sign * right[i]).clamp(min=0) for sign in (1, -1)]
        weights = [u.norm() * v.norm() for u, v in zip(sides, beside, strict=True)]
        side = int(weights[1] > weights[0])
        direction = beside[side] / beside[side].norm().clamp(min=1e-12)
        parts.append((sizes[i] * weights[side]).sqrt() * direction)
    found = torch.stack(parts)
    return found.where(found > 1e-6, rows.mean())
