"""skore's reports take our estimators as they take scikit-learn's."""

import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

import manumatic as mm

skore = pytest.importorskip("skore")


def split(load):
    X, y = load(return_X_y=True, as_frame=True)
    return train_test_split(X, y, random_state=0)


def test_a_report_on_a_classifier():
    X, X_test, y, y_test = split(load_iris)
    net = mm.Classifier("mlp", loop=mm.Loop(30), random_state=0)
    report = skore.EstimatorReport(net, X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    assert report.metrics.accuracy() == pytest.approx(report.estimator_.score(X_test, y_test))
    fitted = skore.EstimatorReport(report.estimator_, X_test=X_test, y_test=y_test)
    assert min(fitted.metrics.roc_auc().values()) > 0.7


def test_a_report_on_a_regressor():
    X, X_test, y, y_test = split(load_diabetes)
    net = mm.Regressor("linear", loop=mm.Loop(30), random_state=0)
    report = skore.EstimatorReport(net, X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    wanted = root_mean_squared_error(y_test, report.estimator_.predict(X_test))
    assert report.metrics.rmse() == pytest.approx(wanted)
    importance = report.inspection.permutation_importance(n_repeats=1)
    assert "bmi" in str(importance.frame())
