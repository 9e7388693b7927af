"""Whatever a client sends, the server says what is wrong: no 5xx, no silent null, no echo."""

import json
import math
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from serving import FLATS, ROW, ask, save_flats, serving
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import manumatic as mm
from manumatic.deliver.schema import Column, Schema
from manumatic.deliver.serve.decode import Decoder, Invalid, check_keys, finite_rows
from manumatic.deliver.serve.gate import Limits

MARK = "qqzz"  # in every value that must not come back
LIMITS = Limits(body=300_000, rows=50)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("serve") / "flats.mm"
    with serving(save_flats(path), LIMITS) as (port, _):
        yield port


def cell(raw: str, column: str = "size") -> bytes:
    """A request with this in place of one value."""
    cells = {name: json.dumps(value) for name, value in ROW.items()} | {column: raw}
    row = ",".join(f"{json.dumps(name)}:{value}" for name, value in cells.items())
    return f'{{"rows":[{{{row}}}]}}'.encode()


# what is sent, and the status; a number is answered, or is no number
CASES: dict[str, tuple[bytes, int, str]] = {
    "well": (cell("80.5"), 200, ""),
    "whole for a number": (cell("80"), 200, ""),
    "3.0 for a whole number": (cell("3.0", "rooms"), 200, ""),
    "null where nullable": (cell("null"), 200, ""),
    "unseen word": (cell(f'"{MARK}"', "city"), 200, ""),
    "zero byte": (cell('"\\u0000"', "city"), 200, ""),
    "long word": (cell(f'"{MARK * 5000}"', "city"), 200, ""),
    "float32 overflow": (cell("1e39"), 200, ""),  # the graph is in double precision
    "text for a number": (cell('"0.1"'), 422, "rows[0].size"),
    "boolean for a number": (cell("true"), 422, "rows[0].size"),
    "list for a number": (cell("[1]"), 422, "rows[0].size"),
    "object for a number": (cell(f'{{"a":"{MARK}"}}'), 422, "rows[0].size"),
    "number for a word": (cell("5", "city"), 422, "rows[0].city"),
    "3.5 for a whole number": (cell("3.5", "rooms"), 422, "row 0, 'rooms'"),
    "NaN": (cell("NaN"), 422, "malformed"),
    "Infinity": (cell("Infinity"), 422, "malformed"),
    "1e400": (cell("1e400"), 422, "out of range"),
    "5,000 digits": (cell("7" * 5000), 422, "out of range"),
    "5,000 digits, whole": (cell("7" * 5000, "rooms"), 422, "out of range"),
    "deep list": (b"[" * 100_000, 422, "got `array`"),
    "deep cell": (cell("[" * 5000 + "]" * 5000), 422, "rows[0].size"),
    "bad UTF-8": (b'{"rows":["\xff\xfe"]}', 422, ""),
    "bad UTF-8 in a word": (cell('"?"', "city").replace(b"?", b"\xff\xfe"), 422, "UTF-8"),
    "half a surrogate": (cell('"\\ud800"', "city"), 422, ""),
    "no body": (b"", 422, ""),
    "null": (b"null", 422, "Expected `object`"),
    "no JSON": (b"\x1f\x8b\x08\x00", 422, "malformed"),
    "half": (b'{"rows":[{"size":1', 422, "truncated"),
    "more behind it": (cell("1") + b" x", 422, "trailing"),
    "no rows": (b"{}", 422, "rows"),
    "empty rows": (b'{"rows":[]}', 422, "length >= 1"),
    "null row": (b'{"rows":[null]}', 422, "rows[0]"),
    "missing column": (b'{"rows":[{"size":1,"rooms":2}]}', 422, "city"),
    "unknown column": (cell('1,"colour":2'), 422, "colour"),
    "unknown key": (b'{"rows":[],"more":1}', 422, ""),
    "positional": (b'{"rows":[[1,2,"Ulm"]]}', 422, "rows[0]"),
    "key twice": (cell(f'1,"size":{7}'), 422, "twice"),
    "rows twice": (cell("1")[:-1] + b',"rows":[' + json.dumps(ROW).encode() + b"]}", 422, "twice"),
    "key twice, escaped": (cell('1,"s\\u0069ze":2'), 422, "twice"),
    "key twice, word with a colon": (cell('"a:b","city":"Ulm"', "city"), 422, "twice"),
    "too many rows": (json.dumps({"rows": [ROW] * 51}).encode(), 422, "50 rows"),
    "too many bytes": (b" " * 400_000, 413, "300000 bytes"),
    "far too many bytes": (b" " * 1_400_000, 413, "300000 bytes"),
}


def finite(value: Any) -> bool:
    """No null and no NaN anywhere."""
    if isinstance(value, dict | list):
        return all(map(finite, value.values() if isinstance(value, dict) else value))
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


@pytest.mark.parametrize("name", CASES)
def test_any_body(port: int, name: str) -> None:
    body, status, said = CASES[name]
    code, answer, _ = ask(port, "POST", "/predict", body)
    assert code == status, answer
    assert finite(answer)
    if code == 200:
        assert len(answer["predictions"]) == 1
    else:
        assert set(answer) == {"error"}
        assert said in answer["error"]
        assert len(answer["error"]) <= 300
    assert MARK not in json.dumps(answer)


def test_rows_up_to_the_limit(port: int) -> None:
    code, answer, _ = ask(port, "POST", "/predict", {"rows": [ROW] * 50})
    assert (code, len(answer["predictions"])) == (200, 50)
    assert len(set(answer["predictions"])) == 1


