"""Where the boxes of a network stand, and how the lines between them run."""

__all__ = ["Box", "Layout", "lay_out"]

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

from manumatic.show.frame import Place

Row = Mapping[str, Any]

FULL, SLIM = 42, 24  # heights of a box with weights and of one without
NARROW, WIDE = 150, 260  # widths
GAP = 22  # between tiers
ASIDE = 24  # between boxes of a tier
LANE = 16  # between lines that pass boxes
LETTER = 6.4  # pixels of a letter
TALL, BROAD = 760, 1200  # a column goes on in a next one while there is room
PORT = 5  # what enters and what leaves a box at its side are so far from its middle


@dataclass(frozen=True)
class Box:
    """A row and its place; a ghost repeats the last box of the column before."""

    row: Row
    x: float
    y: float
    width: float
    height: float

    @property
    def ghost(self) -> bool:
        """Whether it repeats another box."""
        return bool(self.row.get("ghost"))

    @property
    def middle(self) -> Place:
        """Of the box."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width


@dataclass(frozen=True)
class Layout:
    """Boxes, and the paths of the lines: places to go through, along the axes."""

    boxes: list[Box]
    paths: list[list[Place]]
    width: float
    height: float


def lay_out(rows: Sequence[Row]) -> Layout:
    """Places for all boxes, in columns where they would be tall.

    Parameters
    ----------
    rows : sequence of mapping
        In the order of execution, as ``graph.graph_chart`` takes them.

    Examples
    --------
    >>> row = {"kind": "ReLU", "name": "", "shape": "n × 1", "parameters": 0}
    >>> layout = lay_out([row | {"id": 0, "inputs": []}, row | {"id": 1, "inputs": [0]}])
    >>> layout.width, layout.height, layout.paths
    (150.0, 70.0, [[(75.0, 24.0), (75.0, 46.0)]])
    """
    wide = min(max(NARROW, *map(_needed, rows)), WIDE)
    boxes: list[Box] = []
    paths: list[list[Place]] = []
    left = height = 0.0
    for column in _columns(rows, wide):
        part = _Column(column, wide).layout()
        boxes += [replace(box, x=box.x + left) for box in part.boxes]
        paths += [[(x + left, y) for x, y in path] for path in part.paths]
        left, height = left + part.width + 2 * ASIDE, max(height, part.height)
    return Layout(boxes, paths, left - 2 * ASIDE, height)


def _needed(row: Row) -> int:
    """The width that a box's texts need."""
    weights = f"{row['parameters']:,}" if row["parameters"] else row["shape"]
    lines = [row["kind"] + weights] + ([row["name"] + row["shape"]] if row["parameters"] else [])
    return math.ceil(LETTER * max(map(len, lines))) + 40


def _height(row: Row) -> int:
    return FULL if row["parameters"] and not row.get("ghost") else SLIM


def _tiers(rows: Sequence[Row]) -> tuple[dict[Any, int], list[list[Row]]]:
    """How far each row is from the start on its longest way, and the rows by that number."""
    at: dict[Any, int] = {}
    for row in rows:
        at[row["id"]] = 1 + max((at[source] for source in row["inputs"]), default=-1)
    tiers: list[list[Row]] = [[] for _ in range(1 + max(at.values()))]
    for row in rows:
        tiers[at[row["id"]]].append(row)
    return at, tiers


def _columns(rows: Sequence[Row], wide: float) -> Iterator[list[Row]]:
    """Cut where everything passes through one box; the next column begins with its ghost."""
    at, tiers = _tiers(rows)
    ends = [*accumulate(max(map(_height, tier)) + GAP for tier in tiers)]
    across = max(map(len, tiers)) * (wide + ASIDE) + ASIDE
    count = min(max(1, int(BROAD / across)), math.ceil(ends[-1] / TALL))
    lines = [(at[source], at[row["id"]]) for row in rows for source in row["inputs"]]
    last = len(tiers) - 1
    free = [
        tier
        for tier in range(1, last)
        if len(tiers[tier]) == 1 and not any(start < tier < end for start, end in lines)
    ]
    cuts = set()
    for share in (part * ends[-1] / count for part in range(1, count)):
        nearest = min(free, key=lambda tier: abs(ends[tier] - share), default=0)
        if abs(ends[nearest] - share) < ends[-1] / count / 3:
            cuts.add(nearest)
    for first, final in pairwise([-1, *sorted(cuts), last]):
        ghosts = [{**row, "inputs": [], "ghost": True} for row in tiers[first] if first >= 0]
        yield [*ghosts, *(row for row in rows if first < at[row["id"]] <= final)]


