"""Curves over the epochs: every point in its place, nothing hidden, small, and readable."""

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from manumatic.show.curves import curve_chart, sparkline, spread, thinned
from manumatic.show.frame import Axis, Scale, short, ticks
from manumatic.show.style import drawing_style, standalone

SVG = "{http://www.w3.org/2000/svg}"


def falling(n, floor=0.1):
    return [(epoch, math.exp(-epoch / n * 3) + floor) for epoch in range(n)]


def marks(picture, tag, kind):
    """Elements whose first class is the given one."""
    root = ElementTree.fromstring(picture)
    found = [e for e in root.iter() if e.tag.removeprefix(SVG) == tag]
    return [e for e in found if (e.get("class") or "").split()[:1] == [kind]]


def places(path):
    return [tuple(map(float, pair.split(","))) for pair in re.findall(r"[\d.]+,[\d.]+", path)]


# --- frame ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.5, "0.5"), (-3.0, "-3"), (4031.2007, "4,031"), (999_999, "999,999")),
        *(
            (1e6, "1e6"),
            (1.234567, "1.235"),
            (0.001, "0.001"),
            (0.00099, "9.9e-4"),
            (1e-30, "1e-30"),
            (math.inf, "inf"),
            (math.nan, "nan"),
        ),
    ],
)
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_a_scale_keeps_to_its_edges():
    scale = Scale((0, 10), 100, 0)
    assert [scale(v) for v in (-5, 0, 5, 10, 99)] == [100, 100, 50, 0, 0]
    assert Scale((1, 1), 0, 10)(1) == 5


@pytest.mark.parametrize("values", [[1e-9, 1e9], [0.9, 40.0], [3.0], [-1.0, 1.0], [0.0, 0.0]])
def test_an_axis_has_round_numbers_inside_its_span(values):
    axis = Axis(values, 100, 0)
    low, high = axis.scale.span
    levels = [math.log10(v) if axis.log else v for v in axis.levels]
    assert levels
    assert all(low <= level <= high for level in levels)


def test_a_logarithmic_axis_counts_in_powers():
    assert Axis([0.02, 3_000.0], 100, 0).levels == pytest.approx([0.1, 1, 10, 100, 1_000])


@pytest.mark.parametrize("low", [1e-18, 1e-40, 1e-5])
def test_a_logarithmic_axis_has_labels_that_do_not_touch(low):
    axis = Axis([low, 1e4], start=264, end=72)
    heights = [axis(level) for level in axis.levels]
    assert len(heights) > 3
    assert all(lower - upper > 11 for lower, upper in itertools.pairwise(heights))


def test_a_logarithmic_axis_that_was_asked_for_spans_less_than_a_power():
    axis = Axis([0.31, 0.34], 100, 0, log=True)
    assert axis.log
    assert axis.levels == ticks(0.31, 0.34, 4)


# --- thinning ------------------------------------------------------------------------------------


def test_thinning_keeps_the_outline():
    rng = np.random.default_rng(0)
    curve = list(enumerate(rng.normal(size=10_000).cumsum().tolist()))
    fewer = thinned(curve, 400)
    assert len(fewer) <= 402
    assert set(fewer) <= set(curve)
    assert fewer == sorted(fewer)
    assert (fewer[0], fewer[-1]) == (curve[0], curve[-1])
    # each stretch of 50 epochs still reaches as far up and down as it did
    for start in range(0, 10_000, 50):
        whole = [v for e, v in curve if start <= e < start + 50]
        kept = [v for e, v in fewer if start <= e < start + 50]
        assert {min(whole), max(whole)} <= set(kept)


def test_short_curves_stay_as_they_are():
    assert thinned(falling(400), 400) == falling(400)


def test_thinning_keeps_what_is_not_finite():
    curve = falling(5_000)
    curve[1234] = (1234, math.nan)
    assert [e for e, v in thinned(curve) if math.isnan(v)] == [1234]


# --- the chart -----------------------------------------------------------------------------------


def test_every_epoch_has_its_place():
    picture = curve_chart({"train": [(0, 0.0), (5, 1.0), (10, 2.0)]})
    [line] = marks(picture, "path", "curve")
    (x0, y0), (x1, y1), (x2, y2) = places(line.get("d"))
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert y0 > y2  # up is more


def test_a_loss_that_falls_far_has_a_logarithmic_axis():
    steep = [(e, 10.0 ** (3 - e)) for e in range(5)]
    picture = curve_chart({"train": steep})
    assert ">loss, logarithmic<" in picture
    heights = [y for _, y in places(marks(picture, "path", "curve")[0].get("d"))]
    assert np.diff(heights) == pytest.approx(np.diff(heights)[0], abs=0.2)
    assert ">loss<" in curve_chart({"train": steep}, log=False)
    assert ">loss<" in curve_chart({"train": [(0, -1.0), (1, 100.0)]})


def test_the_best_epoch_is_marked_where_it_is():
    curves = {"train": falling(50), "valid": [(e, 1 + (e - 31) ** 2 / 900) for e in range(50)]}
    picture = curve_chart(curves, best=("valid", 31))
    [dot] = marks(picture, "circle", "best")
    line = next(e for e in marks(picture, "path", "curve") if "valid" in e.get("class"))
    assert (float(dot.get("cx")), float(dot.get("cy"))) == places(line.get("d"))[31]
    assert "best epoch 31: 1<" in picture


