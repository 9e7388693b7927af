"""Kernels, support vectors and Gaussian processes where others go wrong, or nobody knows."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn import datasets, gaussian_process, kernel_approximation, kernel_ridge, svm
from sklearn.gaussian_process import kernels
from sklearn.metrics import pairwise

from manumatic.convert.kernels import KERNELS, pairwise_kernel
from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.convert.svm import couple
from manumatic.errors import ConvertError

RNG = np.random.default_rng(0)
BLOBS = datasets.make_blobs(90, centers=5, cluster_std=4.0, random_state=1)
EVERYWHERE = RNG.uniform(-14, 14, (2000, 2))


def with_odds(**given):
    """A classifier with probabilities, which scikit-learn says will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return svm.SVC(probability=True, random_state=0, **given).fit(*BLOBS)


def test_ties_between_votes_are_broken_as_asked():
    plain = svm.SVC(C=0.05, kernel="linear").fit(*BLOBS)
    broken = svm.SVC(C=0.05, kernel="linear", break_ties=True).fit(*BLOBS)
    found = [to_torch(model).predict(EVERYWHERE) for model in (plain, broken)]
    np.testing.assert_array_equal(found[0], plain.predict(EVERYWHERE))
    np.testing.assert_array_equal(found[1], broken.predict(EVERYWHERE))
    assert (found[0] != found[1]).any(), "no tie among these rows: the test shows nothing"


def test_the_largest_score_is_the_label_with_ties_broken():
    model = svm.SVC(C=0.05, decision_function_shape="ovo").fit(*BLOBS)
    module = to_torch(model)
    rows = torch.tensor(EVERYWHERE)
    one_each = svm.SVC(C=0.05, break_ties=True).fit(*BLOBS)
    labels = module.classes_[module(rows).argmax(1).numpy()]
    np.testing.assert_array_equal(labels, one_each.predict(EVERYWHERE))
    assert module.decision_function(EVERYWHERE).shape == (2000, 10)


@pytest.mark.parametrize("gamma", ["scale", "auto", 3.0])
def test_rows_far_out(gamma):
    model = svm.SVC(gamma=gamma).fit(*BLOBS)
    far = np.array([[1e3, 0.0], [-1e8, 1e8], [1e-300, 0.0], *EVERYWHERE[:20]])
    parity(model, to_torch(model), far).require()


def test_columns_with_a_large_offset():
    X, y = BLOBS
    model = svm.SVC(gamma=0.1).fit(X + 1e6, y)
    parity(model, to_torch(model), EVERYWHERE + 1e6).require()


def test_probabilities_of_five_classes_stop_where_libsvm_stops():
    model = with_odds()
    found = parity(model, to_torch(model), EVERYWHERE).require()
    assert found.largest < 1e-12
    odds = model.predict_proba(EVERYWHERE)
    assert (model.classes_[odds.argmax(1)] != model.predict(EVERYWHERE)).any()


def test_coupled_probabilities_solve_their_equations():
    pairs = torch.tensor(RNG.uniform(0.05, 0.95, (50, 4, 4)))
    pairs = torch.triu(pairs, 1) + torch.tril(1 - pairs.transpose(1, 2), -1)
    p = couple(pairs, 4)
    torch.testing.assert_close(p.sum(1), torch.ones(50, dtype=torch.float64))
    # the equations are homogeneous: at the solution Qp is the same number in every row
    other = pairs.transpose(1, 2) * (1 - torch.eye(4))
    q = torch.diag_embed((other**2).sum(2)) - other * pairs
    pull = (q @ p[:, :, None])[:, :, 0]
    assert (pull - pull.mean(1, keepdim=True)).abs().max() < 2 * 0.005 / 4


def test_fitted_on_a_sparse_matrix():
    X, y = BLOBS
    for model in (svm.SVC(), svm.SVR(), svm.OneClassSVM()):
        model.fit(csr_matrix(X), y)
        parity(model, to_torch(model), EVERYWHERE[:50]).require()


def test_the_border_is_outside_of_the_one_class():
    model = svm.OneClassSVM(nu=0.5, kernel="linear").fit(BLOBS[0])
    module = to_torch(model)
    with torch.no_grad():
        module.net.body.coef.zero_()
        module.net.body.intercept.zero_()
    assert module.predict(EVERYWHERE[:1]).tolist() == [-1]


def _inner(x, y):
    return x @ y.T


@pytest.mark.parametrize(
    "model",
    [
        svm.SVC(kernel=_inner),
        svm.SVR(kernel=_inner),
        kernel_ridge.KernelRidge(kernel=_inner),
        kernel_approximation.Nystroem(kernel=_inner, n_components=5),
    ],
)
def test_kernels_without_a_name_are_refused(model):
    with pytest.raises(ConvertError, match="kernel=<function _inner"):
        to_torch(model.fit(*BLOBS))


