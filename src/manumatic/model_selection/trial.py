"""One step of two members, together and each alone: can this network be trained in a stack?"""

__all__ = ["Trial", "try_together"]

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.model_selection.engine import Network, Tensors
from manumatic.model_selection.gathered import Batch
from manumatic.model_selection.likeness import likeness
from manumatic.model_selection.masks import Draws
from manumatic.model_selection.weights import Weights
from manumatic.parts.data import are_unseen

FEW = 64  # rows: among more of them, what one does to the others would not show
ERRORS = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError, AssertionError)
# What torch.func says, and what it means for the user's network.
WORDS = {
    "calling .item()": "it reads a number out of a tensor (.item())",
    "data-dependent control flow": "it decides by the values of a tensor (if, while)",
    "random operation": "it draws random numbers of its own",
    "boolean mask": "it picks rows by a mask, so that shapes depend on values",
    "access data pointer": "it leaves torch for numpy",
}


@dataclass(frozen=True)
class Trial:
    """What one step has shown.

    Attributes
    ----------
    network : Network or None
    reason : str
        Why it cannot be stacked; empty where it can.
    apart : bool
        Whether no row changes what the model and the loss make of another: only then may members
        hold different numbers of rows.
    saved : int
        Bytes that the forward of one member keeps for its backward.
    """

    network: Network | None
    reason: str = ""
    apart: bool = False
    saved: int = 0


def try_together(trainings: Sequence[Any]) -> Trial:
    """Take a step with the first two of some trainings that are alike; nothing of them changes."""
    name, trial = type(trainings[0].model).__name__, Trial(None)
    for plain in (True, False):
        try:
            with torch.random.fork_rng([]):
                trial = _step(trainings[:2], plain)
        except ERRORS as error:
            trial = Trial(None, f"{name} cannot be stacked: {_told(error)}")
        if trial.network is not None:
            break
    return trial


def _step(trainings: Sequence[Any], plain: bool) -> Trial:
    model = copy.deepcopy(trainings[0].model).train()
    unseen = are_unseen(trainings[0].valid)
    network, name = Network(model, trainings[0].loss, plain, unseen), type(model).__name__
    batch, tensors = _first_rows(trainings), _apart([t.model for t in trainings])
    before, randomness = likeness(model, contents=False), torch.get_rng_state()
    plan = network.masks(tensors, batch.tensors[0])
    masks = Draws([t.state.rng.state for t in trainings], batch.tensors[0].device)(plan, batch.rows)
    losses, gradients, saved = _one_by_one(network, tensors, masks, batch)
    if not torch.equal(torch.get_rng_state(), randomness):
        return Trial(None, f"{name} cannot be stacked: {WORDS['random operation']}")
    found, stacked = network.gradients(_fresh(network, tensors), masks, batch)
    same = _near(losses, found) and all(_near(g, stacked[key]) for key, g in gradients.items())
    if trainings[0].valid is not None:
        same = same and _near(_judged(network, tensors, batch), network.losses(tensors, batch))
    if likeness(model.train(), contents=False) != before:
        return Trial(None, f"the forward of {name} changes its own attributes")
    if not same or (plain and network.changing):
        return Trial(None, f"{name} gives other numbers in a stack than alone")
    apart = all(mask.shape[1] == batch.rows[0] for mask in masks)
    return Trial(network, "", apart and _rows_apart(network, tensors, masks, batch), saved)


def _first_rows(trainings: Sequence[Any]) -> Batch:
    width = min(min(t.data.batch_size, t.data.n_rows) for t in trainings)
    columns = zip(*(t.data.tensors for t in trainings), strict=True)
    rows = tuple(torch.stack([tensor[:width] for tensor in column]) for column in columns)
    return Batch(rows, [width] * len(trainings), None)


