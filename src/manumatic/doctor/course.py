"""A course: what a run looked like, as values; and the loss that takes no model at all."""

__all__ = ["Course", "CourseCheck", "chance"]

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.doctor.finding import Finding
from manumatic.history import History
from manumatic.parts.loss import Weighted, bare


@dataclass(frozen=True)
class Course:
    """What a run looked like at one moment: while it goes on, or at its end.

    Attributes
    ----------
    history : History
        Rows of the training loss and, where rows are held out, of the validation loss.
    epochs : int
        How many were asked for.
    ended : "epochs", "patience", "diverged" or "running"
    keep : "last" or "best"
        Which weights are kept; with patience the best are.
    best_epoch : int
        The epoch whose weights are kept, -1 where there is none.
    n_train, n_valid, n_weights : int
        Rows, and numbers that are trained; 0 where that is not known.
    batch_size : int
    lr, final_lr : float
        Learning rate of the first step and of the last.
    optimizer : str
        Name of the class.
    limit : float or None
        Stability limit of the learning rate, where there is one.
    chance, valid_chance : float or None
        What :func:`chance` returns for the training rows, and for the rows held out.
    kind : "regression", "binary", "multiclass" or "multilabel"
    prepared : bool
        The columns are scaled by manumatic.
    """

    history: History
    epochs: int
    ended: str = "epochs"
    keep: str = "last"
    best_epoch: int = -1
    n_train: int = 0
    n_valid: int = 0
    n_weights: int = 0
    batch_size: int = 0
    lr: float = 0.0
    final_lr: float = 0.0
    optimizer: str = "SGD"
    limit: float | None = None
    chance: float | None = None
    valid_chance: float | None = None
    kind: str = "regression"
    prepared: bool = False

    @functools.cached_property
    def train(self) -> list[float]:
        """The training loss of each epoch."""
        return [value for _, value in self.history.curve("loss", "train")]

    @functools.cached_property
    def valid(self) -> list[float]:
        """The validation loss of each epoch, empty where no rows are held out."""
        return [value for _, value in self.history.curve("loss", "valid")]

    @property
    def finished(self) -> bool:
        """Whether it came to an end of its own."""
        return self.ended in ("epochs", "patience")


CourseCheck = Callable[[Course], Iterator[Finding]]


@torch.no_grad()
def chance(
    loss: Any, y: Tensor, weight: Tensor | None = None, *, on: tuple[Tensor, ...] | None = None
) -> float | None:
    """The loss of the best prediction that is the same for every row.

    It is the mean of y for the squared error (the loss is then the variance of y), the median for
    the absolute error, and the shares of the classes for cross entropy (the loss is then their
    entropy).

    Parameters
    ----------
    loss : callable
        As it trains: the mean over rows.
    y : Tensor (n, ...)
        Training targets as the loss takes them.
    weight : Tensor (n,), optional
    on : tuple of Tensor, optional
        Targets (and weights) of other rows, on which the constant is then judged.

    Returns
    -------
    float or None
        None where no formula is known for the constant.

    Examples
    --------
    >>> chance(nn.MSELoss(), torch.tensor([52.0, 59, 66, 73, 80]))
    98.0
    >>> round(chance(nn.CrossEntropyLoss(), torch.tensor([0, 0, 0, 1])), 4)
    0.5623
    """
    plain = bare(loss)
    if getattr(plain, "reduction", "") != ("none" if isinstance(loss, Weighted) else "mean"):
        return None
    constant = _best_constant(plain, y, weight)
    if constant is None:
        return None
    rows = on or ((y,) if weight is None else (y, weight))
    prediction = constant.to(y.dtype if y.is_floating_point() else torch.float32)
    return float(loss(prediction.expand(len(rows[0]), *prediction.shape), *rows))


def _best_constant(loss: Any, y: Tensor, weight: Tensor | None) -> Tensor | None:
    kind = type(loss)
    if kind is nn.CrossEntropyLoss:
        return _log_shares(loss, y, weight)
    if kind is nn.L1Loss and weight is None:
        return y.double().quantile(0.5, dim=0)
    if kind is nn.MSELoss:
        return _mean(y, weight)
    if kind is nn.BCEWithLogitsLoss and loss.weight is None:
        mean = _mean(y, weight)
        odds = mean / (1 - mean)
        odds = odds if loss.pos_weight is None else odds * loss.pos_weight
        return odds.log().clamp(-70, 70)  # an output that is always 0 costs nothing, not NaN
    return None


def _log_shares(loss: nn.CrossEntropyLoss, y: Tensor, weight: Tensor | None) -> Tensor | None:
    """What softmax turns into the mean target."""
    smooth, heavy = loss.label_smoothing, loss.weight
    if y.is_floating_point():  # a share of each class
        plain = y.ndim == 2 and heavy is None and not smooth
        return _mean(y, weight).clamp(min=1e-30).log() if plain else None
    if y.ndim != 1 or bool((y == loss.ignore_index).any()) or (smooth and heavy is not None):
        return None
    ones = None if weight is None else weight.double()
    counts = torch.bincount(y, ones, minlength=0 if heavy is None else len(heavy)).double()
    if heavy is not None:
        counts = counts * heavy
    shares = counts / counts.sum() * (1 - smooth) + smooth / len(counts)
    # a class without a row would have an infinite loss, and 0 times that is no number
    return shares.clamp(min=1e-30).log()


def _mean(y: Tensor, weight: Tensor | None) -> Tensor:
    """Over rows, in float64."""
    if weight is None:
        return y.double().mean(dim=0)
    share = (weight / weight.sum()).double()
    return torch.einsum("n,n...->...", share, y.double())
