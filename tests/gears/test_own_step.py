"""A step of the user's own, one optimizer or several: automatic ≡ manual ≡ ejected ≡ by hand."""

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from agreement import run_script
from sklearn import model_selection
from sklearn.base import clone
from test_agree import same
from torch import nn

import manumatic as mm
from manumatic.model_selection import GridSearchCV

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
LINE = (ROWS @ [1.0, -2.0, 0.5]).astype(np.float32)
AS_IT_IS = mm.Data(batch_size=16, preprocess=None, target=None)


class Plain(nn.Module):
    """Random in training."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.first = nn.Linear(in_features, 8)
        self.dropout = nn.Dropout(0.2)
        self.last = nn.Linear(8, out_features)

    def forward(self, x):
        return self.last(self.dropout(torch.tanh(self.first(x))))


class GAN(nn.Module):
    """No forward: a code becomes a row, and the critic is for training."""

    def __init__(self, in_features, noise=2):
        super().__init__()
        self.noise = noise
        self.generator = nn.Sequential(nn.Linear(noise, 8), nn.ReLU(), nn.Linear(8, in_features))
        self.critic = nn.Sequential(nn.Linear(in_features, 8), nn.ReLU(), nn.Linear(8, 1))

    def decode(self, code):
        return self.generator(code)


class Encoder(nn.Module):
    """Only half of an autoencoder."""

    def __init__(self, in_features, code=2):
        super().__init__()
        self.layer = nn.Linear(in_features, code)

    def encode(self, x):
        return F.normalize(self.layer(x), dim=1)


def usual_step(model, loss_fn, optimizer, X, y):
    loss = loss_fn(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def two_tasks(model, loss_fn, optimizer, X, y, weight=0.3):
    found = model(X)
    loss = weight * loss_fn(found[:, 0], y[:, 0]) + (1 - weight) * loss_fn(found[:, 1], y[:, 1])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


def gan_step(model, loss_fn, optimizer, X, _):
    made = model.generator(torch.randn(len(X), model.noise))
    real, false = model.critic(X), model.critic(made.detach())
    loss = loss_fn(real, torch.ones_like(real)) + loss_fn(false, torch.zeros_like(false))
    optimizer["critic"].zero_grad()
    loss.backward()
    optimizer["critic"].step()
    judged = model.critic(made)
    fooled = loss_fn(judged, torch.ones_like(judged))
    optimizer["generator"].zero_grad()
    fooled.backward()
    optimizer["generator"].step()
    return loss


def contrast(model, loss_fn, optimizer, X, _):
    one, two = (model.encode(X + 0.1 * torch.randn_like(X)) for _ in range(2))
    loss = loss_fn(one @ two.T / 0.5, torch.arange(len(X)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def adam(**changes):
    return mm.Optimizer("adam", **({"lr": 0.01} | changes))


def gan(**changes):
    given = {
        "loss": nn.BCEWithLogitsLoss(),
        "optimizer": {"generator": adam(schedule="cosine"), "critic": adam(lr=0.02)},
        "loop": mm.Loop(3, step=gan_step),
        "data": AS_IT_IS,
        "random_state": 4,
    }
    return mm.Autoencoder(GAN, **(given | changes))


def line(loop, optimizer=None, **changes):
    optimizer = optimizer or adam()
    return mm.Regressor(
        Plain, **({"data": AS_IT_IS} | changes), optimizer=optimizer, loop=loop, random_state=4
    )


CASES = {
    "one optimizer": (line(mm.Loop(3, step=usual_step)), (ROWS, LINE)),
    "full batch": (
        line(mm.Loop(3, step=usual_step), data=mm.Data(batch_size=None, preprocess=None)),
        (ROWS, LINE),
    ),
    "schedule, average": (
        line(mm.Loop(3, step=usual_step, ema=0.8), adam(schedule="one_cycle")),
        (ROWS, LINE),
    ),
    "patience": (
        line(
            mm.Loop(20, step=usual_step, patience=1),
            adam(lr=0.3),
            data=mm.Data(batch_size=16, validation=0.3, preprocess=None),
        ),
        (ROWS, LINE),
    ),
    "two tasks": (
        line(mm.Loop(3, step=functools.partial(two_tasks, weight=0.6))),
        (ROWS, np.stack([LINE, LINE**2], axis=1)),
    ),
    "gan": (gan(), (ROWS,)),
    "gan, groups, average": (
        gan(
            loop=mm.Loop(3, step=gan_step, ema=0.9),
            optimizer={
                "critic": adam(groups=[("0.*", {"lr": 0.1})], schedule="linear"),
                "generator": mm.Optimizer("rmsprop", lr=0.01, schedule="cosine"),
            },
        ),
        (ROWS,),
    ),
    "contrast": (
        mm.Autoencoder(
            Encoder,
            loss=nn.CrossEntropyLoss(),
            optimizer=adam(),
            loop=mm.Loop(3, step=contrast),
            data=mm.Data(batch_size=16),
            random_state=4,
        ),
        (ROWS,),
    ),
}


# --- the same weights ----------------------------------------------------------------------------


def test_as_written_by_hand():
    """Two optimizers, in plain PyTorch."""
    net = gan().fit(ROWS)
    torch.manual_seed(4)
    model, X = GAN(3), torch.tensor(ROWS)
    optimizer = {
        "generator": torch.optim.Adam(model.generator.parameters(), lr=0.01, fused=True),
        "critic": torch.optim.Adam(model.critic.parameters(), lr=0.02, fused=True),
    }
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer["generator"], T_max=12)
    losses = []
    for epoch in range(3):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(1_000_003 * 4 + epoch))
        for rows in order.split(16):
            losses.append(gan_step(model, nn.BCEWithLogitsLoss(), optimizer, X[rows], None).item())
            schedule.step()
    same(net.model_.state_dict(), model.state_dict())
    assert [loss for _, loss in net.history_.curve()] == [
        sum(losses[at : at + 4]) / 4 for at in (0, 4, 8)
    ]


def test_the_usual_step_is_the_usual_loop():
    own, usual = line(mm.Loop(3, step=usual_step)), line(mm.Loop(3))
    one, two = own.fit(ROWS, LINE), usual.fit(ROWS, LINE)
    same(one.model_.state_dict(), two.model_.state_dict())
    assert one.history_ == two.history_


@pytest.mark.parametrize("name", CASES)
def test_three_ways_to_the_same_weights(name, tmp_path):
    net, data = CASES[name]
    outside = torch.get_rng_state()
    training = net.manual(*data)
    for step in training:
        assert step.loss.isfinite()
    net.fit(*data)
    same(net.model_.state_dict(), training.model.state_dict())
    assert net.history_ == training.state.history
    assert torch.equal(outside, torch.get_rng_state())
    assert list(net.findings_) == []
    text = net.eject(tmp_path / "train.py", *data)
    assert "manumatic" not in text.split('"""', 2)[2]
    same(net.model_.state_dict(), run_script(tmp_path / "train.py"))


