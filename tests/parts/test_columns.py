"""Columns → numbers: against values by hand, pandas, the standard library, scikit-learn."""

import datetime
import inspect
import math
import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

from manumatic.errors import DataError
from manumatic.logbook import Logbook
from manumatic.parts import cells
from manumatic.parts.columns import (
    Table,
    array_preprocess,
    in_float32,
    table_preprocess,
    text_preprocess,
)
from manumatic.parts.kinds import column_kinds, date_format

NAN = float("nan")


def squeeze(x: float, bound: float = 3) -> float:
    """The smooth clip of one number, by the formula."""
    return x / math.sqrt(1 + (x / bound) ** 2)


def kinds(**columns: Any) -> list[str]:
    return [kind for kind, _ in column_kinds(pd.DataFrame(columns))]


def ready(frame: pd.DataFrame, y: Any = None, **settings: Any) -> ColumnTransformer:
    """Decided and fitted."""
    settings = {"classification": None, "seed": 0, **settings}
    return table_preprocess(frame, **settings).fit(frame, y)


def encode(frame: pd.DataFrame, new: pd.DataFrame | None = None, **settings: Any) -> np.ndarray:
    return ready(frame, **settings).transform(frame if new is None else new)


@pytest.fixture(scope="module")
def mixed() -> tuple[pd.DataFrame, np.ndarray]:
    """A column of each kind, with missing values; 300 rows; and a target of numbers."""
    rng = np.random.default_rng(0)
    n = 300

    def gaps(values: Any) -> pd.Series:
        return pd.Series(values).where(rng.random(n) > 0.1)

    start = pd.Timestamp("2023-01-01")
    frame = pd.DataFrame(
        {
            "size": gaps(rng.normal(80, 20, n)),
            "rooms": rng.integers(1, 6, n),
            "lift": rng.random(n) < 0.3,
            "floor": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "viewed": gaps(pd.to_timedelta(rng.integers(1, 99, n), unit="h")),
            "balcony": gaps(rng.choice(["yes", "no"], n)),
            "city": gaps(rng.choice(["Ulm", "Bonn", "Kiel"], n)),
            "street": gaps([f"{i}. street" for i in rng.integers(0, 60, n)]),
            "listed": gaps(start + pd.to_timedelta(rng.integers(0, 10**7, n), unit="s")),
            "built": gaps(
                (start - pd.to_timedelta(rng.integers(0, 9999, n), "D")).strftime("%d.%m.%Y")
            ),
            "note": gaps([" ".join(rng.choice(list("abcdefghij"), 6)) for _ in range(n)]),
            "number": [f"L-{i:05}" for i in rng.permutation(n)],
            "country": "Germany",
        }
    )
    return frame, rng.normal(size=n)


# --- numbers -------------------------------------------------------------------------------------


def test_a_number_is_median_quartiles_and_smooth_clip() -> None:
    """1, 2, 3, 4, 100: median 3, quartiles 2 and 4."""
    found = encode(pd.DataFrame({"x": [1, 2, 3, 4, 100]}))
    np.testing.assert_allclose(found[:, 0], [squeeze(z) for z in (-1, -0.5, 0, 0.5, 48.5)])


def test_a_mostly_zero_column_is_measured_by_its_spread() -> None:
    """One in ten is 5000: the quartiles are equal, the spread is 5000·√(0.1·0.9) = 1500."""
    x = np.repeat([0.0, 5000.0], [90, 10])
    found = encode(pd.DataFrame({"x": x}))
    np.testing.assert_allclose(found[:, 0], np.repeat([0.0, squeeze(5000 / 1500)], [90, 10]))


def test_a_missing_number_is_the_median_and_flagged() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0, 5.0, None], "whole": range(6)})
    found = encode(frame)
    np.testing.assert_allclose(found[:, 0], [squeeze(z, 10) for z in (-1, -0.5, 0, 0.5, 1, 0)])
    np.testing.assert_array_equal(found[:, 2], [0, 0, 0, 0, 0, 1])
    unseen_gap = encode(frame, pd.DataFrame({"x": [3.0], "whole": [None]}))
    np.testing.assert_allclose(unseen_gap, [[0, 0, 0]])


