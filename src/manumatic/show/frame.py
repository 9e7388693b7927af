"""What drawings share: scales, round numbers, the pieces of an SVG."""

__all__ = [
    "Axis",
    "Scale",
    "drawing",
    "ending",
    "falls_far",
    "hint",
    "letters",
    "level_marks",
    "padded",
    "round_levels",
    "round_text",
    "short",
    "shortened",
    "stroke",
    "ticks",
    "whole_marks",
    "words",
]

import math
import unicodedata
from collections.abc import Sequence
from html import escape
from typing import Any

Span = tuple[float, float]
Place = tuple[float, float]


class Scale:
    """Numbers to pixels; numbers beyond the span stay at its edge."""

    def __init__(self, span: Span, start: float, end: float) -> None:
        self.span, self.start, self.end = span, start, end

    def __call__(self, value: float) -> float:
        low, high = self.span
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


class Axis:
    """A scale around some values, with a margin and round numbers to write beside it.

    Parameters
    ----------
    values : sequence of float
        Finite; what the axis has to show.
    start, end : float
        Pixels of the lowest and the highest number.
    log : bool, optional
        Logarithmic; by default where the values fall far.
    most : int, default=4
        Round numbers at most, on a linear axis.

    Examples
    --------
    >>> axis = Axis([0.001, 2.0], start=160, end=12)
    >>> axis.log, axis.levels, axis(2.0)
    (True, [0.001, 0.01, 0.1, 1.0], 19.9)
    """

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        log: bool | None = None,
        most: int = 4,
    ) -> None:
        self.log = falls_far(values) if log is None else log
        self._bend = math.log10 if self.log else float
        self.scale = Scale(padded(values, self._bend), start, end)
        round_ones = round_levels(values) if self.log else []
        low, high = (10**v for v in self.scale.span) if self.log else self.scale.span
        self.levels = round_ones or ticks(low, high, most)

    def __call__(self, value: float) -> float:
        return self.scale(self._bend(value))


def falls_far(values: Sequence[float]) -> bool:
    """Whether only a logarithmic axis shows them: positive, the largest 30 times the smallest."""
    return min(values) > 0 and max(values) / min(values) > 30


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


def padded(values: Sequence[float], bend: Any = float) -> Span:
    """The span of bent values, with a margin."""
    low, high = bend(min(values)), bend(max(values))
    edge = (high - low) * 0.06 or abs(low) * 0.1 or 1.0
    return low - edge, high + edge


def round_levels(values: Sequence[float]) -> list[float]:
    """1, 10, 100, ... between the values; with 2 and 5 where those are few."""
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    digits = (1, 2, 5) if len(powers) < 3 else (1,)
    powers = powers[:: math.ceil(len(powers) / 8) or 1]  # more labels would touch
    return [n * 10.0**power for power in powers for n in digits if low <= n * 10.0**power <= high]


def short(value: float, digits: int = 4) -> str:
    """A number for a label or a sentence, with so many digits, and all of those before the point.

    Examples
    --------
    >>> short(4031.2007), short(0.25), short(1e-5), short(-3.0), short(float("inf"))
    ('4,031', '0.25', '1e-5', '-3', 'inf')
    >>> short(4031.2007, 3), short(0.123456, 3)
    ('4,031', '0.123')
    """
    if not math.isfinite(value):
        return f"{value}"
    if not value or 1e-3 <= abs(value) < 1e6:
        after = max(digits - 1 - math.floor(math.log10(abs(value))), 0) if value else 0
        text = f"{value:,.{after}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    head, power = f"{value:.{digits - 1}e}".split("e")
    return f"{float(head):g}e{int(power)}"


def round_text(value: float) -> str:
    """A round number of an axis: all its digits, unless there are very many.

    Examples
    --------
    >>> round_text(54_123.2), round_text(5e10), round_text(0.00002)
    ('54,123.2', '5e10', '2e-5')
    """
    return f"{value:,.10g}" if not value or 1e-4 <= abs(value) < 1e6 else short(value)


def letters(text: str) -> int:
    """How many letters wide a text is; those of East Asia take the room of two.

    Examples
    --------
    >>> letters("netz"), letters("網")
    (4, 2)
    """
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def shortened(name: str, most: int) -> str:
    """A name without its middle where it is long: its end may be all that tells it from others.

    Examples
    --------
    >>> shortened("column_12345", 7), shortened("SVC", 7)
    ('col…345', 'SVC')
    """
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[len(name) - half :]}"


def ending(name: str, most: int) -> str:
    """The end of a name where it is long: that of a weight tells which it is.

    Examples
    --------
    >>> ending("layers.3.weight", 10), ending("bias", 10)
    ('….3.weight', 'bias')
    """
    return name if len(name) <= most else "…" + name[1 - most :]


def stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def words(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    """A text whose "start", "middle" or "end" is at x."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def hint(text: str) -> str:
    """What browsers show on hover and screen readers read."""
    return f"<title>{escape(text)}</title>"


def drawing(width: int, height: int, marks: Sequence[str], label: str, kind: str) -> str:
    """The marks as one SVG for a page that has the styles; ``style.standalone`` brings them."""
    head = f'class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}"'
    return f"<svg {head}>{''.join(marks)}</svg>"


def level_marks(y: Axis, left: float, right: float) -> list[str]:
    """The lines of a grid from left to right, and the numbers beside them."""
    marks = []
    for level in y.levels:
        marks.append(stroke("grid", left, y(level), right, y(level)))
        marks.append(words(left - 8, y(level) + 4, round_text(level), "end"))
    return marks


def whole_marks(x: Scale, base: float, most: int = 8) -> list[str]:
    """The numbers under an axis of epochs or trials, of which there are no halves."""
    whole = [tick for tick in ticks(*x.span, most=most) if tick == int(tick)]
    return [words(x(tick), base, f"{tick:,.0f}", "middle") for tick in whole]
