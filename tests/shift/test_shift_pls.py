"""Partial least squares is conjugate gradients, stopped early."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_diabetes

import manumatic as mm

X, TARGET = load_diabetes(return_X_y=True, scaled=False)
X, TARGET = X[:150], TARGET[:150]


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("components", [1, 2, 4])
def test_as_many_steps_as_components(components, scale):
    estimator = PLSRegression(components, scale=scale)
    net = mm.shift(estimator).fit(X, TARGET)
    estimator.fit(X, TARGET)
    wanted = estimator.predict(X)
    assert np.abs(net.predict(X) - wanted).max() <= 1e-3 * np.abs(wanted).max()
    coef = net.model_.weight.detach().numpy()[0]
    coef = coef / (net.preprocess_.scale_ if scale else 1.0)
    assert np.abs(coef - estimator.coef_[0]).max() <= 1e-3 * np.abs(estimator.coef_).max()
    assert net.n_iter_ == components


def test_a_fitted_one_starts_from_its_weights():
    estimator = PLSRegression(3).fit(X, TARGET)
    training = mm.shift(estimator).manual(X, TARGET)
    assert np.allclose(training.automatic().predict(X), estimator.predict(X), rtol=1e-4)


def test_several_targets_are_refused():
    with pytest.raises(mm.ComponentError, match="on 2 targets"):
        mm.shift(PLSRegression(2)).fit(X, np.c_[TARGET, TARGET])
