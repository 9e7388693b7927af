"""A network as a drawing: a box a layer, from top to bottom, branches side by side."""

__all__ = ["box_texts", "dot", "graph_chart", "rounded"]

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from manumatic.show.frame import Place, drawing, ending, hint, shortened, words
from manumatic.show.layout import FULL, LETTER, Box, lay_out

BEND = 7  # radius of a corner
BOLD = 7.2  # pixels of a letter


def graph_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """The network as SVG; what is tall goes on in a second column, from a dashed box.

    Parameters
    ----------
    rows : sequence of mapping
        In the order of execution: ``id``, ``kind`` ("Linear"), ``name`` ("layers.0", or empty),
        ``shape`` (of its output, as text), ``parameters``, ``trainable`` (how many of them are
        trained), ``inputs`` (ids of earlier rows).

    Examples
    --------
    >>> row = {"name": "", "shape": "n × 1", "parameters": 0, "trainable": 0}
    >>> first, second = row | {"id": 0, "kind": "input"}, row | {"id": 1, "kind": "ReLU"}
    >>> picture = graph_chart([first | {"inputs": []}, second | {"inputs": [0]}])
    >>> picture.count("<rect"), picture.count("<path")
    (2, 1)
    """
    layout = lay_out(rows)
    marks = [_edge(path) for path in layout.paths]
    marks += map(_box, layout.boxes)
    total = sum(row["parameters"] for row in rows)
    label = f"a network of {len(rows):,} steps and {total:,} parameters"
    return drawing(math.ceil(layout.width), math.ceil(layout.height), marks, label, "graph")


def dot(rows: Sequence[Mapping[str, Any]]) -> str:
    """The network in the DOT language, for Graphviz and its relatives; rows as above.

    Examples
    --------
    >>> row = {"id": 0, "kind": "input", "name": "", "shape": "n × 1", "parameters": 0}
    >>> print(dot([row | {"inputs": []}]))
    digraph net {
      node [shape=box, style=rounded, fontname="Helvetica"];
      0 [label="input\\nn × 1"];
    }
    """
    lines = ['  node [shape=box, style=rounded, fontname="Helvetica"];']
    for row in rows:
        weights = f"{row['parameters']:,} parameters" if row["parameters"] else ""
        told = [text for text in (row["kind"], row["name"], row["shape"], weights) if text]
        # a JSON string is a DOT string: quotes, backslashes and ends of lines are escaped
        lines.append(f"  {row['id']} [label={json.dumps(chr(10).join(told), ensure_ascii=False)}];")
        lines += [f"  {source} -> {row['id']};" for source in row["inputs"]]
    return "\n".join(["digraph net {", *lines, "}"])


def box_texts(box: Box) -> list[tuple[float, float, str, str, str]]:
    """What stands in a box: x, y of the base line, text, "start" or "end", "kind" or "".

    Kind and shape; where there are weights also their number and the layer's name.
    """
    row, left, right, base = box.row, box.x + 10, box.right - 10, box.middle[1] + 4
    shape = "goes on" if box.ghost else row["shape"]
    if box.height < FULL:
        kind = shortened(row["kind"], _room(box, shape, BOLD))
        return [(left, base, kind, "start", "kind"), (right, base, shape, "end", "")]
    weights, room = f"{row['parameters']:,}", _room(box, shape, LETTER)
    name = ending(row["name"], room)
    return [
        (left, base - 8, shortened(row["kind"], _room(box, weights, BOLD)), "start", "kind"),
        (right, base - 8, weights, "end", ""),
        (left, base + 8, name, "start", ""),
        (right, base + 8, shape, "end", ""),
    ]


def _room(box: Box, beside: str, letter: float) -> int:
    """Letters of a text that fit into a line beside another text."""
    return max(3, int((box.width - 30 - LETTER * len(beside)) / letter))


def rounded(path: Sequence[Place]) -> list[tuple[Place, Place, Place]]:
    """The corners of a path as (where it begins to bend, the corner, where it is straight again).

    Examples
    --------
    >>> rounded([(0, 0), (0, 28), (28, 28)])
    [((0.0, 21.0), (0, 28), (7.0, 28.0))]
    """
    found = []
    for before, corner, after in zip(path, path[1:], path[2:], strict=False):
        found.append((_towards(corner, before), corner, _towards(corner, after)))
    return found


def _towards(start: Place, end: Place) -> Place:
    """A bend's radius from start in the direction of end, at most half the way."""
    long = abs(end[0] - start[0]) + abs(end[1] - start[1])  # edges run along the axes
    share = min(BEND / long, 0.5) if long else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _edge(path: Sequence[Place]) -> str:
    way = f"M{_at(path[0])}"
    for start, corner, end in rounded(path):
        way += f"L{_at(start)}Q{_at(corner)} {_at(end)}"
    (x1, y1), (x2, y2) = path[-2:]
    right, down = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
    wing, back = 3.2, 5.5  # of the arrow's head
    one = (x2 - back * right - wing * down, y2 - back * down - wing * right)
    other = (x2 - back * right + wing * down, y2 - back * down + wing * right)
    head = f"M{_at(one)}L{_at((x2, y2))}L{_at(other)}"
    return f'<path class="edge" d="{way}L{_at(path[-1])}{head}"/>'


def _at(place: Place) -> str:
    return f"{place[0]:.4g},{place[1]:.5g}"


def _box(box: Box) -> str:
    """The outline, a bar where there are weights, the texts."""
    row = box.row
    kind = "ghost" if box.ghost else "trained" if row["trainable"] else "fixed"
    place = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
    bar = f'<path class="bar {kind}" d="M{box.x + 1:g} {box.y + 6:g}v{box.height - 12:g}"/>'
    texts = "".join(words(*text) for text in box_texts(box))
    outline = f'<rect class="layer {kind}" {place} rx="5">{hint(_told(row))}</rect>'
    return outline + (bar if box.height == FULL else "") + texts


def _told(row: Mapping[str, Any]) -> str:
    weights, trained = row["parameters"], row["trainable"]
    told = [row["name"], row["kind"], row["shape"]]
    if weights:
        frozen = f", {weights - trained:,} of them frozen" if trained < weights else ""
        told.append(f"{weights:,} parameters{frozen}")
    return " · ".join(text for text in told if text)
