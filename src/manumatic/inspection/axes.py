"""A sweep on matplotlib axes."""

__all__ = ["draw_sweep"]

import math
from collections.abc import Sequence
from typing import Any

from manumatic.inspection.pyplot import axes_for
from manumatic.show.frame import falls_far, short
from manumatic.show.lines import frame_for

# of the user's own cycle of colours, where C3 is red unless it was changed
SUGGESTED, WILD, OTHERS = "C0", "C3", ("C1", "C2", "C4", "C5", "C6", "C7", "C8", "C9")


def draw_sweep(sweep: Any, ax: Any = None) -> tuple[Any, list[Any]]:
    """The axes, new ones by default, and the lines on them.

    Raises
    ------
    MissingExtra
        matplotlib is not installed.
    """
    ax = axes_for(ax)
    lines = _rates(sweep, ax) if sweep.histories else _range(sweep, ax)
    ax.set_ylabel(sweep.value)
    ax.legend()
    return ax, lines


def _rates(sweep: Any, ax: Any) -> list[Any]:
    values, ceiling = frame_for(sweep.curves, sweep.diverged)
    tones = iter(OTHERS * len(sweep.curves))
    lines: list[Any] = []
    for lr, curve in sweep.curves.items():
        # matplotlib cannot place 1e300 far above the frame
        kept = [(at, min(loss, 10 * abs(ceiling))) for at, loss in curve if math.isfinite(loss)]
        look: dict[str, Any] = {"label": f"lr {lr:g}"}
        if lr in sweep.diverged:
            look |= {"color": WILD, "linestyle": "--"}
            look["label"] += f": {sweep.diverged[lr]}"
        elif lr == sweep.suggested:
            look |= {"color": SUGGESTED, "linewidth": 2.5, "zorder": 3}
            look["label"] += ", suggested"
        else:
            look["color"] = next(tones)
        lines += ax.plot([at for at, _ in kept], [loss for _, loss in kept], **look)
    _fit(ax, values, ceiling)
    ax.set_xlabel("epoch")
    ax.set_title(sweep.caption, fontsize="small", loc="left")
    return lines


def _range(sweep: Any, ax: Any) -> list[Any]:
    kept = [row for row in sweep.rows if math.isfinite(row.loss)]
    values, ceiling = frame_for({0.0: [(0, row.smoothed) for row in kept]}, {})
    rates = [row.lr for row in kept]
    dots = [min(row.loss, 10 * abs(ceiling)) for row in kept]
    ax.plot(rates, dots, ".", color=SUGGESTED, alpha=0.4, markersize=4)
    smoothed = [min(row.smoothed, 10 * abs(ceiling)) for row in kept]
    lines = ax.plot(rates, smoothed, color=SUGGESTED, label="smoothed loss")
    ax.set_xscale("log")
    _fit(ax, values, ceiling)
    label = f"suggested {short(sweep.suggested)}"
    ax.axvline(sweep.suggested, color=SUGGESTED, linestyle="--", label=label)
    if sweep.limit is not None:
        label = f"stability limit {sweep.limit_text}"
        ax.axvline(sweep.limit, color="gray", linestyle=":", label=label)
    if sweep.diverges_from is not None:
        label = f"diverges from {sweep.diverges_from:.2g}"
        ax.axvspan(sweep.diverges_from, ax.get_xlim()[1], color=WILD, alpha=0.12, label=label)
    ax.set_xlabel("learning rate")
    return lines


def _fit(ax: Any, values: Sequence[float], ceiling: float) -> None:
    """The frame is made for these values, whatever lies beyond the ceiling."""
    low = min(values)
    if falls_far(values):
        ax.set_yscale("log")
        ax.set_ylim(low / 2, ceiling)
    else:
        ax.set_ylim(low - 0.06 * (ceiling - low), ceiling)
