"""Generalised linear models."""

__all__ = ["deviance"]

from typing import Any

from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor

from manumatic.errors import ComponentError
from manumatic.parts.components import Loss
from manumatic.parts.robust import HalfDeviance
from manumatic.shift.pieces import Penalty, solve, told
from manumatic.shift.registry import Shift, shifts

POWERS = {"PoissonRegressor": 1.0, "GammaRegressor": 2.0}
NAMES = {0.0: "normal", 1.0: "Poisson", 2.0: "gamma", 3.0: "inverse Gaussian"}


@shifts(PoissonRegressor, GammaRegressor, TweedieRegressor)
def deviance(estimator: Any) -> Shift:
    """Half the mean deviance + alpha/2 Σ w²."""
    power, link = float(getattr(estimator, "power", -1.0)), getattr(estimator, "link", "log")
    for kind in type(estimator).__mro__:
        power = POWERS.get(kind.__name__, power)
    log = link == "log" or (link == "auto" and power > 0)
    if not log and power != 0:
        raise ComponentError(
            f"{type(estimator).__name__}(power={power:g}, link={link!r}) has means that the line "
            "can leave; shift covers link='log', or power=0 with any link"
        )
    name = NAMES.get(power, f"Tweedie {power:g}")
    return solve(
        estimator,
        Loss(HalfDeviance, power=power, log_link=log),
        Penalty(l2=float(estimator.alpha)),
        says=(
            f"half the {name} deviance, averaged",
            "exp(X w + b) is the mean" if log else "X w + b is the mean",
        ),
        prices=f"{told(alpha=estimator.alpha)}/2 times the sum of squared weights",
        replaces=f"the solver, {told(solver=estimator.solver)}",
    )