@given(
    x=arrays.arrays(float, (12, 3), elements=st.floats(-1e3, 1e3).map(lambda v: round(v, 3))),
    scale=st.floats(1e-6, 1e6),
    shift=st.floats(-1e3, 1e3),
)
def test_units_do_not_matter(x: np.ndarray, scale: float, shift: float) -> None:
    x[:, 0] = np.linspace(-1, 1, 12)  # at least one column varies
    quartiles = np.percentile(x, [25, 50, 75], axis=0)
    wide = quartiles[2] - quartiles[0] > 1e-2
    found = array_preprocess(x).fit_transform(x)
    moved = array_preprocess(x * scale).fit_transform(x * scale)
    z = (x - quartiles[1])[:, wide] / (quartiles[2] - quartiles[0])[wide]
    far = np.abs(x - quartiles[1]).max(axis=0) > 5 * (1 + 1e-9) * (quartiles[2] - quartiles[0])
    bound = np.where(far, 3, 10)
    by_hand = z / np.sqrt(1 + (z / bound[wide]) ** 2)
    np.testing.assert_allclose(found[:, wide], by_hand, atol=1e-9)
    np.testing.assert_allclose(moved, found, atol=1e-9)
    assert (np.abs(found).max(axis=0) < bound).all()
    lifted = x[:, wide] + shift
    np.testing.assert_allclose(
        array_preprocess(lifted).fit_transform(lifted), found[:, wide], atol=1e-6
    )


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2, 3, 4], dtype="Int64"),
        pd.Series([1, 2, 3, 4], dtype="Float64"),
        pd.Series([1, 2, 3, 4], dtype="int64[pyarrow]"),
        pd.Series([1, 2, 3, 4], dtype="uint8"),
        pd.Series([Decimal(1), Decimal(2), Decimal(3), Decimal(4)], dtype=object),
        pd.Series([1, 2.0, np.int64(3), np.float32(4)], dtype=object),
        pd.Series(["1", "2.0", " 3 ", "4e0"]),
        pd.Series([1, "2", 3.0, "4"], dtype=object),
        pd.Series(pd.arrays.SparseArray([1.0, 2.0, 3.0, 4.0])),
    ],
    ids=lambda column: f"{column.dtype}-{type(column.iloc[0]).__name__}",
)
def test_numbers_of_every_type_are_alike(column: pd.Series) -> None:
    plain = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    frame = pd.DataFrame({"x": column})
    assert kinds(x=column) == ["numbers"]
    np.testing.assert_allclose(encode(frame), encode(plain))
    gap = column.astype(object).where([True, True, True, False], None)
    with_gap = ready(pd.DataFrame({"x": [1.0, 2.0, 3.0, None]}))
    np.testing.assert_allclose(
        encode(frame.assign(x=gap)), with_gap.transform(pd.DataFrame({"x": [1.0, 2.0, 3.0, None]}))
    )


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_booleans_are_zero_and_one(gap: Any) -> None:
    whole = pd.DataFrame({"b": [True, False, True, False], "x": [1.5, 2.0, 3.0, 4.0]})
    as_numbers = whole.assign(b=[1.0, 0.0, 1.0, 0.0])
    np.testing.assert_array_equal(encode(whole), encode(as_numbers))
    holed = whole.assign(b=pd.Series([True, False, True, gap], dtype=object))
    np.testing.assert_array_equal(encode(holed), encode(as_numbers.assign(b=[1.0, 0, 1, None])))
    np.testing.assert_array_equal(encode(holed.astype({"b": "boolean"})), encode(holed))


def test_durations_are_seconds() -> None:
    hours = pd.Series([1, 2, 3, 4, None], dtype=float)
    durations = pd.DataFrame({"x": pd.to_timedelta(hours, unit="h")})
    np.testing.assert_allclose(encode(durations), encode(pd.DataFrame({"x": hours * 3600})))
    python = pd.DataFrame({"x": [*(datetime.timedelta(hours=h) for h in (1, 2, 3, 4)), None]})
    np.testing.assert_allclose(encode(python), encode(durations))


