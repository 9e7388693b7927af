"""Rows of several kinds at once: which columns hold images, and what each part of a row is."""

__all__ = [
    "Layout",
    "Pictures",
    "Pixels",
    "as_uri",
    "is_no_picture",
    "is_picture_column",
    "layout_of",
    "opened",
    "with_uris",
]

import base64
import io
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer

from manumatic.errors import ComponentError, DataError
from manumatic.parts.images import are_picture_files, are_pictures, stacked
from manumatic.parts.tokens import Tokenizer

URI = "data:image/"  # how a text holds a picture: data:image/png;base64,...
SOME = 32  # pictures whose size is looked at


def is_picture_column(column: pd.Series) -> bool:
    """Whether the cells are images, or the names of image files that exist; some may be missing.

    Parameters
    ----------
    column : Series (n,)

    Examples
    --------
    >>> is_picture_column(pd.Series([np.zeros((8, 8, 3), np.uint8), None]))
    True
    >>> is_picture_column(pd.Series(["a.png", "of no file"]))
    False
    """
    if column.dtype.kind in "fiubmMc":
        return False
    first = next((cell for cell in column if not is_no_picture(cell)), None)
    if first is None or (isinstance(first, str) and not first.startswith(URI) and "." not in first):
        return False
    cells = [cell for cell in column.tolist() if not is_no_picture(cell)]
    if isinstance(first, str) and first.startswith(URI):
        return all(isinstance(cell, str) and cell.startswith(URI) for cell in cells)
    return are_pictures(cells) or are_picture_files(cells)


def is_no_picture(cell: Any) -> bool:
    """None, NaN, an empty string."""
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell)


def opened(cell: Any) -> Any:
    """The image that a text holds; anything else as it is."""
    if not (isinstance(cell, str) and cell.startswith(URI)):
        return cell
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(cell.partition(",")[2])))


def as_uri(cell: Any) -> str | None:
    """An image as text, ``data:image/png;base64,...``: the same pixels, whatever it was before.

    Parameters
    ----------
    cell : PIL image, array, name of a file, text that holds an image, or None

    Examples
    --------
    >>> as_uri(np.zeros((2, 2, 3), np.uint8))[:29]
    'data:image/png;base64,iVBORw0'
    """
    if is_no_picture(cell):
        return None
    from PIL import Image

    pixels = stacked([opened(cell)])[0]
    last = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(last)).save(held, "PNG")
    return f"{URI}png;base64,{base64.b64encode(held.getvalue()).decode()}"


def with_uris(frame: pd.DataFrame) -> pd.DataFrame:
    """A table that text can hold: images as :func:`as_uri` writes them, all else as it is.

    Parameters
    ----------
    frame : DataFrame (n, d)
    """
    pictures = [name for name in frame if is_picture_column(frame[name])]
    return frame.assign(**{name: list(map(as_uri, frame[name])) for name in pictures})


