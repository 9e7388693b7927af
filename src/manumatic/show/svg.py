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
    letters,
    level_marks,
    padded,
    round_text,
    shortened,
    stroke,
    ticks,
    whole_marks,
    words,
)

WIDE = 300  # of the dots
Box = tuple[float, float, float, float]  # left, top, right, bottom


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
    marks = [words(x(tick), 13, round_text(tick), "middle") for tick in ticks(*span, most=4)]
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
    x = Scale((min(epochs), max(epochs)), 46, 392)
    y = Axis(losses, 160, 26)
    marks = [words(0, 11, "loss, logarithmic" if y.log else "loss", "start")]
    marks += [*level_marks(y, 46, 392), *whole_marks(x, 176, most=6)]
    for part, line in kept.items():
        path = " ".join(f"{x(epoch)},{y(loss)}" for epoch, loss in line)
        title = hint(f"{part}: {line[0][1]:.4g} falls to {min(v for _, v in line):.4g}")
        marks.append(f'<polyline class="curve {escape(part)}" points="{path}">{title}</polyline>')
    return drawing(400, 192, [*marks, words(392, 190, "epoch", "end")], "loss curves", "loss")


def cost_chart(
    rows: Sequence[Mapping[str, Any]], span: Span, lower_is_better: bool, score: str
) -> str:
    """What a better score costs: fit time (logarithmic) against mean score, better upwards.

    A line joins the models that no other beats in both; their names are written first, and a name
    that would cover another is only in the dot's hint.
    """
    times = [max(row["fit_seconds"], 1e-4) for row in rows]
    x = Scale(padded(times, math.log10), 60, 880)
    y = Scale(span, *((34, 262) if lower_is_better else (262, 34)))
    marks = [words(0, 12, f"mean {score}", "start")]
    marks.append(words(1000, 302, "time of one fit, logarithmic", "end"))
    for tick in ticks(*span, most=7):
        marks += [
            stroke("grid", 60, y(tick), 1000, y(tick)),
            words(50, y(tick) + 4, round_text(tick), "end"),
        ]
    for power in range(math.ceil(x.span[0]), math.floor(x.span[1]) + 1):
        name = f"{10.0**power:,.10g} s" if power > -2 else f"{10 ** (power + 3):g} ms"
        marks.append(words(x(power), 282, name, "middle"))
    places = [(x(math.log10(time)), y(row["mean"])) for time, row in zip(times, rows, strict=True)]
    front = _front(places)
    path = " ".join(f"{across},{up}" for across, up in front)
    marks.append(f'<polyline class="front" points="{path}"/>')
    for row, (across, up) in zip(rows, places, strict=True):
        title = hint(f"{row['name']}: {row['mean']:.4g}")
        at = f'cx="{across}" cy="{up}" r="5.5"'
        marks.append(f'<circle class="dot {row["gear"].lower()}" {at}>{title}</circle>')
    first = sorted(range(len(rows)), key=lambda at: places[at] not in front)
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    taken += [(0, y(tick) - 7, 54, y(tick) + 7) for tick in ticks(*span, most=7)]
    names = _labels([rows[at]["name"] for at in first], [places[at] for at in first], taken)
    if hidden := len(rows) - len(names):
        marks.append(words(1000, 12, f"dots without a name: {hidden}; point at them", "end"))
    marks += names
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


def _labels(names: Sequence[str], places: Sequence[Place], taken: list[Box]) -> list[str]:
    """Each name beside its dot: right, left, above or below, where it covers nothing; or none."""
    found = []
    for name, (x, y) in zip(names, places, strict=True):
        name = shortened(name, 28)
        long = 7.0 * letters(name)
        boxes = {
            "start": (x + 9, y - 8, x + 9 + long, y + 8),
            "end": (x - 9 - long, y - 8, x - 9, y + 8),
            "above": (x - long / 2, y - 23, x + long / 2, y - 7),
            "below": (x - long / 2, y + 7, x + long / 2, y + 23),
        }
        for side, box in boxes.items():
            inside = box[0] >= 0 and box[2] <= 1000
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                at = {"start": box[0], "end": box[2]}.get(side, x)
                anchor = side if side in ("start", "end") else "middle"
                found.append(words(at, box[1] + 12, name, anchor, "name"))
                break
    return found


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
