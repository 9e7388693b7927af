"""The doctor while driving: losses that grow or stay, dead units, steps of a wrong size."""

__all__ = [
    "Divergence",
    "dead_units",
    "diverging",
    "plateau",
    "update_ratios",
]

import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from manumatic.doctor.case import Case, examine
from manumatic.doctor.course import Course
from manumatic.doctor.finding import Finding
from manumatic.doctor.stability import at_most
from manumatic.show.frame import short

TIMES = 10  # a loss so many times the best
EPOCHS = 5  # for so long
NEAR = 0.01  # of chance: a plateau
LEARNS_NOTHING = 20  # epochs before that is said
ROWS, IMAGES = 256, 32  # that show which units are dead; an image has many places for each
DEAD = 0.6  # eight layers that train well reach 0.48
SHORT, LONG, FADES = 1e-5, 0.4, 1e5  # see update_ratios


class Divergence:
    """Sees one loss after the other, and when they have begun to grow for good.

    They have when one is not finite, or when ``patience`` in a row are above ten times the best
    and a tenth of the first: what jumps about near zero has long been learned.

    Parameters
    ----------
    patience : int

    Attributes
    ----------
    found : bool
    seen : int
        Losses seen until then.
    first, best, last : float

    Examples
    --------
    >>> watch = Divergence()
    >>> [watch.saw(loss) for loss in [4.0, 90.0, 160.0, 320.0, 640.0, 1280.0]]
    [False, False, False, False, False, True]
    """

    def __init__(self, patience: int = EPOCHS) -> None:
        self.patience = patience
        self.found = False
        self.seen = self.above = 0
        self.first = self.best = self.last = math.nan

    def saw(self, loss: float) -> bool:
        """Whether that is so after this loss, too; the numbers stay at the first time it was."""
        if self.found:
            return True
        self.seen += 1
        self.last = loss
        if self.seen == 1:
            self.first = self.best = loss
        self.best = min(self.best, loss)
        grown = loss > TIMES * self.best and loss > self.first / TIMES
        self.above = self.above + 1 if grown else 0
        self.found = self.above >= self.patience or not math.isfinite(loss)
        return self.found


def diverging(course: Course) -> Iterator[Finding]:
    """MM301 on the way: the training loss grows, or is no number any more."""
    watch = Divergence()
    for loss in course.train:
        if watch.saw(loss):
            break
    if not (watch.found or course.ended == "diverged"):
        return
    rate, epoch = f"lr={course.lr:g}", watch.seen - 1
    if watch.found and math.isfinite(watch.last):
        said = (
            f"{rate} makes the loss grow: it was {short(watch.best, 3)} at its best and is "
            f"{short(watch.last, 3)} in epoch {epoch}, more than {TIMES} times that for {EPOCHS} "
            "epochs."
        )
    else:
        since = f" after {short(watch.first)} in the first" if watch.seen > 1 else ""
        epoch += not watch.found  # the loop stopped before that epoch had a mean
        said = f"{rate} threw the weights away: the loss is no number in epoch {epoch}{since}."
    lower = course.lr / 10
    if course.limit is not None and course.lr > course.limit:
        said += f" The stability limit of this loss is {at_most(course.limit)}."
        lower = course.limit / 2
    name = course.optimizer.removeprefix("Lean").lower()
    yield Finding("MM301", said, f'optimizer=mm.Optimizer("{name}", lr={_rate(lower)})')


