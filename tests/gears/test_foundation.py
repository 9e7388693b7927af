"""Foundation models: fit keeps rows, the package's own estimator says the same."""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import manumatic as mm
from manumatic.errors import ComponentError, ConvertError, DataError, EjectError, MissingExtra
from manumatic.parts import foundation

ROWS = 48


@pytest.fixture
def nearest(monkeypatch: pytest.MonkeyPatch) -> str:
    """Nearest neighbours learn in context, too: the road of a package without its weights."""
    known = foundation.Foundation("nearest_rows", "Nearest", "Fix & Hodges 1951", lambda _: "", {})
    monkeypatch.setitem(foundation.FOUNDATIONS, "nearest", known)
    return "nearest"


def numbers() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
    return X, np.array(["low", "mid", "top"])[np.digitize(X[:, 0], [-0.4, 0.4])]


def test_it_says_what_the_estimator_of_the_package_says(nearest: str) -> None:
    X, y = numbers()
    net = mm.Classifier(mm.Model(nearest, n_neighbors=5), random_state=0).fit(X[:30], y[:30])
    own = KNeighborsClassifier(5).fit(X[:30], y[:30])
    np.testing.assert_allclose(net.predict_proba(X[30:]), own.predict_proba(X[30:]), rtol=1e-6)
    np.testing.assert_array_equal(net.predict(X[30:]), own.predict(X[30:]))
    assert net.score(X[30:], y[30:]) == own.score(X[30:], y[30:])
    values = 1e4 + X[:, 0] * X[:, 1]
    net = mm.Regressor(nearest).fit(X[:30], values[:30])
    own = KNeighborsRegressor(3).fit(X[:30], values[:30])
    np.testing.assert_allclose(net.predict(X[30:]), own.predict(X[30:]), rtol=1e-6)


def test_nothing_is_trained_and_the_logbook_says_so(
    nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = numbers()
    before = torch.get_rng_state()
    net = mm.Classifier(nearest, random_state=0).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    assert (net.n_iter_, len(net.history_), len(net.findings_)) == (0, 0, 0)
    assert net.classes_.tolist() == ["low", "mid", "top"]
    assert net.logbook_[0].did == f"{ROWS} rows kept as context, none held out"
    assert net.logbook_[-1].did == "nothing is trained"
    assert "Fix & Hodges" in net.logbook_[-1].why
    assert capsys.readouterr().out == ""  # stdout is for results
    assert "rows kept as context" in net._repr_html_()


def test_the_tools_of_scikit_learn_take_it(nearest: str) -> None:
    X, y = numbers()
    net = mm.Classifier(mm.Model(nearest, n_neighbors=3), random_state=0)
    own, grid = KNeighborsClassifier(3), [1, 9]
    assert clone(net).get_params()["model__n_neighbors"] == 3
    expected = cross_validate(own, X, y, cv=3)["test_score"]
    for tool in (cross_validate, mm.model_selection.cross_validate):
        np.testing.assert_array_equal(tool(net, X, y, cv=3)["test_score"], expected)
    expected = GridSearchCV(own, {"n_neighbors": grid}, cv=3).fit(X, y)
    for search in (GridSearchCV, mm.model_selection.GridSearchCV):
        found = search(net, {"model__n_neighbors": grid}, cv=3).fit(X, y)
        assert found.best_params_ == {"model__n_neighbors": expected.best_params_["n_neighbors"]}
        scores = (one.cv_results_["mean_test_score"] for one in (found, expected))
        np.testing.assert_array_equal(*scores)
    piped = make_pipeline(StandardScaler(), net).fit(X, y)
    other = make_pipeline(StandardScaler(), own).fit(X, y)
    np.testing.assert_array_equal(piped.predict(X), other.predict(X))


def test_columns_of_any_kind(nearest: str) -> None:
    X, y = numbers()
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"size": X[:, 0], "city": rng.choice(["Ulm", "Bonn"], ROWS)})
    net = mm.Classifier(nearest).fit(frame, y)
    codes = frame.assign(city=(frame.city == "Ulm").astype(float)).to_numpy(np.float32)
    own = KNeighborsClassifier(3).fit(codes, y)
    np.testing.assert_allclose(net.predict_proba(frame), own.predict_proba(codes), rtol=1e-6)
    assert net.feature_names_in_.tolist() == ["size", "city"]


def test_a_weight_of_two_is_a_row_given_twice(nearest: str) -> None:
    X, y = numbers()
    weight = np.random.default_rng(2).integers(0, 3, ROWS)
    net = mm.Classifier(nearest).fit(X, y, weight)
    order = np.random.default_rng(3).permutation(np.repeat(np.arange(ROWS), weight))
    twice = mm.Classifier(nearest).fit(X[order], y[order])
    np.testing.assert_array_equal(net.predict_proba(X), twice.predict_proba(X))
    np.testing.assert_array_equal(net.model_.rows, twice.model_.rows)  # in one order
    with pytest.raises(ComponentError, match=r"whole numbers; got a weight of 1\.5 beside 0\.5"):
        net.fit(X, y, np.where(y == "low", 0.5, 1.5))
    with pytest.raises(DataError, match="no row of the class 'low'"):
        net.fit(X, y, (y != "low").astype(int))


