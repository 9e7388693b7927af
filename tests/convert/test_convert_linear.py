"""Linear models, naive Bayes, discriminants: what others get wrong, and what no case can show."""

import pickle

import numpy as np
import pytest
import torch
from sklearn import datasets, linear_model, naive_bayes
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.multiclass import OneVsRestClassifier

from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.errors import ConvertError

X, Y = datasets.load_wine(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)
WORDS = np.array(["barolo", "grignolino", "barbera"])[Y]


@pytest.fixture(scope="module")
def multinomial():
    return linear_model.LogisticRegression().fit(X, WORDS)


def test_logistic_of_three_classes_is_one_softmax_and_not_three_sigmoids(multinomial):
    # Hummingbird reads an attribute that is gone and is off by 0.38 (research/convert.md, 1.2)
    module = to_torch(multinomial)
    expected = multinomial.predict_proba(X)
    one_by_one = 1 / (1 + np.exp(-multinomial.decision_function(X)))
    one_by_one /= one_by_one.sum(1, keepdims=True)
    np.testing.assert_allclose(module.predict_proba(X), expected, rtol=1e-9, atol=1e-12)
    assert np.abs(one_by_one - expected).max() > 0.1  # so the line above would see it
    scores = module(torch.tensor(X))
    np.testing.assert_allclose(scores.softmax(1).detach(), expected, rtol=1e-9, atol=1e-12)
    assert (module.predict(X) == multinomial.predict(X)).all()


def test_liblinear_of_three_classes_is_three_sigmoids():
    fitted = OneVsRestClassifier(linear_model.LogisticRegression(solver="liblinear")).fit(X, WORDS)
    parity(fitted, to_torch(fitted), X).require()


def test_logarithms_of_two_classes_end_where_those_of_scikit_learn_end():
    fitted = linear_model.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    far = np.array([[-1e4], [-60.0], [0.5], [60.0], [1e4]]) / fitted.coef_[0, 0]
    with np.errstate(divide="ignore"):
        expected = fitted.predict_log_proba(far)
    found = to_torch(fitted).predict_log_proba(far)
    assert (np.isinf(found) == np.isinf(expected)).all()
    assert np.isinf(found).any()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_a_target_of_one_column_keeps_its_shape(shape):
    fitted = linear_model.LinearRegression().fit(X, X[:, 0].reshape(shape))
    assert to_torch(fitted).predict(X).shape == fitted.predict(X).shape


def test_gradient_descent_goes_on_from_the_solution_of_scikit_learn():
    module = to_torch(linear_model.LogisticRegression(C=1e-3).fit(X, Y))
    rows, labels = torch.tensor(X), torch.tensor(Y)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(module(rows), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_odds_far_from_all_classes_hold_in_float32():
    # float32 has no e^-100; scikit-learn divides two of them
    fitted = linear_model.SGDClassifier(loss="log_loss", random_state=0).fit(X, Y)
    fitted.coef_, fitted.intercept_ = np.zeros((3, 13)), np.array([-200.0, -201.0, -202.0])
    parity(fitted, to_torch(fitted), X[:2]).require()
    found = to_torch(fitted).float().predict_proba(X[:2])
    np.testing.assert_allclose(found, fitted.predict_proba(X[:2]), rtol=1e-5)
    fitted.intercept_ -= 1000.0  # and nor has float64: all the same
    np.testing.assert_allclose(to_torch(fitted).float().predict_proba(X[:2]), 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(X[:2]), 1 / 3)


def test_a_link_that_nobody_knows_is_refused():
    fitted = linear_model.PoissonRegressor().fit(X, Y)
    fitted._base_loss.link = datasets  # anything else
    with pytest.raises(ConvertError, match="has the link module"):
        to_torch(fitted)


def test_modules_can_be_pickled(multinomial):
    module = to_torch(multinomial)
    again = pickle.loads(pickle.dumps(module))  # noqa: S301 - the bytes are ours
    assert (again.predict(X) == module.predict(X)).all()


@pytest.mark.parametrize("alpha", [1.0, 0.1])
def test_categories_are_looked_up(alpha):
    rng = np.random.default_rng(0)
    rows, labels = rng.integers(0, [2, 5, 9], (80, 3)), rng.choice(["a", "b", "c"], 80)
    fitted = naive_bayes.CategoricalNB(alpha=alpha).fit(rows, labels)
    module = to_torch(fitted)
    parity(fitted, module, rows + 0.5 * (rows < 0)).require()
    parity(fitted, module, rows + 0.4).require()  # scikit-learn cuts off what is behind the point
    assert module.predict_proba(rows).shape == (80, 3)


@pytest.mark.parametrize("row", [[1, 9], [-1, 0], [7, 7]])
def test_a_category_that_nobody_knows_gives_nan(row):
    fitted = naive_bayes.CategoricalNB().fit([[0, 0], [1, 1], [2, 2]], [0, 1, 1])
    with pytest.raises((IndexError, ValueError)):
        fitted.predict_proba([row])
    found = to_torch(fitted).predict_proba([row, [2, 2]])
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], fitted.predict_proba([[2, 2]])[0])


