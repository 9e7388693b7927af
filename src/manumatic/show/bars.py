"""Bars side by side, longest first: which columns count for how much."""

__all__ = ["MOST", "bars"]

from collections.abc import Sequence

from manumatic.show.frame import Scale, drawing, hint, short, shortened, stroke, words

MOST = 20  # rows that can be read at a glance
LINE, LEFT, RIGHT = 22, 180, 420


def bars(names: Sequence[str], values: Sequence[float], label: str) -> str:
    """A bar a name; the longest ``MOST`` of them, and how many are left out.

    Parameters
    ----------
    names : sequence of str
    values : sequence of float
        0 or more and finite.
    label : str
        What is drawn: the caption, and what a screen reader says.

    Examples
    --------
    >>> picture = bars(["rooms", "age"], [3.0, 0.5], "attribution")
    >>> picture.count("<rect"), picture.index("rooms") < picture.index("age")
    (2, True)
    """
    rows = sorted(zip(values, names, strict=True), key=lambda row: -row[0])
    x = Scale((0.0, rows[0][0] if rows and rows[0][0] > 0 else 1.0), LEFT, RIGHT)
    marks = [words(LEFT, 12, label, "start")]
    for number, (value, name) in enumerate(rows[:MOST], start=1):
        y = number * LINE
        size = f'x="{LEFT}" y="{y}" width="{round(x(value) - LEFT, 1)}" height="14" rx="2"'
        marks += [
            words(LEFT - 8, y + 11, shortened(name, 28), "end"),
            f'<rect {size} style="fill: var(--manual)">{hint(f"{name}: {value:.4g}")}</rect>',
            words(x(value) + 6, y + 11, short(value), "start"),
        ]
    shown = min(len(rows), MOST)
    high = (shown + 1) * LINE
    marks.append(stroke("grid", LEFT, LINE - 4, LEFT, high - 4))
    if len(rows) > shown:
        marks.append(words(LEFT, high + 10, f"and {len(rows) - shown} shorter ones", "start"))
        high += LINE - 4
    return drawing(480, high, marks, label, "bars")
