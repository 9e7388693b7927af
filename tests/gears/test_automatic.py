"""Gear A: estimators that behave as scikit-learn's do, wherever scikit-learn puts them."""

import copy
import functools
import io
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from nets_of_users import Normed, Plain
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostRegressor, BaggingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

import manumatic as mm
from manumatic.errors import ComponentError, DataError, DivergedError

HERE = Path(__file__).parent
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def net(model="linear", kind=mm.Classifier, **changes):
    given = {"loop": mm.Loop(5), "random_state": 0, "optimizer": mm.Optimizer("adam", lr=0.05)}
    return kind(model, **(given | changes))


def same_weights(one, two):
    ours, theirs = one.model_.state_dict(), two.model_.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


# --- parameters ----------------------------------------------------------------------------------


def components():
    return mm.Classifier(
        mm.Model("mlp", hidden=7),
        data=mm.Data(batch_size=32, preprocess=StandardScaler(with_mean=False)),
        loss=mm.Loss("cross_entropy", label_smoothing=0.1),
        optimizer=mm.Optimizer("sgd", lr=0.1, momentum=0.9),
        loop=mm.Loop(3),
        random_state=0,
    )


def test_the_constructor_only_stores():
    for name, value in components().get_params(deep=False).items():
        assert getattr(components().set_params(**{name: value}), name) is value


def test_clones_have_equal_parameters_and_nothing_fitted():
    fitted = components().fit(X, Y)
    again = clone(fitted)
    assert not hasattr(again, "model_")
    ours, theirs = fitted.get_params(), again.get_params()
    assert ours.keys() == theirs.keys()
    assert repr(fitted) == repr(again)
    assert theirs["model__hidden"] == 7
    assert theirs["optimizer__momentum"] == 0.9
    assert theirs["data__preprocess__with_mean"] is False
    assert same_weights(fitted, again.fit(X, Y))


def test_parameters_of_components_can_be_set():
    changed = components().set_params(
        model__hidden=3,
        model__dropout=0.5,
        loss__label_smoothing=0.0,
        optimizer__lr=0.5,
        data__preprocess__with_std=False,
        loop__epochs=1,
    )
    changed.fit(X, Y)
    assert changed.model_[0].out_features == 3
    assert isinstance(changed.model_[2], nn.Dropout)
    assert changed.n_iter_ == 1
    assert changed.preprocess_.with_std is False


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model__hidden", r"model is 'auto'. Make it explicit, model=mm.Model\(\)"),
        ("loop__epochs", r"loop is 'auto'.*loop=mm.Loop\(\)"),
        ("optimizer__lr", r"optimizer is 'auto'.*optimizer=mm.Optimizer\(\)"),
    ],
)
def test_a_parameter_of_auto_has_no_place_yet(name, words):
    with pytest.raises(ComponentError, match=words):
        mm.Classifier().set_params(**{name: 1})
    with pytest.raises(ComponentError, match=r"model is 'mlp'.*model=mm.Model\('mlp'\)"):
        mm.Classifier("mlp").set_params(model__hidden=3)


def test_a_parameter_that_does_not_exist():
    with pytest.raises(ValueError, match="Loop has no parameter 'epoch'; it has epochs"):
        components().set_params(loop__epoch=3)
    with pytest.raises(ValueError, match="Invalid parameter 'lr'"):
        components().set_params(lr=3)


def test_estimators_print_and_show_themselves():
    assert "hidden=7" in repr(components())
    assert "<style>" in components()._repr_html_()
    assert "Plain" in repr(net(mm.Model(Plain, hidden=3)))


def test_kinds():
    assert is_classifier(mm.Classifier())
    assert is_regressor(mm.Regressor())
    assert mm.Classifier().__sklearn_tags__().classifier_tags.multi_label
    assert mm.Regressor().__sklearn_tags__().target_tags.multi_output


