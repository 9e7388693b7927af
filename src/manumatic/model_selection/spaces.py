"""Search spaces: which parameters a trial draws, and from where."""

__all__ = ["Space", "as_space", "automatic_space", "components"]

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from manumatic.errors import ComponentError
from manumatic.gears.choices import as_data
from manumatic.gears.manual import Training
from manumatic.nets.crossed import CrossedNet
from manumatic.nets.table import TableNet
from manumatic.parts.components import Component, Model, Optimizer
from manumatic.parts.data import Batches
from manumatic.parts.loss import as_loss
from manumatic.parts.model import NETS, as_model
from manumatic.parts.optimizer import as_optimizer, torch_class

PLAIN = (bool, int, float, str, type(None))  # what Optuna stores as it is
BATCHES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
STEPS_AN_EPOCH = (4, 256)  # fewer learn slowly, more take long
DECOUPLED = ("AdamW", "NAdam", "RAdam", "Muon", "Adafactor")  # weight decay apart from the gradient

# What a net is drawn from where its signature has a parameter of that name.
# RealMLP's tuned space (Holzmüller et al. 2024, arXiv 2407.04491): 2 to 4 layers, dropout up to a
# half, deviations of the frequencies over several powers of ten, 8 to 64 of them; TabM's (Gorishniy
# et al. 2025, arXiv 2410.24210): 1 to 4 layers, 2 to 128 bins, 32 members; fewer are for computers
# without GPU.
OF_NETS: dict[str, Any] = {
    "bins": (2, 128, "log"),
    "depth": (1, 4),
    "dropout": (0.0, 0.5),
    "frequencies": (8, 64, "log"),
    "frequency": (0.01, 10.0, "log"),
    "members": [4, 8, 16, 32],
    "spread": (0.01, 10.0, "log"),
}
WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class Space:
    """What a trial draws.

    Attributes
    ----------
    entries : dict
        ``{parameter: (low, high), (low, high, "log") or list}``; empty where ``function`` draws.
    function : callable or None
        ``function(trial) -> {parameter: value}``.
    """

    entries: Mapping[str, Any] = field(default_factory=dict)
    function: Callable[[Any], dict[str, Any]] | None = None

    def draw(self, trial: Any) -> dict[str, Any]:
        """Parameters of the net for a trial of Optuna, finished ones (``FixedTrial``) too."""
        if self.function is not None:
            return dict(self.function(trial))
        return {name: _draw(trial, name, entry) for name, entry in self.entries.items()}


def as_space(space: Any, training: Training) -> Space:
    """The user's ``space=``; "auto" goes by the net.

    Parameters
    ----------
    space : "auto", dict or callable
    training : Training
        Of the net as it is.

    Raises
    ------
    ComponentError
        It is none of them, or an entry can't be drawn from.
    """
    if isinstance(space, str) and space == "auto":
        return Space(automatic_space(training))
    if callable(space):
        return Space(function=space)
    if not isinstance(space, Mapping) or not space:
        raise ComponentError(
            'space must be "auto", a dict such as {"optimizer__lr": (1e-3, 0.3, "log")}, or a '
            f"function of Optuna's trial that returns one; got {space!r}"
        )
    for name, entry in space.items():
        _check(name, entry)
    return Space(dict(space))


