"""Ten folds of a small network: trained together, with the scores of one after another."""

import threading
import time

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import RepeatedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn

from manumatic.compare.contest import compare, plan
from manumatic.compare.race import race
from manumatic.gears.automatic import Regressor
from manumatic.parts.components import Data, Loop, Optimizer
from manumatic.show.report import render_report


def regressor(model="mlp", epochs=15):
    return Regressor(
        model,
        data=Data(batch_size=32, validation=None),
        optimizer=Optimizer("adam", lr=0.01),
        loop=Loop(epochs=epochs),
        random_state=0,
    )


@pytest.fixture
def numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    return X, X @ [3.0, -2.0, 0.5] + rng.normal(size=90)


def contested(numbers, net, **options):
    result = compare(*numbers, models=[], nets={"mine": net}, **({"repeats": 2} | options))
    return result, next((row for row in result.rows if row.name == "mine"), None)


def test_scores_are_those_of_one_fold_after_another(numbers):
    expected = -cross_val_score(
        regressor(),
        *numbers,
        cv=RepeatedKFold(n_splits=5, n_repeats=2, random_state=0),
        scoring="neg_root_mean_squared_error",
    )
    result, row = contested(numbers, regressor())
    assert row.together == 9
    assert row.scores == pytest.approx(expected, rel=1e-4)
    assert len(row.cpu_seconds) == len(row.predict_us) == 10
    assert 0 < sum(row.fit_seconds) < result.contest.seconds
    assert all(0 < seconds < result.contest.seconds for seconds in row.cpu_seconds)
    assert "those of mine were trained together" in render_report(result.facts())


def test_a_network_at_the_end_of_a_pipeline_too(numbers):
    assert contested(numbers, make_pipeline(Picky(), regressor()))[1].together == 9


def test_few_folds_and_large_networks_follow_one_another(numbers):
    assert contested(numbers, regressor(), repeats=1)[1].together == 0
    _, row = contested(numbers, regressor(Large, epochs=1))
    assert (row.together, row.error, row.notes) == (0, "", [])
    assert row.parameters > 100_000


class Large(nn.Sequential):
    def __init__(self, in_features, out_features):
        super().__init__(nn.Linear(in_features, 30_000), nn.Linear(30_000, out_features))


class Decides(nn.Linear):
    """By the values of a tensor, as no stack can."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)

    def forward(self, x):
        return super().forward(x) if x.sum() > -torch.inf else x


def test_who_cannot_be_trained_together_says_why(numbers):
    _, row = contested(numbers, regressor(Decides))
    assert (row.together, len(row.scores), row.error) == (0, 10, "")
    assert row.notes == [
        "9 folds trained one after another: Decides cannot be stacked: "
        "it decides by the values of a tensor (if, while)"
    ]


class Picky(TransformerMixin, BaseEstimator):
    """Does nothing, but raises what it was given where no row has a 9."""

    def __init__(self, raises=None):
        self.raises = raises

    def fit(self, X, y=None):
        if self.raises is not None and X[:, 0].max() < 9:
            raise self.raises
        return self

    def transform(self, X):
        return X


def with_one_large(numbers):
    X, y = numbers
    X = X.copy()
    _, test = list(RepeatedKFold(n_splits=5, n_repeats=2, random_state=0).split(X))[4]
    X[test[0], 0] = 9.5
    return X, y


def test_one_fold_of_a_company_may_fail(numbers):
    net = make_pipeline(Picky(ValueError("no luck today")), regressor())
    _, row = contested(with_one_large(numbers), net)
    assert row.error == "ValueError: no luck today"
    assert len(row.scores) == 4


def test_ctrl_c_in_company_keeps_the_rows_before(numbers):
    net = make_pipeline(Picky(KeyboardInterrupt()), regressor())
    result, row = contested(with_one_large(numbers), net)
    assert result.interrupted
    assert row is None
    assert [row.name for row in result.rows] == ["Dummy"]
    assert not [thread for thread in threading.enumerate() if thread.name == "one of many fits"]


def test_no_company_where_the_time_limit_leaves_no_room(numbers):
    contest = plan(*numbers, models=[], nets={"mine": regressor()}, repeats=2)
    run = contest.candidates[1], contest.problem, contest.metric, contest.folds
    [*_, row] = race(*run)
    assert row.together == 9
    [*_, row] = race(*run, deadline=time.monotonic() + 3 * row.fit_seconds[0])
    assert row.together == 0
    assert row.error.startswith("time limit reached after ")
