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

    net.fit(problem.X, problem.labels)
    saved = save(net, arguments.out, problem.X)
    if not arguments.quiet:
        print(*notes, net.logbook_, *net.findings_, saved, sep="\n", file=sys.stderr)
    print(arguments.out)
    return 0
