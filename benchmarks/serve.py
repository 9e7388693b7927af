"""CPU time, throughput and latency of servers: ours, FastAPI by hand, MLflow, BentoML, LitServe.

    python benchmarks/serve.py                    # minutes
    python benchmarks/serve.py --quick            # does it run? the numbers mean nothing
    python benchmarks/serve.py --write            # measure, and refresh docs/benchmarks.md
    python benchmarks/serve.py --peers PYTHON     # MLflow, BentoML and LitServe live there

Everybody serves the same pipeline of scikit-learn on 127.0.0.1, and every request asks for one row.
Counted is the CPU time of all processes of a server. A peer that is not installed is left out.
"""

__all__ = ["main"]

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts its threads

import argparse
import asyncio
import contextlib
import http.client
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import psutil
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from table import environment, markdown, refresh

import manumatic as mm

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PACKAGES = ("manumatic", "scikit-learn", "onnxruntime", "fastapi", "uvicorn")
PEERS = ("mlflow", "bentoml", "litserve")
CONNECTIONS = (1, 8, 32)
NUMBERS = [f"n{place}" for place in range(8)]
WORDS = ["a", "b", "c"]

OURS = """
import sys
from manumatic.deliver.serve import server
server.serve("mixed.mm", port=int(sys.argv[1]))
"""
ALONE = """
import functools
from manumatic.deliver.serve import batching, service
service.Batcher = functools.partial(batching.Batcher, most_rows=1)
"""
BY_HAND = """
import sys
import joblib, pandas as pd, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model
numbers = {f"n{place}": (float | None, ...) for place in range(8)}
Row = create_model("Row", **numbers, **{name: (str | None, ...) for name in "abc"})
class Rows(BaseModel):
    rows: list[Row]
app, model = FastAPI(), joblib.load("mixed.joblib")
@app.post("/predict")
def predict(asked: Rows):
    frame = pd.DataFrame([row.model_dump() for row in asked.rows])
    return {"predictions": model.predict(frame).tolist()}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
MLFLOW = """
import os, sys
import joblib, mlflow
mlflow.sklearn.save_model(joblib.load("mixed.joblib"), "mlflow", serialization_format="cloudpickle")
os.execv(sys.executable, [sys.executable, "-m", "mlflow", "models", "serve", "-m", "mlflow", "-p",
    sys.argv[1], "--env-manager", "local"])
"""
BENTOML = """
import bentoml, joblib, pandas as pd
@bentoml.service(workers=1)
class Mixed:
    def __init__(self):
        self.model = joblib.load("mixed.joblib")
    @bentoml.api
    def predict(self, rows: list[dict]) -> dict:
        return {"predictions": self.model.predict(pd.DataFrame(rows)).tolist()}
if __name__ == "__main__":
    import os, sys
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "server:Mixed", "--port",
        sys.argv[1], "--host", "127.0.0.1"])
"""
LITSERVE = """
import sys
import joblib, litserve, pandas as pd
class Mixed(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load("mixed.joblib")
    def decode_request(self, request):
        return pd.DataFrame(request["rows"])
    def predict(self, frame):
        return self.model.predict(frame).tolist()
    def encode_response(self, found):
        return {"predictions": found}
if __name__ == "__main__":
    server = litserve.LitServer(Mixed(), accelerator="cpu")
    server.run(port=int(sys.argv[1]), host="127.0.0.1", log_level="warning",
        generate_client_file=False)
"""


@dataclass(frozen=True)
class Server:
    """Somebody who serves the pipeline."""

    name: str
    code: str
    peer: bool = False
    path: str = "/predict"
    key: str = "rows"


SERVERS = (
    Server("manumatic", OURS),
    Server("manumatic, no batches", ALONE + OURS),
    Server("FastAPI + pydantic + pandas", BY_HAND),
    Server("MLflow", MLFLOW, True, "/invocations", "dataframe_records"),
    Server("BentoML", BENTOML, True),
    Server("LitServe", LITSERVE, True),
)

# --- the model ------------------------------------------------------------------------------------


def rows(n: int = 1000) -> pd.DataFrame:
    """Eight columns of numbers with holes, three of words."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, len(NUMBERS))), columns=NUMBERS)
    frame = frame.mask(rng.random(frame.shape) < 0.05)
    for name in WORDS:
        frame[name] = rng.choice([f"{name}{place}" for place in range(6)], n)
    return frame


def save(folder: Path) -> tuple[dict[str, Any], float]:
    """The pipeline for everybody; a row, and what it predicts."""
    frame = rows()
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), WORDS),
    )
    target = frame["n0"].fillna(0) + (frame["a"] == "a1")
    model = make_pipeline(columns, Ridge()).fit(frame, target)
    joblib.dump(model, folder / "mixed.joblib")
    mm.save(model, folder / "mixed.mm", frame)
    row = frame.dropna().iloc[0].to_dict()
    return row, float(model.predict(pd.DataFrame([row]))[0])