@pytest.mark.parametrize("epoch", [0, 49])
def test_the_words_beside_the_best_epoch_stay_inside(epoch):
    picture = curve_chart({"train": falling(50)}, best=("train", epoch))
    [text] = [e for e in marks(picture, "text", "name") if e.text.startswith("best epoch")]
    half = 6.2 * len(text.text) / 2
    assert float(text.get("x")) - half + 1 >= 170
    assert float(text.get("x")) + half <= 642


def test_numbers_that_are_not_finite_are_left_out_and_marked():
    curve = [(0, 3.0), (1, math.nan), (2, math.inf), (3, 2.0), (4, 1.0)]
    picture = curve_chart({"train": curve})
    [line] = marks(picture, "path", "curve")
    assert line.get("d").count("M") == 2  # broken in two
    assert len(places(line.get("d"))) == 3
    [cross] = marks(picture, "path", "gap")
    assert cross[0].text == "train, epochs 1 to 2: nan"


def test_a_curve_without_a_number_is_only_crosses():
    picture = curve_chart({"train": falling(3), "valid": [(0, math.nan), (1, math.nan)]})
    assert len(marks(picture, "path", "curve")) == len(marks(picture, "path", "gap")) == 1
    assert curve_chart({"train": [(0, math.nan)]}) == curve_chart({}) == ""


def test_targets_are_dashed_lines_at_their_height():
    picture = curve_chart({"w": [(0, 0.0), (1, 7.0)]}, targets={"w": 7})
    [aim] = marks(picture, "line", "aim")
    assert float(aim.get("y1")) == places(marks(picture, "path", "curve")[0].get("d"))[1][1]
    assert ">w → 7<" in picture


@pytest.mark.parametrize(("last", "expected"), [(1, "0 1"), (3, "0 1 2 3"), (9, "0 2 4 6 8")])
def test_there_are_no_half_epochs(last, expected):
    picture = curve_chart({"train": [(e, 1.0 + e) for e in range(last + 1)]})
    below = [e for e in ElementTree.fromstring(picture).iter("text") if e.get("y") == "278"]
    assert " ".join(e.text for e in below) == expected


def test_the_end_of_a_long_name_is_told_beside_its_line():
    name = "layers.encoder.0.attention.query.weight[0, 0]"
    picture = curve_chart({name: falling(9)}, targets={name: 1.0})
    (label,) = (e.text for e in ElementTree.fromstring(picture).iter() if "→" in (e.text or ""))
    assert label == "…ttention.query.weight[0, 0] → 1"
    assert max(x for x, _ in places(picture)) > 300  # there is room for the line


def test_one_epoch_is_a_dot():
    [line] = marks(curve_chart({"train": [(0, 1.0)]}), "path", "curve")
    assert "lone" in line.get("class")


def test_labels_keep_apart():
    rng = np.random.default_rng(1)
    for count in (1, 2, 9, 40):
        heights = rng.uniform(30, 60, count).tolist()
        moved = sorted(spread(heights, 13, 30, 258))
        gap = min(13, 228 / max(1, count - 1))
        assert all(high - low >= gap - 1e-9 for low, high in itertools.pairwise(moved))
        assert moved[0] >= 30
        assert moved[-1] <= 258 + 1e-6
    assert spread([40, 100], 13, 30, 258) == [40, 100]


# --- alone ---------------------------------------------------------------------------------------


def pictures():
    rng = np.random.default_rng(2)
    noisy = [(e, abs(v)) for e, v in enumerate(rng.normal(size=100_000).tolist())]
    many = {f"layers.0.weight[{n},0]": noisy[n : n + 5_000] for n in range(20)}
    return {
        "two": curve_chart({"train": falling(30), "valid": falling(30, 0.2)}, best=("valid", 29)),
        "long": curve_chart({"train": noisy, "valid": noisy}, best=("train", 1)),
        "many": curve_chart(many, value="weights", targets={"layers.0.weight[3,0]": 0.5}),
        "spark": sparkline([v for _, v in noisy]),
        "evil": curve_chart({'<b a="1">&': falling(3)}, value="</svg><script>"),
    }


@pytest.mark.parametrize("name", ["two", "long", "many", "spark", "evil"])
def test_pictures_stand_alone_small_and_speak(name):
    picture = standalone(pictures()[name])
    assert len(picture.encode()) < 20_000
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    for tag in ("path", "circle"):
        drawn = [e for e in root.iter(f"{SVG}{tag}") if "end" not in (e.get("class") or "")]
        assert all(e.find(f"{SVG}title").text for e in drawn)
    assert not re.search(r"url\(|@import|https?://(?!www.w3.org/2000/svg)", picture)
    assert "prefers-color-scheme: dark" in picture
    assert "<script" not in picture


def test_a_picture_has_every_class_and_variable_that_it_uses():
    style = drawing_style()
    assert set(re.findall(r"var\((--\w+)", style)) <= set(re.findall(r"(--\w+):", style))
    kinds = [k for p in pictures().values() for k in re.findall(r'class="([^"]+)"', p)]
    assert {kind for text in kinds for kind in text.split() if f".{kind}" not in style} == set()


def test_sparklines_of_all_sizes():
    assert sparkline([]) == sparkline([math.nan]) == ""
    assert 'viewBox="0 0 96 20"' in sparkline([1.0])
    assert "loss: 9 to 1 in 3 epochs" in sparkline([9.0, math.nan, 1.0])
