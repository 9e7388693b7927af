"""What the automatic gear decides where a component is "auto"; each is a row in the logbook."""

__all__ = [
    "STEPS",
    "STEPS_OF_TEXTS",
    "as_data",
    "as_loop",
    "check_loop",
    "choose_batch_size",
    "choose_border",
    "choose_loop",
    "choose_optimizer",
    "choose_seed",
]

from os import PathLike
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from manumatic.convert.module import Converted
from manumatic.errors import ComponentError
from manumatic.gears.finetune import fine_tuning
from manumatic.gears.pictures import picture_optimizer
from manumatic.gears.table import mixed_optimizer, table_optimizer
from manumatic.logbook import Logbook
from manumatic.nets.autoencoder import LinearAutoencoder
from manumatic.nets.finetune import FineTuned
from manumatic.nets.image import CNN, ResNet
from manumatic.nets.mixed import MixedNet
from manumatic.nets.sequence import Steps
from manumatic.nets.table import TableNet
from manumatic.nets.text import TextGRU
from manumatic.parts.components import Checkpoint, Data, Loop, Model, Optimizer
from manumatic.parts.optimizer import as_optimizer
from manumatic.task import Task

FEW_ROWS = 200  # below, a tenth of the rows says little about when to stop
STEPS = 3000  # what a small network needs, whatever the number of rows
STEPS_OF_TEXTS = 400  # a network has soon learned its texts by heart

READERS = (Steps, TextGRU)


def as_data(data: Any) -> Data:
    """The user's ``data=`` as a component."""
    if isinstance(data, Data):
        if not isinstance(data.shuffle, bool | np.bool_):
            raise ComponentError(
                f"mm.Data(shuffle=...) must be True or False; got {data.shuffle!r}"
            )
        return data
    if isinstance(data, str) and data == "auto":
        return Data()
    raise ComponentError(f'data must be "auto" or mm.Data(...); got {data!r}')


def choose_border(spec: Data, model: Any, logbook: Logbook) -> Data:
    """A model that was converted from scikit-learn has a preprocessing and units of its own."""
    net = model.net if isinstance(model, Model) else model
    automatic = isinstance(spec.preprocess, str) and spec.preprocess == "auto"
    if not (isinstance(net, Converted) and automatic):
        return spec
    logbook.note("data", "columns as the converted model reads them", "it brings its preprocessing")
    target = None if isinstance(spec.target, str) else spec.target
    return Data(**(spec.get_params(deep=False) | {"preprocess": net.border, "target": target}))


def as_loop(loop: Any) -> Loop | None:
    """The user's ``loop=`` as a component; None means that automatic decides."""
    if isinstance(loop, Loop):
        check_loop(loop)
        return loop
    if isinstance(loop, str) and loop == "auto":
        return None
    raise ComponentError(f'loop must be "auto" or mm.Loop(...); got {loop!r}')


def check_loop(loop: Loop) -> None:
    """Raise ComponentError for a value that no training could follow."""
    whole, number = (int, np.integer), (int, float, np.integer, np.floating)
    # name: types, whether the value will do, in words, whether None will do
    rules: dict[str, tuple[Any, Any, str, bool]] = {
        "epochs": (whole, lambda n: n >= 1, "a whole number, 1 or more", False),
        "patience": (whole, lambda n: n >= 1, "a whole number, 1 or more, or None", True),
        "keep": (str, lambda word: word in ("last", "best"), "'last' or 'best'", False),
        "clip_norm": (number, lambda x: x > 0, "a number above 0, or None", True),
        "accumulate": (whole, lambda n: n >= 1, "a whole number, 1 or more", False),
        "ema": (number, lambda x: 0 <= x < 1, "a number from 0 up to 1, or None", True),
        "time": (number, lambda x: x > 0, "seconds, more than 0, or None", True),
    }
    for name, (kind, will_do, wanted, none_will_do) in rules.items():
        value = getattr(loop, name)
        if value is None and none_will_do:
            continue
        if not isinstance(value, kind) or isinstance(value, bool) or not will_do(value):
            raise ComponentError(f"mm.Loop({name}=...) must be {wanted}; got {value!r}")
    if loop.step is not None and not callable(loop.step):
        raise ComponentError(
            "mm.Loop(step=...) must be a function (model, loss_fn, optimizer, X, *target) that "
            f"returns the loss, or None; got {loop.step!r}"
        )
    if loop.saves is not None:
        _check_saves(loop.saves)


def _check_saves(saves: Checkpoint) -> None:
    if not isinstance(saves.path, str | PathLike):
        raise ComponentError(f"mm.Loop(checkpoint=...) must be a path; got {saves.path!r}")
    number = (int, float, np.integer, np.floating)
    if not (isinstance(saves.every, number) and saves.every >= 0):
        raise ComponentError(
            f"mm.Checkpoint(every=...) must be seconds, 0 or more; got {saves.every!r}"
        )


