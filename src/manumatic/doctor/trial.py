"""Before step 1, for those who ask: the model built, moved and trained, always on a copy."""

__all__ = ["drawn_elsewhere", "not_learned_by_heart", "unfindable_class", "wrong_device"]

import inspect
import linecache
import math
import re
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from manumatic.doctor.case import Case
from manumatic.doctor.data import unscaled
from manumatic.doctor.finding import Finding
from manumatic.doctor.forward import FAILURES, LOOK, kind_of, measure, predict, slopes, twin
from manumatic.doctor.weights import hidden_weights

STEPS = 100
RATES = (1e-2, 1e-3)  # of a transformer the first is too much
SECONDS = 0.15  # of this thread, a rate; a model that needs more gets no verdict
ROWS = 16
NORMS = nn.modules.batchnorm._BatchNorm
TORCH = Path(torch.__file__).parent
ELSEWHERE = re.compile("same device|expected device|two devices")


# --- MM206 ---------------------------------------------------------------------------------------


def not_learned_by_heart(case: Case) -> Iterator[Finding]:
    """MM206: a network that cannot learn 16 rows by heart has a fault in it.

    A copy gets 100 steps of Adam, without dropout, and another copy as many at a lower rate.
    Nothing is expected of a linear model, of more rows than a small one has room for, or where
    MM101 or MM203 already say why.

    References
    ----------
    A. Karpathy, A Recipe for Training Neural Networks (2019): overfit one batch.
    """
    batch = None if any(unscaled(case)) or hidden_weights(case) else _some_rows(case)
    chance = None if batch is None else _chance(case, *batch)
    if batch is None or chance is None:
        return
    enough = 0.8 * chance  # a sound net may be slow; a broken one stays at 0.9 and more
    least = chance
    for lr in RATES:
        least = min(least, _train(case, batch, lr, enough))
        if least <= enough:
            return
    said = (
        f"{len(batch[0])} rows cannot be learned by heart: after {STEPS} steps of Adam their loss "
        f"is {least:.3g}, and the best constant has {chance:.3g}."
    )
    mend = "for name, w in model.named_parameters(): print(name, w.abs().amax(), w.grad)"
    yield Finding("MM206", said, f"{mend}  # which are 0?")


