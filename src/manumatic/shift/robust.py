"""Lines that outliers do not pull, and lines through quantiles."""

__all__ = ["huber", "quantile"]

from typing import Any

from sklearn.linear_model import HuberRegressor, QuantileRegressor

from manumatic.parts.components import Loss
from manumatic.parts.robust import Pinball, ScaledHuber
from manumatic.shift.pieces import Penalty, solve, told
from manumatic.shift.registry import Shift, shifts


@shifts(HuberRegressor)
def huber(estimator: Any) -> Shift:
    """Σ (σ + H(r/σ) σ) + alpha Σ w², over weights and the scale σ."""
    return solve(
        estimator,
        Loss(ScaledHuber, epsilon=float(estimator.epsilon)),
        Penalty(l2=2 * float(estimator.alpha)),
        says=(
            "Huber's loss at the best scale, summed",
            f"squared up to {told(epsilon=estimator.epsilon)} scales, absolute beyond; scale_ is "
            "found in the loss",
        ),
        prices=f"{told(alpha=estimator.alpha)} times the sum of squared weights",
        replaces="L-BFGS",
    )


@shifts(QuantileRegressor)
def quantile(estimator: Any) -> Shift:
    """Mean pinball loss + alpha Σ|w|."""
    return solve(
        estimator,
        Loss(Pinball, quantile=float(estimator.quantile)),
        Penalty(l1=float(estimator.alpha)),
        says=(
            f"pinball loss, {told(quantile=estimator.quantile)}, averaged",
            "smoothed, and the smoothing taken back by multipliers",
        ),
        prices=f"{told(alpha=estimator.alpha)} times the sum of absolute weights",
        replaces=f"a linear program, {told(solver=estimator.solver)}",
        finely=True,
    )
