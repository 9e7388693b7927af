"""Linear models end where scikit-learn's solvers do, and start where they ended."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from shift_cases import (
    BINARY,
    CASES,
    CLASSES,
    GAIN,
    NUMBER,
    NUMBERS,
    WEIGHT,
    difference,
    name_of,
    solutions,
)
from sklearn.base import clone, is_classifier
from sklearn.linear_model import (
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    QuantileRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.svm import LinearSVC

import manumatic as mm

MOST = 1e-3


@pytest.mark.parametrize("weights", [{}, {"sample_weight": WEIGHT}], ids=["", "weights"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_solution_is_scikit_learns(case, weights):
    fitted, net = solutions(case, **weights)
    assert difference(fitted, net) <= MOST
    bias = 0.0 if net.model_.bias is None else net.model_.bias.detach().numpy()
    scale = max(np.abs(fitted.coef_).max(), np.abs(fitted.intercept_).max())
    assert np.abs(bias - fitted.intercept_).max() <= MOST * scale
    X, _ = case[1]
    found, wanted = net.predict(X), fitted.predict(X)
    if is_classifier(fitted):
        assert (found == wanted).mean() >= 0.99
    else:
        assert np.abs(found - wanted).max() <= MOST * np.abs(wanted).max()
    assert not net.findings_, net.findings_


def test_probabilities_are_scikit_learns():
    for data in (BINARY, CLASSES):
        fitted, net = solutions((LogisticRegression(tol=1e-9, max_iter=10**4), data))
        assert np.allclose(net.predict_proba(data[0]), fitted.predict_proba(data[0]), atol=1e-4)


def test_without_a_penalty_three_classes_agree_up_to_a_shift():
    """Adding the same to all classes changes no probability."""
    X, y = CLASSES[0], np.where(np.random.default_rng(0).random(151) < 0.3, 0, CLASSES[1])
    fitted, net = solutions((LogisticRegression(C=np.inf, tol=1e-9, max_iter=10**5), (X, y)))
    assert np.allclose(net.predict_proba(X), fitted.predict_proba(X), atol=1e-3)


def test_zeros_of_the_lasso_are_zeros():
    fitted, net = solutions((Lasso(3.0, tol=1e-10), NUMBER))
    zero = fitted.coef_ == 0
    assert 0 < zero.sum() < len(zero)
    assert (net.model_.weight.detach().numpy()[0] == 0).tolist() == zero.tolist()


def test_equal_weights_count_where_the_loss_is_a_sum():
    sevens = np.full(len(WEIGHT), 7.0)
    fitted, net = solutions((Ridge(50.0), NUMBER), sample_weight=sevens)
    assert difference(fitted, net) <= MOST
    assert difference(solutions((Ridge(50.0), NUMBER))[0], net) > 10 * MOST


FITTED = [
    (Ridge(10.0), NUMBER),
    (LinearRegression(fit_intercept=False), NUMBERS),
    (LogisticRegression(tol=1e-8, max_iter=1000), BINARY),
    (LogisticRegression(tol=1e-8, max_iter=1000), CLASSES),
    (HuberRegressor(tol=1e-9, max_iter=10**4), NUMBER),
]


@pytest.mark.parametrize("case", FITTED, ids=name_of)
def test_a_fitted_estimator_is_where_training_starts(case):
    estimator, (X, y) = clone(case[0]).fit(*case[1]), case[1]
    training = mm.shift(estimator).manual(X, y)
    start = training.model.weight.detach().clone()
    assert np.allclose(start.numpy(), np.atleast_2d(estimator.coef_), rtol=1e-6)
    training.step()
    assert (training.model.weight - start).abs().max() <= 2 * MOST * start.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "data"), [(Ridge(10.0), NUMBER), (LinearSVC(loss="hinge", C=0.1), CLASSES)]
)
def test_the_ejected_script_runs_without_manumatic(estimator, data, tmp_path):
    net = mm.shift(estimator).set_params(random_state=0).fit(*data, sample_weight=WEIGHT)
    script = tmp_path / "train.py"
    text = net.eject(script, *data, sample_weight=WEIGHT)
    assert "import manumatic" not in text
    assert "class FISTA" in text
    tail = "\ntorch.save(model.state_dict(), Path(__file__).with_name('weights.pt'))\n"
    script.write_text(text + tail)
    subprocess.run([sys.executable, script], check=True, capture_output=True)
    weights = torch.load(tmp_path / "weights.pt")
    for name, weight in net.model_.state_dict().items():
        assert torch.equal(weights[name], weight)


def test_parameters_and_clones():
    shifted = mm.shift(Ridge(3.0))
    assert shifted.get_params()["optimizer__l2"] == 6.0
    X, y = NUMBER
    again = clone(shifted).set_params(optimizer__l2=20.0).fit(X, y)
    assert difference(Ridge(10.0).fit(X, y), again) <= MOST


def test_the_logbook_says_the_roles_before_and_after_a_fit():
    shifted = mm.shift(LinearRegression())
    before = [row.part for row in shifted.logbook_]
    assert before == ["data", "model", "loss", "optimizer", "loop"]
    assert "the sum of squared residuals" in str(shifted.logbook_)
    after = shifted.fit(*NUMBER).logbook_
    assert list(after[:5]) == list(mm.shift(LinearRegression()).logbook_)


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (Ridge([1.0, 2.0]), r"alpha=\[1.0, 2.0\]"),
        (LinearSVC(multi_class="crammer_singer"), "multi_class='crammer_singer'"),
        (TweedieRegressor(power=1.5, link="identity"), "link='identity'"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(estimator, named):
    with pytest.raises(mm.ComponentError, match=named):
        mm.shift(estimator)


def test_weights_of_three_classes_against_the_rest_are_refused():
    estimator = LinearSVC(class_weight="balanced")
    with pytest.raises(mm.ComponentError, match="where 3 classes are told apart"):
        mm.shift(estimator).fit(*CLASSES)
    with pytest.raises(mm.ComponentError, match="where 3 classes are told apart"):
        mm.shift(estimator.fit(*CLASSES))


def test_a_quantile_is_met_by_its_share_of_rows():
    X, y = GAIN
    net = mm.shift(QuantileRegressor(quantile=0.75, alpha=0.0)).fit(X, y)
    assert abs(np.mean(y <= net.predict(X) + 1e-4) - 0.75) <= (X.shape[1] + 1) / len(X)
