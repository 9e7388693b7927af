"""Bundles made to harm: with right hashes, so that only what the loader refuses protects.

Every payload would leave a marker file; none may.
"""

import io
import os
import pickle
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import manumatic as mm
from manumatic.deliver.bundle import parse_bundle, read_bundle, write_bundle, write_json
from manumatic.deliver.describe import describe
from manumatic.deliver.golden import as_plain
from manumatic.deliver.load import load
from manumatic.deliver.runtime import Runtime
from manumatic.deliver.state import pack
from manumatic.errors import ComponentError, DataError

X = np.random.default_rng(0).normal(size=(30, 2))
y = X @ [1.0, -2.0]
PIPE = make_pipeline(StandardScaler(), Ridge()).fit(X, y)
METHODS = {"prediction": "predict"}
GRAPH = "serve.onnx"


class Payload:
    """A pickle of it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path: Path):
    """A file that no load may make; looked at after each test."""
    path = tmp_path / "it-ran"
    yield path
    assert not path.exists(), "code of the file has run"


@pytest.fixture
def members() -> dict[str, bytes]:
    """Of a bundle in good order, without a graph."""
    described = describe(PIPE, None, None, METHODS, keep_rows=True)
    packed = pack(PIPE)
    golden = {
        "rows": described.rows,
        "kinds": described.kinds,
        "expected": {name: as_plain(v) for name, v in described.answers.items()},
    }
    import safetensors.torch

    assert packed.parts is not None
    return {
        "schema.json": write_json(described.schema.to_json()),
        "golden.json": write_json(golden),
        "parity.json": write_json({"reason": "none was made"}),
        "history.json": b"[]",
        "config.json": write_json(packed.tree),
        "weights.safetensors": safetensors.torch.save(packed.tensors),
        "preprocess.skops": packed.parts,
    }


@pytest.fixture
def written(tmp_path: Path, members: dict[str, bytes]) -> Callable[..., Path]:
    """The bundle with other members, hashed as they are."""

    def write(**others: bytes) -> Path:
        named = {name.replace("_", "."): content for name, content in others.items()}
        return write_bundle(tmp_path / "model.mm", members | named).path

    return write


def test_the_bundle_itself_is_in_good_order(written: Callable[..., Path]) -> None:
    np.testing.assert_array_equal(load(written()).predict(X), PIPE.predict(X))


# --- pickles -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "slot",
    ["config.json", "weights.safetensors", "preprocess.skops", "schema.json", "golden.json", GRAPH],
)
@pytest.mark.parametrize("tier", [1, 2])
def test_a_pickle_runs_in_no_slot(
    tmp_path: Path, members: dict[str, bytes], marker: Path, slot: str, tier: int
) -> None:
    planted = members | {GRAPH: b"", slot: pickle.dumps(Payload(marker))}
    path = write_bundle(tmp_path / "model.mm", planted).path
    if slot == GRAPH and tier == 2:
        load(path)  # tier 2 does not look at the graph
        return
    with pytest.raises(DataError):
        load(path, tier=tier)


def test_a_pickle_runs_only_when_the_caller_says_so(
    written: Callable[..., Path], tmp_path: Path, marker: Path
) -> None:
    path = written(estimator_pickle=pickle.dumps(Payload(marker)))
    load(path)
    with pytest.raises(ComponentError, match=r"tier=3 and trusted=False: tier 3 runs code"):
        load(path, tier=3)
    with pytest.raises(ComponentError, match=r"tier=2 and trusted=True"):
        load(path, tier=2, trusted=True)
    other = tmp_path / "this-one-did"
    path = written(estimator_pickle=pickle.dumps(Payload(other)))
    with pytest.raises(DataError, match="cannot answer its golden rows"):
        load(path, trusted=True)
    assert other.exists(), "so the payload is one that works"


def test_no_tier_is_another_ones_excuse(
    written: Callable[..., Path], members: dict[str, bytes], marker: Path
) -> None:
    """A broken part is an error, even where the pickle in the same file would load."""
    path = written(estimator_pickle=pickle.dumps(Payload(marker)), preprocess_skops=b"PK broken")
    with pytest.raises(DataError, match=r"preprocess\.skops"):
        load(path)
    with pytest.raises(DataError, match=r"has no serve\.onnx.*none was made"):
        load(path, tier=1)
    with pytest.raises(DataError, match="has no tier 3"):
        load(written(), trusted=True)


# --- names ---------------------------------------------------------------------------------------


def tree(root: Any, *objects: Any) -> bytes:
    return write_json({"root": root, "objects": list(objects)})


@pytest.mark.parametrize(
    "told",
    [
        {"class": "subprocess:Popen"},
        {"function": "os:system"},
        {"function": "builtins:eval"},
        {"class": "builtins:eval"},
        {"function": "torch:load"},
        {"function": "manumatic.nets.linear:torch"},
        {"function": "manumatic.convert.registry:converts"},
        {"function": "manumatic.files:write_whole"},
        {"function": "torch.hub:load"},
        {"class": "manumatic.deliver.runtime:Runtime"},
        {"class": "manumatic.gears.prepare:pd.io.common.os"},
        {"class": "manumatic.gears.prepare:pd"},
        {"class": "manumatic.history:NamedTuple"},
        {"class": "torch.nn.modules.linear:torch"},
        {"partial": [{"function": "os:system"}, {"tuple": ["touch x"]}, {"dict": []}]},
        {"record": ["subprocess:Popen", "touch x"]},
        {"record": ["torch.nn.modules.linear:Linear", 1, 2]},
        {"unheard of": 1},
        {"torch": "load"},
        {"torch": "nn"},
        {"two": 1, "keys": 2},
        {"ref": 99},
        {"dtype": "no such thing"},
    ],
)
def test_names_outside_of_the_lists_are_refused(
    written: Callable[..., Path], marker: Path, told: Any
) -> None:
    """Before there is anything that could be asked for its golden rows."""
    with pytest.raises(DataError) as caught:
        load(written(config_json=tree(told)))
    assert "golden" not in str(caught.value)


def test_an_object_of_a_foreign_class_is_not_made(written: Callable[..., Path]) -> None:
    hostile = {"object": "subprocess:Popen", "state": {"args": "touch x"}}
    with pytest.raises(DataError, match="needs Popen, which was defined in subprocess"):
        load(written(config_json=tree({"ref": 0}, hostile)))


def test_a_module_is_not_imported_because_a_file_names_it(
    written: Callable[..., Path], tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted.py").write_text(f"open({str(marker)!r}, 'w')\nclass Net: ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    for hostile in (
        tree({"ref": 0}, {"object": "planted:Net", "state": {}}),
        tree({"class": "planted:Net"}),
        tree({"function": "planted:Net"}),
    ):
        with pytest.raises(DataError, match=r"load\(path, classes=\[Net\]\)"):
            load(written(config_json=hostile))
    pipe = make_pipeline(FunctionTransformer(), Ridge()).fit(X, y)
    pipe.steps[0][1].func = tree
    content = renamed(skops.io.dumps([pipe]), tree.__module__, "planted")
    with pytest.raises(DataError, match="needs tree, which was defined in planted"):
        load(written(preprocess_skops=content))


def renamed(content: bytes, old: str, new: str) -> bytes:
    """The same members, with another name in the text among them."""
    raw = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(raw, "w") as out:
        for name in given.namelist():
            inside = given.read(name)
            text = name == "schema.json"
            out.writestr(name, inside.replace(old.encode(), new.encode()) if text else inside)
    return raw.getvalue()


@pytest.mark.parametrize("function", [os.system, eval, pickle.loads, os.popen])
def test_skops_may_hold_no_function_but_those_of_the_list(
    written: Callable[..., Path], function: Any
) -> None:
    pipe = make_pipeline(FunctionTransformer(), Ridge()).fit(X, y)
    pipe.steps[0][1].func = function
    with pytest.raises(DataError, match="nothing is imported because a file names it"):
        load(written(preprocess_skops=skops.io.dumps([pipe])))


def test_a_list_of_what_is_trusted_in_the_file_means_nothing(
    written: Callable[..., Path], members: dict[str, bytes]
) -> None:
    pipe = make_pipeline(FunctionTransformer(), Ridge()).fit(X, y)
    pipe.steps[0][1].func = os.system
    about = {"trusted": ["posix.system"], "needs": ["posix:system"], "tiers": [1, 2, 3]}
    path = written()
    write_bundle(path, members | {"preprocess.skops": skops.io.dumps([pipe])}, about)
    with pytest.raises(DataError, match="needs system"):
        load(path)


# --- shapes --------------------------------------------------------------------------------------


def test_something_compressed_inside_is_refused(written: Callable[..., Path]) -> None:
    """A megabyte of zeros in a kilobyte; at a larger scale, a bomb."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("schema.json", bytes(2**20))
    with pytest.raises(DataError, match="holds something compressed"):
        load(written(preprocess_skops=bomb.getvalue()))