def test_a_bundle_holds_the_rows_and_nothing_of_the_package(nearest: str, tmp_path: Path) -> None:
    X, y = numbers()
    net = mm.Classifier(nearest, random_state=0).fit(X, y)
    saved = mm.save(net, tmp_path / "model.mm", X)
    assert saved.tiers == [2]
    again = mm.load(tmp_path / "model.mm")
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    with pytest.raises(ConvertError, match="goes by the rows that it keeps"):
        mm.to_torch(net)


@pytest.mark.parametrize(
    ("do", "error", "says"),
    [
        (lambda net, X, y: net.manual(X, y), ComponentError, "learns in context: nothing is"),
        (lambda net, X, y: net.partial_fit(X, y), ComponentError, "learns in context"),
        (lambda net, X, y: net.eject(None, X, y), EjectError, "learns in context"),
        (
            lambda net, X, y: setattr(mm.Classifier("linear").manual(X, y), "model", "nearest"),
            ComponentError,
            "learns in context",
        ),
        (lambda net, X, y: mm.Autoencoder("nearest").fit(X), ComponentError, "in context"),
        (
            lambda net, X, y: net.set_params(loop=mm.Loop(3)).fit(X, y),
            ComponentError,
            r"not trained, so loop=Loop\(epochs=3\) has no effect",
        ),
        (
            lambda net, X, y: net.set_params(data=mm.Data(validation=(X, y))).fit(X, y),
            ComponentError,
            "rows to validate on have no effect",
        ),
        (
            lambda net, X, y: net.fit(torch.utils.data.TensorDataset(torch.zeros(4, 2))),
            DataError,
            "not as a TensorDataset",
        ),
        (lambda net, X, y: net.fit(np.zeros((4, 8, 8)), y[:4]), DataError, "X is read as image"),
        (
            lambda net, X, y: mm.Regressor("nearest").fit(X, X[:, :2]),
            DataError,
            r"one target; y has the shape \(48, 2\)",
        ),
        (
            lambda net, X, y: net.set_params(model=mm.Model("nearest", width=3)).fit(X, y),
            ComponentError,
            "unexpected keyword argument 'width'",
        ),
    ],
)
def test_what_it_cannot_do_is_one_sentence(
    nearest: str, do: Any, error: type[Exception], says: str
) -> None:
    X, y = numbers()
    with pytest.raises(error, match=says) as caught:
        do(mm.Classifier(nearest, random_state=0), X, y)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_the_package_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = numbers()
    monkeypatch.setitem(sys.modules, "tabicl", None)
    with pytest.raises(MissingExtra, match=r'^this needs tabicl: pip install "manumatic\[tabicl\]'):
        mm.Classifier("tabicl").fit(X, y)
    result = mm.compare(X, y, models=["TabICL"], folds=2)
    row = result.frame.set_index("name").loc["tabicl"]
    assert row.error == 'MissingExtra: this needs tabicl: pip install "manumatic[tabicl]"'
    assert result.frame["name"].tolist() == ["Dummy", "tabicl"]


def test_a_contest_has_foundation_models_by_name_only(nearest: str) -> None:
    X = np.random.default_rng(0).normal(size=(200, 2))
    y = np.sign(X[:, 0] * X[:, 1])
    result = mm.compare(X, y, models=["nearest", "LogisticRegression", "KNeighbors"], folds=5)
    scores = {row.name: row.mean for row in result.rows}
    assert scores["nearest"] == pytest.approx(scores["KNeighbors"], abs=0.05)
    result = mm.compare(X, y, models=["nearest", "LogisticRegression"], folds=5)
    assert (result.verdict.model, result.verdict.rule) == ("nearest", "foundation-wins")
    with pytest.raises(ComponentError, match="Did you mean 'nearest'"):
        mm.compare(X, y, models=["nearst"])


# --- the packages themselves, with a small network of random weights in their own format ----------


