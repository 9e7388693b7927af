"""The server as a process: what it imports, how it starts, stops, and takes up a new model."""

import contextlib
import json
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from serving import ROW, ask, free_port, metric, process, save_flats, serving
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from manumatic.cli.main import main
from manumatic.deliver.serve.deadlines import Deadlines, protocol

BODY = json.dumps({"rows": [ROW]}).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY)
# prints what was imported when the server ends
IMPORTED = """
import atexit, sys
heavy = {"torch", "sklearn", "pandas", "scipy", "skops", "onnx"}
atexit.register(lambda: print(sorted(heavy & set(sys.modules)), flush=True))
"""
# a model that takes its time for two rows, in a thread
SLOW = """
import time
from manumatic.deliver.serve.service import Model
start, run = Model.__init__, Model._run
def begin(self, *given):
    start(self, *given)
    self.batcher.inline_rows = 0
def wait(self, feeds):
    time.sleep(0.5)
    return run(self, feeds)
Model.__init__, Model._run = begin, wait
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_flats(tmp_path_factory.mktemp("serve") / "flats.mm")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_flats(tmp_path_factory.mktemp("other") / "flats.mm", C=0.01)


def replace(new: Path, old: Path) -> None:
    """As ``mm.save`` does it: at once."""
    copy = old.with_suffix(".new")
    shutil.copy(new, copy)
    os.replace(copy, old)


def wait_for(said: Any, seconds: float = 20) -> None:
    """Until it is true."""
    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_a_server_needs_only_its_graph(path: Path) -> None:
    with process(path, "--max-rows", "3", start=IMPORTED) as (port, server):
        assert ask(port, "POST", "/predict", {"rows": [ROW]})[0] == 200
        assert ask(port, "POST", "/predict", {"rows": [ROW] * 4})[0] == 422
        for page in ("/", "/docs", "/openapi.json", "/metrics", "/schema"):
            assert ask(port, "GET", page)[0] == 200
        server.send_signal(signal.SIGINT)
        out, _ = server.communicate(timeout=20)
    assert out.decode().strip() == "[]"


@pytest.mark.slow
def test_sigterm_lets_requests_end(path: Path) -> None:
    with process(path, start=SLOW) as (port, server):
        found: list[Any] = []
        asked = {"rows": [ROW] * 1024}  # each a batch of its own: they end one after the other
        workers = [
            threading.Thread(target=lambda: found.append(ask(port, "POST", "/predict", asked)[0]))
            for _ in range(5)
        ]
        for worker in workers:
            worker.start()
        wait_for(lambda: metric(port, "manumatic_queue_rows") == 4 * 1024)
        server.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.join()
        assert server.wait(20) in (0, -signal.SIGTERM)
        assert found == [200] * 5
        with pytest.raises(OSError):
            ask(port, "GET", "/livez")


@pytest.mark.slow
def test_slow_senders_are_cut_off(path: Path) -> None:
    sent = [HEAD[:30], HEAD, HEAD + BODY[:7], b"", HEAD[:1]]
    with process(path) as (port, _):
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(150)]
        start = time.monotonic()
        for place, client in enumerate(clients):
            client.sendall(sent[place % len(sent)])
            client.settimeout(0)
        while time.monotonic() - start < 12:
            assert ask(port, "POST", "/predict", {"rows": [ROW]}, seconds=5)[0] == 200
            for client in clients[:: len(sent)]:  # a byte now and then
                with contextlib.suppress(OSError):
                    client.send(b"x")
            time.sleep(0.5)
        assert not any(map(alive, clients))
        for client in clients:
            client.close()


def alive(client: socket.socket) -> bool:
    """Nobody has closed it."""
    try:
        return client.recv(1 << 16) != b"" and client.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("own", [HttpToolsProtocol, H11Protocol])
def test_clocks(path: Path, own: type) -> None:
    quick = type("Quick", (Deadlines, own), {"head_seconds": 0.3, "body_seconds": 0.3})
    with serving(path, http=quick) as (port, _):
        for sent in (HEAD[:30], HEAD, HEAD + BODY[:7], b""):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(sent)
                assert _receive(client) == b""
        # who has said all may wait for the next request, and then has to say that, too
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            for _ in range(2):
                client.sendall(HEAD + BODY)
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
                time.sleep(0.5)
            client.sendall(HEAD[:9])
            assert _receive(client) == b""


def test_the_clocks_can_be_set() -> None:
    quick = protocol(0.5, 2.0)
    assert issubclass(quick, Deadlines)
    assert (quick.head_seconds, quick.body_seconds) == (0.5, 2.0)


def _receive(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 16)
    except ConnectionResetError:
        return b""


def test_a_new_bundle_is_taken_up(path: Path, other: Path, tmp_path: Path) -> None:
    place = tmp_path / "flats.mm"
    shutil.copy(path, place)
    with serving(place, every=0.02) as (port, service):
        before = ask(port, "POST", "/predict", {"rows": [ROW]})[1]
        replace(other, place)
        wait_for(lambda: service.model.digest != before["model"])
        after = ask(port, "POST", "/predict", {"rows": [ROW]})[1]
        assert after["model"] == service.model.digest
        assert after["probabilities"] != before["probabilities"]
        assert metric(port, 'manumatic_model_swaps_total{result="taken"}') == 1
        assert metric(port, "manumatic_batch_rows_sum") == 2
        assert f'digest="{after["model"]}"' in ask(port, "GET", "/metrics")[1].decode()
        assert before["model"] not in ask(port, "GET", "/metrics")[1].decode()


@pytest.mark.parametrize("kind", ["flipped", "half", "empty", "gone", "no graph"])
def test_a_broken_bundle_is_not(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    place, broken = tmp_path / "flats.mm", bytearray(path.read_bytes())
    shutil.copy(path, place)
    with serving(place, every=0.02) as (port, _):
        before = ask(port, "POST", "/predict", {"rows": [ROW]})[1]
        if kind == "gone":
            place.unlink()
            time.sleep(0.3)
        else:
            broken[len(broken) // 2] ^= 1
            content = {"flipped": broken, "half": broken[:2000], "empty": b"", "no graph": b"PK"}
            (tmp_path / "new").write_bytes(content[kind])
            os.replace(tmp_path / "new", place)
            swaps = 'manumatic_model_swaps_total{result="refused"}'
            wait_for(lambda: metric(port, swaps) == 1)
            assert "the old one goes on" in caplog.text
        assert ask(port, "GET", "/readyz")[0] == 200
        assert ask(port, "POST", "/predict", {"rows": [ROW]})[1] == before
        replace(path, place)  # and it still looks
        wait_for(lambda: metric(port, 'manumatic_model_swaps_total{result="taken"}') >= 1)


@pytest.mark.slow
def test_hot_swap_under_load(path: Path, tmp_path: Path) -> None:
    new = [save_flats(tmp_path / f"{c}.mm", C=c) for c in (0.01, 0.1, 10.0)]
    place = tmp_path / "flats.mm"
    shutil.copy(path, place)
    found: list[tuple[int, str]] = []
    stop = threading.Event()

    def load(port: int) -> None:
        while not stop.is_set():
            code, answer, _ = ask(port, "POST", "/predict", {"rows": [ROW]})
            found.append((code, answer.get("model", "")))

    with process(place) as (port, _):
        workers = [threading.Thread(target=load, args=(port,)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for one in new:
            wait_for(lambda: found)
            seen = found[-1][1]
            replace(one, place)
            wait_for(lambda seen=seen: found[-1][1] not in ("", seen))
        stop.set()
        for worker in workers:
            worker.join()
    assert len(found) > 100
    assert {code for code, _ in found} == {200}
    assert len({version for _, version in found}) == 4


def test_what_cannot_be_served_says_why(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 2] ^= 1
    (tmp_path / "broken.mm").write_bytes(broken)
    for name, said in (("broken.mm", "damaged"), ("nothing.mm", "nothing.mm")):
        assert main(["serve", str(tmp_path / name), "--port", str(free_port())]) != 0
        assert said in capsys.readouterr().err
