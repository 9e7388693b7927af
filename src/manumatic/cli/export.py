"""Write the model of a bundle in another format, and compare the two before it is written."""

__all__ = ["add_arguments", "run"]

import argparse
import sys
from pathlib import Path

from manumatic.cli.table import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", help="a bundle, as `manumatic fit` and mm.save write it")
    parser.add_argument(
        "out",
        metavar="FILE",
        help=".onnx the whole pipeline, .pt2 torch.export, .pt weights, .ts TorchScript, .joblib",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def run(arguments: argparse.Namespace) -> int:
    """Export, and say how far the two are apart."""
    if Path(arguments.out).exists() and not arguments.force:
        raise UsageError(f"{arguments.out} exists; --force overwrites it")
    from manumatic.deliver.export import export
    from manumatic.deliver.load import load

    found = export(load(arguments.model), arguments.out)
    if not arguments.quiet:
        print(found, file=sys.stderr)
    print(arguments.out)
    return 0
