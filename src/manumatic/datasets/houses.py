"""House prices by town: numbers only."""

__all__ = ["load_houses"]

from typing import Any

import numpy as np
import pandas as pd

from manumatic.datasets.bunches import bunch
from manumatic.datasets.draws import Draws

DESCRIPTION = """Median house prices in 506 made-up towns.

Shaped like the old Boston table (506 rows, 13 columns of numbers) and free of its faults: no person
or place stands behind a row. How urban a town is drives most columns, so they are correlated.

crime              offences per 1,000 people and year; skewed
large_lots         % of land in lots over 2,000 m²; mostly 0
industry           % of land used by industry
river              1 when the town lies on the river
nitrogen_oxides    parts per 10 million
rooms              mean rooms per house
old_houses         % of houses older than 50 years
distance           km to the nearest centre of jobs
highways           access to highways, 1 to 24
tax                property tax per 10,000
pupils             pupils per teacher
green              % of land that is park or wood
low_income         % of households with a low income

price (target)     median price in thousands: falls with the logarithm of low_income, rises with
                   the square of rooms above 6, falls with nitrogen_oxides and pupils, rises with
                   closeness to jobs where the air is good; a bonus on the river; noise of 2
"""


def load_houses(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Median house prices in 506 made-up towns with 13 columns of numbers (regression).

    Parameters
    ----------
    return_X_y : bool
        Return ``(data, target)`` in place of a Bunch.
    as_frame : bool
        Return pandas objects in place of arrays.

    Returns
    -------
    Bunch
        ``data`` (506, 13), ``target`` (506,) in thousands, ``frame``, ``feature_names``,
        ``target_names``, ``DESCR`` with the meaning of the columns and how the price was made.

    Examples
    --------
    >>> houses = load_houses()
    >>> houses.data.shape, houses.feature_names[:3]
    ((506, 13), ['crime', 'large_lots', 'industry'])
    """
    draws = Draws(seed=1978, n=506)
    urban = draws.uniform()
    lots = np.maximum(draws.normal(60 - 110 * urban, 25), 0)
    frame = pd.DataFrame(
        {
            "crime": np.exp(draws.normal(5 * urban - 3, 0.9)),
            "large_lots": lots,
            "industry": np.clip(draws.normal(3 + 16 * urban, 4), 0.3, 28),
            "river": draws.chance(0.07).astype(float),
            "nitrogen_oxides": draws.normal(4 + 2.6 * urban, 0.5),
            "rooms": draws.normal(6.45 - 0.3 * urban, 0.65),
            "old_houses": np.clip(draws.normal(35 + 55 * urban, 20), 2, 100),
            "distance": np.exp(draws.normal(2.2 - 1.5 * urban, 0.3)),
            "highways": np.where(draws.chance(0.5 * urban), 24, 1 + np.floor(draws.uniform(0, 8))),
            "tax": draws.normal(280 + 250 * urban, 60),
            "pupils": np.clip(draws.normal(17.5 + 1.8 * urban, 1.8), 12, 22),
            "green": np.clip(draws.normal(32 - 20 * urban, 8), 0, 60),
            "low_income": np.exp(draws.normal(1.9 + 1.0 * urban, 0.45)),
        }
    ).round(2)
    clean = frame["nitrogen_oxides"] < 5.3
    price = (
        34
        - 6.5 * np.log(frame["low_income"] / 4)
        + 5 * np.square(np.maximum(frame["rooms"] - 6, 0))
        - 1.8 * (frame["nitrogen_oxides"] - 5)
        - 0.6 * (frame["pupils"] - 18)
        - 5 * np.log(frame["distance"] / 4) * clean
        - 0.004 * (frame["tax"] - 400)
        + 3 * frame["river"]
    )
    frame["price"] = np.maximum(draws.normal(price, 2), 5).round(1)
    return bunch(frame, DESCRIPTION, return_X_y=return_X_y, as_frame=as_frame)