# --- the servers ----------------------------------------------------------------------------------


@contextlib.contextmanager
def started(server: Server, folder: Path, python: str) -> Iterator[tuple[int, psutil.Popen]]:
    """The server in processes of its own, ended with all of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "server.py").write_text(server.code, encoding="utf-8")
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}
    quiet["PATH"] = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"  # peers start uvicorn
    with open(folder / "log", "wb") as log:
        process = psutil.Popen(
            [python, "server.py", str(port)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | quiet,
            start_new_session=True,
        )
    try:
        yield port, process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def first_answer(server: Server, port: int, body: bytes, process: psutil.Popen) -> Any:
    """What it predicts, as soon as it does."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", server.path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            if response.status == 200:
                return json.loads(content)["predictions"][0]
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.3)
    raise RuntimeError(f"{server.name} does not answer")


def spent(process: psutil.Popen) -> float:
    """CPU seconds of a server with all its processes."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


# --- the load -------------------------------------------------------------------------------------


async def client(port: int, request: bytes, end: float, found: list[float]) -> None:
    """One connection that asks again as soon as it has the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < end:
        start = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        if b" 200 " not in head[:20]:
            raise RuntimeError(head.decode())
        found.append(time.perf_counter() - start)
    writer.close()


def load(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    """Seconds of each request."""
    found: list[float] = []

    async def all_of_them() -> None:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(client(port, request, end, found) for _ in range(connections)))

    asyncio.run(all_of_them())
    return found


def measure(server: Server, folder: Path, python: str, told: Any, seconds: float) -> dict[int, Any]:
    """By connections: CPU seconds a request, requests a second, median and 99th percentile."""
    row, truth = told
    body = json.dumps({server.key: [row]}).encode()
    request = (
        f"POST {server.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    result = {}
    with started(server, folder, python) as (port, process):
        answer = first_answer(server, port, body, process)
        if abs(answer - truth) > 1e-4:
            raise RuntimeError(f"{server.name} says {answer}, scikit-learn {truth}")
        load(port, request, 4, seconds / 4)
        for connections in CONNECTIONS:
            before, start = spent(process), time.perf_counter()
            found = load(port, request, connections, seconds)
            passed = time.perf_counter() - start
            cost = (spent(process) - before) / len(found)
            cuts = statistics.quantiles(found, n=100)
            result[connections] = (cost, len(found) / passed, cuts[49], cuts[98])
    return result


def report(found: dict[str, dict[int, Any]], python: str) -> str:
    """A table for each number of connections."""
    parts = [f"{environment(PACKAGES)}; {versions(python)}. One row a request."]
    for connections in CONNECTIONS:
        told = "connection" if connections == 1 else "connections"
        header = (f"{connections} {told}", "CPU ms a request", "requests/s", "p50 ms", "p99 ms")
        lines = []
        for name, results in found.items():
            cost, rate, middle, tail = results[connections]
            cells = (
                f"{1e3 * cost:.3g}",
                f"{rate:,.0f}",
                f"{1e3 * middle:.3g}",
                f"{1e3 * tail:.3g}",
            )
            lines.append([name, *cells])
        parts.append(markdown(header, lines))
    return "\n\n".join(parts)


def versions(python: str) -> str:
    """Of the peers."""
    code = (
        "from importlib.metadata import version, PackageNotFoundError\n"
        f"for name in {PEERS}:\n"
        "    try: print(name, version(name))\n"
        "    except PackageNotFoundError: print(name, 'not installed')\n"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return ", ".join(done.stdout.splitlines())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half a second of each")
    parser.add_argument("--write", action="store_true", help="refresh docs/benchmarks.md")
    parser.add_argument("--only", default="", help="servers whose name holds this")
    parser.add_argument("--peers", default=sys.executable, help="a Python that has the peers")
    options = parser.parse_args(arguments)
    found = {}
    for server in SERVERS:
        if options.only.lower() not in server.name.lower():
            continue
        print(server.name, file=sys.stderr)
        python = options.peers if server.peer else sys.executable
        with tempfile.TemporaryDirectory() as folder:
            told = save(Path(folder))
            try:
                seconds = 0.5 if options.quick else 6.0
                found[server.name] = measure(server, Path(folder), python, told, seconds)
            except (RuntimeError, OSError, asyncio.IncompleteReadError) as error:
                print(f"left out: {error}", file=sys.stderr)
                print((Path(folder) / "log").read_text()[-2000:], file=sys.stderr)
    text = report(found, options.peers)
    print(text)
    if options.write:
        refresh(PAGE, "serve", text)


if __name__ == "__main__":
    main()