def chunked(port: int, size: int, most: int) -> bytes:
    """What comes back for a body of chunks without a length."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < most:
                client.sendall(b"%x\r\n%b\r\n" % (size, b" " * size))
                sent += size
            client.sendall(b"0\r\n\r\n")
        except OSError:  # the server has read enough of it
            assert sent > LIMITS.body
        return client.recv(65536)


@pytest.mark.parametrize("most", [400_000, 1_100_000])
def test_chunks_are_counted(port: int, most: int) -> None:
    assert b"413" in chunked(port, 50_000, most).split(b"\r\n")[0]
    assert ask(port, "GET", "/livez")[0] == 200


def test_who_asks_before_sending_too_much_is_told_at_once(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            b"Content-Length: 99999999\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413")


def test_headers_may_lie(port: int) -> None:
    body = cell("1")
    for told in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert ask(port, "POST", "/predict", body, {"Content-Type": told})[0] == 200
    for length in (b"-5", b"nine", b"\xff"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: " + length)
            client.sendall(b"\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 4")


def test_methods_and_paths(port: int) -> None:
    assert ask(port, "GET", "/predict")[0] == 405
    assert ask(port, "POST", "/livez", b"")[0] == 405
    for path in ("/nothing", "/predict/", "/v2/models/other", "/%2e%2e/etc/passwd", "/%ff"):
        code, answer, _ = ask(port, "GET", path)
        assert code in (404, 405), path
        assert set(answer) == {"error"}
    # a template of a route is no route
    assert ask(port, "POST", "/v2/models/{name}/infer", {"inputs": []})[0] == 404


# --- other kinds of models ------------------------------------------------------------------------


def test_rows_of_numbers(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    mm.save(Ridge().fit(X, X @ [1.0, 2.0, 3.0]), tmp_path / "ridge.mm", X)
    with serving(tmp_path / "ridge.mm") as (port, service):
        code, answer, _ = ask(port, "POST", "/predict", {"rows": X[:5].tolist()})
        assert code == 200
        assert np.allclose(answer["predictions"], service.model.runtime.predict(X[:5]))
        for row in ([1, 2], [1, 2, 3, 4], [1, 2, None], [1, 2, "3"], [1, 2, True], [[1, 2, 3]], 5):
            code, answer, _ = ask(port, "POST", "/predict", {"rows": [[0, 0, 0], row]})
            assert (code, "rows[1]" in answer["error"]) == (422, True), row
        # finite in, not finite out
        code, answer, _ = ask(port, "POST", "/predict", {"rows": [[0, 0, 0], [1e308] * 3]})
        assert code == 422
        assert "row 1" in answer["error"]
        assert "not a finite number" in answer["error"]


def test_rows_of_text() -> None:
    decode = Decoder(Schema("text", False, [], []), 10)
    feeds, rows = decode(b'{"rows":["good: yes","bad"]}')
    assert rows == 2
    assert feeds["text"].tolist() == [["good: yes"], ["bad"]]
    for row in (b"5", b"null", b'["good"]', b'{"text":"good"}'):
        with pytest.raises(Invalid, match=r"rows\[0\]"):
            decode(b'{"rows":[%b]}' % row)


def test_a_model_that_takes_no_strangers_and_no_holes(tmp_path: Path) -> None:
    strict = make_pipeline(OneHotEncoder(), Ridge()).fit(FLATS[["city"]], FLATS["rooms"])
    mm.save(strict, tmp_path / "strict.mm", FLATS[["city"]])
    with serving(tmp_path / "strict.mm") as (port, _):
        code, answer, _ = ask(port, "POST", "/predict", {"rows": [{"city": MARK}]})
        assert (code, MARK in answer["error"]) == (422, False)
        assert "'city'" in answer["error"]
        assert ask(port, "POST", "/predict", {"rows": [{"city": None}]})[0] == 422


def test_dates(tmp_path: Path) -> None:
    columns = [
        Column("at", "date"),
        Column("took", "duration", nullable=True),
        Column("paid", "boolean"),
    ]
    decode = Decoder(Schema("table", True, columns, []), 10)
    body = b'{"rows":[{"at":"2026-01-01T10:00:00+01:00","took":1.5,"paid":true}]}'
    feeds, rows = decode(body)
    assert rows == 1
    assert feeds["at"].item() == pd.Timestamp("2026-01-01T09:00").timestamp()
    for old, new in ((b"2026-01-01", b"2026-02-31"), (b"true", b"1"), (b"1.5", b'"1.5"')):
        with pytest.raises(Invalid) as caught:
            decode(body.replace(old, new))
        assert "2026" not in str(caught.value)


def test_numbers_and_words_as_categories() -> None:
    columns = [Column("code", "word", categories=[1, 2.5, "x"])]
    decode = Decoder(Schema("table", True, columns, []), 10)
    for word in (b"1", b"2.5", b'"x"'):
        assert decode(b'{"rows":[{"code":%b}]}' % word)[1] == 1
    with pytest.raises(Invalid):
        decode(b'{"rows":[{"code":true}]}')


def test_an_answer_without_a_number_is_an_error() -> None:
    finite_rows({"label": np.array(["a", "b"]), "score": np.array([[1.0], [2.0]])})
    for bad in (np.nan, np.inf):
        with pytest.raises(Invalid, match="row 1: the model's score"):
            finite_rows({"score": np.array([[1.0, 2.0], [0.0, bad]])})


@pytest.mark.parametrize("body", [b'{"a":{"b":1,"b":2}}', b'[{"\\u0061":1,"a":2}]'])
def test_keys_are_there_once(body: bytes) -> None:
    with pytest.raises(Invalid, match="twice"):
        check_keys(body, None)
    check_keys(body.replace(b"2", b"[2]").replace(b',"b"', b',"c"').replace(b',"a"', b',"c"'), None)
