"""Networks for images."""

__all__ = ["CNN"]

from itertools import pairwise

from torch import Tensor, nn


class CNN(nn.Module):
    """Three blocks of convolution, batch norm and ReLU; the mean over positions; a linear layer.

    Parameters
    ----------
    in_channels, out_features : int
        Channels of an image, numbers a prediction.
    width : int
        Channels of the first block; each next one has twice as many.
    dropout : float
        Share of the last features switched off in a training step.

    Examples
    --------
    >>> import torch
    >>> CNN(1, 10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, in_channels: int, out_features: int, width: int = 16, dropout: float = 0.1
    ) -> None:
        super().__init__()
        widths = [in_channels, width, 2 * width, 4 * width]
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks += [
                nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
        self.features = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(16 * width, out_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, height, width) → (n, out_features)."""
        return self.head(self.features(x))