def plateau(course: Course) -> Iterator[Finding]:
    """MM310: over half of the epochs the loss is, within 1 %, that of a constant prediction.

    The means of the third and of the fourth quarter are judged; with batches of b rows, 0.5/b more.
    """
    losses, chance = course.train, course.chance
    half = losses[len(losses) // 2 :]
    if len(losses) < LEARNS_NOTHING or not chance:
        return
    quarters = fmean(half[: len(half) // 2]), fmean(half[len(half) // 2 :])
    steps = -(-course.n_train // course.batch_size) if course.batch_size else 1
    # batches of b rows scatter, and each row is a part of its own batch: it pulls the mean by 1/b
    near = NEAR if steps < 2 else NEAR + 0.5 / course.batch_size
    if max(abs(mean - chance) for mean in quarters) > near * chance:
        return
    stays = f"the loss has stayed at {short(losses[-1])} for {len(half)} epochs"
    if course.kind == "regression":
        yield Finding(
            "MM310",
            f"{stays}; the same answer for every row gives {short(chance)}. The model has learned "
            "the mean of y and nothing else: a target of shape (n,) beside outputs (n, 1) does "
            "this, or X says nothing about y.",
            "y = y.view(-1, 1)  # the shape of the model's output",
        )
    else:
        yield Finding(
            "MM310",
            f"{stays}; always answering the shares of the classes gives {short(chance)}. The model "
            "has learned those and nothing else: no gradient gets through to its first layers, or "
            "X says nothing about y.",
            "print(model(X[:5]))  # the same numbers for each row?",
        )


# --- units ---------------------------------------------------------------------------------------


def dead_units(model: nn.Module, X: Tensor) -> Iterator[Finding]:
    """MM307: most units of a ReLU layer are 0 for all rows, and so have no gradient.

    ``nn.ReLU`` is seen as well as ``F.relu`` in a forward; of each, the layer that was called
    last before it gives the name. A unit is a column of a (n, units) or (n, time, units) output and
    a channel of an image.

    Parameters
    ----------
    model : torch.nn.Module
        Looked at in eval mode; modes and random states are put back.
    X : Tensor (n, ...)
        The first 256 rows are used, of images and sequences 32.
    """
    rows = X[: ROWS if X.ndim == 2 else IMAGES]
    yield from examine(Case(model, rows, rows), [_dead_units])


@torch.no_grad()
def _dead_units(case: Case) -> Iterator[Finding]:
    with _Relus(case.model) as relus:
        case.model(case.X)
    layers = {name: alive for name, alive in relus.alive.items() if len(alive) > 1}
    worst = [
        f"{int((~alive).sum())} of the {len(alive)} units of {name or 'the model'!r}"
        for name, alive in layers.items()
        if (~alive).float().mean() > DEAD
    ]
    if worst:
        yield Finding(
            "MM307",
            f"{_listed(worst)} are 0 for all of {len(case.X)} rows: nothing passes through them "
            "and no gradient brings them back.",
            "nn.LeakyReLU()  # in place of nn.ReLU(); or a smaller lr",
        )


class _Relus(TorchFunctionMode):
    """Which units are above 0 for some row, by the name of the layer called last."""

    calls = (F.relu, F.relu6, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.alive: dict[str, Tensor] = {}
        self.name = ""
        self.handles = [
            layer.register_forward_pre_hook(self._named(name))
            for name, layer in model.named_modules()
        ]

    def _named(self, name: str) -> Any:
        def enter(layer: nn.Module, inputs: Any) -> None:
            self.name = name

        return enter

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in self.calls:
            unit = 1 if out.ndim != 3 else 2
            alive = (out > 0).transpose(unit, -1).flatten(0, -2).any(dim=0)
            # a layer that is called twice is dead only where both calls are
            self.alive[self.name] = alive | self.alive.get(self.name, torch.zeros_like(alive))
        return out

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call] # torch has no types here
        for handle in self.handles:
            handle.remove()


# --- steps ---------------------------------------------------------------------------------------


def update_ratios(
    before: Sequence[Tensor], after: Sequence[Tensor], names: Sequence[str], lr: float
) -> Iterator[Finding]:
    """MM308: how far the first step moved each weight matrix, as a share of its length.

    Only the first step tells: later, Adam's ratio is 1/k after k steps at any learning rate, and
    that of SGD is large wherever good weights are near 0. Measured on 142 trainings at usual rates,
    the largest ratio of a net was 3e-4 or more and the smallest 0.08 or less; Adam with lr=0.1
    starts with 0.47 or more for every matrix. The ratios of one net were within a factor of 5,000,
    against 340,000 for six layers of sigmoids, which learn nothing.

    Parameters
    ----------
    before, after : sequence of Tensor
        Weights around the first step of a run that starts from fresh weights, with an optimizer
        that takes one gradient a step (not LBFGS).
    names : sequence of str
    lr : float
        Of that step.
    """
    ratios = {
        name: _moved(old.detach(), new.detach())
        for name, old, new in zip(names, before, after, strict=True)
        if old.ndim > 1 and old.numel() > 1
    }
    # exactly 1 is a matrix that began at 0: it had no length to be compared with
    moved = {name: ratio for name, ratio in ratios.items() if 0 < ratio < math.inf and ratio != 1}
    if not moved:
        return
    low, high = min(moved, key=lambda name: moved[name]), max(moved, key=lambda name: moved[name])
    if moved[high] < SHORT:
        yield Finding(
            "MM308",
            f"lr={lr:g} is far too small: the first step changed {high!r} by "
            f"{moved[high]:.1g} of its length, and other weights by less.",
            f"optimizer=mm.Optimizer(..., lr={_rate(lr * 1e-3 / moved[high])})",
        )
    elif len(moved) > 1 and moved[low] > LONG:
        yield Finding(
            "MM308",
            f"lr={lr:g} is far too large: the first step changed every weight matrix by "
            f"{math.floor(100 * moved[low])} % of its length or more, so what they were "
            "initialised to is gone.",
            f"optimizer=mm.Optimizer(..., lr={_rate(lr * 0.05 / moved[high])})",
        )
    elif moved[high] > FADES * moved[low]:
        yield Finding(
            "MM308",
            f"the gradient fades on its way back: the first step changed {high!r} by "
            f"{moved[high]:.1g} of its length and {low!r} by {moved[low]:.1g}.",
            "nn.ReLU()  # in place of sigmoids; nn.BatchNorm1d or nn.LayerNorm between layers",
        )


def _rate(lr: float) -> str:
    """Two digits, rounded down; a group of frozen weights has the rate 0."""
    return f"{float(at_most(lr)):g}" if lr > 0 else "..."


def _moved(old: Tensor, new: Tensor) -> float:
    return float((new - old).norm() / max(old.norm(), new.norm()))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
