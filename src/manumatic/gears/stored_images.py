"""Ejecting a folder of images: the script reads the files itself, into memory."""

__all__ = ["as_in_memory", "read_files"]

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import FunctionTransformer

from manumatic.errors import EjectError
from manumatic.gears.beside import arrays_beside
from manumatic.gears.source import Source
from manumatic.parts.data import Batches
from manumatic.parts.images import Images
from manumatic.parts.mapped import Mapped, sampled
from manumatic.parts.pictures import decoded

MOST = 2**30  # numbers that a script holds, 4 GB as float32


def as_in_memory(training: Any) -> Any:
    """A training on a folder as the script will have it; any other as it is.

    The batches are those of rows in memory (parts/mapped.py), so the sections of the script are
    written as for those. The tensors have shapes here and no numbers.

    Raises
    ------
    EjectError
        The pictures are too many for a script, or what is fitted on some of them would be fitted
        on all.
    """
    data = training.data
    if not (isinstance(data, Mapped) and isinstance(data.X, Images)):
        return training
    if data.X.size > MOST:
        raise EjectError(
            f"a script reads all pictures into memory, here {4 * data.X.size / 1e9:.0f} GB; "
            "eject(path, X, y) of fewer, or of a smaller mm.Images(size=...)"
        )
    kept = training.facts.preparation
    fixed = kept.preprocess is None or isinstance(kept.preprocess, FunctionTransformer)
    if len(sampled(data.X, data.index)) < len(data.index) and not (fixed and kept.target is None):
        raise EjectError(
            f"{type(kept.target if fixed else kept.preprocess).__name__} was fitted on some of the "
            "pictures, a script would fit it on all; give arrays"
        )
    whole = copy.copy(training)
    whole.parts = training.parts | {"data": _described(data, training.facts.sample)}
    if isinstance(training.valid, Mapped):
        whole.valid = _described(training.valid, training.facts.sample)
    return whole


def _described(data: Mapped, sample: torch.Tensor) -> Batches:
    X = torch.empty(len(data.index), *sample.shape[1:], device="meta", dtype=sample.dtype)
    tensors = X, data.encode(data.y[data.index])
    return Batches(tensors, data.batch_size, data.shuffle, data.seed, augment=data.augment)


def read_files(images: Images, y: np.ndarray, source: Source) -> str:
    """How the script reads the pictures, whose names and targets are stored beside it.

    Parameters
    ----------
    images : Images
    y : ndarray (n, ...)
    source : Source
    """
    files = [os.path.abspath(file) for file in images.paths]
    folder = os.path.commonpath([os.path.dirname(file) for file in files])
    names = np.array([Path(os.path.relpath(file, folder)).as_posix() for file in files])
    arrays = arrays_beside(source, names=names, y=y)
    before = set(source.definitions)
    call = f'{source.of(decoded)}(image, {images.shape[2:]}, "{images.mode}")'
    source.imports.add("from PIL import Image")
    return f"""{"".join(source.since(before))}
def read(file):
    with Image.open(file) as image:
        return {call}


with {arrays} as stored:
    names, target = stored["names"], stored["y"]
folder = Path({folder!r})
rows = np.stack([read(folder / name) for name in names])"""
