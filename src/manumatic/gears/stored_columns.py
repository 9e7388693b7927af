"""Columns of images in an ejected script: their pixels in a file beside it, numbered in the table.

The script reads no image formats: the pixels are stored in the size in which the net reads them.
"""

__all__ = ["apart", "as_stored"]

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from manumatic.gears.beside import arrays_beside
from manumatic.gears.source import Source
from manumatic.parts.mixed import Pictures, Pixels

READ = '''

def images(stored, numbers):
    """The image of each row, None where it has none."""
    return [None if np.isnan(number) else stored[int(number)] for number in numbers]

'''


def apart(frame: pd.DataFrame, preprocess: Any, source: Source) -> tuple[pd.DataFrame, list[str]]:
    """A table with a number in place of each image, and the lines that put the images back.

    Parameters
    ----------
    frame : DataFrame (n, d)
    preprocess : transformer or None
        Fitted; the columns of its :class:`Pictures` hold images.
    source : Source
    """
    stored: dict[str, Any] = {}
    numbers, lines = {}, []
    for name, pictures in _readers(preprocess):
        key, told = f"images{len(stored) + 1}", source.of(name)
        found = pictures.read(frame[name])
        there = np.array([image is not None for image in found])
        stored[key] = np.array([image for image in found if image is not None])
        numbers[name] = np.where(there, np.cumsum(there) - 1, np.nan)
        lines.append(f'rows[{told}] = images(stored["{key}"], rows[{told}])')
    if not stored:
        return frame, []
    opened = f"stored = {arrays_beside(source, **stored)}"
    return frame.assign(**numbers), [READ, opened, *lines]


def as_stored(preprocess: Any) -> Any:
    """The same preprocessing, not yet fitted, for images as :func:`apart` stores them."""
    fresh = clone(preprocess)
    for place in _places(fresh):
        name, part, columns = fresh.transformers[place]
        rest = [step for _, step in part.steps[1:]] if isinstance(part, Pipeline) else []
        plain = make_pipeline(Pixels(), *rest) if rest else Pixels()
        fresh.transformers[place] = (name, plain, columns)
    return fresh


def _readers(preprocess: Any) -> list[tuple[Any, Pictures]]:
    """Column → what reads its images, fitted."""
    found = []
    for place in _places(preprocess):
        name, _, columns = preprocess.transformers[place]
        found.append((columns[0], _first(preprocess.named_transformers_[name])))
    return found


def _places(preprocess: Any) -> list[int]:
    """Which parts of a ColumnTransformer read images."""
    parts = enumerate(getattr(preprocess, "transformers", ()))
    return [place for place, (_, part, _) in parts if isinstance(_first(part), Pictures)]


def _first(part: Any) -> Any:
    return part.steps[0][1] if isinstance(part, Pipeline) else part
