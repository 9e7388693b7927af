"""What the model and the loss of a case say about a few rows; nothing of it leaves a trace."""

__all__ = [
    "FAILURES",
    "FEW",
    "LOOK",
    "kind_of",
    "loss_name",
    "measure",
    "names",
    "predict",
    "slopes",
    "stray_labels",
    "twin",
]

import contextlib
import copy
import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manumatic.doctor.case import Case
from manumatic.parts.loss import bare

FEW = 4  # rows that show how a model is wired
LOOK = 256  # rows that show how data are distributed; a case holds no more of a training

# What a user's forward or loss may raise: others find the words for it, or PyTorch does at step 1.
FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

# What a loss takes: logits of classes, log-probabilities, logits of yes and no, probabilities,
# numbers.
KINDS: dict[Any, str] = {
    nn.CrossEntropyLoss: "classes",
    F.cross_entropy: "classes",
    nn.NLLLoss: "log_classes",
    F.nll_loss: "log_classes",
    nn.BCEWithLogitsLoss: "logits",
    F.binary_cross_entropy_with_logits: "logits",
    nn.BCELoss: "probabilities",
    F.binary_cross_entropy: "probabilities",
    nn.MSELoss: "numbers",
    F.mse_loss: "numbers",
    nn.L1Loss: "numbers",
    F.l1_loss: "numbers",
    nn.HuberLoss: "numbers",
    F.huber_loss: "numbers",
    nn.SmoothL1Loss: "numbers",
    F.smooth_l1_loss: "numbers",
}


# --- the loss ------------------------------------------------------------------------------------


def kind_of(loss: Any) -> str:
    """What a loss of torch takes (a value of ``KINDS``); an empty string for a user's own.

    Examples
    --------
    >>> kind_of(nn.HuberLoss()), kind_of(F.cross_entropy), kind_of(lambda p, t: (p - t).mean())
    ('numbers', 'classes', '')
    """
    found = _bare(loss)
    keys = [found] if inspect.isroutine(found) else type(found).__mro__
    return next((KINDS[key] for key in keys if key in KINDS), "")


def loss_name(loss: Any) -> str:
    """Its name without the wrapping: ``MSELoss``, ``cross_entropy``, …"""
    found = _bare(loss)
    return str(getattr(found, "__name__", type(found).__name__))


def _bare(loss: Any) -> Any:
    while isinstance(loss, functools.partial):
        loss = loss.func
    return bare(loss)


def measure(case: Case, prediction: Tensor, *rest: Tensor) -> Tensor | None:
    """The loss of these outputs; None where there is none, or it cannot compare them."""
    if case.loss is None:
        return None
    if prediction.is_cuda and stray_labels(case.loss, prediction, rest[0]):
        return None  # there it would be an assertion on the device that ends the process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of shapes that are broadcast: MM201 says it
            value = case.loss(prediction, *rest)
    except FAILURES:
        return None
    return value if isinstance(value, Tensor) and value.numel() == 1 else None


def stray_labels(loss: Any, prediction: Tensor, y: Tensor) -> bool:
    """Whether class numbers lie outside 0 … K-1, K the outputs."""
    classes = kind_of(loss) in ("classes", "log_classes")
    if not classes or y.is_floating_point() or prediction.ndim < 2 or not y.numel():
        return False
    stray = (y < 0) | (y >= prediction.shape[1])
    return bool(stray.any() and (stray & (y != getattr(_bare(loss), "ignore_index", -100))).any())


# --- the model -----------------------------------------------------------------------------------


def predict(model: nn.Module, X: Tensor) -> Tensor | None:
    """One output a row; None where the model cannot take these rows or returns something else."""
    try:
        output = model(X)
    except FAILURES:
        return None
    rows = isinstance(output, Tensor) and output.ndim > 0 and len(output) == len(X)
    return output if rows else None


def slopes(
    model: nn.Module,
    X: Tensor,
    of: Callable[[Tensor], Tensor | None],
    by: Sequence[Tensor],
) -> tuple[Tensor | None, ...] | None:
    """Gradients of a number made of the outputs, None where it does not depend on an input.

    None for all where there is no such number, or no gradient of an operation.
    """
    # cuDNN's recurrent layers have no gradient in eval mode
    plain = torch.backends.cudnn.flags(enabled=False) if X.is_cuda else contextlib.nullcontext()
    with plain, torch.enable_grad():
        prediction = predict(model, X)
        number = None if prediction is None else of(prediction)
        if number is None:
            return None
        if not number.requires_grad:
            return (None,) * len(by)
        try:
            return torch.autograd.grad(number, by, allow_unused=True)
        except RuntimeError:
            return None


def twin(model: nn.Module) -> nn.Module | None:
    """A deep copy to train or to move; None where the model cannot be copied."""
    try:
        return copy.deepcopy(model)
    except FAILURES:
        return None


# --- words ---------------------------------------------------------------------------------------


def names(words: Sequence[Any], most: int = 4) -> str:
    """``a, b and c``; of many the first few.

    Examples
    --------
    >>> names([1, 2, 3]), names(range(9))
    ('1, 2 and 3', '0, 1, 2, 3 and 5 more')
    """
    shown = [str(word) for word in words[:most]]
    if len(words) > most:
        return f"{', '.join(shown)} and {len(words) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