# --- purity --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Plain, Normed])
def test_a_network_given_is_never_changed(model):
    mine = model(4, 3)
    mine.eval()
    before = copy.deepcopy(mine.state_dict())
    estimator = net(mine)
    first = estimator.fit(X, Y).predict_proba(X)
    assert not np.array_equal(first, np.full_like(first, 1 / 3))
    assert all(torch.equal(before[name], weight) for name, weight in mine.state_dict().items())
    assert not mine.training
    assert estimator.model is mine
    assert all(weight.grad is None for weight in mine.parameters())
    assert np.array_equal(estimator.fit(X, Y).predict_proba(X), first), "refit is fresh"
    assert np.array_equal(clone(estimator).fit(X, Y).predict_proba(X), first), "so is a clone"


def test_the_data_are_not_changed():
    frame = pd.DataFrame(X, columns=list("abcd"))
    before, labels = frame.copy(), Y.copy()
    net().fit(frame, labels)
    array = X.copy()
    array.flags.writeable = labels.flags.writeable = False
    net(data=mm.Data(preprocess=None)).fit(array, labels)
    pd.testing.assert_frame_equal(frame, before)
    assert np.array_equal(labels, Y)


@pytest.mark.parametrize("model", ["auto", Normed])
def test_global_random_states_are_left_alone(model):
    torch.manual_seed(3)
    np.random.seed(3)
    outside = torch.get_rng_state(), np.random.get_state()[1].copy()
    net(model).fit(X, Y).predict(X)
    assert torch.equal(outside[0], torch.get_rng_state())
    assert np.array_equal(outside[1], np.random.get_state()[1])


def test_random_states():
    first = net(Normed).fit(X, Y)
    torch.manual_seed(99)
    np.random.seed(99)
    assert same_weights(first, net(Normed).fit(X, Y))
    assert not same_weights(first, net(Normed, random_state=1).fit(X, Y))
    drawn = net(Normed, random_state=None).fit(X, Y)
    assert not same_weights(drawn, net(Normed, random_state=None).fit(X, Y))
    assert same_weights(drawn, net(Normed, random_state=drawn.seed_).fit(X, Y))
    state = np.random.RandomState(7)
    estimator = net(Normed, random_state=state)
    one = copy.deepcopy(estimator.fit(X, Y))
    assert not same_weights(one, estimator.fit(X, Y)), "a RandomState moves on"
    assert same_weights(one, net(Normed, random_state=np.random.RandomState(7)).fit(X, Y))


@pytest.mark.parametrize("random_state", [-1, 2**32, "a"])
def test_a_random_state_that_makes_no_sense(random_state):
    with pytest.raises(ValueError, match=r"random_state|cannot be used to seed"):
        net(random_state=random_state).fit(X, Y)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"device": None}, "device None cannot be used"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"data": mm.Data(shuffle="no")}, "True or False; got 'no'"),
        ({"data": mm.Data(batch_size=True)}, "batch_size must be .*; got True"),
    ],
)
def test_values_that_are_no_choice(given, words):
    with pytest.raises(ComponentError, match=words):
        net(**given).fit(X, Y)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    net().fit(X, Y).predict(X)
    assert torch.get_num_threads() == before


# --- leaving and coming back ---------------------------------------------------------------------

AWAY = """
import sys
sys.path.insert(0, {here!r})
import joblib, numpy as np
X, cases = joblib.load({path!r})
for net, expected in cases:
    assert np.array_equal(net.predict_proba(X), expected)
    assert net.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    print(net.partial_fit(X, net.predict(X)).n_iter_)
"""


