"""Weights, gradients and moments shared out between processes by FSDP2, and put together again."""

__all__ = ["Shards"]

import copy
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map


class Shards:
    """What FSDP2 changes for those who keep, copy or write tensors; without it, nothing.

    Parameters
    ----------
    on : bool
        Whether weights are shared out.
    first : bool
        Whether this process writes for all.

    Examples
    --------
    >>> import torch
    >>> Shards().gathered({"weight": torch.ones(1)})
    {'weight': tensor([1.])}
    """

    def __init__(self, on: bool = False, first: bool = True) -> None:
        self.on, self.first = on, first
        self._plain: nn.Module | None = None

    def split(self, model: nn.Module) -> nn.Module:
        """The model with its weights shared out, layer by layer of its sequences.

        A layer of a sequence is whole only while it computes; what stands elsewhere is whole while
        the model computes.
        """
        if not self.on:
            return model
        from torch.distributed.fsdp import fully_shard

        self._plain, own = model, copy.deepcopy(model)
        for layer in reversed(list(own.modules())):  # from the inside to the outside
            for inside in layer if isinstance(layer, nn.Sequential | nn.ModuleList) else ():
                called = not isinstance(inside, nn.ModuleList | nn.ModuleDict)
                if called and any(True for _ in inside.parameters()):
                    fully_shard(inside, reshard_after_forward=True)
        fully_shard(own, reshard_after_forward=True)
        return own

    def plain(self, model: nn.Module) -> nn.Module:
        """The model as one process alone has it; all must ask."""
        if self._plain is None:
            return model
        self._plain.load_state_dict(tree_map(_whole, model.state_dict()))
        return self._plain

    def gathered(self, content: Any) -> Any:
        """Nested containers with whole tensors, in the first process; all must ask."""
        if not self.on:
            return content

        def kept(value: Any) -> Any:
            value = _whole(value)
            return value if self.first or not isinstance(value, Tensor) else None

        return tree_map(kept, content)

    def scattered(self, whole: Any, like: nn.Module) -> Any:
        """Weights by name, shared out as those of a model are."""
        if not self.on or whole is None:
            return whole
        placed = like.state_dict()
        return {name: _part(weight, placed[name]) for name, weight in whole.items()}

    def moments(self, saved: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        """The state of an optimizer, shared out as its weights are."""
        if not self.on:
            return saved
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        state = {
            index: {name: _part(value, weights[index]) for name, value in held.items()}
            for index, held in saved["state"].items()
        }
        return saved | {"state": state}


def _whole(value: Any) -> Any:
    return value.full_tensor().cpu() if hasattr(value, "full_tensor") else value


def _part(value: Any, like: Any) -> Any:
    """A tensor placed as another is; numbers and counters stay as they are."""
    if not (
        hasattr(like, "placements") and isinstance(value, Tensor) and value.shape == like.shape
    ):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
