"""Explain an estimator or a topic: what fit does, what autograd is."""

__all__ = ["add_arguments", "run"]

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("name", help="LinearRegression, fit, autograd, ...")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    from manumatic.doctor.explain import explain

    told = explain(arguments.name)
    if arguments.json:
        print(json.dumps({"name": arguments.name, "text": str(told), "code": told.code}, indent=2))
    else:
        print(told)
    return 0
