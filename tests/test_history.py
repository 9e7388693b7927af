"""The rows of a history: slices, conditions, curves, frames; how rows look in a notebook."""

import pytest

from manumatic.history import History, Record
from manumatic.logbook import Logbook

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


def test_a_notebook_shows_a_short_table_of_a_long_history():
    shown = History([*ROWS] * 200)._repr_html_()
    assert shown.count("<tr") < 100
    assert "<th>value</th>" in shown


def test_a_notebook_shows_every_reason_of_a_logbook_whole():
    book, why = Logbook(), "because " * 20
    book.note("data", "scaled <b>", why)
    assert why.strip() in book._repr_html_()
    assert "scaled &lt;b&gt;" in book._repr_html_()
