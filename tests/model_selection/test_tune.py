"""``mm.tune``: real small searches, alone, together, interrupted and gone on with."""

import itertools
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import manumatic as mm
from manumatic.gears import table as decided
from manumatic.model_selection import studies
from manumatic.model_selection.identity import data_key, told
from manumatic.model_selection.spaces import automatic_space, components
from manumatic.nets.crossed import CrossedNet
from manumatic.show.trials import trials_chart

optuna = pytest.importorskip("optuna")

LR = {"optimizer__lr": (1e-3, 0.3, "log")}


def table(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3))
    return X, (X[:, 0] + 0.5 * X[:, 1] + 0.3 * rng.normal(size=rows) > 0).astype(int)


def small(epochs=4, **more):
    parts = {"optimizer": mm.Optimizer("adam"), "data": mm.Data(batch_size=32)}
    return mm.Classifier("linear", **{**parts, "loop": mm.Loop(epochs), "random_state": 0, **more})


def same_weights(net, other):
    pairs = zip(net.model_.state_dict().values(), other.model_.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# --- what comes out ------------------------------------------------------------------------------


def test_the_best_is_the_fit_by_hand_with_the_same_parameters():
    X, y = table()
    net = small()
    before = repr(net)
    space = {**LR, "data__batch_size": [16, 32], "optimizer__weight_decay": (0.0, 0.1)}
    found = mm.tune(net, X, y, trials=6, space=space)
    assert set(found.params) == set(space)
    by_hand = clone(net).set_params(**found.params).fit(X, y)
    assert same_weights(found.best, by_hand)
    assert repr(net) == before
    assert not hasattr(net, "model_")
    assert found.score == found.frame.score.min()


def test_the_score_is_the_log_loss_on_the_rows_held_out():
    """The split and the training by hand, scikit-learn's log-loss as the judge."""
    X, y = table()
    found = mm.tune(small(), X, y, trials=1, space=LR)
    train, valid = train_test_split(np.arange(len(y)), test_size=24, random_state=0, stratify=y)
    by_hand = small().fit(X[train], y[train])
    assert found.params == {}
    assert found.score == pytest.approx(log_loss(y[valid], by_hand.predict_proba(X[valid])), 1e-5)


def test_weights_count_in_the_score_and_in_the_fit():
    X, y = table()
    weight = np.random.default_rng(1).uniform(0.2, 3, len(y))
    found = mm.tune(small(), X, y, trials=1, space=LR, sample_weight=weight)
    train, valid = train_test_split(np.arange(len(y)), test_size=24, random_state=0, stratify=y)
    by_hand = small().fit(X[train], y[train], sample_weight=weight[train])
    p = by_hand.predict_proba(X[valid])
    expected = log_loss(y[valid], p, sample_weight=weight[valid])
    assert found.score == pytest.approx(expected, 1e-5)
    assert same_weights(found.best, small().fit(X, y, sample_weight=weight))


def test_a_scorer_judges_and_more_is_better():
    X, y = table()
    found = mm.tune(small(), X, y, trials=4, space=LR, scoring="accuracy")
    train, valid = train_test_split(np.arange(len(y)), test_size=24, random_state=0, stratify=y)
    frame = found.frame
    assert frame.score[0] == small().fit(X[train], y[train]).score(X[valid], y[valid])
    assert found.score == frame.score.max()
    assert "accuracy" in found.sentence
    assert (frame["last"] > 0).all()  # losses, though a study that grows holds them negated


def test_rows_of_ones_own_are_the_ones_held_out():
    X, y = table()
    own = (X[90:], y[90:])
    net = small(data=mm.Data(batch_size=32, validation=own))
    found = mm.tune(net, X[:90], y[:90], trials=1, space=LR)
    by_hand = small().fit(X[:90], y[:90])
    assert found.score == pytest.approx(log_loss(y[90:], by_hand.predict_proba(X[90:])), 1e-5)


def test_folds_are_the_mean_of_each_alone():
    X, y = table()
    cv = KFold(3, shuffle=True, random_state=1)
    found = mm.tune(small(), X, y, trials=1, space=LR, cv=cv)
    alone = [
        log_loss(y[valid], small().fit(X[train], y[train]).predict_proba(X[valid]))
        for train, valid in cv.split(X)
    ]
    assert found.score == pytest.approx(np.mean(alone), 1e-5)


def test_a_regressor_and_an_autoencoder():
    X, _ = table()
    net = mm.Regressor("linear", loop=mm.Loop(3), random_state=0)
    assert mm.tune(net, X, X[:, 0] * 100, trials=2, space="auto").score < 2  # standardised
    squeeze = mm.Autoencoder(loop=mm.Loop(3), random_state=0)
    found = mm.tune(squeeze, X, trials=2, space={"optimizer__lr": (1e-3, 0.1, "log")})
    assert found.best.transform(X).shape[0] == len(X)


def test_the_table_net_is_scored_by_rows_that_stopped_nothing(monkeypatch):
    """It trains as in a fit, members judging on the way, and the split comes on top."""
    monkeypatch.setattr(decided, "STEPS", 36)
    X, y = table()
    net = mm.Classifier(random_state=0, loss=mm.Loss(calibrate=False))
    found = mm.tune(net, X, y, trials=1)
    train, valid = train_test_split(np.arange(len(y)), test_size=24, random_state=0, stratify=y)
    by_hand = clone(net).fit(X[train], y[train])
    assert isinstance(by_hand.model_, CrossedNet)
    expected = log_loss(y[valid], by_hand.predict_proba(X[valid]))
    assert found.score == pytest.approx(expected, 1e-5)
    assert isinstance(found.best.model_, CrossedNet)
    training = net.manual(X, y)
    assert automatic_space(training)["model__bins"] == (2, 128, "log")
    made = components(net, training)["model"].set_params(hidden=20)
    assert isinstance(clone(net).set_params(model=made).manual(X, y).model, CrossedNet)


def test_a_draw_makes_automatic_components_explicit_as_they_were():
    """What is not drawn stays what automatic chose."""
    X, y = table(60)
    net = mm.Classifier(loop=mm.Loop(5), random_state=0)
    space = {"optimizer__lr": [2e-2], "loop__epochs": [6], "model__dropout": [0.0, 0.05]}
    found = mm.tune(net, X, y, space=space, scoring=least_dropout)
    assert len(found.frame) >= 3
    assert found.params == {"optimizer__lr": 2e-2, "loop__epochs": 6, "model__dropout": 0.0}
    made = mm.Classifier(
        mm.Model("table", dropout=0.0),
        optimizer=mm.Optimizer("auto", lr=2e-2),
        loop=mm.Loop(6),
        random_state=0,
    )
    assert same_weights(found.best, made.fit(X, y))
    net = mm.Classifier(random_state=0)
    training = net.manual(X, y)
    assert components(net, training)["loop"] is training.loop


def least_dropout(net, X, y):
    """A judge who wants the draw with the least dropout to win, not the net as it is."""
    drawn = isinstance(net.model, mm.Model)
    return 1.0 - net.model.arguments["dropout"] if drawn else 0.0


def test_frame_picture_facts_and_words():
    X, y = table()
    heard = []
    choices = [mm.Model("linear"), mm.Model("mlp", hidden=4)]
    found = mm.tune(small(), X, y, trials=5, space={**LR, "model": choices}, on_trial=heard.append)
    frame = found.frame
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.number) == [*range(5)] == [row.number for row in heard]
    assert frame["model"][1].startswith("Model(")
    assert isinstance(found.params.get("model", choices[0]), mm.Model)
    facts = json.loads(json.dumps(found.facts(), allow_nan=False))
    assert [row["number"] for row in facts["trials"]] == [*range(5)]
    assert "5 trials: " in str(found)
    assert found.svg().count("<circle") == 5
    assert "best so far" in found._repr_html_()
    assert trials_chart([(0, float("nan"), "complete")], value="loss", less=True) == ""


