"""From a CSV to a server by the command line: fit, predict, export, serve, and compare --save."""

import contextlib
import csv
import http.client
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from manumatic.cli.main import main
from manumatic.deliver.load import load
from manumatic.deliver.runtime import Runtime
from manumatic.errors import DataError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """flats.csv with words, holes and dates, and flats.mm that was fitted on it.

    plain.csv has no dates: a graph that reads them takes seconds to write.
    """
    folder = tmp_path_factory.mktemp("flats")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": np.where(np.arange(60) % 8, rng.uniform(30, 150, 60).round(1), np.nan),
            "city": [["Ulm", "Bonn", "Kiel", None][i % 4] for i in range(60)],
            "built": pd.date_range("1970-03-01", periods=60, freq="200D").strftime("%Y-%m-%d"),
        }
    )
    frame["state"] = np.where(frame["size"].fillna(90) > 90, "dear", "fair")
    frame.to_csv(folder / "flats.csv", index=False)
    frame.drop(columns="built").to_csv(folder / "plain.csv", index=False)
    command = ["fit", str(folder / "flats.csv"), "-t", "state", "-o", str(folder / "flats.mm")]
    assert main([*command, "-q", "--model", "linear", "--epochs", "3"]) == 0
    return folder


@pytest.fixture(autouse=True)
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the files in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("flats.csv", "plain.csv", "flats.mm"):
        shutil.copy(home / name, tmp_path / name)


