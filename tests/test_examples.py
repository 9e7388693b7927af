"""Each example runs as its reader would run it, and says what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAYS = {
    "01": (r"scikit-learn: 7\.00 .* 45\.00", r"PyTorch: +7\.37 .* 43\.67", r"87\.00 and 87\.88"),
    "02": (r"0\.0845?\b", r"one step|loss of the first two epochs: 98\.0000|, 0\.0000$"),
    "03": (r"100 +14\.782 +16\.906", r"1000 +7\.369 +43\.667", r"overshoots to 17\.1"),
    "04": (
        r"LinearRegression.*: what fit hides",
        r"none: scipy\.linalg\.lstsq",
        r"CrossEntropyLoss",
    ),
    "05": (r"epoch 2: loss 4031\.2007, gradient -402\.20", r"no loss: grad can be implicitly"),
    "06": (r"CNN differs from Linear in \d lines", r"Transformer differs from Linear in \d+ lines"),
    "07": (  # as it was, refitted, trained on
        r"logistic regression +0\.66\d +0\.80\d +0\.(79|80)\d$",
        r"neural network +0\.7[45]\d +0\.7\d\d +0\.(8[89]|90)\d$",
        r"gradient boosting +0\.72\d +0\.80\d +0\.8[3-6]\d$",
        r"random forest +0\.(69|70)\d +0\.7[67]\d +0\.(79|8[0-3])\d$",
    ),
    # at least 60 of 1,000 rows on each of the eight heaps
    "20": (r"(8\d|9\d)% of the rows", r"rows on each: \[(([6-9]\d|\d{3})(, )?){8}\]$"),
    "21": (r"mean return over 100 games: (4[89]\d|500)\.\d",),  # solved is 475
    "22": (r"epoch \d+: mean return (4[89]\d|500)\.\d",),
    "30": (
        r"words counted.* 0\.\d\d$",
        r"words and pairs read.* (0\.[89]\d|1\.00)$",
        "words known",
    ),
    "31": (r"first forecast is for 04 April 2021", r"trained on \d+ windows: mean error \d\.\d\d"),
}
LONG = {"20", "21", "22"}  # ten seconds and more of one core


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.stem[:2] in LONG else [], id=path.stem)
        for path in EXAMPLES
    ],
)
def test_an_example_runs_and_says_so(example: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    for pattern in SAYS[example.stem[:2]]:
        assert re.search(pattern, run.stdout, re.MULTILINE), (pattern, run.stdout)


def test_the_skeletons_differ_in_the_model_alone(tmp_path: Path) -> None:
    """The answer to the third question, line by line."""
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "06_one_skeleton.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    told = [line for line in run.stdout.splitlines() if line.startswith("  ")]
    assert len(told) == 18
    assert {line[:32].strip() for line in told} == {"# 2. model"}
