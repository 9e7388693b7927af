"""scikit-learn's own training loops: one row a step, the rate falling as it says."""

__all__ = ["classify", "regress"]

import functools
from typing import Any

from sklearn.base import is_classifier
from sklearn.linear_model import Perceptron, SGDClassifier, SGDRegressor
from torch.optim.lr_scheduler import LambdaLR

from manumatic.errors import ComponentError
from manumatic.gears.automatic import Classifier, Regressor
from manumatic.nets.linear import level_line, level_logits
from manumatic.parts.components import Data, Loop, Loss, Optimizer
from manumatic.parts.objectives import (
    Hinge,
    Huber,
    Insensitive,
    LogLoss,
    ModifiedHuber,
    SquaredError,
)
from manumatic.parts.proximal import TruncatedSGD, falling
from manumatic.shift.pieces import LINE, line, told, weigh_two
from manumatic.shift.registry import Shift, refuse, shifts

LOSSES: dict[str, tuple[type, dict[str, Any]]] = {
    "hinge": (Hinge, {"power": 1}),
    "squared_hinge": (Hinge, {"power": 2}),
    "perceptron": (Hinge, {"power": 1, "margin": 0.0}),
    "log_loss": (LogLoss, {"one_vs_rest": True}),
    "modified_huber": (ModifiedHuber, {}),
    "squared_error": (SquaredError, {"factor": 0.5}),
    "huber": (Huber, {}),
    "epsilon_insensitive": (Insensitive, {"power": 1}),
    "squared_epsilon_insensitive": (Insensitive, {"power": 2}),
}


@shifts(SGDClassifier, Perceptron)
def classify(estimator: Any) -> Shift:
    """One row a step, each class against the rest."""
    return weigh_two(estimator, _row_by_row(estimator))


@shifts(SGDRegressor)
def regress(estimator: Any) -> Shift:
    """One row a step."""
    return _row_by_row(estimator)


def _row_by_row(estimator: Any) -> Shift:
    refuse(estimator, average=False, early_stopping=False)
    classifier = is_classifier(estimator)
    optimizer, penalty = _optimizer(estimator)
    epochs = int(estimator.max_iter)
    net = (Classifier if classifier else Regressor)(
        line(estimator, level_logits if classifier else level_line),
        data=Data(1, None, shuffle=estimator.shuffle, preprocess=None, target=None),
        loss=_loss(estimator, classifier),
        optimizer=optimizer,
        loop=Loop(epochs=epochs),
        random_state=estimator.random_state,
    )
    watched = "" if estimator.tol is None else f"; {told(tol=estimator.tol)} does not end it sooner"
    roles = {
        "data": ("one row a step, as it is", told(shuffle=estimator.shuffle)),
        "model": LINE,
        "loss": (estimator.loss, "its derivative is written out in Cython; here autograd takes it"),
        "optimizer": (
            "SGD" if optimizer.name == "sgd" else "SGD with truncated L1",
            f"{_rate_told(estimator)}; {penalty}",
        ),
        "loop": (f"{epochs} epochs", told(max_iter=epochs) + watched),
    }
    return Shift(net, roles)


def _loss(estimator: Any, classifier: bool) -> Loss:
    kind, arguments = LOSSES[estimator.loss]
    own = dict(arguments)
    if kind in (SquaredError, Huber, Insensitive) and classifier:
        own["classes"] = True
    if kind in (Huber, Insensitive):
        own["epsilon"] = float(estimator.epsilon)
    weights = {"class_weight": estimator.class_weight} if classifier else {}
    return Loss(kind, reduction="sum", **own, **weights)


def _optimizer(estimator: Any) -> tuple[Optimizer, str]:
    """The rule with its rate and penalty, and the penalty in words."""
    lr, schedule = _rate(estimator)
    alpha, share = (
        float(estimator.alpha),
        {"l1": 1.0, "l2": 0.0}.get(estimator.penalty, float(estimator.l1_ratio or 0)),
    )
    free = bool(estimator.fit_intercept)
    if estimator.penalty is None or alpha == 0:
        return Optimizer("sgd", lr, schedule), "no penalty"
    words = told(alpha=estimator.alpha, penalty=estimator.penalty)
    if share == 0:
        groups = [("bias", {"weight_decay": 0.0})] if free else None
        return Optimizer("sgd", lr, schedule, groups, weight_decay=alpha), words
    groups = [("bias", {"l1": 0.0, "l2": 0.0})] if free else None
    penalties = {"l1": alpha * share, "l2": alpha * (1 - share)}
    return Optimizer(TruncatedSGD, lr, schedule, groups, **penalties), words


def _rate(estimator: Any) -> tuple[float, Any]:
    """The first learning rate, and how it falls; a fitted estimator goes on where it stopped."""
    kind, done = _kind(estimator), float(getattr(estimator, "t_", 1.0)) - 1
    if kind == "constant":
        return float(estimator.eta0), None
    if kind == "optimal":  # Bottou's: 1 / (alpha (t0 + t)), with the first one alpha^(-1/4)
        alpha = float(estimator.alpha)
        start, power = alpha**-0.75 + done, 1.0
        lr = 1 / (alpha * start)
    else:
        start, power = 1 + done, float(estimator.power_t)
        lr = float(estimator.eta0) / start**power
    fall = functools.partial(falling, start=start, power=power)
    return lr, functools.partial(LambdaLR, lr_lambda=fall)


def _kind(estimator: Any) -> str:
    kind = str(getattr(estimator, "learning_rate", "constant"))
    if kind not in ("constant", "optimal", "invscaling"):
        raise ComponentError(
            f"{type(estimator).__name__}(learning_rate={kind!r}) follows the training loss, which "
            "a schedule does not see; shift covers 'constant', 'optimal' and 'invscaling'"
        )
    return kind


def _rate_told(estimator: Any) -> str:
    kind = _kind(estimator)
    given = {} if kind == "optimal" else {"eta0": estimator.eta0}
    return told(learning_rate=kind, **given)
