"""``manumatic sweep``: the tutorial without a file, the user's table with one."""

import json
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manumatic.cli.main import main


@pytest.fixture
def flats(tmp_path, monkeypatch):
    """flats.csv in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)).round(3), columns=["size", "age"])
    frame["rent"] = (3 * frame["size"] - frame["age"]).round(3)
    frame["dear"] = np.where(frame["rent"] > 0, "yes", "no")
    frame.to_csv("flats.csv", index=False)
    return frame


def fails(capsys, arguments, code):
    """The error line of a run that ends with this code."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


def test_without_a_file_it_is_the_exercise_of_the_tutorial(capsys):
    assert main(["sweep"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["lr", "0.1", "0.01", "0.001"]
    assert "epoch 127" in lines[1]
    assert "143.9" in lines[3]
    assert lines[-1].startswith("Take lr 0.01: its loss of 0.3257 is the lowest after 1,000 epochs")
    assert "above the stability limit 0.084" in lines[-1]
    assert err.splitlines()[0].startswith("bundled data: 5 hours of study")
    assert [line.split()[1] for line in err.splitlines()[1:]] == ["0.1", "0.01", "0.001"]


def test_json_is_one_document_and_quiet_is_quiet(capsys):
    assert main(["sweep", "--lr", "0.1,0.01", "--epochs", "200", "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    facts = json.loads(out)
    assert facts["schema"] == 1
    assert [row["diverged_at"] for row in facts["rows"]] == [127, None]
    assert facts["suggested"] == 0.01
    assert round(facts["limit"], 4) == 0.0845


def test_a_table_gets_a_range_test(flats, capsys):
    common = ["sweep", "flats.csv", "--target", "rent"]
    assert main([*common, "--model", "linear", "--optimizer", "sgd", "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert facts["kind"] == "range test"
    assert 0.001 < facts["suggested"] < facts["limit"]
    assert "60 rows" in err


def test_options_reach_the_trainings(flats, capsys):
    Path("nets.py").write_text(
        "from torch import nn\n\n\ndef tiny(in_features, out_features):\n"
        "    return nn.Linear(in_features, out_features)\n"
    )
    common = ["sweep", "flats.csv", "-t", "dear", "--lr", "0.5,0.01", "--epochs", "3", "--json"]
    found = []
    for more in (["--net", "nets.py:tiny"], ["--model", "mlp", "--seed", "1"], ["--model", "mlp"]):
        assert main([*common, *more]) == 0
        facts = json.loads(capsys.readouterr().out)
        found.append(tuple(row["final_loss"] for row in facts["rows"]))
        assert [len(curve) for curve in facts["curves"].values()] == [3, 3]
    assert len(set(found)) == 3


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_the_picture_goes_into_a_file_that_is_not_overwritten(flats, capsys, suffix):
    command = ["sweep", "--epochs", "5", "-o", f"rates.{suffix}"]
    assert main(command) == 0
    assert f"wrote rates.{suffix}" in capsys.readouterr().err
    text = Path(f"rates.{suffix}").read_text(encoding="utf-8")
    assert "lr 0.01" in text
    assert "prefers-color-scheme: dark" in text
    if suffix == "svg":
        ElementTree.fromstring(text)
    else:
        assert text.startswith("<!doctype html>")
        assert "verdict" in text
    assert f"rates.{suffix} exists; --force overwrites it" in fails(capsys, command, 2)
    assert main([*command, "--force", "-q"]) == 0


def test_exit_codes(flats, capsys):
    assert main(["sweep", "--lr", "1,0.5"]) == 4
    assert "take 0.042" in capsys.readouterr().out
    assert "--lr takes numbers, as in 0.1,0.01,0.001; got 'a'" in fails(
        capsys, ["sweep", "--lr", "a"], 2
    )
    assert "positive numbers" in fails(capsys, ["sweep", "--lr", "0", "-q"], 2)
    assert "ending in .svg or .html; got 'a.png'" in fails(capsys, ["sweep", "-o", "a.png"], 2)
    assert "Add --target NAME" in fails(capsys, ["sweep", "flats.csv"], 2)
    assert "no optimizer 'adamm' in torch.optim" in fails(
        capsys, ["sweep", "--optimizer", "adamm"], 2
    )
    Path("empty.csv").write_text("a,b\n")
    fails(capsys, ["sweep", "empty.csv", "-t", "b"], 3)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished():
    command = [sys.executable, "-m", "manumatic.cli", "sweep", "--epochs", "10000000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        line = "before the first"
        while "diverged in epoch 127" not in line:
            line = process.stderr.readline()
            assert line, process.communicate()
        process.send_signal(signal.SIGINT)  # while the second rate trains
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.splitlines()[-1].startswith("Interrupted after 1 of 3 rates. lr 0.1 is above")
    assert "Traceback" not in err