def fails(capsys: Any, arguments: list[str], code: int) -> str:
    """The error line of a run that ends with this code."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


# --- fit -----------------------------------------------------------------------------------------


def test_fit_writes_a_bundle_that_knows_the_columns(home: Path) -> None:
    schema = Runtime("flats.mm").schema
    assert {c.name: (c.kind, c.nullable) for c in schema.columns} == {
        "size": ("number", True),
        "city": ("word", True),
        "built": ("date", True),
    }


@pytest.mark.slow
def test_fit_says_what_was_decided_and_overwrites_only_when_told(capsys: Any) -> None:
    command = ["fit", "plain.csv", "-t", "state", "-o", "flats.mm"]
    assert fails(capsys, command, 2) == "flats.mm exists; --force overwrites it"
    before = Path("flats.mm").read_bytes()
    assert main([*command, "--force", "--model", "linear", "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    assert out == "flats.mm\n"
    assert "target state, 2 classes (dear, fair)" in err
    assert "tier 1: serves with onnxruntime alone" in err
    assert Path("flats.mm").read_bytes() != before


def test_fit_needs_a_target_and_a_table(capsys: Any) -> None:
    assert "is to be predicted?" in fails(capsys, ["fit", "flats.csv"], 2)
    assert "no such file" in fails(capsys, ["fit", "flat.csv", "-t", "state"], 2)
    Path("one.csv").write_text("a,state\n1,x\n2,x\n")
    assert "in every row" in fails(capsys, ["fit", "one.csv", "-t", "state"], 3)
    assert not Path("model.mm").exists()


@pytest.mark.slow
def test_ctrl_c_saves_what_is_finished(capsys: Any) -> None:
    Path("nets.py").write_text(
        "from torch import nn\n\n\nclass Tiny(nn.Linear):\n    steps = 0\n\n"
        "    def __init__(self, in_features, out_features):\n"
        "        super().__init__(in_features, out_features)\n\n"
        "    def forward(self, X):\n        if self.training:\n            Tiny.steps += 1\n"
        "            if Tiny.steps == 20:\n                raise KeyboardInterrupt\n"
        "        return super().forward(X)\n"
    )
    own = ["--net", "nets.py:Tiny", "--epochs", "200"]
    assert main(["fit", "plain.csv", "-t", "state", *own, "-o", "tiny.mm"]) == 130
    out, err = capsys.readouterr()
    assert out == "tiny.mm\n"
    assert "interrupted; saved as it was then" in err.splitlines()
    assert len(Runtime("tiny.mm").predict([{"size": 50.0, "city": "Ulm"}])) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "flats.csv", "-t", "state", "-o", "new.mm"],
        ["tune", "flats.csv", "-t", "state", "--save", "new.mm"],
        ["compare", "flats.csv", "-t", "state", "--save", "new.mm"],
    ],
)
def test_a_missing_package_is_told_before_the_training(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "skops", None)
    assert main(command) == 1
    said = 'error: this needs skops: pip install "manumatic[deliver]"\n'
    assert capsys.readouterr() == ("", said)


# --- predict -------------------------------------------------------------------------------------


def test_predict_is_what_the_estimator_says(capsys: Any) -> None:
    assert main(["predict", "flats.mm", "flats.csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    frame = pd.read_csv("flats.csv")[["size", "city", "built"]]
    net = load("flats.mm")
    assert [row["label"] for row in rows] == net.predict(frame).tolist()
    said = np.array([[row["probability_dear"], row["probability_fair"]] for row in rows], float)
    assert np.allclose(said, net.predict_proba(frame), atol=1e-6)


def test_predict_as_json_and_into_a_file(capsys: Any) -> None:
    assert main(["predict", "flats.mm", "flats.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {len(column) for column in found.values()} == {60}
    assert main(["predict", "flats.mm", "flats.csv", "-o", "out.csv"]) == 0
    assert capsys.readouterr().out == "out.csv\n"
    assert pd.read_csv("out.csv")["label"].tolist() == found["label"]
    again = ["predict", "flats.mm", "flats.csv", "-o", "out.csv"]
    assert fails(capsys, again, 2) == "out.csv exists; --force overwrites it"
    assert main([*again, "--force"]) == 0


def test_predict_reads_texts_which_no_graph_does(capsys: Any) -> None:
    """Words of a text are counted, so the whole estimator answers."""
    frame = pd.read_csv("plain.csv").drop(columns="city")
    notes = ["bright and near the river", "dark but cheap", "with a garden and a garage"]
    frame["note"] = [f"{notes[n % 3]}, number {n}" for n in range(len(frame))]
    frame.to_csv("notes.csv", index=False)
    fit = ["fit", "notes.csv", "-t", "state", "-o", "notes.mm", "-q", "--model", "linear"]
    assert main([*fit, "--epochs", "2"]) == 0
    capsys.readouterr()
    assert main(["predict", "notes.mm", "notes.csv"]) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    net = load("notes.mm")
    assert found["label"].tolist() == net.predict(frame[["size", "note"]]).tolist()
    said = found[["probability_dear", "probability_fair"]]
    assert np.allclose(said, net.predict_proba(frame[["size", "note"]]), atol=1e-6)
    with pytest.raises(DataError, match=r"no serve\.onnx"):
        Runtime("notes.mm")


def test_predict_says_what_is_wrong(capsys: Any) -> None:
    gone = fails(capsys, ["predict", "gone.mm", "flats.csv"], 2)
    assert gone == "gone.mm: No such file or directory"
    Path("few.csv").write_text("size,city\n50,Ulm\n")
    assert "lack the column 'built'" in fails(capsys, ["predict", "flats.mm", "few.csv"], 3)
    Path("bad.csv").write_text("size,city,built\nlarge,Ulm,1990-01-01\n")
    assert "'size'" in fails(capsys, ["predict", "flats.mm", "bad.csv"], 3)
    Path("flats.mm").write_bytes(Path("flats.mm").read_bytes()[:-9])
    assert "damaged" in fails(capsys, ["predict", "flats.mm", "flats.csv"], 3)


# --- info ----------------------------------------------------------------------------------------


def test_info_says_what_a_bundle_takes_and_gives(capsys: Any) -> None:
    assert main(["info", "flats.mm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["bundle", "flats.mm", f"({Runtime('flats.mm').version[:12]})"]
    assert "model    Classifier" in lines
    assert "answers  label: dear, fair; probability" in lines
    assert "  city   word: Bonn, Kiel, Ulm; may be missing" in lines
    assert "  built  date: 1970-03-01 to 2002-06-21; may be missing" in lines
    assert main(["info", "flats.mm", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [column["name"] for column in facts["columns"]] == ["size", "city", "built"]
    assert facts["about"]["estimator"] == "Classifier"
    assert "no bundle" in fails(capsys, ["info", "flats.csv"], 3)


# --- export --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_export_compares_and_overwrites_only_when_told(capsys: Any) -> None:
    assert main(["export", "flats.mm", "flats.onnx"]) == 0
    out, err = capsys.readouterr()
    assert out == "flats.onnx\n"
    assert "predict" in err
    names = [one.name for one in onnx.load("flats.onnx").graph.input]
    assert names == ["size", "city", "built"]
    again = ["export", "flats.mm", "flats.onnx"]
    assert fails(capsys, again, 2) == "flats.onnx exists; --force overwrites it"
    assert "the ending must be one of" in fails(capsys, ["export", "flats.mm", "flats.exe"], 2)


@pytest.mark.slow
def test_export_of_a_network_of_the_user(capsys: Any) -> None:
    Path("nets.py").write_text(
        "from torch import nn\n\n\nclass Tiny(nn.Linear):\n"
        "    def __init__(self, in_features, out_features):\n"
        "        super().__init__(in_features, out_features)\n"
    )
    own = ["--net", "nets.py:Tiny"]
    pd.read_csv("flats.csv")[["size", "state"]].to_csv("sizes.csv", index=False)
    command = ["fit", "sizes.csv", "-t", "state", *own, "--epochs", "2", "-o", "tiny.mm", "-q"]
    assert main(command) == 0
    capsys.readouterr()
    assert "needs Tiny" in fails(capsys, ["export", "tiny.mm", "tiny.onnx"], 3)
    assert main(["export", "tiny.mm", "tiny.onnx", *own]) == 0
    assert Path("tiny.onnx").is_file()


@pytest.mark.parametrize("kind", ["docker", "flask", "fastapi"])
def test_export_writes_a_folder(capsys: Any, kind: str) -> None:
    assert main(["export", "flats.mm", f"--{kind}", "app"]) == 0
    assert capsys.readouterr().out == "app\n"
    assert Path("app", "Dockerfile" if kind == "docker" else "app.py").is_file()
    assert Path("app", "model.mm").read_bytes() == Path("flats.mm").read_bytes()
    again = ["export", "flats.mm", f"--{kind}", "app"]
    assert "app is not an empty folder" in fails(capsys, again, 2)
    assert main([*again, "--force", "-q"]) == 0


def test_export_takes_one_destination(capsys: Any) -> None:
    for more in ([], ["a.onnx", "--flask", "app"], ["--docker", "a", "--flask", "b"]):
        assert main(["export", "flats.mm", *more]) == 2
    assert "not allowed with argument" in capsys.readouterr().err
    assert not Path("app").exists()


# --- serve ---------------------------------------------------------------------------------------


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def test_serve_answers_until_sigterm() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    Path("token").write_text("sesame\n")
    command = [sys.executable, "-m", "manumatic.cli", "serve", "flats.mm", "--port", str(port)]
    options = ["--token-file", "token", "--max-rows", "2"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr.readline() == f"http://127.0.0.1:{port}/\n"
            for _ in range(600):
                with contextlib.suppress(OSError):
                    if ask(port, "GET", "/readyz")[0] == 200:
                        break
                time.sleep(0.1)
            rows = [{"size": None, "city": "Oslo", "built": "1990-01-01"}]
            assert ask(port, "POST", "/predict", {"rows": rows})[0] == 401
            code, answer = ask(
                port, "POST", "/predict", {"rows": rows}, Authorization="Bearer sesame"
            )
            assert (code, answer["predictions"]) == (
                200,
                Runtime("flats.mm").predict(rows).tolist(),
            )
            many = {"rows": rows * 3}
            assert ask(port, "POST", "/predict", many, Authorization="Bearer sesame")[0] >= 400
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) in (0, -signal.SIGTERM)
            assert "Traceback" not in server.stderr.read()
        finally:
            server.kill()


def test_serve_says_what_is_wrong(capsys: Any) -> None:
    Path("flats.mm").write_bytes(b"no bundle")
    assert "no bundle" in fails(capsys, ["serve", "flats.mm"], 3)
    assert "No such file" in fails(capsys, ["serve", "gone.mm"], 2)
    assert "No such file" in fails(capsys, ["serve", "flats.mm", "--token-file", "gone"], 2)
    for port in ("0", "99999"):
        said = fails(capsys, ["serve", "flats.mm", "--port", port], 2)
        assert said == f"--port takes a number from 1 to 65535; got {port}"


def test_a_port_that_is_taken_is_no_fault_of_the_data(capsys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = fails(capsys, ["serve", "flats.mm", "--port", port], 2)
    assert said == f"127.0.0.1:{port} cannot be listened on; --port or --host takes another"


# --- compare --save ------------------------------------------------------------------------------

COMPARE = ["compare", "plain.csv", "-t", "state", "--folds", "2", "--models", "LogisticRegression"]


@pytest.mark.slow
def test_compare_saves_its_best_model(capsys: Any) -> None:
    assert main([*COMPARE, "--save", "best.mm"]) == 0
    out, err = capsys.readouterr()
    assert "gear:" in out
    assert "fit   LogisticRegression on all 60 rows" in err
    assert "tier 1: serves with onnxruntime alone" in err
    frame = pd.read_csv("plain.csv")
    said = Runtime("best.mm").predict(frame[["size", "city"]])
    assert np.array_equal(said, load("best.mm").predict(frame[["size", "city"]]))
    assert (said == frame["state"]).mean() > 0.8


@pytest.mark.slow
def test_compare_saves_any_model_by_its_name(capsys: Any) -> None:
    models = ["--models", "LogisticRegression,KNeighbors"]
    assert main([*COMPARE, *models, "-q", "--save", "k.mm", "--save-model", "kneighbors"]) == 0
    assert capsys.readouterr().err == ""
    assert type(load("k.mm")[-1]).__name__ == "KNeighborsClassifier"


def test_what_cannot_be_saved_is_said_before_the_contest(capsys: Any) -> None:
    assert "needs --save" in fails(capsys, [*COMPARE, "--save-model", "Dummy"], 2)
    said = fails(capsys, [*COMPARE, "--save", "x.mm", "--save-model", "LogisticRegresion"], 2)
    assert "Did you mean 'LogisticRegression'?" in said
    assert "exists; --force" in fails(capsys, [*COMPARE, "--save", "flats.mm"], 2)
    assert not Path("manumatic-out").exists()
