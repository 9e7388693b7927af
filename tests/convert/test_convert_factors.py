"""Decompositions: ways back, densities, searches with their patience, what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma
from sklearn import decomposition, exceptions, kernel_approximation, random_projection
from sklearn.base import clone

from manumatic.convert.factorize import Digamma
from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.errors import ConvertError

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(2.0, (80, 8)).astype(float)
X = RNG.normal(size=(60, 5)) @ RNG.normal(size=(5, 5)) + 3.0


@settings(deadline=None, max_examples=20)
@given(
    components=st.integers(1, 5),
    whiten=st.booleans(),
    solver=st.sampled_from(["full", "covariance_eigh", "randomized"]),
    offset=st.sampled_from([0.0, 1e3, 1e6]),
)
def test_principal_axes_there_and_back(components, whiten, solver, offset):
    model = decomposition.PCA(components, whiten=whiten, svd_solver=solver, random_state=0)
    model.fit(X + offset)
    # scikit-learn takes the mean off after the product, and loses its digits to it
    allowed = 1e-9 if offset < 1e6 else 1e-7
    methods = ("transform", "inverse_transform")
    parity(model, to_torch(model), X[:9] + offset, allowed, methods).require()


@settings(deadline=None, max_examples=15)
@given(
    components=st.integers(1, 4),
    solver=st.sampled_from(["cd", "mu"]),
    tol=st.sampled_from([0.0, 1e-4, 1e-2, 0.3]),
    max_iter=st.sampled_from([1, 9, 10, 45]),
    alpha=st.sampled_from([0.0, 0.02]),
    ratio=st.sampled_from([0.0, 0.5, 1.0]),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_factorisations_stop_where_scikit_learn_stops(
    components, solver, tol, max_iter, alpha, ratio
):
    model = decomposition.NMF(
        components,
        solver=solver,
        tol=tol,
        max_iter=max_iter,
        alpha_W=alpha,
        l1_ratio=ratio,
        random_state=0,
        init="random",
    ).fit(COUNTS)
    parity(model, to_torch(model), COUNTS[:30]).require()


def test_factorisations_depend_on_the_rows_that_come_along():
    model = decomposition.NMF(3, tol=0.05, random_state=0).fit(COUNTS)
    module = to_torch(model)
    rows = np.split(COUNTS, len(COUNTS))
    alone = np.concatenate([module.transform(row) for row in rows])
    together = module.transform(COUNTS)
    expected = np.concatenate([model.transform(row) for row in rows])
    np.testing.assert_allclose(alone, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(together, model.transform(COUNTS), rtol=1e-9, atol=1e-12)
    assert np.abs(alone - together).max() > 1e-6


def test_parts_can_learn():
    module = to_torch(decomposition.NMF(3, random_state=0).fit(COUNTS))
    module(torch.tensor(COUNTS[:9])).sum().backward()
    assert module.net.parts.grad.isfinite().all()
    assert module.net.parts.grad.abs().sum() > 0


def test_digamma_is_that_of_mathematics_but_for_its_last_digits():
    x = np.concatenate([np.geomspace(1e-9, 1e5, 300), [1e-6, 1.0, 6.0]])
    found = Digamma()(torch.tensor(x)).numpy()
    np.testing.assert_allclose(found, digamma(x), rtol=1e-6, atol=1e-6)


def test_topics_of_rows_without_words():
    model = decomposition.LatentDirichletAllocation(3, max_iter=2, random_state=0).fit(COUNTS)
    rows = np.concatenate([np.zeros((1, 8)), COUNTS[:5], 1e4 * COUNTS[:5]])
    parity(model, to_torch(model), rows).require()


@pytest.mark.parametrize("algorithm", ["omp", "lars", "lasso_lars", "lasso_cd"])
def test_codes_that_are_searched_for_are_refused(algorithm):
    model = decomposition.DictionaryLearning(
        2, transform_algorithm=algorithm, max_iter=2, random_state=0
    ).fit(X)
    with pytest.raises(ConvertError, match=f"transform_algorithm='{algorithm}'"):
        to_torch(model)


def test_a_dictionary_of_ones_own():
    atoms = RNG.normal(size=(7, 5))
    for split in (False, True):
        model = decomposition.SparseCoder(
            atoms, transform_algorithm="threshold", transform_alpha=0.7, split_sign=split
        ).fit(X)
        parity(model, to_torch(model), X).require()


def test_no_way_back_where_none_was_learned():
    model = decomposition.KernelPCA(2, kernel="rbf").fit(X)
    with pytest.raises(exceptions.NotFittedError):
        model.inverse_transform(model.transform(X))
    assert not hasattr(to_torch(model), "inverse_transform")


@pytest.mark.parametrize("kernel", ["precomputed", np.dot])
def test_kernels_without_a_formula_are_refused(kernel):
    model = decomposition.KernelPCA(2, kernel="linear").fit(X)
    model.kernel = kernel
    with pytest.raises(ConvertError, match="KernelPCA has kernel="):
        to_torch(model)


@pytest.mark.parametrize(
    "model",
    [
        random_projection.GaussianRandomProjection(3, random_state=0),
        random_projection.SparseRandomProjection(3, density=0.7, random_state=0),
    ],
)
def test_the_way_back_of_a_projection(model):
    model = clone(model).fit(X)
    parity(model, to_torch(model), X).require()


@settings(deadline=None, max_examples=15)
@given(
    degree=st.integers(1, 4),
    outputs=st.integers(1, 40),
    gamma=st.floats(0.01, 2.0),
    coef0=st.sampled_from([0, 1, 3]),
)
def test_sketches(degree, outputs, gamma, coef0):
    model = kernel_approximation.PolynomialCountSketch(
        degree=degree, n_components=outputs, gamma=gamma, coef0=coef0, random_state=0
    ).fit(X)
    found, expected = to_torch(model).transform(X), model.transform(X)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())
