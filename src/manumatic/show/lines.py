"""Learning rates as pictures: side by side over the epochs, or tested from small to large."""

__all__ = ["frame_for", "range_chart", "rates_chart"]

import math
from collections.abc import Mapping, Sequence
from typing import Any

from manumatic.show.curves import spread, thinned
from manumatic.show.frame import (
    Axis,
    Place,
    Scale,
    drawing,
    falls_far,
    hint,
    level_marks,
    short,
    stroke,
    whole_marks,
    words,
)

WIDE, HIGH = 640, 320
LEFT, BOTTOM = 50, 264
LETTER = 6.1  # pixels of a letter


def rates_chart(
    curves: Mapping[float, Sequence[Place]],
    *,
    suggested: float,
    diverged: Mapping[float, str],
    caption: str = "",
    value: str = "loss",
) -> str:
    """The loss over the epochs, a line a learning rate.

    Those that diverge are drawn up to where they leave the frame, which is made for the others.

    Parameters
    ----------
    curves : mapping
        ``{lr: [(epoch, loss), ...]}``.
    suggested : float
        The rate whose line is in front.
    diverged : mapping
        ``{lr: what became of it}``, such as ``{0.1: "inf in epoch 127"}``.
    caption : str
        A line under the picture.
    value : str
        The title of the axis.

    Returns
    -------
    str
        SVG; empty where there is no finite value.

    Examples
    --------
    >>> curves = {0.1: [(0, 9.0), (1, 90.0)], 0.01: [(0, 9.0), (1, 4.0)]}
    >>> picture = rates_chart(curves, suggested=0.01, diverged={0.1: "inf in epoch 9"})
    >>> "lr 0.1: inf in epoch 9" in picture
    True
    """
    kept = {lr: _finite(curve) for lr, curve in curves.items() if lr in diverged or _finite(curve)}
    if not any(kept.values()):
        return ""
    values, ceiling = frame_for(kept, diverged)
    names = {lr: f"lr {lr:g}" + (", suggested" if lr == suggested else "") for lr in kept}
    fates = {lr: fate for lr, fate in diverged.items() if lr in kept}
    calm = [lr for lr in kept if lr not in fates]
    right = WIDE - 12 - LETTER * max((len(names[lr]) for lr in calm), default=0)
    x = Scale((0, max(curve[-1][0] for curve in kept.values() if curve) or 1), LEFT, right)
    top = 30 + 14 * len(fates)
    y = Axis(values, BOTTOM, top, most=5)
    marks = [*_levels(y, value, right), *_epochs(x), words(0, HIGH - 4, caption, "start")]
    for number, (lr, fate) in enumerate(fates.items()):
        marks += _leaving(x, y, kept[lr], ceiling, f"{names[lr]}: {fate}", 28 + 14 * number)
    tones = _tones(calm, suggested)
    for lr in sorted(calm, key=lambda lr: lr == suggested):  # the suggested line on top
        kind, front = f"curve {tones[lr]}", lr == suggested
        marks.append(_path(x, y, kind, thinned(kept[lr]), names[lr], front))
    heights = spread([y(kept[lr][-1][1]) for lr in calm], 13, top, BOTTOM)
    for lr, height in zip(calm, heights, strict=True):
        marks.append(words(right + 8, height + 4, names[lr], "start", f"name {tones[lr]}"))
    return drawing(WIDE, HIGH, marks, f"{value} over the epochs for {len(kept)} rates", "curves")


def range_chart(
    points: Sequence[tuple[float, float, float]],
    *,
    suggested: float,
    diverges_from: float | None = None,
    limit: float | None = None,
    limit_text: str = "",
    value: str = "loss",
) -> str:
    """The loss after each step of a learning-rate range test, both axes logarithmic where they can.

    Parameters
    ----------
    points : sequence of (lr, loss, smoothed loss)
    suggested : float
    diverges_from : float, optional
        From there on the picture is shaded.
    limit : float, optional
        The stability limit.
    limit_text : str
        The same as it is to be read.
    value : str
        The title of the axis.

    Returns
    -------
    str
        SVG; empty where there is no finite value.

    Examples
    --------
    >>> points = [(0.001, 9.0, 9.0), (0.01, 4.0, 4.0), (0.1, 8.0, 8.0)]
    >>> "suggested 0.004" in range_chart(points, suggested=0.004)
    True
    """
    points = [point for point in points if math.isfinite(point[1])]
    if not points:
        return ""
    _, ceiling = frame_for({0.0: [(0, smooth) for _, _, smooth in points]}, {})
    inside = [point for point in points if point[1] <= ceiling]
    rates = [math.log10(lr) for lr, _, _ in points]
    x = Scale((min(rates), max(rates)), LEFT, WIDE - 150)
    y = Axis([loss for _, loss, _ in inside], BOTTOM, 72, most=5)
    places = {f"suggested {short(suggested)}": suggested}
    if limit is not None:
        places[f"stability limit {limit_text or short(limit)}"] = limit
    if diverges_from is not None:
        places[f"diverges from {diverges_from:.2g}"] = diverges_from
    marks = [] if diverges_from is None else [_shade(x(math.log10(diverges_from)))]
    marks += [*_levels(y, value, WIDE - 12), *_powers(x)]
    marks += _posts(x, places, f"suggested {short(suggested)}")
    for lr, loss, _ in inside:
        at = f'cx="{x(math.log10(lr))}" cy="{y(loss)}" r="1.6"'
        tip = hint(f"lr {lr:.3g}: {short(loss)}")
        marks.append(f'<circle {at} style="fill: var(--soft); opacity: .55">{tip}</circle>')
    line = [(math.log10(lr), smooth) for lr, _, smooth in points]
    marks.append(_path(x, y, "curve tone0", _until(line, ceiling), "smoothed", True))
    label = f"{value} of a learning-rate range test: {', '.join(places)}"
    return drawing(WIDE, HIGH, marks, label, "curves")


