"""X at the door: what is read as rows, and one sentence with the place for what cannot be."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import sparse

import manumatic as mm
from manumatic.errors import DataError
from manumatic.parts.kinds import column_kinds
from manumatic.parts.rows import read_rows

NUMBERS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
HOLE = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
DAYS = pd.date_range("2024-01-01", periods=3)


@pytest.mark.parametrize(
    "X",
    [
        torch.tensor(NUMBERS, requires_grad=True),
        torch.tensor(NUMBERS).bfloat16(),
        torch.tensor(NUMBERS).to_sparse(),
        np.ma.array(NUMBERS),
    ],
)
def test_numbers_of_other_kinds(X):
    np.testing.assert_array_equal(read_rows(X), NUMBERS)


def test_a_mask_is_a_missing_value():
    np.testing.assert_array_equal(read_rows(np.ma.array(NUMBERS, mask=NUMBERS == 4)), HOLE)


@pytest.mark.parametrize("X", [np.array([[np.inf, 1], [2, 3]]), sparse.csr_array([[np.inf, 1]])])
@pytest.mark.parametrize("allow_nan", [True, False])
def test_infinity_is_told_with_its_column(X, allow_nan):
    with pytest.raises(DataError, match=r"contains infinity in column 0; replace it with NaN"):
        read_rows(X, allow_nan=allow_nan)


def test_missing_values_are_told_with_their_column_where_nothing_fills_them():
    with pytest.raises(DataError, match=r'NaN in column 1; preprocess=None takes .*"auto" fills'):
        read_rows(HOLE, allow_nan=False)
    with pytest.raises(DataError, match="NaN in row 1"):
        read_rows(HOLE.reshape(3, 1, 2), allow_nan=False)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ({"a": [1, 2]}, r"X is a dict; pandas\.DataFrame"),
        ([{"a": 1}, {"a": 2}], r"X is a list of dicts; pandas\.DataFrame"),
        (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), "an array of records; pandas"),
        ((row for row in NUMBERS), "X is a generator, which gives its rows once"),
        (["good", 3, None], "holds texts, but also 3; give texts only"),
        ([[1, 2], [3]], r"hold from 1 to 2 values; .* model=\"gru\""),
    ],
)
def test_what_is_no_table(X, words):
    with pytest.raises(DataError, match=words):
        read_rows(X)


def test_a_lazy_frame_of_polars_holds_no_rows():
    polars = pytest.importorskip("polars")
    with pytest.raises(DataError, match=r"X\.collect\(\) makes a table"):
        read_rows(polars.DataFrame(NUMBERS).lazy())


@pytest.mark.parametrize("unit", ["D", "us", "ns"])
def test_an_array_of_dates_is_columns_of_dates(unit):
    times = np.column_stack([DAYS, DAYS[::-1]]).astype(f"datetime64[{unit}]")
    X = read_rows(times)
    assert column_kinds(X) == [("dates", "ISO8601")] * 2
    lengths = read_rows(times - times[0])
    assert column_kinds(lengths) == [("durations", "")] * 2


@pytest.mark.parametrize(
    "times",
    [
        pd.Series(DAYS.to_period("D")),
        pd.Series(DAYS).astype("timestamp[ns][pyarrow]"),
        pd.Series(DAYS.tz_localize("UTC")).astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))),
    ],
    ids=str,
)
def test_periods_and_times_of_arrow_are_dates(times):
    X = pd.DataFrame({"size": [1.0, 2.0, 4.0], "when": times})
    given = X.copy()
    net = mm.Regressor("linear", loop=mm.Loop(1), random_state=0)
    plain = X.assign(when=DAYS)
    want = net.fit(plain, [1, 2, 3]).predict(plain)
    np.testing.assert_array_equal(net.fit(X, [1, 2, 3]).predict(X), want)
    pd.testing.assert_frame_equal(X, given)


def test_lists_in_a_column_of_arrow():
    column = pd.Series([[1, 2], [3]], dtype=pd.ArrowDtype(pa.list_(pa.int64())))
    with pytest.raises(DataError, match=r"column 'tags' holds a list, \[1, 2\]"):
        column_kinds(pd.DataFrame({"tags": column}))


def test_complex_columns_are_refused_without_a_warning_before():
    with pytest.raises(DataError, match="holds complex numbers"):
        column_kinds(read_rows(pd.DataFrame({"z": [1j, 2j]})))


def test_an_array_with_words_after_a_table_is_read_by_place():
    X = pd.DataFrame({"size": [1.0, 2.0, 4.0], "town": ["Ulm", "Bonn", "Ulm"]})
    net = mm.Regressor("linear", loop=mm.Loop(1), random_state=0).fit(X, [1, 2, 3])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        predicted = net.predict(X.to_numpy())
    np.testing.assert_array_equal(predicted, net.predict(X))


def test_a_table_after_an_array_with_words_keeps_its_names():
    X = pd.DataFrame({"size": [1.0, 2.0, 4.0], "town": ["Ulm", "Bonn", "Ulm"]})
    net = mm.Regressor("linear", loop=mm.Loop(1), random_state=0).fit(X.to_numpy(), [1, 2, 3])
    with pytest.warns(UserWarning, match="X has feature names"):
        predicted = net.predict(X)
    np.testing.assert_array_equal(predicted, net.predict(X.to_numpy()))
    assert list(X.columns) == ["size", "town"]
