"""Encoders with every parameter, on rows that hold missing, unseen and rare values."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_union
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder
from suite import DATA

from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.convert.places import FEW, Slots, count_below

quick = settings(max_examples=20, deadline=None)
TOWNS = ["Bonn", "Ulm", "Kiel", "Jena", None, np.nan]
words = st.lists(st.sampled_from(TOWNS), min_size=3, max_size=20)
numbers = st.lists(st.sampled_from([0.0, -1.5, 2.0, 7.0, np.nan]), min_size=3, max_size=20)


def table(a, b):
    n = min(len(a), len(b))
    return pd.DataFrame({"town": pd.Series(a[:n], dtype=object), "size": b[:n]})


def same(encoder, frame, rows):
    with np.errstate(all="ignore"):
        parity(encoder, to_torch(encoder), rows).require()
    rough = to_torch(encoder, dtype=torch.float32)
    ours, theirs = rough.transform(rows), encoder.transform(rows)
    theirs = theirs.toarray() if hasattr(theirs, "toarray") else theirs
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@quick
@given(words, numbers, words, numbers, st.data())
@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_one_hot(a, b, c, d, data):
    encoder = OneHotEncoder(
        drop=data.draw(st.sampled_from([None, "first", "if_binary"])),
        handle_unknown=data.draw(st.sampled_from(["ignore", "infrequent_if_exist", "warn"])),
        min_frequency=data.draw(st.sampled_from([None, 2, 0.3])),
        max_categories=data.draw(st.sampled_from([None, 1, 2, 3])),
    )
    frame = table(a, b)
    same(encoder.fit(frame), frame, table(c, d))


@quick
@given(words, numbers, words, numbers, st.data())
def test_ordinal(a, b, c, d, data):
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=data.draw(st.sampled_from([-1, 99, np.nan])),
        encoded_missing_value=data.draw(st.sampled_from([np.nan, -2, 50])),
        min_frequency=data.draw(st.sampled_from([None, 2, 0.3])),
        max_categories=data.draw(st.sampled_from([None, 2, 3])),
    )
    frame = table(a, b)
    same(encoder.fit(frame), frame, table(c, d))


@quick
@given(words, numbers, words, numbers, st.sampled_from(["binary", "multiclass", "continuous"]))
def test_target(a, b, c, d, kind):
    frame = table(a, b)
    y = {"binary": [0, 1], "multiclass": [0, 1, 2], "continuous": [0.5, 1.7, -3.0]}[kind]
    target = np.resize(y, len(frame))
    encoder = TargetEncoder(target_type=kind, smooth=1.0).fit(frame, target)
    same(encoder, frame, table(c, d))


@quick
@given(st.lists(st.sampled_from([0.0, 1.0, 3.5, 8.0]), min_size=2, max_size=9), st.data())
def test_the_way_back_from_numbers(values, data):
    X = np.array(values)[:, None]
    drop = data.draw(st.sampled_from([None, "first", "if_binary"]))
    for encoder in (OneHotEncoder(drop=drop), OrdinalEncoder()):
        fitted = encoder.fit(X)
        module = to_torch(fitted)
        np.testing.assert_array_equal(module.inverse_transform(fitted.transform(X)), X)


def test_the_way_back_gives_no_words():
    frame = pd.DataFrame({"town": ["Bonn", "Ulm"]})
    for encoder in (OneHotEncoder(), OrdinalEncoder()):
        assert not hasattr(to_torch(encoder.fit(frame)), "inverse_transform")


def test_a_given_order_of_categories():
    frame = pd.DataFrame({"level": ["low", "high", "mid"], "size": [3, 1, 2]})
    encoder = OrdinalEncoder(categories=[["low", "mid", "high"], [1, 2, 3]]).fit(frame)
    np.testing.assert_array_equal(to_torch(encoder).transform(frame), [[0, 2], [2, 0], [1, 1]])


def test_thousands_of_categories():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"id": rng.permutation(5000).astype(str), "n": rng.permutation(5000) * 0.1}
    )
    encoder = TargetEncoder(cv=2).fit(frame, rng.normal(size=5000))
    rows = pd.concat([frame.iloc[::7], pd.DataFrame({"id": ["new"], "n": [-1.0]})])
    parity(encoder, to_torch(encoder), rows, 1e-12).require()


def test_codes_stay_when_another_step_adds_words():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"town": rng.choice(["a", "b", "c"], 30)})
    union = make_union(
        OneHotEncoder(categories=[["c", "b", "a"]], handle_unknown="ignore"),
        OneHotEncoder(categories=[["b", "z", "a", "c"]], handle_unknown="ignore"),
        OrdinalEncoder(),
    ).fit(frame)
    parity(union, to_torch(union), frame, 0).require()


@quick
@example(150, [90.0, 200.0])
@given(
    st.integers(1, 3 * FEW),
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 4.0, 90.0, np.nan]), min_size=1),
)
def test_places_are_those_of_searchsorted(k, values):
    edges = np.sort(np.random.default_rng(k).integers(0, k, k).astype(float))
    x = torch.tensor(values, dtype=torch.float64)[:, None]
    for equal, side in ((True, "right"), (False, "left")):
        found = count_below(x, torch.as_tensor(edges)[None], equal=equal)[:, 0].numpy()
        known = ~np.isnan(values)
        expected = np.searchsorted(edges, np.array(values)[known], side=side)
        np.testing.assert_array_equal(found[known], expected)
        assert not found[~known].any()


def test_slots_of_more_values_than_are_compared_at_once():
    values = np.random.default_rng(0).permutation(500) / 3
    slots = Slots([values, values[:70]])
    x = torch.as_tensor(np.stack([values, np.resize(values[:70], 500)], 1))
    found = slots(x)
    np.testing.assert_array_equal(found[:, 0], np.arange(500))
    np.testing.assert_array_equal(found[:, 1], np.resize(np.arange(70), 500))
    assert slots(x + 0.1).unique().tolist() == [500]


def test_the_data_hold_unseen_and_missing_words():
    frame, _ = DATA["words"]["flats 1"]()
    assert "Jena" in set(frame["town"].iloc[120:]) - set(frame["town"].iloc[:120])
    assert frame["town"].isna().any()
