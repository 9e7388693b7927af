"""Deep ensembles: each member as if alone, their mean better, and scikit-learn's manners."""

import pickle
import signal
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from nets import XR, YR, X, Y, classifier, regressor
from sklearn import model_selection
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import nn
from torch.utils.data import TensorDataset

import manumatic as mm
from manumatic.errors import ComponentError, DivergedError
from manumatic.model_selection.ensemble import Ensemble

EARLY = {"data": mm.Data(batch_size=16), "loop": mm.Loop(30, patience=2)}  # holds out rows


def alone(ensemble, *rows):
    """The members' nets, each fitted by itself."""
    return [clone(member).fit(*rows) for member in ensemble.estimators_]


def assert_same_weights(ones, others, **tolerance):
    for one, other in zip(ones, others, strict=True):
        assert one.n_iter_ == other.n_iter_
        weights = zip(one.model_.parameters(), other.model_.parameters(), strict=True)
        for mine, theirs in weights:
            torch.testing.assert_close(mine, theirs, **tolerance)


def trained_alone(ensemble):
    """The reasons for it in its logbook."""
    return [row.why for row in ensemble.logbook_ if row.did == "trained alone"]


# --- each member -------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, EARLY], ids=["all rows", "early stopping"])
@pytest.mark.parametrize(("net", "rows"), [(classifier, (X, Y)), (regressor, (XR, YR))])
def test_each_member_is_the_net_fitted_alone_with_that_seed(net, rows, given):
    ensemble = Ensemble(net(**given), 4, random_state=0).fit(*rows)
    assert not trained_alone(ensemble)
    assert_same_weights(ensemble.estimators_, alone(ensemble, *rows), rtol=1e-4, atol=1e-5)
    assert [member.random_state for member in ensemble.estimators_] == ensemble.seeds_
    weights = [next(member.model_.parameters()) for member in ensemble.estimators_]
    assert not any(torch.allclose(weights[0], other) for other in weights[1:])


class Double(nn.Sequential):
    """Computes in float64."""

    def __init__(self, in_features: int, out_features: int) -> None:
        layers = nn.Linear(in_features, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, out_features)
        super().__init__(*layers)
        self.double()

    def forward(self, rows):
        return super().forward(rows.double())


def test_in_float64_the_members_are_those_alone_to_ten_digits():
    ensemble = Ensemble(classifier(model=Double), 6, random_state=0).fit(X, Y)
    assert not trained_alone(ensemble)
    assert_same_weights(ensemble.estimators_, alone(ensemble, X, Y), rtol=0, atol=1e-10)


def test_a_larger_ensemble_begins_with_the_same_members():
    small, large, again, other = (
        Ensemble(classifier(), members, random_state=seed).fit(X, Y)
        for members, seed in ((2, 7), (5, 7), (5, np.random.RandomState(7)), (5, 8))
    )
    assert large.seeds_[:2] == small.seeds_
    np.testing.assert_array_equal(large.predict_proba(X), again.predict_proba(X))
    assert not set(other.seeds_) & set(large.seeds_)
    assert trained_alone(small) == ["a stack pays from 4 trainings on; 2 are built like it"]


def test_weights_of_rows_count():
    weight = np.linspace(0.1, 3, len(Y))
    ensemble = Ensemble(classifier(), 4, random_state=0).fit(X, Y, sample_weight=weight)
    assert_same_weights(ensemble.estimators_, alone(ensemble, X, Y, weight), rtol=1e-4, atol=1e-5)


def test_a_model_given_as_an_instance_is_noted():
    model = nn.Linear(4, 3)
    ensemble = Ensemble(classifier(model=model), 4, random_state=0).fit(X, Y)
    assert "all members start from the same weights" in ensemble.logbook_.frame["did"].to_list()
    fresh = Ensemble(classifier(), 4, random_state=0).fit(X, Y)
    assert "same weights" not in str(fresh.logbook_)


# --- preparing rows ----------------------------------------------------------------------------


class Counted(StandardScaler):
    """Notes each time it is fitted, and each time it is used."""

    fitted = used = 0

    def fit(self, X, y=None, sample_weight=None):
        Counted.fitted += 1
        return super().fit(X, y, sample_weight)

    def transform(self, X, copy=None):
        Counted.used += 1
        return super().transform(X, copy)


