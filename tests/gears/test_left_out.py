"""Few rows and the table net: all of them train, and each is judged by members that left it out."""

import numpy as np
import pandas as pd
import pytest
import torch
from agreement import run_script, same
from sklearn.datasets import load_diabetes
from torch import nn

import manumatic as mm
from manumatic.gears import checkup
from manumatic.gears import table as decided
from manumatic.model_selection.stack import train_together
from manumatic.nets.crossed import CrossedNet
from manumatic.parts.calibration import inverse_temperature
from manumatic.parts.loop import evaluate

X, Y = load_diabetes(return_X_y=True)
X, Y = X[:150].astype(np.float32), Y[:150]
NAMES = np.where(Y > 140, "high", "low")


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(decided, "STEPS", 36)


def frame():
    columns = pd.DataFrame(X[:, :4], columns=list("abcd"))
    return columns.assign(word=np.where(X[:, 1] > 0, "x", "y"), day=pd.Timestamp("2026-01-01"))


CASES = {
    "numbers": (mm.Regressor(), X, Y, None),
    "classes": (mm.Classifier(), X, NAMES, None),
    "three classes": (mm.Classifier(), X, np.digitize(Y, [90, 180]), None),
    "frame": (mm.Regressor(), frame(), Y, None),
    "one batch": (mm.Regressor(), X[:60], Y[:60], None),
    "several targets": (mm.Regressor(), X, np.stack([Y, -Y], axis=1), None),
    "weights": (mm.Regressor(), X, Y, np.linspace(0.5, 2, 150)),
    "twice": (mm.Regressor(), np.repeat(X, 2, axis=0), np.repeat(Y, 2), None),
}


@pytest.mark.parametrize("name", CASES)
def test_three_ways_to_the_same_weights(name, tmp_path):
    net, rows, target, weight = CASES[name]
    net.set_params(random_state=3).fit(rows, target, sample_weight=weight)
    assert isinstance(net.model_, CrossedNet)
    assert len(net.history_.curve("loss", "valid")) == net.n_iter_
    assert "no row is held out" in str(net.logbook_)
    training = net.manual(rows, target, weight).run()
    assert same(net.model_, training.model)
    assert training.data.n_rows == training.valid.n_rows == len(rows)
    text = net.eject(tmp_path / "train.py", rows, target, weight)
    assert "model(X, unseen=True)" in text
    assert same(net.model_, run_script(tmp_path / "train.py"))


def test_the_validation_loss_is_that_of_members_that_left_rows_out():
    """Who they are, their gradients tell."""
    training = mm.Regressor(random_state=0).manual(X, Y)
    [*_, step] = steps(training, 3)
    rows, target, model = training.data.X, training.data.y, training.model.train()
    slopes = [torch.autograd.grad(model(rows)[n].sum(), model.head.bias)[0] for n in range(150)]
    left = torch.stack(slopes).abs().sum(dim=2) == 0
    model.dropout.eval()
    with torch.no_grad():
        answers = model(rows).squeeze(2)
    told = torch.where(left, answers, 0).sum(dim=1) / left.sum(dim=1)
    told = told.clamp(target.min(), target.max())
    assert step.valid_loss == pytest.approx((told - target.squeeze()).square().mean().item())
    seen = evaluate(model, training.loss, training.data)
    assert seen < step.valid_loss, "who has seen the rows knows more of them"


def steps(training, epochs):
    for step in training:
        yield step
        if step.last and step.epoch + 1 == epochs:
            return


def test_the_best_weights_by_unseen_rows_are_kept():
    training = mm.Regressor(random_state=0).manual(X, Y).run()
    losses = [loss for _, loss in training.state.history.curve("loss", "valid")]
    assert training.state.best.epoch == int(np.argmin(losses))
    with torch.no_grad():
        told = training.model.eval()(training.data.X, unseen=True)
    assert min(losses) == pytest.approx(nn.functional.mse_loss(told, training.data.y).item())


def test_metrics_are_of_unseen_rows():
    net = mm.Regressor(random_state=0, watch=mm.Watch(metrics=["r2"])).fit(X, Y)
    found = dict(net.history_.curve("r2", "valid"))
    for epoch, loss in net.history_.curve("loss", "valid"):
        assert found[epoch] == pytest.approx(1 - loss, abs=1e-4)  # of a target of variance 1
    assert max(dict(net.history_.curve("r2", "train")).values()) > max(found.values())


def test_probabilities_are_calibrated_on_unseen_rows():
    """The number is where the log-loss of what unseen rows are told is least."""
    net = mm.Classifier(random_state=0, loss=mm.Loss(calibrate=True)).fit(X, NAMES)
    [said] = [row.did for row in net.logbook_ if row.did.startswith("scores times")]
    plain = mm.Classifier(random_state=0, loss=mm.Loss(calibrate=False)).manual(X, NAMES).run()
    with torch.no_grad():
        raw = plain.model.eval()(plain.data.X, unseen=True)
        seen = plain.model(plain.data.X)
    assert float(said.split()[2]) == round(inverse_temperature(raw, plain.data.y), 2)
    assert inverse_temperature(seen, plain.data.y) > 1.2 * inverse_temperature(raw, plain.data.y)


