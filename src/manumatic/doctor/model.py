"""Before step 1: a model that does not fit its loss, its batches, or the rows."""

__all__ = [
    "double_softmax",
    "far_first_loss",
    "mixed_rows",
    "restless_predictions",
    "stretched_target",
    "tiny_batches",
]

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from manumatic.doctor.case import Case
from manumatic.doctor.finding import Finding
from manumatic.doctor.forward import (
    FEW,
    LOOK,
    kind_of,
    loss_name,
    measure,
    predict,
    slopes,
    twin,
)
from manumatic.parts.loss import last_operation
from manumatic.show.frame import short

CLASSES = ("classes", "log_classes")
MEDIAN = ("L1Loss", "l1_loss")  # of these the best constant; of the others the mean
TINY = 8  # rows: fewer say little about a mean, and less about a variance


# --- MM201 ---------------------------------------------------------------------------------------


@torch.no_grad()
def stretched_target(case: Case) -> Iterator[Finding]:
    """MM201: outputs (n, 1) beside targets (n,) are broadcast to (n, n)."""
    X, y, *weight = case.rows(FEW)
    kind = kind_of(case.loss)
    if case.loss is None or kind in CLASSES or len(X) < 2:
        return
    prediction = predict(case.model, X)
    if prediction is None or prediction.shape == y.shape or prediction.numel() != y.numel():
        return
    loss, n = loss_name(case.loss), min(case.batch_size or len(case.X), len(case.X))  # a step
    said = f"the model returns {_shape(n, prediction)} and y is {_shape(n, y)}: {loss}"
    mend = f"y = y.view({', '.join(map(str, (-1, *prediction.shape[1:])))})"
    if kind in ("logits", "probabilities"):
        yield Finding("MM201", f"{said} needs the same shape.", mend)
    elif kind or _compares_pairs(case, prediction, y, *weight):
        pairs = f"compares all {n} × {n} pairs, and the model learns {_constant(loss, case.y)}"
        yield Finding("MM201", f"{said} {pairs}.", mend)


def _constant(loss: str, y: Tensor) -> str:
    """The best answer to a target that has nothing to do with its row."""
    if loss in MEDIAN:
        return f"the median of y, {y.double().median():.4g}"
    return f"the mean of y, {y.double().mean():.4g}"


def _shape(n: int, tensor: Tensor) -> str:
    return str((n, *tensor.shape[1:]))


def _compares_pairs(case: Case, prediction: Tensor, y: Tensor, *weight: Tensor) -> bool:
    """Whether a loss of the user's own takes shapes as they come, by its values."""
    as_given = measure(case, prediction, y, *weight)
    matched = measure(case, prediction, y.reshape(prediction.shape), *weight)
    return as_given is not None and matched is not None and not torch.allclose(as_given, matched)


# --- MM202 ---------------------------------------------------------------------------------------


def double_softmax(case: Case) -> Iterator[Finding]:
    """MM202: softmax or sigmoid applied twice, or missing where the loss counts on it."""
    kind = kind_of(case.loss)
    if kind in ("", "numbers") or not case.y.numel():
        return
    with torch.enable_grad():
        prediction = predict(case.model, case.X[:FEW])
    if prediction is None or (kind in CLASSES and (prediction.ndim < 2 or prediction.shape[1] < 2)):
        return
    last, prediction = last_operation(prediction), prediction.detach()
    found = _applied_twice(case, kind, last, prediction) or _never_applied(kind, prediction)
    if found:
        yield Finding("MM202", *found)


def _applied_twice(case: Case, kind: str, last: str, prediction: Tensor) -> tuple[str, str] | None:
    if kind == "classes" and (_are_shares(prediction) or last == "Sigmoid"):
        outputs = prediction.shape[1]
        floor = math.log(math.e + outputs - 1) - 1  # of the best: -log(e / (e + K - 1))
        last = last if last in ("Softmax", "Sigmoid") else "a softmax of its own"
        return _twice(case, last, "softmax", f"with {outputs} classes the loss", floor)
    if kind == "logits" and last in ("Sigmoid", "Softmax"):
        ones = case.y[:LOOK].float().mean().item()
        # of outputs in 0 … 1 the best are 1 for 1, with log(1 + 1/e), and 0 for 0, with log 2
        floor = ones * math.log(1 + math.exp(-1)) + (1 - ones) * math.log(2)
        return _twice(case, last, "sigmoid", "the loss", floor)
    return None


