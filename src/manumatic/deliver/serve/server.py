"""``serve``: a bundle behind uvicorn, with clocks, limits and a quiet end."""

__all__ = ["make_config", "serve"]

import logging
import os
from pathlib import Path
from typing import Any

import uvicorn

from manumatic.deliver.serve.app import make_app
from manumatic.deliver.serve.deadlines import protocol
from manumatic.deliver.serve.gate import Limits
from manumatic.deliver.serve.service import Service

DRAIN_SECONDS = 25  # SageMaker and Kubernetes kill after 30
CONNECTIONS = 1000


class _Server(uvicorn.Server):
    """Stops being ready before it stops."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.service.draining = True
        super().handle_exit(sig, frame)


def serve(
    path: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve a bundle over HTTP until it is told to stop (Ctrl-C or SIGTERM).

    Neither torch nor scikit-learn is imported: the bundle's graph runs in onnxruntime. A new bundle
    moved to the same path is taken up while the server runs.

    Parameters
    ----------
    path : path
        What ``mm.save`` wrote.
    host : str
        "0.0.0.0" for all networks, as containers need it.
    port : int, optional
        Default: ``AIP_HTTP_PORT`` as Vertex AI sets it, else 8080.
    token : str, optional
        What clients must send as ``Authorization: Bearer …``; default ``MANUMATIC_TOKEN``.
    limits : Limits, optional
        Bytes, rows and seconds of a request.

    Raises
    ------
    DataError
        The bundle is damaged, has no graph, or answers its golden rows differently here.
    MissingExtra
        A package of the extra ``deliver`` is not there.

    Examples
    --------
    >>> import manumatic as mm
    >>> mm.serve("model.mm", port=8000)  # doctest: +SKIP
    """
    limits = limits or Limits()
    service = Service(path, limits.rows)
    app = make_app(service, limits, token or os.environ.get("MANUMATIC_TOKEN"))
    port = port or int(os.environ.get("AIP_HTTP_PORT", "8080"))
    logging.getLogger("manumatic.serve").setLevel(logging.INFO)
    _Server(make_config(app, host, port), service).run()


def make_config(app: Any, host: str, port: int) -> uvicorn.Config:
    """How uvicorn is run: quiet, with clocks and caps.

    Parameters
    ----------
    app : ASGI application
    host : str
    port : int
        0 for any that is free.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol(),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