@pytest.mark.parametrize(
    "config",
    [
        b"[" * 200_000,
        b'{"root": ' + b'{"tuple": [' * 50_000 + b"]}" * 50_000 + b', "objects": []}',
        tree({"ref": 0}, {"cells": [1], "dtype": "object", "shape": [10**12]}),
        tree({"ref": 0}, {"cells": [1], "dtype": "V99999999999", "shape": [1]}),
        tree({"ref": 0}, {"tensor": "not there"}),
        tree({"ref": 0}, {"part": 7}),
        tree({"number": ["V10", 1]}),
        tree(5),
        tree("an estimator"),
        b"[]",
        b"null",
    ],
)
def test_trees_of_wrong_forms_are_refused(written: Callable[..., Path], config: bytes) -> None:
    with pytest.raises(DataError):
        load(written(config_json=config))


@pytest.mark.parametrize("length", [10**9, 2**62, 2**64 - 1])
def test_a_header_larger_than_its_file_takes_no_memory(
    written: Callable[..., Path], length: int
) -> None:
    with pytest.raises(DataError, match="weights cannot be read"):
        load(written(weights_safetensors=struct.pack("<Q", length) + b"{}"))


def test_answers_that_are_not_those_of_the_file_are_refused(
    written: Callable[..., Path], members: dict[str, bytes]
) -> None:
    other = pack(make_pipeline(StandardScaler(), Ridge(alpha=2.0)).fit(X, y)).parts
    assert other is not None
    with pytest.raises(DataError, match=r"prediction of golden row \d+ is off by"):
        load(written(preprocess_skops=other))