@pytest.fixture(scope="module")
def tabicl(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Checkpoints of tabicl, by the kind of target."""
    pytest.importorskip("tabicl")
    from tabicl._model.tabicl import TabICL

    paths = {}
    for kind, classes in (("Classifier", 10), ("Regressor", 0)):
        sizes = dict.fromkeys(("col_num_blocks", "row_num_blocks", "icl_num_blocks"), 1)
        sizes |= dict.fromkeys(("col_nhead", "row_nhead", "icl_nhead", "row_num_cls"), 2)
        config = {**sizes, "embed_dim": 8, "col_num_inds": 4, "num_quantiles": 9}
        config["max_classes"] = classes
        torch.manual_seed(1)
        network = TabICL(**config)
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.5)
        paths[kind] = str(tmp_path_factory.mktemp("weights") / f"{kind}.ckpt")
        torch.save({"config": config, "state_dict": network.state_dict()}, paths[kind])
    return paths


def test_tabicl_is_tabicl(tabicl: dict[str, str]) -> None:
    from tabicl import TabICLClassifier, TabICLRegressor

    X, y = numbers()
    X[3, 1] = np.nan
    same = {"n_estimators": 2, "model_path": tabicl["Classifier"]}
    net = mm.Classifier(mm.Model("tabicl", **same), device="cpu", random_state=7)
    own = TabICLClassifier(**same, device="cpu", random_state=7).fit(X[:30], y[:30])
    found = net.fit(X[:30], y[:30]).predict_proba(X[30:])
    np.testing.assert_array_equal(found, own.predict_proba(X[30:]))
    assert found.std(axis=0).max() > 1e-4  # and it tells rows apart
    other = clone(net).set_params(random_state=8).fit(X[:30], y[:30])
    assert not np.array_equal(found, other.predict_proba(X[30:]))
    same["model_path"] = tabicl["Regressor"]
    values = 1e3 * X[:, 0]
    net = mm.Regressor(mm.Model("tabicl", **same), device="cpu", random_state=7)
    own = TabICLRegressor(**same, device="cpu", random_state=7).fit(X[:30], values[:30])
    np.testing.assert_array_equal(net.fit(X[:30], values[:30]).predict(X), own.predict(X))


def test_pickles_of_tabicl_hold_no_weights(tabicl: dict[str, str], tmp_path: Path) -> None:
    X, y = numbers()
    model = mm.Model("tabicl", n_estimators=1, model_path=tabicl["Classifier"])
    net = mm.Classifier(model, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(net))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    mm.save(net, tmp_path / "model.mm", X)
    loaded = mm.load(tmp_path / "model.mm")
    np.testing.assert_array_equal(loaded.predict_proba(X), net.predict_proba(X))
    Path(tabicl["Classifier"]).rename(tmp_path / "elsewhere.ckpt")
    try:
        with pytest.raises(ComponentError, match="tabicl has no weights: there is no file"):
            mm.load(tmp_path / "model.mm")
    finally:
        (tmp_path / "elsewhere.ckpt").rename(tabicl["Classifier"])


def test_missing_weights_are_one_sentence_and_no_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tabicl")
    X, y = numbers()
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ComponentError, match=r"`hf download jingang/TabICL tabicl-cl") as caught:
        mm.Classifier("tabicl").fit(X, y)
    assert "\n" not in str(caught.value)
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_text("no checkpoint")
    with pytest.raises(ComponentError, match=r"cannot read its weights: .*damaged\.ckpt"):
        mm.Classifier(mm.Model("tabicl", model_path=str(damaged))).fit(X, y)


def test_tabpfn_is_tabpfn(tmp_path: Path) -> None:
    tabpfn = pytest.importorskip("tabpfn")
    from dataclasses import asdict

    from tabpfn.architectures import ARCHITECTURES

    kind = ARCHITECTURES["tabpfn_v2"]
    sizes = {"max_num_classes": 10, "num_buckets": 20, "emsize": 16, "nlayers": 1, "nhead": 2}
    config, _ = kind.parse_config(sizes)
    torch.manual_seed(0)
    network = kind.get_architecture(config)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    path = tmp_path / "tabpfn-v2-classifier.ckpt"
    content = {"config": asdict(config), "state_dict": network.state_dict()}
    torch.save(content | {"architecture_name": "tabpfn_v2"}, path)
    X, y = numbers()
    X[:, 1] = np.arange(ROWS) % 3
    kinds = np.array(["a", "b", "c"])[np.arange(ROWS) % 3]
    frame = pd.DataFrame({"size": X[:, 0], "kind": kinds, "age": X[:, 2]})
    same = {"n_estimators": 2, "model_path": str(path)}
    net = mm.Classifier(mm.Model("tabpfn", **same), device="cpu", random_state=7).fit(frame, y)
    same |= {"categorical_features_indices": [1], "device": "cpu", "random_state": 7}
    own = tabpfn.TabPFNClassifier(**same).fit(X, y)
    assert net.model_.learner.categorical_features_indices == [1]
    np.testing.assert_array_equal(net.predict_proba(frame), own.predict_proba(X))
    with pytest.raises(ComponentError, match=r"12.* exceeds the maximum number of classes"):
        net.fit(frame, np.arange(ROWS) % 12)
    with pytest.raises(ComponentError, match=r"tabpfn has no weights: there is no file '.*gone\."):
        mm.Classifier(mm.Model("tabpfn", model_path="./gone.ckpt")).fit(X, y)
