"""Loss: task → loss on raw outputs (logits), and the link from those to what the user reads."""

__all__ = [
    "LOSSES",
    "Weighted",
    "as_loss",
    "bare",
    "check_loss",
    "check_shape",
    "choose_loss",
    "fits_scaled_target",
    "in_units",
    "last_operation",
    "per_row",
    "shape_target",
    "sums",
]

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.errors import ComponentError, nearest
from manumatic.logbook import Logbook
from manumatic.nets.autoencoder import ELBO
from manumatic.nets.table import EachMember
from manumatic.parts.components import Loss
from manumatic.parts.link import Link
from manumatic.task import Task

LOSSES: dict[str, type[nn.Module]] = {
    "mse": nn.MSELoss,
    "mae": nn.L1Loss,
    "huber": nn.HuberLoss,
    "smooth_l1": nn.SmoothL1Loss,
    "poisson": nn.PoissonNLLLoss,
    "cross_entropy": nn.CrossEntropyLoss,
    "bce": nn.BCEWithLogitsLoss,
    "nll": nn.NLLLoss,
    "elbo": ELBO,
}
SCALABLE = (nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss)
ONE_HOT = (nn.BCEWithLogitsLoss, nn.BCELoss, *SCALABLE)  # they compare each output with 0 and 1
FOR_CLASSES = (
    nn.CrossEntropyLoss,
    nn.NLLLoss,
    nn.MultiMarginLoss,
    nn.BCEWithLogitsLoss,
    nn.BCELoss,
)

RESHAPES = (
    "AliasBackward",
    "CloneBackward",
    "PermuteBackward",
    "ReshapeAliasBackward",
    "SelectBackward",
    "SliceBackward",
    "SqueezeBackward",
    "TBackward",
    "ToCopyBackward",
    "TransposeBackward",
    "UnsafeViewBackward",
    "UnsqueezeBackward",
    "ViewBackward",
)


class Weighted(nn.Module):
    """The mean over rows of weight · loss; ``loss`` keeps the rows apart."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weights have mean 1 over all rows, so the gradient has the size of an unweighted one."""
        rows = self.loss(prediction, target)
        if rows.ndim > 1:
            rows = rows.flatten(1).mean(dim=1)
        return (rows * weight).mean()


def as_loss(loss: Any) -> Loss:
    """The user's ``loss=`` as a component.

    Raises
    ------
    ComponentError
        It is no name, class, function or ``mm.Loss``.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) or callable(loss):
        return Loss(loss)
    raise ComponentError(
        f"loss must be a name ({', '.join(LOSSES)}), a torch loss, a function of "
        f"(prediction, target) or mm.Loss(...); got {loss!r}"
    )


def fits_scaled_target(spec: Loss) -> bool:
    """Whether the loss means the same on a standardised target; a Poisson loss needs counts."""
    name = spec.name
    if isinstance(name, str):
        return name == "auto" or issubclass(LOSSES.get(name, nn.Module), SCALABLE)
    return isinstance(name, SCALABLE) or (isinstance(name, type) and issubclass(name, SCALABLE))


def in_units(task: Task, spec: Loss) -> bool:
    """Whether outputs are in the units of the targets, so that they have the same extremes."""
    return task.kind == "regression" and fits_scaled_target(spec)


def sums(spec: Loss) -> bool:
    """Whether the loss adds its rows up, so that their weights count as they are.

    A torch loss with ``reduction="sum"`` that is given weights becomes a mean (:class:`Weighted`).
    """
    if not getattr(spec.name, "takes_weight", False):
        return False
    if isinstance(spec.name, type):
        own = inspect.signature(spec.name).parameters["reduction"].default
        return bool(spec.arguments.get("reduction", own) == "sum")
    return bool(spec.name.reduction == "sum")


def choose_loss(
    spec: Loss,
    task: Task,
    prediction: Tensor,
    weighted: bool,
    logbook: Logbook,
    *,
    free: bool = False,
    apart: bool = False,
) -> tuple[Any, Link]:
    """The loss for a task, and its link, after a look at what the model returns.

    Parameters
    ----------
    spec : Loss
    task : Task
    prediction : Tensor
        Raw outputs for a few rows, with their graph.
    weighted : bool
        Whether rows carry weights; the loss then takes (prediction, target, weight).
    logbook : Logbook
    free : bool
        Whether a step of the user's own uses the loss, on whatever it likes.
    apart : bool
        Whether members of the model answer apart in training, (n, members, outputs).

    Raises
    ------
    ComponentError
        The outputs have the wrong shape for the task, or pass through a Softmax or Sigmoid that the
        loss applies itself.
    """
    if not free:
        check_shape(task, prediction)
    loss = _build(spec, task, prediction, logbook)
    link = Link("identity") if free else _link(loss, task, prediction)
    if not free:
        _refuse_double_activation(loss, prediction)
    loss = EachMember(loss) if apart else loss
    if weighted:
        if not getattr(loss, "takes_weight", False):
            loss = Weighted(per_row(loss))
        logbook.note("loss", "each row's loss times its weight", "the rows carry weights")
    return loss, link


def check_loss(loss: Any, prediction: Tensor, *target: Tensor) -> None:
    """Try a loss on a few rows, before training does.

    Raises
    ------
    ComponentError
        It cannot compare these outputs with these targets, or it is not one number that depends
        on the weights.
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    try:
        value = loss(prediction, *target)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ComponentError(
            f"{name} cannot compare outputs of the shape {tuple(prediction.shape)} with targets "
            f"{tuple(target[0].shape)} of {target[0].dtype}: {reason}"
        ) from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = tuple(value.shape) if isinstance(value, Tensor) else repr(value)
        raise ComponentError(f"{name} returned {found}; a loss is one number in a tensor: its mean")
    if not value.requires_grad:
        raise ComponentError(
            f"{name} does not change with any weight: all are frozen (requires_grad=False), or it "
            "counts where it should measure"
        )


