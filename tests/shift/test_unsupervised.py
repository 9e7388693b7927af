"""shift of PCA, KMeans, GaussianMixture and NMF: scikit-learn's solutions by gradient descent."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_blobs
from sklearn.decomposition import NMF, PCA
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import manumatic as mm
from manumatic.shift.registry import shift

sys.path.insert(0, str(Path(__file__).parents[1] / "gears"))
from agreement import run_script
from test_agree import same


def standard(load, rows=None):
    return StandardScaler().fit_transform(load().data[:rows])


def likelihood(net, X):
    with torch.no_grad():
        return net.model_(torch.tensor(X, dtype=torch.float32)).log_likelihood.mean().item()


def left_over(net, X):
    return np.linalg.norm(net.inverse_transform(net.transform(X)) - X)


# --- PCA ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("number", [1, 3])
def test_pca_its_space_and_what_it_explains(load, number):
    X = standard(load)
    pca, net = PCA(number).fit(X), shift(PCA(number, random_state=0)).fit(X)
    decoder = net.model_.decoder.weight.detach().double().numpy()
    assert subspace_angles(decoder, pca.components_.T).max() < 1e-3
    explained = 1 - left_over(net, X) ** 2 / (X**2).sum()
    assert explained == pytest.approx(pca.explained_variance_ratio_.sum(), rel=1e-3)


@pytest.mark.parametrize("whiten", [False, True])
def test_pca_fitted_starts_from_its_components(whiten):
    X = standard(load_wine) + 3
    pca = PCA(2, whiten=whiten).fit(X)
    net = shift(pca).manual(X).automatic()
    assert np.allclose(net.transform(X), pca.transform(X), atol=1e-5)
    code = pca.transform(X)
    assert np.allclose(net.inverse_transform(code), pca.inverse_transform(code), atol=1e-5)


# --- KMeans ------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits])
@pytest.mark.parametrize("number", [3, 8])
def test_kmeans_from_the_same_centres(load, number):
    X = standard(load, 500)
    kmeans = KMeans(number, init=X[:: len(X) // number][:number], n_init=1, tol=0)
    net = shift(kmeans).fit(X)
    kmeans.fit(X)
    distances = net.transform(X)
    assert (distances.min(axis=1) ** 2).sum() == pytest.approx(kmeans.inertia_, rel=1e-6)
    assert np.array_equal(distances.argmin(axis=1), kmeans.labels_)
    assert np.allclose(distances, kmeans.transform(X), atol=1e-4)
    squares = net.history_.curve("loss", "train")[-1][1]
    assert squares * len(X) == pytest.approx(kmeans.inertia_, rel=1e-4)


def test_kmeans_from_centres_that_it_draws():
    X, _ = make_blobs(300, centers=5, n_features=4, cluster_std=0.5, random_state=0)
    wanted = KMeans(5, random_state=0).fit(X).inertia_
    found = shift(KMeans(5, random_state=0)).fit(X).transform(X).min(axis=1)
    assert (found**2).sum() == pytest.approx(wanted, rel=1e-3)


def test_kmeans_fitted_starts_from_its_centres():
    X = standard(load_iris)
    kmeans = KMeans(3, n_init=1, random_state=0).fit(X)
    net = shift(kmeans).manual(X).automatic()
    assert np.allclose(net.transform(X), kmeans.transform(X), atol=1e-5)
    back = net.inverse_transform(net.transform(X))
    assert np.allclose(back, kmeans.cluster_centers_[kmeans.labels_], atol=1e-5)


# --- mixtures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
def test_a_mixture_from_the_same_start(kind, load):
    """One step of EM settles the start; a likelihood may end higher than EM's, never lower."""
    X = standard(load)[:, :5]
    options = {"n_components": 3, "covariance_type": kind, "random_state": 0}
    net = shift(GaussianMixture(**options, max_iter=1).fit(X)).fit(X)
    wanted = GaussianMixture(**options, tol=1e-7, max_iter=3000).fit(X).score(X)
    assert likelihood(net, X) > wanted - 1e-3 * abs(wanted)
    assert -net.history_.curve("loss", "train")[-1][1] == pytest.approx(
        likelihood(net, X), rel=1e-4
    )


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_mixture_from_a_start_of_its_own(kind):
    X, _ = make_blobs(300, centers=3, n_features=4, random_state=0)
    gaussians = GaussianMixture(3, covariance_type=kind, random_state=0)
    net = shift(gaussians).fit(X)
    wanted = gaussians.fit(X).score(X)
    assert likelihood(net, X) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_mixture_fitted_is_the_same_mixture(kind):
    X = load_wine().data[:, :4]  # in its own units
    gaussians = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    net = shift(gaussians).manual(X).automatic()
    assert np.allclose(net.transform(X), gaussians.predict_proba(X), atol=1e-4)
    assert likelihood(net, X) == pytest.approx(gaussians.score(X), rel=1e-5)


