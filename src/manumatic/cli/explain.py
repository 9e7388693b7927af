"""Explain an estimator or a topic: what fit does, what autograd is."""

__all__ = ["add_arguments", "run"]

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("name", help="LinearRegression, fit, autograd, ...")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    from manumatic.doctor.explain import explain

    print(explain(arguments.name))
    return 0
