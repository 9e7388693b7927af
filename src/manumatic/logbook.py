"""What the automatic gear decided and why, in the words of the five components."""

__all__ = ["Entry", "Logbook", "PARTS"]

from typing import Any, NamedTuple

PARTS = ("data", "model", "loss", "optimizer", "loop")


class Entry(NamedTuple):
    """One decision."""

    part: str
    did: str
    why: str


class Logbook(list[Entry]):
    """A list of :class:`Entry` rows that prints as a table.

    Examples
    --------
    >>> book = Logbook()
    >>> book.note("optimizer", "AdamW, lr 0.001", "a safe start for most networks")
    >>> print(book)
    optimizer  AdamW, lr 0.001  a safe start for most networks
    """

    def note(self, part: str, did: str, why: str) -> None:
        """Add a row; part is one of data, model, loss, optimizer, loop."""
        if part not in PARTS:
            raise ValueError(f"part must be one of {', '.join(PARTS)}; got {part!r}")
        self.append(Entry(part, did, why))

    @property
    def frame(self) -> Any:
        """The rows as a pandas DataFrame with the columns part, did, why."""
        import pandas as pd

        return pd.DataFrame(list(self), columns=list(Entry._fields))

    def _repr_html_(self) -> str:
        import pandas as pd

        with pd.option_context("display.max_colwidth", None):  # a reason is not cut
            return str(self.frame.to_html(index=False))

    def __str__(self) -> str:
        if not self:
            return "(empty)"
        widths = [max(len(row[i]) for row in self) for i in range(2)]
        return "\n".join(f"{r.part:<{widths[0]}}  {r.did:<{widths[1]}}  {r.why}" for r in self)
