"""Explain an estimator or a finding: what fit does, what MM201 means."""

__all__ = ["add_arguments", "run"]

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("name", help="LinearRegression, MM201, ...")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    from manumatic.doctor.explain import explain

    print(explain(arguments.name))
    return 0
