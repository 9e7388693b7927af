"""The door: what is covered, what is refused, and estimators of one's own."""

import subprocess
import sys

import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

import manumatic as mm
from manumatic.shift.registry import Shift

COVERED = [
    *("ElasticNet", "GammaRegressor", "HuberRegressor", "LinearRegression", "LinearSVC"),
    *("LinearSVR", "LogisticRegression", "MLPClassifier", "MLPRegressor", "PLSRegression"),
    *("Lasso", "Perceptron", "PoissonRegressor", "QuantileRegressor", "Ridge", "RidgeClassifier"),
    *("SGDClassifier", "SGDRegressor", "TweedieRegressor"),
]


def test_what_is_covered():
    assert {f"sklearn.{name}" for name in COVERED} <= set(mm.shiftable())
    assert mm.shiftable() == sorted(mm.shiftable())


def test_what_is_not_covered_says_so_by_name():
    with pytest.raises(mm.ComponentError, match=r"KNeighborsClassifier cannot be shifted\."):
        mm.shift(KNeighborsClassifier())
    with pytest.raises(
        mm.ComponentError, match=r"KernelRidge cannot be shifted\. Did you mean 'Ridge'"
    ):
        mm.shift(KernelRidge())


def test_a_class_is_no_estimator():
    with pytest.raises(mm.ComponentError, match=r"mm\.shift\(Ridge\(\)\)"):
        mm.shift(Ridge)


class Own(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        return self


def test_an_estimator_of_ones_own():
    mm.shifts(Own)(lambda estimator: Shift(mm.Regressor("linear"), {"loss": ("a", "b")}))
    assert str(mm.shift(Own()).logbook_) == "loss  a  b"
    assert any(name.endswith("Own") for name in mm.shiftable())


def test_a_subclass_is_taken_unless_its_fit_is_its_own():
    class Same(Ridge):
        pass

    class Other(Ridge):
        def fit(self, X, y):
            return self

    assert mm.shift(Same(2.0)).optimizer.arguments["l2"] == 4.0
    with pytest.raises(mm.ComponentError, match="Other has a fit of its own"):
        mm.shift(Other())


def test_shift_stays_the_function_whoever_imports_its_package_first():
    code = "import manumatic.shift, manumatic as mm\nassert callable(mm.shift), mm.shift"
    subprocess.run([sys.executable, "-c", code], check=True)
