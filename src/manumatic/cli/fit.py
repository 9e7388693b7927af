"""Train a network on your data and save it as a bundle that predicts, serves and loads again."""

__all__ = ["add_arguments", "run"]

import argparse
import sys
from pathlib import Path
from typing import Any

from manumatic.cli.nets import load_net
from manumatic.cli.table import READS, UsageError, read_table, wanted_target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("data", help=READS)
    parser.add_argument("-t", "--target", metavar="NAME", help="the column to predict")
    parser.add_argument("-o", "--out", default="model.mm", metavar="FILE", help="default: model.mm")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="auto", help="auto, linear, mlp, table or cnn")
    which.add_argument("--net", metavar="FILE.py:NAME", help="your own torch.nn.Module")
    parser.add_argument("--epochs", type=int, help="default: chosen for the number of rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def run(arguments: argparse.Namespace) -> int:
    """Train, save, and say what was decided."""
    out = Path(arguments.out)
    if out.exists() and not arguments.force:
        raise UsageError(f"{out} exists; --force overwrites it")
    X, y, notes = read_table(arguments.data)
    target = wanted_target(X, arguments.target, arguments.data) if y is None else None

    from manumatic.compare.problem import open_problem
    from manumatic.deliver.save import save
    from manumatic.gears.automatic import Classifier, Regressor
    from manumatic.parts.components import Loop

    problem = open_problem(X, y, target=target)
    kind = Classifier if problem.is_classification else Regressor
    model: Any = load_net(arguments.net)[1] if arguments.net else arguments.model
    loop = "auto" if arguments.epochs is None else Loop(epochs=arguments.epochs)
    verbose = int(not arguments.quiet and sys.stderr.isatty())
    net = kind(model, loop=loop, random_state=arguments.seed, verbose=verbose)
    net.fit(problem.X, problem.labels)
    saved = save(net, out, problem.X)
    if not arguments.quiet:
        told = [problem.describe(), *notes, *problem.notes, net.logbook_, *net.findings_]
        print(*told, saved, sep="\n", file=sys.stderr)
    print(out)
    return 0
