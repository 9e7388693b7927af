"""Files beside a script: what is too much to be read, and how the script opens it."""

__all__ = ["SIGNED", "arrays_beside", "file_beside"]

import io
from pathlib import Path
from typing import Any

import numpy as np

from manumatic.errors import EjectError
from manumatic.gears.source import Source

SIGNED = "Plain PyTorch, written by manumatic"  # the first words of a script


def file_beside(source: Source, ending: str, content: str | bytes) -> str:
    """An expression for the path of a file, which is written when the script is whole.

    Parameters
    ----------
    source : Source
    ending : str
        What follows the script's own name: ``".csv"``.
    content : str or bytes

    Raises
    ------
    EjectError
        The script itself goes into no file, or the file that is there is not one of ours.
    """
    if source.path is None:
        raise EjectError("what this script starts from needs a file beside it; give eject a path")
    name = source.path.stem + ending
    _check_free(source.path, name)
    source.files[name] = content
    source.imports.add("from pathlib import Path")
    return f'Path(__file__).with_name("{name}")'


def _check_free(script: Path, name: str) -> None:
    """Raise EjectError where a file of that name was not written beside an earlier script."""
    text = script.read_text(encoding="utf-8", errors="replace") if script.is_file() else ""
    ours = text.startswith(f'"""{SIGNED}') and name in text
    if (taken := script.with_name(name)).exists() and not ours:
        raise EjectError(
            f"{taken} exists, and {script.name} would write its rows over it; "
            "give the script another name"
        )


def arrays_beside(source: Source, **arrays: Any) -> str:
    """An expression that opens arrays by their names."""
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    source.imports.add("import numpy as np")
    return f"np.load({file_beside(source, '.npz', held.getvalue())})"
