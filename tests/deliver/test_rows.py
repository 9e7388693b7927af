"""Rows of any kind → inputs of a graph, by the schema alone; and schemas from rows."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manumatic.deliver.rows import STRANGER, feeds_of
from manumatic.deliver.schema import Column, Schema, is_missing, learn_column, profile_of
from manumatic.errors import DataError

SCHEMA = Schema(
    "table",
    True,
    [
        Column("size", "number", nullable=True),
        Column("rooms", "integer"),
        Column("city", "word", nullable=True, categories=["Bonn", "Ulm"]),
        Column("level", "word", categories=[1, 2.5], unseen=False),
        Column("since", "date", nullable=True),
        Column("lift", "boolean"),
    ],
    [],
)
DAY = datetime.datetime(2024, 5, 1, 12)
ROWS = [
    {"size": 50.0, "rooms": 2, "city": "Ulm", "level": 1, "since": DAY, "lift": True},
    {"size": None, "rooms": 3, "city": "Mars", "level": 2.5, "since": None, "lift": False},
    {"size": 80.5, "rooms": 4, "city": None, "level": 1.0, "since": "2024-05-01", "lift": True},
]
SECONDS = 1714564800.0  # of the first, at noon in UTC
WANTED = {
    "size": [50.0, np.nan, 80.5],
    "rooms": [2.0, 3.0, 4.0],
    "city": ["Ulm", STRANGER, ""],
    "level": ["1", "2.5", "1"],
    "since": [SECONDS, np.nan, SECONDS - 12 * 3600],
    "lift": [1.0, 0.0, 1.0],
}


def columns(**more: Any) -> dict[str, list[Any]]:
    return {name: [row[name] for row in ROWS] for name in SCHEMA.names} | more


def frame() -> pd.DataFrame:
    dates = pd.to_datetime([DAY, None, "2024-05-01"])
    return pd.DataFrame(columns(since=dates))


def test_rows_of_every_kind_mean_the_same() -> None:
    shuffled = frame()[list(reversed(SCHEMA.names))]
    same = columns(level=["1", "2", "3"], since=[DAY, None, datetime.date(2024, 5, 1)])
    for rows in (
        ROWS,
        columns(),
        frame(),
        shuffled,
        frame().convert_dtypes(),
        list(map(list, map(dict.values, ROWS))),
    ):
        found = feeds_of(SCHEMA, rows)
        assert list(found) == SCHEMA.names
        for name, values in WANTED.items():
            np.testing.assert_array_equal(found[name][:, 0], np.array(values, found[name].dtype))
            assert found[name].shape == (3, 1)
    no_levels = Schema("table", True, [c for c in SCHEMA.columns if c.name != "level"], [])
    table = pl.DataFrame(
        {k: v for k, v in same.items() if k not in ("level", "since")}
    ).with_columns(since=pl.Series([DAY, None, datetime.datetime(2024, 5, 1)]))
    for name, values in feeds_of(no_levels, table).items():
        np.testing.assert_array_equal(values[:, 0], np.array(WANTED[name], values.dtype))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("size", "50", "row 1, 'size' is a str; expected a number, or nothing"),
        ("size", True, "row 1, 'size' is a bool; expected a number"),
        ("size", np.inf, "row 1, 'size' is infinite"),
        ("size", 10**400, "row 1, 'size' is infinite"),
        ("size", [1], "row 1, 'size' is a list"),
        ("rooms", None, "row 1, 'rooms' is missing; expected a whole number"),
        ("rooms", np.nan, "row 1, 'rooms' is missing"),
        ("city", {}, "row 1, 'city' is a dict; expected one of the known words"),
        ("level", "3", "row 1, 'level' is a word that the model has never seen"),
        ("level", None, "row 1, 'level' is missing"),
        ("since", 5, "row 1, 'since' is a int; expected a date"),
        ("since", "May", "row 1, 'since' is a str; expected a date"),
        ("lift", "yes", "row 1, 'lift' is a str; expected true or false"),
    ],
)
def test_errors_name_row_and_column_and_no_value(name: str, value: Any, told: str) -> None:
    rows = [dict(row) for row in ROWS]
    rows[1][name] = value
    with pytest.raises(DataError) as caught:
        feeds_of(SCHEMA, rows)
    assert str(caught.value).startswith(told)
    assert "May" not in str(caught.value)


def test_columns_are_named_or_counted() -> None:
    with pytest.raises(DataError, match=r"no column 'siez'\. Did you mean 'size'\?"):
        feeds_of(SCHEMA, [{**ROWS[0], "siez": 1}])
    with pytest.raises(DataError, match="the rows lack the column 'rooms'"):
        feeds_of(SCHEMA, {name: v for name, v in columns().items() if name != "rooms"})
    with pytest.raises(DataError, match="no column 'more'"):
        feeds_of(SCHEMA, columns(more=[1, 2, 3]))
    with pytest.raises(DataError, match="different lengths"):
        feeds_of(SCHEMA, columns(size=[1]))
    with pytest.raises(DataError, match=r"rows have the shape \(2,\); the model takes 6 columns"):
        feeds_of(SCHEMA, [[1, 2]])
    for nothing in (frame()[:0], {name: [] for name in SCHEMA.names}):
        with pytest.raises(DataError, match="there are 0 rows"):
            feeds_of(SCHEMA, nothing)


def test_words_are_compared_as_the_estimator_does() -> None:
    """As text, 1, 1.0, True and "1" are one word; else "1" is another than 1."""

    def read(column: Column, *values: Any) -> list[str]:
        found = feeds_of(Schema("table", True, [column], []), {column.name: list(values)})
        return found[column.name][:, 0].tolist()

    as_text = Column("a", "word", categories=["1", "2"], text=True)
    assert read(as_text, 1, 1.0, True, "1", "x") == ["1", "1", "1", "1", STRANGER]
    as_it_is = Column("a", "word", categories=[1, 2])
    assert read(as_it_is, 1, 1.0, "1") == ["1", "1", STRANGER]
    with_none = Column("a", "word", nullable=True, categories=["x", None])
    assert read(with_none, "x", None) == ["x", "None"]
    no_list = Column("a", "word")
    assert read(no_list, "x", "") == ["x", ""]


def test_arrays_are_checked_for_their_shape() -> None:
    flat = Schema("array", False, [Column("0", "number"), Column("1", "number", True)], [], [2])
    np.testing.assert_array_equal(feeds_of(flat, [[1, None], [2, 3]])["X"], [[1, np.nan], [2, 3]])
    np.testing.assert_array_equal(feeds_of(flat, np.ones((1, 2), np.float32))["X"], [[1.0, 1.0]])
    for wrong in ([[1, 2, 3]], [1, 2], np.ones((0, 2)), [["a", "b"]], [[True, "1"]]):
        with pytest.raises(DataError):
            feeds_of(flat, wrong)
    with pytest.raises(DataError, match="row 0, '0' is missing"):
        feeds_of(flat, [[None, 1]])


# --- schemas -------------------------------------------------------------------------------------


def test_a_schema_survives_json() -> None:
    assert Schema.from_json(SCHEMA.to_json()) == SCHEMA
    for wrong in (
        5,
        {},
        {"form": "table"},
        SCHEMA.to_json() | {"form": "cloud"},
        SCHEMA.to_json() | {"extra": 1},
        SCHEMA.to_json() | {"columns": [{"name": "a", "kind": "colour"}]},
        SCHEMA.to_json() | {"columns": [{"name": "a", "kind": "word"}] * 2},
        SCHEMA.to_json() | {"columns": [{"name": "a", "kind": "word", "run": "x"}]},
        SCHEMA.to_json() | {"columns": [5]},
    ):
        with pytest.raises(DataError):
            Schema.from_json(wrong)


@pytest.mark.parametrize(
    ("values", "told", "kind", "cells"),
    [
        ([1, 2, None], None, "integer", [1, 2, None]),
        ([1.5, float("nan")], None, "number", [1.5, None]),
        ([True, False], None, "boolean", [True, False]),
        (["a", None, "b"], None, "word", ["a", None, "b"]),
        ([3, 1], "word", "word", [3, 1]),
        (["2024-05-01"], "date", "date", ["2024-05-01T00:00:00"]),
        ([DAY, pd.NaT], None, "date", ["2024-05-01T12:00:00", None]),
        ([DAY.replace(tzinfo=datetime.UTC)], None, "date", ["2024-05-01T12:00:00"]),
        ([np.timedelta64(90, "s")], "duration", "duration", [90.0]),
    ],
)
def test_columns_are_learned_from_cells(
    values: list[Any], told: str | None, kind: str, cells: list[Any]
) -> None:
    column, found = learn_column("a", values, kind=told)
    assert (column.kind, found) == (kind, cells)
    assert column.nullable == (None in cells)
    assert column.example == cells[0]


def test_profiles_are_those_of_numpy_and_pandas() -> None:
    values = np.random.default_rng(0).normal(size=500)
    told = profile_of([*values.tolist(), *[None] * 500])
    np.testing.assert_allclose(told["edges"], np.quantile(values, np.linspace(0, 1, 11)))
    assert told["null"] == 0.5
    words = pd.Series(list("aabbbc"))
    assert dict(map(tuple, profile_of(words.tolist())["counts"])) == dict(words.value_counts())
    many = profile_of([str(i) for i in range(200)])
    assert len(many["counts"]) == 50
    assert many["other"] == 150


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(-(2**53), 2**53)), min_size=1)
)
def test_what_was_learned_takes_what_it_was_learned_from(values: list[Any]) -> None:
    column, cells = learn_column("a", values)
    found = feeds_of(Schema("table", True, [column], []), {"a": cells})["a"][:, 0]
    wanted = [np.nan if is_missing(value) else float(value) for value in values]
    np.testing.assert_array_equal(found, wanted)
