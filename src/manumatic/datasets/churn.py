"""Customers of a phone company: who leaves?"""

__all__ = ["load_churn"]

from typing import Any

import numpy as np
import pandas as pd

from manumatic.datasets.bunches import bunch
from manumatic.datasets.draws import Draws

DESCRIPTION = """3,000 made-up customers of a phone company; about one in five leaves.

customer       number; says nothing
joined         day, 2019 to 2024
contract       monthly, one year, two years
plan           basic, plus, family, pro
fee            € a month
minutes        calls a month; some missing
gigabytes      data a month; skewed
support_calls  in the last quarter; mostly 0
late_payments  in the last year; mostly 0
autopay        true or false
age            some missing
town           80 of them
last_visit     last day in a shop; missing for most, who never came

churn (target) yes or no. New customers with a monthly contract leave, and those whose longer
               contract is about to end; three support calls are far worse than two; a high fee for
               little use; late payments; towns differ in the competition they have.
"""
TOWNS = [
    f"{first}{last}"
    for last in ("ton", "ford", "bury", "field", "wick", "ham", "dale", "mouth")
    for first in ("Ash", "Brad", "Clay", "Dun", "East", "Hart", "Lang", "Mar", "Nor", "Wex")
]
CONTRACTS = {"monthly": 0, "one year": 12, "two years": 24}  # → months bound
PLANS = {"basic": 12.0, "plus": 20.0, "family": 35.0, "pro": 50.0}  # → fee in €


def load_churn(*, return_X_y: bool = False, as_frame: bool = True) -> Any:
    """3,000 made-up customers, of whom one in five leaves (two classes, unbalanced).

    Parameters
    ----------
    return_X_y : bool
        Return ``(data, target)`` in place of a Bunch.
    as_frame : bool
        Return pandas objects; False gives an array of objects.

    Returns
    -------
    Bunch
        ``data`` (3000, 13), ``target`` (3000,) of "yes" and "no", ``frame``, ``feature_names``,
        ``target_names``, ``DESCR`` with the meaning of the columns and who leaves.

    Examples
    --------
    >>> churn = load_churn()
    >>> churn.target.value_counts().to_dict()
    {'no': 2400, 'yes': 600}
    """
    draws = Draws(seed=365, n=3000)
    days = np.floor(2190 * draws.uniform() ** 1.4).astype(int)  # since joining; many are new
    contract, plan = draws.pick([5, 3, 2]), draws.pick([4, 3, 2, 1])
    town = np.floor(80 * draws.uniform() ** 1.3).astype(int)
    fee = np.maximum(draws.normal(np.array(list(PLANS.values()))[plan], 3), 5).round(2)
    minutes = np.exp(draws.normal(4.4 + 0.3 * plan, 0.6)).round()
    gigabytes = np.exp(draws.normal(0.8 + 0.5 * plan, 0.9)).round(1)
    calls, late = draws.pick([60, 18, 9, 7, 4, 2]), draws.pick([80, 11, 5, 3, 1])
    autopay = draws.chance(0.6)
    age = np.clip(draws.normal(45, 15), 18, 90).round()
    visit = np.where(draws.chance(0.7), np.nan, np.floor(draws.uniform(0, days + 1)))
    frame = pd.DataFrame(
        {
            "customer": [f"C{number}" for number in 50_000 + np.argsort(draws.uniform())],
            "joined": _day(days),
            "contract": np.array(list(CONTRACTS))[contract],
            "plan": np.array(list(PLANS))[plan],
            "fee": fee,
            "minutes": np.where(draws.chance(0.06), np.nan, minutes),
            "gigabytes": gigabytes,
            "support_calls": calls,
            "late_payments": late,
            "autopay": autopay,
            "age": np.where(draws.chance(0.1), np.nan, age),
            "town": np.array(TOWNS)[town],
            "last_visit": _day(visit),
        }
    )
    bound, months = np.array(list(CONTRACTS.values()))[contract], days / 30.4
    left = np.where(bound > 0, bound - months % np.maximum(bound, 1), 99)  # months of the contract
    leaning = (
        np.where(bound == 0, 2.2 * np.exp(-months / 12), -1.0)
        + 2.5 * (left < 2)
        + np.array([0.0, 0.2, 0.5, 2.0, 2.4, 2.6])[calls]
        + 0.6 * late
        + 0.9 * np.log(fee / 20)
        - 0.7 * np.log(minutes * (1 + gigabytes) / 500)
        - 0.6 * autopay
        - 0.015 * (age - 45)
        + Draws(seed=11, n=80).normal(0, 0.7)[town]
    )
    # The 600 who lean most after a logistic draw: the same odds, and a share that is exact.
    chance = draws.uniform(1e-6, 1 - 1e-6)
    order = np.argsort(-(leaning + np.log(chance / (1 - chance))), kind="stable")
    frame["churn"] = "no"
    frame.loc[order[:600], "churn"] = "yes"
    return bunch(frame, DESCRIPTION, return_X_y=return_X_y, as_frame=as_frame)


def _day(days_ago: np.ndarray) -> np.ndarray:
    """Days before 2025; NaN is no day."""
    known = ~np.isnan(days_ago)
    days = np.full(len(days_ago), np.datetime64("NaT", "s"))
    back = days_ago[known].astype(int) * np.timedelta64(86_400, "s")
    days[known] = np.datetime64("2025-01-01", "s") - back
    return days
