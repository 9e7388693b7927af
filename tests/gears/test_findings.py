"""The doctor at work: what it says of a fit in which one thing is wrong, and that it only looks."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import manumatic as mm
from manumatic.errors import ComponentError

X, Y = load_iris(return_X_y=True)


def hours_net(lr=0.01, **given):
    settings = {"data": mm.Data(batch_size=None, preprocess=None), "loop": mm.Loop(epochs=1000)}
    return mm.Regressor(
        "linear", optimizer=mm.Optimizer("sgd", lr=lr), random_state=42, **(settings | given)
    )


def iris_net(model="mlp", **given):
    settings = {"loop": mm.Loop(5), "optimizer": mm.Optimizer("adam", lr=0.01)} | given
    return mm.Classifier(model, random_state=0, **settings)


def said(findings, code):
    """The sentence of the finding with that code, which has to be there."""
    assert code in findings.codes, str(findings)
    return next(finding.message for finding in findings if finding.code == code)


class Listed(nn.Module):
    """Its second layer is in a Python list."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, 8)
        self.rest = [nn.Linear(8, out_features)]

    def forward(self, x: Tensor) -> Tensor:
        return self.rest[0](self.first(x).relu())


class Mixed(nn.Linear):
    """Softmax over the rows."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.softmax(dim=0))


class Normed(nn.Sequential):
    """Batch norm after a layer."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(
            nn.Linear(in_features, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, out_features)
        )


class Dropping(nn.Sequential):
    """Dropout, and nothing wrong."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(nn.Linear(in_features, 16), nn.Dropout(0.5), nn.Linear(16, out_features))


class Dead(nn.Sequential):
    """A layer whose units start far below 0."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(nn.Linear(in_features, 16), nn.ReLU(), nn.Linear(16, out_features))
        with torch.no_grad():
            self[0].bias[:14] -= 100


# --- before, while driving, after ----------------------------------------------------------------


def test_a_rate_above_the_limit_is_named_before_the_loss_explodes(study_hours):
    net = hours_net(lr=0.1)
    with pytest.raises(mm.DivergedError):
        net.fit(*study_hours)
    told = said(net.findings_, "MM301")
    assert "lr 0.1 is above 0.084" in told
    assert net.findings_.codes.count("MM301") == 1


def test_the_manual_gear_is_told_at_the_first_step(study_hours):
    training = hours_net(lr=0.1).manual(*study_hours)
    assert training.findings == []
    training.step()
    assert training.findings.codes == ["MM301"]


def test_a_rate_below_the_limit_is_fine(study_hours):
    assert "MM301" not in hours_net(lr=0.084).fit(*study_hours).findings_.codes


def test_the_tutorial_is_not_finished(study_hours):
    told = said(hours_net().fit(*study_hours).findings_, "MM302")
    assert "fell 49 % over the last 100 epochs (0.64 → 0.33)" in told
    longer = hours_net(loop=mm.Loop(epochs=6000)).fit(*study_hours)
    assert "MM302" not in longer.findings_.codes


def test_a_loss_that_grows_with_adam():
    net = iris_net(optimizer=mm.Optimizer("sgd", lr=40.0), loop=mm.Loop(30)).fit(X, Y)
    assert "MM301" in net.findings_.codes or "MM308" in net.findings_.codes