class Pixels(TransformerMixin, BaseEstimator):
    """A column of images of one shape → rows (n, 1 + channels · height · width).

    The first number of a row says whether there is an image; where there is none, all are 0. Each
    channel has mean 0 and spread 1 over the training rows.

    Attributes
    ----------
    shape_ : tuple of int
        Channels, height, width.
    mean_, scale_ : ndarray (channels, 1, 1)
        Of the pixels of the training rows.

    Examples
    --------
    >>> white, black = np.full((1, 2, 2), 255, np.uint8), np.zeros((1, 2, 2), np.uint8)
    >>> Pixels().fit_transform([white, black, None])[:, :3]
    array([[ 1.,  1.,  1.],
           [ 1., -1., -1.],
           [ 0.,  0.,  0.]], dtype=float32)
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the shape and the colours.

        Parameters
        ----------
        X : arrays (channels, height, width) of bytes, (n,) or one column (n, 1) of them
            None where there is none.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit, and give the numbers to train on, (n, 1 + channels · height · width)."""
        there, known = self._known(X)
        self.shape_ = self._shape(known)
        pixels = self._pixels(known)
        mean, spread = (
            each((0, 2, 3), keepdims=True, dtype=np.float64)[0].astype(np.float32)
            for each in (pixels.mean, pixels.std)
        )
        self.mean_, self.scale_ = mean, np.where(spread > 0, spread, np.float32(1))
        return self._rows(there, pixels)

    def transform(self, X: Any) -> np.ndarray:
        """Give the numbers, (n, 1 + channels · height · width) of float32."""
        there, known = self._known(X)
        return self._rows(there, self._pixels(known))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the numbers: there, pixel0, pixel1, ..."""
        pixels = [f"pixel{place}" for place in range(int(np.prod(self.shape_)))]
        return np.array(["there", *pixels], dtype=object)

    def _known(self, X: Any) -> tuple[np.ndarray, list[Any]]:
        """Which rows have an image (n,), and those images."""
        cells = pd.DataFrame({"image": X} if isinstance(X, list) else X).iloc[:, 0].tolist()
        there = np.array([isinstance(cell, np.ndarray) for cell in cells], dtype=bool)
        return there, [cell for cell in cells if isinstance(cell, np.ndarray)]

    def _shape(self, known: list[Any]) -> tuple[int, ...]:
        return tuple(known[0].shape)

    def _pixels(self, known: list[Any]) -> np.ndarray:
        """Bytes (images, channels, height, width)."""
        return np.array(known, np.uint8).reshape(-1, *self.shape_)

    def _rows(self, there: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        rows = np.zeros((len(there), 1 + int(np.prod(self.shape_))), np.float32)
        rows[there, 0] = 1
        scaled = (pixels - self.mean_) / self.scale_
        rows[there, 1:] = scaled.reshape(len(pixels), rows.shape[1] - 1)
        return rows


class Pictures(Pixels):
    """A column of images of any kind → rows (n, 1 + channels · height · width).

    They become as large as most of the first 32 in fit, grey where all of those are grey; then as
    :class:`Pixels`, whose attributes it has.

    Parameters
    ----------
    largest : int
        Pixels of the longer side; larger images are made smaller.
    size : (height, width), optional
        Pixels, in place of both.

    Examples
    --------
    >>> white, black = np.full((8, 9, 3), 255, np.uint8), np.zeros((9, 9, 3), np.uint8)
    >>> pictures = Pictures().fit(pd.Series([white, black, None]))
    >>> pictures.shape_, pictures.transform(pd.Series([white])).shape
    ((3, 8, 9), (1, 217))
    """

    def __init__(self, largest: int = 64, size: tuple[int, int] | None = None) -> None:
        self.largest = largest
        self.size = size

    def _known(self, X: Any) -> tuple[np.ndarray, list[Any]]:
        cells = pd.DataFrame(X).iloc[:, 0].tolist()
        there = np.array([not is_no_picture(cell) for cell in cells], dtype=bool)
        return there, [opened(cell) for cell in cells if not is_no_picture(cell)]

    def _shape(self, known: list[Any]) -> tuple[int, ...]:
        if not known:
            raise DataError("none of the rows has an image: leave the column out")
        some = [stacked([picture]).shape[1:] for picture in known[:SOME]]
        sides = np.median([shape[1:] for shape in some], axis=0)
        sides = np.maximum(1, sides * min(1.0, self.largest / sides.max()))
        height, width = self.size or sides.astype(int)
        return max(shape[0] for shape in some), int(height), int(width)

    def _pixels(self, known: list[Any]) -> np.ndarray:
        if not known:
            return super()._pixels(known)
        return stacked(known, size=self.shape_[1:], mode="L" if self.shape_[0] == 1 else "RGB")

    def read(self, X: Any) -> list[np.ndarray | None]:
        """Each image as bytes (channels, height, width), as :class:`Pixels` takes them."""
        there, known = self._known(X)
        pixels = iter(self._pixels(known))
        return [next(pixels) if one else None for one in there]


class Layout(NamedTuple):
    """What the numbers of a row are, in their order.

    Attributes
    ----------
    table : int
        Numbers of the table.
    texts : tuple of (vocabulary, words)
        Of each text.
    images : tuple of (channels, height, width)
        Of each image, behind one number that says whether it is there.
    """

    table: int
    texts: tuple[tuple[int, int], ...]
    images: tuple[tuple[int, int, int], ...]


def layout_of(preprocess: Any) -> Layout | None:
    """What the numbers of a row are, where texts or images are among them.

    Parameters
    ----------
    preprocess : transformer or None
        Fitted; a ColumnTransformer with a Tokenizer for each text and a :class:`Pictures` for each
        image.

    Raises
    ------
    ComponentError
        They are not in the order table, texts, images.
    """
    if not isinstance(preprocess, ColumnTransformer):
        return None
    found: dict[str, list[Any]] = {"table": [], "texts": [], "images": []}
    kinds = []
    for name, part, _ in preprocess.transformers_:
        place = preprocess.output_indices_[name]
        width = place.stop - place.start
        kind = "texts" if isinstance(part, Tokenizer) else "table"
        kind = "images" if isinstance(part, Pixels) else kind
        told = {"texts": (getattr(part, "n_words_", 0), width), "table": width}
        found[kind].append(told.get(kind, getattr(part, "shape_", ())))
        kinds += [kind] if width else []
    if not (found["texts"] or found["images"]):
        return None
    if kinds != sorted(kinds, key=list(found).index):
        raise ComponentError(
            "a ColumnTransformer lists the table first, then texts, then images, for the mixed "
            f"net; this one gives {', '.join(kinds)}"
        )
    return Layout(sum(found["table"]), tuple(found["texts"]), tuple(found["images"]))