def _apart(models: Sequence[nn.Module]) -> Tensors:
    """Stacked weights; those of the second are moved a little, where it began as the first did."""
    tensors = Weights(models).now
    generator = torch.Generator().manual_seed(0)
    for name, _ in models[0].named_parameters():
        second = tensors[name][1]
        noise = torch.rand(second.shape, generator=generator).to(second)
        second.add_(noise * 0.1 * (second.abs().mean() + 0.1))
    return tensors


def _fresh(network: Network, tensors: Tensors) -> Tensors:
    """Copies to learn from."""
    learned = network.learned
    return {name: t.clone().requires_grad_(name in learned) for name, t in tensors.items()}


def _one_by_one(
    network: Network, tensors: Tensors, masks: Sequence[Tensor], batch: Batch
) -> tuple[Tensor, Tensors, int]:
    """Losses, gradients, and the bytes that one forward keeps for its backward.

    Here it shows which weights have a gradient at all, and which buffers a forward changes.
    """
    losses, gradients = [], []
    changing: set[str] = set()
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.nbytes
        return tensor

    for place in range(len(batch.rows)):
        mine = _fresh(network, {name: tensor[place] for name, tensor in tensors.items()})
        rows = [tensor[place] for tensor in batch.tensors]
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss, buffers = network.one(mine, [mask[place] for mask in masks], (), *rows)
        learned = [mine[name] for name in network.learned]
        gradients.append(torch.autograd.grad(loss, learned, allow_unused=True))
        losses.append(loss.detach())
        changing |= {
            n for n, buffer in buffers.items() if not torch.equal(buffer, tensors[n][place])
        }
        for known in (*mine.values(), *rows):
            sizes.pop(known.data_ptr(), None)
    columns = dict(zip(network.learned, zip(*gradients, strict=True), strict=True))
    network.learned = [name for name, column in columns.items() if column[0] is not None]
    network.changing = [name for name in network.changing if name in changing]
    stacked = {name: torch.stack(columns[name]) for name in network.learned}
    return torch.stack(losses), stacked, sum(sizes.values()) // len(losses)


@torch.no_grad()
def _judged(network: Network, tensors: Tensors, batch: Batch) -> Tensor:
    """Losses of one member after the other when nothing is learned."""
    network.model.eval()
    losses = []
    for place in range(len(batch.rows)):
        mine = {name: tensor[place] for name, tensor in tensors.items()}
        losses.append(network.one(mine, (), (), *(tensor[place] for tensor in batch.tensors))[0])
    return torch.stack(losses)


def _near(one: Tensor, other: Tensor) -> bool:
    """Whether they are the same but for the order of sums; two that are not finite tell nothing."""
    if not torch.isfinite(one).all():
        return bool(one.isfinite().equal(other.isfinite()))
    return float((one - other).abs().max()) <= 1e-4 * float(one.abs().max()) + 1e-6


@torch.no_grad()
def _rows_apart(network: Network, tensors: Tensors, masks: Sequence[Tensor], batch: Batch) -> bool:
    """Whether rows come out the same without the one after them, and their loss is their mean."""
    few = min(batch.rows[0], FEW) - 1
    if few < 1:
        return True
    X, *target = (tensor[0] for tensor in batch.tensors)

    def predict(rows: int) -> Tensor:
        one = {name: tensor[0].clone() for name, tensor in tensors.items()}
        return network.predict(one, [mask[0][:rows] for mask in masks], X[:rows])

    try:
        part = predict(few)
        given = [tensor[:few] for tensor in target]
        sums = network.mean(part, [torch.full((few,), 1 / few, device=X.device)], *given)
        return _near(predict(few + 1)[:few], part) and _near(network.mean(part, (), *given), sums)
    except ERRORS:
        return False


def _told(error: Exception) -> str:
    """The first line of an error, in plain words where it is one of torch.func's."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    for phrase, words in WORDS.items():
        if phrase in text:
            return words
    if "Batching rule not implemented for aten::" in text:
        kernel = text.split("aten::")[1].split(";")[0].split(". ")[0].split(".")[0]
        return f"torch has no stacked form of {kernel}"
    return text
