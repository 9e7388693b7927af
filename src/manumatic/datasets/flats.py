"""Flats for sale: one column of each kind."""

__all__ = ["load_flats"]

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from manumatic.datasets.bunches import bunch
from manumatic.datasets.draws import Draws

DESCRIPTION = """2,000 made-up flats for sale in one made-up city.

listing        number of the offer; says nothing
listed         day on which it was offered, 2022 to 2024
district       12 of them
street         240 of them, each in one district
distance       km to the centre
area           m²
rooms          1 to 6
floor          0 to 8; some missing
lift, balcony  true or false
year_built     some missing
energy         kWh per m² and year; missing more often the older the house
condition      needs work, fair, good, new
heating        gas, oil, district, heat pump, pellets
note           one sentence from the offer; some missing

price (target) in €. The logarithm of the price adds up: slightly less than in proportion to area;
               district, distance and the single street; a floor above the second costs without a
               lift, any floor gains with one; houses from before 1939 and after 2005 are dear,
               those from around 1969 cheap; more than 210 kWh costs an eighth; condition and
               heating; prices rise until July 2023, drop by a sixth and stay; and the note tells
               of the view and the noise. What is left is noise of 7 %.
"""

DISTRICTS = {  # name → how many of 100 flats, km to the centre, logarithm of its price level
    "Old Town": (8, 0.8, 0.28),
    "Harbour": (9, 2.2, 0.20),
    "Riverside": (7, 1.8, 0.32),
    "Station": (11, 1.2, -0.08),
    "Market": (8, 1.0, 0.12),
    "University": (9, 2.6, 0.14),
    "Parkside": (6, 3.4, 0.25),
    "Hillcrest": (6, 5.5, 0.18),
    "Mill Quarter": (10, 4.2, -0.02),
    "Westend": (9, 3.6, 0.05),
    "Northfield": (11, 6.8, -0.18),
    "Lakeview": (6, 8.5, 0.06),
}
STREET_NAMES = """
    Acorn Alder Amber Apple Ash Aspen Birch Bridge Cedar Chapel Cherry Clay Copper Elder Elm Fern
    Field Forest Garden Hazel Heath Hill Holly Ivy Juniper Lark Laurel Linden Maple Meadow Oak Olive
    Orchard Pine Quarry Rowan Sorrel Spring Willow Yew
"""
STREET_KINDS = ("Street", "Road", "Lane", "Way", "Walk", "Square")
CONDITIONS = {"needs work": (2, -0.16), "fair": (3, -0.04), "good": (4, 0.03), "new": (1, 0.12)}
HEATING = {
    "gas": (5, 0.0),
    "oil": (2, -0.04),
    "district": (2, 0.02),
    "heat pump": (1, 0.06),
    "pellets": (1, 0.01),
}
NOTES = (  # a sentence takes one phrase of each row: phrase → how often, what it adds
    {"bright flat": (4, 0.02), "cosy flat": (3, -0.01), "flat": (5, 0.0), "quiet home": (2, 0.02)},
    {
        "with river view": (1, 0.13),
        "facing the courtyard": (3, 0.03),
        "on a busy road": (2, -0.11),
        "with a view of the church": (1, 0.03),
        "facing the street": (3, 0.0),
    },
    {
        "close to the park": (3, 0.04),
        "above a noisy bar": (1, -0.13),
        "near schools and shops": (3, 0.02),
        "five minutes from the tram": (3, 0.02),
        "next to the building site": (1, -0.08),
    },
)


def load_flats(*, return_X_y: bool = False, as_frame: bool = True) -> Any:
    """2,000 made-up flats for sale: numbers, labels, dates, text and gaps (regression).

    Parameters
    ----------
    return_X_y : bool
        Return ``(data, target)`` in place of a Bunch.
    as_frame : bool
        Return pandas objects; False gives an array of objects.

    Returns
    -------
    Bunch
        ``data`` (2000, 15), ``target`` (2000,) in €, ``frame``, ``feature_names``,
        ``target_names``, ``DESCR`` with the meaning of the columns and how the price was made.

    Examples
    --------
    >>> flats = load_flats()
    >>> print(flats.frame.loc[0, ["district", "area", "lift", "price"]].to_string())
    district    Mill Quarter
    area                47.0
    lift               False
    price             106000
    """
    draws = Draws(seed=2024, n=2000)
    place, value_of_place = _place(draws)
    house, value_of_house = _house(draws)
    offer, value_of_offer = _offer(draws)
    frame = pd.concat([offer[["listing", "listed"]], place, house, offer[["note"]]], axis=1)
    value = 8.2 + value_of_place + value_of_house + value_of_offer
    frame["price"] = (np.exp(draws.normal(value, 0.07)) / 1000).round().astype(int) * 1000
    return bunch(frame, DESCRIPTION, return_X_y=return_X_y, as_frame=as_frame)


