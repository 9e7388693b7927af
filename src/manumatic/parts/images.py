"""Pictures in all forms → bytes (n, channels, height, width); a folder is read as it is needed."""

__all__ = [
    "Images",
    "are_picture_files",
    "are_pictures",
    "as_fitted",
    "channels_first",
    "read_whole",
    "stacked",
    "stacked_like",
    "told",
]

import copy
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manumatic.errors import DataError
from manumatic.files import names_picture
from manumatic.parts.pictures import MODES, head_of, is_bytes, is_pil, listed, pillow, pixels_of

SMALLEST = 8  # pixels a side, from which numbers (a, b, 3) are taken for an image
LOOKED = 512  # files whose headers are looked at
KEPT = 2**30  # bytes of pixels that stay in memory
THREADS = min(4, os.cpu_count() or 1)  # decoding runs outside of Python's lock


def are_pictures(X: Any) -> bool:
    """Whether X is a list of pictures in memory: PIL images, or bytes (h, w), (h, w, c), (c, h, w).

    Parameters
    ----------
    X : object
        A list, tuple, Series or array of objects; lists of floats (steps, features) are sequences.

    Examples
    --------
    >>> are_pictures([np.zeros((9, 7), np.uint8), np.zeros((5, 5, 3), np.uint8)])
    True
    >>> are_pictures([np.zeros((9, 7)), np.zeros((5, 7))])
    False
    """
    items = _items(X)
    return bool(len(items)) and all(is_pil(one) or is_bytes(one) for one in items)


def are_picture_files(X: Any) -> bool:
    """Whether X is a list of paths of image files, some of which are there; texts stay texts.

    Parameters
    ----------
    X : object
        A list, tuple, Series or array of str or Path.

    Examples
    --------
    >>> are_picture_files(["a text", "another"]), are_picture_files(["absent.png"])
    (False, False)
    """
    items = _items(X)
    named = bool(len(items)) and all(names_picture(one) for one in items)
    return named and any(isinstance(one, Path) or os.path.isfile(one) for one in items)


def _items(X: Any) -> Sequence[Any]:
    """The items of a list of any kind; none where X is no list."""
    if isinstance(X, pd.Series):
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OUT":
        return X.tolist()
    return X if isinstance(X, list | tuple) else ()


# --- many ----------------------------------------------------------------------------------------


def stacked(images: Any, size: Any = None, mode: str | None = None) -> np.ndarray:
    """Pictures of any sizes and modes as one array.

    Parameters
    ----------
    images : list of n PIL images, arrays of bytes, or paths
    size : int or (height, width), optional
        None takes the median height and width. Pictures of another size are stretched to it
        (PIL's antialiased bilinear).
    mode : "L", "RGB" or "RGBA", optional
        None is "L" where all pictures are grey, else "RGB".

    Returns
    -------
    ndarray (n, channels, height, width) of uint8
        Upright, as EXIF says. Where a picture is transparent it is white.

    Raises
    ------
    DataError
        A picture cannot be read; the message says which.
    MissingExtra
        Without Pillow.

    Examples
    --------
    >>> stacked([np.zeros((9, 7), np.uint8), np.full((5, 7), 255, np.uint8)]).shape
    (2, 1, 7, 7)
    """
    items = _items(images) if not isinstance(images, np.ndarray) else list(images)
    names = [_name(one, place) for place, one in enumerate(items)]
    heads = [head_of(one, name) for one, name in zip(items, names, strict=True)]
    size, mode = _settle(size, mode, heads)
    shape = (len(items), MODES[mode], *size)
    if math.prod(shape) > KEPT and isinstance(items[0], str | Path):
        raise DataError(
            f"{len(items)} image files are {math.prod(shape) / 1e9:.1f} GB as pixels; "
            "mm.Images(paths) reads them as they are needed"
        )
    found = np.empty(shape, np.uint8)
    for place, (one, name) in enumerate(zip(items, names, strict=True)):
        found[place] = pixels_of(one, size, mode, name)
    return found


def stacked_like(images: Any, pixels: Sequence[int] | None = None) -> np.ndarray:
    """Pictures as one array, of the shape of those that a net was fitted on.

    Parameters
    ----------
    images : list of n PIL images, arrays of bytes, or paths
    pixels : sequence of int, optional
        (h, w) or (c, h, w); None as :func:`stacked` without more.

    Examples
    --------
    >>> stacked_like([np.zeros((9, 7), np.uint8)], (3, 4, 5)).shape
    (1, 3, 4, 5)
    """
    if pixels is None:
        return stacked(images)
    found = stacked(images, pixels[-2:], _mode_of(pixels))
    return found[:, 0] if len(pixels) == 2 else found


