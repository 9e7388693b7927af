"""Where a run is written besides its history: one method to have, and a file of JSON lines.

A logger is any object with ``log(values, step)``; a run of Weights & Biases already is one. Two
more methods are called where it has them: ``start(run)`` before the first step and
``close(summary)`` after the last, also when training diverged or was interrupted.
"""

__all__ = ["JSONLines", "Logger", "Run", "Writer", "as_loggers", "is_healthy"]

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from manumatic.errors import ComponentError, DataError
from manumatic.files import write_whole
from manumatic.parts.components import Component

if TYPE_CHECKING:
    from torch import Tensor, nn

SHOWN = ("manumatic", "numpy", "scikit-learn", "torch")  # versions worth knowing a year later


class Logger(Protocol):
    """What ``mm.Watch(log=...)`` takes.

    With a true attribute ``tensors`` it also gets weights and gradients, as tensors that go on
    changing once ``log`` has returned.
    """

    def log(self, values: dict[str, Any], step: int, /) -> None:
        """Write values of an epoch; ``step`` counts epochs from 0."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a logger may want to know before the first step.

    Attributes
    ----------
    model : torch.nn.Module
        The one that will train: to be looked at, not to be changed.
    sample : Tensor (n, …)
        A few rows as the model takes them.
    settings : dict
        Parameters of the run by name: strings, numbers, bools.
    """

    model: "nn.Module"
    sample: "Tensor"
    settings: dict[str, Any]


class Writer(Component):
    """Parameters, and what is open while a run is written: copies take only the parameters."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


def is_healthy(summary: Mapping[str, float]) -> bool:
    """Whether all last values are finite, which those of a run that diverged are not."""
    return all(math.isfinite(value) for value in summary.values())


class JSONLines(Component):
    """A file with one JSON object a line, which tells of the last run.

    The first line holds the settings and versions, ``{"run": …}``; then comes a line an epoch; the
    last is ``{"summary": …}``. Each line is on the disk once it is written, so that a killed run
    keeps what it had. NaN and infinities are null, which JSON has no word for.

    Parameters
    ----------
    path : path
        A run replaces the file of an earlier run. Fits that run at the same time need a path each.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = JSONLines(f"{folder}/run.jsonl")
    ...     log.log({"loss/train": 0.5, "loss/valid": float("nan")}, 0)
    ...     print(Path(log.path).read_text().strip())
    {"step": 0, "loss/train": 0.5, "loss/valid": null}
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = path

    def start(self, run: Run) -> None:
        """Begin the file anew.

        Raises
        ------
        DataError
            Something else is in it.
        """
        if not _replaceable(Path(self.path)):
            raise DataError(
                f"{str(self.path)!r} holds something that JSONLines did not write; move it away, "
                "or log to another path"
            )
        versions = {"python": platform.python_version()} | {name: version(name) for name in SHOWN}
        first = {"run": {"settings": _plain(run.settings), "versions": versions}}
        write_whole(Path(self.path), json.dumps(first, default=str) + "\n")

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Add the line of an epoch."""
        self._add({"step": step} | _plain(values))

    def close(self, summary: Mapping[str, Any]) -> None:
        """Add the last line."""
        self._add({"summary": _plain(summary)})

    def _add(self, line: dict[str, Any]) -> None:
        with open(self.path, "a", encoding="utf-8") as file:  # closed, hence flushed: some 30 µs
            file.write(json.dumps(line, allow_nan=False, default=str) + "\n")


def _replaceable(path: Path) -> bool:
    """Nothing is there, or what JSONLines wrote."""
    if not path.exists() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        return file.read(8) == b'{"run": '


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of numpy and torch as Python's own; what is not finite as None."""
    numbers = {name: v.item() if hasattr(v, "item") else v for name, v in values.items()}
    return {
        name: None if isinstance(v, float) and not math.isfinite(v) else v
        for name, v in numbers.items()
    }


def as_loggers(log: Any) -> list[Any]:
    """The user's ``log=`` as loggers.

    Parameters
    ----------
    log : None, path, logger or list of them
        A path that ends in ``.jsonl`` becomes a :class:`JSONLines`.

    Raises
    ------
    ComponentError
        A path of another kind, or an object without ``log``.

    Examples
    --------
    >>> as_loggers("run.jsonl")
    [JSONLines(path='run.jsonl')]
    """
    if log is None:
        return []
    if isinstance(log, list | tuple):
        return [logger for one in log for logger in as_loggers(one)]
    if isinstance(log, str | PathLike) and Path(log).suffix == ".jsonl":
        return [JSONLines(log)]
    if callable(getattr(log, "log", None)) and not isinstance(log, type):
        return [log]
    raise ComponentError(
        'log must be a path that ends in ".jsonl", mm.TensorBoard(folder), mm.WandB(project), '
        f"mm.MLflow(experiment), an object with log(values, step) or a list of these; got {log!r}"
    )
