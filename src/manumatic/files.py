"""Files: written whole or not at all; and which of them are images."""

__all__ = ["names_picture", "write_whole"]

import os
import tempfile
from pathlib import Path
from typing import Any

PICTURES = ".bmp .gif .jfif .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp"  # what Pillow reads


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write beside the place, then move there: a kill or a full disk leaves the old file.

    Parameters
    ----------
    path : path
        Folders on the way are made.
    content : str or bytes
        Text is written as UTF-8.

    Examples
    --------
    >>> write_whole("notes/today.txt", "one line").read_text()  # doctest: +SKIP
    'one line'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)  # mkstemp's own mode is for secrets
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return path


def names_picture(path: Any) -> bool:
    """Whether this is a path whose suffix is that of images.

    Parameters
    ----------
    path : object

    Examples
    --------
    >>> names_picture("photos/cat.JPG"), names_picture("cat.csv"), names_picture(3)
    (True, False, False)
    """
    suffix = os.path.splitext(path)[1].lower() if isinstance(path, str | Path) else ""
    return suffix != "" and suffix in PICTURES.split()
