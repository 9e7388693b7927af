"""What tests of the server share: rows, a pipeline, a server in a thread or a process, a client."""

import contextlib
import functools
import http.client
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import uvicorn
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import manumatic as mm
from manumatic.deliver.serve.app import make_app
from manumatic.deliver.serve.gate import Limits
from manumatic.deliver.serve.server import make_config
from manumatic.deliver.serve.service import Service

rng = np.random.default_rng(0)
FLATS = pd.DataFrame(
    {
        "size": np.where(np.arange(80) % 7, rng.uniform(30, 150, 80), np.nan),
        "rooms": rng.integers(1, 6, 80),
        "city": [["Ulm", "Bonn", "Kiel"][i % 3] for i in range(80)],
    }
)
DEAR = np.where(FLATS["size"].fillna(80) + 10 * FLATS["rooms"] > 110, "dear", "cheap")
ROW = {"size": 80.5, "rooms": 3, "city": "Ulm"}


def pipeline(**options: Any) -> Any:
    """Numbers with holes, whole numbers, and words."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["size", "rooms"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    )
    return make_pipeline(columns, LogisticRegression(**options)).fit(FLATS, DEAR)


@functools.cache
def _bundle(**options: Any) -> bytes:
    """Once a process: the graph of one takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        return mm.save(pipeline(**options), Path(folder) / "flats.mm", FLATS).path.read_bytes()


def save_flats(path: Path, **options: Any) -> Path:
    """What ``mm.save`` writes of the pipeline."""
    path.write_bytes(_bundle(**options))
    return path


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """As a client sends them: null for a missing cell."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    seconds: float = 30,
) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON (else bytes), headers."""
    raw = json.dumps(body).encode() if isinstance(body, dict | list) else body
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, raw, headers or {})
        response = connection.getresponse()
        content, told = response.read(), {k.lower(): v for k, v in response.getheaders()}
    finally:
        connection.close()
    as_json = told.get("content-type", "").startswith("application/json")
    return response.status, json.loads(content) if as_json else content, told


def metric(port: int, name: str) -> float:
    """A sample of /metrics by its name with labels; 0 where it is not there."""
    text = ask(port, "GET", "/metrics")[1].decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@contextlib.contextmanager
def serving(
    path: Path,
    limits: Limits | None = None,
    token: str | None = None,
    app: Any = None,
    http: type | None = None,
    **options: Any,
) -> Iterator[tuple[int, Service]]:
    """A server of its own in a thread: its port, and what it serves."""
    limits = limits or Limits()
    service = Service(path, limits.rows, **options)
    config = make_config(app or make_app(service, limits, token), "127.0.0.1", 0)
    config.http = http or config.http
    config.timeout_graceful_shutdown = 5
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], service
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextlib.contextmanager
def process(path: Path, *options: str, start: str = "") -> Iterator[tuple[int, Any]]:
    """``manumatic serve`` in a process: its port, and the process."""
    port = free_port()
    code = f"{start}\nfrom manumatic.cli.main import main\nraise SystemExit(main())"
    command = [sys.executable, "-c", code, "serve", str(path), "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            until_ready(port, server)
            yield port, server
        finally:
            server.kill()


def until_ready(port: int, server: Any, seconds: float = 60) -> None:
    """Wait for /readyz."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, server.stderr.read().decode()
        with contextlib.suppress(OSError):
            if ask(port, "GET", "/readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def free_port() -> int:
    """Of this machine, just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
