"""Every member of a stack ends as it would have ended alone."""

import itertools
import types

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris
from torch import nn

import manumatic as mm
from manumatic.model_selection.stack import train_together

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)


class Normed(nn.Sequential):
    """Batch norm, whose averages are each member's own."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(nn.Linear(in_features, 8), nn.BatchNorm1d(8), nn.Linear(8, out_features))


class Recurrent(nn.Module):
    """An LSTM, which torch.func cannot take."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_features, 8, batch_first=True)
        self.head = nn.Linear(8, out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x[:, None])[0][:, -1])


class Doubtful(nn.Linear):
    """An ``if`` on data."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if x.sum() > 0 else -x)


def trainings(number=4, rows=IRIS, double=True, **given):
    """Like fits of a search: rates and seeds of their own, and folds that differ by a row."""
    X, y = rows
    kind = mm.Classifier if rows is IRIS else mm.Regressor
    made = []
    for member in range(number):
        settings = {
            "model": mm.Model("mlp", hidden=8),
            "data": mm.Data(batch_size=16, preprocess=None, target=None),
            "optimizer": mm.Optimizer("adam", lr=RATES[member % 4]),
            "loop": mm.Loop(3),
        } | {
            name: value(member) if isinstance(value, types.FunctionType) else value
            for name, value in given.items()
        }
        keep = np.arange(len(y)) % 5 != member % 5
        if rows is IRIS:  # all folds have 120 rows: some get a row more
            keep[0] = member % 2 == 0
        net = kind(settings.pop("model"), random_state=member, **settings)
        near_one = (X.std(axis=0), y.std()) if rows is DIABETES else (1, 1)
        training = net.manual(
            X[keep] / near_one[0], y[keep] / near_one[1] if rows is DIABETES else y[keep]
        )
        if double:
            training.model.double()
            for data in filter(None, (training.data, training.valid)):
                data.tensors = tuple(
                    t.double() if t.is_floating_point() else t for t in data.tensors
                )
        made.append(training)
    return made


def same(together, alone, **near):
    for one, other in zip(together, alone, strict=True):
        states = one.model.state_dict(), other.model.state_dict()
        for name, weight in states[0].items():
            torch.testing.assert_close(weight, states[1][name], **near)
        assert [row[:4] for row in one.state.history] == [row[:4] for row in other.state.history]
        values = ([row.value for row in training.state.history] for training in (one, other))
        np.testing.assert_allclose(*values, rtol=near["rtol"], atol=near["atol"])
        assert one.state.best.epoch == other.state.best.epoch
        assert one.state.ended
        assert one.state.next_epoch == other.state.next_epoch
        assert torch.equal(one.state.rng.state[0], other.state.rng.state[0])
        assert one.findings.codes == other.findings.codes


def alone_of(training):
    return [e.why for e in training.facts.logbook if e.did == "trained alone"]


GRID = list(itertools.product(["sgd", "adam", "adamw"], [None, 16], [0.0, 0.3], [None, 2]))


@pytest.mark.parametrize(("optimizer", "batch_size", "dropout", "patience"), GRID)
def test_each_is_as_it_would_be_alone(optimizer, batch_size, dropout, patience):
    def make():
        return trainings(
            model=mm.Model("mlp", hidden=8, dropout=dropout),
            data=mm.Data(batch_size=batch_size, preprocess=None, target=None, validation=0.2),
            optimizer=lambda m: mm.Optimizer(optimizer, lr=RATES[m], weight_decay=0.01 * m),
            loop=mm.Loop(4, patience=patience),
        )

    together, alone = make(), make()
    assert train_together(together) == [None] * 4
    for training in alone:
        training.run()
    assert not any(map(alone_of, together))
    same(together, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_momentum(options):
    def make():
        return trainings(
            rows=DIABETES, optimizer=lambda m: mm.Optimizer("sgd", lr=RATES[m], **options)
        )

    together, alone = make(), make()
    train_together(together)
    for training in alone:
        training.run()
    same(together, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "given",
    [
        {"loop": mm.Loop(3, clip_norm=0.1)},
        {"loop": lambda m: mm.Loop(2 + m)},
        {"optimizer": lambda m: mm.Optimizer("adam", lr=RATES[m], schedule="cosine")},
        {"loss": "mae"},
        {"watch": mm.Watch(metrics="r2", track="0.bias")},
    ],
    ids=["clipped", "epochs of their own", "schedule", "loss", "watched"],
)
def test_options(given):
    together, alone = (trainings(rows=DIABETES, **given) for _ in range(2))
    train_together(together)
    for training in alone:
        training.run()
    assert not any(map(alone_of, together))
    same(together, alone, rtol=1e-10, atol=1e-10)


def test_float32_differs_as_two_orders_of_summation_do():
    together, alone = (trainings(double=False) for _ in range(2))
    train_together(together)
    for training in alone:
        training.run()
    same(together, alone, rtol=2e-4, atol=2e-5)


def test_batch_norm_is_each_members_own():
    together, alone = (trainings(model=Normed) for _ in range(2))
    train_together(together)
    for training in alone:
        training.run()
    same(together, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("model", [Recurrent, Doubtful])
def test_what_cannot_be_stacked_is_trained_alone_and_says_why(model):
    together, alone = (trainings(model=model) for _ in range(2))
    train_together(together)
    for training in alone:
        training.run()
    assert all(len(alone_of(training)) == 1 for training in together)
    same(together, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("who", [[2], [0, 1, 2, 3]])
def test_who_diverges_harms_nobody(who):
    def make():
        return trainings(
            rows=DIABETES,
            optimizer=lambda m: mm.Optimizer("sgd", lr=1e6 if m in who else 1e-3),
            loop=mm.Loop(20),
        )

    together, alone = make(), make()
    errors = train_together(together)
    assert [m for m, error in enumerate(errors) if error is not None] == who
    for member, (one, other) in enumerate(zip(together, alone, strict=True)):
        if member in who:
            with pytest.raises(mm.DivergedError) as caught:
                other.run()
            assert (errors[member].epoch, errors[member].batch) == (
                caught.value.epoch,
                caught.value.batch,
            )
            assert all(torch.isfinite(weight).all() for weight in one.model.parameters())
        else:
            other.run()
            same([one], [other], rtol=1e-10, atol=1e-10)