def _mode_of(pixels: Sequence[int]) -> str | None:
    """The mode of images (h, w) or (c, h, w); None where there is none with so many channels."""
    channels = pixels[0] if len(pixels) == 3 else 1
    return next((mode for mode, count in MODES.items() if count == channels), None)


def _name(one: Any, place: int) -> str:
    return str(one) if isinstance(one, str | Path) else f"picture {place} of X"


def _settle(size: Any, mode: str | None, heads: Sequence[Any]) -> tuple[tuple[int, int], str]:
    """One size and one mode for all, given or as most are."""
    if size is None:
        height, width = (int(np.median([head[side] for head in heads])) for side in (0, 1))
    else:
        pair = (size, size) if isinstance(size, int | np.integer) else tuple(size)
        if len(pair) != 2 or not all(isinstance(s, int | np.integer) and s > 0 for s in pair):
            raise DataError(f"size must be pixels, or a pair (height, width); got {size!r}")
        height, width = map(int, pair)
    if mode is None:
        mode = "L" if all(head[2] for head in heads) else "RGB"
    if mode not in MODES:
        raise DataError(f'mode must be "L" (grey), "RGB", "RGBA" or None; got {mode!r}')
    return (height, width), mode


def channels_first(X: np.ndarray) -> np.ndarray:
    """Images (n, h, w, c) of 1, 3 or 4 channels as (n, c, h, w); what may be either stays as it is.

    Parameters
    ----------
    X : ndarray (n, ...)

    Examples
    --------
    >>> channels_first(np.zeros((2, 32, 30, 3))).shape, channels_first(np.zeros((2, 3, 9, 9))).shape
    ((2, 3, 32, 30), (2, 3, 9, 9))
    """
    if X.ndim != 4:
        return X
    _, first, second, last = X.shape
    channels = MODES.values()
    large = X.dtype == np.uint8 or min(first, second) >= SMALLEST
    if last not in channels or first in channels or not large:
        return X
    return np.ascontiguousarray(np.moveaxis(X, -1, 1))


def read_whole(images: "Images") -> np.ndarray:
    """All pictures of a folder, where they fit into memory.

    Parameters
    ----------
    images : Images

    Raises
    ------
    DataError
        They are more than a gigabyte.
    """
    if images.size > KEPT:
        raise DataError(
            f"{len(images)} image files are {images.size / 1e9:.1f} GB as pixels, too many to hold "
            "at once; make them smaller, mm.Images(folder, size=64)"
        )
    return images[:]


def as_fitted(X: np.ndarray, pixels: Sequence[int]) -> np.ndarray:
    """Images as those that a net was fitted on: bytes of another size or mode are brought to it.

    Parameters
    ----------
    X : ndarray (n, h, w), (n, c, h, w) or (n, h, w, c)
    pixels : sequence of int
        The shape of one of those, (h, w) or (c, h, w).
    """
    if X.shape[1:] == tuple(pixels):
        return X
    X = channels_first(X)
    known = len(pixels) == 2 or pixels[0] in MODES.values()
    last = np.moveaxis(X, 1, -1) if X.ndim == 4 else X
    if X.shape[1:] != tuple(pixels) and known and are_pictures(list(last)):
        return stacked_like(last, pixels)
    return X[:, 0] if len(pixels) == 2 and X.ndim == 4 and X.shape[1] == 1 else X


def told(X: Any, rows: Any) -> tuple[str, str] | None:
    """What the border made of images, and why, for the logbook; None where it made nothing.

    Parameters
    ----------
    X : object
        As the user gave it.
    rows : ndarray or Images
        As it was read.
    """
    if isinstance(rows, Images):
        return repr(rows), f"{rows.looked} headers were looked at; all are stretched to one size"
    if are_pictures(X) or are_picture_files(X):
        channels, height, width = rows.shape[1:]
        what = f"{len(rows)} pictures as {height} × {width} pixels, {channels} channel(s)"
        return what, "the median size; others are stretched to it"
    if getattr(X, "ndim", 0) == 4 and tuple(X.shape) != rows.shape:
        return f"images {tuple(rows.shape[1:])}, channels first", f"X had the shape {X.shape}"
    return None