@pytest.mark.slow
def test_estimators_travel_to_another_process(tmp_path):
    fitted = [net(model).fit(X, NAMES) for model in ("auto", "mlp", Normed)]
    path = str(tmp_path / "nets.joblib")
    joblib.dump((X, [(one, one.predict_proba(X)) for one in fitted]), path)
    code = AWAY.format(here=str(HERE), path=path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n1\n1\n"


def through_pickle(thing):
    return joblib.load(io.BytesIO(pickle.dumps(thing)))


@pytest.mark.parametrize("again", [copy.deepcopy, through_pickle])
def test_copies_predict_alike_and_live_on(again):
    fitted = net(Normed).partial_fit(X, NAMES)
    other = again(fitted)
    assert np.array_equal(fitted.predict_proba(X), other.predict_proba(X))
    assert str(other.logbook_) == str(fitted.logbook_)
    assert other.history_ == fitted.history_
    before = copy.deepcopy(fitted.model_.state_dict())
    other.partial_fit(X, NAMES)
    assert all(torch.equal(before[k], v) for k, v in fitted.model_.state_dict().items())
    assert same_weights(fitted.partial_fit(X, NAMES), other), "they go on alike"


# --- going on ------------------------------------------------------------------------------------


def test_partial_fit_is_one_epoch_of_one_run():
    """With the same rows each time it is plain PyTorch with one optimizer kept."""
    data = mm.Data(batch_size=None, preprocess=None)
    estimator = net(data=data, loop="auto")
    for _ in range(4):
        estimator.partial_fit(X, Y)
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    adam = torch.optim.Adam(model.parameters(), lr=0.05)
    rows, target = torch.tensor(X).float(), torch.tensor(Y)
    index = estimator_order(X, Y)
    for _ in range(4):
        adam.zero_grad()
        nn.functional.cross_entropy(model(rows[index]), target[index]).backward()
        adam.step()
    assert torch.allclose(estimator.model_.weight, model.weight, atol=1e-6)
    assert estimator.n_iter_ == 4
    assert [row.epoch for row in estimator.history_] == [0, 1, 2, 3]


def estimator_order(X, y):
    """Rows given more than once are put into an order that does not depend on how they came."""
    from manumatic.parts.rows import count_rows

    index, _ = count_rows(X, y, None)
    return np.arange(len(y)) if index is None else index


def test_partial_fit_with_auto_keeps_learning():
    """A schedule that ends with the first call would leave the rest without effect."""
    data = mm.Data(batch_size=32)
    estimator = mm.Classifier("linear", data=data, random_state=0)
    losses = [estimator.partial_fit(X, Y).history_[-1].value for _ in range(40)]
    assert losses[-1] < 0.9 * losses[1]
    steady = mm.Optimizer("adamw", lr=5e-3, weight_decay=0.01)
    constant = mm.Classifier("linear", data=data, optimizer=steady, random_state=0)
    for _ in range(40):
        constant.partial_fit(X, Y)
    assert same_weights(estimator, constant), "no schedule, for nobody knows how long it will go on"


def test_partial_fit_learns_classes_that_come_later():
    estimator = net()
    for _ in range(30):
        for first in (0, 50, 100):
            estimator.partial_fit(
                X[first : first + 50], NAMES[first : first + 50], classes=np.unique(NAMES)
            )
    assert estimator.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert estimator.predict_proba(X).shape == (150, 3)
    with pytest.raises(DataError, match="y holds the label 'rose'"):
        estimator.partial_fit(X[:1], ["rose"])
    with pytest.raises(ValueError, match="3 features"):
        estimator.partial_fit(X[:, :3], NAMES)


def test_partial_fit_goes_on_from_fit_and_fit_starts_afresh():
    estimator = net(loop=mm.Loop(60)).fit(X, Y)
    before = estimator.history_[-1].value
    first = copy.deepcopy(estimator.model_.state_dict())
    estimator.partial_fit(X, Y)
    assert estimator.history_[-1].value < 1.2 * before
    estimator.partial_fit(X, Y).fit(X, Y)
    assert all(torch.equal(first[k], v) for k, v in estimator.model_.state_dict().items())
    estimator.partial_fit(X, Y)
    assert estimator.n_iter_ == 1, "a run of its own again"


def test_partial_fit_clips_as_the_loop_says():
    estimator = net(
        loop=mm.Loop(9, clip_norm=0.01), optimizer=mm.Optimizer("sgd", lr=1.0), data=mm.Data(None)
    )
    before = estimator.manual(X, Y).model.weight.clone()
    estimator.partial_fit(X, Y)
    assert torch.linalg.vector_norm(estimator.model_.weight - before) <= 0.0101


def test_warm_start_warms():
    estimator = net(loop=mm.Loop(30), warm_start=True).fit(X, Y)
    cold, end = estimator.history_[0].value, estimator.history_[-1].value
    estimator.fit(X, Y)
    assert estimator.history_[0].value < end * 1.05 < cold
    with pytest.raises(ValueError, match="4 features"):
        estimator.fit(X[:, :2], Y)
    assert clone(estimator).fit(X, Y).history_[0].value == pytest.approx(cold)


# --- in scikit-learn's hands ---------------------------------------------------------------------


def test_grid_search_over_every_component():
    grid = {
        "model__hidden": [4, 8],
        "optimizer__lr": [0.001, 0.1],
        "loop__epochs": [1, 30],
        "loss__label_smoothing": [0.0],
        "data__batch_size": [32],
        "data__preprocess__with_mean": [True],
    }
    search = GridSearchCV(components(), grid, cv=2, error_score="raise").fit(X, NAMES)
    assert search.best_params_["loop__epochs"] == 30
    assert search.best_params_["optimizer__lr"] == 0.1
    assert search.score(X, NAMES) > 0.9
    assert set(search.predict(X[:5])) <= set(NAMES)


def test_whole_components_can_be_searched():
    grid = {"model": ["linear", mm.Model("mlp", hidden=3), Plain], "loss": ["auto", "mse"]}
    search = GridSearchCV(net(), grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 6


def test_a_diverging_candidate_does_not_end_a_search():
    estimator = net(
        kind=mm.Regressor, data=mm.Data(preprocess=None), optimizer=mm.Optimizer("sgd")
    ).set_params(loop=mm.Loop(80))
    search = GridSearchCV(estimator, {"optimizer__lr": [0.01, 1e9]}, cv=2)
    failed = pytest.warns(FitFailedWarning, match="2 fits failed")
    with failed, pytest.warns(UserWarning, match="non-finite"):
        search.fit(X[:, :3], X[:, 3])
    assert search.best_params_ == {"optimizer__lr": 0.01}
    assert np.isnan(search.cv_results_["mean_test_score"][1])


@pytest.mark.slow
def test_cross_validation_in_processes_is_that_in_one():
    estimator = net(Plain)
    alone = cross_val_score(estimator, X, NAMES, cv=2, error_score="raise")
    paths = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), paths])
    try:
        shared = cross_val_score(estimator, X, NAMES, cv=2, n_jobs=2, error_score="raise")
    finally:
        os.environ["PYTHONPATH"] = paths
    assert np.array_equal(alone, shared)


