"""The searches: scikit-learn's results, also where a candidate fails or somebody interrupts."""

import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from nets import XR, YR, X, Y, assert_same_table, classifier, regressor
from scipy.stats import loguniform
from sklearn import config_context, model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.callback import ProgressBar
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GroupKFold, ShuffleSplit, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import manumatic as mm
from manumatic.errors import DivergedError
from manumatic.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    meeting,
)

HERE = Path(__file__).parent
RATES = {"optimizer__lr": [1e-3, 1e-2, 1e-1]}


def both(kind, *args, X=X, y=Y, fit=None, **options):
    """Our search and scikit-learn's, fitted on the same rows; their tables are the same."""
    fit = fit or {}
    ours, theirs = (
        getattr(where, kind)(*args, **options).fit(X, y, **fit)
        for where in (mm.model_selection, model_selection)
    )
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    assert ours.multimetric_ == theirs.multimetric_
    if hasattr(theirs, "best_params_"):
        assert ours.best_params_ == theirs.best_params_
        assert ours.best_index_ == theirs.best_index_
    return ours, theirs


def left_behind():
    """Threads of a meeting that are still there."""
    return [thread for thread in threading.enumerate() if thread.name == "one of many fits"]


class Gathered:
    """Stands beside ``train_together`` and notes how many came at a time."""

    def __init__(self, monkeypatch):
        self.sizes, self.rows = [], []
        self.train = meeting.train_together
        monkeypatch.setattr(meeting, "train_together", self)

    def __call__(self, trainings):
        self.sizes.append(len(trainings))
        self.rows = [training.data.tensors[0] for training in trainings]
        return self.train(trainings)


# --- the same as scikit-learn ------------------------------------------------------------------