@pytest.mark.parametrize("name", ["schedule, average", "patience", "gan", "contrast"])
def test_going_on_from_any_step_is_never_having_stopped(name, tmp_path):
    net, data = CASES[name]
    whole = net.manual(*data).run()
    for stop in (1, 2, 4, 5, 7):
        first = net.manual(*data)
        for _ in range(stop):
            first.step()
        first.save(tmp_path / "run.pt")
        second = net.manual(*data).load(tmp_path / "run.pt").run()
        same(whole.model.state_dict(), second.model.state_dict())
        assert whole.state.history == second.state.history


# --- rows made on the fly ------------------------------------------------------------------------


class Draws:
    """Rows that depend on what the model says of them."""

    def __init__(self, model, rows=8, most=3):
        self.model, self.rows, self.most = model, rows, most

    def __len__(self):
        return self.most

    def batches(self, epoch):
        for number in range(self.most):
            X = torch.randn(self.rows, 3)
            with torch.no_grad():
                y = X[:, :1] - 0.5 * self.model(X)
            yield number, X, y


@pytest.mark.parametrize(
    "loop", [mm.Loop(4), mm.Loop(4, accumulate=2, clip_norm=0.5), mm.Loop(4, step=usual_step)]
)
def test_rows_made_on_the_fly_are_ejected(loop, tmp_path):
    training = line(loop).manual(ROWS[:2], LINE[:2])
    training.data = Draws(training.model, rows=6)
    text = training.eject(tmp_path / "train.py")
    assert "data = Draws(model=model, rows=6)" in text
    weights = training.run().model.state_dict()
    same(weights, run_script(tmp_path / "train.py"))
    assert list(training.findings) == []
    again = line(loop).manual(ROWS[:2], LINE[:2])
    again.data = Draws(again.model, rows=6)
    for _ in range(2 if loop.accumulate > 1 else 3):  # to the end of an epoch
        again.step()
    again.save(tmp_path / "run.pt")
    third = line(loop).manual(ROWS[:2], LINE[:2])
    third.data = Draws(third.model, rows=6)
    same(weights, third.load(tmp_path / "run.pt").run().model.state_dict())


