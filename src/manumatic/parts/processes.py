"""Many processes as one: each takes its share of every batch, and their gradients become one.

torchrun starts the processes, DDP or FSDP2 joins them; both are PyTorch's own.  The mean over a
batch of B rows is Σ nᵣ/B · meanᵣ over the processes r with nᵣ rows each.  DDP and FSDP2 take the
plain mean over W processes, so each loss is multiplied by nᵣ·W/B: no row is seen twice and none is
left out, however short the last batch is.
"""

__all__ = ["Joint", "Processes", "Share", "is_first", "join", "refuse_apart"]

import atexit
import functools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.errors import ComponentError
from manumatic.parts.device import OwnRandomness, choose_device
from manumatic.parts.loop import Step, evaluate
from manumatic.parts.shards import Shards


def is_first() -> bool:
    """Whether this process writes files and speaks: the first of those that torchrun started.

    Examples
    --------
    >>> is_first()
    True
    """
    found = _met()
    return (int(os.environ.get("RANK", "0")) if found is None else found.get_rank()) == 0


def _met() -> Any:
    """``torch.distributed`` where the processes have met; it is not imported to find out."""
    found = sys.modules.get("torch.distributed")
    return found if found is not None and found.is_available() and found.is_initialized() else None


def join(device: Any) -> tuple["Processes", torch.device]:
    """Meet the other processes, where torchrun or the user has started some.

    Parameters
    ----------
    device : str or torch.device
        As an estimator takes it; "fsdp" shares the weights out, too.

    Returns
    -------
    processes : Processes
    device : torch.device
        Where this one keeps its tensors.
    """
    sharded = isinstance(device, str) and device == "fsdp"
    place = choose_device("auto" if sharded else device)
    met = _met() is not None
    if not met and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes(), place
    import torch.distributed as dist

    if place.type != "cpu" and place.index is None:
        place = torch.device(place.type, int(os.environ.get("LOCAL_RANK", "0")))
        torch.accelerator.set_device_index(place.index)
    if not met:
        dist.init_process_group(dist.get_default_backend_for_device(place.type))
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size(), place, sharded), place


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def refuse_apart(loss: Any) -> None:
    """Raise for a loss whose mean over a batch is no mean of the shares' means.

    Raises
    ------
    ComponentError
        It divides by the weights of the classes that a share happens to hold.
    """
    weighted = isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss) and loss.weight is not None
    if weighted and loss.reduction == "mean":
        raise ComponentError(
            f"{type(loss).__name__}(weight=...) divides by the weights of the rows that it sees, "
            "and each process sees a share of them; mm.Loss(..., class_weight=...) is exact"
        )


