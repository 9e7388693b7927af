"""Optimizers that scikit-learn's estimators need and torch lacks, in plain torch.

FISTA, conjugate gradients and the penalised L-BFGS ask for the loss several times a step, and need
all rows at once; the truncated SGD takes a row, or a batch, a step.
"""

__all__ = [
    "ConjugateGradients",
    "FISTA",
    "PenalisedLBFGS",
    "TruncatedSGD",
    "WholeGradient",
    "falling",
]

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class WholeGradient(torch.optim.Optimizer):
    """All weights as one long vector, and the gradient wherever it is asked for."""

    def _weights(self) -> Tensor:
        every = [weight for group in self.param_groups for weight in group["params"]]
        return torch.cat([weight.detach().reshape(-1) for weight in every])

    def _option(self, name: str) -> Tensor:
        """A number of each group, once for each of its weights."""
        return torch.cat(
            [
                torch.full_like(weight.detach(), float(group[name])).reshape(-1)
                for group in self.param_groups
                for weight in group["params"]
            ]
        )

    def _place(self, vector: Tensor) -> None:
        at = 0
        for group in self.param_groups:
            for weight in group["params"]:
                weight.copy_(vector[at : at + weight.numel()].view_as(weight))
                at += weight.numel()

    def _look(self, closure: Callable[[], Tensor], vector: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and its gradient at these weights, which the model then has."""
        self._place(vector)
        with torch.enable_grad():
            loss = closure()
        every = [weight for group in self.param_groups for weight in group["params"]]
        parts = [torch.zeros_like(w) if w.grad is None else w.grad for w in every]
        return loss.detach(), torch.cat([part.reshape(-1) for part in parts])


class FISTA(WholeGradient):
    """Accelerated proximal gradient descent: for a smooth convex loss and a penalty on weights.

    It makes ``loss + l1 · Σ|w| + l2/2 · Σw²`` small. The penalties act through their proximal
    operator, so that what L1 drives to zero is exactly zero. The step length is found by
    backtracking on the curvature between two gradients, which float32 does not cancel away as it
    does differences of losses; momentum starts anew where it points uphill.

    Parameters
    ----------
    params : iterable of Tensor or dict
        Weights, or groups of them with penalties of their own.
    lr : float
        First step length; adapted from there.
    l1, l2 : float
        Penalties, in the unit of the loss.
    positive : bool
        Weights below 0 become 0.
    max_iter : int
        Iterations a step, two gradients each.
    tolerance : float
        A step ends where no weight changes by more than this share of the largest.

    References
    ----------
    A. Beck, M. Teboulle, SIAM Journal on Imaging Sciences 2, 183 (2009); restart: B. O'Donoghue,
    E. Candès, Foundations of Computational Mathematics 15, 715 (2015); backtracking: S. Becker,
    E. Candès, M. Grant, Mathematical Programming Computation 3, 165 (2011).

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = FISTA([weight], l1=1.0)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (weight - torch.tensor([3.0, 0.5])).square().sum() / 2
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> weight.tolist()
    [2.0, 0.0]
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        positive: bool = False,
        max_iter: int = 100,
        tolerance: float = 1e-7,
    ) -> None:
        defaults = {"lr": lr, "l1": l1, "l2": l2, "positive": positive}
        super().__init__(params, defaults | {"max_iter": max_iter, "tolerance": tolerance})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override] # always with a closure
        """Up to ``max_iter`` iterations; returns the loss before them, without the penalties."""
        first = self.param_groups[0]
        state = self.state[first["params"][0]]
        now, penalty = self._weights(), [self._option(name) for name in ("l1", "l2", "positive")]
        before, momentum = state.get("before", now), state.get("momentum", 1.0)
        lr, start = first["lr"], None
        for _ in range(first["max_iter"]):
            larger = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = now + (momentum - 1) / larger * (now - before)
            loss, gradient = self._look(closure, ahead)
            start = loss if start is None else start
            if not torch.isfinite(gradient).all():  # momentum has left the numbers: without it
                ahead, larger = now, 1.0
                loss, gradient = self._look(closure, ahead)
            found, tried = self._descend(closure, ahead, gradient, lr, penalty)
            change = found - ahead
            if torch.dot(change, found - now) < 0:  # uphill
                larger = 1.0
            before, now, momentum = now, found, larger
            if change.abs().max() <= first["tolerance"] * now.abs().max():
                break  # at the end rounding errors look like curvature: that lr is forgotten
            lr = 1.05 * tried
        self._place(now)
        state["before"], state["momentum"] = before, momentum
        for group in self.param_groups:
            group["lr"] = lr
        assert start is not None
        return start

    def _descend(
        self,
        closure: Callable[[], Tensor],
        ahead: Tensor,
        gradient: Tensor,
        lr: float,
        penalty: list[Tensor],
    ) -> tuple[Tensor, float]:
        """The proximal step from here, as long as the curvature on its way allows."""
        l1, l2, positive = penalty
        for _ in range(60):
            moved = ahead - lr * gradient
            found = moved.sign() * (moved.abs() - lr * l1).clamp(min=0) / (1 + lr * l2)
            found = torch.where(positive > 0, found.clamp(min=0), found)
            change = found - ahead
            _, then = self._look(closure, found)
            if lr * torch.dot(then - gradient, change) <= torch.dot(change, change):
                break
            lr /= 2
        return found, lr