def test_grid_search(monkeypatch):
    gathered = Gathered(monkeypatch)
    ours, theirs = both("GridSearchCV", classifier(), RATES, cv=3)
    assert gathered.sizes == [9]  # all candidates on all folds at once
    assert ours.best_score_ == pytest.approx(theirs.best_score_)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    for mine, other in zip(
        ours.best_estimator_.model_.parameters(),
        theirs.best_estimator_.model_.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_several_metrics_and_a_refit_by_name_by_function_or_not_at_all():
    options = {"scoring": ["accuracy", "neg_log_loss"], "return_train_score": True, "cv": 3}
    for refit in ("neg_log_loss", lambda table: int(table["rank_test_accuracy"].argmin()), False):
        both("GridSearchCV", classifier(), RATES, refit=refit, **options)


def test_a_scoring_function_that_returns_a_dict():
    def scores(net, X, y):
        chances = net.predict_proba(X)
        return {"hits": accuracy_score(y, net.predict(X)), "loss": -log_loss(y, chances)}

    both("GridSearchCV", classifier(), RATES, scoring=scores, refit="loss", cv=3)


def test_weights_without_and_with_metadata_routing():
    weight = np.linspace(0.1, 2, len(Y))
    weighted, _ = both("GridSearchCV", classifier(), RATES, cv=3, fit={"sample_weight": weight})
    plain = GridSearchCV(classifier(), RATES, cv=3).fit(X, Y)
    assert (
        plain.best_estimator_.model_[0].weight[0, 0]
        != (weighted.best_estimator_.model_[0].weight[0, 0])
    )
    with config_context(enable_metadata_routing=True):
        net = classifier().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        pipe = Pipeline(
            [("scale", StandardScaler().set_fit_request(sample_weight=True)), ("net", net)]
        )
        grid = {"net__optimizer__lr": [1e-3, 1e-1]}
        both("GridSearchCV", pipe, grid, scoring=scorer, cv=3, fit={"sample_weight": weight})


def test_groups_and_splits_of_ones_own():
    groups = np.arange(len(Y)) % 5
    both("GridSearchCV", classifier(), RATES, cv=GroupKFold(5), fit={"groups": groups})
    splits = list(StratifiedKFold(2, shuffle=True, random_state=1).split(X, Y))
    both("GridSearchCV", classifier(), RATES, cv=splits * 2)
    once = GridSearchCV(classifier(), RATES, cv=iter(splits), refit=False).fit(X, Y)
    assert once.n_splits_ == 2
    both("GridSearchCV", classifier(), RATES, cv=ShuffleSplit(3, random_state=0))


def test_randomized_and_halving():
    rates = {"optimizer__lr": loguniform(1e-4, 1e-1), "model__hidden": [4, 8]}
    both("RandomizedSearchCV", classifier(), rates, n_iter=5, cv=3, random_state=3)
    grid = {"optimizer__lr": [1e-4, 1e-3, 1e-2, 1e-1]}
    halving = {"factor": 2, "cv": 3, "random_state": 0}
    ours, theirs = both("HalvingGridSearchCV", classifier(), grid, **halving)
    assert ours.n_resources_ == theirs.n_resources_
    epochs = {"resource": "loop__epochs", "max_resources": 6, "min_resources": 2}
    both("HalvingGridSearchCV", classifier(), grid, **halving | epochs)


def test_candidates_that_differ_in_everything(monkeypatch):
    gathered = Gathered(monkeypatch)
    grid = [
        {"model__hidden": [4, (6, 3)], "loop__epochs": [2, 4]},
        {"data__batch_size": [8, None], "data__preprocess": [None, PCA(2)]},
        {"optimizer": [mm.Optimizer("sgd", lr=0.1), torch.optim.RMSprop], "random_state": [1]},
        {"loop": [mm.Loop(9, patience=1, keep="best")], "data__validation": [0.2, 0.3]},
    ]
    both("GridSearchCV", classifier(), grid, cv=2)
    assert gathered.sizes == [24]


def test_a_fit_without_random_state_draws_as_it_would_alone():
    drawn = []
    for where in (mm.model_selection, model_selection):
        np.random.seed(5)
        found = where.cross_validate(classifier(random_state=None), X, Y, return_estimator=True)
        drawn.append([net.seed_ for net in found["estimator"]])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 5


# --- around and beside the nets ----------------------------------------------------------------


def test_pipelines(monkeypatch):
    gathered = Gathered(monkeypatch)
    pipe = make_pipeline(StandardScaler(), make_pipeline(PCA(), classifier()))
    grid = {
        "pipeline__pca__n_components": [2, 4],
        "pipeline__classifier__optimizer__lr": [1e-3, 0.1],
    }
    both("GridSearchCV", pipe, grid, cv=3)
    assert gathered.sizes == [12]


def test_nets_inside_other_estimators(monkeypatch):
    gathered = Gathered(monkeypatch)
    scaled = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    both("GridSearchCV", scaled, {"regressor__optimizer__lr": [1e-3, 0.1]}, X=XR, y=YR, cv=3)
    assert gathered.sizes == [6]
    one_a_class = OneVsRestClassifier(classifier())
    both("GridSearchCV", one_a_class, {"estimator__optimizer__lr": [1e-3, 0.1]}, cv=3)
    assert gathered.sizes[1:] == [6, 6, 6]  # class by class, all folds and candidates at once
    voting = VotingClassifier(
        [("a", classifier()), ("b", LogisticRegression()), ("c", classifier())]
    )
    both("GridSearchCV", voting, {"a__optimizer__lr": [1e-3, 0.1]}, cv=3)
    assert gathered.sizes[4:] == [6, 6]


def test_a_search_inside_a_cross_validation():
    scores = [
        outer.cross_val_score(inner.GridSearchCV(classifier(), RATES, cv=2), X, Y, cv=3)
        for outer, inner in ((mm.model_selection,) * 2, (model_selection,) * 2)
    ]
    np.testing.assert_allclose(*scores)


def test_scikit_learns_estimators_go_to_scikit_learn(monkeypatch):
    monkeypatch.setattr(mm.model_selection.search, "as_one", None)  # would fail if it were asked
    both("GridSearchCV", SVC(), {"C": [0.1, 1.0]}, cv=3)


def test_nets_and_scikit_learns_estimators_as_candidates(monkeypatch):
    gathered = Gathered(monkeypatch)
    pipe = Pipeline([("scale", StandardScaler()), ("clf", SVC())])
    both("GridSearchCV", pipe, {"clf": [SVC(), classifier(), LogisticRegression()]}, cv=3)
    assert gathered.sizes == [3]


class Counted(StandardScaler):
    """Notes what is asked of it, and for how many rows."""

    seen: list[tuple[str, int]] = []  # noqa: RUF012 - on the class, because nets fit a clone

    def fit(self, X, y=None, sample_weight=None):
        Counted.seen.append(("fit", len(X)))
        return super().fit(X, y, sample_weight)

    def transform(self, X, copy=None):
        Counted.seen.append(("transform", len(X)))
        return super().transform(X, copy)


def test_rows_that_are_prepared_alike_are_prepared_once():
    net = classifier(data=mm.Data(preprocess=Counted(), batch_size=16, validation=None))
    both("GridSearchCV", net, RATES, cv=3, refit=False)
    Counted.seen.clear()
    GridSearchCV(net, RATES, cv=3, refit=False).fit(X, Y)
    once = [("fit", 50), ("transform", 50)] * 3 + [("transform", 25)] * 3
    assert Counted.seen == once  # one candidate's work, not three's
    Counted.seen.clear()
    GridSearchCV(net, {"random_state": [0, 1]}, cv=3, refit=False).fit(X, Y)
    assert len(Counted.seen) == 2 * len(once)  # a seed may count in the preparing


def test_rows_of_a_fold_are_held_once(monkeypatch):
    gathered = Gathered(monkeypatch)
    GridSearchCV(classifier(data=mm.Data(preprocess=None)), RATES, cv=3, refit=False).fit(X, Y)
    assert len({rows.data_ptr() for rows in gathered.rows}) == 3
    assert len(gathered.rows) == 9


def test_what_is_prepared_is_forgotten_when_the_next_begin(monkeypatch):
    monkeypatch.setattr(meeting, "MOST_CALLS", 3)
    net = classifier(data=mm.Data(preprocess=Counted(), batch_size=16, validation=None))
    Counted.seen.clear()
    GridSearchCV(net, RATES, cv=3, refit=False).fit(X, Y)
    assert Counted.seen.count(("fit", 50)) == 9


def test_logbooks_tell_of_preparing_that_was_shared():
    [split] = ShuffleSplit(1, random_state=0).split(X, Y)
    found = mm.model_selection.cross_validate(
        classifier(data=mm.Data(validation=0.2)), X, Y, cv=[split] * 3, return_estimator=True
    )
    alone = classifier(data=mm.Data(validation=0.2)).fit(X[split[0]], Y[split[0]])
    for net in found["estimator"]:
        told = [entry for entry in net.logbook_ if entry.part == "data"]
        assert told == [entry for entry in alone.logbook_ if entry.part == "data"]
        assert told


def test_few_at_a_time_where_memory_is_short(monkeypatch):
    gathered = Gathered(monkeypatch)
    monkeypatch.setattr(meeting, "MOST_BYTES", 50 * (4 * 4 + 8) * 4 - 1)
    both("GridSearchCV", classifier(), RATES, cv=3)
    assert gathered.sizes == [4, 4, 1]
    gathered.sizes.clear()
    monkeypatch.setattr(meeting, "MOST_BYTES", 2**30)
    GridSearchCV(classifier(), RATES, cv=3, pre_dispatch=2).fit(X, Y)
    assert max(gathered.sizes) <= 2


def test_callbacks_hear_each_epoch_and_then_nets_train_alone(monkeypatch, capsys):
    gathered = Gathered(monkeypatch)
    search = GridSearchCV(classifier(), RATES, cv=2).set_callbacks(ProgressBar())
    search.fit(X, Y)
    assert gathered.sizes == []
    assert_same_table(
        search.cv_results_,
        model_selection.GridSearchCV(classifier(), RATES, cv=2).fit(X, Y).cv_results_,
    )
    capsys.readouterr()


def test_times_are_those_of_the_fit():
    start = time.perf_counter()
    found = mm.model_selection.cross_validate(classifier(loop=mm.Loop(epochs=100)), X, Y)
    spent = time.perf_counter() - start
    assert (found["fit_time"] > 0).all()
    assert 0.3 * spent < found["fit_time"].sum() + found["score_time"].sum() < spent


# --- what fails --------------------------------------------------------------------------------


def test_a_diverging_candidate_gets_error_score_and_harms_no_other():
    grid = {"optimizer__lr": [1e-2, 1e10]}
    net = regressor(optimizer=mm.Optimizer("sgd"), data=mm.Data(preprocess=None, validation=None))
    with pytest.warns(FitFailedWarning, match=r"3 fits failed(.|\n)*DivergedError"):
        search = GridSearchCV(net, grid, cv=3, error_score=-7.0).fit(XR / 100, YR / 100)
    alone = model_selection.GridSearchCV(net, {"optimizer__lr": [1e-2]}, cv=3)
    alone.fit(XR / 100, YR / 100)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, [alone.cv_results_["mean_test_score"][0], -7.0], rtol=1e-5)
    with pytest.raises(DivergedError, match="the steps are too long"):
        GridSearchCV(net, grid, cv=3, error_score="raise").fit(XR / 100, YR / 100)