def test_the_preprocessing_is_fitted_once_where_no_rows_are_held_out():
    for given, fits in (({"validation": None}, 1), ({"validation": 0.2}, 4)):
        Counted.fitted = 0
        data = mm.Data(batch_size=16, preprocess=Counted(), **given)
        ensemble = Ensemble(classifier(data=data, loop=EARLY["loop"]), 4, random_state=0).fit(X, Y)
        assert Counted.fitted == fits
        Counted.used = 0
        assert ensemble.score(X, Y) > 0.5
        assert Counted.used == fits


def test_preprocessing_that_draws_numbers_is_that_of_the_seed():
    generator = np.random.default_rng(0)
    towns = np.arange(400) % 130
    frame = pd.DataFrame({"town": [f"town {t}" for t in towns], "size": generator.random(400)})
    y = towns % 7 + 3 * frame["size"]
    ensemble = Ensemble(regressor(), 4, random_state=0).fit(frame, y)
    assert "cross-fitted" in str(ensemble.logbook_)
    assert_same_weights(ensemble.estimators_, alone(ensemble, frame, y), rtol=1e-4, atol=1e-5)
    few = frame.assign(town=frame["town"].str[:6])  # nothing is drawn for these
    ensemble.fit(few, y)
    assert len({id(member.preprocess_) for member in ensemble.estimators_}) == 1
    assert_same_weights(ensemble.estimators_, alone(ensemble, few, y), rtol=1e-4, atol=1e-5)


# --- all of them -------------------------------------------------------------------------------


def test_a_classifier_averages_probabilities():
    names = np.array(["a", "b", "c"])[Y]
    ensemble = Ensemble(classifier(), 4, random_state=0).fit(X, names)
    mean = sum(member.predict_proba(X).astype(float) for member in ensemble.estimators_) / 4
    np.testing.assert_allclose(ensemble.predict_proba(X), mean, rtol=1e-6)
    np.testing.assert_allclose(ensemble.predict_log_proba(X), np.log(mean), atol=1e-6)
    np.testing.assert_array_equal(ensemble.predict(X), ensemble.classes_[mean.argmax(axis=1)])
    assert ensemble.classes_.tolist() == ["a", "b", "c"]
    assert ensemble.score(X, names) == np.mean(ensemble.predict(X) == names)
    with pytest.raises(ComponentError, match="return_std=True is for numbers"):
        ensemble.predict(X, return_std=True)


def test_a_multilabel_classifier_halves_the_mean():
    labels = np.stack([Y > 0, Y > 1], axis=1).astype(int)
    ensemble = Ensemble(classifier(), 4, random_state=0).fit(X, labels)
    np.testing.assert_array_equal(ensemble.predict(X), ensemble.predict_proba(X) > 0.5)


@pytest.mark.parametrize("y", [YR, np.stack([YR, -3 * YR], axis=1)], ids=["one", "two"])
def test_a_regressor_averages_predictions_and_tells_how_far_they_are_apart(y):
    ensemble = Ensemble(regressor(), 4, random_state=0).fit(XR, y)
    found = np.array([member.predict(XR) for member in ensemble.estimators_])
    mean, std = ensemble.predict(XR, return_std=True)
    np.testing.assert_allclose(mean, found.mean(axis=0))
    np.testing.assert_allclose(std, np.sqrt(((found - found.mean(axis=0)) ** 2).mean(axis=0)))
    np.testing.assert_array_equal(ensemble.predict(XR), mean)
    assert mean.shape == std.shape == y.shape


def test_members_disagree_where_there_were_no_rows_and_not_where_y_is_noisy():
    generator = np.random.default_rng(0)
    rows = generator.uniform(-1, 1, (400, 1))
    y = rows[:, 0] + generator.normal(0, 0.5, 400)
    net = regressor(optimizer=mm.Optimizer("adam", lr=0.02), loop=mm.Loop(20))
    ensemble = Ensemble(net, 8, random_state=0).fit(rows, y)
    _, inside = ensemble.predict(np.linspace(-0.9, 0.9, 20)[:, None], return_std=True)
    _, outside = ensemble.predict(np.array([[-6.0], [6.0]]), return_std=True)
    assert outside.min() > 3 * inside.max()
    assert inside.max() < 0.25  # half the noise


