"""Compare scikit-learn and PyTorch on the same folds: which gear, and why."""

__all__ = ["Progress", "add_arguments", "run"]

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from manumatic.cli.nets import check_bundles, load_net, wanted_metric
from manumatic.cli.table import (
    READS,
    UsageError,
    check_free,
    has_column,
    read_table,
    wanted_target,
)
from manumatic.errors import EjectError, nearest

if TYPE_CHECKING:
    from manumatic.compare.contest import Comparison, Contest
    from manumatic.compare.race import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("data", nargs="?", help=f"{READS}; left out: bundled data")
    parser.add_argument("-t", "--target", metavar="NAME", help="the column to predict")
    parser.add_argument("--metric", metavar="NAME", help="a scorer of scikit-learn, rmse, mae, ...")
    parser.add_argument(
        "--models", metavar="A,B", help="only these, by the names in the leaderboard"
    )
    parser.add_argument(
        "--net",
        action="append",
        default=[],
        metavar="FILE.py:NAME",
        help="your own torch.nn.Module",
    )
    parser.add_argument("--folds", type=int, default=5, help="default: 5")
    parser.add_argument("--repeats", type=int, default=1, help="default: 1")
    parser.add_argument("--group", metavar="NAME", help="keep rows with the same value together")
    parser.add_argument("--time", metavar="NAME", help="train on the past, test on what came next")
    parser.add_argument("--time-limit", type=float, metavar="S", help="seconds for all models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", default="manumatic-out", metavar="DIR")
    parser.add_argument(
        "--save", metavar="FILE.mm", help="the best model as a bundle, fitted on all rows"
    )
    parser.add_argument(
        "--save-model", metavar="NAME", help="with --save: this one, by its name in the leaderboard"
    )
    parser.add_argument("--force", action="store_true", help="write over DIR and FILE.mm")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--no-color", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Run the contest, write the files, print the leaderboard."""
    contest, notes = _plan(arguments)
    chosen = _to_save(arguments, contest)
    progress = Progress(contest, sys.stderr, arguments.quiet, arguments.no_color)
    progress.begin(notes)
    out = _directory(Path(arguments.out), arguments.force)
    comparison = contest.run(progress.row, progress.fold)
    progress.end()
    written = _write(comparison, out)
    if arguments.json:
        print(json.dumps(comparison.facts(), indent=2, allow_nan=False))
    else:
        print(comparison)
    progress.say(f"wrote {', '.join(map(str, written))}")
    code = _exit_code(comparison)
    if arguments.save is not None:
        if code:
            print(f"note  {arguments.save} is not written: no contest was ended", file=sys.stderr)
        else:
            _save(comparison, chosen, arguments.save, progress)
    return code


def _plan(arguments: argparse.Namespace) -> tuple["Contest", list[str]]:
    """Read and check everything that the command line names."""
    _check_numbers(arguments)
    X, y, notes = _bundled() if arguments.data is None else read_table(arguments.data)
    place = arguments.data or "the bundled data"
    target = arguments.target or ("price" if arguments.data is None else None)
    target = wanted_target(X, target, place) if y is None else None
    sides = {"groups": arguments.group, "time": arguments.time}
    for name in filter(None, sides.values()):
        if y is not None:
            raise UsageError(f"no column {name!r}: {place} holds arrays")
        has_column(X, name, place)
    nets = dict(load_net(net) for net in arguments.net)

    from manumatic.compare.contest import plan

    contest = plan(
        X,
        y,
        target=target,
        models=arguments.models.split(",") if arguments.models else None,
        nets=nets,
        metric=arguments.metric,
        folds=arguments.folds,
        repeats=arguments.repeats,
        time_limit=arguments.time_limit,
        random_state=arguments.seed,
        **sides,
    )
    return contest, notes


def _check_numbers(arguments: argparse.Namespace) -> None:
    """What can be refused before the data are read."""
    if arguments.folds < 2 or arguments.repeats < 1:
        raise UsageError(
            "--folds takes 2 or more and --repeats 1 or more; "
            f"got {arguments.folds} and {arguments.repeats}"
        )
    if arguments.time_limit is not None and not arguments.time_limit > 0:
        raise UsageError(f"--time-limit takes seconds, more than 0; got {arguments.time_limit:g}")
    if arguments.metric is not None:
        wanted_metric(arguments.metric)


def _to_save(arguments: argparse.Namespace, contest: "Contest") -> str | None:
    """The name of the model that is to be saved; None for the best. Asked before hours of work."""
    name = arguments.save_model
    if arguments.save is None:
        if name is not None:
            raise UsageError(f"--save-model {name} needs --save FILE.mm")
        return None
    check_free(arguments.save, arguments.force)
    check_bundles()
    names = {candidate.name.lower(): candidate.name for candidate in contest.candidates}
    if name is None:
        return None
    if name.lower() not in names:
        raise UsageError(f"--save-model {name}: no such model.{nearest(name, names.values())}")
    return names[name.lower()]


