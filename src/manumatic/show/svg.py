"""Small drawings as inline SVG: no script, no library, colours from the page's CSS variables.

Every mark carries a ``<title>``, which browsers show on hover and screen readers read.
"""

__all__ = ["axis", "cost_chart", "fold_dots", "lever", "loss_curves", "ticks"]

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Points = Sequence[Sequence[float]]


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most ``most`` round numbers between low and high.

    Examples
    --------
    >>> ticks(52.3, 61.9)
    [54.0, 56.0, 58.0, 60.0]
    """
    rough = (high - low) / most or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def fold_dots(scores: Sequence[float], span: tuple[float, float], best: float, gear: str, digits: int) -> str:
    """One row's scores on the axis that all rows share: a dot a fold, a bar at the mean, a line at the best.

    Scores outside the span sit at its edge as a triangle.
    """
    place = _Line(span, 6, WIDE - 6)
    mean = sum(scores) / len(scores)
    marks = [f'<line class="guide" x1="{place(best)}" x2="{place(best)}" y1="0" y2="26"/>']
    low, high = place(min(scores)), place(max(scores))
    marks.append(f'<line class="reach {gear}" x1="{low}" x2="{high}" y1="13" y2="13"/>')
    for number, score in enumerate(scores, start=1):
        title = f"<title>fold {number}: {score:.{digits}f}</title>"
        x = place(score)
        if span[0] <= score <= span[1]:
            marks.append(f'<circle class="dot {gear}" cx="{x}" cy="13" r="3.6">{title}</circle>')
        else:
            tip = 4 if score > span[1] else -4
            marks.append(f'<path class="dot {gear}" d="M{x - tip} 9l{tip * 1.6} 4l{-tip * 1.6} 4z">{title}</path>')
    if span[0] <= mean <= span[1]:
        title = f"<title>mean {mean:.{digits}f}</title>"
        marks.append(f'<rect class="mean {gear}" x="{place(mean) - 1.25}" y="4" width="2.5" height="18">{title}</rect>')
    return _svg(WIDE, 26, marks, f"{len(scores)} folds, mean {mean:.{digits}f}", "dots")


def axis(span: tuple[float, float]) -> str:
    """The numbers under the dots."""
    place = _Line(span, 6, WIDE - 6)
    marks = []
    for tick in ticks(*span, most=4):
        x = place(tick)
        marks.append(f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="4"/>')
        marks.append(f'<text x="{x}" y="15" text-anchor="middle">{tick:g}</text>')
    return _svg(WIDE, 18, marks, "axis", "dots")


WIDE = 300


def loss_curves(curves: Mapping[str, Points]) -> str:
    """Training and validation loss over the epochs; a logarithmic axis where the loss falls far."""
    width, height, left, bottom = 480, 190, 46, 160
    values = [value for points in curves.values() for _, value in points if math.isfinite(value)]
    if not values:
        return ""
    low, high = min(values), max(values)
    far = low > 0 and high / low > 30
    bend = math.log10 if far else float
    y = _Line(_padded(bend(low), bend(high)), bottom, 12)
    x = _Line((min(p[0][0] for p in curves.values()), max(p[-1][0] for p in curves.values())), left, width - 8)
    marks = []
    for tick in _powers(low, high) if far else ticks(*y.span, most=4):
        level = y(bend(tick))
        marks.append(f'<line class="grid" x1="{left}" x2="{width - 8}" y1="{level}" y2="{level}"/>')
        marks.append(f'<text x="{left - 8}" y="{level + 3.5}" text-anchor="end">{tick:g}</text>')
    for tick in ticks(*x.span, most=6):
        marks.append(f'<text x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for part, points in curves.items():
        path = " ".join(f"{x(epoch)},{y(bend(value))}" for epoch, value in points if math.isfinite(value))
        title = f"{escape(part)}: {points[0][1]:.4g} to {points[-1][1]:.4g} in {len(points)} points"
        marks.append(f'<polyline class="curve {escape(part)}" points="{path}"><title>{title}</title></polyline>')
    marks.append(f'<text x="{width - 8}" y="{height - 2}" text-anchor="end">epoch</text>')
    return _svg(width, height, marks, "loss curves", "loss")


def cost_chart(rows: Sequence[Mapping[str, Any]], span: tuple[float, float], lower_is_better: bool) -> str:
    """What a better score costs: fit time (logarithmic) against mean score, better upwards.

    A line joins the models that nobody beats in both.
    """
    width, height, left, bottom = 1000, 300, 60, 262
    times = [math.log10(max(row["fit_seconds"], 1e-4)) for row in rows]
    x = _Line(_padded(min(times), max(times)), left, width - 120)
    y = _Line(span, 14, bottom) if lower_is_better else _Line(span, bottom, 14)
    marks = []
    for tick in ticks(*span, most=5):
        marks.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y(tick)}" y2="{y(tick)}"/>')
        marks.append(f'<text x="{left - 10}" y="{y(tick) + 3.5}" text-anchor="end">{tick:g}</text>')
    for power in range(math.ceil(x.span[0]), math.floor(x.span[1]) + 1):
        text = {-4: "0.1 ms", -3: "1 ms", -2: "10 ms", -1: "0.1 s"}.get(power, f"{10**power:g} s")
        marks.append(f'<text x="{x(power)}" y="{bottom + 20}" text-anchor="middle">{text}</text>')
    marks.append(f'<text x="{width}" y="{bottom + 34}" text-anchor="end">time of one fit</text>')
    places = [(x(time), y(row["mean"]), row) for time, row in zip(times, rows, strict=True)]
    front = _front(places)
    marks.append(f'<polyline class="front" points="{" ".join(f"{px},{py}" for px, py in front)}"/>')
    taken: list[tuple[float, float]] = []
    for px, py, row in sorted(places, key=lambda place: place[1]):
        name = escape(row["name"])
        label = py + 4
        while any(abs(label - other) < 13 and abs(px - near) < 150 for near, other in taken):
            label += 1
        taken.append((px, label))
        gear = row["gear"].lower()
        marks.append(f'<circle class="dot {gear}" cx="{px}" cy="{py}" r="5"><title>{name}: {row["mean"]:.4g}</title></circle>')
        marks.append(f'<text class="name" x="{px + 10}" y="{label}">{name}</text>')
    return _svg(width, height, marks, "fit time against score", "cost")


def lever(gear: str) -> str:
    """A gear gate: A for automatic, M for manual, the knob where the verdict put it."""
    x = {"scikit-learn": 34, "PyTorch": 106}.get(gear, 70)
    y = 70 if x == 70 else 40
    marks = [
        '<path class="gate" d="M34 40v60M106 40v60M34 70h72"/>',
        '<text x="34" y="18" text-anchor="middle">A</text><text x="106" y="18" text-anchor="middle">M</text>',
        f'<circle class="knob {gear.lower()}" cx="{x}" cy="{y}" r="17"/>',
        f'<circle class="shine" cx="{x - 5}" cy="{y - 6}" r="4"/>',
    ]
    return _svg(140, 112, marks, f"gear: {gear}", "lever")


class _Line:
    """A linear scale from numbers to pixels."""

    def __init__(self, span: tuple[float, float], start: float, end: float) -> None:
        self.span, self.start, self.end = span, start, end

    def __call__(self, value: float) -> float:
        low, high = self.span
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


def _padded(low: float, high: float) -> tuple[float, float]:
    edge = (high - low) * 0.06 or abs(low) * 0.1 or 1.0
    return low - edge, high + edge


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten between low and high, every second or third where there are many."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    return [10.0**power for power in range(first, last + 1, (last - first) // 5 + 1)]


def _front(places: Sequence[tuple[float, float, Any]]) -> list[tuple[float, float]]:
    """Pixels of the models that are faster than all better ones, as steps."""
    steps: list[tuple[float, float]] = []
    for px, py, _ in sorted(places, key=lambda place: place[:2]):
        if not steps or py < steps[-1][1]:
            steps += [(px, steps[-1][1])] if steps else []
            steps.append((px, py))
    return steps


def _svg(width: float, height: float, marks: Sequence[str], label: str, kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(marks)}</svg>"
    )