@pytest.mark.parametrize("model", [svm.SVC(kernel="precomputed"), svm.SVR(kernel="precomputed")])
def test_computed_kernels_are_refused(model):
    with pytest.raises(ConvertError, match="kernel='precomputed'"):
        to_torch(model.fit(BLOBS[0] @ BLOBS[0].T, BLOBS[1]))


def test_broken_ties_of_pairs_are_refused():
    model = svm.SVC(break_ties=True, decision_function_shape="ovo").fit(*BLOBS)
    with pytest.raises(ConvertError, match="break_ties=True"):
        to_torch(model)


FUNCTIONS = {**pairwise.PAIRWISE_KERNEL_FUNCTIONS}


@settings(deadline=None, max_examples=25)
@given(
    name=st.sampled_from(sorted(KERNELS)),
    gamma=st.none() | st.floats(1e-4, 2.0),
    coef0=st.floats(-2.0, 2.0),
    degree=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_kernels_are_those_of_scikit_learn(name, gamma, coef0, degree, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 3, (7, 4)), rng.uniform(0, 3, (5, 4))
    x[0], x[1] = 0.0, y[0]
    allowed = pairwise.KERNEL_PARAMS[name]
    given = {"gamma": gamma, "coef0": coef0, "degree": degree}
    given = {key: given[key] for key in allowed if given[key] is not None}
    kernel = pairwise_kernel(name, "a test", 4, **given)
    found = kernel(torch.tensor(x), torch.tensor(y)).numpy()
    np.testing.assert_allclose(found, FUNCTIONS[name](x, y, **given), rtol=1e-12, atol=1e-13)


def test_gaussian_processes_with_a_length_for_each_column():
    X, y = BLOBS[0], BLOBS[1].astype(float)
    kernel = 2.0 * kernels.RBF([1.0, 7.0]) + kernels.Matern([3.0, 2.0], nu=1.5) * 0.3
    model = gaussian_process.GaussianProcessRegressor(kernel, alpha=0.1, random_state=0).fit(X, y)
    module = to_torch(model)
    parity(model, module, EVERYWHERE).require()
    names = [name for name, _ in module.named_parameters()]
    assert any("length" in name for name in names), names
    module(torch.tensor(EVERYWHERE[:9])).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in module.parameters())


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (kernels.Matern(nu=0.7), "nu=0.7"),
        (kernels.CompoundKernel([kernels.RBF()]), "CompoundKernel"),
    ],
)
def test_kernels_of_processes_without_a_formula_are_refused(kernel, said):
    X, y = BLOBS
    model = gaussian_process.GaussianProcessRegressor(alpha=1.0).fit(X, y)
    model.kernel_ = kernel
    with pytest.raises(ConvertError, match=said):
        to_torch(model)


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.PairwiseKernel(gamma=0.3, metric="rbf"),
        kernels.RationalQuadratic(2.0, 0.5) + kernels.WhiteKernel(0.2),
        kernels.Exponentiation(kernels.DotProduct(1.0), 2) * kernels.ConstantKernel(0.01),
        kernels.ExpSineSquared(1.0, 9.0) * kernels.RBF(2.0),
    ],
)
def test_the_variance_of_a_process_goes_into_its_probabilities(kernel):
    X, y = BLOBS[0], BLOBS[1] > 2
    model = gaussian_process.GaussianProcessClassifier(kernel, optimizer=None).fit(X, y)
    parity(model, to_torch(model), EVERYWHERE[:200]).require()


def test_one_against_one_has_no_probabilities_here_either():
    model = gaussian_process.GaussianProcessClassifier(
        multi_class="one_vs_one", optimizer=None
    ).fit(*BLOBS)
    assert not hasattr(to_torch(model), "predict_proba")


def test_pickled_and_in_half_the_digits():
    module = pickle.loads(pickle.dumps(to_torch(with_odds()))).float()  # noqa: S301 - our own
    odds = module.predict_proba(EVERYWHERE[:50])
    assert odds.dtype == np.float32
    np.testing.assert_allclose(odds.sum(1), 1.0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch.onnx's own making
def test_coupling_is_a_loop_in_the_graph():
    ort = pytest.importorskip("onnxruntime")

    class Odds(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net.predict_proba(x)

    module = to_torch(with_odds())
    rows = torch.tensor(EVERYWHERE[:300])
    program = torch.onnx.export(
        Odds(module.net).eval(),
        (rows[:4],),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        verbose=False,
    )
    assert "Loop" in [node.op_type for node in program.model.graph]
    session = ort.InferenceSession(program.model_proto.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: rows.numpy()})
    np.testing.assert_allclose(found, module.predict_proba(EVERYWHERE[:300]), atol=1e-10)
