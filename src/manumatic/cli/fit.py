"""Train a network on your data and save it as a bundle that predicts, serves and loads again."""

__all__ = ["add_arguments", "run"]

import argparse
import sys

from manumatic.cli.nets import add_net_arguments, check_bundles, open_net


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_net_arguments(parser, "model.mm")


def run(arguments: argparse.Namespace) -> int:
    """Train, save, and say what was decided."""
    check_bundles()
    net, problem, notes = open_net(arguments, int(not arguments.quiet and sys.stderr.isatty()))
    from manumatic.deliver.save import save
    from manumatic.gears.beyond import first_rows, is_beyond
    from manumatic.parts.processes import is_first

    if not arguments.quiet and is_first():
        print(*notes, sep="\n", file=sys.stderr, flush=True)
    interrupted = False
    try:
        net.fit(problem.X, problem.labels)
    except KeyboardInterrupt:
        if not hasattr(net, "model_"):  # before the first step
            raise
        interrupted = True
    if not is_first():  # of those that torchrun started, one speaks and writes
        return 0
    rows = first_rows(problem.X) if is_beyond(problem.X) else problem.X
    saved = save(net, arguments.out, rows)
    if not arguments.quiet:
        print(net.logbook_, *net.findings_, saved, sep="\n", file=sys.stderr)
    if interrupted:
        print("interrupted; saved as it was then", file=sys.stderr)
    print(arguments.out)
    return 130 if interrupted else 0