def check_shape(task: Task, prediction: Tensor) -> None:
    """Raise where the outputs cannot be read for the task."""
    found, itself = tuple(prediction.shape[1:]), task.kind == "reconstruction"
    wanted = task.in_shape if itself else (task.out_features,)
    single = wanted == (1,) or task.kind == "binary"
    if found == wanted or (single and found in ((), (1,))):
        return
    target = {
        "regression": f"y has {task.n_outputs} column(s)",
        "multilabel": f"y has {task.n_outputs} labels",
        "reconstruction": f"rows have the shape {task.in_shape}",
    }.get(task.kind, f"y has {task.out_features} classes")
    raise ComponentError(
        f"the model returns the shape {tuple(prediction.shape)} for {len(prediction)} rows, but "
        f"{target}: it must return {(len(prediction), *wanted)}. "
        "A class with out_features in its signature gets the right number"
    )


def _build(spec: Loss, task: Task, prediction: Tensor, logbook: Logbook) -> Any:
    name = spec.name
    if name == "auto":
        name, why = _choice(task, prediction)
        logbook.note("loss", LOSSES[name].__name__, why)
    if isinstance(name, str):
        if name not in LOSSES:
            raise ComponentError(
                f"no loss {name!r}; there are {', '.join(LOSSES)}.{nearest(name, LOSSES)}"
            )
        name = LOSSES[name]
    if isinstance(name, type):
        try:
            return name(**spec.arguments)
        except TypeError as error:
            raise ComponentError(f"{name.__name__} cannot be built: {error}") from None
    if isinstance(name, nn.Module):
        return copy.deepcopy(name)
    return functools.partial(name, **spec.arguments) if spec.arguments else name


def _choice(task: Task, prediction: Tensor) -> tuple[str, str]:
    """The usual loss for a task, and why."""
    if task.kind == "regression":
        return "mse", "the target is a number"
    if task.kind == "reconstruction":
        if hasattr(prediction, "divergence"):
            return "elbo", "the net says how far its codes are from a standard normal"
        return "mse", "the target is the row itself"
    one_logit = task.kind == "binary" and tuple(prediction.shape[1:]) in ((), (1,))
    if task.kind == "multilabel" or one_logit:
        return "bce", "each output answers yes or no"
    return "cross_entropy", f"the target is one of {task.out_features} classes"


