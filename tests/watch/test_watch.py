"""Watching records what it is asked for, and changes no weight."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import f1_score, fbeta_score, log_loss, make_scorer, r2_score
from torch import nn
from torch.utils.data import TensorDataset

import manumatic as mm
from manumatic.errors import ComponentError

IRIS, KINDS = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[KINDS]


def hours_net(**given):
    return mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=0.01),
        loop=mm.Loop(epochs=1000),
        random_state=42,
        **given,
    )


def iris_net(watch=None, **given):
    settings = {"loop": mm.Loop(3), "optimizer": mm.Optimizer("adam", lr=0.01)} | given
    return mm.Classifier(mm.Model("mlp", dropout=0.2), random_state=0, watch=watch, **settings)


class Kept:
    """A logger that keeps what it is told."""

    tensors = True

    def __init__(self):
        self.rows, self.run, self.summary = [], None, None

    def start(self, run):
        self.run = run

    def log(self, values, step):
        self.rows.append((step, values))

    def close(self, summary):
        self.summary = summary


# --- weights -------------------------------------------------------------------------------------


def test_the_weights_of_the_tutorial(study_hours):
    net = hours_net(watch=mm.Watch(track=["weight", "bias"], every=100)).fit(*study_hours)
    weight, bias = (dict(net.history_.curve(name, "weight")) for name in ("weight", "bias"))
    assert list(weight) == list(range(0, 1001, 100))
    facts = {0: (0.765, 0.830), 100: (14.782, 16.906), 200: (12.546, 24.977)}
    facts |= {500: (9.008, 37.751), 900: (7.518, 43.129), 1000: (7.369, 43.667)}
    for epoch, (w, b) in facts.items():
        assert (weight[epoch], bias[epoch]) == pytest.approx((w, b), abs=5e-4)


def test_the_last_weights_are_recorded_wherever_the_run_ends(study_hours):
    net = hours_net(watch=mm.Watch(track="*", every=300)).fit(*study_hours)
    assert [epoch for epoch, _ in net.history_.curve("bias", "weight")] == [0, 300, 600, 900, 1000]
    assert net.history_.curve("bias", "weight")[-1][1] == net.model_.bias.item()


def test_each_number_of_a_matrix_has_a_name():
    net = mm.Classifier("linear", loop=mm.Loop(1), watch=mm.Watch(track="weight")).fit(IRIS, KINDS)
    rows = net.history_.where(part="weight", epoch=1)
    assert [row.name for row in rows][:5] == [f"weight[0,{i}]" for i in range(4)] + ["weight[1,0]"]
    assert [row.value for row in rows] == net.model_.weight.reshape(-1).tolist()


def test_a_pattern_without_a_match_names_the_weights():
    with pytest.raises(ComponentError, match=r"'bais' matches no weight of weight, bias"):
        mm.Classifier("linear", watch=mm.Watch(track="bais")).fit(IRIS, KINDS)


def test_a_trajectory_is_for_a_few_numbers():
    with pytest.raises(ComponentError, match=r"the 256 numbers of '0\.weight'"):
        mm.Classifier(mm.Model("mlp", hidden=64), watch=mm.Watch(track="*")).fit(IRIS, KINDS)


# --- metrics -------------------------------------------------------------------------------------


def test_metrics_of_every_kind_agree_with_scikit_learn():
    def errors(y_true, y_pred):
        return float((y_true != y_pred).sum())

    half = make_scorer(fbeta_score, beta=0.5, average="macro")
    watch = mm.Watch(metrics=["accuracy", "neg_log_loss", half, errors, {"f1": _macro_f1}])
    net = iris_net(watch).fit(IRIS, NAMES)
    last = {row.name: row.value for row in net.history_.where(epoch=2, part="train")}
    predicted = net.predict(IRIS)
    assert last["accuracy"] == pytest.approx(net.score(IRIS, NAMES))
    assert last["neg_log_loss"] == pytest.approx(-log_loss(NAMES, net.predict_proba(IRIS)))
    wanted = fbeta_score(NAMES, predicted, beta=0.5, average="macro")
    assert last["fbeta_score"] == pytest.approx(wanted)
    assert last["errors"] == errors(NAMES, predicted)
    assert last["f1"] == pytest.approx(f1_score(NAMES, predicted, average="macro"))


def _macro_f1(y_true, y_pred):
    return f1_score(y_true, y_pred, average="macro")


def test_metrics_are_in_the_units_of_the_target(study_hours):
    watch = mm.Watch(metrics=["neg_root_mean_squared_error", r2_score], every=7)
    net = mm.Regressor("linear", loop=mm.Loop(20), watch=watch, random_state=0).fit(*study_hours)
    X, y = study_hours
    rmse = net.history_.curve("neg_root_mean_squared_error", "train")
    assert [epoch for epoch, _ in rmse] == [6, 13, 19]
    assert rmse[-1][1] == pytest.approx(-(((net.predict(X) - y) ** 2).mean() ** 0.5))
    assert net.history_.curve("r2_score")[-1][1] == pytest.approx(net.score(X, y))


@pytest.mark.parametrize("labels", [KINDS, NAMES, KINDS > 0], ids=["three", "strings", "two"])
def test_torchmetrics_form(labels):
    class Accuracy:
        """What torchmetrics.Accuracy computes, in its form."""

        def reset(self):
            self.right = self.rows = 0

        def update(self, predictions, target):
            found = predictions.argmax(1) if predictions.ndim == 2 else predictions > 0.5
            self.right += (found == target).sum()
            self.rows += len(target)

        def compute(self):
            return self.right / self.rows

    watch = mm.Watch(metrics={"own": Accuracy(), "sklearn": "accuracy"})
    history = iris_net(watch).fit(IRIS, labels).history_
    assert [v for _, v in history.curve("own")] == pytest.approx(
        [v for _, v in history.curve("sklearn")]
    )


def test_torchmetrics_itself():
    torchmetrics = pytest.importorskip("torchmetrics")
    metric = torchmetrics.classification.MulticlassF1Score(3, average="macro")
    net = iris_net(mm.Watch(metrics={"f1": metric})).fit(IRIS, KINDS)
    wanted = f1_score(KINDS, net.predict(IRIS), average="macro")
    assert net.history_.curve("f1")[-1][1] == pytest.approx(wanted)


def test_multilabel_and_several_outputs():
    labels = np.stack([KINDS == 0, KINDS > 0], axis=1).astype(int)
    history = iris_net(mm.Watch(metrics="accuracy")).fit(IRIS, labels).history_
    assert 0 <= history.curve("accuracy")[-1][1] <= 1
    net = mm.Regressor("linear", loop=mm.Loop(2), watch=mm.Watch(metrics="r2"), random_state=0)
    net.fit(IRIS, IRIS[:, :2])
    assert net.history_.curve("r2")[-1][1] == pytest.approx(net.score(IRIS, IRIS[:, :2]), abs=1e-6)


def test_validation_rows_are_measured_too():
    watch = mm.Watch(metrics="accuracy")
    net = iris_net(watch, data=mm.Data(validation=0.2), loop=mm.Loop(3, keep="best"))
    history = net.fit(IRIS, KINDS).history_
    assert len(history.curve("accuracy", "valid")) == 3


def test_rows_of_ones_own_are_looked_at_and_decide_nothing():
    held = mm.Data(validation=(IRIS[::5], KINDS[::5]))
    plain = iris_net().fit(IRIS, KINDS)
    net = iris_net(data=held).fit(IRIS, KINDS)
    assert len(net.history_.curve("loss", "valid")) == 3
    same(plain, net)


def test_a_name_that_is_no_metric():
    with pytest.raises(ComponentError, match="no metric 'acuracy'"):
        iris_net(mm.Watch(metrics="acuracy")).fit(IRIS, KINDS)
    with pytest.raises(ComponentError, match="got 3"):
        iris_net(mm.Watch(metrics=[3])).fit(IRIS, KINDS)


# --- watching changes nothing --------------------------------------------------------------------


def same(one, other):
    for a, b in zip(one.model_.parameters(), other.model_.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"loop": mm.Loop(4, patience=2), "data": mm.Data(validation=0.3)},
        {"loop": mm.Loop(3, ema=0.9, accumulate=2), "data": mm.Data(batch_size=16)},
        {"optimizer": mm.Optimizer("lbfgs", lr=0.5)},
        {"loss": mm.Loss("cross_entropy", class_weight="balanced")},
    ],
    ids=["plain", "patience", "average", "lbfgs", "weights"],
)
def test_everything_on_and_everything_off_are_the_same_to_the_bit(given, tmp_path):
    plain = iris_net(**given).fit(IRIS, KINDS)
    log = [str(tmp_path / "run.jsonl"), Kept()]
    watch = mm.Watch(metrics=["accuracy", "neg_log_loss"], track="*bias", log=log)
    watched = iris_net(watch, verbose=1, **given)
    before = torch.get_rng_state()
    watched.fit(IRIS, KINDS)
    assert torch.equal(before, torch.get_rng_state())
    same(plain, watched)


def test_a_stream_is_watched_and_the_same():
    rows = TensorDataset(torch.tensor(IRIS).float(), torch.tensor(KINDS))
    stream = torch.utils.data.Subset(rows, range(150))
    plain = iris_net().fit(stream)
    net = iris_net(mm.Watch(metrics="accuracy")).fit(stream)
    same(plain, net)
    assert net.history_.curve("accuracy")[-1][1] == pytest.approx(net.score(IRIS, KINDS))


# --- loggers -------------------------------------------------------------------------------------


def test_a_logger_hears_of_the_whole_run():
    kept = Kept()
    watch = mm.Watch(metrics="accuracy", track="3.bias", log=kept, every=2)
    net = iris_net(watch, loop=mm.Loop(4)).fit(IRIS, KINDS)
    assert [step for step, _ in kept.rows] == [0, 1, 2, 3]
    assert kept.run.settings["loop.epochs"] == 4
    first, second = kept.rows[0][1], kept.rows[1][1]
    assert set(first) == {"loss/train", "lr"}
    assert {"accuracy/train", "3.bias[0]/weight"} <= set(second)
    curve = dict(net.history_.curve("loss"))
    assert [values["loss/train"] for _, values in kept.rows] == list(curve.values())
    weights = dict(net.model_.named_parameters())
    last = kept.rows[-1][1]
    for name, weight in weights.items():
        assert torch.equal(last[f"weights/{name}"], weight)
        assert last[f"gradients/{name}"].shape == weight.shape
    assert kept.summary["loss/train"] == curve[3]


def test_a_logger_is_closed_when_training_explodes(study_hours):
    kept = Kept()
    net = hours_net(watch=mm.Watch(log=kept)).set_params(optimizer__lr=0.1)
    with pytest.raises(mm.DivergedError):
        net.fit(*study_hours)
    assert kept.summary is not None
    assert len(kept.rows) == 127


# --- the component -------------------------------------------------------------------------------


def test_it_is_a_component_like_the_others(study_hours):
    net = hours_net(watch=mm.Watch(track=["bias"]))
    net.set_params(watch__every=500)
    assert clone(net).watch.get_params() == net.watch.get_params()
    fitted = net.fit(*study_hours)
    assert len(pickle.loads(pickle.dumps(fitted)).history_) == len(fitted.history_)  # noqa: S301
    copy.deepcopy(fitted)


@pytest.mark.parametrize("watch", ["loss", 3])
def test_only_a_watch_will_do(watch):
    with pytest.raises(ComponentError, match=r"watch must be None or mm.Watch\(...\)"):
        iris_net(watch).fit(IRIS, KINDS)


@pytest.mark.parametrize("every", [0, 1.5, True, None])
def test_every_is_a_number_of_epochs(every):
    with pytest.raises(ComponentError, match=f"got {every!r}"):
        iris_net(mm.Watch(every=every)).fit(IRIS, KINDS)


def test_none_says_how_to_address_it():
    with pytest.raises(ComponentError, match=r"watch=mm.Watch\(\), then watch__every has a place"):
        iris_net().set_params(watch__every=2)


def test_copies_of_an_estimator_share_the_logger(study_hours):
    kept = Kept()
    hours_net(watch=mm.Watch(log=kept)).manual(*study_hours).run(epochs=2)
    assert [step for step, _ in kept.rows] == [0, 1]


def test_the_manual_gear_watches_too(study_hours):
    training = hours_net(watch=mm.Watch(track="weight")).manual(*study_hours)
    training.run(epochs=3)
    assert [epoch for epoch, _ in training.state.history.curve("weight", "weight")] == [0, 1, 2, 3]
    training.model = nn.Linear(1, 1)
    training.run(epochs=1)
    last = training.state.history.curve("weight", "weight")[-1]
    assert last == (4, training.model.weight.item())
