"""Bundles as files: every flipped bit is seen, and whatever happens the old file stays whole."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manumatic.deliver.bundle import CAPS, parse_bundle, read_bundle, read_json, write_bundle
from manumatic.errors import DataError

MEMBERS = {
    "schema.json": b'{"columns": []}',
    "golden.json": b"[1.5, null]",
    "history.json": b"[]",
    "weights.safetensors": bytes(range(256)),
    "serve.onnx": b"\x08\x07" * 20,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "model.mm", MEMBERS, {"versions": {"torch": "2"}}).path


def everything(path: Path) -> dict[str, bytes]:
    bundle = read_bundle(path)
    return {name: bundle.read(name) for name in bundle.members if name != "manifest.json"}


def test_what_was_written_is_read(path: Path) -> None:
    bundle = read_bundle(path)
    assert everything(path) == MEMBERS
    assert bundle.manifest["about"] == {"versions": {"torch": "2"}}
    assert bundle.json("golden.json") == [1.5, None]
    assert "serve.onnx" in bundle
    assert "estimator.pickle" not in bundle
    with pytest.raises(DataError, match=r"has no config\.json; it holds manifest\.json, schema"):
        bundle.read("config.json")


def test_other_tools_read_it_as_a_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in MEMBERS} == MEMBERS
        assert {one.compress_type for one in file.infolist()} == {zipfile.ZIP_STORED}


def test_the_digest_names_the_content(tmp_path: Path, path: Path) -> None:
    same = write_bundle(tmp_path / "same.mm", MEMBERS, {"versions": {"torch": "2"}})
    other = write_bundle(tmp_path / "other.mm", MEMBERS | {"golden.json": b"[1.5, 0.0]"})
    assert same.digest == read_bundle(path).digest != other.digest
    assert same.path.read_bytes() == path.read_bytes()


def test_a_folder_holds_the_same(tmp_path: Path, path: Path) -> None:
    folder = write_bundle(f"{tmp_path}/model/", MEMBERS, {"versions": {"torch": "2"}})
    assert everything(tmp_path / "model") == MEMBERS
    assert folder.digest == read_bundle(path).digest
    with pytest.raises(DataError, match="is there; delete it"):
        write_bundle(f"{tmp_path}/model/", MEMBERS)
    with pytest.raises(DataError, match="is a folder"):
        write_bundle(tmp_path / "model", MEMBERS)
    assert sorted(os.listdir(tmp_path)) == ["model", "model.mm"], "nothing half-written stays"


# --- damage --------------------------------------------------------------------------------------


def test_every_single_bit_counts(path: Path) -> None:
    """All bits of the file: of each member, and of the zip around them."""
    whole = path.read_bytes()
    flipped = bytearray(whole)
    for place in range(len(whole)):
        for bit in range(8):
            flipped[place] ^= 1 << bit
            with pytest.raises(DataError):
                parse_bundle(bytes(flipped))
            flipped[place] = whole[place]
    assert parse_bundle(bytes(flipped)).digest == read_bundle(path).digest
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataError):
        read_bundle(path)


def test_bits_count_in_a_folder(tmp_path: Path) -> None:
    """A bit of every third byte: no checksum of a zip helps there, the hashes see it alone."""
    folder = write_bundle(f"{tmp_path}/model/", MEMBERS).path
    for name in ["manifest.json", *MEMBERS]:
        member = folder / name
        whole = member.read_bytes()
        for place in range(0, len(whole), 3):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << place % 8
            member.write_bytes(flipped)
            with pytest.raises(DataError):
                read_bundle(folder)
        member.write_bytes(whole)
    assert everything(folder) == MEMBERS


@given(st.binary(max_size=3000), st.data())
def test_bits_of_any_content_count(tmp_path_factory, content: bytes, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("bits") / "model.mm"
    write_bundle(path, {"weights.safetensors": content, "schema.json": b"{}"})
    whole = path.read_bytes()
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DataError):
        parse_bundle(bytes(flipped))


def test_every_truncation_and_every_tail_counts(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(len(whole)):
        with pytest.raises(DataError):
            parse_bundle(whole[:length])
    for tail in (b"\0", b"PK", whole):
        with pytest.raises(DataError):
            parse_bundle(whole + tail)
    with pytest.raises(DataError, match="does not begin as one"):
        parse_bundle(b"#!/bin/sh\n" + whole)
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError):
        read_bundle(path)


def test_members_of_two_bundles_are_not_mixed(tmp_path: Path) -> None:
    one = write_bundle(f"{tmp_path}/one/", MEMBERS).path
    two = write_bundle(f"{tmp_path}/two/", MEMBERS | {"serve.onnx": b"\x08\x08" * 20}).path
    (one / "serve.onnx").write_bytes((two / "serve.onnx").read_bytes())
    with pytest.raises(DataError, match=r"serve\.onnx is not as it was written"):
        read_bundle(one)


def test_a_folder_lacks_nothing_and_holds_nothing_else(tmp_path: Path) -> None:
    folder = write_bundle(f"{tmp_path}/model/", MEMBERS).path
    (folder / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds 'notes\.txt', for which a bundle has no place"):
        read_bundle(folder)
    (folder / "notes.txt").rename(folder / "estimator.pickle")  # a name that there is
    with pytest.raises(DataError, match="does not hold what"):
        read_bundle(folder)
    (folder / "estimator.pickle").unlink()
    (folder / "serve.onnx").unlink()
    with pytest.raises(DataError, match="does not hold what"):
        read_bundle(folder)
    with pytest.raises(FileNotFoundError):
        read_bundle(tmp_path / "nowhere.mm")


def test_names_sizes_and_formats_are_checked(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(DataError, match=r"no member '\.\./x'"):
        write_bundle(tmp_path / "model.mm", {"../x": b""})
    write_bundle(tmp_path / "model.mm", MEMBERS)
    monkeypatch.setitem(CAPS, "serve.onnx", 10)
    with pytest.raises(DataError, match=r"serve\.onnx has 40 bytes, more than the 10 allowed"):
        read_bundle(tmp_path / "model.mm")
    with pytest.raises(DataError, match="more than the 10 allowed"):
        write_bundle(tmp_path / "model.mm", MEMBERS)
    monkeypatch.undo()
    monkeypatch.setattr("manumatic.deliver.bundle.FORMAT", 2)
    with pytest.raises(DataError, match="has the format 1; this version of manumatic reads 2"):
        read_bundle(tmp_path / "model.mm")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1, "a": 2}', "a key is there twice"),
        (b"[" * 100_000, "recursion"),
        (b'{"a": ' + b"1" * 5000 + b"}", "limit"),
        (b'"\xff"', "decode"),
        (b"{", "Expecting"),
    ],
)
def test_json_is_read_strictly(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_json(content, "x.json")


# --- writing that does not end well --------------------------------------------------------------


@pytest.fixture
def full_disk():
    """No file may grow beyond 1,000 bytes, as on a disk with so much room left."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_bundle(tmp_path: Path, full_disk: None) -> None:
    small = {"schema.json": b"{}"}
    write_bundle(tmp_path / "model.mm", small)
    with pytest.raises(OSError, match="File too large"):
        write_bundle(tmp_path / "model.mm", small | {"serve.onnx": bytes(5000)})
    assert everything(tmp_path / "model.mm") == small
    with pytest.raises(OSError, match="File too large"):
        write_bundle(f"{tmp_path}/folder/", small | {"serve.onnx": bytes(5000)})
    assert os.listdir(tmp_path) == ["model.mm"], "nothing half-written stays"


WRITER = """
import sys
from manumatic.deliver.bundle import write_bundle
count = 0
print("ready", flush=True)
while True:
    count += 1
    graph = b"%08d" % count * 50_000
    write_bundle(sys.argv[1], {"golden.json": b"%d" % count, "serve.onnx": graph})
"""


@pytest.mark.slow
def test_fifty_kills_in_the_middle_never_leave_a_broken_bundle(tmp_path: Path) -> None:
    path = tmp_path / "model.mm"
    write_bundle(path, {"golden.json": b"0", "serve.onnx": b"%08d" % 0 * 50_000})
    chance, halves = random.Random(0), 0
    for _ in range(50):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        found = everything(path)
        assert found["serve.onnx"] == b"%08d" % int(found["golden.json"]) * 50_000
        beside = [name for name in os.listdir(tmp_path) if name != "model.mm"]
        halves += len(beside)
        for name in beside:  # what was being written; never at the place of the bundle
            (tmp_path / name).unlink()
    assert int(found["golden.json"]) > 0, "it did write"
    assert halves > 5, "and was killed in the middle of it"
