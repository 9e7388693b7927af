"""Parts that add up: factorisations whose transform is a search, with scikit-learn's own steps.

A search stops by what all rows together have reached, so its result depends on the rows that come
along, here as in scikit-learn; ``Converted`` asks for 8192 rows at a time.
"""

__all__ = ["Descent", "Digamma", "Multiplied", "Parts", "Topics"]

from typing import Any

import numpy as np
import torch
from sklearn import decomposition
from torch import Tensor, nn
from torch.nn.functional import linear  # x · wᵀ; a while_loop takes w.T for an alias of w

from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact, repeat

EPSILON = float(np.finfo(np.float32).eps)  # scikit-learn's smallest denominator


def _counter(x: Tensor) -> Tensor:
    return torch.zeros((), dtype=torch.int64, device=x.device)


class Parts(Transformer):
    """Rows as sums of parts; ``inverse_transform`` adds them up.

    Parameters
    ----------
    parts : nn.Parameter (outputs, features)
    l1, l2 : float
        What a weight costs.
    tol : float
    max_iter : int
    """

    methods = ("transform", "inverse_transform")
    l1: Tensor
    l2: Tensor
    tol: Tensor

    def __init__(
        self, parts: nn.Parameter, *, l1: float, l2: float, tol: float, max_iter: int
    ) -> None:
        super().__init__()
        self.parts, self.max_iter, self.endless = parts, max_iter, tol <= 0
        exact(self, l1=l1, l2=l2, tol=tol)

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Rows (n, features)."""
        return x @ self.parts


class Descent(Parts):
    """Coordinate descent: one weight after another goes to its best value, at least 0.

    A. Cichocki, A.-H. Phan, Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations, IEICE Trans. E92-A (2009).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Weights (n, outputs)."""
        k = self.parts.shape[0]
        inner = self.parts @ self.parts.T
        inner = inner + self.l2 * torch.eye(k, dtype=x.dtype, device=x.device)
        wanted = x @ self.parts.T - self.l1

        def sweep(w: Tensor) -> tuple[Tensor, Tensor]:
            columns, off = list(w.unbind(1)), torch.zeros_like(w[0, 0])
            for t in range(k):
                slope = -wanted[:, t]
                for r in range(k):
                    slope = slope + inner[t, r] * columns[r]
                bound = torch.where(columns[t] == 0, slope.clamp_max(0.0), slope)
                off = off + bound.abs().sum()
                curve = inner[t, t]
                moved = (columns[t] - slope / torch.where(curve == 0, 1.0, curve)).clamp_min(0.0)
                columns[t] = torch.where(curve == 0, columns[t], moved)
            return torch.stack(columns, 1), off

        def going(i: Tensor, w: Tensor, first: Tensor, off: Tensor) -> Tensor:
            return (i < self.max_iter) & (off > self.tol * first)

        def step(i: Tensor, w: Tensor, first: Tensor, off: Tensor) -> tuple[Tensor, ...]:
            w, off = sweep(w)
            return i + 1, w, torch.where(i == 0, off, first), off

        zero = torch.zeros_like(x[0, 0])
        start = torch.zeros_like(wanted)
        return repeat(going, step, _counter(x), start, zero, torch.ones_like(zero))[1]


class Multiplied(Parts):
    """Multiplicative updates for a β-divergence, all weights at once.

    C. Févotte, J. Idier, Algorithms for nonnegative matrix factorization with the beta-divergence,
    Neural Computation 23 (2011).

    Parameters
    ----------
    parts : nn.Parameter (outputs, features)
    beta : float
        2 Frobenius, 1 Kullback-Leibler, 0 Itakura-Saito.
    by_step : bool
        Stop by how far a step goes, as ``MiniBatchNMF``; not by the error after each ten steps.
    **given : float
        As of Parts.
    """

    power: Tensor
    gamma: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, parts: nn.Parameter, beta: float, *, by_step: bool, **given: Any) -> None:
        super().__init__(parts, **given)
        self.beta, self.by_step = beta, by_step
        gamma = 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1.0
        exact(self, power=beta, gamma=gamma, first=beta - 1, second=beta - 2)

    def _update(self, x: Tensor, w: Tensor) -> Tensor:
        parts, beta = self.parts, self.beta
        if beta == 2:
            above, below = linear(x, parts), w @ linear(parts, parts)
        else:
            made = w @ parts
            safe = made.clamp_min(EPSILON) if beta < 2 else made
            above = linear(x * safe**self.second, parts)
            whole = made.clamp_min(EPSILON) if beta < 1 else made
            below = linear(whole**self.first, parts)
        below = below + self.l1 + self.l2 * w
        grown = w * (above / torch.where(below == 0, EPSILON, below)) ** self.gamma
        if beta < 1 and not self.by_step:
            grown = torch.where(grown < torch.finfo(torch.float64).eps, 0.0, grown)
        return grown

    def _error(self, x: Tensor, w: Tensor) -> Tensor:
        """√(2 · divergence)."""
        beta, made = self.beta, w @ self.parts
        if beta == 2:
            return ((x - made) ** 2).sum().sqrt()
        some = x > EPSILON
        near = torch.where(some, made.clamp_min(EPSILON), 1.0)
        ratio = torch.where(some, x, 1.0) / near
        kept = torch.where(some, x, 0.0)
        if beta == 1:
            found = (kept * ratio.log()).sum() + made.sum() - kept.sum()
        elif beta == 0:
            found = torch.where(some, ratio - ratio.log(), 0.0).sum() - x.shape[0] * x.shape[1]
        else:
            power, less = self.power, self.first
            found = torch.where(some, kept**power, 0.0).sum() - power * (kept * near**less).sum()
            found = (found + (made**power).sum() * less) / (power * less)
        return (2 * found.clamp_min(0.0)).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        """Weights (n, outputs)."""
        k = self.parts.shape[0]
        start = (x.mean() / k).sqrt() * torch.ones_like(x[:, :1]).expand(-1, k)
        return self._by_step(x, start) if self.by_step else self._by_error(x, start)

    def _by_step(self, x: Tensor, start: Tensor) -> Tensor:
        def going(i: Tensor, w: Tensor, live: Tensor) -> Tensor:
            return (i < self.max_iter) & live

        def step(i: Tensor, w: Tensor, live: Tensor) -> tuple[Tensor, ...]:
            new = self._update(x, w)
            way = ((new - w) ** 2).sum().sqrt() / (new**2).sum().sqrt()
            return i + 1, new, live.clone() if self.endless else way > self.tol

        alive = torch.ones((), dtype=torch.bool, device=x.device)
        return repeat(going, step, _counter(x), start.clone(), alive)[1]

    def _by_error(self, x: Tensor, start: Tensor) -> Tensor:
        # ten updates a step: between them scikit-learn does not look
        tens, rest = divmod(self.max_iter, 10)
        first = self._error(x, start)

        def going(i: Tensor, w: Tensor, last: Tensor, live: Tensor) -> Tensor:
            return (i < tens) & live

        def step(i: Tensor, w: Tensor, last: Tensor, live: Tensor) -> tuple[Tensor, ...]:
            for _ in range(10):
                w = self._update(x, w)
            now = self._error(x, w)
            still = live.clone() if self.endless else (last - now) / first >= self.tol
            return i + 1, w, now, still

        alive = torch.ones((), dtype=torch.bool, device=x.device)
        _, w, _, live = repeat(going, step, _counter(x), start.clone(), first.clone(), alive)
        for _ in range(rest):
            w = torch.where(live, self._update(x, w), w)
        return w


class Digamma(nn.Module):
    """ψ of what is above 0, with the digits that scikit-learn's has.

    J. Bernardo, Algorithm AS 103: Psi (Digamma) Function, Applied Statistics 25 (1976).
    """

    first: Tensor
    second: Tensor
    third: Tensor
    euler: Tensor
    least: Tensor

    def __init__(self) -> None:
        super().__init__()
        exact(self, first=1 / 12, second=1 / 120, third=1 / 252, euler=0.5772156649015329)
        exact(self, least=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """ψ(x)."""
        tiny = x <= self.least
        large, taken = torch.where(tiny, 1.0, x), torch.zeros_like(x)
        for _ in range(6):  # ψ(x + 1) = ψ(x) + 1 / x
            small = large < 6
            taken = taken - torch.where(small, 1 / large, 0.0)
            large = torch.where(small, large + 1, large)
        r = 1 / large
        square = r * r
        series = square * (self.first - square * (self.second - square * self.third))
        found = taken + large.log() - 0.5 * r - series
        return torch.where(tiny, -self.euler - 1 / torch.where(tiny, x, 1.0), found)


class Topics(Transformer):
    """Shares of topics: the variational posterior of each row.

    M. Hoffman, D. Blei, F. Bach, Online Learning for Latent Dirichlet Allocation, NIPS 2010.

    Parameters
    ----------
    words : nn.Parameter (topics, features)
        exp E[log β].
    prior : float
        α.
    tol : float
        A row is done where its topics move by less.
    max_iter : int
    """

    prior: Tensor
    tol: Tensor
    eps: Tensor

    def __init__(self, words: nn.Parameter, prior: float, tol: float, max_iter: int) -> None:
        super().__init__()
        self.words, self.max_iter = words, max_iter
        self.psi = Digamma()
        exact(self, prior=prior, tol=tol, eps=np.finfo(np.float64).eps)

    def forward(self, x: Tensor) -> Tensor:
        """Shares (n, topics)."""

        def going(i: Tensor, topics: Tensor, odds: Tensor, live: Tensor) -> Tensor:
            return (i < self.max_iter) & live.any()

        def step(i: Tensor, topics: Tensor, odds: Tensor, live: Tensor) -> tuple[Tensor, ...]:
            new = odds * linear(x / (odds @ self.words + self.eps), self.words) + self.prior
            near = (self.psi(new) - self.psi(new.sum(1, keepdim=True))).exp()
            moved = (new - topics).abs().mean(1) >= self.tol
            keep = live[:, None]
            return (
                i + 1,
                torch.where(keep, new, topics),
                torch.where(keep, near, odds),
                live & moved,
            )

        ones = torch.ones_like(x @ self.words.T)
        odds = (self.psi(ones) - self.psi(ones.sum(1, keepdim=True))).exp()
        alive = torch.ones_like(x[:, 0], dtype=torch.bool)
        topics = repeat(going, step, _counter(x), ones, odds, alive)[1]
        return topics / topics.sum(1, keepdim=True)


@converts(decomposition.NMF, decomposition.MiniBatchNMF)
def factorisation(estimator: Any, build: Build) -> Piece:
    """The solver of the estimator, for the weights alone."""
    mini = isinstance(estimator, decomposition.MiniBatchNMF)
    l1, _, l2, _ = estimator._compute_regularization(np.zeros((1, estimator.n_features_in_)))
    max_iter = estimator._transform_max_iter if mini else estimator.max_iter
    given = {"l1": l1, "l2": l2, "tol": estimator.tol, "max_iter": max_iter}
    parts = build.weight(estimator.components_)
    if not mini and estimator.solver == "cd":
        return Descent(parts, **given)
    return Multiplied(parts, float(estimator._beta_loss), by_step=mini, **given)


@converts(decomposition.LatentDirichletAllocation)
def topics(estimator: Any, build: Build) -> Piece:
    """The posterior of each row."""
    words = build.weight(estimator.exp_dirichlet_component_)
    limits = estimator.mean_change_tol, estimator.max_doc_update_iter
    return Topics(words, estimator.doc_topic_prior_, *limits)
