"""Write the model of a bundle in another format, or with all that runs it in a container."""

__all__ = ["add_arguments", "run"]

import argparse
import sys

from manumatic.cli.nets import load_net
from manumatic.cli.table import check_free


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", help="a bundle, as `manumatic fit` and mm.save write it")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "out",
        nargs="?",
        metavar="FILE",
        help=".onnx the whole pipeline, .pt2 torch.export, .pt weights, .ts TorchScript, .joblib; "
        "it is compared with the model before it is written",
    )
    what.add_argument("--docker", metavar="DIR", help="a Dockerfile, and a page for each cloud")
    what.add_argument("--flask", metavar="DIR", help="a small Flask app, to read and change")
    what.add_argument("--fastapi", metavar="DIR", help="a small FastAPI app, to read and change")
    parser.add_argument(
        "--net", metavar="FILE.py:NAME", help="your own torch.nn.Module, where the bundle has one"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def run(arguments: argparse.Namespace) -> int:
    """Export, and say how far the two are apart."""
    if arguments.out is None:
        return _write_folder(arguments)
    check_free(arguments.out, arguments.force)
    from manumatic.deliver.export import export
    from manumatic.deliver.load import load

    classes = [load_net(arguments.net)[1]] if arguments.net else []
    found = export(load(arguments.model, classes=classes), arguments.out)
    if not arguments.quiet:
        print(found, file=sys.stderr)
    print(arguments.out)
    return 0


def _write_folder(arguments: argparse.Namespace) -> int:
    from manumatic.deliver.containers import write_docker, write_fastapi, write_flask

    kinds = {"docker": write_docker, "flask": write_flask, "fastapi": write_fastapi}
    for kind, write in kinds.items():
        if (folder := getattr(arguments, kind)) is not None:
            print(write(arguments.model, folder, force=arguments.force))
    return 0
