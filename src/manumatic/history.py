"""What training looked like: tidy rows, one value each."""

__all__ = ["History", "Record"]

from typing import Any, NamedTuple


class Record(NamedTuple):
    """One value: ``part`` is "train" or "valid", ``name`` is "loss" or a metric."""

    epoch: int
    step: int
    part: str
    name: str
    value: float


class History(list[Record]):
    """A list of :class:`Record` rows.

    Examples
    --------
    >>> history = History()
    >>> history.add(0, 1, "train", "loss", 0.5)
    >>> history.curve("loss", "train")
    [(0, 0.5)]
    """

    def add(self, epoch: int, step: int, part: str, name: str, value: float) -> None:
        """Add a row; ``epoch`` and ``step`` count from 0 and 1."""
        self.append(Record(epoch, step, part, name, value))

    def curve(self, name: str = "loss", part: str = "train") -> list[tuple[int, float]]:
        """``(epoch, value)`` for each row of that name and part."""
        return [(row.epoch, row.value) for row in self if (row.name, row.part) == (name, part)]

    @property
    def frame(self) -> Any:
        """The rows as a pandas DataFrame with the columns epoch, step, part, name, value."""
        import pandas as pd

        return pd.DataFrame(list(self), columns=list(Record._fields))