class ConjugateGradients(WholeGradient):
    """Conjugate gradients on a quadratic loss: one exact line search a step.

    ``k`` steps from zero on least squares give the regression of partial least squares with ``k``
    components.

    Parameters
    ----------
    params : iterable of Tensor
    lr : float
        A factor of the exact step; 1 is the method.

    References
    ----------
    M. Hestenes, E. Stiefel, Journal of Research of the National Bureau of Standards 49, 409 (1952);
    and partial least squares: A. Phatak, F. de Hoog, Journal of Chemometrics 16, 361 (2002).

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = ConjugateGradients([weight])
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (weight * torch.tensor([1.0, 3.0]) - 3).square().sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(2):
    ...     loss = optimizer.step(closure)
    >>> weight.round(decimals=4).tolist()
    [3.0, 1.0]
    """

    def __init__(self, params: Any, lr: float = 1.0) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override] # always with a closure
        """One step; returns the loss before it."""
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        now = self._weights()
        loss, gradient = self._look(closure, now)
        direction = -gradient
        if "gradient" in state:
            share = gradient.square().sum() / state["gradient"].square().sum()
            direction += torch.nan_to_num(share) * state["direction"]
        _, there = self._look(closure, now + direction)
        # the loss is quadratic: the difference of two gradients is its curvature, exactly
        curvature = torch.dot(direction, there - gradient)
        length = -torch.dot(gradient, direction) / curvature
        self._place(now + group["lr"] * torch.nan_to_num(length) * direction)
        state["gradient"], state["direction"] = gradient, direction
        return loss


class PenalisedLBFGS(torch.optim.LBFGS):
    """:class:`torch.optim.LBFGS` of the loss + l2/2 · Σw², over all weights that are matrices.

    Parameters
    ----------
    params : iterable of Tensor
    l2 : float
        The penalty, in the unit of the loss; biases, which are vectors, have none.
    lr, max_iter, tolerance_grad, tolerance_change, line_search_fn
        Those of torch's class.

    References
    ----------
    D. C. Liu, J. Nocedal, Mathematical Programming 45, 503 (1989).

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(1, 1))
    >>> optimizer = PenalisedLBFGS([weight], l2=1.0, line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (weight - 3).square().sum() / 2
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> round(weight.item(), 4)
    1.5
    """

    def __init__(
        self,
        params: Any,
        l2: float = 0.0,
        lr: float = 1.0,
        max_iter: int = 20,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        line_search_fn: str | None = "strong_wolfe",
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            max_iter=max_iter,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            line_search_fn=line_search_fn,
        )
        self.l2 = l2

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override] # always with a closure
        """Up to ``max_iter`` iterations; returns the penalised loss before them."""

        def penalised() -> Tensor:
            loss = closure().detach()
            for weight in self.param_groups[0]["params"]:
                if weight.ndim > 1 and weight.grad is not None:
                    weight.grad.add_(weight.detach(), alpha=self.l2)
                    loss = loss + self.l2 / 2 * weight.detach().square().sum()
            return loss

        found: Any = super().step(penalised)  # type: ignore[no-untyped-call]
        return torch.as_tensor(found)


class TruncatedSGD(torch.optim.Optimizer):
    """Gradient descent with a cumulative L1 penalty: what a weight owes is cut off, up to zero.

    Parameters
    ----------
    params : iterable of Tensor or dict
    lr : float
    l1, l2 : float
        Penalties, in the unit of the loss of one step.

    References
    ----------
    Y. Tsuruoka, J. Tsujii, S. Ananiadou, Stochastic gradient descent training for L1-regularized
    log-linear models with cumulative penalty, ACL (2009).

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, 0.01]))
    >>> weight.grad = torch.zeros(2)
    >>> TruncatedSGD([weight], lr=0.5, l1=0.1).step()
    >>> weight.tolist()
    [0.95, 0.0]
    """

    def __init__(self, params: Any, lr: float = 0.01, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "l1": l1, "l2": l2})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step along the gradients in place."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._cut(weight, weight.grad, group)
        return loss

    def _cut(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, lr = self.state[weight], group["lr"]
        if not state:
            state["due"], state["paid"] = 0.0, torch.zeros_like(weight)
        weight.mul_(max(0.0, 1 - lr * group["l2"])).sub_(gradient, alpha=lr)
        state["due"] += lr * group["l1"]
        below = (weight + state["due"] - state["paid"]).clamp(max=0)
        above = (weight - state["due"] - state["paid"]).clamp(min=0)
        cut = torch.where(weight > 0, above, torch.where(weight < 0, below, weight))
        state["paid"] += cut - weight
        weight.copy_(cut)


def falling(step: int, start: float = 1.0, power: float = 0.5) -> float:
    """A factor of the learning rate that falls as a power of the steps: (1 + step/start)^-power.

    Examples
    --------
    >>> falling(0), falling(3)
    (1.0, 0.5)
    """
    return (1 + step / start) ** -power