@pytest.mark.parametrize("estimator", [naive_bayes.GaussianNB(), DummyClassifier()])
def test_one_class_alone(estimator):
    fitted = estimator.fit(X, np.full(len(X), "only"))
    parity(fitted, to_torch(fitted), X).require()


def test_columns_that_are_always_there():
    rows = np.array([[1, 0], [1, 1], [1, 0], [1, 1]])
    fitted = naive_bayes.BernoulliNB(alpha=1e-10, binarize=None).fit(rows, [0, 0, 1, 1])
    parity(fitted, to_torch(fitted), rows).require()


def test_a_discriminant_without_a_projection_has_no_transform():
    fitted = LinearDiscriminantAnalysis(solver="lsqr").fit(X, Y)
    module = to_torch(fitted)
    parity(fitted, module, X).require()
    assert not hasattr(module, "transform")


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_chance_is_refused_by_name(strategy):
    with pytest.raises(ConvertError, match=f"strategy='{strategy}'"):
        to_torch(DummyClassifier(strategy=strategy).fit(X, Y))


def test_constants_that_were_given():
    two = np.column_stack([WORDS, np.where(Y == 0, "x", "y")])
    for fitted in (
        DummyClassifier(strategy="constant", constant="barbera").fit(X, WORDS),
        DummyClassifier(strategy="constant", constant=["barbera", "x"]).fit(X, two),
        DummyRegressor(strategy="constant", constant=[1.5, 2.5]).fit(X, X[:, :2]),
    ):
        with np.errstate(divide="ignore"):
            parity(fitted, to_torch(fitted), X[:5]).require()


@pytest.mark.parametrize("beyond", ["clip", "nan"])
@pytest.mark.parametrize("rising", [True, False, "auto"])
def test_a_broken_line(beyond, rising):
    rng = np.random.default_rng(1)
    knots = rng.normal(size=(60, 1)).round(1)
    fitted = IsotonicRegression(out_of_bounds=beyond, increasing=rising)
    fitted.fit(knots, -(knots[:, 0] ** 3) + rng.normal(0, 0.3, 60))
    module = to_torch(fitted)
    rows = np.concatenate([knots, knots + 0.05, rng.normal(0, 3, (40, 1))])
    parity(fitted, module, rows).require()
    assert np.isnan(module.predict(rows)).any() == (beyond == "nan")


def test_a_line_of_one_knot_and_one_of_float32():
    one = IsotonicRegression(out_of_bounds="nan").fit([1.0, 1.0], [2.0, 4.0])
    parity(one, to_torch(one), np.array([[0.0], [1.0], [3.0]])).require()
    knots = np.linspace(0, 1, 20, dtype=np.float32)[:, None]
    small = IsotonicRegression(out_of_bounds="clip").fit(knots, np.sqrt(knots[:, 0]))
    rows = np.random.default_rng(0).random((50, 1))
    np.testing.assert_allclose(to_torch(small).predict(rows), small.predict(rows), rtol=3e-7)


def test_a_line_that_stops_at_its_ends_is_refused():
    fitted = IsotonicRegression(out_of_bounds="raise").fit([0.0, 1.0], [0.0, 1.0])
    with pytest.raises(ConvertError, match="out_of_bounds='raise'"):
        to_torch(fitted)