def test_what_has_no_shape_to_take_is_not_ejected(tmp_path):
    lazy = mm.Regressor(nn.LazyLinear, data=AS_IT_IS, loop=mm.Loop(1), random_state=0)
    lazy.set_params(model=mm.Model(nn.LazyLinear, out_features=1))
    training = lazy.manual(ROWS, LINE)
    training.data = Draws(training.model)
    with pytest.raises(mm.EjectError, match="rows come from a Draws: no layer can take its shape"):
        training.eject(tmp_path / "train.py")


class Forgetful(Draws):
    def __init__(self, model, seed):
        super().__init__(model)
        self.kept = seed


def test_an_argument_that_is_not_kept_is_not_guessed(tmp_path):
    training = line(mm.Loop(1)).manual(ROWS, LINE)
    training.data = Forgetful(training.model, seed=3)
    with pytest.raises(mm.EjectError, match="Forgetful does not keep its 'seed'"):
        training.eject(tmp_path / "train.py")


# --- after training ------------------------------------------------------------------------------


def test_half_an_autoencoder_has_one_direction():
    far = ROWS * 10 + 100
    drawn = gan(data=mm.Data(batch_size=16)).fit(far)
    made = drawn.inverse_transform(np.zeros((4, 2)))
    assert made.shape == (4, 3)
    assert 50 < made.mean() < 150  # in the units of the rows
    with pytest.raises(mm.ComponentError, match="GAN has no 'encode'"):
        drawn.transform(far)
    net, data = CASES["contrast"]
    codes = net.fit(*data).transform(ROWS)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, rtol=1e-5)
    with pytest.raises(mm.ComponentError, match="Encoder has no 'decode'"):
        net.inverse_transform(codes)
    with pytest.raises(mm.ComponentError, match="Plain has no 'decode'"):
        mm.Autoencoder(mm.Model(Plain, out_features=3), loop=mm.Loop(1, step=contrast)).fit(ROWS)


def test_another_epoch_takes_the_same_step():
    calls = []

    def counted(*parts):
        calls.append(1)
        return usual_step(*parts)

    line(mm.Loop(3, step=counted)).partial_fit(ROWS, LINE)
    assert len(calls) == 4


def test_a_search_calls_the_step_for_each_candidate():
    """Many fits trained as one would pass it by."""
    space = {"optimizer__lr": [0.001, 0.1]}
    net = line(mm.Loop(3, step=functools.partial(two_tasks, weight=0.9)))
    data = ROWS, np.stack([LINE, LINE**2], axis=1)
    ours = GridSearchCV(net, space, cv=2).fit(*data)
    theirs = model_selection.GridSearchCV(net, space, cv=2).fit(*data)
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


# --- one clear error -----------------------------------------------------------------------------


