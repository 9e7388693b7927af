"""Neighbours: rows that are there twice, rows equally far, rows far out, rows alone."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn import neighbors

from manumatic.convert.module import to_torch
from manumatic.convert.nearest import nearest_of
from manumatic.convert.parity import parity
from manumatic.convert.registry import Build
from manumatic.errors import ConvertError, DataError

RNG = np.random.default_rng(0)
GRID = RNG.integers(0, 5, (300, 3)).astype(float)  # full of twins and ties
ASKED = RNG.integers(-1, 7, (80, 3)).astype(float)
X = RNG.normal(size=(400, 4))
Y = RNG.normal(size=(60, 4))


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree", "brute"])
@pytest.mark.parametrize("p", [1, 2, 3, np.inf])
def test_neighbours_are_as_far_as_those_of_scikit_learn(algorithm, p):
    model = neighbors.NearestNeighbors(n_neighbors=7, algorithm=algorithm, p=p).fit(GRID)
    distances, numbers = nearest_of(model, 7, Build())(torch.tensor(ASKED))
    distances, numbers = distances.numpy(), numbers.numpy()
    np.testing.assert_allclose(
        np.sort(distances, 1), model.kneighbors(ASKED)[0], rtol=1e-14, atol=0
    )
    metric = {1: "cityblock", np.inf: "chebyshev"}.get(p, "minkowski")
    given = {"p": p} if metric == "minkowski" else {}
    exact = np.take_along_axis(cdist(ASKED, GRID, metric, **given), numbers, 1)
    np.testing.assert_allclose(distances, exact, rtol=1e-14, atol=0)
    assert all(len(set(row)) == 7 for row in numbers.tolist()), "a row counted twice"


def test_where_the_last_neighbour_is_clear_the_votes_are_the_same():
    labels = RNG.integers(0, 3, len(GRID))
    model = neighbors.KNeighborsClassifier(7).fit(GRID, labels)
    sorted_distances = np.sort(cdist(ASKED, GRID), 1)
    clear = sorted_distances[:, 6] < sorted_distances[:, 7]
    assert 5 < clear.sum() < len(ASKED)
    parity(model, to_torch(model), ASKED[clear]).require()


def test_of_rows_equally_far_the_first_in_the_tree_counts():
    rows, values = np.zeros((50, 1)), 2.0 ** np.arange(50)
    model = neighbors.KNeighborsRegressor(3, algorithm="brute").fit(rows, values)
    assert to_torch(model).predict([[1.0]]) == np.mean([1, 2, 4])
    # scikit-learn's order depends on its heap; it takes three of the fifty, too
    assert bin(round(3 * model.predict([[1.0]])[0])).count("1") == 3


def test_twins_with_different_labels_share_the_vote():
    rows = np.repeat(X[:40], 3, 0)
    labels = np.tile(["a", "b", "b"], 40)
    model = neighbors.KNeighborsClassifier(6, weights="distance").fit(rows, labels)
    parity(model, to_torch(model), np.concatenate([X[:40], Y])).require()


def test_a_row_that_is_there_decides_alone():
    values = RNG.normal(size=len(X))
    model = neighbors.KNeighborsRegressor(5, weights="distance").fit(X, values)
    found = to_torch(model).predict(X)
    np.testing.assert_array_equal(found, values)
    module = to_torch(model)
    rows = torch.tensor(X[:9], requires_grad=True)
    module(rows).sum().backward()
    assert rows.grad.isfinite().all()


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_columns_with_a_large_offset(offset):
    rows, asked = X + offset, Y + offset
    model = neighbors.KNeighborsRegressor(3, algorithm="kd_tree").fit(rows, X[:, 0])
    parity(model, to_torch(model), asked).require()


def test_far_more_twins_than_neighbours():
    rows = np.concatenate([np.zeros((200, 4)), X])
    values = np.arange(len(rows), dtype=float)
    model = neighbors.KNeighborsRegressor(4).fit(rows, values)
    distances, _ = nearest_of(model, 4, Build())(torch.tensor(Y * 1e-3))
    np.testing.assert_allclose(np.sort(distances, 1), model.kneighbors(Y * 1e-3)[0], rtol=1e-13)


def test_several_targets_of_words():
    labels = np.array([["a", "x"], ["b", "x"], ["b", "y"], ["c", "z"]])[RNG.integers(0, 4, len(X))]
    model = neighbors.KNeighborsClassifier(3).fit(X, labels)
    module = to_torch(model)
    parity(model, module, Y).require()
    assert module.predict(Y).tolist() == model.predict(Y).tolist()


def test_a_row_without_neighbours():
    labels = np.where(X[:, 0] > 0, "yes", "no")
    alone = np.array([[1e3, 0, 0, 0], *Y])
    model = neighbors.RadiusNeighborsClassifier(3.0).fit(X, labels)
    parity(model, to_torch(model), Y).require()
    with pytest.raises(DataError, match="row 0 has no neighbours"):
        to_torch(model).predict(alone)
    model = neighbors.RadiusNeighborsClassifier(3.0, outlier_label="yes").fit(X, labels)
    parity(model, to_torch(model), alone).require()
    model = neighbors.RadiusNeighborsClassifier(3.0, outlier_label="no!").fit(X, labels)
    with pytest.raises(ConvertError, match="outlier_label='no!'"):
        to_torch(model)
    numbers = neighbors.RadiusNeighborsRegressor(3.0).fit(X, X[:, 0])
    assert np.isnan(to_torch(numbers).predict(alone)).tolist() == [True] + [False] * len(Y)


def test_the_border_of_the_radius_is_within():
    rows = np.array([[0.0, 0.0], [0.3, 0.4], [6.0, 8.0]])
    model = neighbors.RadiusNeighborsRegressor(10.0).fit(rows, [1.0, 2.0, 4.0])
    asked = np.array([[0.0, 0.0], [12.0, 16.0]])
    np.testing.assert_allclose(to_torch(model).predict(asked), model.predict(asked), rtol=1e-15)


def _tilted(distances):
    return distances + 1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (neighbors.KNeighborsClassifier(weights=_tilted), "weights=<function _tilted"),
        (neighbors.KNeighborsClassifier(metric="canberra"), "metric='canberra'"),
        (neighbors.KNeighborsClassifier(metric=lambda a, b: 1.0), "metric=<function"),
        (
            neighbors.KNeighborsClassifier(metric="minkowski", metric_params={"w": np.ones(4)}),
            "metric_params='w'",
        ),
        (neighbors.KernelDensity(metric="haversine"), "metric='haversine'"),
        (neighbors.LocalOutlierFactor(), "novelty=False"),
    ],
)
def test_refused_by_name(model, said):
    columns = 2 if "haversine" in said else 4
    model.fit(X[:, :columns], X[:, 0] > 0)
    with pytest.raises(ConvertError, match=said):
        to_torch(model)


def test_densities_keep_their_digits_where_scikit_learn_loses_them():
    rows = X * 5
    model = neighbors.KernelDensity(bandwidth=0.5).fit(rows)
    asked = np.concatenate([rows[:20] + 0.1, Y * 9])
    squares = cdist(asked, rows, "sqeuclidean") / 0.25
    exact = logsumexp(-0.5 * squares, axis=1) - np.log(len(rows)) - 2 * np.log(2 * np.pi * 0.25)
    np.testing.assert_allclose(to_torch(model).score_samples(asked), exact, rtol=1e-12)
    assert np.abs(model.score_samples(asked) - exact).max() > 0.1


@pytest.mark.parametrize("kernel", ["gaussian", "tophat", "epanechnikov", "exponential", "linear"])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_densities_of_few_columns(kernel, columns):
    model = neighbors.KernelDensity(kernel=kernel, leaf_size=500).fit(X[:, :columns])
    parity(model, to_torch(model), Y[:, :columns]).require()


def test_densities_with_weights():
    model = neighbors.KernelDensity(leaf_size=500)
    model.fit(X, sample_weight=RNG.uniform(0.1, 3, len(X)))
    parity(model, to_torch(model), Y).require()


@pytest.mark.parametrize("columns", [1, 2, 4, 5])
def test_bumps_of_a_cosine_have_the_size_that_scikit_learn_gives_them(columns):
    model = neighbors.KernelDensity(kernel="cosine", leaf_size=500).fit(X.repeat(2, 1)[:, :columns])
    parity(model, to_torch(model), Y.repeat(2, 1)[:, :columns]).require()