def test_pipelines_and_column_transformers():
    frame = pd.DataFrame({"size": [50.0, 80, 110, 65] * 10, "city": ["Bonn", "Ulm"] * 20})
    price = frame["size"] * 10 + (frame["city"] == "Ulm") * 100
    columns = ColumnTransformer(
        [("number", StandardScaler(), ["size"]), ("word", OneHotEncoder(), ["city"])]
    )
    adam = mm.Optimizer("adam", lr=0.1)
    for pandas in (False, True):
        columns.set_params(word__sparse_output=not pandas)
        pipe = make_pipeline(
            columns, net(kind=mm.Regressor, optimizer=adam, loop=mm.Loop(200))
        ).set_output(transform="pandas" if pandas else "default")
        assert pipe.fit(frame, price).score(frame, price) > 0.99
        assert clone(pipe).fit(frame, price).score(frame, price) > 0.99
    assert list(pipe[-1].feature_names_in_) == ["number__size", "word__city_Bonn", "word__city_Ulm"]


def test_a_transformer_inside_the_data_component():
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": ["x", "y", "x", "y"]})
    columns = ColumnTransformer([("word", OneHotEncoder(), ["b"])], remainder="passthrough")
    estimator = net(data=mm.Data(preprocess=columns)).fit(frame, [0, 1, 0, 1])
    assert not hasattr(columns, "transformers_"), "it is cloned, not fitted"
    assert estimator.preprocess_.get_feature_names_out().tolist()[0] == "word__b_x"