def test_a_candidate_that_cannot_be_assembled():
    grid = {"optimizer__lr": [1e-2, 1e-3], "data__batch_size": [16, -1]}
    with pytest.warns(FitFailedWarning, match="batch_size must be a whole number"):
        search = GridSearchCV(classifier(), grid, cv=3, error_score=0.0).fit(X, Y)
    assert (search.cv_results_["mean_test_score"] == 0.0).tolist() == [False, False, True, True]
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        GridSearchCV(classifier(), grid, cv=3, error_score="raise").fit(X, Y)
    assert not left_behind()


class Fails(torch.nn.Linear):
    """Has a bad day in its fourth training step, where it is told to."""

    def __init__(self, in_features: int, out_features: int, fails: bool = False) -> None:
        super().__init__(in_features, out_features)
        self.fails, self.calls = fails, 0

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        if self.fails and self.calls == 4:
            raise RuntimeError("a bad day")
        return super().forward(rows)


def test_an_error_in_a_model_is_that_candidates_error_alone():
    net = classifier(model=mm.Model(Fails))
    grid = {"model__fails": [False, True]}
    with pytest.warns(FitFailedWarning, match=r"3 fits failed(.|\n)*a bad day"):
        search = GridSearchCV(net, grid, cv=3, error_score=-1.0).fit(X, Y)
    assert (search.cv_results_["mean_test_score"] == -1).tolist() == [False, True]