def _never_applied(kind: str, prediction: Tensor) -> tuple[str, str] | None:
    if kind == "log_classes" and not _are_shares(prediction.exp()):
        sums = prediction.exp().sum(1)
        said = f"exp of the outputs sums to {sums.min():.3g} … {sums.max():.3g} a row, not to 1"
        said = f"NLLLoss takes log-probabilities, but {said}: the loss falls without end."
        return said, "loss = nn.CrossEntropyLoss()"
    if kind == "probabilities" and (prediction.amin() < 0 or prediction.amax() > 1):
        low, high = prediction.aminmax()
        said = f"BCELoss takes probabilities; the outputs go from {low:.3g} to {high:.3g}."
        return said, "loss = nn.BCEWithLogitsLoss()"
    return None


def _are_shares(prediction: Tensor) -> bool:
    return bool((prediction >= 0).all() and (prediction.sum(1) - 1).abs().amax() < 1e-4)


@torch.no_grad()
def _twice(case: Case, last: str, again: str, what: str, floor: float) -> tuple[str, str]:
    X, *rest = case.rows(LOOK)
    prediction = predict(case.model, X)
    now = None if prediction is None else measure(case, prediction, *rest)
    said = f"the model ends in {last} and {loss_name(case.loss)} applies {again} again: {what}"
    said = f"{said} cannot fall below {math.floor(floor * 1000) / 1000}"  # rounded down
    said += "." if now is None else f" (it is {now.item():.3f} now)."
    layers = list(case.model) if isinstance(case.model, nn.Sequential) else [case.model]
    if isinstance(layers[-1], nn.Softmax | nn.Sigmoid):
        return said, f"model = model[:-1]  # without {last}"
    return said, f"return logits  # no {last}"


# --- MM204 ---------------------------------------------------------------------------------------


def mixed_rows(case: Case) -> Iterator[Finding]:
    """MM204: the prediction for a row depends on the other rows of its batch."""
    X = case.X[:FEW]
    if len(X) < 2:
        return
    if X.is_floating_point():
        effect, kind = _slope_across(case, X), "gradient"
    else:
        effect, kind = _change_across(case, X), "change"
    if effect > 0:
        said = (
            "the prediction for row 0 depends on the other rows of its batch "
            f"(largest {kind} {effect:.2g}), and changes with them."
        )
        yield Finding("MM204", said, _rows_first(case.model))


def _slope_across(case: Case, X: Tensor) -> float:
    X = X.detach().clone().requires_grad_()

    def mixture(prediction: Tensor) -> Tensor:  # a plain sum of probabilities is always 1
        first = prediction[0].flatten()
        return (first * torch.linspace(1, 2, len(first), device=X.device)).sum()

    found = slopes(case.model, X, mixture, [X])
    if not found or found[0] is None:
        return 0.0
    return found[0][1:].abs().amax().item()  # NaN > 0 is False: MM105 speaks of those


@torch.no_grad()
def _change_across(case: Case, X: Tensor) -> float:
    """Whole numbers have no slope: every other row becomes a copy of row 0."""
    same, again, other = (predict(case.model, rows) for rows in (X, X, X[:1].expand_as(X)))
    if same is None or again is None or other is None or not torch.equal(same, again):
        return 0.0
    change = (same[0] - other[0]).abs().amax().item()
    return change if change > 1e-4 * same[0].abs().amax().item() else 0.0


def _rows_first(model: nn.Module) -> str:
    """The line for the layer that most likely mixes them."""
    for layer in model.modules():
        kind = f"nn.{type(layer).__name__}"
        if getattr(getattr(layer, "self_attn", layer), "batch_first", None) is False:
            return f"{kind}(..., batch_first=True)"
        if isinstance(layer, nn.Softmax | nn.LogSoftmax) and layer.dim == 0:
            return f"{kind}(dim=1)"
        if getattr(layer, "track_running_stats", None) is False and "Batch" in kind:
            return f"{kind}(..., track_running_stats=True)"
    return "x = x.softmax(dim=1).view(len(x), -1)  # dim 0 is the rows: softmax, view, permute"


