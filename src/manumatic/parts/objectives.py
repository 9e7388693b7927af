"""Losses that scikit-learn's estimators make small, in plain torch: for numbers and for classes.

Each is a number a row, added up or averaged. Penalties belong to the optimizer (parts/proximal.py).
Classes come as labels 0 and 1 beside one output (n, 1), or as numbers (n,) beside one output a
class.
"""

__all__ = [
    "Hinge",
    "Huber",
    "Insensitive",
    "LogLoss",
    "ModifiedHuber",
    "RowLoss",
    "SquaredError",
    "balance",
    "signed",
]

import torch
from torch import Tensor, nn
from torch.nn import functional


class RowLoss(nn.Module):
    """A loss a row: their sum, their mean, or each for itself.

    Parameters
    ----------
    reduction : "sum", "mean" or "none"
        With "sum" weights count as they are; for "mean" they come with mean 1.
    balanced : bool
        Each class counts as much as any other, its rows' weights included; needs all rows at once.
    """

    takes_weight = True  # no wrapper is needed where rows carry weights

    def __init__(self, reduction: str = "mean", balanced: bool = False) -> None:
        super().__init__()
        self.reduction = reduction
        self.balanced = balanced

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of each row (n,)."""
        raise NotImplementedError

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """One number, or (n,) with ``reduction="none"``."""
        rows = self.rows(prediction, target)
        if self.balanced:
            weight = balance(target, torch.ones_like(rows) if weight is None else weight)
        if weight is not None:
            rows = rows * weight
        if self.reduction == "none":
            return rows
        return rows.sum() if self.reduction == "sum" else rows.mean()


def signed(prediction: Tensor, target: Tensor) -> Tensor:
    """Labels as -1 and 1 in the shape of the predictions: one against the rest.

    Examples
    --------
    >>> signed(torch.zeros(2, 3), torch.tensor([0, 2]))
    tensor([[ 1., -1., -1.],
            [-1., -1.,  1.]])
    """
    if target.shape != prediction.shape:
        target = functional.one_hot(target, prediction.shape[1])
    return 2 * target.to(prediction.dtype) - 1


def balance(target: Tensor, weight: Tensor) -> Tensor:
    """Weights whose sum is the same in each class, and the same as before over all.

    Examples
    --------
    >>> balance(torch.tensor([0, 0, 0, 1]), torch.ones(4))
    tensor([0.6667, 0.6667, 0.6667, 2.0000])
    """
    label = target.flatten().long()
    totals = torch.zeros(int(label.max()) + 1, device=weight.device).index_add(0, label, weight)
    return weight * (weight.sum() / (len(totals) * totals))[label]


class SquaredError(RowLoss):
    """``factor`` times the squared error, added up over the outputs.

    Parameters
    ----------
    reduction : str
    factor : float
    classes : bool
        The targets are classes, to be met as -1 and 1.
    """

    def __init__(self, reduction: str = "mean", factor: float = 1.0, classes: bool = False) -> None:
        super().__init__(reduction)
        self.factor = factor
        self.classes = classes

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Σ factor · (prediction - target)²."""
        goal = signed(prediction, target) if self.classes else target
        return self.factor * (prediction - goal).square().flatten(1).sum(dim=1)


class LogLoss(RowLoss):
    """Cross entropy of one logit for two classes, or of one a class.

    Parameters
    ----------
    reduction : str
    balanced : bool
    one_vs_rest : bool
        Each class for itself against the rest, not softmax over all.
    """

    def __init__(
        self, reduction: str = "mean", balanced: bool = False, one_vs_rest: bool = False
    ) -> None:
        super().__init__(reduction, balanced)
        self.one_vs_rest = one_vs_rest

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """-log of the probability of the row's class."""
        if self.one_vs_rest or target.shape == prediction.shape:
            return functional.softplus(-signed(prediction, target) * prediction).sum(dim=1)
        return functional.cross_entropy(prediction, target, reduction="none")


class Hinge(RowLoss):
    """How far a row is on the wrong side of its margin, to a power; one against the rest.

    Parameters
    ----------
    reduction : str
    balanced : bool
    power : 1 or 2
        With 1 the kink stays: only for plain subgradient steps.
    margin : float
        0 is the perceptron's.
    """

    def __init__(
        self,
        reduction: str = "mean",
        balanced: bool = False,
        power: int = 2,
        margin: float = 1.0,
    ) -> None:
        super().__init__(reduction, balanced)
        self.power = power
        self.margin = margin

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """max(0, margin - ±prediction)^power; on the kink itself the slope is that of an error."""
        short = self.margin - signed(prediction, target) * prediction
        return torch.where(short >= 0, short, torch.zeros_like(short)).pow(self.power).sum(dim=1)


class ModifiedHuber(RowLoss):
    """The squared hinge, linear from -1 on (Zhang 2004); one against the rest."""

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(1 - z)² for z ≥ -1 up to 1, -4 z below, where z = ±prediction."""
        z = signed(prediction, target) * prediction
        return torch.where(z >= -1, (1 - z).clamp(min=0).square(), -4 * z).sum(dim=1)


class Insensitive(RowLoss):
    """What an error exceeds ``epsilon`` by, to a power.

    Parameters
    ----------
    reduction : str
    epsilon : float
    power : 1 or 2
        With 1 the kinks stay: only for plain subgradient steps.
    classes : bool
        The targets are classes, to be met as -1 and 1.
    """

    def __init__(
        self,
        reduction: str = "mean",
        epsilon: float = 0.0,
        power: int = 2,
        classes: bool = False,
    ) -> None:
        super().__init__(reduction)
        self.epsilon = epsilon
        self.power = power
        self.classes = classes

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Σ max(0, |prediction - target| - epsilon)^power."""
        goal = signed(prediction, target) if self.classes else target
        beyond = (prediction - goal).abs() - self.epsilon
        return beyond.clamp(min=0).pow(self.power).flatten(1).sum(dim=1)


class Huber(RowLoss):
    """Half the squared error up to ``epsilon``, linear beyond.

    Parameters
    ----------
    reduction : str
    epsilon : float
    classes : bool
        The targets are classes, to be met as -1 and 1.
    """

    def __init__(
        self, reduction: str = "mean", epsilon: float = 0.1, classes: bool = False
    ) -> None:
        super().__init__(reduction)
        self.epsilon = epsilon
        self.classes = classes

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Σ r²/2 where |r| ≤ epsilon, epsilon (|r| - epsilon/2) elsewhere."""
        goal = signed(prediction, target) if self.classes else target
        bent = functional.huber_loss(prediction, goal, reduction="none", delta=self.epsilon)
        return bent.flatten(1).sum(dim=1)
