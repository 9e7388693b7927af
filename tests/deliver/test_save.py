"""save and load with real graphs: the same predictions, and a file that says what it cannot do."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from torch import nn

import manumatic as mm
from manumatic.convert.pieces import Regressor as RegressorPiece
from manumatic.deliver.bundle import read_bundle, write_bundle, write_json
from manumatic.deliver.runtime import Runtime
from manumatic.deliver.schema import Schema
from manumatic.errors import ComponentError, ConvertError, DataError

rng = np.random.default_rng(0)
FLATS = pd.DataFrame(
    {
        "size": np.where(np.arange(60) % 7, rng.uniform(30, 150, 60), np.nan),
        "rooms": rng.integers(1, 6, 60),
        "city": [["Ulm", "Bonn", "Kiel", None][i % 4] for i in range(60)],
        "built": pd.date_range("1990-01-01", periods=60, freq="97D"),
    }
)
DEAR = np.where(FLATS["size"].fillna(80) + 10 * FLATS["rooms"] > 110, "dear", "cheap")
NEW = pd.DataFrame(
    {
        "size": [40.0, np.nan, 200.0],
        "rooms": [1, 3, 9],
        "city": ["Ulm", "Mars", None],
        "built": pd.to_datetime(["1995-05-05", "2024-02-29", "1960-01-01"]),
    }
)
QUICK = mm.Loop(epochs=3)


def pipeline(**encoder: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = OneHotEncoder(**encoder)
    columns = make_column_transformer((numbers, ["size", "rooms"]), (words, ["city"]))
    return make_pipeline(columns, LogisticRegression())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def net(folder: Path) -> tuple[Any, Any]:
    estimator = mm.Classifier("mlp", loop=QUICK, random_state=0).fit(FLATS, DEAR)
    return estimator, mm.save(estimator, folder / "net.mm", FLATS)


@pytest.fixture(scope="module")
def pipe(folder: Path) -> tuple[Any, Any]:
    estimator = pipeline(handle_unknown="ignore").fit(FLATS[["size", "rooms", "city"]], DEAR)
    return estimator, mm.save(estimator, folder / "pipe.mm", FLATS[["size", "rooms", "city"]])


# --- the same predictions ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("which", ["net", "pipe"])
def test_words_dates_and_missing_cells_are_predicted_the_same(
    which: str, request: pytest.FixtureRequest
) -> None:
    estimator, saved = request.getfixturevalue(which)
    assert saved.tiers == [1, 2]
    assert not saved.notes
    loaded, runtime = mm.load(saved.path), mm.load(saved.path, tier=1)
    assert isinstance(runtime, Runtime)
    for rows in (FLATS[list(runtime.schema.names)], NEW[list(runtime.schema.names)]):
        wanted = estimator.predict_proba(rows)
        np.testing.assert_array_equal(loaded.predict_proba(rows), wanted)
        np.testing.assert_allclose(runtime.predict_proba(rows), wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(runtime.predict(rows), estimator.predict(rows))
        by_dict = json.loads(rows.to_json(orient="records", date_format="iso"))
        np.testing.assert_array_equal(runtime.predict(by_dict), estimator.predict(rows))
    assert runtime.version == saved.digest[:12]
    assert runtime.replayed is not None
    assert runtime.replayed.gap < 1e-5


def test_the_runtime_needs_neither_torch_nor_scikit_learn(pipe: tuple[Any, Any]) -> None:
    estimator, saved = pipe
    code = f"""