def test_a_frame_of_numbers_equals_its_array() -> None:
    X = np.random.default_rng(0).normal(size=(50, 4))
    X[::7, 1] = np.nan
    frame = pd.DataFrame(X, columns=list("abcd"))
    np.testing.assert_allclose(encode(frame), array_preprocess(X).fit_transform(X), rtol=1e-12)
    numbers = frame.astype({"a": np.float32}).assign(e=1)
    assert ready(numbers).transformers_[0][2] == ["a", "b", "c", "d"]


# --- arrays --------------------------------------------------------------------------------------


def test_an_array_takes_missing_values_it_never_saw() -> None:
    X = np.arange(10.0).reshape(5, 2)
    pipe = array_preprocess(X).fit(X)
    np.testing.assert_array_equal(pipe.transform([[4.0, np.nan]]), [[0.0, 0.0]])


def test_an_array_keeps_its_float_type_and_its_constant_columns() -> None:
    X = np.array([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0]], dtype=np.float32)
    found = array_preprocess(X).fit_transform(X)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 1], 0)


def test_float32_from_the_squeeze_on_rounds_what_was_rounded_in_the_end() -> None:
    rng = np.random.default_rng(0)
    X = 1e3 + rng.standard_normal((5000, 3)) ** 3
    X[rng.random(X.shape) < 0.1] = NAN
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(
        pair=rng.choice(["yes", "no"], 5000),
        town=rng.choice(["Bonn", "Ulm", "Kiel"], 5000),
        street=rng.choice([f"street {i}" for i in range(60)], 5000),
    )
    for rows, made in (
        (X, lambda: array_preprocess(X)),
        (frame, lambda: table_preprocess(frame, classification=False, seed=0)),
    ):
        kept, y = rows.copy(), rng.random(5000)
        found, exact = (pipe.fit_transform(rows, y) for pipe in (in_float32(made()), made()))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, exact.astype(np.float32))
        assert pd.DataFrame(rows).equals(pd.DataFrame(kept))  # what is written into is a copy


def test_empty_columns_of_an_array_are_dropped_and_logged() -> None:
    X = np.array([[NAN, 1.0], [NAN, 2.0], [NAN, 3.0]])
    logbook = Logbook()
    pipe = array_preprocess(X, logbook=logbook)
    np.testing.assert_allclose(pipe.fit_transform(X)[:, 0], [squeeze(-1, 10), 0, squeeze(1, 10)])
    assert pipe.transform([[5.0, 2.0]]).tolist() == [[0.0]]
    assert ("data", "1 column dropped: 0", "no value in any row") in logbook
    with pytest.raises(DataError, match="no column is of use for learning: 1 column dropped: 0"):
        array_preprocess(X[:, :1])


