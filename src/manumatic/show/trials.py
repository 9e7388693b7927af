"""Trials of a search as a picture: a point each, and the best so far."""

__all__ = ["trials_chart"]

import math
from collections.abc import Sequence

from manumatic.show.frame import (
    Axis,
    Scale,
    drawing,
    hint,
    level_marks,
    short,
    whole_marks,
    words,
)

WIDE, HIGH = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 50, 500, 30, 232


def trials_chart(points: Sequence[tuple[int, float, str]], *, value: str, less: bool) -> str:
    """A point a trial over its number, hollow where it was stopped; a line for the best so far.

    Parameters
    ----------
    points : sequence of (number, value, state)
        The value that a trial ended with; the state is "complete" or says why it was stopped.
    value : str
        The title of the axis.
    less : bool
        Whether less is better.

    Returns
    -------
    str
        SVG; empty where there is no finite value of a complete trial.

    Examples
    --------
    >>> picture = trials_chart([(0, 0.5, "complete"), (1, 0.7, "pruned")], value="loss", less=True)
    >>> picture.count("<circle"), "best 0.5" in picture
    (2, True)
    """
    points = [point for point in points if math.isfinite(point[1])]
    done = [(number, found) for number, found, state in points if state == "complete"]
    if not done:
        return ""
    better = min if less else max
    best = better(found for _, found in done)
    x = Scale((0, max(1, *(number for number, _, _ in points))), LEFT + 8, RIGHT)
    y = Axis([found for _, found, _ in points], BOTTOM, TOP)
    marks = [words(0, 12, f"{value}, logarithmic" if y.log else value, "start", "what")]
    marks += [*level_marks(y, LEFT, RIGHT), *whole_marks(x, BOTTOM + 18)]
    marks.append(words(RIGHT, BOTTOM + 34, "trial", "end"))
    for number, found, state in points:
        fill = "var(--soft)" if state == "complete" else "none; stroke: var(--soft)"
        at = f'cx="{x(number)}" cy="{y(found)}" r="3"'
        tip = hint(f"trial {number}: {short(found)}, {state}")
        marks.append(f'<circle {at} style="fill: {fill}">{tip}</circle>')
    if len(done) < len(points):
        marks.append(words(0, HIGH - 4, "hollow: stopped early", "start"))
    path = _staircase(x, y, done, less)
    marks.append(f'<polyline class="curve tone0" points="{path}">{hint("best so far")}</polyline>')
    marks.append(words(RIGHT + 8, y(best) + 4, f"best {short(best)}", "start", "name tone0"))
    return drawing(WIDE, HIGH, marks, f"{value} of {len(points)} trials", "curves")


def _staircase(x: Scale, y: Axis, done: Sequence[tuple[int, float]], less: bool) -> str:
    """The best so far, level until a trial does better."""
    places: list[str] = []
    best = done[0][1]
    for number, found in done:
        places.append(f"{x(number)},{y(best)}")
        best = min(best, found) if less else max(best, found)
        places.append(f"{x(number)},{y(best)}")
    return " ".join([*places, f"{RIGHT},{y(best)}"])