@dataclass
class Share:
    """The rows of each batch that fall to one process.

    Attributes
    ----------
    data : Batches or any source of batches
        Gives the whole batches.
    rank, world : int
        Which process of how many.
    rows : int
        Of the batch under way, in all processes together.
    """

    data: Any
    rank: int
    world: int
    rows: int = 0

    def __len__(self) -> int:
        return len(self.data)

    def count(self, X: Tensor) -> int:
        """Rows of the batch that these are a share of."""
        return self.rows

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch with their numbers; a share may be empty."""
        for number, *batch in self.data.batches(epoch):
            self.rows = len(batch[0])
            yield number, *(rows.tensor_split(self.world)[self.rank] for rows in batch)


class Joint:
    """A loss over all processes: with gradients the part of this one, without them the whole."""

    def __init__(self, loss: Callable[..., Tensor], share: Any, processes: "Processes") -> None:
        self.loss, self.share, self.processes = loss, share, processes
        plain = loss.keywords if isinstance(loss, functools.partial) else vars(loss)
        self.adds = plain.get("reduction") == "sum"

    def __call__(self, prediction: Tensor, *target: Tensor) -> Tensor:
        rows, world = len(prediction), self.processes.world
        # without a row of a short last batch there is nothing to learn, but a gradient to send
        loss = self.loss(prediction, *target) if rows else prediction.sum() * 0.0
        part = loss * (world if self.adds else rows * world / self.share.rows)
        return part if torch.is_grad_enabled() else self.processes.mean(part)


class Processes:
    """Which of how many processes this one is, and what they do together.

    Parameters
    ----------
    rank, world : int
        Which, of how many; one alone by default.
    device : torch.device
        Where tensors must be to be sent.
    sharded : bool
        Each process keeps a part of the weights, gradients and moments (FSDP2), not a copy (DDP).

    Attributes
    ----------
    shards : Shards
        Weights shared out and put together.

    Examples
    --------
    >>> Processes().alone
    True
    """

    def __init__(
        self, rank: int = 0, world: int = 1, device: Any = "cpu", sharded: bool = False
    ) -> None:
        self.rank, self.world, self.device = rank, world, device
        self.shards = Shards(sharded and world > 1, first=rank == 0)
        self._wrapped: Any = None

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.world == 1

    def same(self, value: Any) -> Any:
        """What the first process says."""
        if self.alone:
            return value
        import torch.distributed as dist

        said = [value]
        dist.broadcast_object_list(said, device=torch.device(self.device))
        return said[0]

    def agree(self, value: Any) -> bool:
        """Whether all say the same."""
        if self.alone:
            return True
        import torch.distributed as dist

        told: list[Any] = [None] * self.world
        dist.all_gather_object(told, value)
        return all(word == told[0] for word in told)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes, the same bits in each."""
        if self.alone:
            return value
        import torch.distributed as dist

        told = [torch.empty_like(value) for _ in range(self.world)]
        dist.all_gather(told, value.detach().contiguous())
        return torch.stack(told).mean(dim=0)

    def share(self, data: Any) -> Any:
        """The part of the rows that falls to this process."""
        if self.alone or data is None:
            return data
        if hasattr(data, "share"):
            return data.share(self.rank, self.world)
        return Share(data, self.rank, self.world)

    def loss(self, loss: Callable[..., Tensor], share: Any) -> Callable[..., Tensor]:
        """A loss on shares that adds up to the loss on whole batches."""
        return loss if self.alone else Joint(loss, share, self)

    def count(self, share: Any) -> Callable[[Tensor], int]:
        """From a share of a batch to the rows of the whole."""
        return len if self.alone or share is None else share.count

    def evaluate(self, model: nn.Module, loss: Callable[..., Tensor], data: Any) -> float:
        """The mean loss over all rows of data; each row is counted once."""
        share = self.share(data)
        return evaluate(model, self.loss(loss, share), share, self.count(share))

    def steps(self, steps: Iterator[Step], wrapped: nn.Module, model: nn.Module) -> Iterator[Step]:
        """Steps with the loss over all processes."""
        return steps if self.alone else self._together(steps, wrapped, model)

    def _together(
        self, steps: Iterator[Step], wrapped: nn.Module, model: nn.Module
    ) -> Iterator[Step]:
        for step in steps:
            step.loss = self.mean(step.loss)
            yield step
            wrapped.training = model.training  # who evaluates in between sees the model alone

    def wrap(self, model: nn.Module, sample: Tensor) -> nn.Module:
        """The model as it is trained: DDP averages the gradients while they come in."""
        if self.alone or self.shards.on:
            return model
        from torch.nn.parallel import DistributedDataParallel

        learns = [weight for weight in model.parameters() if weight.requires_grad]
        known = self._wrapped
        if known is None or known[0] is not model or list(map(id, learns)) != known[1]:
            self._wrapped = None  # the hooks of the old one go first
            unused = len(_reached(model, sample)) < len(learns)
            wrapped = DistributedDataParallel(model, find_unused_parameters=unused)
            self._wrapped = model, list(map(id, learns)), wrapped
        return self._wrapped[2]

    def randomness(self, own: OwnRandomness, seed: int) -> OwnRandomness:
        """Dropout that differs from process to process; the first draws as one alone would."""
        return own if self.rank == 0 else OwnRandomness(seed + self.rank, torch.device(self.device))


def _reached(model: nn.Module, sample: Tensor) -> set[int]:
    """The weights that an output depends on, by id."""
    with torch.random.fork_rng([]), torch.enable_grad():
        waiting, seen = [model(sample).grad_fn], set()
    weights = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            weights.add(id(node.variable))
        waiting.extend(following for following, _ in node.next_functions)
    return weights
