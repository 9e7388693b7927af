"""What the doctor says of a contest."""

import numpy as np
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

import manumatic as mm
from manumatic.compare.contest import plan
from manumatic.compare.findings import look_at
from manumatic.compare.folds import Folds

NET = {"net": mm.Regressor("linear", loop=mm.Loop(30), random_state=0)}


def test_a_healthy_contest_has_no_findings():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    comparison = mm.compare(X, y, models=["LinearRegression", "net"], nets=NET, folds=3)
    assert comparison.findings == []
    assert comparison.facts()["findings"] == []


def test_columns_that_were_scaled_before_the_split():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X = StandardScaler().fit_transform(X)
    comparison = mm.compare(X, y, models=["LinearRegression"], folds=3)
    assert comparison.findings.codes == ["MM403"]
    assert "all 10 columns of X have mean 0.000" in str(comparison)
    assert comparison.facts()["findings"][0]["severity"] == "tip"


def test_a_network_that_does_not_beat_guessing(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 3)), rng.normal(size=90)
    comparison = mm.compare(X, y, models=["LinearRegression", "net"], nets=NET, folds=3)
    assert "MM405" in comparison.findings.codes
    page = comparison.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>MM405</b> net" in page


def test_folds_in_the_order_of_sorted_rows():
    """Our own folds are shuffled; these are not."""
    X, y = load_iris(return_X_y=True)
    contest = plan(X, y, models=["KNeighbors"], folds=3)
    sorted_ = Folds(list(KFold(3).split(X)), "3 folds", ())
    assert look_at(contest.problem, contest.folds, [], contest.metric) == []
    found = look_at(contest.problem, sorted_, [], contest.metric)
    assert found.codes == ["MM404"]
    assert "accuracy can be 0.00 0.00 0.00 at most" in found[0].message
