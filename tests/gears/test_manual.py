"""Gear M: the five components in the user's own hands, against the same lines of plain PyTorch."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import manumatic as mm
from manumatic.errors import ComponentError, DivergedError

PLAIN = mm.Data(batch_size=None, preprocess=None)


def studying(lr=0.01, epochs=1000, **changes):
    given = {"data": PLAIN, "optimizer": mm.Optimizer("sgd", lr=lr), "loop": mm.Loop(epochs)}
    return mm.Regressor("linear", random_state=42, **(given | changes))


def rows(n=50, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ np.arange(1.0, d + 1) + 2


def weights(training):
    return torch.cat([weight.detach().flatten().clone() for weight in training.model.parameters()])


# --- the five numbers of the tutorial ------------------------------------------------------------


def test_the_facts_of_the_study_hours(study_hours):
    X, y = study_hours
    training = studying().manual(X, y)
    losses, slopes = {}, []
    for step in training:
        losses[step.epoch] = step.loss.item()
        slopes.append(training.model.weight.item())
        if step.epoch == 0:
            assert training.model.weight.grad.item() == pytest.approx(-402.20, abs=0.005)
            assert training.model.bias.grad.item() == pytest.approx(-125.75, abs=0.005)
    wanted = {0: 4031.2007, 200: 72.9774, 400: 18.8304, 600: 4.8588, 800: 1.2537}
    assert {epoch: round(losses[epoch], 4) for epoch in wanted} == wanted
    assert max(slopes) == pytest.approx(17, abs=0.5)
    assert round(training.model.weight.item(), 4) == 7.3693
    assert round(training.model.bias.item(), 4) == 43.6669
    assert training.automatic().predict([[6]]).round(2).tolist() == [87.88]


def test_the_limit_is_linear_regression(study_hours):
    X, y = study_hours
    net = studying(lr=0.08, epochs=1500).fit(X, y)
    exact = LinearRegression().fit(X, y)
    assert net.model_.weight.item() == pytest.approx(exact.coef_[0], abs=1e-3)
    assert net.model_.bias.item() == pytest.approx(exact.intercept_, abs=1e-3)
    assert net.predict([[6]])[0] == pytest.approx(87, abs=1e-3)


def test_too_short_steps_do_not_arrive(study_hours):
    training = studying(lr=0.001).manual(*study_hours).run()
    assert round(training.model.weight.item(), 2) == 14.79
    assert round(training.model.bias.item(), 2) == 16.89


def test_too_long_steps_diverge_where_theory_says(study_hours):
    X, y = study_hours
    design = np.column_stack([X, np.ones(5)])
    limit = 2 / np.linalg.eigvalsh(2 * design.T @ design / 5).max()
    assert limit == pytest.approx(0.0845, abs=5e-5)
    torch.manual_seed(42)
    model = nn.Linear(1, 1)
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    rows, target = torch.tensor(X).float(), torch.tensor(y).float()[:, None]
    epoch = 0
    while (loss := nn.functional.mse_loss(model(rows), target)).isfinite():
        plain.zero_grad()
        loss.backward()
        plain.step()
        epoch += 1
    assert epoch == 127, "the 128th"
    with pytest.raises(DivergedError, match=f"the loss is inf in epoch {epoch}, batch 0") as stop:
        studying(lr=0.1).fit(X, y)
    assert (stop.value.epoch, stop.value.batch) == (epoch, 0)
    studying(lr=limit - 0.001).fit(X, y)


def test_standardised_hours_are_exact_after_one_step(study_hours):
    X, y = study_hours
    from sklearn.preprocessing import StandardScaler

    data = mm.Data(batch_size=None, preprocess=StandardScaler(), target=None)
    training = studying(lr=0.5, data=data).manual(X, y)
    training.step()
    assert training.automatic().predict(X) == pytest.approx(y, abs=1e-4)


# --- look ----------------------------------------------------------------------------------------


def test_all_five_can_be_looked_at(study_hours):
    training = studying().manual(*study_hours)
    assert training.data.X.tolist() == [[1], [2], [3], [4], [5]]
    assert training.data.y.tolist() == [[52], [59], [66], [73], [80]]
    assert isinstance(training.model, nn.Linear)
    assert isinstance(training.loss, nn.MSELoss)
    assert isinstance(training.optimizer, torch.optim.SGD)
    assert training.loop.epochs == 1000
    lines = repr(training).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["data", "model", "loss", "optimizer", "loop"]
    assert "SGD, lr 0.01" in repr(training)


def test_nothing_is_trained_by_looking(study_hours):
    net = studying()
    training = net.manual(*study_hours)
    before = weights(training)
    repr(training)
    for _ in training.data:
        pass
    assert torch.equal(before, weights(training))
    assert not hasattr(net, "model_"), "the estimator itself stays unfitted"
    assert torch.equal(before, weights(net.manual(*study_hours)))


# --- step, run, iterate --------------------------------------------------------------------------


def batched(**changes):
    given = {"data": mm.Data(batch_size=16), "loop": mm.Loop(6)}
    return mm.Regressor("mlp", random_state=1, **(given | changes))


def test_every_way_to_drive_arrives_at_the_same_weights():
    X, y = rows()
    whole = weights(batched().manual(X, y).run())

    stepped = batched().manual(X, y)
    while stepped.step() is not None:
        pass
    assert stepped.step() is None

    iterated = batched().manual(X, y)
    assert sum(1 for _ in iterated) == 6 * 4

    pieces = batched().manual(X, y)
    for epochs in (1, 2, 3):
        assert pieces.run(epochs=epochs) is pieces

    mixed = batched().manual(X, y)
    mixed.step()
    mixed.run(epochs=2)
    for step in mixed:
        if step.epoch == 4:
            break
    mixed.run()

    for training in (stepped, iterated, pieces, mixed):
        assert torch.equal(whole, weights(training))
        assert training.state.history == stepped.state.history
    assert torch.equal(
        whole, torch.cat([w.flatten() for w in batched().fit(X, y).model_.parameters()])
    )


def test_gradients_are_in_place_after_each_step():
    X, y = rows()
    training = batched(optimizer=mm.Optimizer("sgd", lr=0.1)).manual(X, y)
    before = weights(training)
    for step in training:
        slopes = torch.cat([weight.grad.flatten() for weight in training.model.parameters()])
        assert torch.allclose(weights(training), before - 0.1 * slopes, atol=1e-6)
        before = weights(training)
        if step.epoch == 1:
            break


def test_more_epochs_than_the_loop_has():
    X, y = rows()
    training = batched(loop=mm.Loop(2)).manual(X, y).run().run(epochs=3)
    assert training.state.next_epoch == 5
    assert [row.epoch for row in training.state.history] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "one_cycle"])
def test_going_on_after_the_schedule_ended_still_learns(schedule):
    X, y = rows()
    optimizer = mm.Optimizer("sgd", lr=0.05, schedule=schedule)
    training = batched(loop=mm.Loop(2), optimizer=optimizer).manual(X, y).run()
    before, first = weights(training), training.state.history[-1].value
    training.run(epochs=5)
    assert not torch.allclose(before, weights(training), atol=1e-3)
    assert training.state.history[-1].value < first
    assert training.optimizer.param_groups[0]["lr"] < 0.05


def test_going_on_after_patience_ran_out():
    X, y = rows()
    training = batched(loop=mm.Loop(100, patience=1), optimizer=mm.Optimizer("sgd", lr=0.4)).manual(
        X, y
    )
    training.run()
    stopped = training.state.next_epoch
    assert stopped < 90
    training.run(epochs=3)
    assert training.state.next_epoch == stopped + 3


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "two"])
def test_epochs_that_make_no_sense(epochs):
    training = batched().manual(*rows())
    with pytest.raises(ComponentError, match=f"1 or more; got {epochs!r}"):
        training.run(epochs=epochs)
    assert training.state.steps == 0


# --- swap ----------------------------------------------------------------------------------------


def test_a_swapped_model_starts_from_the_seed_with_an_optimizer_of_its_own():
    X, y = rows()
    training = batched().manual(X, y)
    training.run(epochs=1)
    old = training.optimizer
    training.model = nn.Linear
    assert training.optimizer is not old
    torch.manual_seed(1)
    assert torch.equal(training.model.weight, nn.Linear(4, 1).weight)
    training.run()
    assert isinstance(training.automatic().model_, nn.Linear)


def test_swapping_before_the_first_step_is_choosing_it_at_once():
    X, y = rows()
    at_once = mm.Regressor("table", data=mm.Data(batch_size=16), loop=mm.Loop(6), random_state=1)
    at_once.set_params(optimizer="sgd", loss="mae")
    chosen = at_once.manual(X, y).run()
    swapped = batched(optimizer="adam").manual(X, y)
    swapped.loss = "mae"
    swapped.optimizer = "sgd"
    swapped.model = "table"
    swapped.run()
    assert torch.equal(weights(chosen), weights(swapped))


def test_the_best_weights_of_another_model_are_forgotten():
    X, y = rows()
    training = batched(loop=mm.Loop(6, keep="best")).manual(X, y)
    training.run(epochs=3)
    training.model = "linear"
    training.run()
    assert isinstance(training.model, nn.Linear)
    assert training.state.best.epoch >= 3


def test_a_swapped_loss_is_the_loss_from_then_on():
    X, y = rows()
    training = batched().manual(X, y)
    training.loss = "mae"
    prediction = training.model(training.data.X[:1])
    assert (
        training.loss(prediction, training.data.y[:1]) == (prediction - training.data.y[:1]).abs()
    )
    training.loss = lambda prediction, target: (prediction - target).pow(4).mean()
    training.run(epochs=1)


@pytest.mark.parametrize("there", ["mse", "bce", nn.MultiMarginLoss()])
def test_a_loss_for_classes_there_and_back(there):
    X, y = rows()
    labels = np.digitize(y, [0, 4])
    net = mm.Classifier("linear", loop=mm.Loop(3), random_state=0)
    plain = net.manual(X, labels)
    swapped = net.manual(X, labels)
    swapped.loss = there
    swapped.loss = "cross_entropy"
    assert torch.equal(plain.data.y, swapped.data.y)
    assert torch.equal(weights(plain.run()), weights(swapped.run()))


def test_a_model_with_one_output_there_and_back():
    X, y = rows()
    training = mm.Classifier("linear", loop=mm.Loop(3)).manual(X, y > 0)
    training.model = nn.Linear(4, 1)
    assert isinstance(training.loss, nn.BCEWithLogitsLoss)
    training.step()
    training.model = nn.Linear(4, 2)
    training.run()
    assert training.automatic().predict_proba(X).shape == (50, 2)


def test_a_swapped_optimizer_may_be_a_finished_one():
    X, y = rows()
    training = batched().manual(X, y)
    mine = torch.optim.RMSprop(training.model.parameters(), lr=0.02)
    training.optimizer = mine
    assert training.optimizer is mine
    before = weights(training)
    training.run(epochs=1)
    assert not torch.equal(before, weights(training))


def test_a_swapped_loop_and_a_changed_rate():
    X, y = rows()
    training = batched(optimizer="sgd").manual(X, y)
    training.loop = mm.Loop(2, clip_norm=0.1)
    for group in training.optimizer.param_groups:
        group["lr"] = 1.0
    before = weights(training)
    training.step()
    assert torch.linalg.vector_norm(weights(training) - before) <= 0.1 + 1e-5
    training.run()
    assert training.state.next_epoch == 2


def test_a_swapped_data_loader_brings_targets_in_the_users_units():
    X, y = rows()
    y = y * 1000 + 5000
    training = mm.Regressor("linear", random_state=0).manual(X, y)
    prepared = training.data.X.clone()
    training.data = DataLoader(TensorDataset(prepared, torch.tensor(y)), 16)
    training.optimizer = mm.Optimizer("adam", lr=0.05)
    training.loop = mm.Loop(100)
    assert training.run().automatic().score(X, y) > 0.98


REFUSED = {
    "data": (3, "training.data takes .*; got int"),
    "model": (3, "model must be .*; got 3"),
    "model of other rows": (nn.Linear(9, 1), r"cannot take rows of shape \(4,\)"),
    "model of other answers": (nn.Linear(4, 2), "y has 1 column"),
    "loss": ("mes", "no loss 'mes'"),
    "loss that is none": (lambda prediction, target: 3.0, "returned 3.0"),
    "optimizer": ("sgdd", "no optimizer 'sgdd'"),
    "loop": (10, r"training.loop takes mm.Loop\(...\); got 10"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_part_that_cannot_be_leaves_the_old_one(name):
    value, words = REFUSED[name]
    part = name.partition(" ")[0]
    training = batched().manual(*rows())
    before = dict(training.parts)
    with pytest.raises(ComponentError, match=words):
        setattr(training, part, value)
    assert training.parts == before
    assert torch.equal(weights(training.run()), weights(batched().manual(*rows()).run()))


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": -1},
        {"epochs": "10"},
        {"epochs": 1.5},
        {"epochs": True},
        {"patience": 0},
        {"keep": "bets"},
        {"clip_norm": -1},
        {"clip_norm": "a"},
        {"accumulate": 0},
        {"accumulate": 1.5},
        {"ema": 2},
        {"ema": "x"},
        {"precision": "fp8"},
        {"time": 0},
        {"step": "mine"},
        {"checkpoint": 3},
    ],
    ids=str,
)
def test_a_loop_that_makes_no_sense(bad):
    [(name, value)] = bad.items()
    with pytest.raises(ComponentError, match=f"{name}.* must be .*{value!r}"):
        batched(loop=mm.Loop(**({"epochs": 2} | bad))).fit(*rows())


# --- and back ------------------------------------------------------------------------------------


def test_a_loop_of_your_own_then_automatic():
    X, y = rows()
    net = batched()
    training = net.manual(X, y)
    optimizer = torch.optim.Adam(training.model.parameters(), lr=0.02)
    for _ in range(60):
        for inputs, target in training.data:
            optimizer.zero_grad()
            training.loss(training.model(inputs), target).backward()
            optimizer.step()
    fitted = training.automatic()
    assert isinstance(fitted, mm.Regressor)
    assert fitted is not net
    assert fitted.score(X, y) > 0.9
    assert fitted.n_features_in_ == 4


def test_a_loop_of_your_own_over_weighted_rows():
    X, y = rows()
    weight = np.linspace(0.1, 2, 50)
    training = batched().manual(X, y, sample_weight=weight)
    for inputs, target, weights_ in training.data:
        training.loss(training.model(inputs), target, weights_).backward()
    assert all(weight.grad is not None for weight in training.model.parameters())


def test_automatic_in_the_middle_has_the_best_weights_so_far():
    X, y = rows()
    training = batched(loop=mm.Loop(50, keep="best"), optimizer=mm.Optimizer("sgd", lr=0.3)).manual(
        X, y
    )
    training.run(epochs=20)
    best = min(training.state.history.curve("loss", "valid"), key=lambda pair: pair[1])
    training.automatic()
    training.model.eval()
    with torch.no_grad():
        now = training.loss(training.model(training.valid.X), training.valid.y).item()
    assert now == pytest.approx(best[1], rel=1e-5)


@pytest.mark.parametrize(
    "loop",
    [{}, {"ema": 0.9}, {"keep": "best"}, {"ema": 0.9, "keep": "best"}],
    ids=["dropout", "average", "best", "average, best"],
)
def test_automatic_in_the_middle_of_an_epoch_changes_nothing_that_follows(loop):
    X, y = rows()
    net = mm.Regressor(
        lambda in_features, out_features: nn.Sequential(
            nn.Linear(in_features, 8), nn.Dropout(0.5), nn.Linear(8, out_features)
        ),
        data=mm.Data(batch_size=8),
        loop=mm.Loop(4, **loop),
        random_state=0,
    )
    undisturbed = weights(net.manual(X, y).run())
    training = net.manual(X, y)
    for _ in range(14):
        training.step()
    between = training.automatic()
    predicted, told = between.predict(X), len(between.history_)
    torch.testing.assert_close(weights(training.run()), undisturbed, rtol=0, atol=0)
    np.testing.assert_array_equal(between.predict(X), predicted)
    assert len(between.history_) == told