def _save(comparison: "Comparison", name: str | None, path: str, progress: "Progress") -> None:
    """Fit on all rows, write the bundle, and say what it can do."""
    from manumatic.deliver.save import save

    name = name or comparison.verdict.model
    progress.say(f"fit   {name} on all {len(comparison.contest.problem.y):,} rows")
    saved = save(comparison.model(name), path, comparison.X)
    progress.say(f"wrote {saved}")
    if 1 not in saved.tiers:
        print(f"note  {path} cannot be served, it only loads again: mm.load", file=sys.stderr)


class Progress:
    """Lines on stderr: one for each finished model, and on a terminal one that is redrawn."""

    def __init__(self, contest: "Contest", stream: TextIO, quiet: bool, no_color: bool) -> None:
        self.contest, self.stream, self.quiet = contest, stream, quiet
        self.live = stream.isatty() and os.environ.get("TERM") != "dumb" and not quiet
        self.color = self.live and not no_color and "NO_COLOR" not in os.environ

    def say(self, line: str) -> None:
        """A line that stays."""
        if not self.quiet:
            print(f"{CLEAR if self.live else ''}{line}", file=self.stream, flush=True)

    def begin(self, notes: list[str]) -> None:
        """What was read, and what will be done."""
        contest = self.contest
        self.say(f"data  {contest.problem.describe()}")
        self.say(f"plan  {contest}; {contest.metric.label}, {contest.metric.reason}")
        for note in [*notes, *contest.notes]:
            self.say(f"note  {note}")

    def fold(self, row: "Row") -> None:
        """A fold is done: redraw the line."""
        if self.live:
            number, of = len(self.contest.rows) + 1, len(self.contest.candidates)
            full = 20 * len(row.scores) // len(self.contest.folds)
            bar, time = f"{'█' * full}{'░' * (20 - full)}", f"{self.contest.seconds:.0f} s"
            text = f"  {row.name:<22}{bar}  model {number} of {of}  {time}"
            print(f"{CLEAR}{self._dim(text)}", end="", file=self.stream, flush=True)

    def row(self, row: "Row") -> None:
        """A model is done."""
        self.say(f"  {row}")
        for note in row.notes:
            self.say(self._dim(f"    {note}"))

    def end(self) -> None:
        """Nothing is left on the redrawn line."""
        if self.live:
            print(CLEAR, end="", file=self.stream, flush=True)

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.color else text


CLEAR = "\r\x1b[2K"


def _bundled() -> tuple[Any, None, list[str]]:
    from manumatic.datasets import load_flats

    note = "bundled data: 2,000 made-up flats for sale; give a file for your own"
    return load_flats().frame, None, [note]


def _directory(wanted: Path, force: bool) -> Path:
    """The directory, or the first of -1, -2, ... that no earlier run has filled."""
    if not wanted.name and not force:  # . and / have no neighbours with a number
        raise UsageError(f"--out takes a folder of its own; --force writes into {wanted}")
    try:
        for number in range(10_000):
            path = wanted.with_name(f"{wanted.name}-{number}") if number else wanted
            if force or not path.exists() or not any(path.iterdir()):
                path.mkdir(parents=True, exist_ok=True)
                return path
    except OSError as error:
        raise UsageError(f"--out {wanted}: {error.strerror}") from None
    raise UsageError(f"--out {wanted}: that name has been used 10,000 times")


def _write(comparison: "Comparison", out: Path) -> list[Path]:
    """Report, facts and the best network's script; returns what was written."""
    from manumatic.files import write_whole

    text = json.dumps(comparison.facts(), indent=2, allow_nan=False)
    written = [
        comparison.report(out / "report.html"),
        write_whole(out / "result.json", text + "\n"),
    ]
    problem = comparison.contest.problem
    nets = [row for row in comparison.rows if row.ok and hasattr(row.candidate.estimator, "eject")]
    if nets and not comparison.interrupted:
        script = out / "train.py"
        try:
            nets[0].candidate.build().eject(script, problem.X, problem.labels)
        except EjectError as error:
            print(f"note  no train.py: {error}", file=sys.stderr)
        else:
            written.append(script)
    return written


def _exit_code(comparison: "Comparison") -> int:
    if comparison.interrupted:
        return 130
    if comparison.verdict.rule != "nothing-finished":
        return 0
    return 4 if any("DivergedError" in row.error for row in comparison.rows) else 3
