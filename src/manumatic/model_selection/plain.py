"""A forward for all members at once without ``torch.func``, where nothing in it mixes rows."""

__all__ = ["Linear", "Plain"]

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from manumatic.model_selection.masks import dropout

# Each number of what they return depends on the number in its place alone.
SINGLE = frozenset(
    [
        *(F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish),
        *(F.softplus, F.softsign, F.hardtanh, F.hardswish, F.hardsigmoid, F.tanh, F.sigmoid),
        *(F.logsigmoid, F.tanhshrink, torch.relu, torch.relu_, torch.tanh, torch.sigmoid),
        *(torch.sin, torch.cos, torch.exp, torch.log, torch.log1p, torch.sqrt, torch.square),
        *(torch.abs, torch.neg, torch.erf, Tensor.relu, Tensor.tanh, Tensor.sigmoid, Tensor.sin),
        *(Tensor.cos, Tensor.exp, Tensor.log, Tensor.log1p, Tensor.sqrt, Tensor.square),
        *(Tensor.abs, Tensor.neg, Tensor.__neg__, Tensor.contiguous),
    ]
)
# So it is here, for the numbers in the same place of both.
PAIRS = frozenset(
    [
        *(torch.add, torch.sub, torch.mul, torch.div, torch.pow, Tensor.add, Tensor.sub),
        *(Tensor.mul, Tensor.div, Tensor.pow, Tensor.__add__, Tensor.__radd__, Tensor.__sub__),
        *(Tensor.__rsub__, Tensor.__mul__, Tensor.__rmul__, Tensor.__truediv__, Tensor.__pow__),
        *(Tensor.__rdiv__, Tensor.__rtruediv__),
    ]
)
FLATTEN = (torch.flatten, Tensor.flatten)
UNSQUEEZE = (torch.unsqueeze, Tensor.unsqueeze)
# These work along a dimension, which is their second argument.
ALONG = frozenset(
    [
        *(*FLATTEN, *UNSQUEEZE, torch.squeeze, Tensor.squeeze, torch.cat, F.softmax),
        *(F.log_softmax, torch.softmax, torch.log_softmax, Tensor.softmax, Tensor.log_softmax),
    ]
)


class Plain(TorchFunctionMode):
    """Calls a model on rows (K, B, ...) with stacked weights (K, ...).

    What ``torch.func.vmap`` does around each operation costs more than the operation itself where
    nets are small: two thirds of a step of five nets 13-50-1 on 32 rows. Linear layers, layer norm,
    dropout and elementwise functions need none of it; any other function is a TypeError.

    Parameters
    ----------
    masks : sequence of Tensor
        For dropout, one after the other.
    weights : collection of Tensor
        Stacked weights and buffers, to tell them from rows.
    """

    def __init__(self, masks: Sequence[Tensor], weights: Collection[Tensor]) -> None:
        super().__init__()
        self.masks: Iterator[Tensor] = iter(masks)
        self.weights = {id(weight) for weight in weights}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.linear:
            return _linear(*args, **kwargs)
        if func in PAIRS:
            return func(*self._side_by_side(args), **kwargs)
        if func is F.layer_norm:
            return self._layer_norm(*args, **kwargs)
        if func in (F.dropout, torch.dropout):
            called = dropout(func, args, kwargs)
            return args[0] if called is None else called.times(self.masks)
        if id(args[0]) not in self.weights:
            if func in SINGLE:
                return func(*args, **kwargs)
            if func in ALONG:
                return func(*_further_in(func, *args, **kwargs))
        raise _unknown(func)

    def _layer_norm(
        self,
        input: Tensor,
        shape: Sequence[int],
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        if len(shape) > input.ndim - 2:
            raise _unknown(F.layer_norm)
        found = F.layer_norm(input, list(shape), None, None, eps)
        if weight is not None:
            found = found * _beside(weight, input.ndim)
        return found if bias is None else found + _beside(bias, input.ndim)

    def _side_by_side(self, values: Sequence[Any]) -> list[Any]:
        """Numbers, rows, and weights with room for the rows in front of their own dimensions."""
        rows = [v for v in values if isinstance(v, Tensor) and id(v) not in self.weights]
        if len({(*row.shape[:2], row.ndim) for row in rows}) != 1 or rows[0].ndim < 3:
            raise _unknown("an operation")
        return [_beside(v, rows[0].ndim) if id(v) in self.weights else v for v in values]


class Linear(torch.autograd.Function):
    """Rows (K, n, in), weights (K, out, in), biases (K, out) → (K, n, out).

    Autograd would give the gradient of the weights turned round, and copying it back costs as much
    as computing it.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Multiply and add."""
        ctx.save_for_backward(rows, weight)
        one = weight.shape[1] == 1  # then a kernel of half the time takes them the other way round
        found = torch.bmm(weight, rows.mT).mT if one else torch.bmm(rows, weight.mT)
        return found if bias is None else found.add_(bias.unsqueeze(1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what has one."""
        rows, weight = ctx.saved_tensors
        of_rows, of_weight, of_bias = ctx.needs_input_grad
        [gradient] = gradients
        return (
            torch.bmm(gradient, weight) if of_rows else None,
            torch.bmm(gradient.mT, rows) if of_weight else None,
            gradient.sum(dim=1) if of_bias else None,
        )


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = input.reshape(len(weight), -1, input.shape[-1])
    found: Tensor = Linear.apply(rows, weight, bias)  # type: ignore[no-untyped-call] # torch has no types here
    return found.view(*input.shape[:-1], -1)


def _beside(weight: Tensor, ndim: int) -> Tensor:
    """A weight (K, ...) such that it meets rows (K, B, ...) as it would meet them alone."""
    return weight[(slice(None), *[None] * (ndim - weight.ndim))]


def _further_in(func: Any, X: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Arguments with the dimension moved, where it is not that of the rows."""
    given = [*args, *(kwargs[name] for name in ("dim", "start_dim") if name in kwargs)]
    whole = given[1:] in ([], [-1]) if func in FLATTEN else len(given) == 1
    ndim = (X if isinstance(X, Tensor) else X[0]).ndim - 1 + (func in UNSQUEEZE)
    if not whole or not isinstance(given[0], int) or not given[0] % ndim:
        raise _unknown(func)
    return X, given[0] % ndim + 1


def _unknown(func: Any) -> TypeError:
    return TypeError(f"{getattr(func, '__name__', func)} has no plain stacked form")