def automatic_space(training: Training) -> dict[str, Any]:
    """The space of a net: learning rate, weight decay, batch size, and what a ready net takes.

    The learning rate is drawn from a tenth to ten times the one that the net has, that of the table
    net from RealMLP's space; neither it nor the weight decay is where groups of weights have their
    own. Of a network of one's own no
    argument is drawn, for only its author knows what it stands.

    Parameters
    ----------
    training : Training
        Of the net as it is; nothing is trained.

    Examples
    --------
    >>> import manumatic as mm
    >>> training = mm.Classifier("linear", random_state=0).manual([[1.0], [2.0]] * 80, [0, 1] * 80)
    >>> automatic_space(training)["optimizer__weight_decay"]
    (0.0001, 0.1, 'log')
    """
    found: dict[str, Any] = {}
    grouped = bool(training.facts.optimizer.groups)
    if isinstance(training.model, TableNet) and _is_automatic(training.facts.asked):
        # the recipe spreads one base rate over its groups: RealMLP's tuned space
        found["optimizer__lr"] = (0.02, 0.3, "log")
        found["optimizer__weight_decay"] = (1e-3, 0.05, "log")
    elif not grouped:
        lr = float(training.optimizer.defaults["lr"])
        found["optimizer__lr"] = (lr / 10, lr * 10, "log")
    if "weight_decay" in training.optimizer.defaults and not grouped:
        decoupled = torch_class(training.optimizer).__name__ in DECOUPLED
        found["optimizer__weight_decay"] = (1e-4, 0.1, "log") if decoupled else (1e-6, 1e-3, "log")
    if isinstance(training.data, Batches):
        few, many = STEPS_AN_EPOCH
        sizes = [size for size in BATCHES if few <= training.data.n_rows / size <= many]
        if len(sizes) > 1:
            found["data__batch_size"] = sizes
    net = training.facts.model.net
    ready = net in NETS.values() or net is CrossedNet
    return found | (dict(_of_net(net)) if ready else {})


def _is_automatic(optimizer: Any) -> bool:
    name = optimizer.name if isinstance(optimizer, Optimizer) else optimizer
    return isinstance(name, str) and name == "auto"


def components(net: Any, training: Training) -> dict[str, Component]:
    """The components by name, each explicit; one that is "auto" as automatic chooses it.

    Parameters
    ----------
    net : Classifier, Regressor or Autoencoder
    training : Training
        Of this net.
    """
    facts = training.facts
    model = as_model(net.model)
    if model.net == "auto":
        names = {made: name for name, made in NETS.items()} | {CrossedNet: "table"}
        model = Model(names.get(facts.model.net, facts.model.net), **model.arguments)
    return {
        "data": as_data(net.data),
        "model": model,
        "loss": as_loss(net.loss),
        "optimizer": as_optimizer(net.optimizer),
        "loop": training.loop,
    }


# --- the parameters of a ready net ---------------------------------------------------------------


def _of_net(net: Any) -> Iterator[tuple[str, Any]]:
    asked = inspect.signature(net).parameters
    for name, entry in OF_NETS.items():
        if name in asked:
            yield f"model__{name}", entry
    if "hidden" in asked:
        yield "model__hidden", _widths(asked["hidden"], "depth" in asked)


def _widths(hidden: inspect.Parameter, has_depth: bool) -> Any:
    """A width where there is a depth or one number is all it takes, else widths of all layers."""
    several = "Sequence" in str(hidden.annotation) or isinstance(hidden.default, tuple | list)
    if has_depth or not several:
        return list(WIDTHS)  # which the heads of a transformer divide
    return [(width,) * depth for depth in (1, 2, 3) for width in WIDTHS]


# --- drawing -------------------------------------------------------------------------------------


def _check(name: Any, entry: Any) -> None:
    """Raise ComponentError for what can't be drawn from."""
    if isinstance(entry, list) and entry:
        return
    span = isinstance(entry, tuple) and entry[2:] in ((), ("log",)) and len(entry) >= 2
    if not span or not all(type(end) in (int, float) for end in entry[:2]):
        raise ComponentError(
            f'space[{name!r}] must be (low, high), (low, high, "log") or a list of values; '
            f"got {entry!r}"
        )
    low, high = entry[:2]
    if not low < high or (len(entry) == 3 and low <= 0):
        above = " above 0" if len(entry) == 3 else ""
        raise ComponentError(f"space[{name!r}] must go from low to high{above}; got {entry!r}")


def _draw(trial: Any, name: str, entry: Any) -> Any:
    if isinstance(entry, list):
        if all(isinstance(value, PLAIN) for value in entry):
            return trial.suggest_categorical(name, entry)
        choices = {_label(value): value for value in entry}
        return choices[trial.suggest_categorical(name, list(choices))]
    low, high, *log = entry
    whole = isinstance(low, int) and isinstance(high, int)
    suggest = trial.suggest_int if whole else trial.suggest_float
    return suggest(name, low, high, log=bool(log))


def _label(value: Any) -> str:
    """What stands for a value in the study: a journal holds plain values only."""
    named = isinstance(value, type) or inspect.isroutine(value)
    return value.__qualname__ if named and not isinstance(value, nn.Module) else repr(value)
