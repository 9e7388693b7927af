"""``manumatic doctor``: scripts are read, tables are tried; exit code 5 only when asked for."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manumatic.cli.main import main

OLD = "from sklearn.datasets import load_boston\n"
BAD = """import torch
from torch import nn

model = nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for epoch in range(100):
    nn.functional.mse_loss(model(X), y).backward()
    optimizer.step()
"""
HIDDEN = """from torch import nn


class Net(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.body = [nn.Linear(in_features, 8), nn.ReLU()]
        self.head = nn.Linear(8, out_features)

    def forward(self, X):
        for layer in self.body:
            X = layer(X)
        return self.head(X)
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def flowers():
    """flowers.csv: three classes that two columns tell apart."""
    rng = np.random.default_rng(0)
    kind = np.tile([0, 1, 2], 60)
    columns = {"long": kind + rng.normal(0, 0.3, 180), "wide": rng.normal(0, 1, 180)}
    frame = pd.DataFrame(columns).round(3).assign(kind=np.array(["a", "b", "c"])[kind])
    frame.to_csv("flowers.csv", index=False)


def error_of(capsys, arguments, code):
    assert main(["doctor", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


# --- scripts -------------------------------------------------------------------------------------


def test_a_finding_is_a_block_with_the_way_to_its_page(capsys):
    Path("train.py").write_text(OLD + BAD)
    assert main(["doctor", "train.py"]) == 0
    out, err = capsys.readouterr()
    first, second = out.rstrip("\n").split("\n\n")
    assert first.splitlines() == [
        "MM001 tip: line 1: sklearn.datasets.load_boston is gone since scikit-learn 1.2.",
        "    houses = mm.datasets.load_houses()  # 506×13, made up, no download",
        "    manumatic explain MM001",
    ]
    assert second.startswith("MM303 issue: line 9: optimizer steps in a loop")
    assert second.endswith("\n    manumatic explain MM303")
    assert err == ""


def test_no_findings_are_said_to_be_none(capsys):
    Path("train.py").write_text("x = 1\n")
    assert main(["doctor", "train.py", "--strict"]) == 0
    assert capsys.readouterr().out == "no findings\n"


def test_strict_counts_issues_and_no_tips(capsys):
    Path("tip.py").write_text(OLD)
    Path("issue.py").write_text(BAD)
    assert main(["doctor", "tip.py", "--strict"]) == 0
    assert main(["doctor", "issue.py"]) == 0
    assert main(["doctor", "issue.py", "--strict"]) == 5
    assert main(["doctor", "issue.py", "--strict", "--ignore", "MM001,MM303"]) == 0
    assert capsys.readouterr().out.endswith("no findings\n")


def test_json_is_one_document(capsys):
    Path("train.py").write_text(OLD + BAD)
    assert main(["doctor", "train.py", "--json", "--ignore", "MM303"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    [found] = document["findings"]
    assert list(found) == ["code", "severity", "message", "fix"]
    assert (found["code"], found["severity"]) == ("MM001", "tip")


def test_a_notebook(capsys):
    cells = [{"cell_type": "code", "source": ["%matplotlib inline\n", OLD]}]
    Path("work.ipynb").write_text(json.dumps({"cells": cells}))
    assert main(["doctor", "work.ipynb"]) == 0
    assert capsys.readouterr().out.startswith("MM001 tip: cell 1, line 2: ")


def test_scripts_that_cannot_be_read(capsys):
    Path("train.py").write_text("x = (\n")
    assert "train.py, line 1 is no Python" in error_of(capsys, ["train.py"], 3)
    Path("latin.py").write_bytes("x = 'Ä'".encode("latin-1"))
    assert "latin.py is not UTF-8 (byte 5)" in error_of(capsys, ["latin.py"], 3)
    assert error_of(capsys, ["trian.py"], 2).endswith("Did you mean 'train.py'?")
    assert "--target is for tables" in error_of(capsys, ["train.py", "-t", "y"], 2)
    assert "Did you mean 'MM303'?" in error_of(capsys, ["train.py", "--ignore", "MM3O3"], 2)


def test_help_and_scripts_need_no_torch():
    Path("train.py").write_text(OLD)
    code = (
        "import sys\nfrom manumatic.cli.main import main\n"
        "main(['doctor', '--help'])\nmain(['doctor', 'train.py'])\n"
        "print({'numpy', 'pandas', 'sklearn', 'torch'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert (
        "5 doctor --strict found an issue"
        in subprocess.run(
            [sys.executable, "-m", "manumatic.cli", "--help"], capture_output=True, text=True
        ).stdout
    )


# --- tables --------------------------------------------------------------------------------------


def test_a_healthy_table_is_looked_at_and_trained_on(flowers, capsys):
    assert main(["doctor", "flowers.csv", "-t", "kind", "--strict"]) == 0
    out, err = capsys.readouterr()
    assert out == "no findings\n"
    assert "180 rows, 2 numeric; target kind, 3 classes" in err


def test_a_net_whose_layers_are_hidden(flowers, capsys):
    Path("nets.py").write_text(HIDDEN)
    common = ["doctor", "flowers.csv", "-t", "kind", "--net", "nets.py:Net", "--strict", "-q"]
    assert main([*common, "--epochs", "0", "--json"]) == 5
    out, err = capsys.readouterr()
    assert "MM203" in [found["code"] for found in json.loads(out)["findings"]]
    assert err == ""
    assert main([*common, "--epochs", "2"]) == 5
    codes = [line[:5] for line in capsys.readouterr().out.splitlines() if line.startswith("MM")]
    assert codes.count("MM203") == 1


def test_epochs_0_looks_and_does_not_train(flowers, capsys):
    """Ten steps are too few to beat the shares of the classes, which only a training can say."""
    common = ["doctor", "flowers.csv", "-t", "kind", "-q", "--model", "linear", "--epochs"]
    assert main([*common, "0"]) == 0
    assert capsys.readouterr().out == "no findings\n"
    assert main([*common, "10"]) == 0
    assert "MM405 issue" in capsys.readouterr().out


def test_tables_that_cannot_be_used(flowers, capsys):
    assert "Add --target NAME" in error_of(capsys, ["flowers.csv"], 2)
    assert "Did you mean 'kind'?" in error_of(capsys, ["flowers.csv", "-t", "knd"], 2)
    Path("empty.csv").write_text("")
    assert "empty" in error_of(capsys, ["empty.csv", "-t", "kind"], 3)
