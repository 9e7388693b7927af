"""A network that ends at one of its layers: the numbers inside it, as an embedding of a row."""

__all__ = ["Layer"]

import threading
from typing import Any

from torch import Tensor, nn

from manumatic.nets.crossed import CrossedNet
from manumatic.nets.table import Heads

LAST = (nn.Linear, Heads)  # layers that answer from an embedding
PLACES_LAST = (  # (n, channels, places): layers of torch that put the places behind the numbers
    *(nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d, nn.GroupNorm),
    *(nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
)
SHOWN = 40  # names of layers that a message lists


class Layer(nn.Module):
    """What one layer of a network says about rows, one row of numbers each.

    The network runs as it is, under a hook that is taken off when it has answered or failed.

    Parameters
    ----------
    network : nn.Module
        Not copied, not changed.
    layer : str, optional
        Its name among ``network.named_modules()``; that of an ``nn.Sequential`` or
        ``nn.ModuleList`` means its last layer. None takes what goes into the last linear layer that
        the network calls.
    pool : "mean" or None
        What becomes of several places a row: of (n, channels, height, width) the mean over the
        places; of (n, steps, numbers) the mean over the steps that are there; of (n, members,
        numbers) the mean over the members, unless they have weights of their own and so say
        different things in the same place (``CrossedNet``). None leaves all numbers side by side.
    rows : "words", "steps" or None
        How rows tell which steps are there: words are not 0, steps are not NaN.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> Layer(net)(torch.zeros(2, 4)).shape, Layer(net, "2")(torch.zeros(2, 4)).shape
    (torch.Size([2, 8]), torch.Size([2, 3]))
    """

    def __init__(
        self,
        network: nn.Module,
        layer: str | None = None,
        pool: str | None = "mean",
        rows: str | None = None,
    ) -> None:
        super().__init__()
        self.network, self.layer, self.pool, self.rows = network, layer, pool, rows

    def forward(self, x: Tensor) -> Tensor:
        """Rows (n, …) as the network takes them → (n, numbers)."""
        found = self._caught(x)
        if self.pool is None or found.ndim < 3 or isinstance(self.network, CrossedNet):
            return found.reshape(x.shape[0], -1)
        if found.ndim > 3:
            return found.flatten(2).mean(2)
        there = self._there(x)
        steps = -1 if there is None else there.shape[1]
        last = self._places_last() if found.shape[1] == found.shape[2] else found.shape[2] == steps
        if there is not None and steps in found.shape[1:]:
            found, there = (found.transpose(1, 2) if last else found), there.unsqueeze(2)
            return found.masked_fill(~there, 0.0).sum(1) / there.sum(1).clamp(min=1)
        return found.mean(2 if self._places_last() else 1)

    def _caught(self, x: Tensor) -> Tensor:
        """What the layer said last, with one entry a row."""
        parts = dict(self.network.named_modules())
        me, caught = threading.get_ident(), list[Any]()

        def catch(part: nn.Module, given: Any, named: Any, said: Any) -> None:
            if threading.get_ident() == me:  # another thread may run the same network
                caught[:] = [said] if self.layer is not None else [*given, *named.values()]

        watched: list[nn.Module] = [p for p in parts.values() if isinstance(p, LAST)]
        watched = watched if self.layer is None else [_last_of(parts[self.layer])]
        handles = [p.register_forward_hook(catch, with_kwargs=True) for p in watched]
        try:
            self.network(x)
        finally:
            for handle in handles:
                handle.remove()
        found = caught[0] if caught else None
        while isinstance(found, tuple | list) and found:  # recurrent layers: states, the last one
            found = found[0]
        return self._checked(found, x.shape[0])

    def _checked(self, found: Any, n: int) -> Tensor:
        name = type(self.network).__name__
        if found is None:
            called = "no linear layer" if self.layer is None else f"no layer {self.layer!r}"
            raise ValueError(f"{name} calls {called}; {self.names()}")
        if not isinstance(found, Tensor) or not found.ndim or found.shape[0] != n:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"the layer {self.layer!r} of {name} gives {shape} for {n} rows; its first "
                "dimension must be the rows"
            )
        return found.float()

    def names(self) -> str:
        """The layers by name, as far as a message can list them."""
        names = [name for name, _ in self.network.named_modules() if name]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"its layers are {', '.join(names[:SHOWN])}{more}"

    def _there(self, x: Tensor) -> Tensor | None:
        """Which steps of a row are there (n, steps)."""
        if self.rows == "words":
            return x != 0
        return ~x[..., 0].isnan() if self.rows == "steps" else None

    def _places_last(self) -> bool:
        parts = [] if self.layer is None else self.network.get_submodule(self.layer).modules()
        return any(isinstance(part, PLACES_LAST) for part in parts)


def _last_of(part: nn.Module) -> nn.Module:
    """The layer that says what a container says, for networks that call its layers themselves."""
    while isinstance(part, nn.Sequential | nn.ModuleList) and len(part):
        if isinstance(part, nn.Sequential) and type(part).forward is not nn.Sequential.forward:
            break
        part = part[-1]
    return part