def test_metadata_routing_brings_weights_to_the_net():
    import sklearn

    heavy = np.where(Y == 2, 100.0, 0.01)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = net().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), estimator)
        pipe.fit(X, Y, sample_weight=heavy)
        routed = cross_validate(
            estimator, X, Y, cv=2, params={"sample_weight": heavy}, error_score="raise"
        )
    assert (pipe.predict(X) == 2).mean() > 0.6
    assert len(routed["test_score"]) == 2


def test_ensembles_that_weight_or_draw_rows():
    bag = BaggingClassifier(net(), n_estimators=2, random_state=0).fit(X, NAMES)
    assert bag.score(X, NAMES) > 0.6
    boost = AdaBoostRegressor(net(kind=mm.Regressor), n_estimators=2, random_state=0)
    assert np.isfinite(boost.fit(X[:, :3], X[:, 3]).predict(X[:, :3])).all()


def test_names_of_columns():
    frame = pd.DataFrame(X, columns=load_iris().feature_names)
    estimator = net().fit(frame, NAMES)
    assert estimator.feature_names_in_.tolist() == load_iris().feature_names
    assert estimator.n_features_in_ == 4
    assert not hasattr(estimator.fit(X, NAMES), "feature_names_in_"), "forgotten by the next fit"
    numbered = net().fit(pd.DataFrame(X), NAMES)
    assert not hasattr(numbered, "feature_names_in_")
    assert numbered.score(pd.DataFrame(X), NAMES) > 0.5


def test_a_linear_classifier_is_logistic_regression():
    data = mm.Data(batch_size=None, preprocess=StandardScaler())
    lbfgs = mm.Optimizer("lbfgs", max_iter=300, line_search_fn="strong_wolfe")
    twins = Y[50:] == 2
    ours = net(data=data, optimizer=lbfgs, loop=mm.Loop(5)).fit(X[50:], twins)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, max_iter=5000, tol=1e-8))
    theirs.fit(X[50:], twins)
    assert np.allclose(ours.predict_proba(X[50:]), theirs.predict_proba(X[50:]), atol=5e-3)


# --- stopping ------------------------------------------------------------------------------------


class Slow(Plain):
    """Long enough an epoch to be interrupted in; says when it is at work."""

    seen = threading.Event()

    def forward(self, x):
        if self.training:
            Slow.seen.set()
            time.sleep(0.002)
        return super().forward(x)


def interrupt():
    """A real Ctrl-C, as the terminal sends it, once some steps are done."""
    Slow.seen.clear()

    def send():
        Slow.seen.wait()
        time.sleep(0.15)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()


def test_ctrl_c_keeps_what_is_finished_and_ends_the_fit():
    noisy = mm.Optimizer("sgd", lr=0.7)
    estimator = net(
        Slow, loop=mm.Loop(100_000, keep="best"), optimizer=noisy, data=mm.Data(batch_size=20)
    )
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, Y)
    assert 0 < estimator.n_iter_ < 100_000
    assert estimator.predict(X).shape == (150,)
    losses = dict(estimator.history_.curve("loss", "valid"))
    assert len(losses) >= estimator.n_iter_ - 1
    training = net(Slow, loop=mm.Loop(1, keep="best")).manual(X, Y)
    with torch.no_grad():
        now = training.loss(estimator.model_(training.valid.X), training.valid.y).item()
    assert now == pytest.approx(min(losses.values()), rel=1e-5), "the best so far, as asked for"


def test_ctrl_c_ends_a_search_and_nothing_counts_as_complete():
    search = GridSearchCV(net(Slow), {"loop__epochs": [100_000, 1]}, cv=2)
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert not hasattr(search, "cv_results_")


def test_ctrl_c_before_the_first_step_leaves_nothing_fitted():
    class Early(Plain):
        def forward(self, x):
            if self.training:
                raise KeyboardInterrupt
            return super().forward(x)

    estimator = net(Early)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "model_")


class Root(nn.Module):
    """A square root at 0: its value is finite, its gradient is not."""

    def __init__(self, in_features, out_features, after=0):
        super().__init__()
        self.layer = nn.Linear(in_features, out_features)
        self.after, self.steps = after, 0

    def forward(self, x):
        out = self.layer(x)
        if self.training:
            self.steps += 1
        if self.steps <= self.after:
            return out
        return out + (out * 0).pow(2).sqrt()


