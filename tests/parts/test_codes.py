"""Columns as plain numbers, against pandas' own codes."""

import numpy as np
import pandas as pd
import pytest

from manumatic.errors import DataError
from manumatic.parts.codes import Codes


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "city": ["Ulm", "Bonn", None, "Kiel", "Ulm", "Bonn"],
            "size": [50.0, np.nan, 80.5, 1e6, 3.0, 4.0],
            "lift": [True, False, True, True, False, True],
            "stay": pd.to_timedelta([1, 2, 3, 4, 5, 6], unit="h"),
            "plan": pd.Categorical(["a", "b", "a", "c", "c", "a"]),
            "same": 1,
        }
    )


def test_columns_keep_their_order_and_their_values() -> None:
    table = frame()
    codes = Codes()
    found = codes.fit_transform(table)
    np.testing.assert_array_equal(found[:, 0], pd.Categorical(table.city).codes)  # -1 is missing
    np.testing.assert_array_equal(found[:, 1], table["size"])
    np.testing.assert_array_equal(found[:, 2], table.lift)
    np.testing.assert_array_equal(found[:, 3], table.stay.dt.total_seconds())
    np.testing.assert_array_equal(found[:, 4], table.plan.cat.codes)
    assert found.shape == (6, 5)  # one value in all rows says nothing
    assert codes.labels_ == [0, 4]
    np.testing.assert_array_equal(codes.transform(table), found)


def test_a_label_that_was_not_there_is_missing() -> None:
    codes = Codes().fit(frame())
    assert codes.transform(frame().assign(city="Rom"))[:, 0].tolist() == [-1] * 6


def test_dates_and_texts_become_numbers() -> None:
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, 30), unit="D")
    words = [" ".join(rng.choice(["tea", "is", "good", "not", "hot"], 6)) for _ in range(30)]
    table = pd.DataFrame({"note": words, "day": day, "x": rng.normal(size=30)})
    found = Codes().fit_transform(table)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, -1], table.x)
    assert found.shape[1] > 3


def test_an_array_passes_through() -> None:
    X = np.array([[1.0, np.nan], [3.0, 4.0]])
    np.testing.assert_array_equal(Codes().fit_transform(X), X)


def test_a_table_of_no_use_is_an_error() -> None:
    with pytest.raises(DataError, match="no column is of use"):
        Codes().fit(pd.DataFrame({"same": [1, 1, 1]}))