# --- folders -------------------------------------------------------------------------------------


class Images:
    """A folder of image files as the ``X`` of ``fit`` and ``predict``: read as it is needed.

    It stands for an array (n, channels, height, width) of uint8: ``images[rows]`` decodes those.

    Parameters
    ----------
    folder : path or sequence of paths
        ``folder/<label>/…`` with a label for each folder below, or a folder of files without
        labels, or a list of files. Hidden files are left out.
    size : int or (height, width), optional
        Pixels; None takes the median of up to 512 files.
    mode : "L", "RGB" or "RGBA", optional
        None is "L" where all of those files are grey, else "RGB".
    keep : int
        Bytes. Decoded pictures stay in memory where all of them together need no more.

    Attributes
    ----------
    paths : list of str
        Sorted by label and name; of a list of files, in its order.
    labels : ndarray (n,) of str, or None
        Names of the folders.
    shape : tuple of int
        (n, channels, height, width).
    looked : int
        Files whose headers were looked at.

    Raises
    ------
    DataError
        There is no image, or a file that is none.
    MissingExtra
        Without Pillow.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, label in enumerate(["cat", "dog"]):
    ...         Path(folder, label).mkdir()
    ...         Image.new("L", (9, 9), 100 + number).save(f"{folder}/{label}/0.png")
    ...     images = Images(folder)
    ...     images, images.labels, int(images[1].max())
    (Images, 2 files as 9 × 9 pixels, 1 channel, 2 labels, array(['cat', 'dog'], ...), 101)
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(
        self, folder: Any, size: Any = None, mode: str | None = None, *, keep: int = KEPT
    ) -> None:
        self.paths, self.labels = listed(folder)
        some = self.paths[:: -(-len(self.paths) // LOOKED)]
        self.looked = len(some)
        heads = _together(head_of, some, some)
        (height, width), self.mode = _settle(size, mode, heads)
        self.shape = (len(self.paths), MODES[self.mode], height, width)
        self.keep = keep
        self._forget()

    def _forget(self) -> None:
        """No picture is in memory."""
        self._kept: np.ndarray | None = None
        self._known = np.zeros(len(self), bool)

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.paths)

    @property
    def size(self) -> int:
        """How many numbers there are, as for an array."""
        return int(np.prod(self.shape))

    def __repr__(self) -> str:
        n, channels, height, width = self.shape
        many = "" if channels == 1 else "s"
        named = "" if self.labels is None else f", {len(np.unique(self.labels))} labels"
        return f"Images, {n} files as {height} × {width} pixels, {channels} channel{many}{named}"

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Pixels of some rows, decoded now or kept from before."""
        numbers = np.arange(len(self))[rows]
        found = self._read(np.atleast_1d(numbers))
        return found if numbers.ndim else found[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of them, in memory."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[place] for place in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None, "_known": np.zeros(len(self), bool)}

    def like(self, pixels: Sequence[int] | None) -> "Images":
        """The same files as pictures (h, w) or (channels, h, w); None leaves them as they are."""
        if pixels is None:
            return self
        mode, (height, width) = _mode_of(pixels), pixels[-2:]
        if mode is None or (mode, height, width) == (self.mode, *self.shape[2:]):
            return self
        other = copy.copy(self)
        other.mode, other.shape = mode, (len(self), MODES[mode], height, width)
        other._forget()
        return other

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        if self.size > self.keep:
            return self._decoded(numbers)
        if self._kept is None:
            self._kept = np.empty(self.shape, np.uint8)
        fresh = np.unique(numbers[~self._known[numbers]])
        self._kept[fresh] = self._decoded(fresh)
        self._known[fresh] = True
        return self._kept[numbers]

    def _decoded(self, numbers: np.ndarray) -> np.ndarray:
        found = np.empty((len(numbers), *self.shape[1:]), np.uint8)

        def decode(place: int) -> None:
            path = self.paths[numbers[place]]
            found[place] = pixels_of(path, self.shape[2:], self.mode, path)

        _together(decode, range(len(numbers)))
        return found


def _together(function: Any, *items: Any) -> list[Any]:
    """One after the other in a few threads."""
    pillow()  # here, for threads that import it at the same time see half of it
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, *items))
