"""Requests answered together get their own rows; who comes too many or too late is told."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import FLATS, ROW, ask, metric, rows_of, save_flats, serving

from manumatic.deliver.serve.batching import Batcher, Busy, Columns
from manumatic.deliver.serve.gate import Limits


def double(columns: Columns) -> Columns:
    """Fails where a value is negative."""
    if (columns["x"] < 0).any():
        raise ValueError("negative")
    return {"y": 2 * columns["x"], "z": columns["x"][:, 0]}


def together(batcher: Batcher, parts: list[np.ndarray]) -> list[Any]:
    """All requests at once."""

    async def all_of_them() -> list[Any]:
        calls: list[Awaitable[Columns]] = [batcher.answer({"x": x}, len(x)) for x in parts]
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(all_of_them())


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=30),
    st.integers(1, 40),
    st.sampled_from([0, 5, 1000]),
    st.sets(st.integers(0, 29)),
)
def test_everybody_gets_their_own_rows(
    sizes: list[int], most_rows: int, inline_rows: int, bad: set[int]
) -> None:
    starts = np.cumsum([1, *sizes])[:-1].tolist()
    parts = [np.arange(s, s + n, dtype=float)[:, None] for s, n in zip(starts, sizes, strict=True)]
    for place in bad & set(range(len(parts))):
        parts[place][-1] *= -1
    batcher = Batcher(double, most_rows=most_rows, inline_rows=inline_rows)
    found = together(batcher, parts)
    for place, (x, answer) in enumerate(zip(parts, found, strict=True)):
        if place in bad:
            assert isinstance(answer, ValueError)
        else:
            assert np.array_equal(answer["y"], 2 * x)
            assert np.array_equal(answer["z"], x[:, 0])
    assert batcher.waiting_rows == 0


def test_batches_are_as_large_as_what_waits_and_no_larger_than_allowed() -> None:
    seen: list[int] = []

    def run(columns: Columns) -> Columns:
        seen.append(len(columns["x"]))
        return columns

    parts = [np.zeros((n, 1)) for n in (1, 1, 1, 9, 2, 1)]
    together(Batcher(run, most_rows=4), parts)
    assert seen == [3, 9, 3]
    seen.clear()
    together(Batcher(run), parts)
    assert seen == [15]
    seen.clear()
    together(Batcher(run, most_rows=1), parts)
    assert seen == [1, 1, 1, 9, 2, 1]


def test_a_full_queue_says_so() -> None:
    batcher = Batcher(double, most_waiting=10)
    found = together(batcher, [np.ones((6, 1)), np.ones((5, 1)), np.ones((4, 1))])
    assert [isinstance(one, Busy) for one in found] == [False, True, False]
    # a request that is larger than the queue is taken where nobody waits
    assert not isinstance(together(batcher, [np.ones((99, 1))])[0], Exception)


def test_who_has_gone_is_left_out() -> None:
    seen: list[int] = []

    def run(columns: Columns) -> Columns:
        seen.append(len(columns["x"]))
        return columns

    async def leave() -> Columns:
        batcher = Batcher(run)
        tasks = [asyncio.create_task(batcher.answer({"x": np.ones((n, 1))}, n)) for n in (1, 2, 4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await batcher.answer({"x": np.ones((8, 1))}, 8)

    assert len(asyncio.run(leave())["x"]) == 8
    assert seen == [5, 8]


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_flats(tmp_path_factory.mktemp("serve") / "flats.mm")


@pytest.fixture
def slow(path: Path) -> Iterator[Callable[..., Any]]:
    """A server whose model takes its time, in a thread."""
    open_ = []

    def start(seconds: float, limits: Limits | None = None) -> Any:
        context = serving(path, limits)
        port, service = context.__enter__()
        open_.append(context)
        batcher = service.model.batcher
        run, batcher.inline_rows = batcher.run, 0

        def wait(columns: Columns) -> Columns:
            time.sleep(seconds)
            return run(columns)

        batcher.run = wait
        return port, batcher

    yield start
    for context in open_:
        context.__exit__(None, None, None)


def test_many_at_once_over_http(path: Path) -> None:
    rows = rows_of(FLATS)
    with serving(path) as (port, service):
        truth = service.model.runtime.predict_proba(FLATS)

        def check(place: int) -> bool:
            some = [place % len(rows), (3 * place + 1) % len(rows)][: 1 + place % 2]
            asked = {"rows": [rows[i] for i in some]}
            code, answer, _ = ask(port, "POST", "/predict", asked)
            return code == 200 and np.allclose(answer["probabilities"], truth[some], atol=1e-12)

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(check, range(400)))
        assert metric(port, "manumatic_batch_rows_sum") == 600
        assert metric(port, "manumatic_batch_rows_count") <= 400


def test_requests_that_wait_share_a_batch(slow: Callable[..., Any]) -> None:
    port, _ = slow(0.3)
    with ThreadPoolExecutor(9) as pool:
        codes = list(pool.map(lambda _: ask(port, "POST", "/predict", {"rows": [ROW]})[0], [0] * 9))
    assert codes == [200] * 9
    assert metric(port, "manumatic_batch_rows_count") < 5


def test_too_many_are_sent_away(slow: Callable[..., Any]) -> None:
    port, batcher = slow(0.4)
    batcher.most_waiting = 4
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: ask(port, "POST", "/predict", {"rows": [ROW]}), [0] * 12))
    codes = [code for code, _, _ in found]
    assert set(codes) == {200, 429}
    assert codes.count(200) >= 4
    refused = next(one for one in found if one[0] == 429)
    assert refused[2]["retry-after"] == "1"
    assert "too many rows" in refused[1]["error"]
    assert ask(port, "POST", "/predict", {"rows": [ROW]})[0] == 200


def test_an_answer_that_is_late_is_504(slow: Callable[..., Any]) -> None:
    port, _ = slow(0.6, Limits(seconds=0.2))
    code, answer, _ = ask(port, "POST", "/predict", {"rows": [ROW]})
    assert (code, answer) == (504, {"error": "no answer within 0.2 seconds"})
    # probes are answered while the model is busy
    worker = threading.Thread(target=ask, args=(port, "POST", "/predict", {"rows": [ROW]}))
    worker.start()
    start = time.monotonic()
    assert ask(port, "GET", "/livez")[0] == 200
    assert time.monotonic() - start < 0.5
    worker.join()


def test_a_client_that_leaves_hurts_nobody(slow: Callable[..., Any]) -> None:
    port, _ = slow(0.2)
    body = json.dumps({"rows": [ROW]}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    for sent in (head[:20], head, head + body[:5], head + body):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(sent)
    assert ask(port, "POST", "/predict", {"rows": [ROW]})[0] == 200
    assert metric(port, 'manumatic_requests_total{code="500",route="/predict"}') == 0


def test_a_failure_of_the_model_is_told_and_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(path) as (port, service):

        def fail(columns: Columns) -> Columns:
            raise RuntimeError("Ulm")

        service.model.batcher.run = fail
        code, answer, _ = ask(port, "POST", "/predict", {"rows": [ROW]})
        assert (code, answer) == (500, {"error": "the server failed; its log says why"})
        assert "a request failed" in caplog.text
        assert metric(port, 'manumatic_requests_total{code="500",route="/predict"}') == 1


def test_a_large_body_is_read_beside_the_loop(path: Path) -> None:
    with serving(path) as (port, _):
        rows = [ROW | {"city": "Ulm" * 10_000}] * 10
        code, answer, _ = ask(port, "POST", "/predict", {"rows": rows})
        assert (code, len(answer["predictions"])) == (200, 10)
