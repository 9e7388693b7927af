"""What shifted linear models have in common: all rows as they are, a line, FISTA to the end."""

__all__ = [
    "LINE",
    "Penalty",
    "ROWS",
    "layer",
    "line",
    "of_classes",
    "solve",
    "told",
    "two_classes",
    "weigh_two",
    "whole",
]

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import nn

from manumatic.errors import ComponentError
from manumatic.gears.automatic import Classifier, Regressor
from manumatic.nets.linear import level_line, level_logits
from manumatic.parts.components import Data, Loop, Loss, Model, Optimizer
from manumatic.shift.registry import Shift

ROWS = "all rows at once, as they are", "nothing is shuffled or scaled for you"
LINE = "one linear layer", "X w + b: coef_ is its weight, intercept_ its bias"
EPOCHS = 100  # of at most 100 iterations each; one that begins at the end costs two gradients


@dataclass(frozen=True)
class Penalty:
    """What scikit-learn adds to the loss, in the loss's own unit.

    Attributes
    ----------
    l1, l2 : float
        ``l1 · Σ|w| + l2/2 · Σw²``.
    bias_l1, bias_l2 : float
        The same of the intercept, which only liblinear penalises.
    positive : bool
        Weights may not be negative.
    """

    l1: float = 0.0
    l2: float = 0.0
    bias_l1: float = 0.0
    bias_l2: float = 0.0
    positive: bool = False


def solve(
    estimator: Any,
    loss: Loss,
    penalty: Penalty,
    *,
    says: tuple[str, str],
    prices: str,
    replaces: str,
    finely: bool = False,
) -> Shift:
    """A linear model whose convex loss FISTA makes as small as it gets.

    Parameters
    ----------
    estimator : object
        Fitted or not; its ``fit_intercept`` and ``random_state`` count.
    loss : Loss
    penalty : Penalty
    says : tuple of str
        The loss, and its role.
    prices : str
        The penalty in scikit-learn's words.
    replaces : str
        What scikit-learn solves it by.
    finely : bool
        Go on where weights hardly change: the loss is almost flat around its minimum.
    """
    chosen = {name: float(getattr(penalty, name)) for name in ("l1", "l2")}
    chosen = {name: value for name, value in chosen.items() if value}
    arguments: dict[str, Any] = dict(chosen)
    if penalty.positive:
        arguments["positive"] = True
    groups = None
    if estimator.fit_intercept and arguments:
        own = {"l1": float(penalty.bias_l1), "l2": float(penalty.bias_l2), "positive": False}
        groups = [("bias", {name: own[name] for name in arguments})]
    if finely:
        arguments["tolerance"] = 1e-8
    classifier = is_classifier(estimator)
    net = (Classifier if classifier else Regressor)(
        line(estimator, level_logits if classifier else level_line),
        data=whole(),
        loss=loss,
        optimizer=Optimizer("fista", groups=groups, **arguments),
        loop=Loop(epochs=EPOCHS),
        random_state=getattr(estimator, "random_state", None),
    )
    named = ", ".join(f"{name}={value:g}" for name, value in chosen.items())
    named += ", no weight below 0" if penalty.positive else ""
    roles = {
        "data": ROWS,
        "model": LINE,
        "loss": says,
        "optimizer": (f"FISTA{', ' if named else ''}{named}", f"{prices}; in place of {replaces}"),
        "loop": (f"{EPOCHS} times up to 100 iterations", "to the end: tol and max_iter are unused"),
    }
    return Shift(net, roles)


def whole(**changes: Any) -> Data:
    """All rows in one batch, as they are, none held out."""
    plain: dict[str, Any] = {"batch_size": None, "validation": None, "shuffle": False}
    return Data(**plain | {"preprocess": None, "target": None} | changes)


def line(estimator: Any, net: Any) -> Model:
    """A linear layer to be built, or that of a fitted estimator."""
    if hasattr(estimator, "coef_"):
        return Model(layer(estimator.coef_, estimator.intercept_, estimator.fit_intercept))
    return Model(net) if estimator.fit_intercept else Model(net, bias=False)


def layer(coef: Any, intercept: Any, bias: bool) -> nn.Linear:
    """A layer with these weights (outputs, features) or (features,)."""
    weight = torch.tensor(np.atleast_2d(coef), dtype=torch.float32)
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias:
            made.bias.copy_(torch.tensor(np.ravel(intercept)).expand(len(weight)))
    return made


def two_classes(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """One output for two classes; refuses more.

    Raises
    ------
    ComponentError
        One-vs-rest weights a row in the model of its own class only; a weight a row cannot say so.
    """
    if out_features > 2:
        raise ComponentError(
            f"class_weight has no counterpart where {out_features} classes are told apart, one "
            "against the rest; leave it out, or fit one estimator a class"
        )
    return level_logits(in_features, out_features, bias)


def weigh_two(estimator: Any, shifted: Shift) -> Shift:
    """Let an estimator that has weights of classes, one against the rest, take two classes only."""
    if estimator.class_weight is not None:
        if hasattr(estimator, "coef_"):
            two_classes(estimator.n_features_in_, len(estimator.classes_))
        else:
            shifted.net.set_params(model__net=two_classes)
    return shifted


def of_classes(kind: type, class_weight: Any, **arguments: Any) -> Loss:
    """A loss whose classes have weights.

    scikit-learn balances by the weights of rows here, ``mm.Loss(class_weight="balanced")`` by
    their numbers.
    """
    if isinstance(class_weight, str):
        return Loss(kind, balanced=True, **arguments)
    return Loss(kind, class_weight=class_weight, **arguments)


def told(**values: Any) -> str:
    """Parameters as the estimator takes them: ``alpha=1.0, l1_ratio=0.5``."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