def _link(loss: Any, task: Task, prediction: Tensor) -> Link:
    if isinstance(loss, FOR_CLASSES) and not task.is_classification:
        raise ComponentError(
            f"{type(loss).__name__} tells classes apart, and this target is a number; "
            "use mm.Classifier, or a loss for numbers such as 'mse'"
        )
    if not task.is_classification:
        return Link("exp" if _is_log(loss) else "identity")
    if isinstance(loss, nn.NLLLoss):
        return Link("exp_classes")
    read = "clip" if isinstance(loss, (nn.BCELoss, *SCALABLE)) else "sigmoid"
    if task.kind == "multilabel":
        return Link(read)
    if tuple(prediction.shape[1:]) in ((), (1,)):
        return Link(f"{read}_pair")
    return Link(f"{read}_shares" if _is_apart(loss) else "softmax")


def _is_log(loss: Any) -> bool:
    """Whether the outputs are logarithms of what is predicted."""
    if isinstance(loss, nn.PoissonNLLLoss):
        return bool(loss.log_input)
    return bool(getattr(loss, "log_link", False))


def _is_apart(loss: Any) -> bool:
    """Whether each class has an output of its own, that says yes or no."""
    return isinstance(loss, ONE_HOT) or bool(getattr(loss, "one_vs_rest", False))


def bare(loss: Any) -> Any:
    """A loss without what weighs its rows or asks each member."""
    while isinstance(loss, Weighted | EachMember):
        loss = loss.loss
    return loss


def shape_target(loss: Any, task: Task, values: Any, out_shape: tuple[int, ...]) -> Tensor:
    """Targets as the loss takes them: class numbers, or floats in the shape of the predictions.

    A target (n,) beside outputs (n, 1) would be broadcast to (n, n), and the model would learn the
    mean.
    """
    target = torch.as_tensor(values)
    if task.kind in ("binary", "multiclass") and out_shape not in ((), (1,)):
        if target.ndim == 2 and target.shape[1] > 1:  # one-hot, for the loss before this one
            target = target.argmax(dim=1)
        target = target.reshape(-1).long()
        if isinstance(bare(loss), ONE_HOT):
            return nn.functional.one_hot(target, task.out_features).float()
        return target
    if task.kind == "binary" and target.ndim == 2 and target.shape[1] > 1:
        target = target.argmax(dim=1)
    return target.float().reshape(len(target), *out_shape)


def _refuse_double_activation(loss: Any, prediction: Tensor) -> None:
    """Softmax before cross entropy trains badly: K classes have a loss ≥ log(1 + (K-1)/e)."""
    last = last_operation(prediction)
    if isinstance(loss, nn.CrossEntropyLoss) and last == "Softmax":
        raise ComponentError(
            "the model ends in Softmax and CrossEntropyLoss applies it again, which trains badly; "
            "remove the last layer: predict_proba adds softmax itself"
        )
    if isinstance(loss, nn.BCEWithLogitsLoss) and last == "Sigmoid":
        raise ComponentError(
            "the model ends in Sigmoid and BCEWithLogitsLoss applies it again, which trains badly; "
            "remove the last layer: predict_proba adds sigmoid itself"
        )
    if isinstance(loss, nn.NLLLoss) and last != "LogSoftmax":
        raise ComponentError(
            f"NLLLoss needs log-probabilities, but the model ends in {last or 'a constant'}; "
            'use loss="cross_entropy", which takes the outputs of the last linear layer'
        )


def last_operation(prediction: Tensor) -> str:
    """``Softmax``, ``Sigmoid``, …: the last that changed a number; "" where no graph tells.

    Examples
    --------
    >>> last_operation(torch.ones(4, 1, requires_grad=True).sigmoid().squeeze(1))
    'Sigmoid'
    """
    node = prediction.grad_fn
    while node is not None and node.name().startswith(RESHAPES):
        node = node.next_functions[0][0] if node.next_functions else None
    return "" if node is None else node.name().partition("Backward")[0]


def per_row(loss: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The same loss with its rows kept apart, for any loss that is a mean over rows."""
    if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
        apart: Any = copy.deepcopy(loss)
        apart.reduction = "none"
        return apart
    if "reduction" in inspect.signature(loss).parameters:
        return functools.partial(loss, reduction="none")
    # a loss that only knows batches: ask it row by row, in one vectorised call
    return torch.func.vmap(lambda prediction, target: loss(prediction[None], target[None]))