@pytest.mark.parametrize("batch_size", [None, 32])
@pytest.mark.parametrize("epochs", [1, 2, 50])
@pytest.mark.parametrize("after", [0, 7])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_gradient_that_is_not_a_number(batch_size, epochs, after, optimizer):
    if after and epochs == 1:
        epochs = 3
    estimator = net(
        mm.Model(Root, after=after),
        data=mm.Data(batch_size=batch_size),
        loop=mm.Loop(epochs),
        optimizer=optimizer,
    )
    if batch_size is None and after >= epochs:
        estimator.fit(X, Y)
        return
    with pytest.raises(DivergedError, match="the loss is nan in epoch"):
        estimator.fit(X, Y)
    assert all(weight.isfinite().all() for weight in estimator.model_.parameters())
    assert np.isfinite(estimator.predict_proba(X)).all()


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_loss_that_explodes(ema):
    estimator = net(
        kind=mm.Regressor,
        data=mm.Data(batch_size=50, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=10.0),
        loop=mm.Loop(1000, ema=ema),
    )
    with pytest.raises(DivergedError) as stop:
        estimator.fit(X[:, :3], X[:, 3])
    told = str(stop.value)
    assert f"in epoch {stop.value.epoch}, batch {stop.value.batch}" in told
    assert "learning rate (it is 10)" in told
    assert isinstance(stop.value, FloatingPointError)
    assert estimator.n_iter_ == stop.value.epoch
    assert all(weight.isfinite().all() for weight in estimator.model_.parameters())
    again = through_pickle(stop.value)
    assert (str(again), again.epoch, again.batch) == (told, stop.value.epoch, stop.value.batch)


def test_lbfgs_that_explodes():
    huge = mm.Optimizer("lbfgs", lr=1e30)
    estimator = net(kind=mm.Regressor, data=mm.Data(None, preprocess=None), optimizer=huge)
    with pytest.raises(DivergedError):
        estimator.fit(X[:, :3] * 1e6, X[:, 3])
    if hasattr(estimator, "model_"):
        assert all(weight.isfinite().all() for weight in estimator.model_.parameters())


def test_a_fit_that_is_refused_leaves_the_estimator_unfitted():
    for bad in (nn.Linear(4, 7), nn.Linear(9, 3), "nothing"):
        estimator = net(bad)
        with pytest.raises(ComponentError, match=r"Linear|nothing|the model"):
            estimator.fit(X, Y)
        with pytest.raises(ValueError, match="not fitted yet"):
            estimator.predict(X)


# --- what is told --------------------------------------------------------------------------------


def test_verbose_prints_a_line_an_epoch(capsys):
    net(verbose=1, loop=mm.Loop(2, keep="best")).fit(X, Y)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.partition(",")[0] for line in lines] == ["epoch 0", "epoch 1"]
    assert all("loss" in line and "valid" in line for line in lines)
    net().fit(X, Y)
    assert capsys.readouterr().out == ""


def test_history_and_logbook():
    fitted = mm.Classifier(random_state=0, loop=mm.Loop(3, keep="best")).fit(X, NAMES)
    assert fitted.history_.frame.columns.tolist() == ["epoch", "step", "part", "name", "value"]
    assert [epoch for epoch, _ in fitted.history_.curve("loss", "valid")] == [0, 1, 2]
    assert {entry.part for entry in fitted.logbook_} >= {"data", "model", "loss", "optimizer"}
    assert all(math.isfinite(row.value) for row in fitted.history_)
    stream = io.StringIO()
    fitted.history_.frame.to_csv(stream)