# --- what is shown -------------------------------------------------------------------------------


def frame_for(
    curves: Mapping[float, Sequence[Place]], diverged: Mapping[float, Any]
) -> tuple[list[float], float]:
    """Values that a frame is made for, and the value at which a line leaves it.

    There is some room above the first losses of those that do not diverge.
    """
    calm = [_finite(curve) for lr, curve in curves.items() if lr not in diverged and _finite(curve)]
    shown = calm or [_finite(curve) for curve in curves.values() if _finite(curve)]
    if not shown:
        return [1.0], 1.0
    values = [value for curve in (calm or [shown[0][:1]]) for _, value in curve]
    top, low = max(curve[0][1] for curve in shown), min(values)
    if not calm:  # all of them diverge
        ceiling = 1e4 * top if low > 0 else 2 * abs(top) + 1.0
    else:
        ceiling = 4 * top if falls_far([low, top]) else top + 0.25 * (top - low) + 1e-9
    return [*(value for value in values if value < ceiling), ceiling], ceiling


def _finite(curve: Sequence[Place]) -> list[Place]:
    return [place for place in curve if math.isfinite(place[1])]


def _tones(rates: Sequence[float], suggested: float) -> dict[float, str]:
    """A colour a rate; with the fifth but the suggested one they begin again, dashed."""
    others = [lr for lr in rates if lr != suggested]
    tones = {lr: f"tone{1 + n % 4}" + " again" * (n > 3) for n, lr in enumerate(others)}
    return tones | {suggested: "tone0"}


def _until(line: Sequence[Place], ceiling: float) -> list[Place]:
    """The line up to where it crosses the ceiling, for good or not."""
    kept: list[Place] = []
    for place in line or [(0, math.inf)]:
        if place[1] > ceiling:
            if kept:
                kept.append(_crossing(kept[-1], place, ceiling))
            return kept or [(place[0], ceiling)]
        kept.append(place)
    return kept


def _crossing(inside: Place, outside: Place, ceiling: float) -> Place:
    """Where a line meets the ceiling; losses that explode are straight on a logarithmic axis."""
    values = (inside[1], ceiling, outside[1])
    low, level, high = map(math.log, values) if min(values) > 0 else values
    share = (level - low) / (high - low)
    return inside[0] + share * (outside[0] - inside[0]), ceiling


# --- marks ---------------------------------------------------------------------------------------


def _levels(y: Axis, value: str, right: float) -> list[str]:
    title = words(0, 12, f"{value}, logarithmic" if y.log else value, "start", "what")
    return [title, *level_marks(y, LEFT, right)]


def _epochs(x: Scale) -> list[str]:
    return [*whole_marks(x, BOTTOM + 18), words(x.end, BOTTOM + 34, "epoch", "end")]


def _powers(x: Scale) -> list[str]:
    """Powers of ten under the axis."""
    powers = range(math.ceil(x.span[0] - 1e-9), math.floor(x.span[1] + 1e-9) + 1)
    marks = [words(x(power), BOTTOM + 18, short(10.0**power), "middle") for power in powers]
    return [*marks, words(x.end, BOTTOM + 34, "learning rate, logarithmic", "end")]


def _path(x: Scale, y: Axis, kind: str, line: Sequence[Place], title: str, front: bool) -> str:
    path = " ".join(f"{x(at)},{y(value)}" for at, value in line)
    width = ' style="stroke-width: 2.5"' if front else ""
    return f'<polyline class="{kind}" points="{path}"{width}>{hint(title)}</polyline>'


def _leaving(
    x: Scale, y: Axis, curve: Sequence[Place], ceiling: float, text: str, height: float
) -> list[str]:
    """A line that leaves the frame, and what became of it beside its end."""
    line = _until(curve, ceiling)
    at, room = x(line[-1][0]), 7 + LETTER * len(text)
    beside = (at + 7, "start") if at + room < WIDE else (at - 7, "end")
    path = " ".join(f"{x(epoch)},{y(value)}" for epoch, value in line)
    style = 'style="stroke: var(--bad); stroke-dasharray: 5 3"'
    points = f'points="{path} {at},{height - 8}"'
    return [
        f'<polyline class="curve" {points} {style}>{hint(text)}</polyline>',
        words(beside[0], height, text, beside[1], 'name" style="fill: var(--bad)'),
    ]


def _shade(left: float) -> str:
    area = f'x="{left}" y="56" width="{WIDE - 12 - left:.1f}" height="{BOTTOM - 56}"'
    return f'<rect {area} style="fill: var(--bad-wash)"/>'


def _posts(x: Scale, places: Mapping[str, float], front: str) -> list[str]:
    """Lines upright with their names; each name on a row that no other line crosses."""
    marks = []
    for row, (text, lr) in enumerate(sorted(places.items(), key=lambda item: item[1])):
        at, height = x(math.log10(lr)), 26 + 15 * row
        kind = 'aim tone0" style="stroke-opacity: 1' if text == front else "guide"
        marks.append(stroke(kind, at, height - 10, at, BOTTOM))
        marks.append(
            words(at + 6, height, text, "start", "name tone0" if text == front else "name")
        )
    return marks
