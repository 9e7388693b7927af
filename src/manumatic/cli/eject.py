"""Write the plain PyTorch script that trains a network on your data, without manumatic in it."""

__all__ = ["add_arguments", "run"]

import argparse
import sys

from manumatic.cli.nets import add_net_arguments, open_net


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_net_arguments(parser, "train.py")


def run(arguments: argparse.Namespace) -> int:
    """Write the script."""
    net, problem, notes = open_net(arguments)
    net.eject(arguments.out, problem.X, problem.labels)
    if not arguments.quiet:
        print(*notes, sep="\n", file=sys.stderr)
    print(arguments.out)
    return 0