# --- drawing -------------------------------------------------------------------------------------


def test_one_process_draws_the_same_again_and_another_seed_something_else():
    X, y = table()
    frames = [
        mm.tune(small(), X, y, trials=13, space=LR, random_state=seed).frame for seed in (3, 3, 4)
    ]
    columns = ["state", "score", "epochs", "optimizer__lr"]
    pd.testing.assert_frame_equal(frames[0][columns], frames[1][columns])
    assert not frames[0].optimizer__lr.equals(frames[2].optimizer__lr)


def test_going_on_draws_what_not_stopping_would_have_drawn(tmp_path):
    X, y = table()
    whole = mm.tune(small(), X, y, trials=8, space=LR).frame
    for trials in (3, 8):
        found = mm.tune(small(), X, y, trials=trials, space=LR, storage=tmp_path / "s.log")
        assert len(found.frame) == trials
    columns = ["state", "score", "optimizer__lr"]
    pd.testing.assert_frame_equal(found.frame[columns], whole[columns])


def test_a_function_draws():
    X, y = table()

    def space(trial):
        deep = trial.suggest_int("deep", 1, 2)
        return {"model": mm.Model("mlp", hidden=[4] * deep), **{"loop__epochs": 2}}

    found = mm.tune(small(), X, y, trials=3, space=space, time=30)
    assert "deep" in found.frame
    assert found.params == {} or len(found.params["model"].arguments["hidden"]) in (1, 2)