# --- which kind ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"] * 3, "pairs"),
        (["a", None] * 3, "pairs"),
        (["a", "b", "c"] * 2, "categories"),
        ([1, "a", 2.5] * 2, "categories"),
        ([b"a", b"b", b"c"] * 2, "categories"),
        (["01234", "45678", "99999"], "categories"),
        (["1", "2", "inf"], "categories"),
        (["10-12", "12-14", "14-16"], "categories"),
        (["v2024", "v2025", "v2026"], "categories"),
        ([datetime.time(3), datetime.time(4), datetime.time(5)], "categories"),
        (["12.5", "?", "-3", "NA"], "numbers"),
        (["1", "2", "x"], "categories"),
        (pd.Categorical([1, 2, 3]), "categories"),
        (pd.Categorical(["2024-01-05", "2024-01-06", "2024-01-07"]), "categories"),
        (["2024-01-05", "2024-02-05", "?"], "dates"),
        ([datetime.date(2024, 1, 5), datetime.date(2024, 2, 5)], "dates"),
        (pd.period_range("2024-01", periods=3, freq="M"), "dates"),
        ([f"value {i % 40}" for i in range(80)], "levels"),
        ([f"value {i % 39}" for i in range(80)], "categories"),
        ([f"code{i}" for i in range(60)], "ids"),
        ([f"first last{i}" for i in range(60)], "text"),
        ([f"four words and {i}" for i in range(60)], "text"),
        (["it is very good", "no, not for me", "it was late again"], "text"),
        (["all four the same", "all four the other"] * 5, "pairs"),
        ([5, 5, 5], "constant"),
        (["5", "5.0", 5], "constant"),
        ([5, 5, None], "numbers"),
        (["a"], "constant"),
        ([None, None], "missing"),
        ([NAN, NAN], "missing"),
        ([pd.NaT, pd.NaT], "missing"),
        ([True, True], "constant"),
    ],
    ids=str,
)
def test_kind_of_a_column(values: Any, kind: str) -> None:
    assert kinds(x=values) == [kind]


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "user_id", "customerId", "CustomerID", "Unnamed: 0", "row", "Index", "my key"],
)
def test_whole_numbers_named_like_an_id_are_one(name: str) -> None:
    frame = pd.DataFrame({name: [7, 3, 9, 4]})
    assert column_kinds(frame) == column_kinds(frame.astype(str)) == [("ids", "")]
    assert column_kinds(frame.astype("Int64")) == [("ids", "")]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("hours", [1, 2, 3, 4, 5]),
        ("paid", [1, 2, 3, 4, 5]),
        ("id", [1, 2, 3, 3, 5]),
        ("id", [1.5, 2, 3, 4, 5]),
        ("id", [1, 2, 3, 4, None]),
        (0, [1, 2, 3, 4, 5]),
    ],
)
def test_other_whole_numbers_are_kept(name: Any, values: list[float]) -> None:
    assert column_kinds(pd.DataFrame({name: values})) == [("numbers", "")]


# --- categories ----------------------------------------------------------------------------------


@given(values=st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=8, max_size=60))
def test_one_hot_equals_pandas(values: list[str]) -> None:
    values = [*values, "a", "b", "c"]
    found = encode(pd.DataFrame({"x": values, "n": range(len(values))}))[:, 1:]
    np.testing.assert_array_equal(found, pd.get_dummies(pd.Series(values)).to_numpy(dtype=float))


def test_unseen_categories_are_all_zero_and_missing_ones_have_their_place() -> None:
    whole = pd.DataFrame({"x": ["a", "b", "c"]})
    np.testing.assert_array_equal(
        encode(whole, pd.DataFrame({"x": ["b", "z", None]})).sum(axis=1), [1, 0, 0]
    )
    holed = pd.DataFrame({"x": ["a", "b", "c", None]})
    np.testing.assert_array_equal(encode(holed), np.eye(4))
    np.testing.assert_array_equal(
        encode(holed, pd.DataFrame({"x": ["z", NAN]})), [[0] * 4, [0, 0, 0, 1]]
    )


def test_two_values_are_one_column() -> None:
    whole = pd.DataFrame({"x": ["no", "yes", "no"]})
    new = pd.DataFrame({"x": ["no", "yes", "maybe", None]})
    np.testing.assert_array_equal(encode(whole, new), [[-1], [1], [0], [0]])
    holed = pd.DataFrame({"x": ["no", "yes", None]})
    np.testing.assert_array_equal(encode(holed), [[-1, 0], [1, 0], [0, 1]])


@pytest.mark.parametrize("same", [1, 1.0, "1", True, np.float64(1), np.int8(1)])
def test_a_number_and_its_text_are_the_same_category(same: Any) -> None:
    frame = pd.DataFrame({"x": pd.Categorical([1, 2, 3])})
    found = encode(frame, pd.DataFrame({"x": pd.Series([same], dtype=object)}))
    np.testing.assert_array_equal(found, [[1, 0, 0]])


