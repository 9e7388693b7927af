"""Values over the epochs: loss and metrics, weights on their way, a line for a repr."""

__all__ = ["curve_chart", "sparkline", "spread", "thinned"]

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from manumatic.show.frame import (
    Axis,
    Place,
    Scale,
    drawing,
    ending,
    hint,
    letters,
    level_marks,
    short,
    stroke,
    whole_marks,
    words,
)

WIDE, HIGH = 640, 300
LEFT, TOP, BOTTOM = 50, 30, 258
MOST = 800  # points in one picture: its size stays below 20 kB
LETTER = 6.1  # pixels of a letter
LONGEST = 28  # letters of a name; of a longer one the end is told, which says which weight it is

Curve = Sequence[Place]


def curve_chart(
    curves: Mapping[str, Curve],
    *,
    value: str = "loss",
    best: tuple[str, int] | None = None,
    targets: Mapping[str, float] | None = None,
    log: bool | None = None,
) -> str:
    """Values over the epochs.

    Parameters
    ----------
    curves : mapping
        ``{"train": [(epoch, value), ...], "valid": ...}``. What is no finite number is left out,
        and a cross at the top says where.
    value : str
        What is shown: the title of the axis.
    best : (curve, epoch), optional
        The point to mark.
    targets : mapping, optional
        ``{curve: value}``: dashed lines to arrive at.
    log : bool, optional
        A logarithmic axis; by default where the values fall far.

    Returns
    -------
    str
        SVG; empty where there is no finite value.

    Examples
    --------
    >>> picture = curve_chart({"train": [(0, 9.0), (1, 4.0)]}, best=("train", 1))
    >>> "best epoch 1: 4" in picture
    True
    """
    given, curves = curves, {name: curve for name, curve in curves.items() if _finite(curve)}
    if not curves:
        return ""
    names = {name: _aim(name, targets) for name in curves}
    right = WIDE - 12 - LETTER * max(map(letters, names.values()))
    epochs = [epoch for curve in given.values() for epoch, _ in curve]
    values = [v for curve in curves.values() for _, v in _finite(curve)]
    x = Scale((min(epochs), max(epochs)), LEFT, right)
    y = Axis([*values, *(targets or {}).values()], BOTTOM, TOP, log=log, most=5)
    marks = _frame(x, y, value)
    for name, aim in (targets or {}).items():
        marks.append(stroke(f"aim {_tone(name, curves)}", LEFT, y(aim), right, y(aim)))
    for name, curve in curves.items():
        fewer = thinned(curve, MOST // max(2, len(curves)))
        marks.append(_line(x, y, f"curve {_tone(name, curves)}", fewer, _way(name, curve)))
    for name, curve in given.items():
        marks += _gaps(x, name, thinned(curve))
    marks += _best(x, y, best, curves) if best else []
    heights = spread([y(_finite(curve)[-1][1]) for curve in curves.values()], 13, TOP, BOTTOM)
    for (name, text), height in zip(names.items(), heights, strict=True):
        marks.append(words(right + 8, height + 4, text, "start", f"name {_tone(name, curves)}"))
    ways = "; ".join(_way(name, curve) for name, curve in curves.items())
    return drawing(WIDE, HIGH, marks, f"{value} over the epochs. {ways}", "curves")


def sparkline(values: Sequence[float]) -> str:
    """A loss on one line of text, for a repr.

    Examples
    --------
    >>> '"loss: 9 to 1 in 3 epochs"' in sparkline([9.0, 4.0, 1.0])
    True
    """
    curve = thinned(list(enumerate(values)), 100)
    kept = _finite(curve)
    if not kept:
        return ""
    x, y = Scale((0, len(values) - 1), 2, 92), Axis([v for _, v in kept], 17, 3)
    way = f"{_way('loss', curve)} in {len(values):,} epochs"
    end = f'<circle class="end" cx="{x(kept[-1][0])}" cy="{y(kept[-1][1])}" r="2.2"/>'
    return drawing(96, 20, [_line(x, y, "curve", curve, way), end], way, "spark")


def thinned(curve: Curve, most: int = 400) -> list[Place]:
    """About ``most`` points with the same outline: the lowest and highest of each stretch.

    First and last point are kept, and one a stretch that is no finite number.

    Examples
    --------
    >>> thinned([(0, 1.0), (1, 5.0), (2, 2.0), (3, 0.0)], most=2)
    [(0, 1.0), (1, 5.0), (3, 0.0)]
    """
    if len(curve) <= most:
        return list(curve)

    def value(at: int) -> float:
        return curve[at][1]

    kept, parts = {0, len(curve) - 1}, most // 2
    for part in range(parts):
        stretch = range(part * len(curve) // parts, (part + 1) * len(curve) // parts)
        finite = [at for at in stretch if math.isfinite(value(at))]
        kept.update([at for at in stretch if not math.isfinite(value(at))][:1])
        kept.update([min(finite, key=value), max(finite, key=value)] if finite else [])
    return [curve[at] for at in sorted(kept)]


def spread(heights: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """The heights of labels, moved apart until there is a gap between any two.

    Examples
    --------
    >>> spread([100, 102, 40], gap=13, top=0, bottom=110)
    [89, 102, 40]
    """
    order = sorted(range(len(heights)), key=lambda at: heights[at])
    gap = min(gap, (bottom - top) / max(1, len(heights) - 1))
    found, low = list(heights), bottom
    for at in reversed(order):
        found[at] = low = min(found[at], low)
        low -= gap
    high = top
    for at in order:
        found[at] = high = max(found[at], high)
        high += gap
    return found


def _finite(curve: Curve) -> list[Place]:
    return [(epoch, value) for epoch, value in curve if math.isfinite(value)]


def _runs(curve: Curve) -> Iterator[tuple[bool, list[Place]]]:
    """Stretches of finite points and of others."""
    for finite, run in groupby(curve, key=lambda point: math.isfinite(point[1])):
        yield finite, list(run)


def _tone(name: str, curves: Mapping[str, Curve]) -> str:
    if name in ("train", "valid"):
        return name
    number = [*curves].index(name)
    return f"tone{number % 5}" + (" again" if number > 4 else "")


def _aim(name: str, targets: Mapping[str, float] | None) -> str:
    told = ending(name, LONGEST)
    return f"{told} → {short(targets[name])}" if targets and name in targets else told


def _way(name: str, curve: Curve) -> str:
    kept = _finite(curve)
    return f"{name}: {short(kept[0][1])} to {short(kept[-1][1])}"


def _frame(x: Scale, y: Axis, value: str) -> list[str]:
    """Grid, numbers and titles of both axes."""
    marks = [words(0, 12, f"{value}, logarithmic" if y.log else value, "start", "what")]
    marks += [*level_marks(y, LEFT, x.end), *whole_marks(x, BOTTOM + 20)]
    return [*marks, words(x.end, BOTTOM + 38, "epoch", "end")]


def _line(x: Scale, y: Axis, kind: str, curve: Curve, title: str) -> str:
    parts = [" ".join(f"{x(e)},{y(v)}" for e, v in run) for finite, run in _runs(curve) if finite]
    path = "".join(f"M{part}" if " " in part else f"M{part}z" for part in parts)  # z: a dot
    lone = "" if " " in path else " lone"
    return f'<path class="{kind}{lone}" d="{path}">{hint(title)}</path>'


def _gaps(x: Scale, name: str, curve: Curve) -> list[str]:
    """A cross where values are no numbers."""
    marks = []
    for finite, run in _runs(curve):
        if not finite:
            (first, value), (last, _) = run[0], run[-1]
            when = f"epoch {first:,}" if first == last else f"epochs {first:,} to {last:,}"
            cross = f"M{x(first) - 4} {TOP}l8 8m0 -8l-8 8"
            marks.append(f'<path class="gap" d="{cross}">{hint(f"{name}, {when}: {value}")}</path>')
    return marks


def _best(x: Scale, y: Axis, best: tuple[str, int], curves: Mapping[str, Curve]) -> list[str]:
    name, epoch = best
    value = dict(curves[name])[epoch]
    text, at = f"best epoch {epoch:,}: {short(value)}", x(epoch)
    half = LETTER * len(text) / 2
    middle = min(max(at, 170 + half), WIDE - half)  # beside the title of the axis
    dot = f'<circle class="best" cx="{at}" cy="{y(value)}" r="4">{hint(f"{name}, {text}")}</circle>'
    return [
        stroke("guide", at, 18, at, BOTTOM),
        words(middle, 12, text, "middle", "name"),
        dot,
    ]