@pytest.mark.parametrize(
    ("code", "trap", "word"),
    [
        ("MM101", iris_net(data=mm.Data(preprocess=None)), "3"),
        ("MM203", iris_net(Listed), "self.rest is a Python list"),
        ("MM204", iris_net(Mixed), "other rows"),
        ("MM304", iris_net(data=mm.Data(batch_size=10, shuffle=False)), "15 of 15 batches"),
        ("MM307", iris_net(Dead), "of the 16 units of '1'"),
        ("MM309", iris_net(Normed, data=mm.Data(batch_size=4)), "from the 4 rows"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("MM") else "",
)
def test_a_trap_is_named(code, trap, word):
    rows = X * [1, 1, 1, 1000.0] if code == "MM101" else X
    assert word in said(trap.fit(rows, Y).findings_, code)


@pytest.mark.parametrize(
    ("code", "near"),
    [
        ("MM101", iris_net(data=mm.Data(preprocess=None))),
        ("MM304", iris_net(data=mm.Data(batch_size=10))),
        ("MM309", iris_net(Normed, data=mm.Data(batch_size=16))),
    ],
    ids=["scale", "order", "batch norm"],
)
def test_near_a_trap_nothing_is_said(code, near):
    assert code not in near.fit(X, Y).findings_.codes


def test_overfitting_is_seen_on_rows_of_ones_own():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(60, 20)), rng.integers(0, 2, 60)
    held = mm.Data(validation=(rows[:30], labels[:30]))
    net = iris_net(mm.Model("mlp", hidden=64), data=held, loop=mm.Loop(60))
    assert "validation loss was best in epoch" in said(
        net.fit(rows[30:], labels[30:]).findings_, "MM305"
    )
    kept = net.set_params(loop__keep="best").fit(rows[30:], labels[30:])
    assert "MM305" not in kept.findings_.codes


def test_noise_is_no_better_than_the_mean():
    rng = np.random.default_rng(0)
    rows, noise = rng.normal(size=(400, 3)), rng.normal(size=400)
    net = mm.Regressor("linear", loop=mm.Loop(60), random_state=0).fit(rows, noise)
    assert {"MM310", "MM405"} & set(net.findings_.codes)


# --- one model through the folds -----------------------------------------------------------------


def test_weights_that_go_through_the_folds_are_named():
    rows, target = load_diabetes(return_X_y=True)
    net = mm.Regressor("mlp", loop=mm.Loop(2), random_state=0, warm_start=True)
    folds = list(KFold(5).split(rows))
    for number, (train, _) in enumerate(folds):
        net.fit(rows[train], target[train])
        assert ("MM401" in net.findings_.codes) == (number > 0)
    assert "264 of its 353 rows" in said(
        net.set_params(warm_start=False)
        .fit(rows, target)
        .set_params(warm_start=True)
        .fit(rows[folds[0][0]], target[folds[0][0]])
        .fit(rows[folds[1][0]], target[folds[1][0]])
        .findings_,
        "MM401",
    )


def test_training_on_is_meant():
    net = iris_net(warm_start=True)
    assert "MM401" not in net.fit(X, Y).fit(X, Y).findings_.codes


def test_the_manual_gear_sees_a_new_fold():
    def fold(keep):
        return TensorDataset(torch.tensor(X[keep]).float(), torch.tensor(Y[keep]))

    place = np.arange(150) % 5
    training = iris_net(data=mm.Data(preprocess=None)).manual(fold(place != 0))
    training.data = fold(place != 1)  # nothing learned yet
    assert "MM401" not in training.findings.codes
    training.run(epochs=1)
    training.data = fold(place != 2)
    assert "MM401" in training.findings.codes


# --- who does not want to hear -------------------------------------------------------------------


def test_codes_can_be_ignored_by_a_run_and_everywhere(study_hours):
    quiet = hours_net(watch=mm.Watch(ignore=["MM302"])).fit(*study_hours)
    assert quiet.findings_ == []
    with mm.ignore("MM302"):
        assert hours_net().fit(*study_hours).findings_ == []
    assert hours_net().fit(*study_hours).findings_.codes == ["MM302"]


def test_a_code_that_does_not_exist():
    with pytest.raises(ComponentError, match=r"'MM3O2'.*Did you mean 'MM302'"):
        mm.ignore("MM3O2")
    with pytest.raises(ComponentError, match="no finding has the code 'MM999'"):
        hours_net(watch=mm.Watch(ignore="MM999")).fit([[1]], [1])


def test_findings_are_a_table_and_a_text(study_hours, capsys):
    found = hours_net(verbose=1).fit(*study_hours).findings_
    assert found.frame.columns.tolist() == ["code", "severity", "message", "fix"]
    assert found.issues == []
    assert str(found).startswith("MM302 tip: not finished")
    assert str(found) in capsys.readouterr().out
    assert "MM302" in found._repr_html_()


# --- only looking --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Normed, Dead, Listed, mm.Model("mlp", dropout=0.3)])
def test_the_doctor_changes_nothing(model, monkeypatch):
    """The same weights to the bit as without any check."""
    rows, labels = load_wine(return_X_y=True)
    net = iris_net(model, data=mm.Data(batch_size=16))
    watched = net.fit(rows, labels).model_.state_dict()
    for name in ("before", "first_step", "epoch", "after"):
        monkeypatch.setattr(f"manumatic.gears.checkup.Checkup.{name}", lambda *_: iter(()))
    alone = net.fit(rows, labels).model_.state_dict()
    assert net.findings_ == []
    assert all(torch.equal(watched[name], alone[name]) for name in alone)


# --- a loop of one's own -------------------------------------------------------------------------


def drive(training, steps, zero=True):
    """The loop that a reader of the README writes."""
    for _ in range(steps):
        for rows, target in training.data:
            loss = training.loss(training.model(rows), target)
            if zero:
                training.optimizer.zero_grad()
            loss.backward()
            training.optimizer.step()


def test_a_loop_by_hand_is_listened_to(study_hours):
    training = hours_net().manual(*study_hours)
    drive(training, 3, zero=False)
    assert "own norm 321.8, used 743.2" in said(training.findings, "MM303")
    net = training.automatic()
    assert "MM303" in net.findings_.codes
    assert not net.model_._forward_hooks


def test_a_right_loop_by_hand_is_the_same_with_and_without_ears(study_hours):
    by_hand, ours = hours_net().manual(*study_hours), hours_net().manual(*study_hours)
    drive(by_hand, 20)
    ours.run(epochs=20)
    assert torch.equal(by_hand.model.weight, ours.model.weight)
    assert by_hand.findings == []
    by_hand.run(epochs=1)  # back in our own loop
    assert not by_hand.model._forward_hooks


def test_predicting_by_hand_with_dropout_on():
    training = iris_net(Dropping).manual(X, Y)
    drive(training, 1)
    with torch.no_grad():
        training.model(training.data.X)
    assert "Dropout" in said(training.findings, "MM402")