def test_warnings_are_seen_as_ever_and_filters_stay():
    class Warns(StandardScaler):
        def transform(self, X, copy=None):
            warnings.warn("look here", UserWarning, stacklevel=2)
            return super().transform(X, copy)

    before = list(warnings.filters)
    with pytest.warns(UserWarning, match="look here"):
        GridSearchCV(make_pipeline(Warns(), classifier()), {"warns": [Warns()]}, cv=3).fit(X, Y)
    assert warnings.filters == before


class Quiet(ClassifierMixin, BaseEstimator):
    """Lets nobody be warned while it is fitted."""

    def __init__(self, net=None):
        self.net = net

    def fit(self, X, y):
        with warnings.catch_warnings(action="ignore"):
            self.net_ = clone(self.net).fit(X, y)
            warnings.warn("unheard", UserWarning, stacklevel=1)
        self.classes_ = self.net_.classes_
        return self

    def predict(self, X):
        return self.net_.predict(X)


def test_filters_of_warnings_hold_for_the_call_that_set_them(monkeypatch):
    before, during = list(warnings.filters), []
    train = meeting.train_together

    def noted(trainings):
        during.append(list(warnings.filters))
        return train(trainings)

    monkeypatch.setattr(meeting, "train_together", noted)
    both("GridSearchCV", Quiet(classifier()), {"net__optimizer__lr": [1e-3, 0.1]}, cv=3)
    assert during == [before]


# --- Ctrl-C ------------------------------------------------------------------------------------


class Interrupt:
    """Presses Ctrl-C while the trainings of this number are about to run together."""

    def __init__(self, monkeypatch, at):
        self.at, self.train = at, meeting.train_together
        monkeypatch.setattr(meeting, "train_together", self)

    def __call__(self, trainings):
        self.at -= 1
        if self.at == 0:
            self.train(trainings[:2])  # these are finished
            signal.raise_signal(signal.SIGINT)
        return self.train(trainings)


def test_an_interrupt_keeps_what_is_finished(monkeypatch):
    whole = model_selection.GridSearchCV(classifier(), RATES, cv=3).fit(X, Y).cv_results_
    monkeypatch.setattr(meeting, "MOST_CALLS", 4)  # 4, 4, 1 at a time
    search = GridSearchCV(classifier(), RATES, cv=3).fit(X, Y)  # of which nothing may stay
    Interrupt(monkeypatch, at=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert not left_behind()
    assert search.interrupted_
    # 6 of 9 fits are finished: two candidates on all folds
    assert search.cv_results_["params"] == whole["params"][:2]
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], whole["mean_test_score"][:2], rtol=1e-5
    )
    assert not hasattr(search, "best_score_")
    with pytest.raises(NotFittedError):
        search.predict(X)
    monkeypatch.undo()
    assert not hasattr(search.fit(X, Y), "interrupted_")
    assert search.score(X, Y) > 0.5


