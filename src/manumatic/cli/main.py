"""The command line: results on stdout, progress and errors on stderr, an exit code that tells.

Nothing heavy is imported before a command needs it, so ``--help`` and usage errors are instant.
"""

__all__ = ["build_parser", "main"]

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from manumatic.cli import (
    compare,
    doctor,
    eject,
    explain,
    export,
    fit,
    info,
    predict,
    serve,
    sweep,
    tune,
)
from manumatic.cli.table import UsageError
from manumatic.errors import ComponentError, DataError, DivergedError, EjectError, ManumaticError

COMMANDS = {
    "compare": compare,
    "doctor": doctor,
    "eject": eject,
    "explain": explain,
    "export": export,
    "fit": fit,
    "info": info,
    "predict": predict,
    "serve": serve,
    "sweep": sweep,
    "tune": tune,
}
# which error ends with which code; the first that fits counts
CODES: list[tuple[type[ManumaticError], int]] = [
    (UsageError, 2),
    (ComponentError, 2),
    (EjectError, 2),
    (DataError, 3),
    (DivergedError, 4),
    (ManumaticError, 1),
]
INTERRUPTED = 130
EPILOG = """exit codes:
  0 ok, 1 unexpected, 2 usage, 3 data unusable, 4 training diverged,
  5 doctor --strict found an issue, 130 interrupted

examples:
  manumatic compare                              bundled data: which gear, and why
  manumatic compare flats.csv --target rent      your data, a report in manumatic-out/
  manumatic doctor train.py                      mistakes in a script, without running it
  manumatic eject flats.csv --target rent -o train.py
  manumatic fit flats.csv --target rent -o rent.mm
  manumatic predict rent.mm new.csv
  manumatic serve rent.mm
  manumatic sweep                                three learning rates, and why one explodes
  manumatic tune flats.csv --target rent --time 60 --save rent.mm
"""


def build_parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog="manumatic",
        description="One estimator, two gears: scikit-learn and PyTorch on your data.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-q", "--quiet", action="store_true", help="no progress, no notes")
    shared.add_argument(
        "-v", "--verbose", action="store_true", help="show where an error came from"
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, module in COMMANDS.items():
        said = (module.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=said, description=said, parents=[shared])
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Examples
    --------
    >>> main(["compare", "nowhere.csv"])
    2
    """
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    if arguments.version:
        print(_version())
        return 0
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()  # here, where a closed pipe can still be answered
        return code
    except ManumaticError as error:
        if arguments.verbose:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return next(code for kind, code in CODES if isinstance(error, kind))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        if arguments.verbose:
            traceback.print_exc()
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _version() -> str:
    from importlib.metadata import version

    return f"manumatic {version('manumatic')}"
