"""Estimators inside an estimator: what they answer, and where their labels go."""

__all__ = ["Inside", "Members", "Spread", "first_of", "inside", "places"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.convert.border import Column
from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build


class Inside(nn.Module):
    """A piece inside a piece, and the values of the labels that it predicts.

    Parameters
    ----------
    piece : Piece
    """

    def __init__(self, piece: Piece) -> None:
        super().__init__()
        self.piece = piece
        several = isinstance(piece.classes, list)
        self.targets = len(piece.classes) if several else 1
        for i, classes in enumerate(piece.classes if several else [piece.classes]):
            self.register_buffer(f"values{i}", _numbers(classes))

    def forward(self, x: Tensor) -> Tensor:
        """The raw outputs of the piece."""
        return self.piece(x)

    def call(self, method: str, x: Tensor) -> Any:
        """What the piece answers; ``predict`` gives the values of labels, not their numbers."""
        return self.predict(x) if method == "predict" else self.piece.call(method, x)

    def predict(self, x: Tensor) -> Tensor:
        """Predictions (n,) or (n, targets), as numbers of the type of x."""
        found = self.piece.call("predict", x)
        if self.piece.classes is None:
            return found.to(x.dtype)
        if self.targets == 1 and found.ndim == 1:
            return self._values(0, x)[found]
        columns = [self._values(i, x)[found[:, i]] for i in range(self.targets)]
        return torch.stack(columns, 1)

    def positive(self, method: str, x: Tensor) -> Tensor:
        """One column (n,) of a classifier of two classes: how much speaks for the second."""
        found = self.call(method, x)
        return found[:, 1] if method in ("predict_proba", "predict_log_proba") else found

    def _values(self, i: int, x: Tensor) -> Tensor:
        return getattr(self, f"values{i}").to(x.dtype)


def _numbers(classes: Any) -> Tensor | None:
    """Labels as numbers; None where there are none, or words, which scikit-learn cannot count."""
    try:
        return torch.tensor(np.asarray(classes, np.float64)) if classes is not None else None
    except ValueError:
        return None


class Members(nn.ModuleList):
    """Estimators inside an estimator."""

    def all(self) -> list[Inside]:
        """In their order."""
        return [member for member in self if isinstance(member, Inside)]


def inside(
    estimators: Sequence[Any], build: Build, columns: Sequence[Column] | None = None
) -> Members:
    """Estimators inside an estimator, each on the same columns."""
    return Members(Inside(build.convert(each, columns)) for each in estimators)


def first_of(fitted: Any, *methods: str) -> str:
    """The first of the methods that the estimator has, as scikit-learn looks for it."""
    return next(method for method in methods if hasattr(fitted, method))


def places(classes: Any, among: Any) -> Tensor:
    """Where the labels of an estimator inside (k,) stand among those of the outer one."""
    where = {value: place for place, value in enumerate(np.asarray(among).tolist())}
    return torch.tensor([where[value] for value in np.asarray(classes).tolist()])


class Spread(nn.Module):
    """Columns put where they belong among more columns; the others are filled.

    Parameters
    ----------
    target : sequence of int (k,)
        The place of each column.
    width : int
    fill : float
    """

    source: Tensor

    def __init__(self, target: Sequence[int] | Tensor, width: int, fill: float = 0.0) -> None:
        super().__init__()
        source = torch.full((width,), len(target))  # the column behind the last: the filling
        source[torch.as_tensor(target)] = torch.arange(len(target))
        self.register_buffer("source", source)
        self.fill = fill

    def forward(self, x: Tensor) -> Tensor:
        """(n, k) → (n, width)."""
        filling = torch.full_like(x[:, :1], self.fill)
        return torch.cat([x, filling], 1).index_select(1, self.source)
