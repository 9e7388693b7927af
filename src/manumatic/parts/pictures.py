"""One picture: a PIL image, bytes or a file → bytes (channels, height, width); folders of them."""

__all__ = [
    "MODES",
    "decoded",
    "head_of",
    "is_bytes",
    "is_pil",
    "listed",
    "pillow",
    "pixels_of",
]

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from manumatic.errors import DataError, MissingExtra
from manumatic.files import PICTURES, names_picture

MODES = {"L": 1, "RGB": 3, "RGBA": 4}  # and how many channels each has
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and the values of what lies on its side
IGNORED = frozenset({"desktop.ini", "thumbs.db"})


def is_pil(one: Any) -> bool:
    """Whether this is a PIL image."""
    pil = sys.modules.get("PIL.Image")  # whoever has an image has imported it
    kind = getattr(pil, "Image", None)  # not yet there while it is being imported
    return kind is not None and isinstance(one, kind)


def is_bytes(one: Any) -> bool:
    """Whether this is an array or tensor of bytes, (h, w), (h, w, c) or (c, h, w)."""
    if not _is_array(one) or str(one.dtype).rpartition(".")[2] != "uint8" or 0 in one.shape:
        return False
    channels = (1, 3, 4)
    return one.ndim == 2 or (
        one.ndim == 3 and (one.shape[0] in channels or one.shape[2] in channels)
    )


def _is_array(one: Any) -> bool:
    torch = sys.modules.get("torch")  # the command line asks before there is need of it
    return isinstance(one, np.ndarray) or (torch is not None and isinstance(one, torch.Tensor))


def pillow() -> Any:
    """PIL's module of images; MissingExtra where there is none."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("pillow", "images") from None
    return Image


def _opened(one: Any, name: str) -> Any:
    """A PIL image; of a file, its header is read."""
    if is_pil(one):
        return one
    if isinstance(one, str | Path):
        if not os.path.isfile(one):
            raise DataError(f"{name}: no such file")
        with _reading(name):
            return pillow().open(one)
    pixels = _channels_last(np.asarray(one))
    return pillow().fromarray(np.ascontiguousarray(pixels))


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """What goes wrong while a picture is read is one error with its name."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, pillow().DecompressionBombError) as error:
        raise DataError(f"{name} is no image that can be read: {error}") from None


def _channels_last(pixels: np.ndarray) -> np.ndarray:
    """Pixels (h, w) or (h, w, 3 or 4), as PIL has them."""
    channels = MODES.values()
    if pixels.ndim == 3 and pixels.shape[0] in channels and pixels.shape[2] not in channels:
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def head_of(one: Any, name: str) -> tuple[int, int, bool]:
    """Height and width of a picture as it is seen, and whether it is grey."""
    if not is_pil(one) and not isinstance(one, str | Path):
        pixels = _channels_last(np.asarray(one))
        return *pixels.shape[:2], pixels.ndim == 2
    image = _opened(one, name)
    with _reading(name), image if image is not one else nullcontext():
        size = image.size if image.getexif().get(ORIENTATION) in LYING else image.size[::-1]
        grey = image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")
    return *size, grey


def pixels_of(one: Any, size: tuple[int, int], mode: str, name: str) -> np.ndarray:
    """A picture as bytes (channels, height, width)."""
    if _is_array(one):
        pixels = _channels_last(np.asarray(one))
        found = "L" if pixels.ndim == 2 else "RGBA" if pixels.shape[2] == 4 else "RGB"
        if pixels.shape[:2] == size and found == mode:
            return pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    image = _opened(one, name)
    with _reading(name), image if image is not one else nullcontext():
        return decoded(image, size, mode)


def decoded(image: Any, size: tuple[int, int], mode: str) -> np.ndarray:
    """A PIL image as bytes (channels, height, width): upright, and white where it is clear.

    It stands in ejected scripts as it is, so it needs NumPy and PIL only.
    """
    from PIL import Image, ImageOps

    if image.mode == "F":
        raise ValueError(f"{image.mode!r} pixels are floats without a scale; give bytes, 0 to 255")
    if image.getexif().get(0x0112, 1) != 1:  # as the camera was held
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel; of a file, "I" are as many
        deep = image.mode != "I" or image.format is not None
        grey = np.asarray(image).astype(np.int64) >> (8 if deep else 0)
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    clear = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if clear and mode != "RGBA":
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    image = image if image.mode == mode else image.convert(mode)
    if image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    pixels = np.atleast_3d(np.asarray(image))
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


# --- folders -------------------------------------------------------------------------------------


def listed(folder: Any) -> tuple[list[str], np.ndarray | None]:
    """Files, and a label for each where they lie in folders."""
    if not isinstance(folder, str | Path):
        paths = [str(path) for path in folder]
        if not paths:
            raise DataError(f"mm.Images got a list without a path: {folder!r}")
        return paths, None
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{folder} is no folder; mm.Images takes one, or a list of files")
    found = sorted(path.relative_to(root).parts for path in root.rglob("*") if _counts(path, root))
    if not found:
        raise DataError(f"{folder} holds no image files ({PICTURES})")
    paths = [str(root.joinpath(*parts)) for parts in found]
    strange = next((path for path in paths if not names_picture(path)), None)
    if strange:
        raise DataError(f"{strange} is no image file; move it, or give a list of files")
    depths = {len(parts) > 1 for parts in found}
    if depths == {True, False}:
        top = next(path for path, parts in zip(paths, found, strict=True) if len(parts) == 1)
        raise DataError(f"{top} lies beside the folders that are labels; move it into one of them")
    return paths, np.array([parts[0] for parts in found]) if depths == {True} else None


def _counts(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and path.name.lower() not in IGNORED and path.is_file()