@pytest.mark.parametrize("seed", range(4))
def test_the_ensemble_beats_its_members(seed):
    """The log loss is convex: it cannot be above the mean of the members; here it is well below."""
    rows, y = make_moons(600, noise=0.3, random_state=seed)
    net = classifier(
        model=mm.Model("mlp", hidden=32),
        data=mm.Data(batch_size=32, validation=None),
        optimizer=mm.Optimizer("adam", lr=0.02),
        loop=mm.Loop(60),
    )
    ensemble = Ensemble(net, 8, random_state=seed).fit(rows[:100], y[:100])
    losses = [log_loss(y[100:], m.predict_proba(rows[100:])) for m in ensemble.estimators_]
    loss = log_loss(y[100:], ensemble.predict_proba(rows[100:]))
    assert loss < 0.98 * np.mean(losses)
    assert loss < np.median(losses)


def test_scores_by_seed():
    ensemble = Ensemble(regressor(), 4, random_state=0).fit(XR[:40], YR[:40])
    scores = ensemble.scores(XR[40:], YR[40:])
    assert scores.index.to_list() == ensemble.seeds_
    for (_, score), member in zip(scores.items(), alone(ensemble, XR[:40], YR[:40]), strict=True):
        assert score == pytest.approx(member.score(XR[40:], YR[40:]), abs=1e-4)
    weight = np.arange(20) < 10
    assert ensemble.scores(XR[40:], YR[40:], weight).to_list() == pytest.approx(
        ensemble.scores(XR[40:50], YR[40:50]).to_list()
    )
    with pytest.raises(NotFittedError):
        Ensemble(regressor()).scores(XR, YR)


# --- what goes wrong ---------------------------------------------------------------------------


class Moody(nn.Linear):
    """Some seeds give it weights so large that its steps explode."""

    def __init__(self, in_features: int, out_features: int, share: float = 0.4) -> None:
        super().__init__(in_features, out_features)
        if torch.rand(()) < share:
            nn.init.constant_(self.weight, 30.0)

    def forward(self, rows):
        return super().forward(rows) ** 3


def moody(**options):
    data = mm.Data(batch_size=16, validation=None)
    return regressor(
        model=mm.Model(Moody, **options), data=data, optimizer=mm.Optimizer("sgd", lr=0.05)
    )


def test_a_member_that_diverges_is_left_out_and_told_of():
    ensemble = Ensemble(moody(), 8, random_state=0).fit(XR, YR)  # warnings are errors here
    left = len(ensemble.estimators_)
    assert 4 <= left < 8
    assert len(ensemble.seeds_) == len(ensemble.scores(XR, YR)) == left
    [finding] = [finding for finding in ensemble.findings_ if finding.code == "MM301"]
    assert finding.message.startswith(f"Diverged and left out: {8 - left} of 8 members. lr=")
    [row] = [row for row in ensemble.logbook_ if row.why == "they diverged"]
    assert row.did.startswith("left out: members of the seeds ")
    assert not any(str(seed) in row.did for seed in ensemble.seeds_)
    assert_same_weights(ensemble.estimators_, alone(ensemble, XR, YR), rtol=1e-3, atol=1e-4)


def test_an_ignored_finding_stays_ignored():
    net = moody().set_params(watch=mm.Watch(ignore=["MM301"]))
    ensemble = Ensemble(net, 8, random_state=0).fit(XR, YR)
    assert len(ensemble.estimators_) < 8
    assert "MM301" not in ensemble.findings_.codes


def test_all_members_diverge():
    ensemble = Ensemble(moody(), 4, random_state=1).set_params(net__model__share=0.0).fit(XR, YR)
    with pytest.raises(DivergedError, match=r"all 4 members diverged; the first of them: the loss"):
        ensemble.set_params(net__model__share=1.0).fit(XR, YR)
    with pytest.raises(NotFittedError):
        ensemble.predict(XR)


def test_findings_are_merged():
    net = regressor(data=mm.Data(preprocess=None, batch_size=16, validation=None))
    rows = XR * [1, 1, 1, 1e5]
    ensemble = Ensemble(net, 4, random_state=0).fit(rows, YR)
    codes = [member.findings_.codes for member in ensemble.estimators_]
    assert sorted(ensemble.findings_.codes) == sorted({code for found in codes for code in found})
    assert "MM101" in ensemble.findings_.codes
    for finding in ensemble.findings_:
        count = sum(finding.code in found for found in codes)
        assert finding.message.endswith(f"({count} of 4 members)")


class Interrupts:
    """A metric that presses Ctrl-C when it is asked for the tenth time."""

    __name__ = "interrupts"

    def __init__(self):
        self.calls = 0

    def __deepcopy__(self, memory):
        return self  # members share it

    def __call__(self, y, prediction):
        self.calls += 1
        if self.calls == 10:
            signal.raise_signal(signal.SIGINT)
        return 0.0


