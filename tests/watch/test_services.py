"""The real Weights & Biases and MLflow, offline, where they are installed; nothing stands in."""

import json
import struct
import subprocess
import sys

import pytest

import manumatic as mm
from manumatic.errors import DivergedError, MissingExtra
from manumatic.watch.services import MLflow, WandB
from manumatic.watch.spec import Watch

# what these packages warn of in their own code is theirs to mend
THEIRS = pytest.mark.filterwarnings("default")


def hours_net(log, *, epochs=3, lr=0.01):
    return mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=lr),
        loop=mm.Loop(epochs=epochs),
        random_state=42,
        watch=Watch(log=log),
    )


# --- Weights & Biases ----------------------------------------------------------------------------


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    return pytest.importorskip("wandb")


def records_of(path):
    """Records of an offline run's file: LevelDB's log format behind seven bytes of wandb's own."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (room := 32768 - at % 32768) < 7:  # no header fits into the rest of a block
            at += room
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(record)
            record = b""


def rows_of(folder, run_id):
    """What the file of an offline run holds: rows of history, config, summary, exit code."""
    [path] = folder.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb")
    rows, config, summary, code = [], {}, {}, None
    for record in records_of(path):
        if record.WhichOneof("record_type") == "history":
            rows.append(plain(record.history.item))
        config |= plain([*record.run.config.update, *record.config.update])
        summary |= plain(record.summary.update)
        if record.WhichOneof("record_type") == "exit":
            code = record.exit.exit_code
    return rows, config, summary, code


def plain(items):
    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in items}


@THEIRS
@pytest.mark.slow
def test_a_run_of_wandb_holds_the_history(wandb, study_hours, tmp_path):
    log = WandB("houses", config={"note": "mine"})
    net = hours_net(log).fit(*study_hours)
    rows, config, summary, code = rows_of(tmp_path, log.run_id)
    assert [(row["_step"], row["loss/train"]) for row in rows] == net.history_.curve()
    assert (config["optimizer.lr"], config["note"]) == (0.01, "mine")
    assert summary["loss/train"] == net.history_[-1].value
    assert code == 0


@THEIRS
@pytest.mark.slow
def test_a_run_of_the_user_is_a_logger_and_stays_open(wandb, study_hours, tmp_path):
    with wandb.init(project="mine", dir=str(tmp_path)) as mine:
        hours_net([mine, WandB("houses")]).fit(*study_hours)
        mine.log({"after": 1.0}, 3)
    rows, *_ = rows_of(tmp_path, mine.id)
    assert [row["_step"] for row in rows] == [0, 1, 2, 3]
    assert "loss/train" in rows[0]
    assert rows[3]["after"] == 1.0


def test_without_wandb_it_says_what_to_install(study_hours, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as Python marks what cannot be imported
    with pytest.raises(MissingExtra, match=r'needs wandb: pip install "manumatic\[wandb\]"'):
        hours_net(WandB("houses")).fit(*study_hours)


# --- MLflow --------------------------------------------------------------------------------------


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    pytest.importorskip("sqlalchemy")  # mlflow-skinny comes without: it needs a server
    monkeypatch.chdir(tmp_path)
    return pytest.importorskip("mlflow")


@THEIRS
@pytest.mark.slow
def test_a_run_of_mlflow_holds_the_history(mlflow, study_hours, tmp_path):
    log = MLflow("houses", f"sqlite:///{tmp_path / 'runs.db'}")
    net = hours_net(log).fit(*study_hours)
    client = mlflow.MlflowClient(log.tracking_uri)
    run, history = client.get_run(log.run_id), client.get_metric_history(log.run_id, "loss/train")
    assert [(metric.step, metric.value) for metric in history] == net.history_.curve()
    assert run.data.params["optimizer.lr"] == "0.01"
    assert run.data.metrics["loss/train"] == net.history_[-1].value
    assert client.get_experiment(run.info.experiment_id).name == "houses"
    assert (run.info.status, mlflow.active_run()) == ("FINISHED", None)


@THEIRS
@pytest.mark.slow
def test_runs_of_mlflow_share_an_experiment_and_say_how_they_ended(mlflow, study_hours, tmp_path):
    log = MLflow("houses", f"sqlite:///{tmp_path / 'runs.db'}")
    log.log({"loss/train": 1.0}, 4)
    log.close({"loss/train": 1.0, "accuracy/test": float("nan")})
    with pytest.raises(DivergedError):
        hours_net(log, lr=1e30).fit(*study_hours)
    client = mlflow.MlflowClient(log.tracking_uri)
    experiment = client.get_experiment_by_name("houses")
    runs = client.search_runs([experiment.experiment_id], order_by=["attribute.start_time"])
    assert len(runs) == 2
    assert runs[0].info.status == "FAILED"
    assert [m.step for m in client.get_metric_history(runs[0].info.run_id, "accuracy/test")] == [4]
    assert runs[1].info.end_time is not None


def test_without_mlflow_it_says_what_to_install(study_hours, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r'needs mlflow: pip install "manumatic\[mlflow\]"'):
        hours_net(MLflow("houses")).fit(*study_hours)


# --- both ----------------------------------------------------------------------------------------


def test_making_a_logger_imports_neither():
    code = (
        "import sys\n"
        "from manumatic.watch.services import MLflow, WandB\n"
        "WandB('houses', mode='offline'), MLflow('houses')\n"
        "assert not {'wandb', 'mlflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