def test_it_ends_when_nothing_new_is_drawn():
    X, y = table()
    found = mm.tune(small(epochs=1), X, y, space={"data__batch_size": [16, 64]}, time=60)
    assert found.seconds < 30
    done = found.frame[found.frame.state == "complete"]
    assert len(done) == 3
    assert sorted(done.data__batch_size.dropna()) == [16, 64]


def test_the_automatic_space_goes_by_the_net():
    X, y = table(600)
    table_net = automatic_space(mm.Classifier("table", random_state=0).manual(X, y))
    assert "data__batch_size" in table_net
    assert any(name.startswith("model__") for name in table_net)
    assert table_net["optimizer__lr"] == (0.02, 0.3, "log")  # of the recipe as a whole
    mlp = automatic_space(mm.Classifier("mlp", random_state=0).manual(X, y))
    assert (256, 256) in mlp["model__hidden"]
    assert mlp["model__dropout"] == (0.0, 0.5)
    assert mlp["data__batch_size"] == [32, 64, 128]
    sgd = mm.Optimizer("sgd", lr=0.5)
    own = automatic_space(
        mm.Classifier(torch.nn.Linear(3, 2), optimizer=sgd, random_state=0).manual(X, y)
    )
    assert own["optimizer__lr"] == (0.05, 5.0, "log")
    assert own["optimizer__weight_decay"] == (1e-6, 1e-3, "log")
    assert not any(name.startswith("model") for name in own)
    grouped = mm.Optimizer("adam", groups=[("bias", {"lr": 0.1})])  # rates of their own
    net = mm.Classifier("linear", optimizer=grouped, random_state=0)
    assert set(automatic_space(net.manual(X, y))) == {"data__batch_size"}


def test_the_recipe_spreads_a_rate_that_was_drawn():
    X, y = table(300)
    net = mm.Classifier("table", loop=mm.Loop(2), random_state=0)
    found = mm.tune(net, X, y, trials=3, space={"optimizer__lr": [0.08], "model__depth": [1, 3]})
    assert set(found.frame["state"]) <= {"complete", "repeat"}  # groups of another depth, too
    own, drawn = (
        [
            group["lr"]
            for group in net.set_params(optimizer=asked).manual(X, y).optimizer.param_groups
        ]
        for asked in ("auto", mm.Optimizer("auto", lr=0.08))
    )
    np.testing.assert_allclose(drawn, 2 * np.array(own))


# --- stopping ------------------------------------------------------------------------------------


