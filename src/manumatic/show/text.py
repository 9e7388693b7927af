"""The facts of a comparison as aligned text."""

__all__ = ["decimals", "duration", "leaderboard"]

import math
from collections.abc import Mapping
from typing import Any

HEAD = ("#", "model", "gear", "", "vs best", "verdict", "fit", "predict/row")
PADS = "<<<>><>>"
UNITS = [(3600.0, "h"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]


def decimals(spread: float) -> int:
    """Decimals, 0 to 12, that show a standard deviation with two or three digits.

    Examples
    --------
    >>> decimals(2.34), decimals(0.0159), decimals(2228.0)
    (2, 3, 0)
    """
    size = math.floor(math.log10(spread)) if spread > 0 else 0
    return min(max(2 - size if size >= 0 else 1 - size, 0), 12)


def duration(seconds: float) -> str:
    """A time with its unit.

    Examples
    --------
    >>> duration(0.0031), duration(75.2), duration(9000.0)
    ('3.1 ms', '75.2 s', '2.5 h')
    """
    size, unit = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / size:.{0 if seconds >= 100 * size else 1}f} {unit}"


def leaderboard(facts: Mapping[str, Any]) -> str:
    """The rows as a table, best first; below it what failed, and who had no turn.

    Parameters
    ----------
    facts : mapping
        What ``Comparison.facts()`` returns.
    """
    label = facts["metric"]["label"]
    lines = [tuple(cell or f"{label} ± sd" for cell in HEAD)]
    lines += [_cells(place, row, facts) for place, row in enumerate(facts["rows"], start=1)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            f"{cell:{pad}{width}}" for cell, pad, width in zip(line, PADS, widths, strict=True)
        )
        for line in lines
    ]
    text += [f"{row['name']} failed: {row['error']}" for row in facts["rows"] if row["error"]]
    if facts["missed"]:
        why = "interrupted" if facts["interrupted"] else "time limit reached"
        text.append(f"{why}; no turn for {', '.join(facts['missed'])}")
    return "\n".join(line.rstrip() for line in text)


def _cells(place: int, row: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[str, ...]:
    if row["verdict"] == "failed":
        return "-", row["name"], row["gear"], "-", "-", "failed", "-", "-"
    digits = facts["metric"]["decimals"]
    return (
        str(place),
        row["name"],
        row["gear"],
        f"{row['mean']:,.{digits}f} ± {row['sd']:,.{digits}f}",
        "-" if row["verdict"] == "best" else f"{row['difference']:+,.{digits}f}",
        row["verdict"],
        duration(row["fit_seconds"]),
        duration(row["predict_us"] / 1e6),
    )
