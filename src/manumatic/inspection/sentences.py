"""A sweep in words: an aligned table, and one sentence with one suggestion."""

__all__ = ["on_range_test", "on_runs", "table"]

import math
from collections.abc import Iterable, Sequence

from manumatic.doctor.stability import at_most
from manumatic.inspection.range_test import Probe, RangeTest
from manumatic.inspection.rates import Run, ends_at
from manumatic.show.frame import short
from manumatic.show.text import duration

WHY = "each step overshoots by more than it corrects"


def table(rows: Sequence[Run] | Sequence[Probe], diverges_from: float | None = None) -> str:
    """Rates side by side, or a range test in about a dozen of its steps."""
    runs = [row for row in rows if isinstance(row, Run)]
    if runs:
        head = ("lr", "final loss", "best loss", "diverged at", "time", "verdict")
        return _aligned([head, *map(_cells, runs)])
    probes = [row for row in rows if isinstance(row, Probe)]
    each, lowest = max(1, len(probes) // 12), min(probes, key=lambda probe: probe.smoothed)
    named = {diverges_from: "diverges from here", lowest.lr: "lowest"}
    shown = [p for at, p in enumerate(probes) if at % each == 0 or p.lr in named]
    cells = [(f"{p.lr:.2g}", _number(p.smoothed), named.get(p.lr, "")) for p in shown]
    return _aligned([("lr", "smoothed loss", ""), *cells])


def on_runs(
    runs: Sequence[Run], best: Run | None, *, part: str, limit: float | None, epochs: int
) -> tuple[float, str]:
    """The suggestion and the sentence for rates side by side."""
    wild = sorted((run for run in runs if run.diverged_at is not None), key=lambda run: run.lr)
    if best is None:
        return _none_left(wild, limit)
    value, span = "loss", f"after {epochs:,} epochs"
    if part == "valid":
        value, span = "validation loss", "of all epochs"
    said = f"Take lr {best.lr:g}: its {value} of {short(ends_at(best, part))} is the lowest {span}"
    slow = [run for run in runs if run.verdict == "slow"]
    if slow:
        values = _list([short(ends_at(run, part)) for run in slow])
        said += f", where {_rates(slow)} {_are(slow)} still at {values}"
    return best.lr, f"{said}; {_wild(wild, limit)}." if wild else f"{said}."


def _none_left(wild: Sequence[Run], limit: float | None) -> tuple[float, str]:
    """All rates diverged."""
    lr, where = wild[0].lr / 10, f"a tenth of {wild[0].lr:g}"
    if limit is not None and limit < wild[0].lr:
        lr, where = limit / 2, "half of that"
    lr = float(at_most(lr))
    return lr, f"{_wild(wild, limit)}; take {lr:g}, {where}."


def on_range_test(test: RangeTest, limit: float | None) -> tuple[float, str]:
    """The suggestion and the sentence for a range test.

    A limit that is known is better than a test: half of it is suggested then.
    """
    grows = "" if test.diverges_from is None else f"from {test.diverges_from:.2g} on"
    if limit is not None:
        lr = float(at_most(limit / 2))
        said = f"Take lr {lr:g}, half of the stability limit {at_most(limit)}, above which {WHY}"
        shows = f"; the test, with one step a rate, shows it {grows}" if grows else ""
        return lr, f"{said}{shows}."
    lr, lowest = float(at_most(test.suggested)), test.lowest
    said = (
        f"Take lr {lr:g}, a tenth of {lowest.lr:.2g}, where the loss of the test is lowest "
        f"({short(lowest.smoothed)} from {short(test.probes[0].smoothed)} at the start)"
    )
    return lr, f"{said}; {grows} it grows for good." if grows else f"{said}."


# --- pieces --------------------------------------------------------------------------------------


def _wild(runs: Sequence[Run], limit: float | None) -> str:
    """Why these rates exploded, and when."""
    epochs = [str(run.diverged_at) for run in runs]
    when = f"in epoch{'s' if len(runs) > 1 else ''} {_list(epochs)}"
    if limit is not None and runs[0].lr > limit:
        too_high = f"above the stability limit {at_most(limit)}"
    else:
        too_high = "too high"
    return (
        f"lr {_rates(runs)} {_are(runs)} {too_high}, so that {WHY} and the loss is no longer "
        f"finite {when}"
    )


def _rates(runs: Iterable[Run]) -> str:
    return _list([f"{run.lr:g}" for run in runs])


def _are(runs: Sequence[Run]) -> str:
    return "are" if len(runs) > 1 else "is"


def _list(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _cells(run: Run) -> tuple[str, ...]:
    return (
        f"{run.lr:g}",
        _number(run.final_loss),
        _number(run.best_loss),
        "-" if run.diverged_at is None else f"epoch {run.diverged_at}",
        duration(run.seconds),
        run.verdict,
    )


def _number(value: float) -> str:
    return short(value) if math.isfinite(value) else str(value)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns of equal width: numbers to the right, the last one, words, to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        numbers = [f"{cell:>{width}}" for cell, width in zip(line[:-1], widths, strict=False)]
        text.append("  ".join([*numbers, line[-1]]).rstrip())
    return "\n".join(text)