def test_a_trial_that_lags_is_stopped_early(tmp_path):
    """Six good rates in a study, then one that learns nothing: put in the queue by Optuna."""
    X, y = table()
    place = tmp_path / "s.log"
    given = {"space": {"optimizer__lr": (1e-9, 0.1)}, "storage": place}
    assert (mm.tune(small(40), X, y, trials=6, **given).frame.state == "complete").sum() >= 5
    study = optuna.load_study(study_name="tune", storage=studies.open_storage(place))
    study.enqueue_trial({"optimizer__lr": 1e-9})
    frame = mm.tune(small(40), X, y, trials=7, **given).frame
    assert frame.optimizer__lr[6] == 1e-9
    assert frame.state[6] == "pruned"
    assert frame.epochs[6] == 10  # a quarter of the run is waited for
    assert np.isnan(frame.score[6])
    assert frame["last"][6] > frame.score.min()


def test_what_diverges_has_no_score_and_says_why():
    X, y = table()
    net = mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None, target=None),
        optimizer=mm.Optimizer("sgd", lr=0.01),
        loop=mm.Loop(100),
        random_state=0,
    )
    found = mm.tune(net, X, y, trials=4, space={"optimizer__lr": [0.02, 1e4]}, time=30)
    frame = found.frame
    wild = frame[frame.optimizer__lr == 1e4]
    assert set(wild.state) <= {"diverged", "repeat"}
    assert wild.score.isna().all()
    assert " is inf" in wild.why.iloc[0]
    assert found.params != {"optimizer__lr": 1e4}
    with pytest.raises(
        mm.DivergedError, match=r"all of 2 trials diverged; the first: the .*loss is"
    ):
        mm.tune(net.set_params(optimizer__lr=1e4), X, y, trials=2, space={"optimizer__lr": [1e5]})


def test_a_trial_that_outlives_the_time_is_stopped_at_its_next_step(tmp_path):
    X, y = table()
    place = tmp_path / "s.log"
    mm.tune(small(2), X, y, trials=1, space=LR, storage=place)
    long = {"loop__epochs": [10**6], **LR}
    began = time.monotonic()
    found = mm.tune(small(2), X, y, time=1.0, space=long, storage=place, name="long")
    assert time.monotonic() - began < 5
    assert list(found.frame.state) == ["complete", "unfinished"]
    assert found.frame.epochs[1] > 3
    assert np.isnan(found.frame.score[1])
    found = mm.tune(small(2), X, y, time=0.5, space=long, storage=place, name="long")
    assert list(found.frame.state) == ["complete", "unfinished", "unfinished"]  # tried again
    assert found.frame.optimizer__lr[2] == found.frame.optimizer__lr[1]


def test_nothing_done_in_time_is_an_error():
    X, y = table()
    with pytest.raises(mm.ComponentError, match=r"none of 1 trials was done .* give a longer time"):
        mm.tune(small(10**6), X, y, time=0.3, space=LR)


class Interrupting:
    """A listener that presses Ctrl-C after so many trials."""

    def __init__(self, after):
        self.left = after

    def __call__(self, trial):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_what_is_finished():
    X, y = table()
    found = mm.tune(small(), X, y, trials=50, space=LR, on_trial=Interrupting(3))
    assert found.interrupted
    assert found.sentence.startswith("Interrupted. 3 trials: ")
    assert found.best.score(X, y) > 0.5


# --- a journal -----------------------------------------------------------------------------------


