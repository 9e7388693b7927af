"""``manumatic tune``: a table, a budget, and what is kept."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manumatic.cli.main import main
from manumatic.deliver.load import load

pytest.importorskip("optuna")

TUNE = ["tune", "flats.csv", "-t", "dear", "--model", "linear", "--epochs", "2"]


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


@pytest.mark.slow
def test_results_on_stdout_progress_on_stderr_the_best_in_a_file(flats, capsys):
    assert main([*TUNE, "--trials", "3", "--save", "best.manumatic"]) == 0
    out, err = capsys.readouterr()
    assert "validation loss" in out.splitlines()[0]
    assert out.splitlines()[-1].startswith("3 trials: ")
    assert [line.split()[1] for line in err.splitlines() if "  trial" in line] == ["0", "1", "2"]
    best = load("best.manumatic")
    assert set(best.predict(flats[["size", "age", "rent"]])) <= {"yes", "no"}
    assert "best.manumatic exists; --force" in fails(
        capsys, [*TUNE, "--trials", "3", "--save", "best.manumatic"], 2
    )


def test_a_storage_is_gone_on_with_and_json_is_one_document(flats, capsys):
    common = [*TUNE, "--storage", "study.log", "--json", "-q", "--scoring", "accuracy"]
    assert main([*common, "--trials", "2"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*common, "--trials", "4"]) == 0
    out, err = capsys.readouterr()
    second = json.loads(out)
    assert err == ""
    assert [trial["number"] for trial in second["trials"]] == [0, 1, 2, 3]
    assert second["trials"][:2] == first["trials"]
    assert second["value"] == "accuracy"
    assert second["score"] >= first["score"]


def test_exit_codes(flats, capsys):
    assert "Add --target NAME" in fails(capsys, ["tune", "flats.csv"], 2)
    assert "no metric 'exactness'. Some" in fails(capsys, [*TUNE, "--scoring", "exactness"], 2)
    assert fails(capsys, [*TUNE, "--cv", "1"], 2) == "--cv takes 2 folds or more; got 1"
    main([*TUNE, "--trials", "1", "--storage", "study.log"])
    capsys.readouterr()
    other = ["tune", "flats.csv", "-t", "rent", "--trials", "1", "--storage", "study.log"]
    assert "was made for other rows" in fails(capsys, other, 2)
    Path("empty.csv").write_text("a,b\n")
    fails(capsys, ["tune", "empty.csv", "-t", "b"], 3)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(flats):
    command = [sys.executable, "-m", "manumatic.cli", *TUNE[:-1], "20", "--time", "300"]
    command += ["--storage", "study.log", "--save", "best.mm"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        line = "before the first"
        while "trial 2" not in line:
            line = process.stderr.readline()
            assert line, process.communicate()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.splitlines()[-1].startswith("Interrupted. ")
    assert "Traceback" not in err
    assert load("best.mm").classes_.tolist() == ["no", "yes"]
    assert main([*TUNE[:-1], "20", "--trials", "4", "--storage", "study.log", "-q"]) == 0
