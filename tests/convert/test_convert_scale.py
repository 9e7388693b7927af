"""Scalers, powers, quantiles, splines, bins and functions with every parameter."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm
from sklearn import preprocessing
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from manumatic.convert.functions import TORCH
from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.convert.power import NEAREST, NormalQuantile
from manumatic.convert.registry import converts
from manumatic.errors import ConvertError

quick = settings(max_examples=20, deadline=None)
cells = st.sampled_from([-40.0, -2.0, -0.5, 0.0, 0.1, 0.7, 1.0, 3.25, 1e3])
tables = arrays.arrays(np.float64, st.tuples(st.integers(6, 12), st.just(3)), elements=cells)
holes = arrays.arrays(np.float64, (9, 3), elements=st.one_of(cells, st.just(np.nan)))
rng = np.random.default_rng(0)


def same(transformer, X, rows, allowed=1e-9):
    fitted = transformer.fit(X)
    with np.errstate(all="ignore"):
        parity(fitted, to_torch(fitted), rows, allowed).require()


@quick
@given(tables, holes, st.booleans(), st.booleans(), st.booleans())
def test_scalers(X, rows, shift, stretch, clip):
    same(preprocessing.StandardScaler(with_mean=shift, with_std=stretch), X, rows)
    same(preprocessing.RobustScaler(with_centering=shift, with_scaling=stretch), X, rows)
    same(preprocessing.MinMaxScaler((-3, 5), clip=clip), X, rows)
    same(preprocessing.MaxAbsScaler(clip=clip), X, rows)


@quick
@given(tables, st.sampled_from(["l1", "l2", "max"]), cells)
def test_rows(X, norm, threshold):
    same(preprocessing.Normalizer(norm), X, X)
    same(preprocessing.Binarizer(threshold=threshold), X, X)


@quick
@given(tables, holes, st.booleans())
def test_quantiles(X, rows, normal):
    """Repeated values, so repeated quantiles; values beside and beyond all that was seen."""
    same(
        preprocessing.QuantileTransformer(
            n_quantiles=len(X), output_distribution="normal" if normal else "uniform"
        ),
        X,
        rows,
    )


def test_many_quantiles():
    X = rng.normal(size=(700, 2)).round(1)
    rows = rng.normal(size=(300, 2)).round(2)
    for kind in ("uniform", "normal"):
        transformer = preprocessing.QuantileTransformer(n_quantiles=300, output_distribution=kind)
        same(transformer, X, rows)


def test_normal_quantiles():
    p = np.r_[np.linspace(1e-7, 1 - 1e-7, 10001), np.logspace(-7, -1, 100), 0, 1]
    expected = norm.ppf(np.clip(p, NEAREST, 1 - NEAREST))
    np.testing.assert_allclose(NormalQuantile()(torch.as_tensor(p)), expected, atol=5e-15)


@quick
@given(
    st.integers(0, 4),
    st.sampled_from(["constant", "linear", "continue", "periodic", "error"]),
    st.sampled_from(["uniform", "quantile"]),
    st.booleans(),
    st.booleans(),
)
def test_splines(degree, extrapolation, knots, bias, missing):
    assume(degree > 0 or extrapolation != "constant")  # there scikit-learn 1.9 fails itself
    X = np.random.default_rng(degree).normal(size=(40, 3)).round(1)
    rows = X[::2] if extrapolation == "error" else np.r_[X * 3, X]
    if missing:
        X[3, 1] = np.nan
        rows[5, 2] = np.nan
    same(
        preprocessing.SplineTransformer(
            6,
            degree,
            knots=knots,
            extrapolation=extrapolation,
            include_bias=bias,
            handle_missing="zeros" if missing else "error",
        ),
        X,
        rows,
    )


def test_splines_with_knots_of_ones_own_and_a_constant_column():
    X = np.c_[np.linspace(0, 1, 20), np.linspace(-5, 5, 20)]
    knots = [[0, -5], [0.1, 0], [0.5, 1], [1, 5]]
    same(preprocessing.SplineTransformer(knots=knots), X, X * 2)


def test_outside_the_knots_is_nan_where_scikit_learn_raises():
    spline = preprocessing.SplineTransformer(extrapolation="error").fit([[0.0], [1.0]])
    found = to_torch(spline).transform([[0.5], [2.0]])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


@quick
@given(
    st.sampled_from([2, 3, 4, (0, 2), (2, 3), (1, 1)]), st.booleans(), st.booleans(), st.integers(0)
)
def test_products(degree, interactions, bias, seed):
    assume(bias or not interactions or degree != (0, 2))
    X = np.random.default_rng(seed).normal(size=(7, 4)) * [1, 100, 1e-3, 1]
    same(preprocessing.PolynomialFeatures(degree, interaction_only=interactions), X, X, 0)


@quick
@given(
    st.sampled_from(["onehot", "onehot-dense", "ordinal"]),
    st.sampled_from(["uniform", "quantile", "kmeans"]),
    st.sampled_from([3, [2, 5, 70]]),
    st.sampled_from([None, np.float32, np.float64]),
)
@pytest.mark.filterwarnings("ignore:Bins whose width")
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_bins(encode, strategy, n_bins, dtype):
    X = np.random.default_rng(0).normal(size=(90, 3)).round(2)
    rows = np.r_[X * 2, X]
    fitted = preprocessing.KBinsDiscretizer(
        n_bins,
        encode=encode,
        strategy=strategy,
        dtype=dtype,
        quantile_method="averaged_inverted_cdf",
    ).fit(X)
    same(fitted, X, np.r_[rows, np.stack([edges[:2] for edges in fitted.bin_edges_], 1)], 1e-7)


@pytest.mark.parametrize("method", ["box-cox", "yeo-johnson"])
@pytest.mark.parametrize("standardize", [True, False])
def test_powers(method, standardize):
    X = np.exp(rng.normal(size=(50, 3)))
    rows = np.exp(rng.normal(size=(20, 3)) * 2)
    rows[3, 1] = np.nan
    transformer = preprocessing.PowerTransformer(method, standardize=standardize)
    same(transformer, X, rows)


@pytest.mark.parametrize("power", [0.0, 1e-17, 1.0, 2.0, 2 + 1e-16, -1.5, 3.0])
@pytest.mark.parametrize("method", ["box-cox", "yeo-johnson"])
def test_powers_of_zero_and_two(method, power):
    X = np.array([[0.5], [1.0], [2.0], [7.0]])
    fitted = preprocessing.PowerTransformer(method, standardize=False).fit(X)
    fitted.lambdas_[:] = power
    rows = X if method == "box-cox" else np.r_[X, -X, [[0.0]]]
    parity(fitted, to_torch(fitted), rows).require()
    module = to_torch(fitted)
    x = torch.tensor(rows, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.isfinite().all()


def test_box_cox_of_what_is_not_positive_is_nan():
    fitted = preprocessing.PowerTransformer("box-cox").fit([[1.0], [2.0], [5.0]])
    assert np.isnan(to_torch(fitted).transform([[0.0], [-1.0]])).all()


def test_a_kernel_is_centred():
    X = rng.normal(size=(20, 3))
    same(preprocessing.KernelCenterer(), X @ X.T, rng.normal(size=(5, 3)) @ X.T)


@pytest.mark.parametrize("function", list(TORCH), ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore:invalid value|divide by zero|overflow:RuntimeWarning")
def test_functions_of_numpy(function):
    X = np.array([[-3.5, -1.0, -0.5, -0.0], [0.0, 0.5, 1.0, 2.5], [1.5, 9.0, 700.0, np.nan]])
    same(FunctionTransformer(function), X, X, 1e-12)


def test_functions_that_nobody_knows():
    with pytest.raises(ConvertError, match=r"calls clip with {'a_min': 0, 'a_max': 1}"):
        to_torch(FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 1}).fit([[1.0]]))
    step = FunctionTransformer(np.log1p, inverse_func=np.cumsum, check_inverse=False)
    with pytest.raises(ConvertError, match="cumsum"):
        to_torch(step.fit([[1.0]]))


def test_two_lambdas_are_two_functions():
    first, second = (lambda X: X + 1), (lambda X: X + 2)

    @converts(second)
    def plus_two(step, build):
        return PlusTwo()

    step = FunctionTransformer(second).fit([[1.0]])
    assert to_torch(step).transform([[1.0]]) == 3
    with pytest.raises(ConvertError, match="register it"):
        to_torch(FunctionTransformer(first).fit([[1.0]]))


class PlusTwo(nn.Module):
    """x + 2."""

    def forward(self, x):
        """Of each number."""
        return x + 2


def test_a_module_as_the_function():
    step = FunctionTransformer(PlusTwo()).fit([[1.0]])
    assert to_torch(step).transform([[1.0]]) == 3


def test_all_can_be_pickled():
    X = np.abs(rng.normal(size=(30, 3))) + 0.1
    for transformer in (
        FunctionTransformer(np.log1p, np.expm1),
        FunctionTransformer(),
        preprocessing.QuantileTransformer(n_quantiles=9),
        preprocessing.SplineTransformer(),
        preprocessing.KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"),
        preprocessing.PowerTransformer(),
    ):
        module = to_torch(transformer.fit(X))
        again = pickle.loads(pickle.dumps(module))  # noqa: S301  (our own)
        np.testing.assert_array_equal(again.transform(X), module.transform(X))