def _choose(
    draws: Draws, options: Mapping[str, tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Names as often as they should be, and what each adds."""
    places = draws.pick([often for often, _ in options.values()])
    added = np.array([adds for _, adds in options.values()])
    return np.array(list(options))[places], added[places]


def _place(draws: Draws) -> tuple[pd.DataFrame, np.ndarray]:
    """District, street and distance to the centre."""
    streets = np.array([f"{name} {kind}" for kind in STREET_KINDS for name in STREET_NAMES.split()])
    levels = np.array([level for _, _, level in DISTRICTS.values()])
    centres = np.array([km for _, km, _ in DISTRICTS.values()])
    district = draws.pick([often for often, _, _ in DISTRICTS.values()])
    number = np.floor(20 * draws.uniform() ** 1.5).astype(int)  # of 20; the first have most flats
    street = number * len(DISTRICTS) + district
    dear = Draws(seed=7, n=len(streets)).normal(0, 0.12)
    distance = np.maximum(draws.normal(centres[district], 0.5), 0.1).round(1)
    frame = pd.DataFrame(
        {
            "district": np.array(list(DISTRICTS))[district],
            "street": streets[street],
            "distance": distance,
        }
    )
    return frame, levels[district] + dear[street] - 0.05 * np.sqrt(distance)


def _house(draws: Draws) -> tuple[pd.DataFrame, np.ndarray]:
    """The flat and the house that it is in."""
    area = np.clip(np.exp(draws.normal(4.2, 0.4)), 24, 190).round()
    floor = draws.pick([5, 6, 6, 5, 3, 2, 1, 1, 1])
    lift = draws.chance(0.15 + 0.1 * floor)
    balcony = draws.chance(0.55)
    since = draws.uniform()
    year = np.round(1890 + 134 * since - 14 * np.sin(4 * np.pi * since))  # few from wartime
    condition, worth = _choose(draws, CONDITIONS)
    heating, warmth = _choose(draws, HEATING)
    energy = np.maximum(draws.normal(260 - 1.5 * (year - 1900) - 300 * worth, 25), 20).round()
    frame = pd.DataFrame(
        {
            "area": area,
            "rooms": np.clip(np.round(draws.normal(area / 27, 0.5)), 1, 6).astype(int),
            "floor": np.where(draws.chance(0.03), np.nan, floor),
            "lift": lift,
            "balcony": balcony,
            "year_built": np.where(draws.chance(0.08), np.nan, year),
            "energy": np.where(draws.chance(0.5 * (1 - since)), np.nan, energy),
            "condition": condition,
            "heating": heating,
        }
    )
    climb = np.where(lift, 0.015 * floor, -0.05 * np.maximum(floor - 2, 0))
    charm = 0.1 * (year < 1939) + 0.12 * (year > 2005) - 0.1 * (np.abs(year - 1969) < 9)
    value = 0.94 * np.log(area) + climb + 0.04 * balcony + charm
    return frame, value + worth + warmth - 0.12 * (energy > 210)


def _offer(draws: Draws) -> tuple[pd.DataFrame, np.ndarray]:
    """Number, day and sentence of the offer."""
    day = np.floor(draws.uniform(0, 1096)).astype(int)
    phrases, values = zip(*(_choose(draws, options) for options in NOTES), strict=True)
    notes = np.array([" ".join(words) for words in zip(*phrases, strict=True)], dtype=object)
    notes[draws.chance(0.06)] = None
    frame = pd.DataFrame(
        {
            "listing": [f"F{number}" for number in 100_000 + np.argsort(draws.uniform())],
            "listed": np.datetime64("2022-01-01", "s") + day * np.timedelta64(86_400, "s"),
            "note": notes,
        }
    )
    market = 0.0003 * np.minimum(day, 550) - 0.18 * (day > 550)
    return frame, np.sum(values, axis=0) + market
