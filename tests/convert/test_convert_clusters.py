"""Clusters, mixtures and outliers: scores that agree with labels, offsets, what is refused."""

import numpy as np
import pytest
import torch
from sklearn import cluster, covariance, datasets, mixture
from sklearn.exceptions import ConvergenceWarning

from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.errors import ConvertError

X, _ = datasets.make_blobs(150, centers=6, n_features=3, cluster_std=2.0, random_state=0)
ASKED = np.random.default_rng(0).uniform(-15, 15, (400, 3))


@pytest.mark.parametrize(
    "model",
    [
        cluster.KMeans(6, n_init=1, random_state=0),
        cluster.MiniBatchKMeans(6, n_init=1, random_state=0),
        cluster.BisectingKMeans(7, random_state=0),
        cluster.BisectingKMeans(2, random_state=0),
        cluster.MeanShift(bandwidth=6.0),
        cluster.AffinityPropagation(random_state=0),
        cluster.Birch(n_clusters=4, threshold=1.0),
    ],
)
def test_the_largest_score_is_the_cluster_and_gradients_reach_the_centres(model):
    module = to_torch(model.fit(X))
    scores = module(torch.tensor(ASKED))
    np.testing.assert_array_equal(scores.argmax(1).numpy(), model.predict(ASKED))
    scores.square().sum().backward()
    moved = [weight.grad.abs().sum() for weight in module.parameters() if weight.grad is not None]
    assert moved
    assert min(moved) > 0


def test_bisecting_goes_down_its_tree_and_not_to_the_nearest_centre():
    model = cluster.BisectingKMeans(8, random_state=0).fit(X)
    nearest = model.transform(ASKED).argmin(1)
    assert (nearest != model.predict(ASKED)).any(), "no such row: the test shows nothing"
    parity(model, to_torch(model), ASKED).require()


@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_columns_with_a_large_offset(offset):
    model = cluster.KMeans(6, n_init=1, random_state=0).fit(X + offset)
    parity(model, to_torch(model), ASKED + offset, methods=("predict",)).require()
    # around their mean, distances keep their digits: those to centres moved back are the reference
    back = np.linalg.norm(ASKED[:, None] - (model.cluster_centers_ - offset), axis=2)
    np.testing.assert_allclose(to_torch(model).transform(ASKED + offset), back, rtol=1e-9)


def test_birch_by_labels_of_another_clusterer():
    model = cluster.Birch(n_clusters=cluster.DBSCAN(eps=2.0, min_samples=2), threshold=1.0).fit(X)
    parity(model, to_torch(model), ASKED).require()
    assert -1 in model.subcluster_labels_


def test_peaks_that_were_not_found_are_refused():
    with pytest.warns(ConvergenceWarning):
        model = cluster.AffinityPropagation(max_iter=1, random_state=0).fit(X)
    if len(model.cluster_centers_):
        pytest.skip("it has converged after all")
    with pytest.raises(ConvertError, match="no centres"):
        to_torch(model)


def test_likeness_alone_has_no_centres():
    model = cluster.AffinityPropagation(affinity="precomputed", random_state=0).fit(X @ X.T)
    with pytest.raises(ConvertError, match="affinity='precomputed'"):
        to_torch(model)


def _widest(x, axis):
    return x.max(axis=axis) - x.min(axis=axis)


def test_pools_of_ones_own_are_refused():
    model = cluster.FeatureAgglomeration(2, pooling_func=_widest).fit(X)
    with pytest.raises(ConvertError, match="_widest"):
        to_torch(model)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_components_far_from_a_row_have_no_probability_and_no_nan(kind):
    model = mixture.GaussianMixture(4, covariance_type=kind, random_state=0).fit(X)
    far = np.concatenate([ASKED, ASKED * 1e4])
    found = parity(model, to_torch(model), far).require()
    assert found.largest < 1e-9


def test_a_mixture_can_learn():
    model = mixture.GaussianMixture(3, random_state=0).fit(X)
    module = to_torch(model)
    rows = torch.tensor(X + 3.0)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    first = module.net.score_samples(rows).mean().item()
    for _ in range(20):
        optimizer.zero_grad()
        (-module.net.score_samples(rows).mean()).backward()
        optimizer.step()
    assert module.net.score_samples(rows).mean().item() > first + 0.5


def test_the_border_of_the_ellipse_is_inside():
    model = covariance.EllipticEnvelope(random_state=0).fit(X)
    module = to_torch(model)
    score = module.score_samples(X[:1])
    with torch.no_grad():
        module.net.offset.copy_(torch.tensor(score[0]))
    assert module.predict(X[:1]).tolist() == [1]
