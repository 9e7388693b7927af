"""The command line: results on stdout, one line for each mistake, files never overwritten."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manumatic.cli.compare import Progress
from manumatic.cli.main import main
from manumatic.cli.table import read_table
from manumatic.compare.contest import plan
from manumatic.errors import DataError

QUICK = ["--models", "LinearRegression,KNeighbors"]


@pytest.fixture
def flats(tmp_path, monkeypatch):
    """flats.csv in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)).round(3), columns=["size", "age"])
    frame["city"] = rng.choice(["Bonn", "Ulm"], 60)
    frame["rent"] = (3 * frame["size"] - frame["age"] + rng.normal(size=60)).round(3)
    frame.to_csv("flats.csv", index=False)
    return frame


def fails(capsys, arguments, code):
    """The error line of a run that ends with this code."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


def run(*arguments, **options):
    """In a process of its own, as a user does."""
    command = [sys.executable, "-m", "manumatic.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


# --- the main job --------------------------------------------------------------------------------


def test_compare_prints_the_leaderboard_and_writes_the_files(flats, capsys):
    assert main(["compare", "flats.csv", "-t", "rent", "--models", "LinearRegression,mlp-net"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split()[:3] == ["#", "model", "gear"]
    assert "gear: AUTOMATIC (scikit-learn)" in out
    assert "data  60 rows, 2 numeric, 1 text; target rent" in err
    assert [line.split()[0] for line in err.splitlines() if line.startswith("  ")] == [
        *("Dummy", "LinearRegression", "mlp-net"),
    ]
    written = {path.name for path in Path("manumatic-out").iterdir()}
    assert {"report.html", "result.json", "train.py"} <= written
    facts = json.loads(Path("manumatic-out/result.json").read_text(encoding="utf-8"))
    assert facts["verdict"]["model"] == "LinearRegression"


def test_json_is_one_document_and_quiet_is_quiet(flats, capsys):
    assert main(["compare", "flats.csv", "-t", "rent", "--json", "--quiet", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["schema"] == 1
    assert err == ""


def test_no_run_overwrites_another_unless_it_is_told_to(flats, capsys):
    command = ["compare", "flats.csv", "-t", "rent", "-q", *QUICK]
    for _ in range(3):
        assert main(command) == 0
    first = Path("manumatic-out/report.html").stat().st_mtime_ns
    assert main([*command, "--force"]) == 0
    capsys.readouterr()
    assert Path("manumatic-out/report.html").stat().st_mtime_ns > first
    assert sorted(path.name for path in Path().iterdir()) == [
        *("flats.csv", "manumatic-out", "manumatic-out-1", "manumatic-out-2"),
    ]


def test_options_reach_the_contest(flats, capsys):
    flats["house"], flats["day"] = np.arange(60) // 6, pd.date_range("2024", periods=60).astype(str)
    flats.to_csv("more.csv", index=False)
    common = ["compare", "more.csv", "-t", "rent", "--metric", "mae", "--seed", "3", *QUICK]
    assert main([*common, "--group", "house", "--folds", "4", "--repeats", "2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["folds"] == {
        "number": 8,
        "kind": "4 folds of whole groups, drawn 2 times",
        "seed": 3,
    }
    assert facts["metric"]["label"] == "MAE"
    assert main([*common, "--time", "day", "--json"]) == 0
    assert "train on the past" in json.loads(capsys.readouterr().out)["folds"]["kind"]


def test_a_network_of_the_user_takes_part(flats, capsys):
    Path("nets.py").write_text(
        "from torch import nn\n\n\nclass Tiny(nn.Module):\n"
        "    def __init__(self, in_features, out_features):\n        super().__init__()\n"
        "        self.line = nn.Linear(in_features, out_features)\n\n"
        "    def forward(self, X):\n        return self.line(X)\n"
    )
    common = ["compare", "flats.csv", "-t", "rent", "-q", "--models", "KNeighbors", "--net"]
    assert main([*common, "nets.py:Tiny"]) == 0
    assert "Tiny" in capsys.readouterr().out
    assert fails(capsys, [*common, "nets.py:Tidy"], 2).startswith(
        "--net nets.py:Tidy: nets.py has no 'Tidy'. Did you mean 'Tiny'?"
    )
    assert "no such Python file 'gone.py'" in fails(capsys, [*common, "gone.py:Net"], 2)
    assert "takes FILE.py:NAME" in fails(capsys, [*common, "nets.py"], 2)
    Path("off.py").write_text("import no_such_package\n")
    said = fails(capsys, [*common, "off.py:Net"], 2)
    assert said.endswith("off.py cannot be imported: No module named 'no_such_package'")


def test_csv_comes_from_stdin(flats, capsys, monkeypatch):
    raw = io.BytesIO(Path("flats.csv").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    assert main(["compare", "-", "-t", "rent", "-q", *QUICK]) == 0
    assert "LinearRegression" in capsys.readouterr().out


def test_images_come_from_npz(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    np.savez("images.npz", X=rng.random((60, 4, 4)) + y[:, None, None], y=y)
    common = ["compare", "images.npz", "-q", "--models", "LogisticRegression"]
    assert main(common) == 0
    assert "LogisticRegression" in capsys.readouterr().out
    assert "holds arrays" in fails(capsys, [*common, "--group", "a"], 2)


@pytest.mark.slow
def test_without_a_file_the_bundled_data_are_compared(tmp_path):
    done = run("compare", *QUICK, cwd=tmp_path)
    assert done.returncode == 0
    assert "bundled data: 2,000 made-up flats" in done.stderr
    assert (tmp_path / "manumatic-out" / "report.html").exists()


# --- mistakes on the command line: exit 2 --------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["flat.csv", "-t", "rent"], "flat.csv: no such file. Did you mean 'flats.csv'?"),
        ([".", "-t", "rent"], ".: is a directory"),
        (
            ["flats.csv", "-t", "rant"],
            "no column 'rant' in flats.csv. Did you mean 'rent'? Columns:",
        ),
        (
            ["flats.csv"],
            "which column of flats.csv is to be predicted? Add --target NAME. Columns:",
        ),
        (
            ["flats.csv", "-t", "rent", "--group", "cty"],
            "no column 'cty' in flats.csv. Did you mean",
        ),
        (["flats.csv", "-t", "rent", "--models", "Lasso"], "no model 'Lasso'."),
        (["flats.csv", "-t", "rent", "--folds", "1"], "--folds takes 2 or more and"),
        (["flats.csv", "-t", "rent", "--time-limit", "0"], "--time-limit takes seconds, more"),
        (["flats.csv", "-t", "rent", "-o", "."], "--out takes a folder of its own; --force"),
        (["flats.csv", "-t", "rent", "--metric", "foo"], "no metric 'foo'. Some are rmse, mae,"),
    ],
)
def test_usage(flats, capsys, arguments, line):
    assert fails(capsys, ["compare", *arguments], 2).startswith(line)
    assert not Path("manumatic-out").exists()


def test_an_obvious_target_is_suggested(flats, capsys):
    flats.rename(columns={"rent": "Target"}).to_csv("flats.csv", index=False)
    assert "Perhaps --target Target?" in fails(capsys, ["compare", "flats.csv"], 2)


def test_argparse_says_what_is_wrong(capsys):
    assert main(["compare", "--folds", "many"]) == 2
    assert "invalid int value: 'many'" in capsys.readouterr().err
    assert main(["compere"]) == 2
    assert "invalid choice: 'compere'" in capsys.readouterr().err


def test_verbose_shows_where_an_error_came_from(flats, capsys):
    assert main(["compare", "flats.csv", "-t", "rant", "-v"]) == 2
    assert "Traceback" in capsys.readouterr().err


# --- data that cannot be used: exit 3 ------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "bad.csv is empty"),
        (" \n\n", "bad.csv is empty"),
        ("a,rent\n", "bad.csv has a header (a, rent) but no rows"),
        ("a,rent,a\n1,2,3\n", "bad.csv: column 'a' appears more than once"),
        ("a,rent\n1,2,3\n4,5,6\n", "bad.csv: row 1 has 3 cells, the header 2"),
        ("a,rent\n1,2\n3,4,5\n", "bad.csv: Error tokenizing data. C error: Expected 2 fields"),
        ("a,rent\n1,\n2,\n", "the target 'rent' is missing in all 2 rows"),
        ("a,rent\n1,7\n2,7\n", "the target 'rent' is '7' in every row"),
        ("a,rent\n1,x\n2,x\n", "the target 'rent' is 'x' in every row"),
        ("a,rent\n1,1.5\n2,2.5\n", "there are 2 rows: too few for two folds"),
        ("a,rent\n1,1.5\ninf,2.5\n3,3\n4,4\n", "column 'a' holds an infinite value in row 1"),
        ("rent\n1\n2\n", "'rent' is the only column"),
    ],
)
def test_unusable_data(flats, capsys, text, line):
    Path("bad.csv").write_text(text)
    assert fails(capsys, ["compare", "bad.csv", "-t", "rent"], 3).startswith(line)


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("bad.csv", bytes(range(256)) * 4, "bad.csv is not text"),
        ("bad.xlsx", b"PK", "bad.xlsx is a spreadsheet; save it as CSV"),
        ("bad.json", b'{"a": 1', "bad.json is no table in JSON"),
        ("bad.json", b"[]", "bad.json holds no rows"),
        ("bad.jsonl", b'{"a": 1}\n{"a"', "bad.jsonl is no table in JSON"),
        ("bad.parquet", b"PAR0", "bad.parquet is no Parquet file"),
        ("bad.npz", b"PK", "bad.npz does not hold the arrays X and y"),
        ("bad.csv.gz", b"a,b", "bad.csv.gz is no gzip file"),
    ],
)
def test_unreadable_bytes(tmp_path, monkeypatch, name, raw, message):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(raw)
    with pytest.raises(DataError, match=message):
        read_table(name)


def test_when_every_model_fails_the_exit_code_tells_why(flats, capsys):
    flats["city"] = pd.Series([f"id{number:04d}x" for number in range(60)])
    flats[["city", "rent"]].to_csv("ids.csv", index=False)
    assert main(["compare", "ids.csv", "-t", "rent", "-q", "--models", "KNeighbors"]) == 3
    assert "KNeighbors failed: DataError: no column is of use" in capsys.readouterr().out


# --- reading -------------------------------------------------------------------------------------


def read(text, name="table.csv", encoding="utf-8"):
    """A table and the notes about it, from text in the current directory."""
    Path(name).write_bytes(text.encode(encoding))
    frame, _, notes = read_table(name)
    return frame, notes


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(flats, separator):
    frame, notes = read(f'name{separator}x\n"a{separator}b"{separator}1.5\nc{separator}2.5\n')
    assert frame.to_dict("list") == {"name": [f"a{separator}b", "c"], "x": [1.5, 2.5]}
    assert len(notes) == (separator != ",")


def test_numbers_with_decimal_commas(flats):
    frame, notes = read("x;y\n1,5;a\n2.000,25;b\n")
    assert frame["x"].tolist() == [1.5, 2000.25]
    assert "numbers have decimal commas" in notes
    frame, notes = read("x;y\n1.5;a,b\n2.25;c,d\n")
    assert frame["x"].tolist() == [1.5, 2.25]
    assert "numbers have decimal commas" not in notes


def test_thousands_points_leave_dates_alone(flats):
    frame, _ = read("day;price;count;x\n01.02.2024;1.234,50;1.234;1,5\n13.02.2024;985,00;985;2,5\n")
    assert frame["day"].tolist() == ["01.02.2024", "13.02.2024"]
    assert frame["price"].tolist() == [1234.5, 985]
    assert frame["count"].tolist() == [1234, 985]
    assert frame["x"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(flats, encoding):
    frame, notes = read("stadt,größe\nKöln,70\n", encoding=encoding)
    assert frame.to_dict("list") == {"stadt": ["Köln"], "größe": [70]}
    assert notes == (
        ["table.csv is not UTF-8 (byte 8); read as Latin-1"] if encoding == "latin-1" else []
    )


def test_thousands_currencies_and_percent_are_numbers(flats):
    frame, notes = read('x,y,z,day\n"1,234.50",$12,5%,"1,2"\n"-7,000",€3.5,,"3,4"\n,$1,12.5 %,\n')
    assert frame["x"].dropna().tolist() == [1234.5, -7000]
    assert frame["y"].tolist() == [12, 3.5, 1]
    assert frame["z"].dropna().tolist() == [5, 12.5]
    assert frame["day"].dropna().tolist() == ["1,2", "3,4"]
    assert notes == ["read as numbers, without thousands signs and units: x, y, z"]


def test_ids_and_words_are_no_numbers(flats):
    frame, notes = read('a,b,c\n"1,234",0x1,1-2\n"n/a, none",0x2,2-3\n')
    assert frame.map(lambda cell: isinstance(cell, str)).all(axis=None)
    assert notes == []


def test_a_target_of_words_that_hardly_repeat_is_refused(flats, capsys):
    flats.assign(rent=[f"about {number}" for number in flats["rent"]]).to_csv("t.csv", index=False)
    said = fails(capsys, ["compare", "t.csv", "-t", "rent"], 3)
    assert said.startswith("the target 'rent' holds 60 different words in 60 rows ('about ")
    assert said.endswith("too many to be labels; are they numbers that need cleaning?")


def test_a_counting_column_without_a_name_is_left_out(flats):
    frame, notes = read(",x\n0,5\n1,6\n")
    assert list(frame) == ["x"]
    assert notes == ["a column without a name was left out: it is empty or counts the rows"]
    assert list(read(",x\n7,5\n3,6\n")[0]) == ["Unnamed: 0", "x"]


def test_other_formats(flats):
    flats.to_json("flats.json", orient="records")
    flats.to_json("flats.jsonl", orient="records", lines=True)
    flats.to_csv("flats.tsv", sep="\t", index=False)
    flats.to_parquet("flats.parquet")
    Path("flats.csv.gz").write_bytes(gzip.compress(Path("flats.csv").read_bytes()))
    for suffix in ("csv", "json", "jsonl", "tsv", "parquet", "csv.gz"):
        pd.testing.assert_frame_equal(read_table(f"flats.{suffix}")[0], flats, check_dtype=False)


# --- Ctrl-C --------------------------------------------------------------------------------------


def test_ctrl_c_keeps_the_finished_rows_and_exits_130(flats):
    Path("slow.py").write_text(
        "import time\nfrom sklearn.dummy import DummyRegressor\n\n\n"
        "class Slow(DummyRegressor):\n    def fit(self, X, y):\n        time.sleep(60)\n\n\n"
        "net = Slow()\n"
    )
    arguments = ["compare", "flats.csv", "-t", "rent", *QUICK, "--net", "slow.py:net"]
    process = subprocess.Popen(
        [sys.executable, "-m", "manumatic.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = ""
    while "KNeighbors  " not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    time.sleep(0.5)  # the slow one has begun
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; no turn for net" in out
    facts = json.loads(Path("manumatic-out/result.json").read_text(encoding="utf-8"))
    assert facts["interrupted"]
    assert len(facts["rows"]) == 3


# --- progress ------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("variables", "no_color", "drawn", "colored"),
    [
        ({"TERM": "xterm"}, False, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True, False),
        ({"TERM": "xterm"}, True, True, False),
        ({"TERM": "dumb"}, False, False, False),
    ],
)
def test_a_line_is_redrawn_on_a_terminal_only(
    flats, monkeypatch, variables, no_color, drawn, colored
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    contest = plan(flats, "rent", models=["KNeighbors"], folds=2)
    progress = Progress(contest, stream, quiet=False, no_color=no_color)
    contest.run(progress.row, progress.fold)
    progress.end()
    assert ("\r\x1b[2K" in stream.getvalue()) == drawn
    assert ("\x1b[2m" in stream.getvalue()) == colored
    assert "model 2 of 2" in stream.getvalue() or not drawn


# --- the other commands --------------------------------------------------------------------------


def test_eject_writes_a_script_and_does_not_overwrite_it(flats, capsys):
    assert main(["eject", "flats.csv", "-t", "rent", "--model", "linear", "--epochs", "3"]) == 0
    assert capsys.readouterr().out == "train.py\n"
    script = Path("train.py").read_text(encoding="utf-8")
    compile(script, "train.py", "exec")
    assert "import manumatic" not in script
    assert fails(capsys, ["eject", "flats.csv", "-t", "rent"], 2).startswith("train.py exists")


def test_eject_never_writes_over_the_data(flats, capsys):
    """The rows go into a file named like the script; train.csv may be the user's own."""
    data = Path("flats.csv").rename("train.csv").read_bytes()
    command = ["eject", "train.csv", "-t", "rent", "--model", "linear", "--epochs", "3"]
    said = fails(capsys, command, 2)
    assert said.startswith("train.csv exists, and train.py would write its rows over it")
    assert Path("train.csv").read_bytes() == data
    assert not Path("train.py").exists()
    assert main([*command, "-o", "net.py", "-q"]) == 0
    assert main([*command, "-o", "net.py", "-q", "--force"]) == 0  # its own net.csv
    Path("train.py").write_text('rows = pd.read_csv("train.csv")', encoding="utf-8")
    capsys.readouterr()
    assert fails(capsys, [*command, "--force"], 2).startswith("train.csv exists")
    assert Path("train.csv").read_bytes() == data


