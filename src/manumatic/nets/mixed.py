"""One network for rows of several kinds at once: numbers, texts and images."""

__all__ = ["MixedNet"]

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from manumatic.nets.image import CNN
from manumatic.nets.table import TableNet
from manumatic.nets.text import TextBag


class MixedNet(nn.Module):
    """One encoder for each text and each image of a row; the table net reads what they say.

    A row is one line of numbers: those of the table, then the numbers of the words of each text (0
    where there is none), then for each image whether it is there, and its pixels. Texts are read by
    a :class:`TextBag`, images by a :class:`CNN`. What each says has as many numbers as any other,
    of mean 0 and spread 1, and stands beside the numbers of the table in the row that the
    :class:`TableNet` gets.

    Parameters
    ----------
    out_features : int
        Numbers a prediction.
    table : int
        Numbers of the table.
    texts : sequence of (vocabulary, words)
        Of each text: how many words are known, padding among them, and how many are read.
    images : sequence of (channels, height, width)
        Of each image.
    width : int
        Numbers that each encoder says.
    numeric : sequence of int, optional
        Numbers of the table that are no flags. None means all.
    hidden, members, bins, dropout
        Of the :class:`TableNet`.

    Examples
    --------
    >>> net = MixedNet(1, table=3, texts=[(100, 5)], images=[(3, 8, 8)], members=2)
    >>> row = torch.cat([torch.zeros(2, 3 + 5), torch.ones(2, 1), torch.zeros(2, 3 * 8 * 8)], 1)
    >>> net(row).shape, net.eval()(row).shape
    (torch.Size([2, 2, 1]), torch.Size([2, 1]))
    """

    answers_apart = True  # in training, one answer of each member

    def __init__(
        self,
        out_features: int,
        table: int = 0,
        texts: Sequence[tuple[int, int]] = (),
        images: Sequence[tuple[int, int, int]] = (),
        width: int = 32,
        numeric: Sequence[int] | None = None,
        hidden: int = 128,
        members: int = 8,
        bins: int = 16,
        dropout: float = 0.15,
    ) -> None:
        super().__init__()
        self.shapes = [tuple(shape) for shape in images]
        self.widths = [table, *(steps for _, steps in texts)]
        self.widths += [1 + math.prod(shape) for shape in self.shapes]
        self.texts = nn.ModuleList(
            TextBag(vocabulary, width, pairs=2**12, dropout=0.1, forget=0.1)
            for vocabulary, _ in texts
        )
        self.images = nn.ModuleList(CNN(channels, width, width=8) for channels, _, _ in images)
        encoders = len(self.texts) + len(self.images)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(encoders))
        self.table = TableNet(
            table + encoders * width,
            out_features,
            hidden,
            members=members,
            dropout=dropout,
            bins=bins,
            numeric=range(table) if numeric is None else numeric,
        )

    @torch.no_grad()
    def initialise(self, X: Tensor, y: Tensor | None = None) -> None:
        """Begin where the training rows suggest, as :meth:`TableNet.initialise` does.

        Parameters
        ----------
        X : Tensor (n, numbers of a row)
            At most 1,024 of them are looked at.
        y : Tensor (n,) or (n, out_features), optional
        """
        training = self.training
        self.eval()  # batch norm and dropout wait for the first step
        self.table.initialise(self.read(X[:: -(-len(X) // 1024)]), y)
        self.train(training)

    def read(self, x: Tensor) -> Tensor:
        """(n, numbers of a row) → what the table net gets, (n, table + width · encoders)."""
        numbers, *blocks = x.split(self.widths, dim=1)
        ids, pictures = blocks[: len(self.texts)], blocks[len(self.texts) :]
        said = [read(words.long()) for read, words in zip(self.texts, ids, strict=True)]
        for read, shape, block in zip(self.images, self.shapes, pictures, strict=True):
            said.append(read(block[:, 1:].unflatten(1, shape)))
        said = [norm(vector) for norm, vector in zip(self.norms, said, strict=True)]
        for place, block in enumerate(pictures, len(ids)):
            said[place] = said[place] * block[:, :1]  # no picture says nothing
        return torch.cat([numbers, *said], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, numbers of a row) → (n, members, out_features); in evaluation their mean."""
        return self.table(self.read(x))