# --- parts -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer, load_digits])
@pytest.mark.parametrize("number", [2, 5])
def test_nmf_leaves_no_more_over(load, number):
    X = MinMaxScaler().fit_transform(load().data[:200])
    nmf = NMF(number, max_iter=20_000, tol=1e-7, random_state=0)
    net = shift(nmf).fit(X)
    nmf.fit(X)
    assert left_over(net, X) < nmf.reconstruction_err_ * (1 + 1e-3)
    assert net.transform(X).min() >= 0
    assert net.model_.parts.min() >= 0


def test_nmf_fitted_starts_from_its_parts():
    X = MinMaxScaler().fit_transform(load_wine().data)
    nmf = NMF(3, max_iter=5000, tol=1e-7, random_state=0).fit(X)
    net = shift(nmf).manual(X).automatic()
    assert left_over(net, X) == pytest.approx(nmf.reconstruction_err_, rel=1e-5)
    assert np.allclose(net.transform(X), nmf.transform(X), atol=2e-3)


# --- all four ----------------------------------------------------------------------------------

FOUR = [
    PCA(2, random_state=0),
    KMeans(3, random_state=0),
    GaussianMixture(2, random_state=0),
    NMF(2, random_state=0, max_iter=2000),
]


@pytest.mark.slow
@pytest.mark.parametrize("known", FOUR, ids=lambda known: type(known).__name__)
@pytest.mark.parametrize("fitted", [False, True], ids=["not fitted", "fitted"])
def test_the_script_trains_to_the_same_weights(known, fitted, tmp_path):
    X = MinMaxScaler().fit_transform(load_iris().data)
    net = shift(clone(known).fit(X) if fitted else clone(known))
    net.set_params(loop=mm.Loop(5)).fit(X)
    training = net.manual(X).run()
    same(net.model_.state_dict(), training.model.state_dict())
    script = net.eject(tmp_path / "train.py", X)
    assert "manumatic" not in script.split('"""', 2)[2]
    same(net.model_.state_dict(), run_script(tmp_path / "train.py"))


@pytest.mark.parametrize("known", FOUR, ids=lambda known: type(known).__name__)
def test_the_logbook_tells_the_roles(known):
    net = shift(clone(known))
    assert [row.part for row in net.logbook_] == ["data", "model", "loss", "optimizer", "loop"]
    X = MinMaxScaler().fit_transform(load_iris().data)
    assert not net.set_params(loop=mm.Loop(20)).fit(X).findings_


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (PCA(), r"PCA\(n_components=None\) depends on the rows"),
        (PCA(0.9), r"PCA\(n_components=0.9\) depends on the rows"),
        (PCA(2, whiten=True), "whiten=True"),
        (KMeans(3, init="random"), "init='random'"),
        (KMeans(3, n_init=10), "n_init=10"),
        (KMeans(3, init=np.zeros((2, 4))), r"the shape \(2, 4\); 3 clusters start from 3 rows"),
        (GaussianMixture(2, init_params="random"), "init_params='random'"),
        (GaussianMixture(2, means_init=np.zeros((2, 4))), "means_init="),
        (NMF(2, beta_loss="kullback-leibler", solver="mu"), "beta_loss='kullback-leibler'"),
        (NMF(2, alpha_W=0.1), "alpha_W=0.1"),
        (NMF(2, init="random"), "init='random'"),
        (NMF(), r"NMF\(n_components='auto'\) depends on the rows"),
    ],
)
def test_what_has_no_counterpart_is_named(known, words):
    with pytest.raises(mm.ComponentError, match=words):
        shift(known)
