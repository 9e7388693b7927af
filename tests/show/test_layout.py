"""Drawings of networks: boxes that do not touch, lines that go around them, DOT."""

import itertools
import random
import re
import xml.etree.ElementTree as ElementTree

import pytest

from manumatic.show.graph import box_texts, dot, graph_chart, rounded
from manumatic.show.layout import lay_out
from manumatic.show.style import drawing_style, standalone


def row(number, *inputs, kind="Linear", name="", shape="n × 8", parameters=72):
    named = name or f"layers.{number}"
    told = {"id": number, "kind": kind, "name": named, "shape": shape, "inputs": list(inputs)}
    return told | {"parameters": parameters, "trainable": parameters}


def chain(n):
    return [row(i, *([i - 1] if i else []), parameters=72 * (i % 2)) for i in range(n)]


def residual(blocks):
    """input, then blocks of two layers and an add that the input of the block joins."""
    rows = [row(0, kind="input", parameters=0)]
    for _ in range(blocks):
        last = len(rows) - 1
        rows += [row(last + 1, last), row(last + 2, last + 1)]
        rows.append(row(last + 3, last, last + 2, kind="add", parameters=0))
    return rows


def branches():
    rows = [
        row(0, kind="input", parameters=0),
        row(1, 0),
        row(2, 0),
        row(3, 2),
        row(4, 0, parameters=0),
    ]
    return [*rows, row(5, 4), row(6, 5), row(7, 1, 3, 6, 0, kind="cat", parameters=0), row(8, 7)]


def ladder():
    """Long lines inside each other, as in a U-Net."""
    rows = chain(7)
    rows[4]["inputs"].append(2)
    rows[5]["inputs"].append(1)
    rows[6]["inputs"].append(0)
    return rows


def wild(seed):
    rng = random.Random(seed)
    rows = [row(0, kind="input", parameters=0)]
    for number in range(1, rng.randint(3, 25)):
        sources = rng.sample(range(number), min(number, rng.choice([1, 1, 1, 2, 3])))
        rows.append(row(number, *sorted(sources), parameters=rng.choice([0, 72])))
    return rows


NETS = {
    "one": chain(1),
    "chain": chain(5),
    "deep": chain(42),
    "residual": residual(3),
    "tower": residual(20),
    "branches": branches(),
    "ladder": ladder(),
    "inputs": [row(0), row(1), row(2, 0, 1)],
    **{f"wild {seed}": wild(seed) for seed in [*range(30), 287, 341]},
}


def crosses(box, start, end):
    """Whether a line along an axis goes through the inside of a box."""
    (x1, x2), (y1, y2) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    inside = box.x + 1 < x2 and x1 < box.right - 1
    return inside and box.y + 1 < y2 and y1 < box.y + box.height - 1


@pytest.mark.parametrize("name", NETS)
def test_boxes_do_not_touch_and_stay_inside(name):
    layout = lay_out(NETS[name])
    for one, other in itertools.combinations(layout.boxes, 2):
        apart_x = one.right + 8 <= other.x or other.right + 8 <= one.x
        apart_y = one.y + one.height + 8 <= other.y or other.y + other.height + 8 <= one.y
        assert apart_x or apart_y
    for box in layout.boxes:
        assert 0 <= box.x <= box.right <= layout.width
        assert 0 <= box.y <= box.y + box.height <= layout.height


@pytest.mark.parametrize("name", NETS)
def test_lines_go_around_boxes_from_one_to_the_other(name):
    layout = lay_out(NETS[name])
    wanted = sum(len(r["inputs"]) for r in NETS[name])
    assert len(layout.paths) == wanted
    for path in layout.paths:
        for start, end in itertools.pairwise(path):
            assert start[0] == end[0] or start[1] == end[1]
            assert 0 <= start[0] <= layout.width
            assert not any(crosses(box, start, end) for box in layout.boxes)
        touched = [
            box
            for box in layout.boxes
            for x, y in (path[0], path[-1])
            if box.x <= x <= box.right and box.y <= y <= box.y + box.height
        ]
        assert len(touched) == 2


@pytest.mark.parametrize("name", NETS)
def test_what_follows_stands_below(name):
    layout = lay_out(NETS[name])
    assert all(path[0][1] < path[-1][1] for path in layout.paths)


@pytest.mark.parametrize("name", NETS)
def test_lines_do_not_run_on_each_other(name):
    """But for those that begin or end together."""
    downward = [
        (path[0], path[-1], start[0], start[1], end[1])
        for path in lay_out(NETS[name]).paths
        for start, end in itertools.pairwise(path)
        if start[0] == end[0]
    ]
    for one, other in itertools.combinations(downward, 2):
        (a, b, x, top, low), (c, d, lane, start, end) = one, other
        if a != c and b != d and abs(x - lane) < 4:
            assert min(low, end) - max(top, start) <= 1