# --- MM205 ---------------------------------------------------------------------------------------


def far_first_loss(case: Case) -> Iterator[Finding]:
    """MM205: an untrained classifier should be about as wrong as guessing."""
    if kind_of(case.loss) in ("", "numbers") or not case.y.numel():
        return
    first, chance = _first_and_chance(case, case.model)
    if not first > 3 * chance:
        return
    copied = twin(case.model)  # batch norm scales by the batch, but in training only
    if copied is not None and not _first_and_chance(case, copied.train())[0] > 3 * chance:
        return
    reach = case.X[:LOOK].abs().amax().item()
    said = f"the first loss is {short(first, 3)}, where guessing gives {short(chance, 3)}"
    if reach > 10 and case.X.is_floating_point():
        mend = 'mm.Data(preprocess="auto")' if case.task else "X = (X - X.mean(0)) / X.std(0)"
        yield Finding("MM205", f"{said}: X reaches {short(reach)}, so the outputs are large.", mend)
    else:
        heads = [n for n, layer in case.model.named_modules() if isinstance(layer, nn.Linear)]
        head = f"model.get_submodule({heads[-1]!r})" if heads else "model.head"
        mend = f"nn.init.normal_({head}.weight, std=0.01)"
        yield Finding("MM205", f"{said}: the outputs start too large.", mend)


@torch.no_grad()
def _first_and_chance(case: Case, model: nn.Module) -> tuple[float, float]:
    """The loss as it is, and the loss of outputs that say nothing: log K of K classes."""
    every = max(min(len(case.X), LOOK) // 16, 1)  # from all over, for rows may be sorted
    X, *rest = (tensor[::every] for tensor in case.rows(LOOK))
    prediction = predict(model, X)
    if prediction is None:
        return 0.0, 0.0
    blank = torch.zeros_like(prediction)
    if kind_of(case.loss) == "probabilities":
        blank += 0.5
    elif kind_of(case.loss) == "log_classes":
        blank -= math.log(prediction.shape[1])
    first, chance = measure(case, prediction, *rest), measure(case, blank, *rest)
    return (0.0, 0.0) if first is None or chance is None else (first.item(), chance.item())


# --- MM309 ---------------------------------------------------------------------------------------


def tiny_batches(case: Case) -> Iterator[Finding]:
    """MM309: batch norm estimates a mean and a variance from a handful of rows."""
    norms = [m for m in case.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms or case.batch_size < 1:
        return
    size = min(case.batch_size, len(case.X))
    name, last = type(norms[0]).__name__, len(case.X) % size
    if size < TINY:
        said = f"{name} estimates mean and variance from the {size} rows of a step, which is noise."
        yield Finding("MM309", said, "nn.LayerNorm(features)  # or batches of 32 rows")
    elif 0 < last <= 3:
        said = f"the last batch of each epoch leaves {name} {last} rows to estimate from."
        mend = f"mm.Data(batch_size={size - 1})  # or another that leaves no short batch"
        yield Finding("MM309", said, mend if case.task else "DataLoader(..., drop_last=True)")


# --- MM402 ---------------------------------------------------------------------------------------


@torch.no_grad()
def restless_predictions(case: Case) -> Iterator[Finding]:
    """MM402: in eval mode, the same rows get two different predictions."""
    X = case.X[:FEW]
    one, two = predict(case.model, X), predict(case.model, X)
    if one is None or two is None or one.shape != two.shape or not one.is_floating_point():
        return
    apart = (one - two).abs().amax().item()
    if apart > 1e-4 * one.abs().amax().item():
        said = f"two predictions for the same rows differ by up to {apart:.3g} in eval mode."
        yield Finding("MM402", said, "x = F.dropout(x, p, training=self.training)  # or nn.Dropout")
