"""What exported graphs need: loops that are one node, and numbers that keep their digits."""

__all__ = ["exact", "repeat"]

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


def exact(module: nn.Module, **numbers: Any) -> None:
    """Keep numbers as float64 buffers: torch.onnx rounds a Python number in a graph to float32.

    Parameters
    ----------
    module : nn.Module
        Whose attributes they become.
    **numbers : float or array

    Examples
    --------
    >>> layer = nn.Identity()
    >>> exact(layer, gamma=0.1)
    >>> layer.gamma.item()
    0.1
    """
    for name, number in numbers.items():
        module.register_buffer(name, torch.tensor(number, dtype=torch.float64))


def repeat(going: Callable[..., Tensor], step: Callable[..., State], *state: Tensor) -> State:
    """``while going(*state): state = step(*state)``, in a form that can be exported.

    Parameters
    ----------
    going : callable
        State → a truth ().
    step : callable
        State → the next state, new tensors of the same shapes.
    *state : Tensor
        Where it starts.

    Returns
    -------
    tuple of Tensor
        The last state. Gradients pass, as long as it is not exported.

    Examples
    --------
    >>> repeat(lambda x: x.max() < 100, lambda x: (2 * x,), torch.tensor([1.0, 3.0]))
    (tensor([ 64., 192.]),)
    """
    if torch.compiler.is_compiling():
        from torch._higher_order_ops.while_loop import while_loop

        loop: Any = while_loop
        return tuple(loop(going, step, state))
    while going(*state):
        state = step(*state)
    return state
