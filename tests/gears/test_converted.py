"""``to_torch`` of manumatic's own estimators and preprocessing says what they say."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

import manumatic as mm
from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.errors import ConvertError
from manumatic.gears.converted import Calendar
from manumatic.parts.cells import dates, numbers, smooth_clip, words
from manumatic.parts.columns import Table

N, TRAIN = 200, 140


def flats():
    """Every kind of column that the preprocessing knows but text, with holes and unseen values."""
    rng = np.random.default_rng(0)
    day = pd.Timestamp("1995-01-01") + pd.to_timedelta(rng.integers(0, 12000, N), "D")
    frame = pd.DataFrame(
        {
            "size": rng.normal(80, 25, N).round(1),
            "debt": rng.standard_cauchy(N),
            "town": rng.choice(["Bonn", "Kiel", "Ulm", "Trier"], N),
            "lift": rng.choice([True, False], N),
            "state": rng.choice(["new", "old"], N),
            "built": day + pd.to_timedelta(rng.integers(0, 86400, N), "s"),
            "seen": day.strftime("%d.%m.%Y"),
            "rooms": rng.integers(1, 6, N).astype(str),
            "wait": pd.to_timedelta(rng.integers(0, 9000, N), "s"),
            "zip": rng.integers(100, 150, N).astype(str),
            "floor": pd.Categorical(rng.choice([1, 2, 3], N)),
            "flats": pd.array(rng.integers(0, 50, N), dtype="Int64"),
        }
    )
    frame["zip"] += rng.choice(["a", "b"], N)
    y = frame["size"] * 3 + (frame["town"] == "Bonn") * 50 + rng.normal(0, 1, N)
    for name in frame.columns.drop("lift"):
        frame.loc[rng.random(N) < 0.08, name] = None
    rows = frame.iloc[TRAIN:].reset_index(drop=True)
    rows.loc[0, ["town", "zip", "state"]] = "unseen"
    rows.loc[1, "rooms"] = "many"
    rows.loc[2, "seen"] = "yesterday"
    return frame.iloc[:TRAIN], y.to_numpy()[:TRAIN], rows


def test_a_table_with_every_kind_of_column():
    train, y, rows = flats()
    model = make_pipeline(Table(), Ridge()).fit(train, y)
    assert {"numbers", "tailed", "durations", "pairs", "categories", "levels", "dates"} <= set(
        model[0].columns_.named_transformers_
    )
    module = to_torch(model, check=rows)
    assert parity(model, module, rows).largest < 1e-12
    expected = model.predict(rows)
    np.testing.assert_allclose(module.predict(rows[rows.columns[::-1]]), expected, rtol=1e-12)
    objects = rows.astype(object).where(rows.notna(), None)
    np.testing.assert_allclose(module.predict(objects), expected, rtol=1e-12)


def test_a_table_without_a_target():
    train, _, rows = flats()
    table = Table().fit(train)
    assert "frequent" in table.columns_.named_transformers_
    parity(table, to_torch(table), rows, 1e-12).require()


def test_a_table_of_classes_and_an_array():
    train, y, rows = flats()
    model = make_pipeline(Table(), LogisticRegression(max_iter=500)).fit(train, y > y.mean())
    parity(model, to_torch(model), rows).require()
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[::7, 1] = np.nan
    X[3, 2] = 1e4
    table = Table().fit(X)
    parity(table, to_torch(table), X * 2, 1e-12).require()


@pytest.mark.slow
def test_one_graph_with_any_number_of_rows():
    train, y, rows = flats()
    module = to_torch(make_pipeline(Table(), Ridge()).fit(train, y))
    x = module.encode(rows)
    with torch.no_grad():
        program = torch.export.export(
            module, (x[:4],), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
        )
    torch.testing.assert_close(program.module()(x), module(x), rtol=1e-12, atol=1e-12)


QUICK = {"loop": mm.Loop(epochs=2), "random_state": 0}


@pytest.mark.parametrize(
    ("net", "target"),
    [
        (mm.Regressor("mlp", **QUICK), lambda y: y),
        (mm.Regressor("linear", **QUICK), lambda y: np.column_stack([y, -y])),
        (mm.Regressor("mlp", loss="poisson", **QUICK), lambda y: np.abs(y).round()),
        (mm.Regressor("mlp", data=mm.Data(target=None), **QUICK), lambda y: y),
        (mm.Classifier(**QUICK), lambda y: np.where(y > 240, "dear", "cheap")),
        (mm.Classifier("linear", **QUICK), lambda y: np.digitize(y, [200, 280])),
        (mm.Classifier("mlp", loss="bce", **QUICK), lambda y: np.where(y > 240, "dear", "cheap")),
        (mm.Classifier("mlp", **QUICK), lambda y: np.column_stack([y > 200, y > 280]).astype(int)),
    ],
    ids=["number", "two", "rate", "unscaled", "binary", "three", "one output", "labels"],
)
def test_estimators(net, target):
    train, y, rows = flats()
    net.fit(train, target(y))
    module = to_torch(net, check=rows)
    assert parity(net, module, rows).largest < 1e-6
    weights = [w.dtype for w in module.net.body.network.parameters()]
    assert set(weights) == {torch.float32}  # as the estimator computes
    assert module.encode(rows).dtype == torch.float64
    if hasattr(module, "classes_") and module.net.link.kind != "exp_classes":
        odds = module(module.encode(rows)).softmax(1).detach().numpy()
        np.testing.assert_allclose(odds, net.predict_proba(rows), atol=1e-6)


def test_an_estimator_without_preprocessing_learns_on():
    X = np.random.default_rng(0).normal(size=(80, 3))
    net = mm.Regressor("linear", data=mm.Data(preprocess=None), **QUICK).fit(X, X[:, 0])
    module = to_torch(net)
    parity(net, module, X).require()
    before = net.predict(X)
    module(torch.as_tensor(X)).square().sum().backward()
    torch.optim.SGD(module.parameters(), lr=0.01).step()
    assert not np.allclose(module.predict(X), before)
    np.testing.assert_array_equal(net.predict(X), before)  # a copy was trained


def test_what_it_cannot_read_says_so():
    texts = [f"flat {i} with a view of the old harbour number {i % 7}" for i in range(60)]
    y = np.arange(60.0)
    net = mm.Regressor("linear", **QUICK).fit(texts, y)
    with pytest.raises(ConvertError, match="is text"):
        to_torch(net)
    images = mm.Regressor("cnn", **QUICK).fit(np.zeros((12, 8, 8)) + y[:12, None, None], y[:12])
    with pytest.raises(ConvertError, match="rows are images"):
        to_torch(images)
    frame = pd.DataFrame({"size": y, "text": texts})
    with pytest.raises(ConvertError, match="column 'text' is text"):
        to_torch(make_pipeline(Table(), Ridge()).fit(frame, y))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(-9214560000, 9214646399), min_size=1, max_size=20))
def test_calendar(moments):
    """All seconds that pandas counts, leap days and centuries among them."""
    moments = [*moments, -2203891200, 951782400, 951868799, 4107542400, 0, -1]
    frame = pd.DataFrame({"at": pd.to_datetime(pd.Series(moments), unit="s").astype("M8[s]")})
    expected = dates(frame, ["ISO8601"])
    found = Calendar()(torch.tensor(moments, dtype=torch.float64)[:, None]).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_calendar_of_a_missing_date():
    frame = pd.DataFrame({"at": pd.to_datetime(pd.Series([None, "2024-02-29 13:45"]))})
    step = FunctionTransformer(dates, kw_args={"formats": ["ISO8601"]}).fit(frame)
    np.testing.assert_allclose(to_torch(step).transform(frame), step.transform(frame), atol=1e-12)


def test_words_are_compared_as_text():
    frame = pd.DataFrame({"a": pd.Series([1, "1", 1.0, True, None, "x", 2.5], dtype=object)})
    model = make_pipeline(FunctionTransformer(words), OneHotEncoder(handle_unknown="ignore"))
    model.fit(frame)
    parity(model, to_torch(model), frame, 0).require()
    later = pd.DataFrame({"a": [1.0, 2.5, 3.0]})
    parity(model, to_torch(model), later, 0).require()


def test_numbers_in_strings():
    frame = pd.DataFrame({"a": ["1.5", "many", None], "b": [True, False, True]})
    step = FunctionTransformer(numbers).fit(frame)
    parity(step, to_torch(step), frame, 0).require()


def test_outliers_squeezed():
    X = np.random.default_rng(0).normal(size=(20, 2)) * 9
    for bound in (3.0, [3.0, 10.0]):
        step = FunctionTransformer(smooth_clip, kw_args={"bound": bound}).fit(X)
        parity(step, to_torch(step), X, 1e-15).require()
