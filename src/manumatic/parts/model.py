"""Model: any ``nn.Module`` — class, function, instance or name — built to fit the task."""

__all__ = [
    "AUTOENCODERS",
    "MIXED_NETS",
    "NETS",
    "SEQUENCE_NETS",
    "TEXT_NETS",
    "as_model",
    "build_model",
    "copy_weights",
    "is_lazy",
    "probe",
    "resolve_model",
    "show_rows",
    "take_shapes",
]

import copy
import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.errors import ComponentError, nearest
from manumatic.logbook import Logbook
from manumatic.nets.autoencoder import (
    Autoencoder,
    LinearAutoencoder,
    VariationalAutoencoder,
)
from manumatic.nets.image import CNN, ResNet
from manumatic.nets.linear import Linear
from manumatic.nets.mixed import MixedNet
from manumatic.nets.sequence import (
    SequenceConv,
    SequenceGRU,
    SequenceLSTM,
    SequenceTransformer,
)
from manumatic.nets.table import MLP, TableNet
from manumatic.nets.text import TextBag, TextConv, TextGRU, TextLSTM, TextTransformer
from manumatic.parts.components import Model
from manumatic.parts.data import Batches
from manumatic.parts.foundation import FOUNDATIONS, refuse_steps
from manumatic.task import Task


def as_model(model: Any) -> Model:
    """The user's ``model=`` as a component.

    Raises
    ------
    ComponentError
        It is no name, class, function, ``nn.Module`` or ``mm.Model``.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str) or callable(model):
        return Model(model)
    raise ComponentError(
        f"model must be a name ({', '.join(NETS)}), an nn.Module, a class or function that "
        f"makes one, or mm.Model(Net, ...); got {model!r}"
    )


def resolve_model(spec: Model, task: Task, logbook: Logbook) -> Model:
    """The class or function that makes the network, with all its arguments; or a finished one.

    Raises
    ------
    ComponentError
        No such net, or arguments that it does not take.
    """
    refuse_steps(spec)
    net = spec.net
    if isinstance(net, nn.Module):
        if spec.arguments:
            raise ComponentError(
                f"mm.Model got the finished {type(net).__name__} and the arguments "
                f"{spec.arguments}; give its class instead: mm.Model({type(net).__name__}, ...)"
            )
        if _is_double(net):
            logbook.note("model", "weights as float32", "they are float64, and rows are float32")
        return spec
    nets, best = _ready(task)
    if net == "auto":
        net = best
        logbook.note("model", f"the {net!r} net", f"rows have the shape {task.in_shape}")
    if isinstance(net, str):
        if net not in nets:
            raise ComponentError(
                f"no ready net {net!r} for {_such_rows(task)}; "
                f"there are {', '.join(nets)}.{nearest(net, [*nets, *FOUNDATIONS])}"
            )
        net = nets[net]
    return Model(net, **_fill_in(net, spec.arguments, task, logbook))


def _ready(task: Task) -> tuple[dict[str, Any], str]:
    """The ready nets for such rows, and the one that "auto" takes."""
    if task.kind == "reconstruction":
        return AUTOENCODERS, "autoencoder"
    if task.mixed:
        return MIXED_NETS, "mixed"
    if task.vocabulary:
        return TEXT_NETS, "bag"
    if len(task.in_shape) == 2:
        return SEQUENCE_NETS, "conv"
    if len(task.in_shape) == 1:
        return {name: net for name, net in NETS.items() if name not in OF_IMAGES}, "table"
    return NETS, "cnn" if len(task.in_shape) == 3 else "table"


def _such_rows(task: Task) -> str:
    if task.mixed:
        return "texts and images beside a table"
    return "texts" if task.vocabulary else ROWS.get(len(task.in_shape), "such rows")


def build_model(spec: Model) -> nn.Module:
    """A fresh network.  Random initial weights come from torch's global generator as it stands."""
    if isinstance(spec.net, nn.Module):
        own = copy.deepcopy(spec.net)
        return own.float() if _is_double(own) else own  # rows are float32
    inside = (Model, nn.Module)  # copies, too: what a user gives is never changed
    arguments = {
        name: build_model(as_model(value)) if isinstance(value, inside) else value
        for name, value in spec.arguments.items()
    }
    made = spec.net(**arguments)
    if not isinstance(made, nn.Module):
        raise ComponentError(
            f"{getattr(spec.net, '__name__', spec.net)} returned a {type(made).__name__}; "
            "it must return an nn.Module"
        )
    return made


