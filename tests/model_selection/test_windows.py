"""Windows of a series: what is forecast comes after all that is seen, whatever the settings."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manumatic.errors import DataError
from manumatic.model_selection import windows


@settings(max_examples=100, deadline=None)
@given(
    length=st.integers(1, 12),
    horizon=st.integers(1, 6),
    step=st.integers(1, 5),
    more=st.integers(0, 40),
)
def test_no_window_sees_its_future(length, horizon, step, more):
    clock = np.arange(float(length + horizon + more))  # each value is the time it was measured
    X, y = windows(clock, length, horizon, step)
    y = y.reshape(len(X), -1)
    assert X.shape[1:] == (length, 1)
    assert y.shape[1] == horizon
    expected = [list(clock[s : s + length]) for s in range(0, more + 1, step)]
    assert X[:, :, 0].tolist() == expected
    assert (X.max(axis=(1, 2)) + 1 == y[:, 0]).all()
    assert (np.diff(y, axis=1) == 1).all()


def test_dates_are_kept_and_left_out_dates_are_gaps():
    dates = pd.date_range("2024-01-01", periods=10, freq="D")
    table = pd.DataFrame({"sold": np.arange(10.0), "rain": 0.5}, index=dates).drop(dates[4])
    X, y = windows(table, 3, target="sold")
    assert np.isnan(X[1, 2]).all()  # 3 to 5 January; that of 2 to 4 has no target
    assert dates[4] not in y.index
    assert (y.to_numpy() == [(date - dates[0]).days for date in y.index]).all()
    _, several = windows(table["sold"], 2, horizon=2)
    assert several.shape[1] == 2
    assert several.index[0] == dates[2]
    months = pd.Series(np.arange(24.0), pd.date_range("2023-01-31", periods=24, freq="ME"))
    assert len(windows(months, 12)[1]) == 12


@pytest.mark.parametrize(
    ("series", "wanted", "said"),
    [
        (np.arange(5), {"length": 5}, "has 5 steps; windows of 5 and 1 to forecast need 6"),
        (np.arange(5), {"length": 0}, "length must be a whole number, 1 or more; got 0"),
        (np.zeros((9, 2)), {"length": 3}, "target=None names no feature"),
        (np.zeros((9, 2)), {"length": 3, "target": 2}, "target=2 names no feature"),
        (["a", "b", "c"], {"length": 1}, "no number"),
        (
            pd.Series([1.0, 2, 3], pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"])),
            {"length": 1},
            "not in order",
        ),
        (
            pd.Series(range(4), pd.to_datetime([0, 24, 48, 55], unit="h")),
            {"length": 1},
            "unevenly spaced",
        ),
    ],
)
def test_one_clear_error(series, wanted, said):
    with pytest.raises(DataError, match=said):
        windows(series, **wanted)
