"""What automatic decides for the table net: its size, how long it learns, and its optimizer."""

__all__ = [
    "FEW",
    "are_few",
    "averaged",
    "choose_net",
    "crossed_loop",
    "is_table",
    "leaves_out",
    "mixed_optimizer",
    "steps_of",
    "table_loop",
    "table_optimizer",
]

import math
from typing import Any

import torch

from manumatic.gears.pictures import sized_picture_net
from manumatic.logbook import Logbook
from manumatic.nets.crossed import PARTS, CrossedNet
from manumatic.nets.mixed import MixedNet
from manumatic.nets.table import TableNet
from manumatic.parts.components import Loop, Model, Optimizer
from manumatic.parts.data import are_unseen
from manumatic.parts.finetune import FineTune, resolve_fine_tuning
from manumatic.parts.model import resolve_model
from manumatic.task import Task

FEW = 500  # rows, below which a wide net learns them by heart, and each is missed in training
# Fewer are learned to the end: scikit-learn's checks compare the probabilities of twenty rows to
# nine digits, which float32 gives where a net is sure.
FEWEST = 50
COARSE = 1000  # rows, below which sixteen bins a column are learned by heart
MIDDLING = 2000  # rows, below which members of their own weights are half as wide
MANY = 8000  # rows, from which a tenth of them is not missed in training
EPOCHS = 50  # over few rows, where none judges
STEPS = 400  # over few rows, where all judge: enough to see when to stop
READERS = 1e-2  # learning rate of what reads texts and images
EMA = 0.97  # decay a step: the weights of the last 33 steps or so
FALLING = (0.15, 0.0)  # dropout at the beginning and at the end; few rows need it to the end
WIDE = 1000  # readings of a row, above which eight members cost more than they give


def is_table(model: Any, in_shape: tuple[int, ...]) -> bool:
    """Whether the model that was asked for is the table net or holds one, for such rows."""
    net = model.net if isinstance(model, Model) else model
    named = net in ("table", "mixed")
    return isinstance(net, str) and (named or (net == "auto" and len(in_shape) == 1))


def choose_net(
    spec: Model,
    task: Task,
    data: Any,
    device: torch.device,
    logbook: Logbook,
    valid: Any = None,
) -> Model:
    """The class or function that makes the net, with all its arguments; or a finished net."""
    if isinstance(spec, FineTune):
        return resolve_fine_tuning(spec, task, logbook)
    # a stream that does not tell has as many rows as many have
    n_rows = int(getattr(data, "n_rows", 10_000))
    columns = not (task.kind == "reconstruction" or task.vocabulary)
    if columns and is_table(spec, task.in_shape):
        if are_unseen(valid):
            return resolve_model(_crossed(spec, task, n_rows, logbook), task, logbook)
        spec = _sized(spec, task, n_rows, device, logbook)
    if spec.net in ("auto", "cnn") and len(task.in_shape) == 3 and task.kind != "reconstruction":
        spec = sized_picture_net(spec, task, n_rows, logbook)
    return resolve_model(spec, task, logbook)


