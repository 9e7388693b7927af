"""What tuning found: its trials as a table, a picture, JSON and one sentence."""

__all__ = ["LOSS", "Trial", "Tuned"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from manumatic.show.frame import short
from manumatic.show.style import standalone, with_picture
from manumatic.show.text import duration
from manumatic.show.trials import trials_chart

LOSS = "validation loss"
SHOWN = 8  # trials in a printed table


@dataclass(frozen=True)
class Trial:
    """What became of one draw.

    Attributes
    ----------
    number : int
    state : str
        "complete"; "pruned", stopped because it lagged; "diverged"; "unfinished", stopped by the
        time, Ctrl-C or a kill, its draw is tried again; "repeat", drawn before; "error";
        "running", in another process.
    score : float
        NaN where it is not complete.
    epochs : int
        Trained, or compared where the process was killed.
    seconds : float
    params : dict
        As the study holds them; empty for the net as it is.
    last : float
        The last validation loss that was compared; NaN where there is none.
    why : str
        Of a training that diverged.

    Examples
    --------
    >>> Trial(0, "complete", 0.25, 10, 1.5, {}).state
    'complete'
    """

    number: int
    state: str
    score: float
    epochs: int
    seconds: float
    params: Mapping[str, Any]
    last: float = math.nan
    why: str = ""


@dataclass(frozen=True, eq=False)
class Tuned:
    """What tuning found.

    Attributes
    ----------
    best : Classifier, Regressor or Autoencoder
        Fitted on all rows with the best parameters.
    params : dict
        The best parameters; empty where nothing did better than the net as it is.
    score : float
        On the rows held out: the mean validation loss, or the score of ``scoring``.
    value : str
        What the score is: "validation loss", where less is better, or the name of a scorer.
    rows : list of Trial
        All trials of the study, those of other processes and earlier calls among them.
    study : optuna.Study
    seconds : float
        That this call took.
    interrupted : bool
        Ctrl-C came before time was over.

    Examples
    --------
    >>> rows = [Trial(0, "complete", 0.25, 10, 1.5, {})]
    >>> print(Tuned(None, {}, 0.25, "validation loss", rows).sentence)
    1 trial: none did better than the net as it is, with a validation loss of 0.25.
    """

    best: Any
    params: dict[str, Any]
    score: float
    value: str
    rows: Sequence[Trial] = ()
    study: Any = field(default=None, repr=False)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def frame(self) -> Any:
        """One row a trial, as a pandas DataFrame: what became of it, and what it had drawn."""
        import pandas as pd

        names = list(dict.fromkeys(name for row in self.rows for name in row.params))
        columns = ("number", "state", "score", "epochs", "seconds", "last", "why")
        rows = [
            [getattr(row, name) for name in columns] + [row.params.get(name) for name in names]
            for row in self.rows
        ]
        return pd.DataFrame(rows, columns=[*columns, *names])

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        states = [row.state for row in self.rows]
        counted = {state: states.count(state) for state in dict.fromkeys(states)}
        others = [f"{n} {state}" for state, n in counted.items() if state != "complete"]
        said = f"{len(states)} trial{'s' if len(states) != 1 else ''}"
        said += f" ({', '.join(others)}): " if others else ": "
        if self.interrupted:
            said = f"Interrupted. {said}"
        if not self.params:
            return (
                f"{said}none did better than the net as it is, with a {self.value} of "
                f"{short(self.score)}."
            )
        said += f"the best has a {self.value} of {short(self.score)}"
        as_it_is = [row.score for row in self.rows if not row.params and row.state == "complete"]
        return f"{said}, the net as it is {short(as_it_is[0])}." if as_it_is else f"{said}."

    def svg(self) -> str:
        """The scores over the trials as an SVG with its styles inside; empty without any."""
        points = [
            (row.number, row.score if row.state == "complete" else row.last, row.state)
            for row in self.rows
            if row.state == "complete" or self.value == LOSS
        ]
        picture = trials_chart(points, value=self.value, less=self.value == LOSS)
        return standalone(picture) if picture else ""

    def facts(self) -> dict[str, Any]:
        """All of it as plain values that JSON can hold; None for what is not finite."""
        rows = [{name: _plain(cell) for name, cell in vars(row).items()} for row in self.rows]
        return {
            "schema": 1,
            "params": {name: _plain(value) for name, value in self.params.items()},
            "score": _plain(self.score),
            "value": self.value,
            "sentence": self.sentence,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "trials": rows,
        }

    def __str__(self) -> str:
        sign = 1 if self.value == LOSS else -1
        done = [row for row in self.rows if row.state == "complete"]
        best = sorted(done, key=lambda row: sign * row.score)[:SHOWN]
        cells = [("trial", self.value, "epochs", "time", "drawn"), *map(_cells, best)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        ]
        return "\n".join([*lines, "", self.sentence])

    def _repr_html_(self) -> str:
        return with_picture(str(self), self.svg())


def _cells(row: Trial) -> tuple[str, ...]:
    drawn = ", ".join(
        f"{name}={short(value) if isinstance(value, float) else value}"
        for name, value in row.params.items()
    )
    took = duration(row.seconds)
    return str(row.number), short(row.score), str(row.epochs), took, drawn or "the net as it is"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inside) for name, inside in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)