@pytest.mark.parametrize(
    ("n_rows", "told"),
    [
        (50, "16 members of 32 units in one net"),
        (499, "16 members of 32 units in one net"),
        (500, "8 members of 64 units in one net"),
        (1999, "8 members of 64 units in one net"),
        (2000, "8 members of 96 units in one net"),
        (7999, "8 members of 96 units in one net"),
        (8000, "8 members of 128 units share one net"),
    ],
)
def test_the_more_rows_the_wider_the_net(n_rows, told):
    rows = np.random.default_rng(0).normal(size=(n_rows, 3))
    training = mm.Regressor(random_state=0).manual(rows, rows[:, 0])
    said = str(training.facts.logbook)
    assert told in said
    assert ("no row is held out" in said) == (n_rows < 8000)
    assert ("ema=0.97" in said) == (n_rows >= 500)
    assert f"{training.model.head.weight.shape[1]} units" in told


def test_few_rows_all_train():
    rows = np.resize(X[:, :3], (499, 3)) + np.arange(499)[:, None] / 499
    few = mm.Regressor(random_state=0).fit(rows, rows[:, 0])
    assert len(few.history_.curve("loss", "valid")) == few.n_iter_ <= 50
    assert "at most 50 epochs, the best weights kept; no row is held out" in str(few.logbook_)
    own = mm.Data(validation=(X[:, :3], X[:, 0]))
    net = mm.Regressor(random_state=0, data=own, loop=mm.Loop(1, keep="best")).fit(rows, rows[:, 0])
    assert net.history_.curve("loss", "valid"), "rows of one's own are looked at"
    wide = mm.Regressor(mm.Model("table", hidden=70), random_state=0).fit(X[:, :3], X[:, 3])
    assert "16 members of 70 units" in str(wide.logbook_)


def test_many_columns_make_a_narrower_net():
    rows = np.random.default_rng(0).normal(size=(1000, 200))
    training = mm.Regressor(random_state=0).manual(rows, rows[:, 0])
    assert "8 members of 40 units in one net" in str(training.facts.logbook)  # 1,600 readings


def test_many_rows_keep_an_average_and_lose_their_dropout():
    rows = np.resize(X[:, :3], (560, 3)) + np.arange(560)[:, None] / 560

    def loop(**changes):
        return mm.Regressor(random_state=0, **changes).manual(rows, rows[:, 0]).loop

    training = mm.Regressor(random_state=0).manual(rows, rows[:, 0])
    assert (training.loop.ema, training.model.rates) == (0.97, (0.15, 0.0))
    said = str(training.facts.logbook)
    assert "ema=0.97" in said
    assert "the dropout from 0.15 to 0" in said
    assert loop(optimizer=mm.Optimizer("auto", lr=0.1)).ema == 0.97
    for other in ("lbfgs", "adam", torch.optim.Adam):  # the average belongs to the recipe
        assert loop(optimizer=other).ema is None
    assert loop(loop=mm.Loop(3)).ema is None
    few = mm.Regressor(random_state=0).manual(rows[:400], rows[:400, 0])
    assert (few.loop.ema, few.model.rates) == (None, (0.15, 0.15))


def test_frames_from_scikit_learn_change_nothing():
    frame = pd.DataFrame({"a": X[:, 0], "kind": NAMES, "day": pd.date_range("2020", periods=150)})
    plain = mm.Regressor(random_state=0, loop=mm.Loop(2)).fit(frame, X[:, 3])
    with sklearn.config_context(transform_output="pandas"):
        framed = mm.Regressor(random_state=0, loop=mm.Loop(2)).fit(frame, X[:, 3])
        predicted = framed.predict(frame)
    assert np.array_equal(predicted, plain.predict(frame))


def test_auto_is_better_than_the_mean():
    assert mm.Classifier(random_state=0).fit(X, NAMES).score(X, NAMES) > 0.95
    assert mm.Regressor(random_state=0).fit(X[:, :3], X[:, 3]).score(X[:, :3], X[:, 3]) > 0.9


def test_one_row_and_many_predict_alike():
    fitted = net(functools.partial(Normed, hidden=5), kind=mm.Regressor).fit(X[:, :3], X[:, 3])
    whole = fitted.predict(X[:, :3])
    alone = np.concatenate([fitted.predict(X[row : row + 1, :3]) for row in range(150)])
    assert np.allclose(whole, alone, atol=1e-5)
