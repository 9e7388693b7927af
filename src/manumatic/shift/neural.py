"""scikit-learn's neural network."""

__all__ = ["network"]

from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

from manumatic.gears.automatic import Classifier, Regressor
from manumatic.nets.layered import layered, layered_logits
from manumatic.parts.components import Data, Loop, Loss, Model, Optimizer
from manumatic.parts.objectives import LogLoss, SquaredError
from manumatic.parts.proximal import PenalisedLBFGS
from manumatic.parts.robust import HalfDeviance
from manumatic.shift.pieces import ROWS, told, whole
from manumatic.shift.registry import Shift, refuse, shifts

BATCH = 200  # scikit-learn's batch_size="auto", or all rows where there are fewer
ITERATIONS = 100  # of L-BFGS in one step of the loop


@shifts(MLPClassifier, MLPRegressor)
def network(estimator: Any) -> Shift:
    """The same layers, loss, penalty, rule, batches and epochs; other random numbers."""
    classifier = is_classifier(estimator)
    whole_batch = estimator.solver == "lbfgs"
    loss, says = _loss(estimator, classifier, "sum" if whole_batch else "mean")
    net = (Classifier if classifier else Regressor)(
        _model(estimator, classifier, 0.0 if whole_batch else float(estimator.alpha)),
        loss=loss,
        random_state=estimator.random_state,
    )
    sizes = tuple(np.ravel(estimator.hidden_layer_sizes).tolist())
    roles = {
        "model": (
            f"dense layers {sizes}, {estimator.activation}",
            told(hidden_layer_sizes=estimator.hidden_layer_sizes),
        ),
        "loss": (says, f"{told(alpha=estimator.alpha)}/2 times squared weights comes on top"),
    }
    return (_all_rows if whole_batch else _batches)(estimator, net, roles)


def _all_rows(estimator: Any, net: Any, roles: dict[str, tuple[str, str]]) -> Shift:
    l2 = float(estimator.alpha)
    epochs = -(-int(estimator.max_iter) // ITERATIONS)
    net.set_params(
        data=whole(),
        optimizer=Optimizer(PenalisedLBFGS, l2=l2, max_iter=ITERATIONS),
        loop=Loop(epochs=epochs),
    )
    roles["data"] = ROWS
    roles["optimizer"] = (
        f"L-BFGS, l2={l2:g}",
        "solver='lbfgs': to a minimum; which one depends on the start",
    )
    roles["loop"] = (
        f"{epochs} times up to {ITERATIONS} iterations",
        told(max_iter=estimator.max_iter),
    )
    return Shift(net, roles)


def _batches(estimator: Any, net: Any, roles: dict[str, tuple[str, str]]) -> Shift:
    size = BATCH if estimator.batch_size == "auto" else int(estimator.batch_size)
    early = bool(estimator.early_stopping)
    data = Data(
        size,
        float(estimator.validation_fraction) if early else None,
        shuffle=estimator.shuffle,
        preprocess=None,
        target=None,
    )
    waits = min(int(estimator.n_iter_no_change), 10**9)
    epochs = int(estimator.max_iter)
    loop = Loop(epochs, patience=waits, keep="best") if early else Loop(epochs)
    optimizer, rule = _optimizer(estimator)
    net.set_params(data=data, optimizer=optimizer, loop=loop)
    roles["data"] = (
        f"batches of {size}, or all rows if fewer",
        told(batch_size=estimator.batch_size, shuffle=estimator.shuffle),
    )
    roles["optimizer"] = (rule, told(learning_rate_init=estimator.learning_rate_init))
    ends = (
        "patience judges by the validation loss; scikit-learn by the score there"
        if early
        else f"all of max_iter; {told(tol=estimator.tol)} does not end it sooner"
    )
    roles["loop"] = f"{'at most ' if early else ''}{epochs} epochs", ends
    return Shift(net, roles)


def _model(estimator: Any, classifier: bool, decay: float) -> Model:
    hidden = tuple(int(size) for size in np.ravel(estimator.hidden_layer_sizes))
    arguments: dict[str, Any] = {"hidden": hidden, "activation": estimator.activation}
    arguments["decay"] = decay
    if not hasattr(estimator, "coefs_"):
        return Model(layered_logits if classifier else layered, **arguments)
    coefs = estimator.coefs_
    net = layered(coefs[0].shape[0], coefs[-1].shape[1], **arguments)
    dense = [layer for layer in net if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, coef, intercept in zip(dense, coefs, estimator.intercepts_, strict=True):
            layer.weight.copy_(torch.tensor(coef.T))
            layer.bias.copy_(torch.tensor(intercept))
    return Model(net)


def _loss(estimator: Any, classifier: bool, reduction: str) -> tuple[Loss, str]:
    how = "averaged" if reduction == "mean" else "summed"
    if classifier:
        return Loss(LogLoss, reduction=reduction), f"cross entropy, {how}"
    if estimator.loss == "poisson":
        return Loss(HalfDeviance, reduction=reduction), f"Poisson loss, {how}"
    return Loss(SquaredError, reduction=reduction, factor=0.5), f"half the squared error, {how}"


def _optimizer(estimator: Any) -> tuple[Optimizer, str]:
    lr = float(estimator.learning_rate_init)
    if estimator.solver == "adam":
        betas = (float(estimator.beta_1), float(estimator.beta_2))
        rule = Optimizer("adam", lr, betas=betas, eps=float(estimator.epsilon))
        return rule, f"Adam, lr {lr:g}"
    refuse(estimator, learning_rate="constant")
    momentum = float(estimator.momentum)
    nesterov = bool(estimator.nesterovs_momentum and momentum)
    rule = Optimizer("sgd", lr, momentum=momentum, nesterov=nesterov)
    return rule, f"SGD, lr {lr:g}, momentum {momentum:g}"
