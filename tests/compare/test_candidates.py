"""Who takes part, and what stands before them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_diabetes, load_iris
from torch import nn

from manumatic.compare.candidates import FromLabels, count_parameters, line_up
from manumatic.compare.columns import Columns
from manumatic.compare.problem import open_problem
from manumatic.errors import ComponentError, DataError


@pytest.fixture(scope="module")
def iris():
    return open_problem(*load_iris(return_X_y=True))


@pytest.fixture(scope="module")
def diabetes():
    return open_problem(*load_diabetes(return_X_y=True))


def names(problem, *arguments):
    return [candidate.name for candidate in line_up(problem, *arguments)[0]]


def test_the_line_up_goes_from_simple_to_complex(diabetes, iris):
    found = [name for name in names(diabetes) if name not in ("LGBM", "XGB", "CatBoost")]
    assert found == [
        *("Dummy", "LinearRegression", "RidgeCV", "DecisionTree", "KNeighbors"),
        *("HistGradientBoosting", "RandomForest", "SVR", "MLPRegressor"),
        *("linear-net", "mlp-net", "auto-net"),
    ]
    assert {"LogisticRegression", "SVC", "MLPClassifier"} < set(names(iris))
    assert "RidgeCV" not in names(iris)


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_installed_boosters_take_part(package, diabetes, iris):
    pytest.importorskip(package)
    name = {"lightgbm": "LGBM", "xgboost": "XGB"}[package]
    for problem in (diabetes, iris):
        [booster] = [c for c in line_up(problem)[0] if c.name == name]
        fitted = booster.build().fit(problem.X, problem.labels)
        assert set(fitted.predict(problem.X)) & set(problem.labels) or problem is diabetes


def test_models_are_chosen_by_name_in_any_case(diabetes):
    assert names(diabetes, ["ridgecv", "MLP-NET"]) == ["Dummy", "RidgeCV", "mlp-net"]
    with pytest.raises(
        ComponentError,
        match=r"no model 'RandomFores'. Did you mean 'RandomForest'\? Models: Dummy,",
    ):
        names(diabetes, ["RandomFores"])


def test_an_svm_is_left_out_of_many_rows_and_it_is_said():
    problem = open_problem(np.zeros((10_001, 1)), np.arange(10_001) / 2)
    found, notes = line_up(problem)
    assert "SVR" not in [candidate.name for candidate in found]
    assert notes == ["SVM left out: it takes too long above 10,000 rows"]


class Net(nn.Module):
    """Somebody's own network."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.one = nn.Linear(in_features, 5)
        self.two = nn.Linear(5, out_features)

    def forward(self, X):
        return self.two(self.one(X).relu())


def test_networks_of_the_user_take_part(diabetes):
    found = {c.name: c for c in line_up(diabetes, ["Ridgecv"], {"mine": Net})[0]}
    assert list(found) == ["Dummy", "RidgeCV", "mine"]
    assert found["mine"].gear == "PyTorch"
    fitted = found["mine"].build().fit(diabetes.X, diabetes.y)
    assert count_parameters(fitted) == 10 * 5 + 5 + 5 + 1


def test_candidates_are_fresh_each_time(diabetes):
    for candidate in line_up(diabetes)[0]:
        built = candidate.build()
        assert isinstance(built, BaseEstimator)
        assert built is not candidate.build()
        seeds = [
            value for name, value in built.get_params().items() if name.endswith("random_state")
        ]
        assert set(seeds) <= {0}


def test_images_are_flat_for_scikit_learn_and_whole_for_a_cnn():
    rng = np.random.default_rng(0)
    images = open_problem(rng.random((40, 8, 8)), np.arange(40) % 2)
    found = {candidate.name: candidate for candidate in line_up(images)[0]}
    assert "cnn-net" in found
    assert "auto-net" not in found
    for name in ("LogisticRegression", "linear-net", "cnn-net"):
        fitted = found[name].build().fit(images.X, images.y)
        assert fitted.predict(images.X).shape == (40,)
    assert count_parameters(found["linear-net"].build().fit(images.X, images.y)) == 64 * 2 + 2


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameters_are_counted(diabetes):
    X, y = diabetes.X, diabetes.y
    found = {candidate.name: candidate.build() for candidate in line_up(diabetes)[0]}

    def count(name):
        return count_parameters(found[name].fit(X, y))

    assert count("Dummy") == 1
    assert count("LinearRegression") == count("linear-net") == 11
    assert count("KNeighbors") == 442 * 10
    assert count("MLPRegressor") == 10 * 100 + 100 + 100 + 1
    assert count("DecisionTree") == found["DecisionTree"][-1].tree_.node_count
    trees = found["RandomForest"].fit(X, y)[-1].estimators_
    assert count("RandomForest") == sum(tree.tree_.node_count for tree in trees)
    svr = found["SVR"].fit(X, y)[-1].regressor_
    assert count("SVR") == svr.support_vectors_.size + svr.dual_coef_.size
    assert count("HistGradientBoosting") > 100
    assert count_parameters(object()) is None


# --- columns -------------------------------------------------------------------------------------


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "size": [50.0, 80.0, np.nan, 65.0, 70.0, 90.0],
            "price": ["1.5", "2", "?", "3", "4", "5"],
            "city": ["Bonn", "Ulm", "Bonn", None, "Kiel", "Ulm"],
            "same": ["x"] * 6,
        }
    )


def test_trees_see_numbers_as_they_are(table):
    found = Columns("plain").fit_transform(table, np.arange(6.0))
    assert found[:, 0] == pytest.approx(table["size"], nan_ok=True)
    assert found[:, 1] == pytest.approx([1.5, 2, np.nan, 3, 4, 5], nan_ok=True)
    assert set(found[:, 2:].ravel()) == {0, 1}  # cities, one-hot


def test_scaled_numbers_have_no_gaps(table):
    found = Columns("scaled").fit_transform(table, np.arange(6.0))
    assert np.isfinite(found).all()
    assert found.mean(axis=0)[:2] == pytest.approx(0, abs=1e-12)
    assert found.std(axis=0)[:2] == pytest.approx(1)


def test_boosters_see_categories_and_unseen_ones_are_missing(table):
    columns = Columns("native").fit(table, np.arange(6.0))
    table.loc[0, "city"] = "Rome"
    city = columns.transform(table)["c0"]
    assert isinstance(city.dtype, pd.CategoricalDtype)
    assert set(city.cat.categories) == {"Bonn", "Kiel", "Ulm"}
    assert city.isna().tolist() == [True, False, False, True, False, False]


def test_a_table_of_labels_alone(table):
    found = Columns("native").fit_transform(table[["city"]])
    assert list(found) == ["c0"]
    problem = open_problem(table[["city"]], np.arange(6.0))
    for candidate in line_up(problem)[0]:
        assert len(candidate.build().fit(problem.X, problem.y).predict(problem.X)) == 6


def test_a_table_without_a_useful_column_is_refused(table):
    with pytest.raises(DataError, match="no column is of use"):
        Columns().fit(table[["same"]])


def test_labels_of_any_kind_for_a_classifier_that_wants_numbers():
    from sklearn.tree import DecisionTreeClassifier

    X, y = np.arange(6.0).reshape(-1, 1), np.array(list("abcabc"))
    model = clone(FromLabels(DecisionTreeClassifier())).fit(X, y)
    assert model.predict(X).tolist() == y.tolist()
    assert model.predict_proba(X).shape == (6, 3)
    assert model.score(X, y) == 1