class _Column:
    """Boxes in tiers, then lines between them."""

    def __init__(self, rows: Sequence[Row], wide: float) -> None:
        self.rows, self.wide = rows, wide
        self.at, self.tiers = _tiers(rows)
        self.boxes: dict[Any, Box] = {}
        self.lanes: list[tuple[float, int, int]] = []  # x, from tier, to tier
        self.gaps: list[float] = []  # the middle of the gap above each tier

    def layout(self) -> Layout:
        self._sort()
        height = self._place()
        lines = [(source, row["id"]) for row in self.rows for source in row["inputs"]]
        lines.sort(key=lambda line: self.at[line[1]] - self.at[line[0]])  # long ones go around
        paths = [self._line(*line) for line in lines]
        edges = [x for box in self.boxes.values() for x in (box.x, box.right)]
        edges += [x for path in paths for x, _ in path]
        left, right = min(edges), max(edges)
        boxes = [replace(box, x=box.x - left) for box in self.boxes.values()]
        paths = [[(x - left, y) for x, y in path] for path in paths]
        return Layout(boxes, paths, right - left, height)

    def _sort(self) -> None:
        """Each tier by the mean place of what its boxes are joined to: few lines cross."""
        near: dict[Any, list[Any]] = {row["id"]: list(row["inputs"]) for row in self.rows}
        for row in self.rows:
            for source in row["inputs"]:
                near[source].append(row["id"])
        place = {row["id"]: number for tier in self.tiers for number, row in enumerate(tier)}
        for tier in 2 * [*self.tiers, *reversed(self.tiers)]:
            tier.sort(key=lambda row: _mean([place[other] for other in near[row["id"]]]))
            place.update({row["id"]: number for number, row in enumerate(tier)})

    def _place(self) -> float:
        """Each box below the mean of its sources; the height of all."""
        y = 0.0
        for tier in self.tiers:
            sources = [[self.boxes[source].middle[0] for source in row["inputs"]] for row in tier]
            high, places = (
                max(map(_height, tier)),
                _apart([*map(_mean, sources)], self.wide + ASIDE),
            )
            self.gaps.append(y - GAP / 2)
            for row, x in zip(tier, places, strict=True):
                own = _height(row)
                box = Box(row, x - self.wide / 2, y + (high - own) / 2, self.wide, own)
                self.boxes[row["id"]] = box
            y += high + GAP
        return y - GAP

    def _line(self, source: Any, target: Any) -> list[Place]:
        start, end = self.boxes[source], self.boxes[target]
        first, last = self.at[source], self.at[target]
        (x1, y1), (x2, y2) = start.middle, end.middle
        straight = next((x for x in (x1, x2) if self._free(x, first, last)), None)
        x = self._lane(first, last) if straight is None else straight
        self.lanes.append((x, first, last))
        way = [(x1, start.y + start.height), (x1, self.gaps[first + 1]), (x, self.gaps[first + 1])]
        if straight is None and start.right == self._edge(first):
            way = [(start.right, y1 + PORT), (x, y1 + PORT)]
        if straight is None and end.right == self._edge(last):
            return [*way, (x, y2 - PORT), (end.right, y2 - PORT)]
        return _corners([*way, (x, self.gaps[last]), (x2, self.gaps[last]), (x2, end.y)])

    def _free(self, x: float, first: int, last: int) -> bool:
        """Whether a line down at x meets no box, and no other line, between two tiers."""
        inner = [box for tier in self.tiers[first + 1 : last] for box in self._of(tier)]
        if any(box.x - LANE / 2 < x < box.right + LANE / 2 for box in inner):
            return False
        return last - first == 1 or not self._taken(x, first, last)

    def _taken(self, x: float, first: int, last: int) -> bool:
        return any(
            abs(x - lane) < LANE - 1 and max(first, start) < min(last, end)
            for lane, start, end in self.lanes
        )

    def _lane(self, first: int, last: int) -> float:
        """The first free place on the right of all boxes that a line goes by."""
        x = LANE + max(self._edge(tier) for tier in range(first, last + 1))
        while self._taken(x, first, last):
            x += LANE
        return x

    def _of(self, tier: Sequence[Row]) -> list[Box]:
        return [self.boxes[row["id"]] for row in tier]

    def _edge(self, tier: int) -> float:
        """The right edge of a tier."""
        return max(box.right for box in self._of(self.tiers[tier]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """The places nearest to those wanted, in that order, a gap apart (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []  # sum, count
    for number, place in enumerate(wanted):
        total, count = place - number * gap, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            before, more = pools.pop()
            total, count = total + before, count + more
        pools.append((total, count))
    means = [total / count for total, count in pools for _ in range(count)]
    return [round(mean + number * gap) for number, mean in enumerate(means)]


def _corners(path: Sequence[Place]) -> list[Place]:
    """The path without places where it goes straight on."""
    found: list[Place] = []
    for place in path:
        if found and place == found[-1]:
            continue
        if len(found) > 1 and any(
            found[-2][axis] == found[-1][axis] == place[axis] for axis in (0, 1)
        ):
            found.pop()
        found.append(place)
    return found
