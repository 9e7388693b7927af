"""Try learning rates on your data: what each does to the loss, and which one to take."""

__all__ = ["add_arguments", "run"]

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manumatic.cli.nets import load_net
from manumatic.cli.table import READS, UsageError, check_free, read_table, wanted_target

if TYPE_CHECKING:
    from manumatic.inspection.rates import Run
    from manumatic.inspection.sweep import Sweep

# Without a file: the exercise of the tutorial, as it stands there.
BUNDLED = {"model": "linear", "optimizer": "sgd", "epochs": 1000, "seed": 42}
BUNDLED_RATES = "0.1,0.01,0.001"
NOTE = "bundled data: 5 hours of study and scores, full batch, unscaled; give a file for your own"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>learning rates – manumatic</title>
<link rel="icon" href="data:,">
<style>{style}
body.mm {{ margin: 40px auto; padding: 0 24px; max-width: 760px; background: var(--paper); }}
pre {{ font-family: var(--mono); font-size: 13px; }}
svg {{ min-width: 560px; }}</style>
<body class="mm">
{body}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("data", nargs="?", help=f"{READS}; left out: the study hours")
    parser.add_argument("-t", "--target", metavar="NAME", help="the column to predict")
    parser.add_argument(
        "--lr", metavar="A,B", help="train with each; default: one range test from 1e-6 to 10"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", help="auto (default), linear, mlp, table or cnn")
    which.add_argument("--net", metavar="FILE.py:NAME", help="your own torch.nn.Module")
    parser.add_argument("--optimizer", metavar="NAME", help="sgd, adam, ...; default: adamw")
    parser.add_argument("--epochs", type=int, help="default: chosen for the number of rows")
    parser.add_argument("--seed", type=int, help="default: 0")
    parser.add_argument("-o", "--out", metavar="FILE", help="the picture, as .svg or .html")
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Sweep, and print what was found."""
    out = _place(arguments.out, arguments.force)
    rates = _rates(arguments.lr or (BUNDLED_RATES if arguments.data is None else None))
    net, X, y, notes = _bundled(arguments) if arguments.data is None else _given(arguments)

    from manumatic.inspection.sweep import sweep

    def say(line: str) -> None:
        if not arguments.quiet:
            print(line, file=sys.stderr, flush=True)

    for note in notes:
        say(note)
    found = sweep(net, X, y, rates, on_run=lambda run: say(_told(run)))
    print(json.dumps(found.facts(), indent=2, allow_nan=False) if arguments.json else found)
    if out is not None:
        _write(found, out, say)
    if found.interrupted:
        return 130
    return 4 if len(found.diverged) == len(found.rows) else 0


def _bundled(arguments: argparse.Namespace) -> tuple[Any, Any, Any, list[str]]:
    from manumatic.datasets.study_hours import load_study_hours
    from manumatic.parts.components import Data

    for name, value in BUNDLED.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    X, y = load_study_hours(return_X_y=True)
    net = _net(arguments, False, Data(batch_size=None, preprocess=None))
    return net, X, y.copy(), [NOTE]  # pandas hands out a view that cannot be written to


def _given(arguments: argparse.Namespace) -> tuple[Any, Any, Any, list[str]]:
    X, y, notes = read_table(arguments.data)
    target = wanted_target(X, arguments.target, arguments.data) if y is None else None

    from manumatic.compare.problem import open_problem

    problem = open_problem(X, y, target=target)
    net = _net(arguments, problem.is_classification, "auto")
    return net, problem.X, problem.labels, [problem.describe(), *notes, *problem.notes]


def _net(arguments: argparse.Namespace, classification: bool, data: Any) -> Any:
    """The estimator that the options describe."""
    from manumatic.gears.automatic import Classifier, Regressor
    from manumatic.parts.components import Loop, Optimizer

    model = load_net(arguments.net)[1] if arguments.net else arguments.model
    return (Classifier if classification else Regressor)(
        model or "auto",
        data=data,
        optimizer=Optimizer(arguments.optimizer) if arguments.optimizer else "auto",
        loop="auto" if arguments.epochs is None else Loop(epochs=arguments.epochs),
        random_state=arguments.seed or 0,
    )


def _rates(given: str | None) -> list[float] | None:
    try:
        return None if given is None else [float(rate) for rate in given.split(",")]
    except ValueError:
        raise UsageError(f"--lr takes numbers, as in 0.1,0.01,0.001; got {given!r}") from None


def _place(out: str | None, force: bool) -> Path | None:
    """Where the picture goes, when nothing is in the way."""
    if out is None:
        return None
    path = Path(out)
    if path.suffix not in (".svg", ".html"):
        raise UsageError(f"--out takes a file ending in .svg or .html; got {out!r}")
    check_free(path, force)
    return path


def _write(found: "Sweep", out: Path, say: Callable[[str], Any]) -> None:
    from manumatic.files import write_whole
    from manumatic.show.style import drawing_style

    page = PAGE.format(style=drawing_style(), body=found._repr_html_())
    write_whole(out, found.svg() if out.suffix == ".svg" else page)
    say(f"wrote {out}")


def _told(run: "Run") -> str:
    """A line of progress."""
    ended = f"loss {run.final_loss:.4g}"
    if run.diverged_at is not None:
        ended = f"diverged in epoch {run.diverged_at}"
    return f"  lr {run.lr:<8g} {ended}, {run.seconds:.1f} s"