def test_an_interrupt_leaves_members_that_predict():
    net = regressor(loop=mm.Loop(1000), watch=mm.Watch(metrics=[Interrupts()]))
    ensemble = Ensemble(net, 4, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        ensemble.fit(XR, YR)
    assert len(ensemble.estimators_) == 4
    assert all(1 <= member.n_iter_ <= 10 for member in ensemble.estimators_)
    assert np.isfinite(ensemble.predict(XR)).all()


def test_what_it_is_made_of_is_checked():
    with pytest.raises(ComponentError, match=r"got LinearRegression\(\)"):
        Ensemble(LinearRegression()).fit(XR, YR)
    with pytest.raises(ComponentError, match=r"Pipeline it takes the place of the net"):
        Ensemble(make_pipeline(StandardScaler(), regressor())).fit(XR, YR)
    for members in (0, 2.5, "8"):
        with pytest.raises(ComponentError, match=f"members must be .*; got {members!r}"):
            Ensemble(regressor(), members).fit(XR, YR)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        Ensemble(regressor(), 4).fit(XR, YR[1:])


# --- scikit-learn's manners --------------------------------------------------------------------


def test_it_is_what_its_net_is():
    one, other = Ensemble(classifier()), Ensemble(regressor())
    assert (is_classifier(one), is_regressor(one)) == (True, False)
    assert (is_classifier(other), is_regressor(other)) == (False, True)
    assert hasattr(one, "predict_proba")
    assert not hasattr(other, "predict_proba")


def test_params_clone_and_pickle():
    ensemble = Ensemble(classifier(), 4, random_state=0)
    ensemble.set_params(net__optimizer__lr=0.5, members=5)
    assert ensemble.net.optimizer.lr == ensemble.get_params()["net__optimizer__lr"] == 0.5
    assert repr(clone(ensemble)) == repr(ensemble)
    ensemble.fit(X, Y)
    assert not hasattr(ensemble.net, "model_")  # the net itself stays as it was
    assert ensemble.net.random_state == 0
    again = pickle.loads(pickle.dumps(ensemble))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.predict_proba(X), ensemble.predict_proba(X))
    assert not hasattr(clone(ensemble), "estimators_")


def test_columns_have_names():
    frame = pd.DataFrame(X).add_prefix("column ")
    ensemble = Ensemble(classifier(), 4, random_state=0).fit(frame, Y)
    assert ensemble.feature_names_in_.tolist() == frame.columns.tolist()
    assert ensemble.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        ensemble.predict(frame.add_suffix("?"))
    assert not hasattr(ensemble.fit(X, Y), "feature_names_in_")


@pytest.mark.parametrize("where", [model_selection, mm.model_selection], ids=["theirs", "ours"])
def test_a_search_over_members_and_what_is_inside(where):
    grid = {"members": [1, 4], "net__optimizer__lr": [1e-4, 1e-2]}
    search = where.GridSearchCV(Ensemble(classifier(), random_state=0), grid, cv=2).fit(X, Y)
    assert search.best_params_["net__optimizer__lr"] == 1e-2
    assert len(search.best_estimator_.estimators_) == search.best_params_["members"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_the_last_step_of_a_pipeline_and_rows_that_are_tensors():
    pipe = make_pipeline(StandardScaler(), Ensemble(classifier(), 4, random_state=0)).fit(X, Y)
    assert pipe.score(X, Y) > 0.5
    rows = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(Y))
    assert Ensemble(classifier(), 4, random_state=0).fit(rows).score(X, Y) > 0.5


def long(kind):
    """Learns enough for scikit-learn's checks."""
    loop, optimizer = mm.Loop(60), mm.Optimizer("adam", lr=0.02)
    made = {"Classifier": classifier, "Regressor": regressor}[kind]
    return made(model=mm.Model("mlp", hidden=16), loop=loop, optimizer=optimizer)


@pytest.mark.slow
@pytest.mark.parametrize("members", [2, 4])  # one after another, and in a stack
@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_scikit_learns_checks(kind, members):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke many: columns as y, skips
        records = check_estimator(Ensemble(long(kind), members), on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in records if r["status"] == "failed"}
    assert failed == {}
    assert Counter(record["status"] for record in records)["passed"] >= 55
    assert not any(record["expected_to_fail"] for record in records), "nothing is excused"