def levels(n: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    code = rng.integers(0, 50, n)
    return pd.DataFrame({"x": [f"k{c}" for c in code]}), code / 10 + rng.normal(size=n)


def robust(x: np.ndarray) -> np.ndarray:
    """By hand: median, quartiles and the smooth clip, with the figures of x itself."""
    low, middle, high = np.percentile(x, [25, 50, 75], axis=0)
    z = (x - middle) / (high - low)
    return z / np.sqrt(1 + (z / 3) ** 2)


def test_many_values_are_scikit_learns_target_means() -> None:
    frame, y = levels()
    encoder = TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=3))
    columns = table_preprocess(frame, classification=False, seed=3)
    np.testing.assert_allclose(
        columns.fit_transform(frame, y), robust(encoder.fit_transform(frame, y))
    )
    new = columns.transform(pd.DataFrame({"x": ["k7", "never seen", None]}))
    assert new[1] == new[2]  # the mean of all


def test_whole_numbers_as_target_are_no_classes() -> None:
    frame, y = levels()
    columns = table_preprocess(frame, classification=False, seed=0)
    assert columns.fit_transform(frame, y.round()).shape == (400, 1)


def test_target_means_of_three_classes_are_three_columns() -> None:
    frame, y = levels()
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [1.5, 3.5])]
    labels[0] = "once"  # a class with one row must not fail, or warn
    columns = table_preprocess(frame, classification=True, seed=0)
    assert columns.fit_transform(frame, labels).shape == (400, 4)
    assert np.isfinite(columns.transform(pd.DataFrame({"x": [None, "?"]}))).all()