def _sized(spec: Model, task: Task, n_rows: int, device: torch.device, logbook: Logbook) -> Model:
    """The table net with the sizes that its user left open.

    Measured on nine small and middling tables, and on small ones for width and bins
    (docs/table.md): eight members of width 128 beat one net of width 256 at the same cost; on few
    rows narrow nets beat wide ones, and coarse bins fine ones.
    """
    readings = _readings(task)
    members, why = 8, "about what one net twice as wide would cost"
    if are_few(n_rows):
        why = f"{n_rows} training rows are soon learned by heart"
    if device.type != "cpu":
        members, why = 16, f"on {device.type} they are computed side by side"
    elif readings > WIDE:
        members, why = max(2, 8 * WIDE // readings), f"{readings} readings a row are many"
    wide = 128 if device.type == "cpu" else 256
    chosen: dict[str, Any] = {"members": members, "hidden": 32 if are_few(n_rows) else wide}
    chosen["bins"] = 4 if n_rows < COARSE else 16
    if n_rows >= FEW and task.mixed is None:
        chosen["dropout"] = FALLING
    return _taken(spec, chosen, "share one net", why, n_rows, logbook)


def _crossed(spec: Model, task: Task, n_rows: int, logbook: Logbook) -> Model:
    """The table net whose members leave rows out: the fewer rows, the narrower and the more.

    Measured on 45 tables of 120 to 500 training rows and 41 of 560 to 5,000 (docs/table.md).
    """
    sizes = ((FEW, 2 * PARTS, 32), (MIDDLING, PARTS, 64))
    members, hidden = next((size[1:] for size in sizes if n_rows < size[0]), (PARTS, 96))
    if (readings := _readings(task)) > WIDE:
        hidden = max(32, hidden * WIDE // readings)
    chosen: dict[str, Any] = {"members": members, "hidden": hidden}
    chosen["bins"] = 4 if n_rows < COARSE else 16
    if n_rows >= FEW:
        chosen["dropout"] = FALLING
    by = "two members leave" if members > PARTS else "one member leaves"
    learned = " are soon learned by heart" if are_few(n_rows) else ""
    why = f"{n_rows} training rows{learned}; {by} each of them out"
    return _taken(Model(CrossedNet, **spec.arguments), chosen, "in one net", why, n_rows, logbook)


def _taken(
    spec: Model, chosen: dict[str, Any], how: str, why: str, n_rows: int, logbook: Logbook
) -> Model:
    """A net with what was chosen, where its user left it open."""
    taken = chosen | spec.arguments
    if "members" not in spec.arguments:
        logbook.note("model", f"{taken['members']} members of {taken['hidden']} units {how}", why)
    if "bins" not in spec.arguments:
        logbook.note("model", f"{taken['bins']} bins a number", f"{n_rows} training rows")
    return Model(spec.net, **taken)


def _readings(task: Task) -> int:
    """Numbers that the first layer of the table net gets of a row."""
    numbers = len(task.numeric) if task.numeric is not None else task.in_shape[0]
    if task.mixed is None:
        return task.in_shape[0] + 7 * numbers
    table, texts, images = task.mixed
    return int(table) + 32 * (len(texts) + len(images)) + 7 * numbers


def are_few(n_rows: int) -> bool:
    """Whether all of so many rows train, for a few epochs, in a narrow net."""
    return FEWEST <= n_rows < FEW


def leaves_out(model: Any, in_shape: tuple[int, ...], n_rows: int) -> bool:
    """Whether the members of the net that was asked for may leave some of so many rows out."""
    asked = model.arguments if isinstance(model, Model) else {}
    enough = asked.get("members", PARTS) >= PARTS
    return is_table(model, in_shape) and FEWEST <= n_rows < MANY and enough


def steps_of(n_rows: int) -> int:
    """Steps of the optimizer in which the table net learns what so many rows can teach it."""
    sizes = ((COARSE, 600), (8_000, 1500))
    return next((steps for limit, steps in sizes if n_rows <= limit), 2000)


def table_loop(n_rows: int, logbook: Logbook) -> Loop:
    """All of few rows train, to the end: the rate falls to 0, and the last weights are the best."""
    why = f"{n_rows} rows: a tenth of them is worth more as training rows"
    logbook.note("loop", f"{EPOCHS} epochs, none held out", why)
    return Loop(EPOCHS)


def crossed_loop(n_rows: int, batch_size: int, logbook: Logbook) -> Loop:
    """All rows train, and each judges by members that left it out: when is it enough?"""
    wanted = STEPS if are_few(n_rows) else steps_of(n_rows)
    epochs = max(12, round(wanted / -(-n_rows // batch_size)))
    told = f"at most {epochs} epochs, the best weights kept; no row is held out"
    why = f"{n_rows} rows: each is left out by one member in {PARTS}, which judges it"
    logbook.note("loop", told, why)
    return Loop(epochs, patience=max(8, epochs // 2), keep="best")


def averaged(loop: Loop, logbook: Logbook) -> Loop:
    """Keep a moving average of the weights: the noise of single batches goes out of it.

    On eleven development sets 1.3 % less error, for 7 % more time (docs/table.md).
    """
    why = "single batches are noise, and the average has less of it"
    logbook.note("loop", f"a moving average of the weights is kept, ema={EMA}", why)
    return loop.set_params(ema=EMA)


def table_optimizer(
    model: TableNet,
    task: Task,
    logbook: Logbook,
    lr: float | None = None,
    weight_decay: float = 0.02,
    inside: str = "",
) -> Optimizer:
    """RealMLP's (arXiv:2407.04491): AdamW, rates by kind of weight, and four waves of all of them.

    Where the paper has W / √inputs with a rate lr, the net has W with lr / √inputs; the decay, lr ·
    weight_decay a step, is the same.
    """
    if lr is None:
        lr = 0.2 if task.kind == "regression" else 0.04
    groups: list[tuple[str, dict[str, Any]]] = [
        (f"{inside}scale", {"lr": 6 * lr}),
        (f"{inside}*.bias", {"lr": 0.1 * lr, "weight_decay": 0.0}),
    ]
    layers: dict[str, Any] = {
        f"layers.{place}.weight": layer for place, layer in enumerate(model.layers)
    }
    for name, layer in (layers | {"head.weight": model.head}).items():
        root = math.sqrt(layer.in_features)
        groups.append((inside + name, {"lr": lr / root, "weight_decay": weight_decay * root}))
    told = f"AdamW, lr {lr:g} over √inputs, rising and falling in four waves of growing length"
    if model.falls:
        told += f", the dropout from {model.rates[0]:g} to {model.rates[1]:g}"
    logbook.note("optimizer", told, "RealMLP's recipe (arXiv:2407.04491)")
    return Optimizer(
        "adamw",
        lr=0.1 * lr,  # of all others: readings of numbers, scales of members, bends
        schedule="waves",
        groups=groups,
        betas=(0.9, 0.95),
        weight_decay=weight_decay,
    )


def mixed_optimizer(
    model: MixedNet, task: Task, logbook: Logbook, lr: float | None = None, **base: float
) -> Optimizer:
    """The table net's recipe, and rates of their own for what reads texts and images."""
    recipe = table_optimizer(model.table, task, logbook, lr, **base, inside="table.")
    told = f"lr {READERS:g} for what reads texts and images"
    logbook.note("optimizer", told, "their weights are in the usual size, not RealMLP's")
    parts = [name for name in ("texts", "images", "norms") if len(getattr(model, name))]
    groups = [(f"{name}.*", {"lr": READERS, "weight_decay": 0.01}) for name in parts]
    return recipe.set_params(groups=[*groups, *(recipe.groups or ())])
