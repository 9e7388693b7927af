"""Train a network on your data and save it as a bundle that predicts, serves and loads again."""

__all__ = ["add_arguments", "run"]

import argparse
import sys

from manumatic.cli.nets import add_net_arguments, open_net


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_net_arguments(parser, "model.mm")


def run(arguments: argparse.Namespace) -> int:
    """Train, save, and say what was decided."""
    net, problem, notes = open_net(arguments, int(not arguments.quiet and sys.stderr.isatty()))
    from manumatic.deliver.save import save
    from manumatic.gears.beyond import first_rows, is_beyond
    from manumatic.parts.processes import is_first

    net.fit(problem.X, problem.labels)
    if not is_first():  # of those that torchrun started, one speaks and writes
        return 0
    rows = first_rows(problem.X) if is_beyond(problem.X) else problem.X
    saved = save(net, arguments.out, rows)
    if not arguments.quiet:
        print(*notes, net.logbook_, *net.findings_, saved, sep="\n", file=sys.stderr)
    print(arguments.out)
    return 0
