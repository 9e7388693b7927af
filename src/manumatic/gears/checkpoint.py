"""Checkpoints: all that a training run needs to go on as if it had never stopped."""

__all__ = ["read_checkpoint", "tensors_as_bytes", "write_checkpoint"]

import io
import time
import warnings
from pathlib import Path
from pickle import PickleError
from typing import Any

import torch

from manumatic.errors import DataError
from manumatic.files import write_whole
from manumatic.gears.swap import complete
from manumatic.history import History, Record
from manumatic.parts.loop import Best


def write_checkpoint(training: Any, path: str | Path) -> None:
    """Tensors and plain containers in torch's own format; every random state among them."""
    state = training.state
    content = {
        "identity": _identity(training),
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        **{name: part.state_dict() for name, part in _companions(state)},
        "best": [state.best.loss, state.best.epoch, state.best.weights],
        "position": [state.epoch, state.batch, state.steps, state.epoch_done, state.ended],
        "losses": [float(loss) for loss in state.losses],
        "history": [list(row) for row in state.history],
        "safe": state.safe,
        # inside a fit our own generator is torch's; outside, it is what the last step left
        "rng": state.rng.now(),
    }
    processes = training.facts.processes
    content = processes.shards.gathered(content)
    if processes.rank == 0:
        write_whole(path, tensors_as_bytes(content))
    state.saved = time.monotonic()


def tensors_as_bytes(content: dict[str, Any]) -> bytes:
    """What ``torch.save`` would write into a file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def read_checkpoint(training: Any, path: str | Path) -> None:
    """Bring a training to where the file left off; no code of the file is run.

    Raises
    ------
    DataError
        The file is damaged, or belongs to other data, another seed or another network.
    """
    processes, state = training.facts.processes, training.state
    content = processes.same(_content(path) if processes.rank == 0 else None)
    found = content["identity"]
    for name, value in _identity(training).items():
        if found.get(name) != value:
            raise DataError(
                f"{path} belongs to another run: {name} was {found.get(name)}, now it is {value}; "
                "delete the file or give another name"
            )
    complete(training)
    model, optimizer = training.model, training.optimizer
    model.load_state_dict(processes.shards.scattered(content["model"], model))
    optimizer.load_state_dict(processes.shards.moments(content["optimizer"], optimizer))
    for name, part in _companions(state):
        part.load_state_dict(content[name])
    loss, epoch, weights = content["best"]
    state.best = Best(loss, epoch, processes.shards.scattered(weights, model))
    state.epoch, state.batch, state.steps, state.epoch_done, state.ended = content["position"]
    state.losses = content["losses"]
    state.history = History(Record(*row) for row in content["history"])
    state.safe = processes.shards.scattered(content["safe"], model)
    if processes.rank == 0:
        state.rng.state = content["rng"]  # last: nothing above may draw from it


def _content(path: str | Path) -> dict[str, Any]:
    """What a file holds; no code of it is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # noise may look like a pickle of another protocol
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if "identity" not in content:
            raise KeyError("identity")
    except (
        OSError,
        RuntimeError,
        LookupError,
        ValueError,
        EOFError,
        TypeError,
        PickleError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read as a checkpoint: {reason}") from None
    return content


def _companions(state: Any) -> list[tuple[str, Any]]:
    named = [("schedule", state.schedule), ("scaler", state.scaler), ("average", state.average)]
    return [(name, part) for name, part in named if part is not None]


def _identity(training: Any) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    weights = {name: list(weight.shape) for name, weight in training.model.state_dict().items()}
    return {
        "seed": training.facts.seed,
        "batches an epoch": len(training.data),
        "epochs": training.loop.epochs,
        "optimizer": type(training.optimizer).__name__,
        "first rows": training.facts.sample.double().sum().item(),
        "weights": weights,
    }
