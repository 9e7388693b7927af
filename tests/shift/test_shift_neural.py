"""scikit-learn's neural network, from the same weights along the same batches."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from torch import nn

import manumatic as mm

X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
ORDER = np.random.default_rng(0).permutation(len(X))
X, LABELS = X[ORDER], LABELS[ORDER]
ROWS, TARGET = make_regression(90, 4, n_targets=2, noise=10.0, random_state=0)
TARGET = TARGET / TARGET.std()
BATCHES = {"batch_size": 40, "shuffle": False}  # the last one is shorter


def fit(estimator, X, y, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.set_params(**settings).fit(X, y)


def agree(estimator, net, most=1e-3):
    layers = [layer for layer in net.model_ if isinstance(layer, nn.Linear)]
    for layer, coef, intercept in zip(layers, estimator.coefs_, estimator.intercepts_, strict=True):
        weight = layer.weight.detach().numpy().T
        assert np.abs(weight - coef).max() <= most * np.abs(coef).max()
        assert np.abs(layer.bias.detach().numpy() - intercept).max() <= most


def same_steps(estimator, X, y):
    """From weights of one epoch on, both with an optimizer that begins."""
    fit(estimator, X, y, max_iter=1)
    estimator.set_params(max_iter=5, n_iter_no_change=1000)
    net = mm.shift(estimator).fit(X, y)
    fit(estimator, X, y, warm_start=True)
    return estimator, net


@pytest.mark.parametrize("alpha", [1e-4, 3.0])
@pytest.mark.parametrize("labels", [LABELS, LABELS == 1], ids=["three", "two"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_classifier_takes_the_same_steps(solver, labels, alpha):
    settings = {"solver": solver, "alpha": alpha, "learning_rate_init": 0.01, "random_state": 0}
    estimator = MLPClassifier((8, 5), activation="tanh", **settings, **BATCHES)
    estimator, net = same_steps(estimator, X, labels)
    agree(estimator, net)
    assert np.allclose(net.predict_proba(X), estimator.predict_proba(X), atol=1e-4)
    assert (net.predict(X) == estimator.predict(X)).all()


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_the_regressor_takes_the_same_steps(activation):
    settings = {"solver": "sgd", "learning_rate_init": 0.01, "random_state": 0, "alpha": 0.5}
    estimator = MLPRegressor(hidden_layer_sizes=(6,), activation=activation, **settings, **BATCHES)
    estimator, net = same_steps(estimator, ROWS, TARGET)
    agree(estimator, net)
    assert np.allclose(net.predict(ROWS), estimator.predict(ROWS), atol=1e-3)


def test_counts_have_a_poisson_loss():
    counts = np.random.default_rng(0).poisson(np.exp(ROWS[:, 0] / 2))
    estimator = MLPRegressor(
        hidden_layer_sizes=(4,), loss="poisson", solver="sgd", random_state=0, **BATCHES
    )
    estimator, net = same_steps(estimator, ROWS, counts)
    agree(estimator, net)
    assert np.allclose(net.predict(ROWS), estimator.predict(ROWS), rtol=1e-3)


def test_full_batches_end_in_a_minimum():
    """One hidden layer without activation has one minimum.

    One target: scikit-learn 1.9's loss averages over targets and its gradient adds them up, so
    that its line search gives up early on two.
    """
    settings = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 2000, "tol": 1e-10}
    estimator = MLPRegressor(
        hidden_layer_sizes=(3,), activation="identity", random_state=0, **settings
    )
    net = mm.shift(estimator).set_params(random_state=3).fit(ROWS, TARGET[:, 0])
    fit(estimator, ROWS, TARGET[:, 0])
    found, wanted = net.predict(ROWS), estimator.predict(ROWS)
    assert np.abs(found - wanted).max() <= 1e-3 * np.abs(wanted).max()


def test_a_fitted_network_starts_from_its_weights():
    estimator = fit(MLPClassifier((8,), random_state=0), X, LABELS, max_iter=30)
    training = mm.shift(estimator).manual(X, LABELS)
    before = training.automatic().predict_proba(X)
    assert np.allclose(before, estimator.predict_proba(X), atol=1e-5)


def test_it_starts_as_scikit_learn_does():
    estimator = MLPClassifier((400,), activation="logistic")
    dense = mm.shift(estimator).manual(X, LABELS).model[0]
    bound = np.sqrt(2 / (4 + 400))
    assert dense.weight.abs().max() <= bound
    assert dense.weight.std().item() == pytest.approx(bound / np.sqrt(3), rel=0.05)


def test_early_stopping_holds_rows_out():
    estimator = MLPClassifier(early_stopping=True, n_iter_no_change=3, validation_fraction=0.2)
    net = mm.shift(estimator)
    assert (net.loop.patience, net.loop.keep, net.data.validation) == (3, "best", 0.2)
    assert "validation loss; scikit-learn by the score" in str(net.logbook_)


def test_rates_that_follow_the_loss_are_refused():
    with pytest.raises(mm.ComponentError, match="learning_rate='adaptive'"):
        mm.shift(MLPClassifier(solver="sgd", learning_rate="adaptive"))
