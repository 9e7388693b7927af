"""The facts of a comparison as one HTML page: no script, nothing from elsewhere, light and dark."""

__all__ = ["render_fragment", "render_report", "write_report"]

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from manumatic.files import write_whole
from manumatic.show import svg
from manumatic.show.pages import PARTS, environment

Facts = Mapping[str, Any]
HEADLINES = {
    "scikit-learn": "Stay in automatic",
    "PyTorch": "Shift to manual",
    "neither": "Neither gear",
}


def render_report(facts: Facts) -> str:
    """The page of a comparison.

    Parameters
    ----------
    facts : mapping
        What ``Comparison.facts()`` returns.

    Returns
    -------
    str
        HTML with styles, drawings and the facts themselves (as JSON) inside.
    """
    return environment().get_template("report.html").render(_view(facts))


def render_fragment(facts: Facts) -> str:
    """Verdict and leaderboard only, for a notebook."""
    return environment().get_template("fragment.html").render(_view(facts))


def write_report(facts: Facts, path: str | Path) -> Path:
    """Write the page whole or not at all, and return its path."""
    return write_whole(path, render_report(facts))


def _view(facts: Facts) -> dict[str, Any]:
    """What the templates show: the facts, the drawings and the best network."""
    done = [row for row in facts["rows"] if row["verdict"] != "failed"]
    metric = facts["metric"]
    span, digits = _span(done), metric["decimals"]
    dots = {row["name"]: Markup(svg.fold_dots(row, span, done[0]["mean"], digits)) for row in done}
    nets = [row for row in facts["rows"] if row["training"]]
    costs = [row for row in done if span[0] <= row["mean"] <= span[1]]
    return {
        "facts": facts,
        "done": done,
        "failed": [row for row in facts["rows"] if row["verdict"] == "failed"],
        "headline": HEADLINES[facts["verdict"]["gear"]],
        "lever": Markup(svg.lever(facts["verdict"]["gear"])),
        "dots": dots,
        "axis": Markup(svg.axis(span)) if done else "",
        "cost": Markup(svg.cost_chart(costs, span, metric["lower_is_better"], metric["label"]))
        if costs
        else "",
        "curves": {row["name"]: Markup(svg.loss_curves(row["training"]["curves"])) for row in nets},
        "net": nets[0] if nets else None,
        "parts": PARTS,
        "together": [row["name"] for row in facts["rows"] if row.get("together")],
        "noted": [row for row in facts["rows"] if row["notes"]],
        "json": htmlsafe_json_dumps(facts, allow_nan=False, separators=(",", ":")),
    }


def _span(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The axis of the scores, from the better three quarters; who is far behind is at its edge."""
    ranked = [row for row in rows if row["family"] != "baseline"] or rows
    near = ranked[: max(2, math.ceil(0.75 * len(ranked)))]
    scores = [score for row in near for score in row["scores"]] or [0.0, 1.0]
    edge = (max(scores) - min(scores)) * 0.05 or abs(scores[0]) * 0.05 or 0.5
    return min(scores) - edge, max(scores) + edge
