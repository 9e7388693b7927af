"""Serve a bundle over HTTP: typed rows in, predictions out, a form for people."""

__all__ = ["add_arguments", "run"]

import argparse
import os
import sys
from pathlib import Path

from manumatic.cli.table import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", help="a bundle, as `manumatic fit` and mm.save write it")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for all networks")
    parser.add_argument("--port", type=int, help="default: AIP_HTTP_PORT, or 8080")
    parser.add_argument(
        "--token-file", metavar="FILE", help="clients must send what is in it as a bearer token"
    )
    parser.add_argument("--max-rows", type=int, default=10_000, help="of one request")
    parser.add_argument("--max-bytes", type=int, default=8 * 2**20, help="of one request")
    parser.add_argument("--seconds", type=float, default=30.0, help="until an answer is due")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from manumatic.deliver.serve.gate import Limits
    from manumatic.deliver.serve.server import serve

    token = None
    if arguments.token_file is not None:
        token = Path(arguments.token_file).read_text(encoding="utf-8").strip()
    limits = Limits(arguments.max_bytes, arguments.max_rows, arguments.seconds)
    port = arguments.port
    if port is None:
        port = int(os.environ.get("AIP_HTTP_PORT", "8080"))
    if not 0 < port < 2**16:  # the event loop would take it modulo 65,536
        raise UsageError(f"--port takes a number from 1 to 65535; got {port}")
    if not arguments.quiet:
        print(f"http://{arguments.host}:{port}/", file=sys.stderr)
    try:
        serve(arguments.model, host=arguments.host, port=port, token=token, limits=limits)
    except SystemExit:  # uvicorn has said why, and would end with the code of unusable data
        taken = f"{arguments.host}:{port} cannot be listened on; --port or --host takes another"
        raise UsageError(taken) from None
    return 0
