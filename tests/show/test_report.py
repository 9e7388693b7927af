"""The page of a comparison: one small file, nothing from elsewhere, its numbers inside."""

import copy
import itertools
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manumatic.compare.contest import compare
from manumatic.doctor.finding import Finding, Findings
from manumatic.files import write_whole
from manumatic.show import svg
from manumatic.show.frame import letters, round_text
from manumatic.show.report import render_fragment, render_report, write_report
from manumatic.show.style import drawing_style, with_picture
from manumatic.show.text import decimals, duration, leaderboard

EVIL = "</script><b onload=alert(1)>"


@pytest.fixture(scope="module")
def facts():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 3)), columns=["a", "b", EVIL])
    frame["city"] = rng.choice(["Bonn", "Kiel", "Ulm"], 120)
    frame["rent & heat"] = frame["a"] + rng.normal(size=120)
    found = compare(
        frame, "rent & heat", models=["LinearRegression", "KNeighbors", "mlp-net"], folds=3
    ).facts()
    failed = {**copy.deepcopy(found["rows"][0]), "name": "wild", "verdict": "failed", "scores": []}
    found["rows"].append(failed | {"error": "DivergedError: inf in epoch 3", "training": None})
    return found


@pytest.fixture(scope="module")
def page(facts):
    return render_report(facts)


def test_the_page_is_small_and_asks_for_nothing(page):
    assert len(page.encode()) < 100_000
    assert re.findall(r"(?:src|href)\s*=\s*(\S+?)>", page) == ['"data:,"']
    assert not re.search(r"url\(|@import|https?://", page)
    assert re.findall(r"<script[^>]*>", page) == ['<script type="application/json" id="facts">']


def test_the_facts_are_inside_and_cannot_break_out(page, facts):
    inside = page.split('<script type="application/json" id="facts">')[1].split("</script>")[0]
    assert json.loads(inside) == json.loads(json.dumps(facts))
    assert EVIL not in page
    assert "<b onload" not in page


class Balance(HTMLParser):
    """Tags that are opened are closed, in order."""

    VOID = ("meta", "link", "line", "circle", "rect", "path", "polyline")

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append((tag, self.getpos()))


def test_the_markup_is_balanced(page):
    checker = Balance()
    checker.feed(page)
    assert (checker.wrong, checker.open) == ([], [])


def test_every_drawing_is_well_formed_and_speaks(page):
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) >= 1 + 4 + 1 + 1 + 1  # lever, dots, axis, cost, curve
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label")
    assert page.count("<title>fold 1:") == 4


def test_the_page_says_what_was_found(page, facts):
    assert facts["verdict"]["rule"] in page
    for row in facts["rows"]:
        assert row["name"] in page
    assert "DivergedError: inf in epoch 3" in page
    assert "rent &amp; heat" in page
    for number, part in enumerate(("data", "model", "loss", "optimizer", "loop"), start=1):
        assert f'<span class="step">{number}</span> {part}' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_page_says_whose_folds_were_trained_together(facts):
    said = "those of mlp-net were trained together, each counted with its own time"
    assert "trained together" not in render_report(facts)
    rows = [row | {"together": 9 * (row["name"] == "mlp-net")} for row in facts["rows"]]
    assert said in render_report(facts | {"rows": rows})


def test_a_contest_that_was_cut_short_says_so(facts):
    cut = {**facts, "interrupted": True, "missed": ["RandomForest"]}
    assert "Interrupted: " in render_report(cut)
    assert "no turn for RandomForest" in render_report(cut)
    assert "The time limit was reached" in render_report(cut | {"interrupted": False})


def test_a_contest_without_a_score_has_a_page(facts):
    failed = [row for row in facts["rows"] if row["verdict"] == "failed"]
    verdict = facts["verdict"] | {"gear": "neither", "model": "", "rule": "nothing-finished"}
    for rows in (failed, []):
        page = render_report({**facts, "rows": rows, "verdict": verdict})
        assert "Neither gear" in page
    assert "wild failed: DivergedError" in leaderboard({**facts, "rows": failed})


def test_a_notebook_gets_verdict_and_leaderboard(facts):
    fragment = render_fragment(facts)
    assert "KNeighbors" in fragment
    assert "<html" not in fragment


