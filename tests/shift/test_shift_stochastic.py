"""scikit-learn's own training loops: the same steps give the same weights."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.linear_model import Perceptron, SGDClassifier, SGDRegressor
from sklearn.preprocessing import StandardScaler

import manumatic as mm

X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
ORDER = np.random.default_rng(0).permutation(len(X))
X, LABELS = X[ORDER], LABELS[ORDER]
WEIGHT = np.random.default_rng(1).uniform(0.2, 3, len(X))
ROWS, TARGET = make_regression(100, 4, noise=10.0, random_state=0)
TARGET = TARGET / TARGET.std()
SAME = {"shuffle": False, "tol": None, "max_iter": 4}  # the order of rows is not drawn


def agree(estimator, net, most=1e-3):
    weight = net.model_.weight.detach().numpy()
    assert np.abs(weight - estimator.coef_).max() <= most * np.abs(estimator.coef_).max()
    bias = 0.0 if net.model_.bias is None else net.model_.bias.detach().numpy()
    assert np.abs(bias - estimator.intercept_).max() <= most * np.abs(estimator.coef_).max()


@pytest.mark.parametrize("labels", [LABELS, LABELS == 1], ids=["three", "two"])
@pytest.mark.parametrize(
    "loss",
    [
        "hinge",
        "squared_hinge",
        "perceptron",
        "log_loss",
        "modified_huber",
        "squared_error",
        "huber",
        "epsilon_insensitive",
        "squared_epsilon_insensitive",
    ],
)
def test_every_loss_of_the_classifier(loss, labels):
    rate = {"learning_rate": "invscaling", "eta0": 0.01}
    estimator = SGDClassifier(loss=loss, alpha=0.01, **rate, **SAME)
    net = mm.shift(estimator).fit(X, labels)
    agree(estimator.fit(X, labels), net)
    assert (net.predict(X) == estimator.predict(X)).mean() >= 0.99
    if loss == "log_loss":
        found, wanted = net.predict_proba(X), estimator.predict_proba(X)
        assert np.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "epsilon_insensitive"])
def test_losses_of_the_regressor(loss):
    estimator = SGDRegressor(loss=loss, alpha=0.01, **SAME)
    net = mm.shift(estimator).fit(ROWS, TARGET)
    agree(estimator.fit(ROWS, TARGET), net)
    assert np.allclose(net.predict(ROWS), estimator.predict(ROWS), atol=1e-3)


@pytest.mark.parametrize("penalty", [None, "l2", "l1", "elasticnet"])
@pytest.mark.parametrize("rate", ["optimal", "constant", "invscaling"])
def test_penalties_and_rates(penalty, rate):
    settings = {"penalty": penalty, "alpha": 0.05, "learning_rate": rate, "eta0": 0.02}
    estimator = SGDClassifier(loss="log_loss", **settings, **SAME)
    net = mm.shift(estimator).fit(X, LABELS)
    agree(estimator.fit(X, LABELS), net)


def test_what_l1_takes_away_is_exactly_zero():
    settings = {"penalty": "l1", "alpha": 0.3, "learning_rate": "constant", "eta0": 0.05}
    estimator = SGDRegressor(**settings, **SAME)
    net = mm.shift(estimator).fit(ROWS, TARGET)
    estimator.fit(ROWS, TARGET)
    zero = estimator.coef_ == 0
    assert zero.any()
    assert (net.model_.weight.detach().numpy()[0] == 0).tolist() == zero.tolist()


def test_weights_of_rows_and_classes():
    for settings in ({}, {"class_weight": {False: 1, True: 3}}):
        estimator = SGDClassifier(loss="log_loss", alpha=0.01, **settings, **SAME)
        net = mm.shift(estimator).fit(X, LABELS == 1, sample_weight=WEIGHT)
        agree(estimator.fit(X, LABELS == 1, sample_weight=WEIGHT), net)


def test_the_perceptron_moves_from_zero():
    estimator = Perceptron(**SAME, fit_intercept=False)
    net = mm.shift(estimator).fit(X, LABELS)
    agree(estimator.fit(X, LABELS), net)


def test_a_fitted_estimator_goes_on_where_it_stopped():
    estimator = SGDClassifier(loss="log_loss", alpha=0.01, **SAME).fit(X, LABELS)
    twice = clone(estimator).set_params(max_iter=8).fit(X, LABELS)
    agree(twice, mm.shift(estimator).fit(X, LABELS))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"average": True}, "average=True"),
        ({"early_stopping": True}, "early_stopping=True"),
        ({"learning_rate": "adaptive", "eta0": 0.1}, "learning_rate='adaptive'"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(settings, named):
    with pytest.raises(mm.ComponentError, match=named):
        mm.shift(SGDClassifier(**settings))


def test_weights_of_three_classes_are_refused():
    with pytest.raises(mm.ComponentError, match="where 3 classes are told apart"):
        mm.shift(SGDClassifier(class_weight="balanced")).fit(X, LABELS)
