"""Drawing with matplotlib: colours, sizes and fonts are those of the user's rcParams."""

__all__ = ["axes_for", "draw_curves", "draw_graph"]

import math
from collections.abc import Mapping, Sequence
from typing import Any

from manumatic.errors import MissingExtra
from manumatic.show.frame import Place, falls_far
from manumatic.show.graph import box_texts, rounded
from manumatic.show.layout import Box, lay_out

POINT = 0.8  # points of a pixel of the layout, where the figure is ours


def axes_for(ax: Any, **options: Any) -> Any:
    """The axes that were given, or those of a new figure.

    Raises
    ------
    MissingExtra
        matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise MissingExtra("matplotlib", "plot") from None
    return plt.subplots(layout="constrained", **options)[1] if ax is None else ax


def draw_curves(
    ax: Any,
    curves: Mapping[str, Sequence[Place]],
    *,
    value: str,
    log: bool | None = None,
    **look: Any,
) -> list[Any]:
    """A line a curve, over the epochs; logarithmic by default where the values fall far."""
    lines = [
        line
        for name, curve in curves.items()
        for line in ax.plot(*zip(*curve, strict=True), **{"label": name, **look})
    ]
    finite = [v for curve in curves.values() for _, v in curve if math.isfinite(v)]
    if finite and falls_far(finite) if log is None else log:
        ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", ylabel=value)
    return lines


def draw_graph(rows: Sequence[Mapping[str, Any]], ax: Any = None) -> Any:
    """Boxes and arrows; the axes."""
    layout = lay_out(rows)
    wide, high = layout.width + 8, layout.height + 8
    ax = axes_for(ax, figsize=(wide * POINT / 72, high * POINT / 72))
    ax.set(xlim=(-4, wide - 4), ylim=(high - 4, -4), aspect="equal")
    ax.set_axis_off()
    size = ax.get_window_extent().size * 72 / ax.figure.dpi
    scale = min(size[0] / wide, size[1] / high)  # points of a pixel
    for path in layout.paths:
        _arrow(ax, path, scale)
    for box in layout.boxes:
        _draw_box(ax, box, scale)
    return ax


def _arrow(ax: Any, places: Sequence[Place], scale: float) -> None:
    from matplotlib import rcParams
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    vertices, codes = [places[0]], [Path.MOVETO]
    for start, corner, end in rounded(places):
        vertices += [start, corner, end]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    path = Path([*vertices, places[-1]], [*codes, Path.LINETO])
    look: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 8 * scale,
        "linewidth": 0.9 * scale,
    }
    look |= {"color": rcParams["text.color"], "alpha": 0.55, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(FancyArrowPatch(path=path, **look))


def _draw_box(ax: Any, box: Box, scale: float) -> None:
    from matplotlib import rcParams
    from matplotlib.patches import FancyBboxPatch

    ink = rcParams["text.color"]
    trained = box.row["trainable"] and not box.ghost
    look: dict[str, Any] = {
        "facecolor": rcParams["axes.facecolor"],
        "edgecolor": "C0" if trained else ink,
    }
    look |= {"linewidth": (1.4 if trained else 0.6) * scale}
    look["linestyle"] = "--" if box.ghost else "-"
    style = "round,pad=0,rounding_size=5"
    ax.add_patch(FancyBboxPatch((box.x, box.y), box.width, box.height, boxstyle=style, **look))
    for x, y, text, side, kind in box_texts(box):
        weight, alpha = ("bold", 1.0) if kind else ("normal", 0.7)
        ax.text(
            *(x, y, text),
            ha="left" if side == "start" else "right",
            va="baseline",
            size=10.5 * scale,
            weight=weight,
            alpha=alpha,
        )
