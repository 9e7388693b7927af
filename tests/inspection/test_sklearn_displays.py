"""scikit-learn's own pictures and inspection take our estimators unchanged, frames too."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_regression
from sklearn.inspection import PartialDependenceDisplay, partial_dependence, permutation_importance
from sklearn.metrics import ConfusionMatrixDisplay, PredictionErrorDisplay, confusion_matrix
from sklearn.model_selection import (
    LearningCurveDisplay,
    ValidationCurveDisplay,
    learning_curve,
    validation_curve,
)

import manumatic as mm

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def classifier(epochs=10, **parts):
    optimizer = mm.Optimizer("adam", lr=0.05)
    loop = mm.Loop(epochs=epochs)
    return mm.Classifier("mlp", optimizer=optimizer, loop=loop, random_state=0, **parts)


def regressor(epochs=10):
    optimizer = mm.Optimizer("adam", lr=0.05)
    return mm.Regressor("mlp", optimizer=optimizer, loop=mm.Loop(epochs=epochs), random_state=0)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def planted():
    """Two columns that matter, the second less, and one that does not."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["much", "useless", "some"])
    return X, 3 * X["much"] + X["some"]


def shuffled(iris, form):
    X, y = iris
    rows = np.random.default_rng(0).permutation(len(X))
    return form(X.iloc[rows]), form(y.iloc[rows])


@pytest.mark.parametrize("form", [np.asarray, lambda frame: frame], ids=["array", "frame"])
def test_learning_curves_over_the_number_of_rows(iris, form):
    X, y = shuffled(iris, form)
    asked = {"train_sizes": [0.2, 1.0], "cv": 2}
    display = LearningCurveDisplay.from_estimator(classifier(), X, y, **asked)
    sizes, train, test = learning_curve(classifier(), X, y, **asked)
    assert display.train_sizes.tolist() == sizes.tolist() == [15, 75]
    np.testing.assert_array_equal(display.test_scores, test)
    np.testing.assert_array_equal(display.train_scores, train)
    assert test[-1].mean() > 0.9
    assert len(display.lines_) == 2


@pytest.mark.parametrize(
    ("name", "values"), [("optimizer__lr", [1e-5, 5e-2]), ("loop__epochs", [1, 20])]
)
def test_validation_curves_over_parts_of_components(iris, name, values):
    X, y = shuffled(iris, lambda frame: frame)
    asked = {"param_name": name, "param_range": values, "cv": 2}
    display = ValidationCurveDisplay.from_estimator(classifier(), X, y, **asked)
    train, test = validation_curve(classifier(), X, y, **asked)
    np.testing.assert_array_equal(display.test_scores, test)
    np.testing.assert_array_equal(display.train_scores, train)
    assert test[1].mean() > test[0].mean() + 0.1
    assert display.ax_.get_xlabel() == name


@pytest.mark.parametrize("form", [np.asarray, lambda frame: frame], ids=["array", "frame"])
def test_permutation_ranks_a_useless_column_last(planted, form):
    X, y = planted
    net = regressor(20).fit(form(X), y)
    found = permutation_importance(net, form(X), y, n_repeats=3, random_state=0)
    assert np.argsort(found.importances_mean).tolist() == [1, 2, 0]
    assert found.importances_mean[1] < 0.05 < found.importances_mean[2]


def test_permutation_of_a_classifiers_columns(iris):
    X, y = shuffled(iris, lambda frame: frame)
    X = X.assign(useless=np.random.default_rng(0).normal(size=len(X)))
    net = classifier(20).fit(X, y)
    for scoring in ("accuracy", "neg_log_loss"):
        found = permutation_importance(net, X, y, n_repeats=3, scoring=scoring, random_state=0)
        assert X.columns[found.importances_mean.argmax()].startswith("petal")
    assert X.columns[np.abs(found.importances_mean).argmin()] == "useless"


@pytest.mark.parametrize("form", [np.asarray, lambda frame: frame], ids=["array", "frame"])
def test_partial_dependence_of_a_regressor(planted, form):
    X, y = planted
    net = regressor(30).fit(form(X), y)
    columns = list(X.columns) if form(X) is X else [0, 1, 2]
    asked = {"grid_resolution": 5}
    display = PartialDependenceDisplay.from_estimator(net, form(X), columns, **asked)
    assert display.axes_.size == 3
    slopes = []
    for column in columns:
        found = partial_dependence(net, form(X), [column], **asked, kind="average")
        slopes.append(np.polyfit(found["grid_values"][0], found["average"][0], 1)[0])
    assert slopes == pytest.approx([3, 0, 1], abs=0.4)


def test_partial_dependence_of_a_class_and_of_two_columns(iris):
    X, y = shuffled(iris, lambda frame: frame)
    net = classifier(20).fit(X, y)
    petal = ["petal length (cm)", "petal width (cm)"]
    display = PartialDependenceDisplay.from_estimator(
        net, X, [petal[0], petal], target=0, grid_resolution=4
    )
    assert display.axes_.size == 2
    averages = partial_dependence(net, X, petal[:1], grid_resolution=4, kind="average")["average"]
    assert averages.shape == (3, 4)  # a row a class
    assert averages.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert np.all(np.diff(averages[0]) < 0)  # setosa has short petals


def test_partial_dependence_of_a_column_of_words():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=200), "city": rng.choice(["Bonn", "Ulm"], 200)})
    y = X["size"] + 5 * (X["city"] == "Ulm")
    net = regressor(30).fit(X, y)
    display = PartialDependenceDisplay.from_estimator(
        net, X, ["city"], categorical_features=["city"]
    )
    assert display.axes_.size == 1
    [low, high] = partial_dependence(
        net, X, ["city"], categorical_features=["city"], kind="average"
    )["average"][0]
    assert high - low == pytest.approx(5, abs=0.7)


def test_confusion_matrix(iris):
    X, y = shuffled(iris, lambda frame: frame)
    names = load_iris().target_names[y]
    net = classifier().fit(X, names)
    display = ConfusionMatrixDisplay.from_estimator(net, X, names)
    expected = confusion_matrix(names, net.predict(X))
    np.testing.assert_array_equal(display.confusion_matrix, expected)
    assert display.display_labels.tolist() == net.classes_.tolist()
    assert expected.trace() > 130


@pytest.mark.parametrize("kind", ["residual_vs_predicted", "actual_vs_predicted"])
def test_residuals(kind):
    X, y = make_regression(80, 3, noise=1.0, random_state=0)
    net = regressor(30).fit(X, y)
    display = PredictionErrorDisplay.from_estimator(net, X, y, kind=kind)
    np.testing.assert_array_equal(display.y_pred, net.predict(X))
    np.testing.assert_array_equal(display.y_true, y)
    assert display.ax_.collections