def test_an_interrupt_before_anything_is_finished(monkeypatch):
    search = GridSearchCV(classifier(), RATES, cv=3)
    Interrupt(monkeypatch, at=1)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert search.interrupted_
    assert not hasattr(search, "cv_results_")
    with pytest.raises(NotFittedError):
        search.predict(X)


class Presses:
    """A callback that presses Ctrl-C in the third fit, and a splitter that does at once."""

    fits = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **told):
        Presses.fits += context.task_name == "fit"
        if Presses.fits == 3:
            signal.raise_signal(signal.SIGINT)

    def on_fit_task_end(self, estimator, context, **told):
        pass

    def get_n_splits(self, X=None, y=None, groups=None):
        signal.raise_signal(signal.SIGINT)

    def split(self, X, y=None, groups=None):
        yield from ()


def test_an_interrupt_where_callbacks_listen_and_before_the_first_fit():
    net = classifier().set_callbacks(Presses())
    search = GridSearchCV(net, RATES, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert search.cv_results_["params"] == [{"optimizer__lr": 1e-3}]
    early = GridSearchCV(classifier(), RATES, cv=Presses())
    with pytest.raises(KeyboardInterrupt):
        early.fit(X, Y)
    assert early.interrupted_
    assert not hasattr(early, "cv_results_")


def test_an_interrupt_of_the_refit_leaves_the_table_and_no_best(monkeypatch):
    search = GridSearchCV(classifier(), RATES, cv=3)
    net = type(classifier())
    fit, fits = net.fit, []

    def interrupted(self, X, y=None, sample_weight=None):
        fits.append(len(X))
        if len(X) == 75:
            signal.raise_signal(signal.SIGINT)
        return fit(self, X, y, sample_weight)

    monkeypatch.setattr(net, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert len(search.cv_results_["params"]) == 3
    assert not hasattr(search, "best_estimator_")


def test_an_interrupt_of_a_later_round_of_halving(monkeypatch):
    search = HalvingGridSearchCV(
        classifier(),
        {"optimizer__lr": [1e-4, 1e-3, 1e-2, 1e-1]},
        cv=2,
        factor=2,
        resource="loop__epochs",
        min_resources=1,
        max_resources=4,
    )
    Interrupt(monkeypatch, at=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert list(search.cv_results_["iter"]) == [0, 0, 0, 0, 1]
    assert list(search.cv_results_["n_resources"]) == [1, 1, 1, 1, 2]


# --- the object itself -------------------------------------------------------------------------


def test_pickle_clone_and_params():
    search = GridSearchCV(classifier(), RATES, cv=3).fit(X, Y)
    again = pickle.loads(pickle.dumps(search))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert_same_table(again.cv_results_, search.cv_results_)
    assert not hasattr(clone(search), "cv_results_")
    theirs = model_selection.GridSearchCV(classifier(), RATES, cv=3)
    assert list(search.get_params()) == list(theirs.get_params())
    assert isinstance(search, model_selection.GridSearchCV)
    randomized = RandomizedSearchCV(classifier(), RATES, n_iter=2)
    assert repr(randomized).startswith("RandomizedSearchCV(estimator=Classifier(")


# --- processes ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes():
    ours = GridSearchCV(classifier(), RATES, cv=3, n_jobs=2).fit(X, Y)
    theirs = model_selection.GridSearchCV(classifier(), RATES, cv=3).fit(X, Y)
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    with pytest.warns(FitFailedWarning, match="batch_size must be a whole number"):
        GridSearchCV(
            classifier(), {"data__batch_size": [-1, 16]}, cv=3, n_jobs=2, error_score=0.0
        ).fit(X, Y)


def test_threads_of_joblib_become_one(monkeypatch):
    gathered = Gathered(monkeypatch)
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config(backend="threading", n_jobs=2):
        both_ours = GridSearchCV(classifier(), RATES, cv=3).fit(X, Y)
    assert gathered.sizes == [9]
    assert both_ours.best_score_ > 0.5


# --- scikit-learn's own tests ------------------------------------------------------------------

# They look for the caller's name on the stack; a call of ours stands in a thread of its own.
NAMES_ON_THE_STACK = (
    "not test_multi_metric_search_forwards_metadata and not test_validation_functions_routing "
    "and not test_learning_curve_exploit_incremental_learning_routing"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_search", "test_validation", "test_successive_halving"])
def test_scikit_learns_own_tests(name):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "sklearn_in_our_hands"]
    command += ["-k", NAMES_ON_THE_STACK, "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["-W", "ignore", "--pyargs", f"sklearn.model_selection.tests.{name}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
