"""Small drawings as inline SVG: no script, no library, colours from the page's CSS variables.

Every mark carries a ``<title>``, which browsers show on hover and screen readers read.
"""

__all__ = ["axis", "cost_chart", "fold_dots", "lever", "loss_curves"]

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from manumatic.show.frame import (
    Axis,
    Place,
    Scale,
    Span,
    drawing,
    hint,
    padded,
    stroke,
    ticks,
    words,
)

WIDE = 300  # of the dots


def fold_dots(row: Mapping[str, Any], span: Span, best: float, digits: int) -> str:
    """The scores of a row on the axis that all rows share.

    A dot a fold, a bar at the mean, a line at the best mean; what is beyond the span is a triangle
    at its edge.
    """
    x, gear = Scale(span, 6, WIDE - 6), row["gear"].lower()
    marks = [stroke("guide", x(best), 0, x(best), 28)]
    marks.append(stroke(f"reach {gear}", x(min(row["scores"])), 14, x(max(row["scores"])), 14))
    for number, score in enumerate(row["scores"], start=1):
        title, at = hint(f"fold {number}: {score:,.{digits}f}"), x(score)
        if span[0] <= score <= span[1]:
            shape = f'<circle class="dot {gear}" cx="{at}" cy="14" r="4.2">{title}</circle>'
        else:
            tip = 7 if score > span[1] else -7
            shape = f'<path class="dot {gear}" d="M{at} 14l{-tip} -4.5v9z">{title}</path>'
        marks.append(shape)
    if span[0] <= row["mean"] <= span[1]:
        at, title = x(row["mean"]) - 1.25, hint(f"mean {row['mean']:,.{digits}f}")
        bar = f'x="{at}" y="5" width="2.5" height="18"'
        marks.append(f'<rect class="mean" {bar}>{title}</rect>')
    return drawing(WIDE, 28, marks, f"scores of {row['name']}", "dots")


def axis(span: Span) -> str:
    """The numbers under the dots."""
    x = Scale(span, 6, WIDE - 6)
    marks = [words(x(tick), 13, f"{tick:,.10g}", "middle") for tick in ticks(*span, most=4)]
    return drawing(WIDE, 18, marks, "axis", "dots")


def loss_curves(curves: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Training and validation loss over the epochs; a logarithmic axis where the loss falls far.

    Parameters
    ----------
    curves : mapping
        ``{"train": [(epoch, loss), ...], "valid": ...}``; empty where there is no history.
    """
    kept = {
        part: [(epoch, loss) for epoch, loss in points if math.isfinite(loss)]
        for part, points in curves.items()
    }
    points = [point for part in kept.values() for point in part]
    if not points:
        return ""
    epochs, losses = zip(*points, strict=True)
    x = Scale((min(epochs), max(epochs)), 46, 472)
    y = Axis(losses, 160, 12)
    marks = []
    for level in y.levels:
        marks += [
            stroke("grid", 46, y(level), 472, y(level)),
            words(38, y(level) + 4, f"{level:.3g}", "end"),
        ]
    marks += [words(x(tick), 176, f"{tick:,.10g}", "middle") for tick in ticks(*x.span, most=6)]
    for part, line in kept.items():
        path = " ".join(f"{x(epoch)},{y(loss)}" for epoch, loss in line)
        title = hint(f"{part}: {line[0][1]:.4g} falls to {min(v for _, v in line):.4g}")
        marks.append(f'<polyline class="curve {escape(part)}" points="{path}">{title}</polyline>')
    return drawing(480, 192, [*marks, words(472, 190, "epoch", "end")], "loss curves", "loss")


def cost_chart(rows: Sequence[Mapping[str, Any]], span: Span, lower_is_better: bool) -> str:
    """What a better score costs: fit time (logarithmic) against mean score, better upwards.

    A line joins the models that no other beats in both.
    """
    times = [max(row["fit_seconds"], 1e-4) for row in rows]
    x = Scale(padded(times, math.log10), 60, 880)
    y = Scale(span, *((16, 262) if lower_is_better else (262, 16)))
    marks = [words(1000, 302, "time of one fit", "end")]
    for tick in ticks(*span, most=7):
        marks += [
            stroke("grid", 60, y(tick), 1000, y(tick)),
            words(50, y(tick) + 4, f"{tick:,.10g}", "end"),
        ]
    for power in range(math.ceil(x.span[0]), math.floor(x.span[1]) + 1):
        name = f"{10**power:g} s" if power > -2 else f"{10 ** (power + 3):g} ms"
        marks.append(words(x(power), 282, name, "middle"))
    places = [(x(math.log10(time)), y(row["mean"])) for time, row in zip(times, rows, strict=True)]
    path = " ".join(f"{across},{up}" for across, up in _front(places))
    marks.append(f'<polyline class="front" points="{path}"/>')
    for row, (across, up) in zip(rows, places, strict=True):
        title = hint(f"{row['name']}: {row['mean']:.4g}")
        at = f'cx="{across}" cy="{up}" r="5.5"'
        marks.append(f'<circle class="dot {row["gear"].lower()}" {at}>{title}</circle>')
    marks += _labels([row["name"] for row in rows], places)
    return drawing(1000, 306, marks, "fit time against score", "cost")


def lever(gear: str) -> str:
    """A gear gate: A for automatic, M for manual, the knob where the verdict put it."""
    x, y = {"scikit-learn": (34, 40), "PyTorch": (106, 40)}.get(gear, (70, 70))
    marks = [
        '<path class="gate" d="M34 40v60M106 40v60M34 70h72"/>',
        words(34, 16, "A", "middle"),
        words(106, 16, "M", "middle"),
        f'<circle class="knob {gear.lower()}" cx="{x}" cy="{y}" r="17"/>',
        f'<circle class="shine" cx="{x - 5}" cy="{y - 6}" r="4"/>',
    ]
    return drawing(140, 112, marks, f"gear: {gear}", "lever")


def _front(places: Sequence[Place]) -> list[Place]:
    """Steps along the places that are higher than all to their left."""
    steps: list[Place] = []
    for across, up in sorted(places):
        if not steps or up < steps[-1][1]:
            steps += [(across, steps[-1][1]), (across, up)] if steps else [(across, up)]
    return steps


def _labels(names: Sequence[str], places: Sequence[Place]) -> list[str]:
    """Each name beside its dot: right, left, above or below, where it covers nothing."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    found = []
    for name, (x, y) in zip(names, places, strict=True):
        long = 7.0 * len(name)
        boxes = {
            "start": (x + 9, y - 6, x + 9 + long, y + 6),
            "end": (x - 9 - long, y - 6, x - 9, y + 6),
            "above": (x - long / 2, y - 20, x + long / 2, y - 8),
            "below": (x - long / 2, y + 8, x + long / 2, y + 20),
        }
        if boxes["end"][0] < 60:  # the numbers of the axis are there
            del boxes["end"]
        free = (side for side in boxes if not any(_overlap(boxes[side], box) for box in taken))
        side = next(free, "start")
        taken.append(boxes[side])
        left, top, right, _ = boxes[side]
        anchor = {"start": (left, "start"), "end": (right, "end")}.get(side, (x, "middle"))
        found.append(words(anchor[0], top + 10, name, anchor[1], "name"))
    return found


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
