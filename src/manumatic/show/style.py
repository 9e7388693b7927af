"""The styles of the pages for a drawing that stands alone: light and dark, one source."""

__all__ = ["drawing_style", "standalone", "with_picture"]

import re
from functools import cache
from html import escape
from importlib.resources import files

PAD = 16  # around the drawing, to the edge of its card


@cache
def drawing_style() -> str:
    """The CSS that drawings need: the palette of the pages and the marks."""
    folder = files("manumatic.show") / "templates"
    names = ("palette.css", "drawing.css")
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)


def standalone(drawing: str) -> str:
    """A drawing of ``frame.drawing`` as a picture of its own, on a card, with its styles inside.

    Parameters
    ----------
    drawing : str
        An ``<svg>`` that starts with its class and its viewBox.

    Returns
    -------
    str
        SVG to save as a file or to show in a notebook; light or dark as its reader prefers.

    Examples
    --------
    >>> from manumatic.show.frame import drawing, words
    >>> picture = standalone(drawing(120, 20, [words(60, 14, "hello", "middle")], "a word", "note"))
    >>> picture.startswith('<svg xmlns="http://www.w3.org/2000/svg" class="mm note" width="152"')
    True
    """
    head, _, marks = drawing.partition(">")
    kind, width, height = re.findall(r'class="(.*?)" viewBox="0 0 (\d+) (\d+)"', head)[0]
    label = head[head.index(" role=") :]
    wide, high = int(width) + 2 * PAD, int(height) + 2 * PAD
    size = f'width="{wide}" height="{high}" style="max-width: 100%; height: auto"'
    box = f'viewBox="-{PAD} -{PAD} {wide} {high}"'
    card = f'x="{0.5 - PAD}" y="{0.5 - PAD}" width="{wide - 1}" height="{high - 1}" rx="8"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mm {kind}" {size} {box}{label}>'
        f'<style>{drawing_style()}</style><rect class="card" {card}/>{marks}'
    )


def with_picture(text: str, picture: str) -> str:
    """A table, a blank line and sentences as HTML, with a picture below; what is wide scrolls.

    Examples
    --------
    >>> with_picture("lr  loss\\n0.1  inf\\n\\nTake 0.01.", "").count("Take 0.01.")
    1
    """
    table, _, sentences = text.partition("\n\n")
    return (
        f'<pre tabindex="0" style="overflow-x: auto; white-space: pre">{escape(table)}</pre>'
        f'<p>{escape(sentences)}</p><div style="overflow-x: auto">{picture}</div>'
    )
