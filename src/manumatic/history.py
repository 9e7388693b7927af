"""What training looked like: tidy rows, one value each."""

__all__ = ["History", "Record"]

from typing import Any, NamedTuple, SupportsIndex, overload


class Record(NamedTuple):
    """One value.

    Attributes
    ----------
    epoch, step : int
        Where: epochs count from 0, steps of the optimizer from 1. A loss is the mean over the
        epoch; a row of a weight holds its value when that epoch began, so that the last one says
        how the run ended.
    part : str
        "train" or "valid" for a loss or a metric; "weight" for a weight that is tracked.
    name : str
        "loss", the name of the metric, or the name of the weight.
    value : float
    """

    epoch: int
    step: int
    part: str
    name: str
    value: float


class History(list[Record]):
    """A list of :class:`Record` rows; a slice of it is a History, too.

    Examples
    --------
    >>> history = History()
    >>> history.add(0, 1, "train", "loss", 0.5)
    >>> history.add(1, 2, "train", "loss", 0.25)
    >>> history[-1:].curve("loss", "train")
    [(1, 0.25)]
    >>> history.where(epoch=0)[0].value
    0.5
    """

    def add(self, epoch: int, step: int, part: str, name: str, value: float) -> None:
        """Add a row; ``epoch`` and ``step`` count from 0 and 1."""
        self.append(Record(epoch, step, part, name, value))

    @overload
    def __getitem__(self, index: SupportsIndex) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "History": ...

    def __getitem__(self, index: SupportsIndex | slice) -> "Record | History":
        found = super().__getitem__(index)
        return History(found) if isinstance(found, list) else found

    def where(self, **wanted: Any) -> "History":
        """The rows with these values: ``where(part="valid", name="loss", epoch=3)``.

        Raises
        ------
        AttributeError
            A name that is no field of :class:`Record`.
        """
        pairs = wanted.items()
        return History(row for row in self if all(getattr(row, key) == v for key, v in pairs))

    def curve(self, name: str = "loss", part: str = "train") -> list[tuple[int, float]]:
        """``(epoch, value)`` for each row of that name and part."""
        return [(row.epoch, row.value) for row in self if (row.name, row.part) == (name, part)]

    @property
    def frame(self) -> Any:
        """The rows as a pandas DataFrame with the columns epoch, step, part, name, value."""
        import pandas as pd

        return pd.DataFrame(list(self), columns=list(Record._fields))

    def _repr_html_(self) -> str:
        return str(self.frame._repr_html_())
