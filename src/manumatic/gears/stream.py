"""Datasets and DataLoaders: batches that are not ours to cut."""

__all__ = ["encode_targets", "open_stream", "refuse_weights"]

from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from manumatic.errors import ComponentError, DataError
from manumatic.gears.choices import as_loop
from manumatic.gears.facts import Found, Specs
from manumatic.gears.prepare import Preparation
from manumatic.logbook import Logbook
from manumatic.parts.components import Data, Loop
from manumatic.parts.data import Stream, batch_rows, split_rows
from manumatic.parts.loss import as_loss
from manumatic.task import Task, read_target

EPOCHS = 10  # a stream's length says little about how long to train


def open_stream(
    specs: Specs, spec: Data, X: Any, y: Any, *, device: torch.device, seed: int, logbook: Logbook
) -> Found:
    """The data component for a Dataset or DataLoader; its rows are taken as they are.

    Raises
    ------
    DataError
        Its items are not pairs (X, y).
    ComponentError
        The loop needs validation rows that a DataLoader cannot give.
    """
    labels = y if y is not None else _all_targets(X)
    task, _ = read_target(labels, classification=specs.classification, classes=specs.classes)
    batch_size = 32 if spec.batch_size in ("auto", None) else int(spec.batch_size)
    loop = as_loop(specs.loop) or Loop(EPOCHS)
    train, held = _hold_out(spec, X, loop, seed)

    def stream(source: Any, shuffle: bool) -> Stream:
        # how targets are read is known once there is a loss for the model (swap.fit_loss)
        return Stream(source, device, _as_they_are, batch_size, shuffle, seed, spec.workers)

    data = stream(train, spec.shuffle)
    with torch.random.fork_rng([]):  # looking must not change what is drawn later
        _, sample, _ = next(iter(data.batches(0)))
    logbook.note("data", f"{type(X).__name__} as it is", "its batches are not ours to change")
    task = Task(task.kind, task.classes, task.n_outputs, task.flat, tuple(sample.shape[1:]))
    return Found(
        data,
        None if held is None else stream(held, False),
        loop,
        task,
        Preparation(),
        sample[:4].cpu(),
        source=X,
    )


def refuse_weights(specs: Specs, X: Any, sample_weight: Any) -> None:
    """Raise where rows that arrive in batches were to be weighted."""
    class_weight = as_loss(specs.loss).class_weight
    given = "sample_weight" if sample_weight is not None else f"class_weight={class_weight!r}"
    if sample_weight is not None or class_weight is not None:
        raise ComponentError(
            f"{given} cannot be used with a {type(X).__name__}, whose batches are not ours to "
            "change; give X and y as arrays, or a loss that weights"
        )


def _as_they_are(targets: Any) -> Any:
    return targets


def encode_targets(targets: Any, *, task: Task, preparation: Preparation) -> np.ndarray:
    """The targets of one batch as the numbers that a model is trained on."""
    values = np.asarray(targets)
    if task.kind not in ("binary", "multiclass"):
        return preparation.targets(values.astype(np.float32))
    assert task.classes is not None
    found = np.minimum(np.searchsorted(task.classes, values), len(task.classes) - 1)
    if not np.array_equal(task.classes[found], values):
        stranger = values[task.classes[found] != values].tolist()[0]
        raise DataError(
            f"a batch holds the label {stranger!r}, which is not among the classes {task.classes}"
        )
    return found.astype(np.int64)


def _hold_out(spec: Data, X: Any, loop: Loop, seed: int) -> tuple[Any, Any]:
    if not loop.uses_validation or spec.validation is None:
        return X, None
    if isinstance(spec.validation, Dataset | DataLoader):
        return X, spec.validation
    if not isinstance(X, Dataset) or not hasattr(X, "__len__"):
        raise ComponentError(
            f"patience and keep='best' need validation rows, and {type(X).__name__} cannot be "
            "split; give them: mm.Data(validation=another_loader)"
        )
    train, valid = split_rows(len(X), spec.validation, None, seed)
    return Subset(X, train.tolist()), Subset(X, valid.tolist())


def _all_targets(X: Any) -> Any:
    """Every target, for the classes among them; a pass over the data where they are not at hand."""
    source = X.dataset if isinstance(X, DataLoader) else X
    for name in ("targets", "labels"):
        if hasattr(source, name):
            return np.asarray(getattr(source, name))
    with torch.random.fork_rng([]):
        if isinstance(X, DataLoader):
            found = [np.asarray(batch_rows(batch)[1]) for batch in X]
        else:
            found = [np.asarray(item[1])[np.newaxis] for item in _items(X)]
    if not found:
        raise DataError(f"X is a {type(X).__name__} without any row")
    targets = np.concatenate(found)
    return targets.ravel() if targets.shape[1:] == (1,) else targets


def _items(X: Any) -> Any:
    if hasattr(X, "__getitem__") and hasattr(X, "__len__"):
        return (X[number] for number in range(len(X)))
    return iter(X)