def _fill_in(net: Any, given: dict[str, Any], task: Task, logbook: Logbook) -> dict[str, Any]:
    """The arguments that the net asks for and that the data can tell."""
    steps = task.steps or net in SEQUENCE_NETS.values()
    facts = {
        "in_features": task.in_shape[-1] if steps else math.prod(task.in_shape),
        "out_features": task.out_features,
        "in_channels": task.in_shape[0] if task.in_shape else 1,
        "in_shape": task.in_shape,
        "numeric": task.numeric,
        **({"vocabulary": task.vocabulary} if task.vocabulary else {}),
        **dict(zip(("table", "texts", "images"), task.mixed or (), strict=False)),
    }
    asked = inspect.signature(net).parameters
    filled = {name: facts[name] for name in facts if name in asked and name not in given}
    name = getattr(net, "__name__", type(net).__name__)
    try:
        inspect.signature(net).bind(**given, **filled)
    except TypeError as error:
        unknown = [word for word in given if word not in asked]
        hint = nearest(unknown[0], asked) if unknown else ""
        raise ComponentError(
            f"{name} cannot be built: {error}; mm.Model({name}, ...) takes arguments, "
            f"and the data fill in {', '.join(facts)}.{hint}"
        ) from None
    if filled:
        told = ", ".join(f"{key}={value}" for key, value in filled.items())
        logbook.note("model", f"{name}: {told}", "read off the data")
    return given | filled


def probe(model: nn.Module, X: Tensor) -> Tensor:
    """What the model returns for a few rows, with its graph; lazy layers take their shapes here.

    Raises
    ------
    ComponentError
        The model cannot take these rows, or does not return a tensor with one entry a row.
    """
    was_training = model.training
    model.eval()  # batch norm must not learn from it
    try:
        prediction = model(X)
        one = model(X[:1])
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ComponentError(
            f"{type(model).__name__} cannot take rows of shape {tuple(X.shape[1:])} ({X.dtype}): "
            f"{reason}. A class that has in_features in its signature gets the right number"
        ) from error
    finally:
        model.train(was_training)
    if not isinstance(prediction, Tensor) or not isinstance(one, Tensor):
        raise ComponentError(
            f"{type(model).__name__} returned a {type(prediction).__name__}; it must return "
            "one tensor"
        )
    if prediction.ndim == 0 or len(prediction) != len(X):
        raise ComponentError(
            f"{type(model).__name__} returned the shape {tuple(prediction.shape)} for {len(X)} "
            "rows; its first dimension must be the rows"
        )
    if one.shape[1:] != prediction.shape[1:] or one.ndim != prediction.ndim:
        raise ComponentError(
            f"{type(model).__name__} returned the shape {tuple(prediction.shape)} for {len(X)} "
            f"rows, but {tuple(one.shape)} for one row; squeeze(-1) keeps the rows where squeeze() "
            "drops them"
        )
    return prediction


def show_rows(model: nn.Module, data: Any, *, target: bool) -> int:
    """Let a net that has a method ``initialise(X, y)`` begin where the training rows suggest.

    Parameters
    ----------
    model : torch.nn.Module
    data : Any
        Only rows in memory are shown.
    target : bool
        Whether outputs are compared with targets as they are; then it sees those, too.

    Returns
    -------
    int
        How many tensors it was shown: none, X, or X and y.
    """
    initialise: Any = getattr(model, "initialise", None)
    if initialise is None or not isinstance(data, Batches):
        return 0
    shown = data.tensors[: 1 + target]
    initialise(*shown)
    return len(shown)


def take_shapes(model: nn.Module, sample: Tensor, *, finished: bool) -> bool:
    """Let lazy layers take their shapes from a few rows; whether a new model would have to, too.

    A finished network draws nothing when it is taken, so its lazy weights are drawn on the side.
    """
    if not is_lazy(model):
        return False
    if finished:
        with torch.random.fork_rng([]):
            probe(model, sample)
    else:
        probe(model, sample)
    return not finished


def _is_double(model: nn.Module) -> bool:
    numbers = (*model.parameters(), *model.buffers())
    return any(found.dtype == torch.float64 for found in numbers)


def is_lazy(model: nn.Module) -> bool:
    """Whether some layer still waits for its first rows to know its shape."""
    return any(torch.nn.parameter.is_lazy(weight) for weight in model.parameters())


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers as they are now."""
    return {name: weight.clone() for name, weight in model.state_dict().items()}


NETS: dict[str, Any] = {
    "linear": Linear,
    "mlp": MLP,
    "table": TableNet,
    "cnn": CNN,
    "resnet": ResNet,
}
OF_IMAGES = ("cnn", "resnet")
ROWS = {1: "tables", 2: "sequences", 3: "images"}  # by the dimensions of one row
MIXED_NETS: dict[str, Any] = {"mixed": MixedNet}
TEXT_NETS: dict[str, Any] = {
    "bag": TextBag,
    "gru": TextGRU,
    "lstm": TextLSTM,
    "conv": TextConv,
    "transformer": TextTransformer,
}
SEQUENCE_NETS: dict[str, Any] = {
    "gru": SequenceGRU,
    "lstm": SequenceLSTM,
    "conv": SequenceConv,
    "transformer": SequenceTransformer,
}
AUTOENCODERS: dict[str, Any] = {
    "autoencoder": Autoencoder,
    "linear": LinearAutoencoder,
    "variational": VariationalAutoencoder,
}
