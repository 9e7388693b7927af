"""Losses with a story, in plain torch: deviances, Huber's scale, and kinks made smooth exactly."""

__all__ = ["HalfDeviance", "Kinked", "Pinball", "ScaledHuber"]

import torch
from torch import Tensor

from manumatic.parts.objectives import RowLoss, signed


class HalfDeviance(RowLoss):
    """Half the deviance of a Tweedie distribution, up to what does not depend on the prediction.

    Parameters
    ----------
    reduction : str
    power : float
        Of the mean in the variance: 0 normal, 1 Poisson, 2 gamma, 3 inverse Gaussian.
    log_link : bool
        The model gives the logarithm of the mean.

    References
    ----------
    B. Jørgensen, Journal of the Royal Statistical Society B 49, 127 (1987).
    """

    def __init__(self, reduction: str = "mean", power: float = 1.0, log_link: bool = True) -> None:
        super().__init__(reduction)
        self.power = power
        self.log_link = log_link

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """mean^(2-p)/(2-p) - y mean^(1-p)/(1-p), with logarithms for p = 1 and 2."""
        p, log = self.power, prediction
        if not self.log_link:  # only the normal distribution has means of any sign
            return (prediction - target).square().flatten(1).sum(dim=1) / 2
        first = log if p == 2 else ((2 - p) * log).exp() / (2 - p)
        second = log if p == 1 else ((1 - p) * log).exp() / (1 - p)
        return (first - target * second).flatten(1).sum(dim=1)


class ScaledHuber(RowLoss):
    """Huber's loss of errors in units of their scale, which is fitted along.

    It is Σ w (σ + H(r/σ) σ) with H(z) = z² up to epsilon and 2 epsilon |z| - epsilon² beyond, at
    the scale σ that makes it smallest. That one has a closed form once the errors are sorted, and
    by the envelope theorem the gradient needs no more.

    Parameters
    ----------
    reduction : str
    epsilon : float
        1 or more; beyond so many scales an error counts linearly.

    References
    ----------
    P. J. Huber, E. M. Ronchetti, Robust Statistics, 2nd ed. (2009), proposal 2 and section 7.7.
    """

    def __init__(self, reduction: str = "sum", epsilon: float = 1.35) -> None:
        super().__init__(reduction)
        self.epsilon = epsilon

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """One number; the scale is that of all rows together."""
        error = (prediction - target).flatten()
        weight = torch.ones_like(error) if weight is None else weight
        scale = self.scale(error.detach(), weight)
        z = (error / scale).abs()
        bent = torch.where(z < self.epsilon, z.square(), 2 * self.epsilon * z - self.epsilon**2)
        rows = weight * scale * (1 + bent)
        return rows.sum() if self.reduction == "sum" else rows.mean()

    def scale(self, error: Tensor, weight: Tensor) -> Tensor:
        """The σ for which Σ w min(r²/σ², epsilon²) = Σ w."""
        size, order = error.double().abs().sort()
        weight, most = weight.double()[order], self.epsilon**2
        squares, total = (weight * size.square()).cumsum(0), weight.sum()
        outside = total - weight.cumsum(0)
        following = torch.cat([size[1:], size.new_full((1,), torch.inf)]).square()
        # the sum falls as σ grows: the first number of inliers for which it has fallen far enough
        fallen = squares * most / following + most * outside < total
        inliers = int(fallen.int().argmax())
        scale = squares[inliers] / (total - most * outside[inliers])
        return scale.sqrt().clamp(min=1e-10).to(error.dtype)


class Kinked(RowLoss):
    """The hinge or the epsilon-insensitive loss, kinks and all, for methods that need gradients.

    A kink is a maximum over slopes, ``max s·a - dead·|s|`` for s in [low, high]. Taking ``u/2 (s -
    c)²`` off makes it smooth; as soon as the predictions stand still, each row's centre c moves to
    the slope that was found there, and what was taken off vanishes. This is the proximal method of
    multipliers: exact in the limit, whatever u. It needs all rows at once, always in the same
    order, and keeps a number a row.

    Parameters
    ----------
    reduction : str
    balanced : bool
    epsilon : float or None
        How large an error may be for nothing; None: the targets are classes, and this is the hinge.
    width : float
        u, in units of the spread of the targets.
    still : float
        How little predictions may change, in units of u, to stand still.

    References
    ----------
    R. T. Rockafellar, Mathematics of Operations Research 1, 97 (1976); Y. Nesterov, Mathematical
    Programming 103, 127 (2005).
    """

    low, high = -1.0, 1.0

    def __init__(
        self,
        reduction: str = "sum",
        balanced: bool = False,
        epsilon: float | None = 0.0,
        width: float = 0.05,
        still: float = 1e-5,
    ) -> None:
        super().__init__(reduction, balanced)
        self.epsilon = epsilon
        self.width = width
        self.still = still
        self.centre: Tensor | None = None
        self.seen: Tensor | None = None

    def rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The smoothed loss; at the end of the training the smoothing is gone."""
        if self.epsilon is None:
            away, low, dead = 1 - signed(prediction, target) * prediction, 0.0, 0.0
            u = torch.tensor(self.width, device=away.device)
        else:
            away, low, dead = target - prediction, self.low, self.epsilon
            u = (self.width * target.std()).clamp(min=1e-10)
        now = away.detach()
        if self.centre is None or self.centre.shape != now.shape:
            self.centre, self.seen = torch.zeros_like(now), None
        slope = self._slope(now, u, low, dead)
        if away.requires_grad:
            if self.seen is not None and (now - self.seen).abs().max() <= self.still * u:
                self.centre = slope
                slope = self._slope(now, u, low, dead)
            self.seen = now
        found = slope * away - dead * slope.abs() - u / 2 * (slope - self.centre).square()
        return found.sum(dim=1)

    def _slope(self, away: Tensor, u: Tensor, low: float, dead: float) -> Tensor:
        assert self.centre is not None
        best = self.centre + away / u
        return (best.sign() * (best.abs() - dead / u).clamp(min=0)).clamp(low, self.high)


class Pinball(Kinked):
    """The loss whose minimum is a quantile: ``quantile`` a unit above, the rest a unit below.

    Parameters
    ----------
    reduction : str
    quantile : float
        From 0 to 1.
    width, still : float
        Those of :class:`Kinked`.

    References
    ----------
    R. Koenker, G. Bassett, Econometrica 46, 33 (1978).
    """

    def __init__(
        self,
        reduction: str = "mean",
        quantile: float = 0.5,
        width: float = 0.05,
        still: float = 2e-6,
    ) -> None:
        super().__init__(reduction, width=width, still=still)
        self.quantile = quantile
        self.low, self.high = quantile - 1, quantile