def test_a_study_of_something_else_is_refused(tmp_path):
    X, y = table()
    place = tmp_path / "s.log"
    mm.tune(small(), X, y, trials=1, space=LR, storage=place)
    cases = [
        ({"X": X + 1}, "other rows, targets or weights"),
        ({"net": small(5)}, r"another net \(loop__epochs was 4, is 5\)"),
        ({"space": {"optimizer__lr": (1e-3, 0.4, "log")}}, "another space"),
        ({"scoring": "accuracy"}, "another scoring"),
        ({"cv": 3}, "another cv"),
        ({"random_state": 7}, "another random_state"),
    ]
    for change, words in cases:
        given = {"net": small(), "X": X, "y": y, "trials": 1, "space": LR} | change
        with pytest.raises(mm.ComponentError, match=f"'tune' in this storage was made for {words}"):
            mm.tune(**given, storage=place)
    assert len(mm.tune(small(), X, y, trials=1, space=LR, storage=place).frame) == 1
    place.write_text('a,b\n1,2\n3,"4"\n')
    with pytest.raises(mm.ComponentError, match="is no journal of Optuna"):
        mm.tune(small(), X, y, trials=1, space=LR, storage=place)


def test_without_a_seed_a_study_goes_on_with_its_own(tmp_path):
    X, y = table()
    net = small(random_state=None)
    runs = [
        mm.tune(net, X, y, trials=trials, space=LR, storage=tmp_path / "s.log") for trials in (2, 4)
    ]
    assert runs[1].frame.score[:2].equals(runs[0].frame.score)


def test_half_a_line_at_the_end_is_cut_off(tmp_path):
    X, y = table()
    place = tmp_path / "s.log"
    mm.tune(small(), X, y, trials=2, space=LR, storage=place)
    with place.open("a") as file:
        file.write('{"op_code":4,"wor')
    assert len(mm.tune(small(), X, y, trials=3, space=LR, storage=place).frame) == 3


def test_the_dead_are_told_by_their_lease(tmp_path):
    """A trial of a process that is gone, and one whose host gives no sign of life."""
    place = studies.open_storage(tmp_path / "s.log")
    study = optuna.create_study(storage=place)
    gone, silent, new = (study.ask() for _ in range(3))
    gone.suggest_float("x", 0, 1)
    gone.set_user_attr("alive", {**studies.alive(), "pid": 2**22 + 1})
    silent.set_user_attr(
        "alive", {**studies.alive(), "host": "elsewhere", "until": time.time() - 1}
    )
    new.set_user_attr("alive", {**studies.alive(), "host": "elsewhere", "pid": 2**22 + 1})
    with studies.quiet():
        studies.take_over(study)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL", "RUNNING", "WAITING"]
    assert study.ask().suggest_float("x", 0, 1) == gone.params["x"]


SCRIPT = """
import os, pathlib, sys, time
import numpy as np
import manumatic as mm
rng = np.random.default_rng(0)
X = rng.normal(size=(120, 3))
y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)
net = mm.Classifier("linear", optimizer=mm.Optimizer("adam"), data=mm.Data(batch_size=8),
                    loop=mm.Loop(int(sys.argv[3])), random_state=0)
if __name__ == "__main__":
    pathlib.Path(f"ready-{os.getpid()}").touch()
    while len(list(pathlib.Path().glob("ready-*"))) < int(sys.argv[4]):
        time.sleep(0.01)
    found = mm.tune(net, X, y, trials=int(sys.argv[2]), time=250, storage=sys.argv[1],
                    space={"optimizer__lr": (1e-3, 0.3, "log")},
                    on_trial=lambda trial: print("trial", trial.number, flush=True))
    print("score", found.score)
"""


def start(folder, trials, epochs, together=1):
    """A process; it waits until so many are ready."""
    (folder / "work.py").write_text(SCRIPT)
    command = [sys.executable, "work.py", "s.log", str(trials), str(epochs), str(together)]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_two_processes_share_a_study_and_lose_no_trial(tmp_path):
    first, second = start(tmp_path, 24, 30, 2), start(tmp_path, 24, 30, 2)
    said = [process.communicate(timeout=300) for process in (first, second)]
    assert first.returncode == second.returncode == 0, said
    numbers = [
        [int(line.split()[1]) for line in out.splitlines() if line.startswith("trial")]
        for out, _ in said
    ]
    assert all(len(own) >= 3 for own in numbers), numbers
    assert sorted(itertools.chain(*numbers)) == [*range(24)]
    study = optuna.load_study(study_name="tune", storage=studies.open_storage(tmp_path / "s.log"))
    assert {trial.state.name for trial in study.trials} <= {"COMPLETE", "PRUNED"}
    drawn = [trial.params["optimizer__lr"] for trial in study.trials if trial.params]
    assert len(set(drawn)) == len(drawn) == 23  # they draw apart


