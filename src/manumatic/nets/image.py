"""Networks for images."""

__all__ = ["Block", "CNN", "ResNet", "by_pixel", "strides_of"]

from collections.abc import Sequence
from itertools import pairwise

import torch
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
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place == 0:
                x = by_pixel(x)
        return self.head(x)


def by_pixel(x: Tensor) -> Tensor:
    """The same numbers (n, c, h, w), those of a pixel side by side in memory.

    A CPU convolves them in two thirds of the time, and all that follows keeps the order. Of fewer
    than eight channels torch 2.13 ends the process on CPUs without AVX-512, in the gradient of a
    convolution of one pixel with a stride; these stay as they are.
    """
    return x if x.shape[1] < 8 else x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


class Block(nn.Module):
    """y = ReLU(x + F(x)): what two convolutions add to what was there (He et al. 2016, figure 2).

    Where the shape changes, x goes through a convolution of one pixel (their shortcut B).

    Parameters
    ----------
    before, after : int
        Channels of x and of y.
    stride : int
        2 halves both sides.

    Examples
    --------
    >>> import torch
    >>> Block(8, 16, stride=2)(torch.zeros(3, 8, 7, 7)).shape
    torch.Size([3, 16, 4, 4])
    """

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Sequential()
        if before != after or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(after),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, after, h / stride, w / stride), rounded up."""
        return torch.relu(self.shortcut(x) + self.change(x))


class ResNet(nn.Module):
    """A residual network that is as deep as its images are large (He et al., arXiv:1512.03385).

    A first convolution, stages of blocks, the mean over positions, a linear layer. Each stage has
    twice the channels of what comes before it and, but for the first of a small image, half the
    sides; the last one leaves 7 x 7 or less. Images above 32 x 32 are halved once or twice by the
    first convolution.

    Parameters
    ----------
    in_shape : (int, int, int)
        Channels, height and width of an image.
    out_features : int
        Numbers a prediction.
    width : int
        Channels of the first convolution.
    blocks : int
        Blocks a stage.
    dropout : float
        Share of the last features switched off in a training step.

    Examples
    --------
    >>> import torch
    >>> ResNet((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        width: int = 16,
        blocks: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, *sides = in_shape
        first, *strides = strides_of(min(sides))
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 2 * first + 1, stride=first, padding=first, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        stages: list[nn.Module] = []
        for stride in strides:
            stages += [Block(width, 2 * width, stride)]
            width = 2 * width
            stages += [Block(width, width) for _ in range(blocks - 1)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(width, out_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) → (n, out_features)."""
        return self.head(self.stages(by_pixel(self.stem(x))))


def strides_of(side: int) -> list[int]:
    """Strides of the first convolution and of each stage, for images of so many pixels a side.

    Examples
    --------
    >>> strides_of(8), strides_of(28), strides_of(224)
    ([1, 1, 2], [1, 2, 2], [4, 2, 2, 2])
    """
    first = 1
    while side > 32 * first and first < 4:
        first *= 2
    side = -(-side // first)
    strides = [1 if side <= 16 else 2]
    side = -(-side // strides[0])
    while len(strides) < 2 or side > 7:
        strides.append(2)
        side = -(-side // 2)
    return [first, *strides]
