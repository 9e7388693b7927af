"""The statistics by hand and by scipy, each rule by its numbers, and the gear by golden data."""

import math

import numpy as np
import pytest
from scipy import stats

from manumatic.compare.candidates import Candidate
from manumatic.compare.contest import compare
from manumatic.compare.metric import Metric
from manumatic.compare.race import Row
from manumatic.compare.verdict import AID, decide, judge, paired_test

RMSE = Metric("neg_root_mean_squared_error", "RMSE", -1, "")
ACCURACY = Metric("accuracy", "accuracy", 1, "")
NOISE = np.array([0.2, -0.3, 0.1, -0.2, 0.2])


# --- the corrected resampled t-test --------------------------------------------------------------


def test_the_correction_by_hand():
    """d = 1, 2, 3, 2, 2: mean 2, variance 0.5, J = 5, n_test/n_train = 1/4."""
    found = paired_test([3.0, 5.0, 6.0, 4.0, 3.0], [2.0, 3.0, 3.0, 2.0, 1.0], ratio=0.25)
    assert found.difference == 2
    assert found.t == pytest.approx(2 / math.sqrt((1 / 5 + 1 / 4) * 0.5))
    t = found.t  # with 4 degrees of freedom the distribution has a closed form
    closed = 0.5 + t / math.sqrt(4 + t * t) * (6 + t * t) / (4 + t * t) / 2
    assert found.p == pytest.approx(2 * (1 - closed))