def test_a_chain_is_straight_and_a_residual_block_too():
    for rows in (chain(6), residual(2)):
        boxes = lay_out(rows).boxes
        assert len({box.middle[0] for box in boxes}) == 1


def test_a_deep_network_goes_on_in_more_columns():
    layout = lay_out(chain(42))
    ghosts = [box for box in layout.boxes if box.ghost]
    assert len(ghosts) >= 2
    assert layout.height < 900
    assert layout.width < 1_300
    drawn = [box.row["id"] for box in layout.boxes if not box.ghost]
    assert sorted(drawn) == list(range(42))
    for ghost in ghosts:  # it repeats the lowest box of the column before
        [real] = [b for b in layout.boxes if b.row["id"] == ghost.row["id"] and not b.ghost]
        same = [b.y for b in layout.boxes if b.x == real.x]
        assert real.y == max(same)
        assert ghost.y == 0
        assert ghost.x > real.x


def test_a_network_is_not_cut_where_lines_go_by_or_far_from_the_middle():
    assert not any(box.ghost for box in lay_out(ladder()).boxes)
    tall = chain(18)
    tall[-1]["inputs"].append(2)
    assert lay_out(tall).height > 900
    assert not any(box.ghost for box in lay_out(tall).boxes)


def test_texts_fit_into_their_boxes():
    long = "encoder.blocks.11.attention.projection.linear"
    [box] = lay_out([row(0, name=long, shape="n × 128 × 28 × 28", parameters=1_234_567)]).boxes
    picture = graph_chart([box.row])
    texts = [e.text for e in ElementTree.fromstring(picture).iter("text")]
    assert texts[0] == "Linear"
    assert texts[2].startswith("…")
    assert long.endswith(texts[2][1:])
    assert 6.4 * (len(texts[2]) + len(texts[3])) <= box.width
    assert long in picture  # in the title


@pytest.mark.parametrize("parameters", [0, 100_000_000])
def test_a_long_kind_leaves_room_for_what_stands_beside_it(parameters):
    kind = "ParametrizedConvTranspose2dWithStatistics"
    given = row(0, kind=kind, shape="n × 128 × 28 × 28", parameters=parameters)
    [box] = lay_out([given]).boxes
    (left, _, first, _, _), (right, _, beside, _, _) = box_texts(box)[:2]
    assert left + 7.2 * len(first) <= right - 6.4 * len(beside)
    assert first.startswith("Para")
    assert first.endswith("cs")


@pytest.mark.parametrize("name", [*itertools.islice(NETS, 8)])
def test_pictures_stand_alone_and_speak(name):
    rows = NETS[name]
    picture = standalone(graph_chart(rows))
    root = ElementTree.fromstring(picture)
    assert root.get("role") == "img"
    assert f"{len(rows)} steps" in root.get("aria-label")
    boxes = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("class") != "card"]
    assert len(boxes) >= len(rows)
    assert all(box[0].text for box in boxes)
    style = drawing_style()
    kinds = {kind for text in re.findall(r'class="([^"]+)"', picture) for kind in text.split()}
    assert {kind for kind in kinds - {"mm", "graph"} if f".{kind}" not in style} <= {"trained"}


def test_names_cannot_break_out():
    evil = row(0, kind='"];</svg><script>', name="a\\b\n", shape="")
    assert "<script" not in graph_chart([evil])
    ElementTree.fromstring(graph_chart([evil]))
    assert dot([evil]).count("\n") == 3
    assert r'label="\"];</svg><script>\na\\b\n' in dot([evil])


def test_frozen_weights_look_and_read_otherwise():
    frozen = row(0) | {"trainable": 0}
    partly = row(1, 0) | {"trainable": 12}
    picture = graph_chart([frozen, partly])
    assert picture.count('class="bar fixed"') == picture.count('class="bar trained"') == 1
    assert "72 parameters, 60 of them frozen" in picture


def test_corners_bend_at_most_half_the_way():
    path = [(0, 0), (0, 4), (100, 4)]
    [(before, corner, after)] = rounded(path)
    assert before == (0, 2)
    assert corner == (0, 4)
    assert after == pytest.approx((7, 4))


def test_dot_has_every_box_and_every_line():
    source = dot(residual(2))
    lines = re.findall(r"^  (\d+) -> (\d+);$", source, re.MULTILINE)
    assert len(re.findall(r"^  \d+ \[label=", source, re.MULTILINE)) == 7
    wanted = [(str(s), str(r["id"])) for r in residual(2) for s in r["inputs"]]
    assert lines == wanted
    assert source.startswith("digraph net {\n")
    assert "n × 8" in source
    assert source.endswith("\n}")
