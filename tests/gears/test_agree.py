"""automatic ≡ manual ≡ ejected ≡ interrupted: the same weights, bit for bit."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from agreement import run_script
from sklearn.preprocessing import StandardScaler
from torch import nn

import manumatic as mm


class Net(nn.Module):
    """A user's network, with all that makes a step random or stateful."""

    def __init__(self, in_features: int, out_features: int, hidden: int = 8, dropout: float = 0.2):
        super().__init__()
        self.first = nn.Linear(in_features, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(hidden, out_features)

    def forward(self, x):
        return self.last(self.dropout(torch.relu(self.norm(self.first(x)))))


SCALE = 0.7


def scaled_error(prediction, target):
    return SCALE * (prediction - target).pow(2).mean()


def lazy(out_features):
    return nn.Sequential(nn.LazyLinear(6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, out_features))


def numbers(n=70, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + np.sin(3 * X[:, 0])


def labels(n=70, k=3):
    X, y = numbers(n)
    return X, np.array(["low", "middle", "high"])[np.digitize(y, np.quantile(y, [0.3, 0.7])) % k]


def days(n=60):
    """In one batch: a date column's numbers come column by column in memory."""
    X, y = numbers(n)
    when = pd.date_range("2020-01-01", periods=n)
    return pd.DataFrame({"a": X[:, 0], "day": when}), y


def table(n=90):
    X, y = numbers(n, 3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.loc[::7, "a"] = np.nan
    frame["city"] = np.random.default_rng(1).choice(["Ulm", "Bonn", "Köln, Süd", None], n)
    frame["many"] = [f"street {i % 45}" for i in range(n)]
    frame["day"] = pd.date_range("2024-01-01", periods=n, freq="37h")
    frame["new"] = np.arange(n) % 3 == 0
    frame["few"] = pd.array([1, 2, None] * (n // 3), dtype="Int64")
    frame["span"] = pd.cut(frame["b"], 3)
    return frame, y * 1000


def same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def adam(**changes):
    return mm.Optimizer("adam", lr=0.01, **changes)


def data(**changes):
    return mm.Data(**({"batch_size": 16, "validation": None, "preprocess": None} | changes))


FEW = mm.Loop(epochs=3)
CASES = {
    "full batch": (
        mm.Regressor("linear", data=data(batch_size=None), optimizer="sgd", loop=FEW),
        numbers(),
    ),
    "batches": (mm.Regressor(Net, data=data(), optimizer=adam(), loop=FEW), numbers()),
    "in order": (
        mm.Regressor(Net, data=data(shuffle=False), optimizer=adam(), loop=FEW),
        numbers(),
    ),
    "auto": (mm.Regressor(loop=FEW), numbers()),
    "auto classes": (mm.Classifier(loop=FEW), labels()),
    "days": (mm.Regressor("linear", loop=FEW), days()),
    "auto table": (mm.Regressor(loop=FEW), table()),
    "table, best weights": (mm.Regressor(loop=mm.Loop(6, patience=2)), table()),
    "auto table of many rows": (  # its dropout falls
        mm.Regressor(loop=mm.Loop(3, keep="best", ema=0.9)),
        table(600),
    ),
    "table classes": (
        mm.Classifier(loop=mm.Loop(3, keep="best")),
        (table()[0], np.where(table()[1] > 0, "yes", "no")),
    ),
    "patience": (
        mm.Classifier(
            Net,
            data=data(validation=0.3),
            optimizer=mm.Optimizer("adam", lr=0.3),
            loop=mm.Loop(30, patience=1),
        ),
        labels(),
    ),
    "keep best": (
        mm.Classifier(Net, data=data(validation=20), loop=mm.Loop(4, keep="best")),
        labels(),
    ),
    "clip": (
        mm.Regressor(Net, data=data(), optimizer=adam(), loop=mm.Loop(3, clip_norm=0.1)),
        numbers(),
    ),
    "accumulate": (
        mm.Regressor(Net, data=data(), optimizer=adam(), loop=mm.Loop(3, accumulate=3)),
        numbers(),
    ),
    "accumulate full": (
        mm.Regressor(
            "mlp", data=data(batch_size=None), optimizer=adam(), loop=mm.Loop(3, accumulate=2)
        ),
        numbers(),
    ),
    "ema": (mm.Regressor(Net, data=data(), optimizer=adam(), loop=mm.Loop(3, ema=0.8)), numbers()),
    "ema, best": (
        mm.Regressor(
            Net,
            data=data(validation=0.2),
            optimizer=adam(),
            loop=mm.Loop(4, ema=0.8, keep="best", clip_norm=1.0),
        ),
        numbers(),
    ),
    "bfloat16": (
        mm.Regressor(Net, data=data(), optimizer=adam(), loop=mm.Loop(3, precision="bfloat16")),
        numbers(),
    ),
    "float16": (
        mm.Regressor(
            "mlp",
            data=data(),
            optimizer=adam(),
            loop=mm.Loop(3, precision="float16", clip_norm=1.0),
        ),
        numbers(),
    ),
    "float16, accumulate": (
        mm.Regressor(
            "mlp", data=data(), optimizer=adam(), loop=mm.Loop(2, precision="float16", accumulate=2)
        ),
        numbers(),
    ),
    "cosine": (
        mm.Regressor(Net, data=data(), optimizer=adam(schedule="cosine"), loop=FEW),
        numbers(),
    ),
    "one cycle": (
        mm.Regressor(Net, data=data(), optimizer=adam(schedule="one_cycle"), loop=FEW),
        numbers(),
    ),
    "linear schedule": (
        mm.Regressor(Net, data=data(), optimizer=adam(schedule="linear"), loop=FEW),
        numbers(),
    ),
    "schedule of torch": (
        mm.Regressor(
            Net,
            data=data(),
            optimizer=adam(
                schedule=functools.partial(torch.optim.lr_scheduler.StepLR, step_size=4)
            ),
            loop=FEW,
        ),
        numbers(),
    ),
    "groups": (
        mm.Regressor(
            Net,
            data=data(),
            optimizer=adam(groups=[("last.*", {"lr": 0.1}), ("norm.*", {"lr": 0.0})]),
            loop=FEW,
        ),
        numbers(),
    ),
    "sgd momentum": (
        mm.Regressor(
            Net,
            data=data(),
            optimizer=mm.Optimizer("sgd", lr=0.01, momentum=0.9, nesterov=True),
            loop=FEW,
        ),
        numbers(),
    ),
    "rmsprop": (mm.Regressor(Net, data=data(), optimizer=torch.optim.RMSprop, loop=FEW), numbers()),
    "partial": (
        mm.Regressor(
            Net,
            data=data(),
            optimizer=functools.partial(torch.optim.AdamW, weight_decay=0.1),
            loop=FEW,
        ),
        numbers(),
    ),
    "lbfgs": (
        mm.Regressor(
            "linear", data=data(batch_size=None), optimizer=mm.Optimizer("lbfgs", lr=0.5), loop=FEW
        ),
        numbers(),
    ),
    "mae": (mm.Regressor(Net, data=data(), loss="mae", loop=FEW), numbers()),
    "huber": (
        mm.Regressor(Net, data=data(), loss=mm.Loss("huber", delta=0.5), loop=FEW),
        numbers(),
    ),
    "poisson": (
        mm.Regressor(Net, data=data(), loss="poisson", loop=FEW),
        (numbers()[0], np.arange(70) % 5),
    ),
    "loss of torch": (
        mm.Regressor(Net, data=data(), loss=nn.SmoothL1Loss(beta=0.3), loop=FEW),
        numbers(),
    ),
    "loss of the user": (mm.Regressor(Net, data=data(), loss=scaled_error, loop=FEW), numbers()),
    "label smoothing": (
        mm.Classifier(
            Net, data=data(), loss=mm.Loss("cross_entropy", label_smoothing=0.1), loop=FEW
        ),
        labels(),
    ),
    "class weights": (
        mm.Classifier(Net, data=data(), loss=mm.Loss(class_weight="balanced"), loop=FEW),
        labels(),
    ),
    "class weights, best": (
        mm.Classifier(loss=mm.Loss(class_weight="balanced"), loop=mm.Loop(3, keep="best")),
        labels(),
    ),
    "one logit": (
        mm.Classifier(mm.Model(nn.Linear, out_features=1), data=data(), loop=FEW),
        labels(k=2),
    ),
    "multilabel": (
        mm.Classifier(Net, data=data(), loop=FEW),
        (numbers()[0], (numbers()[0][:, :3] > 0).astype(int)),
    ),
    "many outputs": (mm.Regressor(Net, loop=FEW), (numbers()[0], numbers()[0][:, :2] * 30)),
    "scaler of scikit-learn": (
        mm.Regressor("mlp", data=data(preprocess=StandardScaler()), loop=FEW),
        numbers(),
    ),
    "lazy": (mm.Regressor(lazy, data=data(), loop=FEW), numbers()),
    "instance": (
        mm.Regressor(
            nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 1)),
            data=data(),
            loop=FEW,
        ),
        numbers(),
    ),
    "images": (
        mm.Classifier(loop=FEW),
        (np.random.default_rng(0).random((60, 8, 8)), np.arange(60) % 3),
    ),
    "text": (
        mm.Classifier(loop=FEW),
        ([f"{w} tea {i % 7}" for i in range(40) for w in ("good", "bad")], np.tile([1, 0], 40)),
    ),
    "rows twice": (
        mm.Regressor(Net, data=data(), loop=FEW),
        tuple(np.concatenate([part, part[:9]]) for part in numbers()),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_three_ways_to_the_same_weights(name, tmp_path):
    net, (X, y) = CASES[name]
    torch.manual_seed(7)
    outside = torch.get_rng_state()
    net.set_params(random_state=42).fit(X, y)
    training = net.manual(X, y)
    for step in training:
        assert step.loss.isfinite()
    same(net.model_.state_dict(), training.model.state_dict())
    assert training.state.history == net.history_
    assert torch.equal(outside, torch.get_rng_state()), "the global random state was touched"
    script = net.eject(tmp_path / "train.py", X, y)
    assert "manumatic" not in script.split('"""', 2)[2]
    same(net.model_.state_dict(), run_script(tmp_path / "train.py"))


def test_what_is_exchanged_before_the_first_step_is_ejected(tmp_path):
    X, y = numbers()
    training = mm.Regressor("linear", data=data(), loop=FEW, random_state=5).manual(X, y)
    training.model = mm.Model(Net, hidden=6)
    training.loss = scaled_error
    training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.05, momentum=0.9)
    training.loop = mm.Loop(epochs=2, clip_norm=0.5)
    training.data.batch_size = 20
    training.eject(tmp_path / "train.py")
    same(training.run().model.state_dict(), run_script(tmp_path / "train.py"))
    training.optimizer = "adam"
    with pytest.raises(mm.EjectError, match=r"training\.optimizer was exchanged after"):
        training.eject(tmp_path / "train.py")


def test_a_finished_model_starts_the_script_where_it_started(tmp_path):
    X, y = numbers()
    training = mm.Regressor("linear", data=data(), loop=FEW, random_state=5).manual(X, y)
    training.model = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    weights = training.run().model.state_dict()
    training.eject(tmp_path / "train.py")
    same(weights, run_script(tmp_path / "train.py"))


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("swap", [True, False])
def test_layers_that_take_their_shapes_from_the_rows_are_ejected(finished, swap, tmp_path):
    X, y = numbers()
    model = lazy(1) if finished else functools.partial(lazy, 1)
    first = "linear" if swap else model
    training = mm.Regressor(first, data=data(), loop=FEW, random_state=5).manual(X, y)
    if swap:
        training.model = model
    weights = training.run().model.state_dict()
    training.eject(tmp_path / "train.py")
    same(weights, run_script(tmp_path / "train.py"))


def test_a_wrong_script_is_noticed(tmp_path):
    """The comparison above can fail."""
    X, y = numbers()
    net = mm.Regressor(Net, data=data(), loop=FEW, random_state=42).fit(X, y)
    text = net.eject(tmp_path / "train.py", X, y)
    (tmp_path / "train.py").write_text(text.replace("manual_seed(42)", "manual_seed(43)"))
    with pytest.raises(AssertionError):
        same(net.model_.state_dict(), run_script(tmp_path / "train.py"))


@pytest.mark.parametrize(
    "name",
    [
        "batches",
        "accumulate",
        "ema, best",
        "patience",
        "float16",
        "cosine",
        "lbfgs",
        "auto table",
        "auto table of many rows",
    ],
)
def test_stopping_anywhere_and_going_on_equals_not_stopping(name, tmp_path):
    net, (X, y) = CASES[name]
    whole = net.set_params(random_state=3).manual(X, y).run()
    for stop in (1, 2, 5, 7):
        first = net.manual(X, y)
        for _ in range(stop):
            first.step()
        first.save(tmp_path / "run.pt")
        second = net.manual(X, y).load(tmp_path / "run.pt").run()
        same(whole.model.state_dict(), second.model.state_dict())
        assert second.state.history == whole.state.history