import sys
from manumatic.deliver.runtime import Runtime
from manumatic.deliver.schema import Schema
runtime = Runtime({str(saved.path)!r})
rows = [{{"size": 40, "rooms": 1, "city": "Ulm"}}, {{"size": None, "rooms": 9, "city": "Mars"}}]
print(*runtime.predict(rows), *runtime.predict_proba(rows)[:, 1].tolist())
print(*[name for name in ("torch", "sklearn", "pandas", "scipy", "onnx") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, loaded = done.stdout.split("\n")[:2]
    rows = pd.DataFrame({"size": [40, np.nan], "rooms": [1, 9], "city": ["Ulm", "Mars"]})
    assert told.split()[:2] == estimator.predict(rows).tolist()
    found = np.array(told.split()[2:], float)
    np.testing.assert_allclose(found, estimator.predict_proba(rows)[:, 1], rtol=1e-9)
    assert loaded == ""


def test_a_regressor_without_sample_rows(tmp_path: Path) -> None:
    X = rng.normal(size=(40, 3))
    ridge = Ridge().fit(X, np.stack([X[:, 0], -X[:, 1]], 1))
    saved = mm.save(ridge, tmp_path / "ridge.mm")
    assert saved.tiers == [1, 2]
    np.testing.assert_array_equal(mm.load(saved.path).predict(X), ridge.predict(X))
    runtime = Runtime(saved.path)
    np.testing.assert_allclose(runtime.predict(X), ridge.predict(X), rtol=1e-12)
    np.testing.assert_allclose(runtime.predict(X.tolist()), ridge.predict(X), rtol=1e-12)
    assert runtime.schema.form == "array"
    for method in (runtime.predict_proba, runtime.transform):
        with pytest.raises(DataError, match=r"this model has no .*; it has predict"):
            method(X)


class Net(nn.Module):
    """Of a notebook."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(in_features, 8), nn.Tanh(), nn.Linear(8, out_features))

    def forward(self, X: Any) -> Any:
        """Rows (n, features) → (n, outputs)."""
        return self.body(X)


@pytest.mark.slow
def test_a_net_of_a_notebook_needs_its_class_and_the_runtime_does_not(tmp_path: Path) -> None:
    regressor = mm.Regressor(Net, loop=QUICK, random_state=0).fit(FLATS, FLATS["rooms"] * 1.5)
    saved = mm.save(regressor, f"{tmp_path}/net/", FLATS)
    assert saved.path.is_dir()
    assert str(saved).endswith("load(path, classes=[Net])")
    with pytest.raises(DataError, match=r"load\(path, classes=\[Net\]\)"):
        mm.load(saved.path)
    loaded = mm.load(saved.path, classes=[Net])
    np.testing.assert_array_equal(loaded.predict(NEW), regressor.predict(NEW))
    np.testing.assert_allclose(Runtime(saved.path).predict(NEW), regressor.predict(NEW), rtol=1e-5)


# --- what the file says --------------------------------------------------------------------------


def test_the_schema_says_what_the_estimator_takes(pipe: tuple[Any, Any]) -> None:
    schema = Runtime(pipe[1].path).schema
    size, rooms, city = schema.columns
    assert (size.kind, size.nullable, size.dtype) == ("number", True, "float64")
    assert size.low == FLATS["size"].min()
    assert (rooms.kind, rooms.low, rooms.high) == ("integer", 1, 5)
    assert (city.kind, city.unseen) == ("word", True)
    assert {"Bonn", "Kiel", "Ulm"} <= set(city.categories or ())
    assert size.profile is not None
    assert size.profile["null"] == FLATS["size"].isna().mean()
    label, probability = schema.outputs
    assert label.classes == ["cheap", "dear"]
    assert label.profile is not None
    assert sum(count for _, count in label.profile["counts"]) == 60
    assert probability.shape == [2]
    assert label.name, probability.name == ("label", "probability")


def test_golden_rows_try_what_is_missing_and_what_was_never_seen(pipe: tuple[Any, Any]) -> None:
    golden = read_bundle(pipe[1].path).json("golden.json")
    assert golden["kinds"][24:] == [
        "size missing",
        "rooms missing",
        "city missing",
        "city unseen",
    ]
    assert golden["rows"]["size"][24] is None
    assert len(golden["expected"]["label"]) == 28


def test_what_the_estimator_refuses_the_runtime_refuses(tmp_path: Path) -> None:
    strict = make_pipeline(
        make_column_transformer((OrdinalEncoder(), ["city"]), remainder="passthrough"), Ridge()
    )
    rows = FLATS[["city", "rooms"]].dropna()
    runtime = Runtime(mm.save(strict.fit(rows, rows["rooms"]), tmp_path / "m.mm", rows).path)
    city, rooms = runtime.schema.columns
    assert not any((city.unseen, city.nullable, rooms.nullable))
    with pytest.raises(DataError, match="row 0, 'city' is a word that the model has never seen"):
        runtime.predict([{"city": "Mars", "rooms": 1}])
    with pytest.raises(DataError, match="row 0, 'rooms' is missing"):
        runtime.predict([{"city": "Ulm", "rooms": None}])


# --- what cannot be ------------------------------------------------------------------------------


def halved(X: Any) -> Any:
    """A step that ONNX knows nothing of."""
    return X / 2


def test_rows_need_not_be_kept(tmp_path: Path) -> None:
    rows = FLATS[["size"]].fillna(60)
    model = make_pipeline(FunctionTransformer(halved), Ridge()).fit(rows, FLATS["rooms"])
    kept = mm.save(model, tmp_path / "kept.mm", rows)
    assert "of X" in read_bundle(kept.path).json("golden.json")["kinds"]
    left = mm.save(model, tmp_path / "left.mm", rows, keep_rows=False)
    golden = read_bundle(left.path).json("golden.json")
    assert "of X" not in golden["kinds"]
    assert not set(rows["size"]) & set(golden["rows"]["size"])
    (size,) = Schema.from_json(read_bundle(left.path).json("schema.json")).columns
    assert size.example is None
    assert size.profile is not None


def test_without_a_graph_the_bundle_says_so(tmp_path: Path) -> None:
    rows = FLATS[["rooms"]]
    model = make_pipeline(FunctionTransformer(halved), Ridge()).fit(rows, FLATS["rooms"])
    saved = mm.save(model, tmp_path / "model.mm", rows)
    assert saved.tiers == [2]
    assert "no tier 1, it cannot become ONNX: FunctionTransformer calls halved" in str(saved)
    assert read_bundle(saved.path).manifest["about"]["notes"] == saved.notes
    with pytest.raises(DataError, match=r"has no serve\.onnx.*FunctionTransformer calls halved"):
        Runtime(saved.path)
    loaded = mm.load(saved.path, classes=[halved])
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))


class Own(RegressorMixin, BaseEstimator):
    """Twice the first column; its converter says three times."""

    def fit(self, X: Any, y: Any) -> "Own":
        """There is nothing to learn."""
        self.n_features_in_ = np.shape(X)[1]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Numbers (n,)."""
        return 2.0 * np.asarray(X)[:, 0]


class Thrice(nn.Module):
    """Three times the first column."""

    def forward(self, x: Any) -> Any:
        """Rows (n, features) → (n, 1)."""
        return 3 * x[:, :1]


@mm.converts(Own)
def wrong(own: Own, build: Any) -> Any:
    """A converter with a mistake."""
    for column in build.columns:
        column.read_as_number("Own")
    return RegressorPiece(Thrice(), flat=True)


def test_a_graph_that_disagrees_is_not_written(tmp_path: Path) -> None:
    X = np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    (tmp_path / "model.mm").write_bytes(b"old")
    told = r"ONNX graph disagrees .*: prediction of row 2 \(of X\) is off by 0\.5, and 1e-05"
    with pytest.raises(ConvertError, match=told):
        mm.save(Own().fit(X, X[:, 0]), tmp_path / "model.mm", X)
    assert (tmp_path / "model.mm").read_bytes() == b"old"


def test_what_was_never_fitted_is_not_saved(tmp_path: Path) -> None:
    for unfitted in (Ridge(), mm.Classifier(), mm.Regressor("mlp"), pipeline()):
        with pytest.raises(NotFittedError):
            mm.save(unfitted, tmp_path / "model.mm")
    assert not list(tmp_path.iterdir())


def test_what_has_no_form_at_all_is_not_saved_but_as_a_pickle(tmp_path: Path) -> None:
    rows = FLATS[["rooms"]]
    model = make_pipeline(FunctionTransformer(lambda X: X), Ridge()).fit(rows, FLATS["rooms"])
    with pytest.raises(ComponentError, match=r"Pipeline cannot be saved: no tier 1, .*no tier 2"):
        mm.save(model, tmp_path / "model.mm", rows)
    named = make_pipeline(FunctionTransformer(halved), Ridge()).fit(rows, FLATS["rooms"])
    saved = mm.save(named, tmp_path / "model.mm", rows, pickle=True)
    assert saved.tiers == [2, 3]
    with pytest.raises(DataError, match=r"classes=\[halved\]"):
        mm.load(saved.path)  # the pickle is no way around it
    np.testing.assert_array_equal(
        mm.load(saved.path, trusted=True).predict(rows), named.predict(rows)
    )


def test_a_full_disk_leaves_the_old_model(tmp_path: Path) -> None:
    rows = FLATS[["rooms"]]
    small = make_pipeline(FunctionTransformer(halved), Ridge()).fit(rows, FLATS["rooms"])
    saved = mm.save(small, tmp_path / "model.mm", rows)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            mm.save(small, tmp_path / "model.mm", rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_bundle(saved.path).digest == saved.digest
    assert [one.name for one in tmp_path.iterdir()] == ["model.mm"]


def test_a_runtime_that_says_something_else_is_refused(
    tmp_path: Path, pipe: tuple[Any, Any]
) -> None:
    """As after an update that computes differently: the golden rows tell."""
    bundle = read_bundle(pipe[1].path)
    members = {name: bundle.read(name) for name in bundle.members if name != "manifest.json"}
    golden = bundle.json("golden.json")
    golden["expected"]["probability"][3][0] += 1e-4
    write_bundle(tmp_path / "model.mm", members | {"golden.json": write_json(golden)})
    for tier in (1, 2):
        with pytest.raises(DataError, match=r"probability of golden row 3 is off by 0\.0001"):
            mm.load(tmp_path / "model.mm", tier=tier)
