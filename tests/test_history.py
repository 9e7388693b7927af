"""The rows of a history: slices, conditions, curves, frames."""

import pytest

from manumatic.history import History, Record

ROWS = History(
    Record(epoch, epoch + 1, part, "loss", 1.0 / (epoch + 1))
    for epoch in range(4)
    for part in ("train", "valid")
)


def test_slices_are_histories():
    assert isinstance(ROWS[2:4], History)
    assert ROWS[2:4].curve("loss", "valid") == [(1, 0.5)]
    assert ROWS[-1] == Record(3, 4, "valid", "loss", 0.25)


def test_where_picks_rows():
    assert ROWS.where(part="valid", epoch=1) == [Record(1, 2, "valid", "loss", 0.5)]
    assert ROWS.where(name="r2") == []
    with pytest.raises(AttributeError, match="metric"):
        ROWS.where(metric="r2")


def test_the_frame_is_tidy():
    frame = ROWS.frame
    assert list(frame.columns) == ["epoch", "step", "part", "name", "value"]
    wide = frame.pivot(index="epoch", columns="part", values="value")
    assert wide.loc[3].to_dict() == {"train": 0.25, "valid": 0.25}