def test_target_means_do_not_leak() -> None:
    """Random codes, random labels: means that saw their own row would score far above chance."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": [f"k{c}" for c in rng.integers(0, 250, 600)]})
    y = rng.integers(0, 2, 600)
    model = LogisticRegression().fit(Table().fit_transform(frame, y), y)
    assert model.score(Table().fit_transform(frame, y), y) < 0.6


def test_without_a_target_the_most_frequent_values_are_one_hot() -> None:
    frame, _ = levels()
    columns = ready(frame)
    assert columns.transform(frame).shape == (400, 40)
    assert columns.transform(pd.DataFrame({"x": ["never seen"]}))[0, -1] == 1


# --- dates ---------------------------------------------------------------------------------------

DATE_PARTS = ("year", "month", "day", "weekday", "hour", "seconds")


@given(
    when=st.lists(
        st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2250, 1, 1)), min_size=1
    )
)
def test_dates_equal_the_standard_library(when: list[datetime.datetime]) -> None:
    expected = []
    for time in (time.replace(tzinfo=datetime.UTC) for time in when):
        row = [time.year, time.month, time.day, time.weekday(), time.hour, time.timestamp()]
        clock = (time.hour + time.minute / 60) / 24
        for turn in ((time.month - 1) / 12, time.weekday() / 7, clock):
            row += [math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)]
        expected.append([*row, 0])
    python = pd.DataFrame({"x": pd.Series(when, dtype=object)})
    text = pd.DataFrame({"x": [time.isoformat() for time in when]})
    native = pd.DataFrame({"x": np.array(when, dtype="datetime64[us]")})
    names = cells.date_names(None, ["x"])
    assert names[:6] == [f"x_{part}" for part in DATE_PARTS]
    assert names[-1] == "x_missing"
    for frame in (python, text, native):
        found = cells.dates(frame, ["ISO8601"])
        assert found.shape == (len(when), len(names))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_time_zones_and_units_of_dates_do_not_matter(unit: str) -> None:
    utc = pd.Series(pd.date_range("2024-01-01", periods=50, freq="37h", tz="UTC", unit=unit))
    reference = encode(pd.DataFrame({"x": utc}))
    for other in (
        utc.dt.tz_convert("Asia/Tokyo"),
        utc.dt.tz_localize(None),
        utc.dt.tz_convert("Asia/Tokyo").map(lambda time: time.isoformat()),
        utc.dt.strftime("%d/%m/%Y %H:%M"),
    ):
        np.testing.assert_allclose(encode(pd.DataFrame({"x": other})), reference)


def test_only_what_varies_in_a_date_is_kept() -> None:
    """Four Fridays of one March, at midnight."""
    frame = pd.DataFrame({"x": ["2024-03-01", "2024-03-08", "2024-03-15", "2024-03-22"]})
    columns = ready(frame)
    assert columns.get_feature_names_out().tolist() == ["dates__x_day", "dates__x_seconds"]
    expected = [squeeze((day - 11.5) / 10.5) for day in (1, 8, 15, 22)]
    np.testing.assert_allclose(columns.transform(frame), np.column_stack([expected] * 2))


def test_a_missing_date_is_flagged_once() -> None:
    frame = pd.DataFrame({"x": ["2024-03-01", "2025-04-08", None, "2023-05-15 12:30"]})
    columns = ready(frame)
    found = columns.transform(frame)
    np.testing.assert_allclose(found[:, -1], [0, 0, squeeze(4), 0])  # its upper quartile is 1/4
    assert not found[2, :-1].any()
    for nothing in (None, NAN, "?", "soon", pd.NaT):
        np.testing.assert_array_equal(columns.transform(pd.DataFrame({"x": [nothing]})), found[[2]])


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["2024-01-05", "2024-01-05 10:00", "2024-01-05T10:00:00Z"], "ISO8601"),
        (["01/02/2024", "02/03/2024"], "%m/%d/%Y"),
        (["01/02/2024", "13/02/2024"], "%d/%m/%Y"),
        (["5 January 2024", "13 May 2023"], "%d %B %Y"),
        (["05.01.2024 10:30", "31.12.2023 08:15", "?"], "%d.%m.%Y %H:%M"),
        (["2024/13/01", "2024/01/13"], None),
        (["2024-01-05", "tomorrow"], None),
        (["1990-1995", "1995-2000"], None),
        (["192.168.1.1999"], None),
        (["10:30", "11:30"], None),
        (["?"], None),
    ],
)
def test_one_format_for_all_dates(values: list[str], form: str | None) -> None:
    assert date_format(pd.Series(values)) == form


# --- text ----------------------------------------------------------------------------------------

REVIEWS = [
    *(f"a very good tea number {i}, would buy it again" for i in range(30)),
    *(f"stale and bitter coffee number {i}, never again!" for i in range(30)),
]


@pytest.mark.parametrize("gap", [None, NAN, pd.NA, ""])
def test_text_becomes_topics_that_tell(gap: Any) -> None:
    y = np.repeat([0, 1], 30)
    frame = pd.DataFrame({"review": REVIEWS})
    columns = ready(frame)
    model = LogisticRegression().fit(columns.transform(frame), y)
    new = pd.DataFrame({"review": [REVIEWS[3] + "!", REVIEWS[33], gap, "xyz"]}, dtype=object)
    found = columns.transform(new)
    assert found.shape == (4, columns.transform(frame).shape[1])
    assert model.predict(found[:2]).tolist() == [0, 1]
    np.testing.assert_array_equal(found[2], found[3])  # nothing known in either


def test_lists_series_and_columns_of_text_are_alike() -> None:
    pipe = text_preprocess(REVIEWS, seed=0)
    expected = pipe.fit_transform(REVIEWS)
    assert expected.shape == (
        60,
        31,
    )  # 30 numbers and two sentences: all other directions are empty
    for same in (np.array(REVIEWS, dtype=object), pd.Series(REVIEWS), pd.DataFrame({"x": REVIEWS})):
        np.testing.assert_allclose(pipe.transform(same), expected, atol=1e-9)
        np.testing.assert_array_equal(pipe.fit_transform(same), expected)


@pytest.mark.parametrize("texts", [["a", "b"], ["very good", "bad", ""], ["好茶", "不好", "好!"]])
def test_few_and_short_texts_are_enough(texts: list[str]) -> None:
    found = text_preprocess(texts, seed=0).fit_transform(texts)
    assert np.isfinite(found).all()
    assert len(np.unique(found.round(6), axis=0)) == len(texts)


def test_a_table_may_have_several_texts() -> None:
    frame = pd.DataFrame({"review": REVIEWS, "other": REVIEWS[::-1]})
    names = ready(frame).get_feature_names_out()
    assert len(set(names)) == len(names) == ready(frame).transform(frame).shape[1]
    assert names[0] == "text1__truncatedsvd0"


@pytest.mark.parametrize("texts", [["tea"], ["tea", "tea"], ["", " "]])
def test_texts_that_tell_nothing_are_an_error(texts: list[str]) -> None:
    with pytest.raises(DataError, match=f"all texts are alike, {texts[0]!r}"):
        text_preprocess(texts, seed=0)


# --- the whole table -----------------------------------------------------------------------------


def test_every_kind_is_found(mixed: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, _ = mixed
    logbook = Logbook()
    table_preprocess(frame, classification=False, seed=0, logbook=logbook)
    assert [did for _, did, _ in logbook] == [
        "4 columns scaled by median and quartiles: size, rooms, lift, floor",
        "1 column in seconds, scaled: viewed",
        "1 column as −1 or 1: balcony",
        "1 column one-hot: city",
        "1 column as the mean target of each value: street",
        "2 columns as calendar and clock: listed, built",
        "1 column as up to 30 topics: note",
        "1 column dropped: country",
        "1 column dropped: number",
    ]


@pytest.mark.parametrize("classification", [True, False, None])
def test_one_row_is_what_it_is_among_others(
    mixed: tuple[pd.DataFrame, np.ndarray], classification: bool | None
) -> None:
    frame, y = mixed
    columns = ready(frame, y > 0 if classification else y, classification=classification)
    together = columns.transform(frame)
    assert np.isfinite(together).all()
    assert np.abs(together).max() < 3
    for row in range(0, 300, 23):
        one = columns.transform(frame.iloc[[row]])
        np.testing.assert_allclose(one, together[[row]], rtol=1e-9, atol=1e-12)
        served = pd.DataFrame([frame.iloc[row].to_dict()])  # the types of a single row
        np.testing.assert_allclose(columns.transform(served), one)


@pytest.mark.parametrize("nothing", [None, NAN, pd.NA])
def test_all_may_be_missing_in_new_rows(
    mixed: tuple[pd.DataFrame, np.ndarray], nothing: Any
) -> None:
    frame, y = mixed
    columns = ready(frame, y, classification=False)
    empty = pd.DataFrame(dict.fromkeys(frame, [nothing] * 2), dtype=object)
    found = columns.transform(empty)
    assert np.isfinite(found).all()
    if nothing is NAN:  # as read from a file: columns of floats
        np.testing.assert_array_equal(columns.transform(empty.astype(float)), found)


def test_fits_pickles_clones_and_outputs_frames(mixed: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, y = mixed
    columns = table_preprocess(frame, classification=False, seed=0)
    expected = columns.fit_transform(frame, y)
    np.testing.assert_array_equal(clone(columns).fit_transform(frame, y), expected)
    fitted = pickle.loads(pickle.dumps(columns))  # noqa: S301 - made on the line itself
    np.testing.assert_array_equal(fitted.transform(frame), columns.transform(frame))
    names = columns.get_feature_names_out()
    assert len(set(names)) == len(names) == expected.shape[1]
    assert {"numbers__size", "numbers__missingindicator_size", "categories__city_Ulm"} <= set(names)
    table = Table(classification=False).set_output(transform="pandas")
    assert table.fit_transform(frame, y).columns.tolist() == names.tolist()


def test_columns_are_taken_by_name(mixed: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, y = mixed
    columns = ready(frame, y, classification=False)
    np.testing.assert_array_equal(
        columns.transform(frame[frame.columns[::-1]]), columns.transform(frame)
    )


@pytest.mark.parametrize("names", [[0, 1], [5, 3], [("a", 1), ("a", 2)], [None, 2.5]])
def test_names_may_be_anything(names: list[Any]) -> None:
    plain = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"]})
    frame = plain.set_axis(pd.Index(names, tupleize_cols=False), axis=1)
    np.testing.assert_array_equal(encode(frame), encode(plain))
    np.testing.assert_array_equal(Table().fit_transform(frame), encode(plain))


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"x": [[1, 2], [3]]}, r"column 'x' holds a list, \[1, 2\]: make it one number or string"),
        ({"x": ["a", {"b": 1}]}, r"column 'x' holds a dict, \{'b': 1\}"),
        ({"x": [1j, 2.0]}, "column 'x' holds complex numbers"),
        (
            {"id": [1, 2], "x": [5, 5]},
            "no column is of use for learning: 1 column dropped: x .the same",
        ),
        ({"x": []}, "the table has no rows"),
    ],
)
def test_what_cannot_be_learned_from_is_one_clear_error(columns: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        table_preprocess(pd.DataFrame(columns), classification=False, seed=0)


def test_two_columns_of_one_name_are_an_error() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])
    with pytest.raises(DataError, match="two columns are called 'x'"):
        table_preprocess(frame, classification=False, seed=0)


@pytest.mark.parametrize("name", cells.__all__)
def test_a_cell_function_stands_alone(name: str, mixed: tuple[pd.DataFrame, np.ndarray]) -> None:
    """As in an ejected script: its source and np and pd, nothing else."""
    space: dict[str, Any] = {"np": np, "pd": pd}
    exec(inspect.getsource(getattr(cells, name)), space)
    frame, _ = mixed
    arguments: dict[str, tuple[Any, ...]] = {
        "date_names": (None, ["a"]),
        "dates": (frame[["listed"]], ["ISO8601"]),
        "seconds": (frame[["viewed"]],),
        "smooth_clip": (np.arange(9.0),),
    }
    given = arguments.get(name, (frame[["size", "rooms"]],))
    alone, inside = space[name](*given), getattr(cells, name)(*given)
    pd.testing.assert_frame_equal(pd.DataFrame(alone), pd.DataFrame(inside))


# --- Table ---------------------------------------------------------------------------------------


@parametrize_with_checks([Table()])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_table_is_a_scikit_learn_transformer(estimator: Any, check: Any) -> None:
    check(estimator)


def test_table_in_front_of_a_model(mixed: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, _ = mixed
    y = np.where(frame["size"].fillna(80) > 80, "large", "small")
    model = make_pipeline(Table(), LogisticRegression(max_iter=300))
    assert cross_val_score(model, frame, y, cv=3).min() > 0.8
    model.fit(frame, y)
    assert model[0].n_features_in_ == 13
    shuffled = frame.sample(frac=1, axis=1, random_state=0)
    assert (model.predict(shuffled) == model.predict(frame)).all()
    with pytest.raises(ValueError, match="The feature names should match"):
        model.predict(frame.drop(columns="city"))


def test_table_takes_names_of_two_types_in_any_order() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], 7: ["a", "b", "c"]})
    table = Table().fit(frame)
    assert table.get_feature_names_out().tolist()[0] == "numbers__x"
    np.testing.assert_array_equal(table.transform(frame[[7, "x"]]), table.transform(frame))


def test_table_decides_by_what_it_is_given() -> None:
    X = np.arange(12.0).reshape(6, 2)
    np.testing.assert_array_equal(Table().fit_transform(X), array_preprocess(X).fit_transform(X))
    assert Table().fit(X).get_feature_names_out().tolist() == ["x0", "x1"]
    words = np.array([["a", 1], ["b", 2], ["c", 3]], dtype=object)
    assert Table().fit_transform(words).shape == (3, 4)
    texts = Table().fit(REVIEWS)
    topics = text_preprocess(REVIEWS, seed=0).fit_transform(REVIEWS)
    np.testing.assert_allclose(texts.transform(REVIEWS), topics, atol=1e-9)
    assert texts.get_feature_names_out()[0] == "truncatedsvd0"


def test_table_looks_at_the_target() -> None:
    frame, y = levels()
    assert Table().fit_transform(frame, y).shape == (400, 1)
    assert Table().fit_transform(frame, np.digitize(y, [1.5, 3.5])).shape == (400, 3)
    assert Table(classification=False).fit_transform(frame, y.round()).shape == (400, 1)
    assert Table().fit_transform(frame).shape == (400, 40)
    two = np.column_stack([y, y])
    assert Table(classification=False).fit_transform(frame, two).shape == (400, 40)
