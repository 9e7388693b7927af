"""Fit of a foundation model: the rows are kept as context, and nothing is trained."""

__all__ = ["remember"]

from dataclasses import replace
from typing import Any

from sklearn.utils import check_consistent_length
from torch.utils.data import DataLoader, Dataset

from manumatic.doctor.finding import Findings
from manumatic.errors import ComponentError, DataError
from manumatic.gears.beyond import is_beyond
from manumatic.gears.choices import as_data, choose_seed
from manumatic.gears.handover import steps
from manumatic.gears.memory import read_weights
from manumatic.gears.prepare import Rows
from manumatic.gears.reading import reader_of
from manumatic.gears.swap import describe
from manumatic.history import History
from manumatic.logbook import Logbook
from manumatic.parts.codes import Codes
from manumatic.parts.components import Data, Loop
from manumatic.parts.device import choose_device
from manumatic.parts.foundation import FOUNDATIONS, InContext, keep_rows, named, refuse_steps
from manumatic.parts.link import Link
from manumatic.parts.rows import count_rows, kind_of
from manumatic.task import Task, read_target

TRAINS = ("loss", "optimizer", "loop")


def remember(net: Any, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """What a Classifier or Regressor knows after it was fitted: its attributes.

    Parameters
    ----------
    net : Classifier or Regressor
        Whose ``model`` is the name of a foundation model.
    X, y, sample_weight
        As for its ``fit``.

    Raises
    ------
    DataError, ComponentError, MissingExtra
        What cannot be used, and how to mend it.
    """
    name, logbook, seed = named(net.model), Logbook(), choose_seed(net.random_state)
    _refuse(net, name, X)
    rows, task = _rows(net, name, X, y, sample_weight)
    spec = _data(as_data(net.data), seed)
    preparation, inputs, targets = steps.prepare(
        spec, rows, task=task, scale_target=False, seed=seed, logbook=logbook
    )
    model = keep_rows(
        net.model,
        inputs.numpy(),
        targets,
        classification=net._classification,
        labels=getattr(preparation.preprocess, "labels_", []),
        device=choose_device(net.device),
        seed=seed,
    )
    _note(model, len(rows), FOUNDATIONS[name].paper, logbook)
    shaped = replace(task, in_shape=tuple(inputs.shape[1:]))
    told = {"data": f"{len(rows)} rows kept as context", "model": describe(model)}
    found = {
        "model_": model.eval(),
        "history_": History(),
        "logbook_": logbook,
        "findings_": Findings(),
        "n_iter_": 0,
        "seed_": seed,
        "loop_": Loop(epochs=0),
        "preprocess_": preparation.preprocess,
        "_preparation": preparation,
        "_task": shaped,
        "_reader": reader_of(Link("identity"), shaped, preparation),
        "_sample": inputs.new_zeros(1).expand(2, *inputs.shape[1:]),
        "_told": told | dict.fromkeys(TRAINS, "none: nothing is trained"),
    }
    return found | ({} if shaped.classes is None else {"classes_": shaped.classes})


def _refuse(net: Any, name: str, X: Any) -> None:
    """Raise for what could only be heeded by a training."""
    if net._reconstructs:
        refuse_steps(net.model)
    for part in TRAINS:
        if not (isinstance(given := getattr(net, part), str) and given == "auto"):
            raise ComponentError(
                f"{name!r} is not trained, so {part}={given!r} has no effect; leave it out"
            )
    if isinstance(as_data(net.data).validation, tuple | list):
        raise ComponentError(f"{name!r} chooses nothing, so rows to validate on have no effect")
    if isinstance(X, Dataset | DataLoader) or is_beyond(X):
        raise DataError(
            f"{name!r} keeps all rows as context: give them in memory, as an array or a DataFrame, "
            f"not as a {type(X).__name__}"
        )


def _rows(net: Any, name: str, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, Task]:
    """Rows and targets as often as they count, and the task."""
    held = net._read(X, reset=True)
    if kind_of(held) not in ("table", "frame"):
        raise DataError(f"{name!r} reads tables (n, features); X is read as {kind_of(held)}")
    task, values = read_target(y, classification=net._classification)
    check_consistent_length(held, values)
    if task.kind == "multilabel" or not task.flat:
        raise DataError(
            f"{name!r} predicts one target; y has the shape {values.shape}. "
            "sklearn.multioutput has an estimator around it for several"
        )
    weight = read_weights(sample_weight, len(values))
    index, rest = count_rows(held, values, weight, sort=as_data(net.data).shuffle)
    if rest is not None and weight is not None:
        raise ComponentError(
            f"{name!r} reads a row once or several times: sample_weight must be small whole "
            f"numbers; got a weight of {weight.max():g} beside {weight.min():g}"
        )
    rows = Rows(held, values)
    rows = rows if index is None else rows.take(index)
    if task.classes is not None:
        gone = sorted(set(range(len(task.classes))) - set(rows.y.tolist()))
        if gone:
            label = task.classes.tolist()[gone[0]]
            raise DataError(f"no row of the class {label!r} has a weight above 0")
    return rows, task


def _data(spec: Data, seed: int) -> Data:
    """The data component, with columns as plain numbers where it is left to us."""
    if isinstance(spec.preprocess, str) and spec.preprocess == "auto":
        return Data(**(spec.get_params(deep=False) | {"preprocess": Codes(seed)}))
    return spec


def _note(model: InContext, rows: int, paper: str, logbook: Logbook) -> None:
    preparing = "numbers and codes of labels; it brings its own preprocessing"
    logbook.note("data", f"{rows} rows kept as context, none held out", preparing)
    weights = sum(weight.numel() for weight in model.parameters())
    logbook.note("model", type(model.learner).__name__, f"{weights:,} weights, from other tables")
    logbook.note("loop", "nothing is trained", f"in-context learning ({paper})")
