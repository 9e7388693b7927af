"""The templates, and what all pages say alike."""

__all__ = ["PARTS", "environment"]

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from manumatic.show.frame import short
from manumatic.show.text import duration

PARTS = {  # the five words, and the question that each answers
    "data": "What was done to each column?",
    "model": "What turns a row into a prediction?",
    "loss": "What does it cost to be wrong?",
    "optimizer": "How do the weights move?",
    "loop": "How long, and what is kept?",
}


@cache
def environment() -> Environment:
    """Templates of this package; a name that is missing is an error."""
    made = Environment(
        loader=PackageLoader("manumatic.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"duration": duration, "short": short}
    return made