def test_divergence_names_epoch_and_batch():
    with pytest.raises(mm.DivergedError, match=r"epoch 0, batch 1: .* clip in the step") as raised:
        line(mm.Loop(3, step=usual_step), mm.Optimizer("sgd", lr=1e20)).fit(ROWS, LINE)
    assert (raised.value.epoch, raised.value.batch) == (0, 1)
    big = {"generator": mm.Optimizer("sgd", lr=1e30), "critic": mm.Optimizer("sgd", lr=1e30)}
    training = gan(optimizer=big).manual(ROWS)
    with pytest.raises(mm.DivergedError, match="epoch 0"):
        training.run()
    assert all(weight.isfinite().all() for weight in training.model.parameters())


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda *_: None, r"<lambda> returned None; a step must return its loss"),
        (lambda *_: 0.5, r"returned 0\.5; a step must"),
        (lambda model, loss_fn, optimizer, X, y: X, r"returned a tensor \(16, 3\); a step"),
    ],
)
def test_a_step_returns_its_loss(step, words):
    training = line(mm.Loop(3, step=step)).manual(ROWS, LINE)
    with pytest.raises(mm.ComponentError, match=words):
        training.step()
    assert training.state.steps == 0


@pytest.mark.parametrize(
    "given", [{"accumulate": 2}, {"clip_norm": 1.0}, {"precision": "bfloat16"}]
)
def test_what_the_step_does_itself(given):
    with pytest.raises(mm.ComponentError, match="does not go with a step of your own; do it in"):
        line(mm.Loop(2, step=usual_step, **given)).fit(ROWS, LINE)


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        ({"generator": adam(), "critik": adam()}, "names no part of GAN.*Did you mean 'critic'"),
        ({"generator": adam()}, r"no optimizer trains critic\.0\.weight.*\{'critic': "),
        ({}, "names no part of the model"),
        ({"generator": 3, "critic": adam()}, "optimizer must be a name"),
    ],
)
def test_optimizers_that_do_not_fit_the_model(optimizer, words):
    with pytest.raises(mm.ComponentError, match=words):
        gan(optimizer=optimizer).fit(ROWS)


def test_several_optimizers_need_a_step(tmp_path):
    two = {"first": adam(), "last": adam()}
    with pytest.raises(mm.ComponentError, match="optimizers for first, last need a step"):
        line(mm.Loop(2), two).fit(ROWS, LINE)
    with pytest.raises(mm.ComponentError, match="optimizers for first, last need a step"):
        line(mm.Loop(2), two).eject(tmp_path / "never.py", ROWS, LINE)
    assert not list(tmp_path.iterdir()), "a refused script leaves no rows behind"


def test_rows_held_out_need_a_forward():
    with pytest.raises(
        mm.ComponentError, match=r"judged by loss_fn\(model\(X\), target\), and GAN"
    ):
        gan(loop=mm.Loop(2, step=gan_step, keep="best")).fit(ROWS)


# --- several optimizers as a component -----------------------------------------------------------


def test_a_dict_survives_a_clone():
    net = gan()
    again = clone(net)
    assert again.optimizer["critic"].lr == 0.02
    assert again.optimizer["critic"] is not net.optimizer["critic"]
    same(net.fit(ROWS).model_.state_dict(), again.fit(ROWS).model_.state_dict())
    with pytest.raises(mm.ComponentError, match="optimizer__lr cannot be set"):
        net.set_params(optimizer__lr=0.1)


def test_the_optimizers_are_exchanged(tmp_path):
    training = gan().manual(ROWS)
    assert "generator: Adam, lr 0.01; critic: Adam, lr 0.02" in repr(training)
    assert [group["lr"] for group in training.optimizer.param_groups] == [0.01, 0.02]
    training.optimizer = {
        "generator": torch.optim.SGD(training.model.generator.parameters(), lr=0.5),
        "critic": torch.optim.SGD(training.model.critic.parameters(), lr=0.25, momentum=0.9),
    }
    training.eject(tmp_path / "train.py")
    same(training.run().model.state_dict(), run_script(tmp_path / "train.py"))
    with pytest.raises(mm.ComponentError, match="no optimizer trains"):
        training.optimizer = {"critic": "sgd"}


def test_another_epoch_keeps_all_moments():
    one = gan(optimizer={"generator": adam(), "critic": adam()}, loop=mm.Loop(2, step=gan_step))
    by_parts = clone(one).partial_fit(ROWS).partial_fit(ROWS)
    same(one.fit(ROWS).model_.state_dict(), by_parts.model_.state_dict())
