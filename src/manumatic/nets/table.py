"""Networks for rows of numbers."""

__all__ = ["MLP", "TableNet"]

from collections.abc import Sequence

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


class TableNet(nn.Module):
    """An MLP beside a linear path, fed with each number and two periodic readings of it.

    The periodic readings let it see spikes that a ReLU network learns late (Gorishniy et al. 2022,
    arXiv 2203.05556); the linear path starts the search at what a linear model could do.

    Parameters
    ----------
    in_features, out_features : int
        Numbers a row, numbers a prediction.
    hidden : int
        Width of the two hidden layers.
    dropout : float
        Share of hidden units switched off in a training step.
    frequency : float
        Standard deviation of the periodic readings' first frequencies, in cycles a unit of a scaled
        column.

    Examples
    --------
    >>> TableNet(4, 3)(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int = 128,
        dropout: float = 0.1,
        frequency: float = 0.2,
    ) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(2, in_features) * frequency)
        self.phases = nn.Parameter(torch.rand(2, in_features) * 2 * torch.pi)
        self.linear = nn.Linear(in_features, out_features)
        self.deep = nn.Sequential(
            nn.Linear(3 * in_features, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_features) → (n, out_features)."""
        angles = 2 * torch.pi * x.unsqueeze(1) * self.frequencies + self.phases
        return self.linear(x) + self.deep(torch.cat([x, torch.cos(angles).flatten(1)], dim=1))