def choose_seed(random_state: Any) -> int:
    """The one number that decides all that is random; drawn anew when ``random_state`` is None."""
    if isinstance(random_state, int | np.integer):
        if not 0 <= random_state < 2**32:
            raise ComponentError(f"random_state must be from 0 to 2**32 - 1; got {random_state}")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def choose_batch_size(data: Data, n_rows: int, logbook: Logbook) -> int:
    """Rows a batch: the user's, all, or by the number of rows."""
    wanted = data.batch_size
    if wanted is None:
        return n_rows
    if isinstance(wanted, int | np.integer) and wanted >= 1 and wanted is not True:
        return min(int(wanted), n_rows)
    if not (isinstance(wanted, str) and wanted == "auto"):
        raise ComponentError(
            f'batch_size must be a whole number, 1 or more, None for full batch, or "auto"; '
            f"got {wanted!r}"
        )
    stepwise = data.preprocess in ("tokens", "sequences")
    few = min(n_rows, 32 if stepwise else 64)  # a row of many steps says more
    sizes = ((1_000, few), (8_000, 128), (30_000, 256), (100_000, 512), (n_rows, 1024))
    size = next(size for limit, size in sizes if n_rows <= limit)
    logbook.note("data", f"batches of {size}", f"{n_rows} training rows")
    return size


def choose_loop(
    n_rows: int, batch_size: int, logbook: Logbook, most: int = 300, wanted: int = STEPS
) -> Loop:
    """Epochs for so many steps, and early stopping where there are rows to judge by."""
    steps = -(-n_rows // batch_size)
    epochs = int(np.clip(round(wanted / steps), 12, most))
    if n_rows < FEW_ROWS:
        logbook.note(
            "loop",
            f"{epochs} epochs, no early stopping",
            f"{n_rows} rows are too few to hold some out",
        )
        return Loop(epochs)
    patience = max(8, epochs // 2)
    logbook.note(
        "loop",
        f"at most {epochs} epochs, the best weights kept, patience {patience}",
        f"{steps} steps an epoch; about {wanted} steps in all",
    )
    return Loop(epochs, patience=patience, keep="best")


def choose_optimizer(
    optimizer: Any, model: Any, task: Task, *, ours: bool, logbook: Logbook
) -> Any:
    """The user's optimizer; for "auto" the recipe that suits the model, with what they did set."""
    if isinstance(optimizer, str) and optimizer == "auto":
        optimizer = Optimizer("auto")
    if isinstance(optimizer, torch.optim.Optimizer):
        as_optimizer(optimizer)  # it belongs to other weights, and this says so
    if not (isinstance(optimizer, Optimizer) and optimizer.name == "auto"):
        return optimizer
    given = {
        name: value
        for name, value in optimizer.get_params(deep=False).items()
        if name != "name" and value is not None
    }
    recipe = _suited(model, task, ours, given, logbook)
    if given:
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        logbook.note("optimizer", f"but {told}", "as you asked")
    return recipe.set_params(**given)


def _suited(
    model: Any, task: Task, ours: bool, given: dict[str, Any], logbook: Logbook
) -> Optimizer:
    """The recipe for a model; what it reads of what the user did set is taken out of it."""
    recipes: dict[type, Any] = {TableNet: table_optimizer, MixedNet: mixed_optimizer}
    table = next((recipe for kind, recipe in recipes.items() if isinstance(model, kind)), None)
    if table is not None:
        base = {name: given.pop(name) for name in ("lr", "weight_decay") if name in given}
        made: Optimizer = table(model, task, logbook, **base)
        return made
    if isinstance(model, FineTuned) and not isinstance(model.body, Converted):
        return fine_tuning(model, logbook, given.pop("lr", None))
    if ours and isinstance(model, CNN | ResNet):
        return picture_optimizer(logbook)
    return _recipe(model.body if isinstance(model, FineTuned) else model, ours, logbook)


def _recipe(model: Any, ours: bool, logbook: Logbook) -> Optimizer:
    """AdamW with a cosine schedule; a smaller rate for networks that we don't know."""
    if isinstance(model, Converted):
        # its weights are in the units of the data: leaves in euros, slopes per square metre
        why = "steps in proportion to each weight suit weights in any units"
        logbook.note("optimizer", "Adafactor, lr 0.02 falling to 0 along a cosine", why)
        return Optimizer("adafactor", lr=0.02, schedule="cosine")
    lr, why = 5e-3 if ours else 2e-3, "a safe start for most networks"
    if isinstance(model, READERS):
        lr, why = 2e-3, "the same weights are used at every step, so a small change goes far"
    if isinstance(model, LinearAutoencoder):  # Baldi & Hornik 1989
        lr, why = 2e-2, "a linear autoencoder has no minimum but the best one"
    logbook.note("optimizer", f"AdamW, lr {lr:g} falling to 0 along a cosine", why)
    return Optimizer("adamw", lr=lr, schedule="cosine", weight_decay=0.01)