def test_files_are_written_whole_or_not_at_all(tmp_path, facts):
    path = write_report(facts, tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text(encoding="utf-8").endswith("</html>")
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


# --- small things --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.91, 0.99, [0.92, 0.94, 0.96, 0.98]),
        (-1e6, 1e6, [-1e6, -5e5, 0, 5e5, 1e6]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert svg.ticks(low, high) == pytest.approx(expected)


def test_curves_of_all_sizes():
    assert svg.loss_curves({}) == ""
    assert svg.loss_curves({"train": [(0, float("nan"))]}) == ""
    steep = svg.loss_curves({"train": [(epoch, 10.0**-epoch) for epoch in range(6)]})
    assert ">1e-5<" in steep
    assert ">loss, logarithmic<" in steep
    short = svg.loss_curves({"train": [(0, 2.0), (1, 1.0)]})
    assert re.findall(r'y="176"[^>]*>(.*?)<', short) == ["0", "1"]  # no half epochs
    ElementTree.fromstring(svg.loss_curves({"train": [(0, 1.0)], "valid": [(0, 1.0)]}))


def test_axes_write_round_numbers_in_full_and_huge_ones_short():
    assert [*map(round_text, (54_123.25, 0.0002, 0.0, 5e10, 2e-7))] == [
        *("54,123.25", "0.0002", "0", "5e10", "2e-7"),
    ]
    assert ">2e10<" in svg.axis((0, 6e10))
    assert "e+" not in svg.axis((0, 6e10))


def crowd(n):
    """Models beside and upon each other, with names of all lengths and scripts."""
    rng = np.random.default_rng(0)
    names = [
        "SVC",
        "GradientBoostingWithAVeryLongNameThatSomebodyGave",
        "ネットワーク模型",
        "mlp-net",
    ]
    rows = [
        {"name": f"{names[i % 4]}{i}", "gear": "PyTorch", "mean": 0.9 - 0.001 * (i % 7)}
        | {"fit_seconds": 10 ** rng.uniform(-4, 4)}
        for i in range(n)
    ]
    return svg.cost_chart(rows, (0.89, 0.91), lower_is_better=False, score="accuracy")


@pytest.mark.parametrize("n", [1, 2, 14, 50])
def test_names_of_models_cover_nothing_and_stay_inside(n):
    picture = ElementTree.fromstring(crowd(n))
    boxes = []
    for text in (e for e in picture.iter("text") if e.get("class") == "name"):
        long, x, y = 7.0 * letters(text.text), float(text.get("x")), float(text.get("y"))
        left = x - {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")] * long
        boxes.append((left, y - 12, left + long, y + 4))
        assert left >= 0
        assert left + long <= 1000
        assert len(text.text) <= 28
        assert re.search(r"\d$", text.text)  # a long name keeps its end
    for one, other in itertools.combinations(boxes, 2):
        assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
    hidden = n - len(boxes)
    assert (f"dots without a name: {hidden};" in crowd(n)) == bool(hidden)
    assert hidden <= 0.6 * n
    assert "mean accuracy" in crowd(n)


def test_scores_that_are_all_the_same_have_a_narrow_axis(facts):
    rows = [row | {"scores": [1.0] * 3, "mean": 1.0} for row in facts["rows"] if row["scores"]]
    page = render_report(facts | {"rows": rows})
    assert re.search(r'aria-label="axis">.*?>1\.05<', page)


def test_numbers_for_people():
    assert [duration(s) for s in (250, 1.26, 0.5, 0.0123, 0.0000021)] == [
        *("250 s", "1.3 s", "500 ms", "12.3 ms", "2.1 µs"),
    ]
    assert [duration(s) for s in (3599, 9000)] == ["3599 s", "2.5 h"]
    assert [decimals(sd) for sd in (0, 0.00321, 0.2, 9.9, 45, 300)] == [2, 4, 2, 2, 1, 0]
    assert [decimals(sd) for sd in (3e-8, 1e-30)] == [9, 12]  # a small score is not 0.000000


# --- colours -------------------------------------------------------------------------------------


def brightness(colour):
    """Relative luminance of #rrggbb (WCAG 2.1)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_on_what_lies_below_it(scheme):
    blocks = drawing_style().split("@media (prefers-color-scheme: dark)")
    block = blocks[scheme == "dark"].split("}")[0]
    found = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    for ink in ("ink", "soft", "automatic", "manual", "good", "bad"):
        for below in ("paper", "card", "wash"):
            low, high = sorted(map(brightness, (found[ink], found[below])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, below)
    for ink in ("good", "bad"):
        low, high = sorted(map(brightness, (found[ink], found[f"{ink}-wash"])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, ink


# --- in a notebook -------------------------------------------------------------------------------


def test_findings_are_cards_whose_lines_wrap():
    card = Findings([Finding("MM101", f"column {EVIL} is large", "X = X / 255")])._repr_html_()
    assert "<pre" not in card
    assert '<p class="finding issue"><b>MM101</b>' in card
    assert "<code>X = X / 255</code>" in card
    assert "<b onload" not in card
    assert "The doctor has no findings." in Findings()._repr_html_()


def test_a_table_scrolls_and_the_sentence_below_it_wraps():
    shown = with_picture("lr  loss\n1   <inf>\n\nTake 0.1 & go on.", "<svg/>")
    table, _, rest = shown.partition("</pre>")
    assert table.endswith("lr  loss\n1   &lt;inf&gt;")
    assert "overflow-x: auto" in table
    assert rest.startswith("<p>Take 0.1 &amp; go on.</p>")


# --- in a browser --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_shows_it(tmp_path: Path, facts):
    path = write_report(facts, tmp_path / "report.html")
    quiet = ("background-networking", "component-update", "sync", "gpu")
    command = ["chromium", "--headless", "--no-sandbox", *(f"--disable-{name}" for name in quiet)]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}"]
    done = subprocess.run(
        [*command, "--enable-logging=stderr", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (tmp_path / "page.png").stat().st_size > 20_000
    assert "CONSOLE" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_phone_shows_it_without_scrolling_sideways(tmp_path: Path, facts):
    long = "Verkaufspreis_der_Immobilie_in_Euro_inklusive_Nebenkosten"
    rows = [row | {"name": f"{row['name']}_{long}", "notes": [long]} for row in facts["rows"]]
    data = facts["data"] | {"target": long, "summary": f"120 rows; target {long}"}
    page = render_report(facts | {"rows": rows, "data": data, "missed": [long]})
    root = "document.documentElement"
    told = f"<script>document.title = {root}.scrollWidth - {root}.clientWidth</script>"
    (tmp_path / "report.html").write_text(page.replace("</body>", f"{told}</body>"), "utf-8")
    phone = '<iframe width="390" src="report.html"></iframe>'  # windows are 500 pixels and more
    told = "onload = () => { document.title = frames[0].document.title + ' too wide' }"
    frame = tmp_path / "phone.html"
    frame.write_text(f"<title></title>{phone}<script>{told}</script>", "utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=60)
    assert "<title>0 too wide</title>" in shown.stdout
