"""Search for the parameters of a network on your data: Optuna draws, what lags is stopped."""

__all__ = ["add_arguments", "run"]

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from manumatic.cli.nets import check_bundles, load_net, wanted_metric
from manumatic.cli.table import READS, UsageError, check_free, read_table, wanted_target

if TYPE_CHECKING:
    from manumatic.compare.problem import Problem
    from manumatic.model_selection.tuned import Trial


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("data", help=READS)
    parser.add_argument("-t", "--target", metavar="NAME", help="the column to predict")
    parser.add_argument(
        *("--time", "--time-limit"),
        type=float,
        metavar="S",
        help="seconds; default: 60, or --trials",
    )
    parser.add_argument("--trials", type=int, metavar="N", help="of all processes together")
    parser.add_argument(
        "--storage", metavar="FILE", help="a journal: processes share it, and it is gone on with"
    )
    parser.add_argument("--scoring", metavar="NAME", help="rmse, roc_auc, ...; default: the loss")
    parser.add_argument("--cv", type=int, metavar="K", help="folds; default: a fifth is held out")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="auto", help="auto (default), linear, mlp, table or cnn")
    which.add_argument("--net", metavar="FILE.py:NAME", help="your own torch.nn.Module")
    parser.add_argument("--epochs", type=int, help="default: chosen for the number of rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="FILE", help="the best net, fitted on all rows")
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Tune, and print what was found."""
    out = arguments.save
    _check(arguments)
    scoring = None if arguments.scoring is None else wanted_metric(arguments.scoring)
    X, y, notes = read_table(arguments.data)
    target = wanted_target(X, arguments.target, arguments.data) if y is None else None

    from manumatic.compare.problem import open_problem
    from manumatic.deliver.save import save
    from manumatic.model_selection.tune import tune

    def say(line: object) -> None:
        if not arguments.quiet:
            print(line, file=sys.stderr, flush=True)

    problem = open_problem(X, y, target=target)
    for note in (problem.describe(), *notes, *problem.notes):
        say(note)
    found = tune(
        _net(arguments, problem),
        problem.X,
        problem.labels,
        time=60.0 if arguments.time is None and arguments.trials is None else arguments.time,
        trials=arguments.trials,
        scoring=scoring,
        cv=arguments.cv,
        storage=arguments.storage,
        on_trial=lambda trial: say(_told(trial)),
    )
    print(json.dumps(found.facts(), indent=2, allow_nan=False) if arguments.json else found)
    if out is not None:
        say(save(found.best, out, problem.X))
    return 130 if found.interrupted else 0


def _check(arguments: argparse.Namespace) -> None:
    """What can be refused before the data are read."""
    check_free(arguments.save, arguments.force)
    if arguments.save is not None:
        check_bundles()
    if arguments.cv is not None and arguments.cv < 2:
        raise UsageError(f"--cv takes 2 folds or more; got {arguments.cv}")


def _net(arguments: argparse.Namespace, problem: "Problem") -> Any:
    """The estimator that the options describe."""
    from manumatic.gears.automatic import Classifier, Regressor
    from manumatic.parts.components import Loop

    model = load_net(arguments.net)[1] if arguments.net else arguments.model
    loop = "auto" if arguments.epochs is None else Loop(epochs=arguments.epochs)
    kind = Classifier if problem.is_classification else Regressor
    return kind(model, loop=loop, random_state=arguments.seed)


def _told(trial: "Trial") -> str:
    """A line of progress."""
    ended = f"{trial.score:.4g}" if trial.state == "complete" else trial.state
    return f"  trial {trial.number:<4} {ended}, {trial.epochs} epochs, {trial.seconds:.1f} s"
