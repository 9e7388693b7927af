"""Estimators that go on where a converted scikit-learn model stopped."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import manumatic as mm


def flats(n=90, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"size": rng.normal(80, 20, n), "town": rng.choice(["Bonn", "Ulm", "Kiel"], n)}
    )
    frame.loc[::9, "size"] = np.nan
    rent = 9.0 * frame["size"].fillna(80) + 150 * (frame["town"] == "Bonn")
    return frame, rent.to_numpy()


def pipeline(model):
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["size"]),
        (OneHotEncoder(handle_unknown="ignore"), ["town"]),
    )
    return make_pipeline(columns, model)


def test_a_regressor_starts_from_the_pipeline_and_learns_the_new_rents():
    frame, rent = flats()
    fitted = pipeline(Ridge()).fit(frame, rent)
    new, dearer = flats(seed=1)
    dearer = dearer + 400.0
    start = mm.Regressor(mm.to_torch(fitted), loop=mm.Loop(epochs=1), random_state=0)
    training = start.manual(new, dearer)
    first = training.model(training.data.tensors[0][:5]).detach().numpy()[:, 0]
    order = training.data.tensors[1][:5].numpy().ravel()  # the rows may stand in another order
    at = [int(np.argmin(np.abs(dearer - value))) for value in order]
    np.testing.assert_allclose(first, fitted.predict(new)[at], rtol=1e-5)

    net = mm.Regressor(mm.to_torch(fitted), loop=mm.Loop(epochs=400), random_state=0)
    net.fit(new, dearer)
    before = np.abs(fitted.predict(new) - dearer).mean()
    assert before > 300
    assert np.abs(net.predict(new) - dearer).mean() < before / 10
    assert "columns as the converted model reads them" in str(net.logbook_)
    assert "Adafactor" in str(net.logbook_)
    assert not {finding.code for finding in net.findings_} & {"MM102", "MM201"}


def test_a_classifier_keeps_the_labels_and_frozen_parts_stay():
    frame, rent = flats()
    dear = np.where(rent > 750, "dear", "fair")
    module = mm.to_torch(pipeline(LogisticRegression()).fit(frame, dear), freeze="*weight")
    net = mm.Classifier(module, loop=mm.Loop(epochs=3), random_state=0)
    net.fit(frame, np.where(rent > 650, "dear", "fair"))
    assert net.classes_.tolist() == ["dear", "fair"]
    before, after = dict(module.named_parameters()), dict(net.model_.named_parameters())
    moved = {name for name in before if not torch.equal(before[name].float(), after[name])}
    assert moved == {"net.steps.logisticregression.body.bias"}
    assert net.model_.like.dtype == torch.float32
    assert module.like.dtype == torch.float64  # the user's own is never changed


def test_a_pattern_that_matches_nothing_says_what_there_is():
    fitted = Ridge().fit([[0.0], [1.0]], [1.0, 2.0])
    with pytest.raises(mm.ComponentError, match=r"freeze='\*slope' matches no parameter.*weight"):
        mm.to_torch(fitted, freeze="*slope")


def test_float64_weights_of_any_module_become_float32_and_the_logbook_says_so():
    net = mm.Regressor(torch.nn.Linear(1, 1).double(), random_state=0, loop=mm.Loop(epochs=2))
    net.fit([[0.0], [1.0], [2.0]], [1.0, 2.0, 3.0])
    assert "weights as float32" in str(net.logbook_)