def test_explain_explains(capsys):
    assert main(["explain", "LinearRegression"]) == 0
    assert "squares" in capsys.readouterr().out
    assert main(["explain", "MM201", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["name"] == "MM201"
    compile(facts["code"], "MM201", "exec")
    assert facts["text"].startswith("MM201")
    assert "Did you mean" in fails(capsys, ["explain", "LinearRegresion"], 2)


def test_info_names_the_versions(capsys):
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"manumatic", "torch", "scikit-learn", "device", "threads"} <= set(facts)
    assert main(["info"]) == 0
    assert "device" in capsys.readouterr().out


def test_help_and_version(capsys):
    assert main([]) == 0
    assert "compare" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert main(["compare", "--help"]) == 0
    capsys.readouterr()
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("manumatic ")


def test_the_command_answers_before_anything_heavy_is_loaded():
    code = (
        "import sys, manumatic.cli.main as m; m.main(['compare', 'gone.csv']); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    assert not {"torch", "sklearn", "pandas", "numpy"} & set(done.stdout.split())


@pytest.mark.slow
def test_a_reader_may_leave_early():
    """As ``manumatic explain MM201 | head`` does."""
    command = f"{sys.executable} -m manumatic.cli explain MM201 | true; echo ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0"]
    assert run.stderr == ""
