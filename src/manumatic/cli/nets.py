"""Networks from the user's own files."""

__all__ = ["load_net"]

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from manumatic.cli.table import UsageError
from manumatic.errors import nearest


def load_net(place: str) -> tuple[str, Any]:
    """The name and the class behind ``file.py:Net``. This runs the file.

    Raises
    ------
    UsageError
        There is no such file, or no such name in it.
    """
    file, _, name = place.rpartition(":")
    if not file or not name.isidentifier():
        raise UsageError(f"--net takes FILE.py:NAME, as in nets.py:MyNet; got {place!r}")
    path = Path(file)
    spec = spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise UsageError(f"--net {place}: no such Python file {file!r}")
    found = module_from_spec(spec)
    sys.modules[path.stem] = found  # pickling and eject look a class up by its module
    spec.loader.exec_module(found)
    if not hasattr(found, name):
        known = [word for word, value in vars(found).items() if isinstance(value, type)]
        raise UsageError(
            f"--net {place}: {file} has no {name!r}.{nearest(name, known)} It has {known}"
        )
    return name, getattr(found, name)
