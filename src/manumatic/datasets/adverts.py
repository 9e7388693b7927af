"""Adverts for second-hand lamps: numbers, a label, a text and a photo in one row."""

__all__ = ["load_adverts"]

from typing import Any

import numpy as np
import pandas as pd

from manumatic.datasets.bunches import bunch
from manumatic.datasets.draws import Draws

DESCRIPTION = """1,500 made-up adverts for second-hand lamps.

height  cm
age     years; some missing
city    8 of them
text    what the seller says, in one sentence; some missing
photo   the lamp from above, an array (24, 24, 3) of bytes; some missing (None)

price (target) in €. The logarithm of the price adds up, and each kind of column explains about as
               much of it: in proportion to the square root of the height, less with age; the city;
               what the text says, where "hardly used" is good and "hardly works" is not; and what
               only the photo shows: the shape of the shade (a disc, a square, a triangle or a
               ring), its colour, and scratches. What is left is noise of 7 %.
"""

SIDE = 24  # pixels
CITIES = {  # name → how many of 30 adverts, logarithm of its price level
    "Aachen": (3, -0.20),
    "Bonn": (4, 0.10),
    "Cologne": (6, 0.25),
    "Dresden": (4, -0.10),
    "Essen": (5, -0.35),
    "Freiburg": (3, 0.20),
    "Giessen": (2, -0.30),
    "Hamburg": (3, 0.45),
}
PHRASES = (  # a text takes one of each row: phrase → what it adds
    {"lamp": 0.0, "old lamp": -0.06, "lovely lamp": 0.06, "heavy lamp": 0.04, "plain lamp": -0.04},
    {
        "from a designer": 0.30,
        "from a flea market": -0.15,
        "from our office": -0.08,
        "from a museum shop": 0.20,
        "from the cellar": -0.20,
        "from my aunt": 0.0,
    },
    {
        "hardly used": 0.20,
        "hardly works": -0.40,
        "used daily": -0.05,
        "works well": 0.10,
        "never used": 0.25,
        "never works": -0.50,
    },
    {
        "pick up only": -0.08,
        "can be sent": 0.03,
        "with its box": 0.12,
        "without a bulb": -0.05,
        "with a spare shade": 0.10,
        "smoke-free home": 0.02,
    },
)
SHAPES = (0.30, 0.0, -0.35, 0.10)  # disc, square, triangle, ring: what each adds


def load_adverts(*, return_X_y: bool = False, as_frame: bool = True) -> Any:
    """1,500 made-up adverts for lamps: numbers, labels, texts and photos at once (regression).

    Parameters
    ----------
    return_X_y : bool
        Return ``(data, target)`` in place of a Bunch.
    as_frame : bool
        Return pandas objects; False gives an array of objects.

    Returns
    -------
    Bunch
        ``data`` (1500, 5), ``target`` (1500,) in €, ``frame``, ``feature_names``,
        ``target_names``, ``DESCR`` with the meaning of the columns and how the price was made.

    Examples
    --------
    >>> adverts = load_adverts()
    >>> print(adverts.frame.loc[0, ["height", "city", "price"]].to_string())
    height       42.0
    city      Hamburg
    price       160.0
    >>> adverts.frame.loc[0, "photo"].shape
    (24, 24, 3)
    """
    draws = Draws(seed=2026, n=1500)
    height = np.clip(np.exp(draws.normal(3.7, 0.5)), 12, 180).round()
    age = np.floor(40 * draws.uniform() ** 1.5)
    city = draws.pick([often for often, _ in CITIES.values()])
    text, said = _text(draws)
    photo, seen = _photo(draws)
    level = np.array([level for _, level in CITIES.values()])[city]
    value = 3.4 + 0.5 * np.log(height) - 0.012 * age + level + said + seen
    frame = pd.DataFrame(
        {
            "height": height,
            "age": np.where(draws.chance(0.05), np.nan, age),
            "city": np.array(list(CITIES))[city],
            "text": text,
            "photo": photo,
            "price": np.exp(draws.normal(value, 0.07)).round(),
        }
    )
    return bunch(frame, DESCRIPTION, return_X_y=return_X_y, as_frame=as_frame)


def _text(draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Sentences, and what each adds."""
    places = [draws.pick([1] * len(phrases)) for phrases in PHRASES]
    words = [np.array(list(row))[at] for row, at in zip(PHRASES, places, strict=True)]
    adds = [np.array(list(row.values()))[at] for row, at in zip(PHRASES, places, strict=True)]
    texts = np.array([", ".join(parts) for parts in zip(*words, strict=True)], dtype=object)
    gone = draws.chance(0.04)
    texts[gone] = None
    return texts, np.where(gone, 0.0, np.sum(adds, axis=0))


def _photo(draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (24, 24, 3) of bytes, and what each adds."""
    n = draws.n
    shape, warmth = draws.pick([1] * len(SHAPES)), draws.uniform()
    scratches = draws.pick([4, 2, 2, 1])
    x, y = (
        np.arange(SIDE).reshape(shape) - draws.uniform(9, 14).reshape(-1, 1, 1)
        for shape in ((1, 1, SIDE), (1, SIDE, 1))
    )
    far, size = np.hypot(x, y), draws.uniform(5, 8).reshape(-1, 1, 1)
    square = np.maximum(abs(x), abs(y)) < 0.85 * size
    triangle = (abs(x) < (y + size) / 2) & (y < 0.8 * size)
    ring = (far < size) & (far > 0.55 * size)
    shade = np.stack([far < size, square, triangle, ring])[shape, np.arange(n)]
    colour = np.stack([60 + 180 * warmth, np.full(n, 120.0), 240 - 180 * warmth], axis=1)
    ground = draws.uniform(150, 230).reshape(-1, 1, 1, 1)
    drawn = np.where(shade[..., None], colour[:, None, None], ground)
    for number in range(3):  # lines from the left to the right, one pixel thick
        start, end = draws.uniform(-8, 8), draws.uniform(-8, 8)
        line = start[:, None, None] + (end - start)[:, None, None] * np.arange(SIDE) / SIDE
        marked = (abs(y - line) < 0.6) & shade & (scratches > number)[:, None, None]
        drawn[marked] = 20.0
    grain = Draws(seed=2027, n=n * SIDE * SIDE).normal(0, 8).reshape(n, SIDE, SIDE, 1)
    pixels = np.clip(drawn + grain, 0, 255).astype(np.uint8)
    photos = np.empty(n, dtype=object)
    photos[:] = list(pixels)
    gone = draws.chance(0.04)
    photos[gone] = None
    value = np.array(SHAPES)[shape] + 0.7 * (warmth - 0.5) - 0.15 * scratches
    return photos, np.where(gone, 0.0, value)
