"""scikit-learn's callbacks see epochs, alone and inside its meta-estimators."""

import io
import re

import numpy as np
import pytest
import torch
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import manumatic as mm

X, Y = load_iris(return_X_y=True)


def net(**given):
    settings = {"loop": mm.Loop(4), "optimizer": mm.Optimizer("adam", lr=0.01)} | given
    return mm.Classifier(mm.Model("mlp", dropout=0.1), random_state=0, **settings)


class Stop:
    """Ends each fit after so many epochs, and remembers what it was told."""

    def __init__(self, after):
        self.after, self.seen = after, []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, metadata=None):
        self.seen.append(f"end {context.task_name}")
        self.last = fitted_estimator
        self.metadata = metadata
        return context.task_name == "epoch" and context.task_id + 1 == self.after

    def teardown(self, estimator, context):
        self.seen.append("teardown")


def test_a_scoring_monitor_sees_every_epoch():
    monitor = ScoringMonitor(scoring="accuracy")
    watched = net(watch=mm.Watch(metrics="accuracy")).set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data_as_pandas
    epochs = rows[rows.task_name == "epoch"]
    assert epochs.accuracy.tolist() == [v for _, v in watched.history_.curve("accuracy")]
    assert rows[rows.task_name == "fit"].accuracy.tolist() == [watched.score(X, Y)]


def test_callbacks_change_no_weight():
    plain, heard = net().fit(X, Y), net().set_callbacks(ScoringMonitor(scoring="accuracy"))
    heard.fit(X, Y)
    for a, b in zip(plain.model_.parameters(), heard.model_.parameters(), strict=True):
        assert torch.equal(a, b)
    assert plain.history_ == heard.history_


@pytest.mark.parametrize("patience", [None, 1])
def test_epochs_begin_and_end_as_often_as_they_ran(patience):
    stop = Stop(after=99)
    loop = mm.Loop(6, patience=patience)
    fitted = net(loop=loop, optimizer=mm.Optimizer("sgd", lr=1e-9)).set_callbacks(stop).fit(X, Y)
    assert stop.seen[:3] == ["setup", "begin fit", "begin epoch"]
    assert stop.seen.count("begin epoch") == stop.seen.count("end epoch") == fitted.n_iter_
    assert stop.seen[-2:] == ["end fit", "teardown"]
    assert fitted.n_iter_ == 6 if patience is None else fitted.n_iter_ < 6


def test_a_callback_can_end_a_fit():
    stop = Stop(after=2)
    fitted = net().set_callbacks(stop).fit(X, Y)
    assert fitted.n_iter_ == 2
    assert np.array_equal(stop.last.predict(X), fitted.predict(X))


def test_weights_of_the_rows_are_handed_on():
    stop, weight = Stop(after=9), np.arange(150.0)
    net().set_callbacks(stop).fit(X, Y, sample_weight=weight)
    assert stop.metadata["sample_weight"] is weight


def test_callbacks_are_torn_down_when_a_fit_fails():
    stop = Stop(after=9)
    with pytest.raises(mm.DivergedError):
        net(optimizer=mm.Optimizer("sgd", lr=1e30), data=mm.Data(batch_size=8)).set_callbacks(
            stop
        ).fit(X, Y)
    assert stop.seen[-1] == "teardown"


def test_a_search_shows_our_epochs_in_its_own_bars(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "120")
    pipe = make_pipeline(StandardScaler(), net(loop=mm.Loop(2)))
    search = GridSearchCV(pipe, {"classifier__optimizer__lr": [0.1, 0.01]}, cv=2)
    monitor = ScoringMonitor(scoring="accuracy")
    pipe.steps[-1][1].set_callbacks(monitor)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)
    shown = capsys.readouterr().out
    ours = re.findall(r"Pipeline - fit-final-estimator \| Classifier - fit #1 .*100%", shown)
    assert len(ours) >= 5  # 2 candidates x 2 folds, and the refit
    rows = monitor.get_logs().data_as_pandas
    assert (rows.task_name == "epoch").sum() == 10


# --- what a notebook shows -----------------------------------------------------------------------


def test_the_card_says_what_the_fit_has_left():
    fitted = net(loop=mm.Loop(3, keep="best"), data=mm.Data(validation=0.2)).fit(X, Y)
    card = fitted._repr_mimebundle_()["text/html"]
    assert "sk-top-container" in card  # scikit-learn's diagram
    for told in ("120 rows", "MLP, ", "CrossEntropyLoss", "Adam, lr 0.01", "Loop(epochs=3"):
        assert told in card
    assert card.count('class="spark"') == 2
    assert ("The doctor has no findings." in card) == (not fitted.findings_)
    assert all(finding.code in card for finding in fitted.findings_)
    assert "mm net" not in net()._repr_mimebundle_()["text/html"]


def test_looking_computes_nothing(monkeypatch):
    fitted = net().fit(X, Y)
    fitted.model_.register_forward_hook(lambda *_: pytest.fail("a forward pass in a repr"))
    fitted._repr_mimebundle_()


# --- progress ------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_has_a_bar(monkeypatch, capsys):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    net(verbose=1).fit(X, Y)
    assert "epoch 4/4  loss" in screen.getvalue()
    assert screen.getvalue().endswith("\n")
    assert "epoch" not in capsys.readouterr().out


def test_elsewhere_some_twenty_lines_are_enough(capsys):
    net(verbose=1, loop=mm.Loop(100), data=mm.Data(batch_size=None)).fit(X, Y)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split(",")[0] for line in lines[:2]] == ["epoch 0", "epoch 5"]
    assert lines[-1].startswith("epoch 99,")
    assert len(lines) == 21
    net(verbose=2, loop=mm.Loop(30), data=mm.Data(batch_size=None)).fit(X, Y)
    assert len(capsys.readouterr().out.splitlines()) >= 30
