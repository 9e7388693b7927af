"""Linear support vector machines."""

__all__ = ["classify", "regress"]

from typing import Any

from sklearn.svm import LinearSVC, LinearSVR

from manumatic.parts.components import Loss
from manumatic.parts.objectives import Hinge, Insensitive
from manumatic.parts.robust import Kinked
from manumatic.shift.pieces import Penalty, of_classes, solve, told, weigh_two
from manumatic.shift.registry import Shift, refuse, shifts

LIBLINEAR = "liblinear"
MULTIPLIERS = "; smoothed, and the smoothing taken back by multipliers"


@shifts(LinearSVC)
def classify(estimator: Any) -> Shift:
    """C Σ hinge^power + a penalty on weights and intercept; one against the rest."""
    refuse(estimator, multi_class="ovr")
    squared = estimator.loss == "squared_hinge"
    own: dict[str, Any] = {"power": 2} if squared else {"epsilon": None}
    loss = of_classes(Hinge if squared else Kinked, estimator.class_weight, reduction="sum", **own)
    shifted = solve(
        estimator,
        loss,
        _penalty(estimator, estimator.penalty),
        says=(
            f"{'squared ' if squared else ''}hinge, summed",
            "its weight C divides the penalty instead" + ("" if squared else MULTIPLIERS),
        ),
        prices=f"{told(C=estimator.C, penalty=estimator.penalty)} of weights and intercept",
        replaces=LIBLINEAR,
    )
    return weigh_two(estimator, shifted)


@shifts(LinearSVR)
def regress(estimator: Any) -> Shift:
    """C Σ what an error exceeds epsilon by + half the squared weights and intercept."""
    squared = estimator.loss == "squared_epsilon_insensitive"
    epsilon = float(estimator.epsilon)
    loss = Loss(Insensitive if squared else Kinked, reduction="sum", epsilon=epsilon)
    return solve(
        estimator,
        loss,
        _penalty(estimator, "l2"),
        says=(
            f"{'squared ' if squared else ''}error beyond {epsilon:g}, summed",
            "its weight C divides the penalty instead" + ("" if squared else MULTIPLIERS),
        ),
        prices=f"{told(C=estimator.C)}: half the squared weights and intercept",
        replaces=LIBLINEAR,
    )


def _penalty(estimator: Any, kind: str) -> Penalty:
    """liblinear's intercept is the weight of one more column, of the size intercept_scaling."""
    strength, size = 1 / float(estimator.C), float(estimator.intercept_scaling)
    if kind == "l1":
        return Penalty(l1=strength, bias_l1=strength / size)
    return Penalty(l2=strength, bias_l2=strength / size**2)
