"""Networks that a command line asks for, from the user's own files too."""

__all__ = ["add_net_arguments", "check_bundles", "load_net", "open_net", "wanted_metric"]

import argparse
import sys
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from manumatic.cli.table import (
    READS,
    UsageError,
    check_free,
    holds_pictures,
    read_table,
    wanted_target,
)
from manumatic.errors import DataError, MissingExtra, nearest

LARGE = 500_000_000  # bytes on a disk; in memory they are several times as many
SMALL = 10**9  # rows: all
BUNDLES = ("onnx", "onnxruntime", "onnxscript", "safetensors", "skops")


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
    try:
        spec.loader.exec_module(found)
    except (ImportError, SyntaxError) as error:
        raise UsageError(f"--net {place}: {file} cannot be imported: {error}") from error
    if not hasattr(found, name):
        known = [word for word, value in vars(found).items() if isinstance(value, type)]
        raise UsageError(
            f"--net {place}: {file} has no {name!r}.{nearest(name, known)} It has {known}"
        )
    return name, getattr(found, name)


def check_bundles() -> None:
    """Raise MissingExtra where no bundle could be written: before the training, not after it."""
    for package in BUNDLES:
        if find_spec(package) is None:
            raise MissingExtra(package, "deliver")


def wanted_metric(name: str) -> str:
    """scikit-learn's name of a metric, or UsageError."""
    from manumatic.compare.metric import scorer_name

    try:
        return scorer_name(name)
    except DataError as error:
        known = "Some are rmse, mae, r2, accuracy, roc_auc, log_loss"
        raise UsageError(f"{error} {known}") from None


def add_net_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """A table, its target, a network, and a file to write.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    out : str
        The file, where none is named.
    """
    parser.add_argument("data", help=READS)
    parser.add_argument("-t", "--target", metavar="NAME", help="the column to predict")
    parser.add_argument("-o", "--out", default=out, metavar="FILE", help=f"default: {out}")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="auto", help="auto, linear, mlp, table, cnn or tabicl")
    which.add_argument("--net", metavar="FILE.py:NAME", help="your own torch.nn.Module")
    parser.add_argument("--epochs", type=int, help="default: chosen for the number of rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def open_net(arguments: argparse.Namespace, verbose: int = 0) -> tuple[Any, Any, list[str]]:
    """The estimator that those arguments ask for, the problem, and notes about the data.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of :func:`add_net_arguments`.
    verbose : int
        Of the estimator.

    Returns
    -------
    net : Classifier or Regressor
        Not fitted.
    problem : Problem
        Its ``X`` and ``labels`` are what to fit on.
    notes : list of str

    Raises
    ------
    UsageError
        The file to write exists, or the target is missing.
    """
    check_free(arguments.out, arguments.force)
    pictures = holds_pictures(arguments.data)
    files = None if pictures else _files(arguments.data)
    if files is None:
        X, y, notes = read_table(arguments.data, lazy=True)
    else:
        X, y, notes = files.head(), None, []
    target = wanted_target(X, arguments.target, arguments.data) if y is None else None

    from manumatic.compare.problem import open_problem
    from manumatic.gears.automatic import Classifier, Regressor
    from manumatic.parts.components import Loop

    problem: Any = _Pictures(X, y) if pictures else open_problem(X, y, target=target)
    if files is not None:
        problem = _streamed(files, problem, arguments.data, target)
    kind = Classifier if problem.is_classification else Regressor
    model: Any = load_net(arguments.net)[1] if arguments.net else arguments.model
    loop = "auto" if arguments.epochs is None else Loop(epochs=arguments.epochs)
    net = kind(model, loop=loop, random_state=arguments.seed, verbose=verbose)
    return net, problem, [problem.describe(), *notes, *problem.notes]


def _files(path: str) -> Any:
    """A folder of Parquet, or a file that is too large to read whole; None for other tables."""
    place = Path(path)
    files = [*place.rglob("*")] if place.is_dir() else [place]
    size = sum(file.stat().st_size for file in files if file.is_file())
    if not place.is_dir() and (place.suffix.lower() != ".parquet" or size < LARGE):
        return None
    if place.is_dir() and not any(file.is_file() for file in files):
        raise UsageError(f"{path} is an empty folder: no images, no Parquet")
    from manumatic.parts.parquet import Parquet

    return Parquet(path, sample=SMALL if size < LARGE else 20_000)


@dataclass
class _Pictures:
    """Images and their labels, read as they are needed."""

    X: Any
    labels: Any
    notes: tuple[str, ...] = ()
    is_classification: bool = True

    def describe(self) -> str:
        """One line."""
        known = sorted({*self.labels.tolist()})
        named = f"{', '.join(known[:6])}{', ...' if len(known) > 6 else ''}"
        return f"{len(self.X):,} images; {len(known)} classes ({named}): classification"


@dataclass
class _Streamed:
    """A problem whose rows are read as they are needed; what was seen of it is its beginning."""

    X: Any
    labels: None
    seen: Any
    notes: list[str]

    @property
    def is_classification(self) -> bool:
        """Whether labels are predicted."""
        return bool(self.seen.is_classification)

    def describe(self) -> str:
        """One line."""
        return f"{self.X}; of the first {len(self.seen.X)}: {self.seen.describe()}"


def _streamed(files: Any, seen: Any, path: str, target: Any) -> Any:
    """The problem as it is where all rows were read, else a stream of them."""
    if files.sample >= len(files):
        return seen
    from manumatic.parts.parquet import Parquet

    rows = Parquet(path, target=target, columns=list(seen.X.columns))
    return _Streamed(rows, None, seen, list(seen.notes))
