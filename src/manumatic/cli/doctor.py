"""Look for mistakes in a script, or in data and network: before training, and while it runs."""

__all__ = ["add_arguments", "run"]

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manumatic.cli.nets import load_net
from manumatic.cli.table import READS, UsageError, read_table, wanted_target
from manumatic.errors import DataError, DivergedError, nearest

if TYPE_CHECKING:
    from manumatic.doctor.finding import Finding, Findings

SCRIPTS = (".py", ".ipynb")
FOUND = 5  # the exit code of --strict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("path", help=f"a script (.py, .ipynb), which is read and not run; {READS}")
    parser.add_argument("-t", "--target", metavar="NAME", help="the column to predict")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="auto", help="auto, linear, mlp, table or cnn")
    which.add_argument("--net", metavar="FILE.py:NAME", help="your own torch.nn.Module")
    parser.add_argument("--epochs", type=int, metavar="N", help="0: look, and do not train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--ignore", default="", metavar="MM101,...", help="findings to leave out, by their codes"
    )
    parser.add_argument("--strict", action="store_true", help="exit code 5 when there is an issue")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found."""
    from manumatic.doctor.finding import Findings

    findings = Findings(muted=filter(None, arguments.ignore.split(",")))
    try:
        if Path(arguments.path).suffix in SCRIPTS:
            findings += [f for f in _read(arguments) if f.code not in findings.muted]
        else:
            _look(arguments, findings)
    except DivergedError:
        _show(findings, arguments.json)  # it may say why
        raise
    _show(findings, arguments.json)
    return FOUND if arguments.strict and findings.issues else 0


def _read(arguments: argparse.Namespace) -> "list[Finding]":
    """The findings in a script."""
    from manumatic.doctor.script import read_script

    for option in ("target", "net"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option} is for tables; {arguments.path} is a script")
    path = Path(arguments.path)
    try:
        return read_script(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        here = [entry.name for entry in path.parent.glob("*")]
        raise UsageError(f"{path}: {error.strerror}.{nearest(path.name, here)}") from None


def _look(arguments: argparse.Namespace, findings: "Findings") -> None:
    """Add what is found before training and, unless there is none, during it."""
    X, y, notes = read_table(arguments.path)
    target = wanted_target(X, arguments.target, arguments.path) if y is None else None

    from manumatic.compare.problem import open_problem
    from manumatic.doctor.diagnose import diagnose
    from manumatic.gears.automatic import Classifier, Regressor
    from manumatic.parts.components import Loop

    problem = open_problem(X, y, target=target)
    if not arguments.quiet:
        for note in [problem.describe(), *notes, *problem.notes]:
            print(note, file=sys.stderr)
    kind: Callable[..., Any] = Classifier if problem.is_classification else Regressor
    model: Any = load_net(arguments.net)[1] if arguments.net else arguments.model
    net = kind(
        model,
        loop=Loop(epochs=arguments.epochs) if arguments.epochs else "auto",
        random_state=arguments.seed,
    )
    findings.add(*diagnose(net, problem.X, problem.labels))
    if arguments.epochs != 0:
        findings.add(*net.fit(problem.X, problem.labels).findings_)


def _show(findings: "Findings", as_json: bool) -> None:
    if as_json:
        rows = [
            {"code": f.code, "severity": f.severity, "message": f.message, "fix": f.fix}
            for f in findings
        ]
        print(json.dumps({"schema": 1, "findings": rows}, indent=2))
        return
    blocks = [f"{found}\n    manumatic explain {found.code}" for found in findings]
    print("\n\n".join(blocks) or "no findings")