# --- zips ----------------------------------------------------------------------------------------


def zipped(entries: list[tuple[str | zipfile.ZipInfo, bytes]], **options: Any) -> bytes:
    raw = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(raw, "w", **options) as file:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in entries:
            file.writestr(name, content)
    return raw.getvalue()


def link_to(target: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("config.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped([("../../x", b"")]), "no place"),
        (zipped([("/etc/passwd", b"")]), "no place"),
        (zipped([("a/../manifest.json", b"")]), "no place"),
        (zipped([("MANIFEST.JSON", b"")]), "no place"),
        (zipped([("manifest.json", b"{}"), ("manifest.json", b"{}")]), "twice"),
        (zipped([("manifest.json", b"{}"), (link_to("/etc/passwd"), b"/etc/passwd")]), "damaged"),
        (zipped([("manifest.json", bytes(2**20))], compression=zipfile.ZIP_DEFLATED), "damaged"),
        (zipped([("manifest.json", b"{}")]), "damaged"),  # not as mm.save writes it
        (zipped([]), "does not begin"),
        (b"", "does not begin"),
        (b"PK\x03\x04" + bytes(18), "damaged"),
    ],
)
def test_zips_of_others_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse_bundle(content)


def test_sizes_that_a_zip_claims_take_no_memory(members: dict[str, bytes], tmp_path: Path) -> None:
    """The directory says 4 GB for each member; nothing of that size is ever asked for."""
    content = bytearray(write_bundle(tmp_path / "model.mm", members).path.read_bytes())
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 20 : place + 28] = struct.pack("<2L", 4095 * 2**20 - 1, 4095 * 2**20 - 1)
        place = content.find(b"PK\x01\x02", place + 1)
    with pytest.raises(DataError):
        parse_bundle(bytes(content))


# --- files ---------------------------------------------------------------------------------------


def test_links_and_pipes_in_a_folder_are_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    folder = write_bundle(f"{tmp_path}/model/", members).path
    outside = tmp_path / "secret"
    outside.write_bytes(members["config.json"])  # right content, wrong place
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(outside)
    with pytest.raises(DataError, match=r"config\.json is a link; a bundle has none"):
        read_bundle(folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(DataError, match=r"config\.json is no plain file"):
        read_bundle(folder)
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    with pytest.raises((DataError, IsADirectoryError)):
        read_bundle(folder)
    with pytest.raises(DataError, match="is no plain file"):
        read_bundle("/dev/zero")


def test_large_files_are_refused_unread(tmp_path: Path, members: dict[str, bytes]) -> None:
    """Files of nothing but holes: 3 GB and 5 GB that take no room, and must take no memory."""
    folder = write_bundle(f"{tmp_path}/model/", members).path
    os.truncate(folder / "preprocess.skops", 3 * 2**30)
    with pytest.raises(DataError, match=r"preprocess\.skops has 3221225472 bytes, more than"):
        read_bundle(folder)
    (tmp_path / "model.mm").touch()
    os.truncate(tmp_path / "model.mm", 5 * 2**30)
    with pytest.raises(DataError, match=r"model\.mm has 5368709120 bytes, more than"):
        read_bundle(tmp_path / "model.mm")


def test_a_graph_with_numbers_elsewhere_reads_no_file(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe in place of the file: whoever opened it would wait for ever."""
    from onnx import TensorProto, helper

    os.mkfifo(tmp_path / "numbers.bin")
    monkeypatch.chdir(tmp_path)
    tensor = TensorProto(name="w", data_type=TensorProto.DOUBLE, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="numbers.bin")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 2])
        for name in ("X", "prediction")
    ]
    node = helper.make_node("Add", ["X", "w"], ["prediction"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], initializer=[tensor])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    with pytest.raises(DataError, match="numbers in another file"):
        Runtime(written(serve_onnx=content.SerializeToString()))


def test_what_is_no_estimator_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="save takes a fitted estimator; got 5"):
        mm.save(5, tmp_path / "model.mm")