def test_without_an_overlap_it_is_the_plain_paired_t_test():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=10), rng.normal(size=10)
    expected = stats.ttest_rel(ours, theirs)
    found = paired_test(ours, theirs, ratio=0.0)
    assert (found.t, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_equal_scores_are_no_difference_and_constant_ones_are():
    assert paired_test([1.0, 2.0], [1.0, 2.0], 0.25).p == 1
    assert paired_test([2.0, 3.0], [1.0, 2.0], 0.25)[1:] == (math.inf, 0)


# --- rules ---------------------------------------------------------------------------------------


def row(name, scores, *, gear="scikit-learn", family="linear", rank=1, seconds=0.01):
    """A finished row."""
    scores = [float(score) for score in scores]
    made = Row(Candidate(name, gear, family, rank, None), scores, [seconds] * len(scores))
    made.finished = True
    return made


def dummy(level):
    return row("Dummy", level + NOISE, family="baseline", rank=0, seconds=0.001)


def net(name, scores, seconds=1.0):
    return row(name, scores, gear="PyTorch", family="network", rank=20, seconds=seconds)


def verdict(*rows, metric=RMSE, images=False):
    return decide(judge(rows, metric, 0.25), metric, 0.25, images)


def test_rows_are_judged_against_the_best():
    failed = Row(Candidate("broken", "PyTorch", "network", 20, None), error="ValueError: no")
    ranked = judge([failed, dummy(9), row("a", 5 + NOISE), row("b", 5.01 - NOISE)], RMSE, 0.25)
    assert [(r.name, r.verdict) for r in ranked] == [
        *(("a", "best"), ("b", "tie"), ("Dummy", "worse"), ("broken", "failed")),
    ]
    assert ranked[1].difference == pytest.approx(0.01)
    assert judge([row("a", [0.7, 0.8]), row("b", [0.9, 0.8])], ACCURACY, 0.25)[0].name == "b"


def test_noise_is_a_job_for_neither_gear():
    found = verdict(dummy(5), row("Ridge", 5 - 0.01 * NOISE), net("mlp-net", 5 + NOISE[::-1]))
    assert (found.gear, found.model, found.rule) == ("neither", "Dummy", "noise")
    assert (
        found.sentences[0] == "Nothing beats guessing by more than noise: RMSE 5.00 ± 0.23 (Dummy)."
    )
    assert str(found).startswith("gear: NEITHER  [noise]\n      Nothing beats guessing")
    assert str(found).endswith(AID)


def test_a_tie_goes_to_the_simpler_gear_even_when_the_network_leads():
    found = verdict(dummy(9), row("Linear", 5 + NOISE), net("mlp-net", 4.9 - NOISE, seconds=0.5))
    assert (found.gear, found.model) == ("scikit-learn", "Linear")
    assert found.rule == "tie-goes-to-simpler"
    assert found.sentences[1].startswith("The best network, mlp-net, leads Linear by 0.10 RMSE")
    assert found.sentences[1].endswith(": a statistical tie.")
    assert found.sentences[2] == "It takes 50 times longer to fit: 500 ms, Linear 10.0 ms."
    assert "gear: AUTOMATIC (scikit-learn)" in str(found)


def test_a_network_wins_when_all_of_scikit_learn_is_worse():
    rows = dummy(9), row("Linear", 7 + NOISE), row("Trees", 5 + NOISE, family="trees")
    found = verdict(*rows, net("mlp-net", 1 + NOISE))
    assert (found.gear, found.model, found.rule) == ("PyTorch", "mlp-net", "network-wins")
    assert "The best scikit-learn model, Trees, trails mlp-net by 4.00 RMSE" in found.sentences[1]
    assert found.sentences[2].startswith("It fits 100 times faster")
    assert verdict(*rows, net("cnn-net", 1 + NOISE), images=True).rule == "images"


@pytest.mark.parametrize(
    ("family", "rule"), [("trees", "trees-win"), ("kernel", "scikit-learn-wins")]
)
def test_scikit_learn_wins(family, rule):
    found = verdict(dummy(9), row("it", 2 + NOISE, family=family), net("mlp-net", 5 + NOISE))
    assert (found.gear, found.model, found.rule) == ("scikit-learn", "it", rule)


def test_within_a_gear_the_simplest_within_a_standard_error_is_taken():
    forest = row("Forest", 5 + NOISE, family="trees", rank=6)
    near, far = row("near", 5.05 - NOISE, rank=1), row("far", 5.5 - NOISE, rank=0)
    found = verdict(dummy(9), forest, near, far, net("mlp-net", 8 + NOISE))
    assert judge([forest, near, far], RMSE, 0.25)[2].verdict == "tie"
    assert found.model == "near"
    assert found.sentences[1].startswith("Forest leads near by 0.05 RMSE on the same 5 folds (p =")


def test_one_gear_alone_and_none_at_all():
    assert verdict(dummy(9), row("Linear", 5 + NOISE)).rule == "one-gear-only"
    assert verdict(dummy(9), net("mlp-net", 5 + NOISE)).gear == "PyTorch"
    broken = Row(Candidate("broken", "PyTorch", "network", 20, None), error="ValueError: no")
    found = verdict(dummy(9), broken)
    assert (found.gear, found.rule) == ("neither", "nothing-finished")
    assert found.sentences == ("No model finished. broken: ValueError: no",)


# --- golden data: all candidates, honest numbers -------------------------------------------------


@pytest.mark.slow
def test_linear_data_stay_with_linear_regression():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    found = compare(X, X @ [3.0, -2.0, 1.0, 0.0, 0.0] + rng.normal(size=300)).verdict
    assert (found.gear, found.model) == ("scikit-learn", "LinearRegression")


@pytest.mark.slow
def test_a_product_of_waves_is_a_job_for_a_network():
    """Two of four columns act as sin(3a) cos(3b): 1,000 rows are too few for trees."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (1000, 4))
    y = np.sin(3 * X[:, 0]) * np.cos(3 * X[:, 1]) + 0.05 * rng.normal(size=1000)
    result = compare(X, y)
    assert (result.verdict.gear, result.verdict.rule) == ("PyTorch", "network-wins")
    best = min(r.mean for r in result.rows if r.gear == "scikit-learn")
    assert result.rows[0].mean < 0.6 * best


@pytest.mark.slow
def test_steps_are_a_job_for_trees():
    """A chessboard of 16 x 16 random levels, twelve rows a field."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 16, (3000, 4))
    levels = rng.normal(size=(16, 16))[X[:, 0].astype(int), X[:, 1].astype(int)]
    found = compare(X, levels + 0.1 * rng.normal(size=3000)).verdict
    assert (found.gear, found.rule) == ("scikit-learn", "trees-win")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_noise_is_called_noise(seed):
    rng = np.random.default_rng(seed)
    found = compare(rng.normal(size=(300, 5)), rng.normal(size=300)).verdict
    assert (found.gear, found.rule) == ("neither", "noise")


@pytest.mark.slow
def test_on_small_digits_a_cnn_ties_and_the_verdict_says_so():
    """1,797 images of 8 x 8: a network leads by half a point, which folds cannot tell."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    result = compare(
        digits.images, digits.target, models=["SVC", "RandomForest", "cnn-net"], folds=3
    )
    scores = {r.name: r.mean for r in result.rows}
    assert scores["cnn-net"] > 0.97
    assert scores["RandomForest"] < scores["cnn-net"]
    assert result.verdict.rule in ("tie-goes-to-simpler", "images")
