"""A run as lines of JSON: what is in the file equals the history, whatever ends the run."""

import copy
import json
import math
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import manumatic as mm
from manumatic.errors import ComponentError, DataError, DivergedError
from manumatic.watch.loggers import JSONLines, Run, as_loggers, is_healthy
from manumatic.watch.services import MLflow, WandB
from manumatic.watch.spec import Watch
from manumatic.watch.tensorboard import TensorBoard


def hours_net(log, *, lr=0.01, epochs=5):
    return mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=lr),
        loop=mm.Loop(epochs=epochs),
        random_state=42,
        watch=Watch(log=log),
    )


def lines_of(path):
    def strict(word):
        raise AssertionError(f"{word} is no JSON")

    text = Path(path).read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line, parse_constant=strict) for line in text.splitlines()]


def a_run(**settings):
    return Run(torch.nn.Linear(1, 1), torch.zeros(2, 1), settings)


# --- the file ------------------------------------------------------------------------------------


def test_the_file_tells_what_the_history_tells(study_hours, tmp_path):
    path = tmp_path / "runs" / "hours.jsonl"  # the folder is made
    net = hours_net(str(path)).fit(*study_hours)
    first, *epochs, last = lines_of(path)

    assert first["run"]["settings"]["optimizer.lr"] == 0.01
    assert first["run"]["versions"]["torch"] == torch.__version__
    assert [line["step"] for line in epochs] == [0, 1, 2, 3, 4]
    losses = [line["loss/train"] for line in epochs]
    assert losses == [loss for _, loss in net.history_.curve()]
    assert losses[0] == pytest.approx(4031.2007)
    assert last == {"summary": {"loss/train": losses[-1]}}


def test_each_epoch_is_on_disk_before_the_next_begins(study_hours, tmp_path):
    path, seen = tmp_path / "run.jsonl", []

    class Looking:
        def log(self, values, step):
            seen.append(len(lines_of(path)))

    hours_net([path, Looking()]).fit(*study_hours)
    assert seen == [2, 3, 4, 5, 6]


def test_a_killed_run_keeps_its_lines(tmp_path):
    path = tmp_path / "run.jsonl"
    code = (
        "import os, signal, sys\n"
        "from manumatic.watch.loggers import JSONLines\n"
        "log = JSONLines(sys.argv[1])\n"
        "for step in range(3):\n"
        "    log.log({'loss/train': 1 / (step + 1)}, step)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [line["loss/train"] for line in lines_of(path)] == [1, 1 / 2, 1 / 3]


def test_a_diverged_run_has_its_last_line(study_hours, tmp_path):
    path = tmp_path / "run.jsonl"
    with pytest.raises(DivergedError) as stopped:
        hours_net(path, lr=0.1, epochs=200).fit(*study_hours)
    *_, last_epoch, summary = lines_of(path)
    assert list(summary) == ["summary"]
    assert last_epoch["step"] in (stopped.value.epoch - 1, stopped.value.epoch)


def test_an_interrupted_run_has_its_last_line(study_hours, tmp_path):
    path = tmp_path / "run.jsonl"

    class Impatient:
        def log(self, values, step):
            if step == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hours_net([path, Impatient()]).fit(*study_hours)
    kinds = [next(iter(line)) for line in lines_of(path)]
    assert kinds == ["run", "step", "step", "step", "summary"]


def test_numbers_of_every_kind_become_json(tmp_path):
    log = JSONLines(tmp_path / "run.jsonl")
    log.start(a_run(lr=np.float32(0.5), name="a", yes=True, path=Path("x"), far=math.inf))
    log.log({"a": torch.tensor(2.0), "b": np.float64("nan"), "c": np.int64(3), "d": -math.inf}, 7)
    log.close({"loss/train": math.inf})
    first, epoch, last = lines_of(log.path)
    assert last == {"summary": {"loss/train": None}}
    wanted = {"lr": 0.5, "name": "a", "yes": True, "path": "x", "far": None}
    assert first["run"]["settings"] == wanted
    assert epoch == {"step": 7, "a": 2.0, "b": None, "c": 3, "d": None}


def test_a_new_run_replaces_the_file_of_an_earlier_one(study_hours, tmp_path):
    path = tmp_path / "run.jsonl"
    hours_net(path, epochs=9).fit(*study_hours)
    hours_net(path, epochs=2).fit(*study_hours)
    assert len(lines_of(path)) == 1 + 2 + 1


def test_nothing_else_is_replaced(study_hours, tmp_path):
    path = tmp_path / "diary.jsonl"
    path.write_text('{"dear": "diary"}\n')
    with pytest.raises(DataError, match=r"diary\.jsonl' holds something that JSONLines did not"):
        hours_net(path).fit(*study_hours)
    assert path.read_text() == '{"dear": "diary"}\n'


def test_logging_changes_no_weight(study_hours, tmp_path):
    plain = hours_net(None, epochs=50).fit(*study_hours)
    logs = [tmp_path / "run.jsonl", TensorBoard(tmp_path / "board")]
    logged = hours_net(logs, epochs=50).fit(*study_hours)
    for mine, other in zip(logged.model_.parameters(), plain.model_.parameters(), strict=True):
        assert torch.equal(mine, other)


# --- what may be given ---------------------------------------------------------------------------


class Prints:
    def log(self, values, step):
        print(step, values)


def test_every_form_of_log_becomes_a_list_of_loggers():
    mine = Prints()
    assert as_loggers(None) == []
    assert as_loggers(mine) == [mine]
    assert [type(log) for log in as_loggers(["a.jsonl", (Path("b.jsonl"), mine)])] == [
        JSONLines,
        JSONLines,
        Prints,
    ]


@pytest.mark.parametrize("wrong", ["run.csv", Path("runs"), 3, Prints, TensorBoard, [None, object]])
def test_anything_else_is_told_what_would_do(wrong):
    with pytest.raises(ComponentError, match=r"log must be a path that ends in \"\.jsonl\".*; got"):
        as_loggers(wrong)


@pytest.mark.parametrize(
    "log",
    [
        JSONLines("run.jsonl"),
        TensorBoard("runs", graph=False),
        WandB("houses", mode="offline"),
        MLflow("houses"),
    ],
)
def test_loggers_are_parameters_that_can_be_copied_and_set(log):
    # the test is that a copy has the same parameters; the bytes were pickled a moment before
    copies = [clone(log), copy.deepcopy(log), pickle.loads(pickle.dumps(log))]  # noqa: S301
    assert all(one.get_params() == log.get_params() for one in copies)
    name = next(iter(log.get_params()))
    assert clone(log).set_params(**{name: "other"}).get_params()[name] == "other"


def test_a_search_reaches_into_a_logger(study_hours):
    net = hours_net(JSONLines("a.jsonl"))
    assert net.set_params(watch__log__path="b.jsonl").watch.log.path == "b.jsonl"


def test_a_summary_is_healthy_while_it_is_finite():
    assert is_healthy({})
    assert is_healthy({"loss/train": 1e38})
    assert not is_healthy({"loss/train": 1.0, "loss/valid": math.nan})