@pytest.mark.parametrize("stop", [1, 4, 10])
def test_stopping_and_going_on_equals_not_stopping(stop, tmp_path):
    net = mm.Regressor(random_state=1)
    whole, first = net.manual(X, Y).run(), net.manual(X, Y)
    for _ in range(stop):
        first.step()
    first.save(tmp_path / "run.pt")
    second = net.manual(X, Y).load(tmp_path / "run.pt").run()
    assert same(whole.model, second.model)
    assert second.state.history == whole.state.history


def test_a_stack_of_them_is_what_each_is_alone():
    def trainings():
        for seed, lr in enumerate([0.02, 0.1, 0.2, 0.1, 0.05, 0.1, 0.2]):
            net = mm.Regressor(random_state=seed, optimizer=mm.Optimizer("auto", lr=lr))
            yield net.manual(X[: 150 - seed], Y[: 150 - seed])

    together, alone = [*trainings()], [*trainings()]
    train_together(together)
    for one, other in zip(together, alone, strict=True):
        other.run()
        assert not [row for row in one.facts.logbook if row.did == "trained alone"]
        ours, theirs = (t.state.history.curve("loss", "valid") for t in (one, other))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(
            one.model(one.data.X).detach(), other.model(one.data.X).detach(), atol=5e-3
        )


@pytest.mark.slow
def test_a_bundle_predicts_as_before(tmp_path):
    net = mm.Classifier(random_state=0).fit(X, NAMES)
    mm.save(net, tmp_path / "net.mm")
    assert np.array_equal(mm.load(tmp_path / "net.mm").predict_proba(X), net.predict_proba(X))


def test_another_model_has_no_members_to_judge_it():
    training = mm.Regressor(random_state=0).manual(X, Y)
    training.step()
    training.model = nn.Linear(10, 1)
    assert training.valid is None
    assert "no rows are held out: this model has no members" in str(training.facts.logbook)
    assert training.run().state.history.curve("loss", "valid")[1:] == []
    again = mm.Regressor(random_state=0).manual(X, Y)
    again.model = "table"
    assert isinstance(again.model, CrossedNet)
    assert again.run().state.history.curve("loss", "valid")


def left_out(net, rows=X, target=Y):
    training = net.set_params(random_state=0).manual(rows, target)
    held = training.valid is not None and not training.valid.unseen
    return isinstance(training.model, CrossedNet), held, training.loop.epochs


def test_who_asks_otherwise_gets_it():
    assert left_out(mm.Regressor(data=mm.Data(batch_size=50))) == (True, False, 12)
    assert left_out(mm.Regressor(data=mm.Data(validation=None))) == (False, False, 50)
    assert left_out(mm.Regressor(mm.Model("table", members=4))) == (False, False, 50)
    assert left_out(mm.Autoencoder(), X, None)[0] is False
    own = mm.Data(validation=(X[:40], Y[:40]))
    assert left_out(mm.Regressor(data=own))[:2] == (False, True)
    assert left_out(mm.Regressor("mlp"))[:2] == (False, False)
    assert left_out(mm.Regressor(data=mm.Data(batch_size=1))) == (True, False, 12)  # not fewer
    assert left_out(mm.Regressor(), X[:40], Y[:40])[0] is False
    share = mm.Regressor(data=mm.Data(validation=0.2), loop=mm.Loop(9, keep="best"))
    assert left_out(share) == (False, True, 9)
    assert left_out(mm.Regressor(data=mm.Data(shuffle=False))) == (False, False, 50)


def test_a_loop_that_judges_gets_members_that_can():
    for judges in ({"patience": 2}, {"keep": "best"}, {"time": 60}):
        assert left_out(mm.Regressor(loop=mm.Loop(9, **judges))) == (True, False, 9)
    assert left_out(mm.Regressor(loop=mm.Loop(9))) == (False, False, 9)


def test_rows_of_few_kinds_are_not_left_out():
    """A member that left one of two kinds out would be asked what no row has told it."""
    kinds = (X[:, :1] > 0).astype(np.float32)
    assert left_out(mm.Regressor(), kinds) == (False, False, 50)
    assert (
        left_out(mm.Regressor(), pd.DataFrame({"a": np.where(kinds[:, 0], "x", "y")}))[0] is False
    )


def test_going_on_with_other_rows():
    net = mm.Regressor(random_state=0, warm_start=True).fit(X[:40], Y[:40])
    assert net.fit(X, Y).n_iter_ > 0
    assert not isinstance(net.model_, CrossedNet)
    net = mm.Regressor(random_state=0, warm_start=True).fit(X, Y)
    before = net.history_.curve("loss", "valid")[-1]
    net.fit(X, Y)
    assert isinstance(net.model_, CrossedNet)
    assert net.history_.curve("loss", "valid")[-1] != before


def test_the_doctor_knows_that_all_rows_judge(monkeypatch):
    """The best epoch was the first of many: by few rows held out that would be luck (MM311)."""
    monkeypatch.setattr(decided, "STEPS", 300)
    labels = np.random.default_rng(2).integers(0, 2, 150)
    net = mm.Classifier(random_state=0, optimizer=mm.Optimizer("auto", lr=0.1))
    assert "MM311" not in net.fit(X, labels).findings_.codes
    monkeypatch.setattr(checkup, "are_unseen", lambda rows: False)
    assert "MM311" in net.fit(X, labels).findings_.codes
