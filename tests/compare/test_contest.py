"""A contest against plain scikit-learn: the same folds, the same scores, and nothing kills it."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    RepeatedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from manumatic.compare.contest import compare, plan
from manumatic.compare.folds import make_folds
from manumatic.compare.metric import choose_metric
from manumatic.compare.problem import open_problem
from manumatic.errors import ComponentError, DataError
from manumatic.gears.automatic import Regressor
from manumatic.parts.components import Data, Loop, Optimizer

FAST = ["LinearRegression", "DecisionTree"]


@pytest.fixture
def numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    return X, X @ [3.0, -2.0, 0.5] + rng.normal(size=90)


@pytest.fixture
def labels():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 3))
    return X, np.where(X[:, 0] + 0.5 * rng.normal(size=120) > 0, "yes", "no")


@pytest.fixture
def flats():
    """A column of each kind, with gaps, and an id."""
    rng = np.random.default_rng(2)
    n = 120
    frame = pd.DataFrame(
        {
            "flat_id": np.arange(n) + 7000,
            "size": rng.normal(70, 20, n),
            "floor": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 6, n)),
            "city": rng.choice(["Bonn", "Kiel", "Ulm"], n),
            "lift": rng.random(n) < 0.5,
            "sold": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), "D"),
        }
    )
    frame["rent"] = 9 * frame["size"] + 80 * (frame["city"] == "Bonn") + rng.normal(0, 20, n)
    return frame


# --- the same scores as scikit-learn -------------------------------------------------------------


def test_scores_are_those_of_cross_val_score(numbers):
    X, y = numbers
    [row] = [r for r in compare(X, y, models=FAST, repeats=2).rows if r.name == "LinearRegression"]
    fill = SimpleImputer(strategy="median", add_indicator=True)
    expected = cross_val_score(
        make_pipeline(fill, StandardScaler(), LinearRegression()),
        X,
        y,
        cv=RepeatedKFold(n_splits=5, n_repeats=2, random_state=0),
        scoring="neg_root_mean_squared_error",
    )
    assert row.scores == pytest.approx(-expected, rel=1e-12)
    assert row.mean == pytest.approx(-expected.mean())
    assert row.sd == pytest.approx(expected.std(ddof=1))


def test_class_scores_are_those_of_cross_val_score(labels):
    X, y = labels
    rows = compare(X, y, models=["LogisticRegression", "RandomForest"], metric="f1_macro").rows
    scores = {row.name: row.scores for row in rows}
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=0))
    for name, model in [
        ("LogisticRegression", linear),
        ("RandomForest", RandomForestClassifier(random_state=0)),
    ]:
        expected = cross_val_score(model, X, y, cv=folds, scoring="f1_macro")
        assert scores[name] == pytest.approx(expected, rel=1e-12)


# --- folds ---------------------------------------------------------------------------------------


def test_groups_are_never_on_both_sides(numbers):
    X, y = numbers
    groups = np.arange(90) % 9
    pairs = make_folds(open_problem(X, y, groups=groups), folds=4, repeats=2).pairs
    assert len(pairs) == 8
    assert all(not set(groups[train]) & set(groups[test]) for train, test in pairs)
    expected = GroupKFold(4, shuffle=True, random_state=0).split(X, y, groups)
    assert all((a == b).all() for (_, a), (_, b) in zip(pairs, expected, strict=False))


def test_time_is_tested_on_what_came_next(flats):
    problem = open_problem(flats, target="rent", time="sold")
    assert problem.X["sold"].is_monotonic_increasing
    folds = make_folds(problem, folds=4)
    for (train, test), (past, future) in zip(
        folds.pairs, TimeSeriesSplit(4).split(problem.y), strict=True
    ):
        assert (train == past).all()
        assert (test == future).all()
    assert make_folds(problem, repeats=3).notes == (
        "time has one order: split once instead of 3 times",
    )


def test_dates_that_are_text_are_put_in_order():
    days = ["03/15/2024", "01/20/2023", "12/01/2023", "02/02/2024"]
    frame = pd.DataFrame({"day": days, "x": [3, 0, 1, 2], "y": [1.5, 2.5, 3.5, 4.5]})
    assert open_problem(frame, "y", time="day").X["x"].tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"time: 'soon' is no number and no date"):
        open_problem(frame, "y", time=["soon", 1, 2, 3])


def test_groups_leave_the_columns(flats):
    assert "city" not in open_problem(flats, "rent", groups="city").X


def test_fewer_folds_where_they_cannot_be_filled_and_it_is_said(labels, study_hours):
    X, y = study_hours
    contest = plan(X, y, models=FAST)
    assert len(contest.folds) == 2
    assert contest.notes == ["there are 5 rows, so 2 folds instead of 5"]
    y = np.where(np.arange(120) < 3, "rare", "often")
    contest = plan(labels[0], y, models=["DecisionTree"])
    assert contest.notes == ["class 'rare' has 3 of the rows, so 3 folds instead of 5"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds must be 2 or more and repeats 1 or more; got 1 and 1"),
        ({"groups": np.zeros(90)}, "groups holds one group only"),
        ({"groups": np.arange(90), "time": np.arange(90)}, "groups and time were both given"),
        ({"time": np.arange(4)}, "X has 90 rows but time has 4"),
        ({"metric": "rsme"}, r"no metric 'rsme'\. Did you mean 'rmse'\?"),
    ],
)
def test_what_cannot_be_split_or_scored(numbers, options, message):
    with pytest.raises(DataError, match=message):
        plan(*numbers, **options)


# --- the door ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0], [2.0]], None, "needs the target"),
        ([[1.0], [2.0]], [5.0, 5.0], r"the target 'y' is '5.0' in every row"),
        ([[1.0], [2.0]], ["a", "a"], r"the target 'y' is 'a' in every row"),
        ([[1.0], [2.0]], [np.nan, np.nan], "missing in all 2 rows"),
        ([[1.0], [2.0]], [1.0, np.inf], "infinite"),
        ([[1.0], [np.inf]], [1.5, 2.5], "column '0' holds an infinite value in row 1"),
        ([[1.0], [2.0]], [1.5], "X has 2 rows but y has 1"),
        ([1.0, 2.0], [1.5, 2.5], r"X must have rows and columns; it has shape \(2,\)"),
        (np.zeros((2, 1, 1, 1, 1)), [1.5, 2.5], r"compare takes tables, texts, images"),
        (np.zeros((0, 3)), [], "X has no rows"),
        ([[1.0], [2.0]], [[1, 2], [3, 4]], r"y must be one column; it has shape \(2, 2\)"),
        ([[1.0], [2.0]], "price", "'price' names a column, but X is an array"),
    ],
)
def test_unusable_data(X, y, message):
    with pytest.raises(DataError, match=message):
        open_problem(X, y)


def test_unusable_columns(flats):
    with pytest.raises(
        DataError, match=r"no column 'rant'. Did you mean 'rent'\? Columns: flat_id"
    ):
        open_problem(flats, "rant")
    with pytest.raises(DataError, match="'rent' is the only column"):
        open_problem(flats[["rent"]], "rent")
    with pytest.raises(DataError, match="column 'lift' appears more than once"):
        open_problem(pd.concat([flats, flats["lift"]], axis=1), "rent")


def test_rows_without_a_target_are_left_out_and_said(flats):
    flats.loc[[3, 5], "rent"] = np.nan
    problem = open_problem(flats, "rent")
    assert len(problem.X) == len(problem.y) == 118
    assert problem.notes == ("2 rows without a target (rent) were left out",)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["a", "b"] * 10, ["a", "b"]),
        ([True, False] * 10, [False, True]),
        ([0, 1] * 10, [0, 1]),
        ([1, 2, 3, 4] * 20, [1, 2, 3, 4]),
        ([3.0, 4.0, 8.0] * 20, [3.0, 4.0, 8.0]),
        (list(range(60)), None),
        ([52, 59, 66, 73, 80], None),
        ([0.5, 1.5] * 10, None),
    ],
)
def test_what_is_asked_for_is_read_off_the_target(y, classes):
    problem = open_problem(np.zeros((len(y), 1)), y)
    assert problem.is_classification == (classes is not None)
    assert (None if problem.classes is None else problem.classes.tolist()) == classes


def test_a_metric_decides_where_the_target_does_not():
    X, y = np.zeros((40, 1)), [1, 2, 3, 4] * 10
    assert not open_problem(X, y, metric="r2").is_classification
    assert open_problem(X, y, metric="accuracy").is_classification
    with pytest.raises(DataError, match="metric 'mae' is for regression, but 'y' holds labels"):
        choose_metric(open_problem(X, ["a", "b"] * 20, metric="mae"), "mae")


def test_the_metric_fits_the_classes():
    def chosen(*counts):
        y = np.repeat(np.arange(len(counts)), counts)
        metric = choose_metric(open_problem(np.zeros((len(y), 1)), y))
        return metric.name, metric.reason

    assert chosen(50, 45)[0] == "accuracy"
    assert chosen(90, 10) == (
        "roc_auc",
        "the smallest class has 10% of the rows, so accuracy would reward guessing the larger",
    )
    assert chosen(90, 60, 10)[0] == "balanced_accuracy"


def test_images_and_other_frames_are_read():
    import polars

    frame = polars.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "y": [0.1, 0.2, 0.3, 0.4]})
    assert open_problem(frame, "y").describe().startswith("4 rows, 1 numeric; target y")
    images = open_problem(np.zeros((6, 9, 9)), list("ababab"))
    assert images.is_images
    assert images.describe() == "6 rows, images 9 x 9; target y, 2 classes (a, b): classification"


# --- what happens on the way ---------------------------------------------------------------------


class Moody(RegressorMixin, BaseEstimator):
    """Predicts the mean, and does something else as well."""

    def __init__(self, mood=""):
        self.mood = mood

    def fit(self, X, y):
        if self.mood == "raises":
            raise RuntimeError("no luck today\nsecond line")
        if self.mood == "interrupted":
            raise KeyboardInterrupt
        if self.mood == "warns":
            warnings.warn("not converged", ConvergenceWarning, stacklevel=1)
        self.mean_ = np.nan if self.mood == "nan" else np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


def test_a_model_that_fails_is_a_row_with_its_error(numbers):
    nets = {"raises": Moody("raises"), "nan": Moody("nan"), "warns": Moody("warns")}
    result = compare(*numbers, models=FAST, nets=nets)
    rows = {row.name: row for row in result.rows}
    assert rows["raises"].error == "RuntimeError: no luck today"
    assert rows["nan"].error.startswith("ValueError: Input contains NaN")
    assert rows["warns"].notes == ["not converged"]
    assert [row.verdict for row in result.rows][-2:] == ["failed", "failed"]
    assert rows["warns"].scores == pytest.approx(rows["Dummy"].scores)
    assert "raises failed: RuntimeError: no luck today" in str(result)
    json.dumps(result.facts(), allow_nan=False)


def test_a_network_that_diverges_is_a_row_with_its_error(numbers):
    wild = Regressor(
        "linear",
        data=Data(preprocess=None, target=None, validation=None),
        optimizer=Optimizer("sgd", lr=1e4),
        loop=Loop(epochs=200),
        random_state=0,
    )
    result = compare(*numbers, models=["LinearRegression"], nets={"wild": wild})
    assert result.rows[-1].error.startswith("DivergedError: ")
    assert result.verdict.model == "LinearRegression"


def test_ctrl_c_keeps_what_is_finished(numbers):
    nets = {"interrupted": Moody("interrupted"), "after": Moody()}
    result = compare(*numbers, models=FAST, nets=nets)
    assert result.interrupted
    assert [row.name for row in result.rows] == ["LinearRegression", "DecisionTree", "Dummy"]
    assert result.contest.missed == ["interrupted", "after"]
    assert "interrupted; no turn for interrupted, after" in str(result)


def test_a_time_limit_below_zero_is_refused(numbers):
    with pytest.raises(ComponentError, match="seconds, 0 or more, or None; got -3"):
        compare(*numbers, models=FAST, time_limit=-3)


def test_the_time_limit_names_who_had_no_turn(numbers):
    result = compare(*numbers, models=FAST, time_limit=0)
    assert result.rows == []
    assert result.contest.missed == ["Dummy", "LinearRegression", "DecisionTree"]
    assert result.verdict.rule == "nothing-finished"
    assert "time limit reached; no turn for Dummy" in str(result)


def test_rows_are_heard_as_soon_as_they_are_done(numbers):
    rows, folds = [], []
    contest = plan(*numbers, models=FAST)
    contest.run(rows.append, lambda row: folds.append((row.name, len(row.scores))))
    assert [row.name for row in rows] == ["Dummy", "LinearRegression", "DecisionTree"]
    assert folds[:5] == [("Dummy", number) for number in (1, 2, 3, 4, 5)]
    assert all(row.seconds > 0 and row.microseconds > 0 for row in rows)


def test_the_same_seed_gives_the_same_scores(numbers):
    models = ["RandomForest", "mlp-net"]
    one, two = (compare(*numbers, models=models, folds=2, random_state=3) for _ in range(2))
    assert [row.scores for row in one.rows] == [row.scores for row in two.rows]


# --- the result ----------------------------------------------------------------------------------


def test_the_best_model_is_fitted_on_all_rows_with_the_labels_as_given(labels):
    X, y = labels
    result = compare(X, y, models=["LogisticRegression", "LGBM"])
    assert result.best is result.model(result.verdict.model)
    assert set(result.best.predict(X)) == {"no", "yes"}
    if "LGBM" in result.frame["name"].tolist():
        assert result.model("LGBM").score(X, y) > 0.9
    with pytest.raises(ComponentError, match=r"no model 'LGMB'. Did you mean 'LGBM'\?"):
        result.model("LGMB")


def test_the_frame_is_the_leaderboard(numbers):
    frame = compare(*numbers, models=FAST).frame
    assert frame["name"].tolist() == ["LinearRegression", "DecisionTree", "Dummy"]
    assert frame["mean"].is_monotonic_increasing
    assert frame["verdict"].tolist() == ["best", "tie", "worse"]
    assert frame["difference"].tolist()[0] == 0


def test_the_text_is_aligned(numbers):
    text = str(compare(*numbers, models=FAST))
    table = text.split("\n\n")[0].splitlines()
    assert " ".join(table[0].split()) == "# model gear RMSE ± sd vs best verdict fit predict/row"
    assert len({line.index("scikit-learn") for line in table[1:]}) == 1


def test_facts_are_plain_and_complete(flats):
    result = compare(flats, "rent", models=["LinearRegression", "mlp-net"], folds=3)
    facts = json.loads(json.dumps(result.facts(), allow_nan=False))
    assert (facts["schema"], facts["kind"]) == (1, "comparison")
    assert [row["name"] for row in facts["rows"]] == [row.name for row in result.rows]
    [net] = [row for row in facts["rows"] if row["training"]]
    assert len(net["scores"]) == 3
    assert 2 <= len(net["training"]["curves"]["train"]) <= 400
    assert {entry[0] for entry in net["training"]["logbook"]} <= {
        *("data", "model", "loss", "optimizer", "loop"),
    }
    assert {column["name"]: column["kind"] for column in facts["data"]["columns"]} == {
        "flat_id": "numeric",
        "size": "numeric",
        "floor": "numeric",
        "city": "text",
        "lift": "yes/no",
        "sold": "date",
    }
    assert facts["versions"]["torch"]


@pytest.mark.slow
def test_every_model_takes_a_mixed_table(flats):
    result = compare(flats, "rent", folds=2)
    assert {row.name: row.error for row in result.rows if row.error} == {}
    assert len(result.rows) >= 11


def test_a_dummy_alone_is_the_reference(numbers):
    X, y = numbers
    [row] = compare(X, y, models=[]).rows
    expected = -cross_val_score(
        DummyRegressor(),
        X,
        y,
        cv=RepeatedKFold(n_splits=5, n_repeats=1, random_state=0),
        scoring="neg_root_mean_squared_error",
    )
    assert row.scores == pytest.approx(expected)
