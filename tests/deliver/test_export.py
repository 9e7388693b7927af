"""Files of other worlds say what the estimator says, or they are not written."""

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import manumatic as mm
from manumatic.deliver.export import FORMATS
from manumatic.deliver.graph import onnx_graph


def flats(n=120, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(80, 20, n).round(1),
            "town": rng.choice(["Bonn", "Ulm", "Kiel"], n),
            "state": rng.choice(["new", "old"], n),
        }
    )
    frame.loc[::9, "size"] = np.nan
    frame.loc[::11, "town"] = np.nan
    rent = 9.0 * frame["size"].fillna(80) + 150 * (frame["town"] == "Bonn")
    return frame, rent.to_numpy()


def pipeline(model, encoder=None):
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["size"]),
        (encoder or OneHotEncoder(handle_unknown="ignore"), ["town", "state"]),
    )
    return make_pipeline(columns, model)


@pytest.fixture(scope="module")
def classifier():
    frame, rent = flats()
    return pipeline(LogisticRegression()).fit(frame, np.where(rent > 750, "dear", "fair"))


def agrees(classifier, path):
    found = mm.export(classifier, path, flats(seed=2)[0])
    assert found.largest < 1e-9
    assert {one.method for one in found.differences} >= {"predict", "predict_proba"}
    assert path.stat().st_size > 500


@pytest.mark.parametrize("ending", [ending for ending in FORMATS if ending != ".onnx"])
def test_every_format_agrees(classifier, tmp_path, ending):
    agrees(classifier, tmp_path / f"flats{ending}")


def test_one_graph_from_words_to_labels(classifier, tmp_path):
    """The graph itself, fed as a client would, too: no code of ours between."""
    agrees(classifier, tmp_path / "flats.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "flats.onnx")
    frame, _ = flats(seed=3)
    frame.loc[4, "town"] = "Jena"  # a town that nobody has seen
    given = {
        "size": frame[["size"]].to_numpy(),
        "town": frame[["town"]].astype(object).fillna("").to_numpy(),
        "state": frame[["state"]].astype(object).to_numpy(),
    }
    label, odds = session.run(["label", "probability"], given)
    assert label.tolist() == classifier.predict(frame).tolist()
    np.testing.assert_allclose(odds, classifier.predict_proba(frame), rtol=1e-12)
    one = session.run(["label"], {name: column[:1] for name, column in given.items()})
    assert one[0].tolist() == label[:1].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("words", [True, False])
def test_forests_and_boosting_as_one_graph(tmp_path, words):
    frame, rent = flats(300)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    models = [
        (RandomForestRegressor(20, random_state=0), rent),
        (HistGradientBoostingClassifier(max_iter=20), np.digitize(rent, [600, 800])),
    ]
    for model, target in models:
        fitted = (
            pipeline(model, codes).fit(frame, target)
            if words
            else model.fit(frame[["size"]].to_numpy(), target)
        )
        rows = flats(200, seed=5)[0]
        rows = rows if words else rows[["size"]].to_numpy()
        assert mm.export(fitted, tmp_path / "model.onnx", rows).largest < 1e-9


def test_a_file_that_disagrees_is_not_written(classifier, tmp_path, monkeypatch):
    def wrong(estimator, module):
        with torch.no_grad():
            module.net.steps["logisticregression"].body.bias += 0.1
        return b"", module

    monkeypatch.setitem(FORMATS, ".onnx", wrong)
    path = tmp_path / "flats.onnx"
    with pytest.raises(mm.ConvertError, match="differs from scikit-learn's in predict"):
        mm.export(classifier, path)
    assert not path.exists()


def test_an_unknown_ending_is_refused(tmp_path):
    ridge = Ridge().fit([[0.0], [1.0]], [1.0, 2.0])
    with pytest.raises(mm.ComponentError, match=r"'ridge\.pmml': the ending must be one of \.onnx"):
        mm.export(ridge, tmp_path / "ridge.pmml")


@pytest.mark.slow
def test_a_network_of_ours_with_its_preprocessing(tmp_path):
    frame, rent = flats()
    net = mm.Regressor("mlp", loop=mm.Loop(epochs=3), random_state=0).fit(frame, rent)
    found = mm.export(net, tmp_path / "net.onnx", flats(seed=4)[0])
    assert found.largest < 1e-5


def test_columns_with_the_names_of_inner_values_and_nothing_of_this_machine():
    frame, rent = flats()
    frame = frame.rename(columns={"size": "cat", "town": "label", "state": "sub"})
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["cat"]),
        (OneHotEncoder(handle_unknown="ignore"), ["label", "sub"]),
    )
    fitted = make_pipeline(columns, Ridge()).fit(frame, rent)
    graph = onnx_graph(fitted)
    session = onnxruntime.InferenceSession(graph)
    assert [given.name for given in session.get_inputs()] == ["cat", "label", "sub"]
    assert b"/" + b"manumatic" not in graph
    assert b".py" not in graph


def test_words_that_are_the_same_as_text_have_no_graph():
    fitted = OneHotEncoder().fit(np.array([["None"], [None], ["Ulm"]], dtype=object))
    with pytest.raises(mm.ConvertError, match="the column '0' has words that are the same"):
        onnx_graph(fitted)


@pytest.mark.slow
def test_trees_are_walked_once_for_label_and_probability():
    frame, rent = flats()
    forest = RandomForestClassifier(5, random_state=0)
    graph = onnx_graph(forest.fit(frame[["size"]].fillna(0).to_numpy(), rent > 750))
    nodes = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    assert nodes.count("TreeEnsemble") == 1
    assert "GatherND" not in nodes
