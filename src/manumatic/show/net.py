"""What a fit has left, as a card below scikit-learn's diagram of the estimator; findings alone."""

__all__ = ["render_findings", "render_net"]

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from manumatic.show.curves import sparkline
from manumatic.show.pages import PARTS, environment
from manumatic.show.style import drawing_style


def render_net(
    name: str,
    parts: Mapping[str, str],
    losses: Mapping[str, Sequence[float]],
    findings: Sequence[Mapping[str, str]],
) -> str:
    """The card: gear, five components, the loss on one line, findings.

    Parameters
    ----------
    name : str
        Of the estimator.
    parts : mapping
        A line for each of the five components.
    losses : mapping
        ``{"train": [loss of each epoch], "valid": [...]}``, either of them empty.
    findings : sequence of mapping
        Each with code, severity, message and fix.

    Returns
    -------
    str
        HTML with its styles.
    """
    lines = {part: Markup(sparkline(values)) for part, values in losses.items() if values}
    return (
        environment()
        .get_template("net.html")
        .render(
            name=name,
            parts=[(part, parts[part], PARTS[part]) for part in PARTS],
            losses=losses,
            lines=lines,
            findings=findings,
            style=Markup(drawing_style()),
        )
    )


def render_findings(findings: Sequence[Mapping[str, str]]) -> str:
    """The same card with nothing but findings; parameters and result as above.

    Examples
    --------
    >>> "no findings" in render_findings([])
    True
    """
    page = environment().get_template("found.html")
    return page.render(findings=findings, style=Markup(drawing_style()))