@pytest.mark.slow
def test_a_kill_loses_one_training_and_its_draw_is_tried_again(tmp_path):
    process = start(tmp_path, 1000, 300)
    while "trial 2" not in process.stdout.readline():
        assert process.poll() is None, process.communicate()
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    study = optuna.load_study(study_name="tune", storage=studies.open_storage(tmp_path / "s.log"))
    before = study.trials
    states = [trial.state.name for trial in before]
    assert states[:3] == ["COMPLETE"] * 3
    assert states[-1] == "RUNNING"
    process = start(tmp_path, len(before) + 1, 300)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    after = study.trials
    assert [trial.value for trial in after[:3]] == [trial.value for trial in before[:3]]
    assert after[len(before) - 1].state.name == "FAIL"
    if before[-1].params:
        assert after[len(before)].params == before[-1].params
    assert f"trial {len(before)}" in out


# --- the door ------------------------------------------------------------------------------------


def test_what_cannot_be_tuned_is_one_sentence():
    X, y = table()
    pipe = make_pipeline(StandardScaler(), small())
    rows = torch.utils.data.TensorDataset(torch.zeros(9, 3), torch.zeros(9))
    cases = [
        ({"net": pipe}, "tune takes a manumatic .* got Pipeline"),
        ({"time": -1}, "time must be seconds, more than 0, or None; got -1"),
        ({"trials": 1.5}, "trials must be a whole number, 1 or more, or None; got 1.5"),
        ({"time": None, "trials": None}, "tune needs an end"),
        ({"space": {}}, "space must be"),
        ({"space": {"optimizer__lr": (1, 0)}}, "must go from low to high; got"),
        ({"space": {"optimizer__lr": (0, 1, "log")}}, "from low to high above 0; got"),
        ({"space": {"optimizer__lr": 0.1}}, "must be .* or a list of values; got 0.1"),
        ({"space": {"loss__label_smoothing": [0.1]}}, "say what to compare"),
        ({"scoring": "exactness"}, "scoring='exactness' is no scorer"),
    ]
    for change, words in cases:
        given = {"net": small(), "X": X, "y": y, "trials": 2, "space": LR} | change
        with pytest.raises(mm.ComponentError, match=words):
            mm.tune(**given)
    with pytest.raises(mm.DataError, match="which it cannot of a TensorDataset"):
        mm.tune(small(), rows, None, trials=1, space=LR)


def test_what_changes_the_loss_may_be_drawn_where_a_scorer_judges():
    X, y = table()
    scorer = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    space = {"loss__label_smoothing": [0.0, 0.2]}
    found = mm.tune(small(), X, y, trials=3, space=space, scoring=scorer)
    assert (found.frame.score.dropna() < 0).all()


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(mm.MissingExtra, match=r'optuna: pip install "manumatic\[tune\]"'):
        mm.tune(small(), *table())


def test_keys_and_words_depend_on_values_alone():
    X, y = table()
    frame = pd.DataFrame({"a": X[:, 0], "b": ["x", "y", None, "z"] * 30})
    assert data_key(X, y) == data_key(X.copy(), list(y))
    assert data_key(frame, y) == data_key(frame.copy(), y)
    assert data_key(frame, y) != data_key(frame.rename(columns={"a": "c"}), y)
    assert data_key(frame, y) != data_key(frame.assign(b="x"), y)
    assert told(small()) == told(small(random_state=5, verbose=2))
    assert told(small()) != told(small(3))
    layer = torch.nn.Linear(2, 1)
    assert told(layer) == told(layer) != told(torch.nn.Linear(2, 1))
    assert "0x" not in str(told(mm.Classifier(lambda in_features: layer)))