def _some_rows(case: Case) -> list[Tensor] | None:
    """Few rows that differ, from all over: rows that are alike may well have different targets."""
    layers = [m for m in case.model.modules() if any(w.ndim > 1 for w in m.parameters(False))]
    weights = sum(weight.numel() for weight in case.model.parameters() if weight.requires_grad)
    if kind_of(case.loss) == "" or len(layers) < 2 or not case.y.numel():
        return None
    rows = case.rows(LOOK)
    kinds = rows[0].flatten(1).unique(dim=0, return_inverse=True)[1].tolist()
    first = sorted({kind: row for row, kind in reversed(list(enumerate(kinds)))}.values())
    most = min(ROWS, weights // 20, len(first))
    if most < 4:
        return None
    chosen = [first[number * len(first) // most] for number in range(most)]
    X, y, *weight = (tensor[chosen] for tensor in rows)
    if kind_of(case.loss) == "numbers":
        y = y / y.abs().amax().clamp(min=1e-30)  # so that any target is as far as any other
    return [X, y, *weight]


@torch.no_grad()
def _chance(case: Case, X: Tensor, *rest: Tensor) -> float | None:
    """The loss of the best constant; None where there is nothing to learn beyond it."""
    prediction, kind, y = predict(case.model, X), kind_of(case.loss), rest[0]
    if prediction is None or prediction.ndim > 2:
        return None
    if kind in ("classes", "log_classes"):
        shares = y if y.is_floating_point() else F.one_hot(y.long(), prediction.shape[1]).float()
        best = shares.mean(0).clamp(1e-3).log()
    elif kind == "numbers":
        best = y.mean(0)
    else:
        best = y.mean(0).clamp(1e-3, 1 - 1e-3)
        best = best.logit() if kind == "logits" else best
    found = measure(case, best.expand_as(prediction), *rest)
    least = 1e-6 if kind == "numbers" else 0.05  # all rows of one class
    return found.item() if found is not None and found.item() > least else None


def _train(case: Case, batch: list[Tensor], lr: float, enough: float) -> float:
    """The least loss of a copy; 0 where no verdict is possible."""
    model = twin(case.model)
    if model is None:
        return 0.0
    for layer in model.modules():
        layer.training = isinstance(layer, NORMS)  # they scale in training only
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=lr)
    X, *rest = batch
    losses: list[float] = []

    def loss(prediction: Tensor) -> Tensor | None:
        value = measure(case, prediction, *rest)
        losses.append(float("nan") if value is None else value.item())
        return value

    until = math.inf
    for step in range(STEPS):
        found = slopes(model, X, loss, weights)
        if found is None or math.isnan(losses[-1]) or time.thread_time() > until:
            return 0.0
        if losses[-1] <= enough:
            break
        for weight, slope in zip(weights, found, strict=True):
            weight.grad = slope
        optimizer.step()
        if step == 0:  # the first of a process imports half of torch
            until = time.thread_time() + SECONDS
    return min(losses)


# --- MM306 ---------------------------------------------------------------------------------------


def wrong_device(case: Case) -> Iterator[Finding]:
    """MM306: forward makes tensors on the CPU, wherever the model is.

    A copy runs on torch's "meta" device, where nothing is computed and devices still count.
    """
    copied = None if hidden_weights(case) else twin(case.model)
    if copied is None or case.X.device.type == "meta":
        return
    copied, X, watch = copied.to("meta"), case.X[:2].to("meta"), _Made()
    try:
        with torch.no_grad(), watch:
            copied(X)
    except FAILURES as error:
        if not ELSEWHERE.search(str(error)):
            return
        yield Finding("MM306", *_say_where(case.model, error, watch.made))


class _Made(TorchFunctionMode):
    """Notes where forward makes tensors that are not on "meta"."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, str, int]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        frame: FrameType | None = inspect.currentframe()
        caller = frame.f_back if frame else None
        made = isinstance(result, Tensor) and not any(isinstance(part, Tensor) for part in args)
        if made and caller is not None and result.device.type != "meta" and result.ndim:
            file = caller.f_code.co_filename
            if not _is_machinery(file):
                self.made.append((getattr(func, "__name__", "tensor"), file, caller.f_lineno))
        return result


def _say_where(
    model: nn.Module, error: BaseException, made: list[tuple[str, str, int]]
) -> tuple[str, str]:
    if made:
        what, file, number = made[0]
        does, mend = "makes a tensor on the CPU", f"torch.{what}(..., device=x.device)"
    else:
        frames = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)]
        file, number = [frame for frame in frames if not _is_machinery(frame[0])][-1]
        held = (name for m in model.modules() for name in vars(m) if _is_plain(vars(m)[name]))
        name = next(held, "constant")
        does = "uses a tensor that stays on the CPU"
        mend = f'self.register_buffer("{name}", {name})  # in __init__: it moves with the model'
    line = linecache.getline(file, number).strip()
    said = f"line {number} of {Path(file).name} {does}, wherever the model is: `{line}`."
    return said, mend


def _is_machinery(file: str) -> bool:
    return file == __file__ or Path(file).is_relative_to(TORCH)


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, nn.Parameter)


# --- MM104 ---------------------------------------------------------------------------------------


def drawn_elsewhere(make: Callable[[], nn.Module]) -> Iterator[Finding]:
    """MM104: built twice from one seed of torch, a model should have the same weights."""
    built = []
    for _ in range(2):
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(0)
            built.append(make().state_dict())
    one, two = built
    for name, weight in one.items():
        if torch.nn.parameter.is_lazy(weight) or torch.equal(weight, two[name]):
            continue
        said = (
            f"built twice with the same seed of torch, {name!r} differs by up to "
            f"{(weight - two[name]).abs().amax():.2g}: it is drawn by NumPy or Python."
        )
        yield Finding("MM104", said, "weight = torch.randn(rows, columns)  # not np.random")
        return


# --- MM501 ---------------------------------------------------------------------------------------


def unfindable_class(case: Case) -> Iterator[Finding]:
    """MM501: a class inside a function, or in ``__main__``, that another process cannot import."""
    for layer in case.model.modules():
        kind = type(layer)
        name = kind.__name__
        if "<locals>" in kind.__qualname__:
            where = f"inside the function {kind.__qualname__.partition('.<locals>')[0]}"
        elif kind.__module__ == "__main__":
            where = "in the script or notebook itself"
        else:
            continue
        said = f"class {name} is defined {where}: other processes, and torch.load, cannot find it."
        file = f"{name.lower()}.py"
        yield Finding("MM501", said, f"from {file[:-3]} import {name}  # after moving it to {file}")
        return
