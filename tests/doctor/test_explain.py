"""What ``explain`` says is true of the scikit-learn that is installed: the claims are run."""

import contextlib
import html
import inspect
import io
import pickle
import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from scipy import linalg
from sklearn import (
    cluster,
    covariance,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    gaussian_process,
    kernel_ridge,
    linear_model,
    mixture,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.utils import all_estimators

import manumatic as mm
from manumatic.doctor.explain import PAGES, PARTS, WRAPPERS, Explanation, explain
from manumatic.doctor.pages.linear import CHOICES
from manumatic.doctor.pages.topics import TOPICS

EVERY = dict(all_estimators())


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (60, 3), numbers y (60,) and three classes (60,)."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.0] + 3 + 0.3 * draw.normal(size=60)
    return X, y, np.digitize(y, [2.0, 4.0])


def part(subject: Any, name: str) -> str:
    """The text of one component on one line."""
    text = re.sub(r"\n {13}", " ", explain(subject))
    return re.search(rf"^  {name} +(.*)$", text, re.MULTILINE)[1]


# --- the form ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_every_estimator_of_scikit_learn_has_a_page(name: str) -> None:
    text = explain(EVERY[name])
    assert text.splitlines()[0] == f"{name}: what fit hides"
    assert "{" not in text
    assert max(map(len, text.splitlines())) <= 92
    if name not in WRAPPERS:
        assert all(part(EVERY[name], word) for word in PARTS)


def test_pages_are_of_estimators_that_exist_and_differ() -> None:
    experimental = {"IterativeImputer", "HalvingGridSearchCV", "HalvingRandomSearchCV"}
    assert {*PAGES, *WRAPPERS} - experimental <= set(EVERY)
    assert not set(PAGES) & set(WRAPPERS)
    assert len({page.summary for page in PAGES.values()}) > 70


@pytest.mark.parametrize("name", sorted({*PAGES, *WRAPPERS} & set(EVERY)))
def test_a_name_is_as_good_as_the_class(name: str) -> None:
    assert explain(name) == explain(name.lower()) == explain(EVERY[name])


def test_values_that_are_shown_are_parameters() -> None:
    """What a page has in braces is a parameter of each of its classes."""
    derived = {"regularisation", "data_loss", "outputs"}
    missing = {
        f"{name}: {field}"
        for name, page in PAGES.items()
        if name in EVERY
        for field in re.findall(r"\{(\w+)\}", " ".join(page))
        if field not in {*inspect.signature(EVERY[name]).parameters, *derived}
    }
    assert missing == set()


def test_an_instance_shows_its_own_parameters() -> None:
    assert "alpha=7.5" in part(linear_model.Ridge(alpha=7.5), "loss")
    assert "max_iter=17" in part(linear_model.Lasso(max_iter=17), "loop")
    assert explain(linear_model.Ridge(alpha=7.5)).startswith("Ridge(alpha=7.5): what fit hides")


def test_solvers_change_the_text() -> None:
    for name, (parameter, choices) in CHOICES.items():
        texts = {explain(EVERY[name](**{parameter: value})) for value in choices}
        assert len(texts) == len(choices)
    assert "one row a step" in part(linear_model.LogisticRegression(solver="sag"), "data")
    assert "liblinear" in part(linear_model.LogisticRegression(solver="liblinear"), "optimizer")
    assert "no penalty" in part(linear_model.LogisticRegression(C=np.inf), "loss")
    assert "elastic net" in part(linear_model.LogisticRegression(l1_ratio=0.3), "loss")
    assert "squared" in part(linear_model.LogisticRegression(), "loss")


def test_it_shows_itself_as_it_is() -> None:
    text = explain("LinearRegression")
    assert isinstance(text, Explanation)
    assert repr(text) == str(text) == text
    shown = f'<pre style="white-space: pre-wrap">{html.escape(text)}</pre>'
    assert text._repr_html_() == shown
    again = pickle.loads(pickle.dumps(explain("autograd")))  # noqa: S301 - our own
    assert again == explain("autograd")
    assert again.code


def test_a_name_loads_no_torch() -> None:
    code = "import sys, manumatic as mm\nmm.explain('Ridge')\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- subjects that are not in the book ---------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("LinearRegresion", " Did you mean 'LinearRegression'?"),
        ("randomforestclasifier", " Did you mean 'RandomForestClassifier'?"),
        ("tensor", " Did you mean 'tensors'?"),
        ("Clasifier", " Did you mean 'Classifier'?"),
        ("", ""),
    ],
)
def test_an_unknown_name_is_one_clear_error(word: str, hint: str) -> None:
    with pytest.raises(mm.ComponentError, match=rf"nothing is known about {word!r};") as caught:
        explain(word)
    assert str(caught.value).endswith("scikit-learn estimator." + hint)


@pytest.mark.parametrize("subject", [3, torch.nn.Linear, BaseEstimator(), None])
def test_what_is_no_estimator_is_refused(subject: Any) -> None:
    with pytest.raises(mm.ComponentError, match="explain knows scikit-learn's estimators"):
        explain(subject)


class Renamed(linear_model.Ridge):
    """Its fit is Ridge's."""


class Mine(ClassifierMixin, BaseEstimator):
    """Nobody knows what its fit does."""

    def __init__(self, solver: str = "own", max_iter: int = 5) -> None:
        self.solver = solver
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> "Mine":
        return self


class Silent(linear_model.LinearRegression):
    """A fit of its own, and no parameter that tells."""

    def __init__(self) -> None:
        super().__init__()

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Silent":
        return self


def test_a_subclass_with_the_same_fit_has_the_same_page() -> None:
    assert explain(Renamed).splitlines()[1:] == explain(linear_model.Ridge).splitlines()[1:]


def test_an_own_fit_gets_no_claims() -> None:
    text = explain(Mine(max_iter=9))
    assert "no page of its own" in text
    assert "solver='own' chooses the algorithm" in text
    assert "max_iter=9: it iterates" in text
    assert "least squares" not in explain(Silent).lower()
    assert "name no solver" in explain(Silent)


def test_around_others_each_of_them_is_explained() -> None:
    steps = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.Lasso())
    text = explain(steps)
    assert "standardscaler: StandardScaler(): what fit hides" in text
    assert "Coordinate descent" in text
    search = GridSearchCV(steps, {})
    assert "estimator: Pipeline: what fit hides" in explain(search)
    vote = ensemble.VotingRegressor([("a", linear_model.Ridge()), ("b", svm.SVR())])
    assert "libsvm" in explain(vote)
    assert "Cholesky" in explain(vote)


# --- manumatic's own ---------------------------------------------------------------------------


def test_our_own_estimators() -> None:
    assert explain(mm.Classifier) == explain("classifier")
    assert all(part(mm.Classifier, word).startswith('"auto"') for word in PARTS)
    assert part(mm.Regressor(loss="huber"), "loss") == "'huber'"


def test_a_fitted_one_tells_its_logbook(study_hours: tuple[np.ndarray, np.ndarray]) -> None:
    net = mm.Regressor("linear", loop=mm.Loop(epochs=2), random_state=0).fit(*study_hours)
    text = re.sub(r"\n {13}", " ", explain(net))
    for entry in net.logbook_:
        assert f"{entry.did} ({entry.why})" in text
    told = re.findall(r"^  (\w+) ", text, re.MULTILINE)
    assert told == sorted(told, key=PARTS.index)


# --- the topics --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOPICS)
def test_the_programs_of_the_topics_print_what_they_say(name: str) -> None:
    """The comment after a print begins with what is printed last."""
    topic = explain(name)
    assert topic.startswith(TOPICS[name].title)
    assert topic.code.splitlines()[0] in topic
    out = io.StringIO()
    with contextlib.redirect_stdout(out), torch.random.fork_rng([]):
        exec(compile(topic.code, name, "exec"), {"__name__": name})
    said = re.findall(r"^ *print\(.*\)  # (.*)$", topic.code, re.MULTILINE)
    printed = out.getvalue().splitlines()
    assert len(said) == len(printed) >= 2
    for comment, line in zip(said, printed, strict=True):
        assert line.endswith(re.split(r"[:,] (?=[a-z])", comment)[0])


# --- the claims: closed forms ------------------------------------------------------------------


def test_linear_regression_is_lstsq(rows: Any) -> None:
    X, y, _ = rows
    fitted = linear_model.LinearRegression().fit(X, y)
    coef, *_ = linalg.lstsq(X - X.mean(0), y - y.mean())
    np.testing.assert_allclose(fitted.coef_, coef)
    np.testing.assert_allclose(fitted.intercept_, y.mean() - X.mean(0) @ coef)
    assert not hasattr(fitted, "n_iter_")
    assert part(fitted, "loop") == "none"
    positive = linear_model.LinearRegression(positive=True).fit(X, y)
    assert positive.coef_.min() >= 0
    assert "nnls" in part(positive, "optimizer")


def test_ridge_solves_the_normal_equations_or_iterates(rows: Any) -> None:
    X, y, _ = rows
    Xc, yc = X - X.mean(0), y - y.mean()
    exact = np.linalg.solve(Xc.T @ Xc + 2 * np.eye(3), Xc.T @ yc)
    for solver in ("auto", "cholesky", "svd", "lsqr", "sparse_cg", "sag", "saga"):
        fitted = linear_model.Ridge(alpha=2.0, solver=solver, tol=1e-10, max_iter=5000).fit(X, y)
        np.testing.assert_allclose(fitted.coef_, exact, rtol=1e-5)
        iterates = part(fitted, "loop") != "none"
        # scipy's conjugate gradients do not say how many iterations they took
        assert iterates == (fitted.n_iter_ is not None) or solver == "sparse_cg"


def test_ridge_cv_leaves_each_row_out_once(rows: Any) -> None:
    X, y, _ = rows
    alphas = [0.1, 1.0, 10.0]
    fitted = linear_model.RidgeCV(alphas, store_cv_results=True).fit(X, y)
    errors = [
        (y[0] - linear_model.Ridge(alpha).fit(X[1:], y[1:]).predict(X[:1])[0]) ** 2
        for alpha in alphas
    ]
    np.testing.assert_allclose(fitted.cv_results_[0], errors)


def test_bayes_and_discriminants_are_means_and_variances(rows: Any) -> None:
    X, _, labels = rows
    means = np.array([X[labels == k].mean(0) for k in range(3)])
    bayes = naive_bayes.GaussianNB(var_smoothing=0.0).fit(X, labels)
    np.testing.assert_allclose(bayes.theta_, means)
    np.testing.assert_allclose(bayes.var_, [X[labels == k].var(0) for k in range(3)])
    analysis = discriminant_analysis.LinearDiscriminantAnalysis().fit(X, labels)
    np.testing.assert_allclose(analysis.means_, means)
    centroid = neighbors.NearestCentroid().fit(X, labels)
    np.testing.assert_allclose(centroid.centroids_, means)


def test_kernel_ridge_is_one_linear_system(rows: Any) -> None:
    X, y, _ = rows
    fitted = kernel_ridge.KernelRidge(alpha=0.5, kernel="rbf", gamma=1.0).fit(X, y)
    K = np.exp(-((X[:, None] - X[None]) ** 2).sum(2))
    np.testing.assert_allclose(fitted.dual_coef_, np.linalg.solve(K + 0.5 * np.eye(60), y))


def test_dummy_never_looks_at_X(rows: Any) -> None:
    X, y, _ = rows
    fitted = dummy.DummyRegressor().fit(X, y)
    np.testing.assert_allclose(fitted.predict(1e6 * X), y.mean())


def test_transformers_are_statistics_of_columns(rows: Any) -> None:
    X, _, _ = rows
    scaler = preprocessing.StandardScaler().fit(X)
    np.testing.assert_allclose(scaler.transform(X), (X - X.mean(0)) / X.std(0))
    robust = preprocessing.RobustScaler().fit(X)
    np.testing.assert_allclose(robust.center_, np.median(X, axis=0))
    pca = decomposition.PCA(2).fit(X)
    directions = np.linalg.svd(X - X.mean(0))[2][:2]
    np.testing.assert_allclose(np.abs(pca.components_), np.abs(directions))
    moments = covariance.EmpiricalCovariance().fit(X)
    np.testing.assert_allclose(moments.covariance_, np.cov(X.T, bias=True))


def test_neighbours_store_the_rows(rows: Any) -> None:
    X, y, _ = rows
    fitted = neighbors.KNeighborsRegressor(1).fit(X, y)
    assert np.array_equal(fitted._fit_X, X)
    np.testing.assert_array_equal(fitted.predict(X), y)


# --- the claims: iterations --------------------------------------------------------------------


def test_lasso_stops_by_its_duality_gap(rows: Any) -> None:
    X, y, _ = rows
    fitted = linear_model.Lasso(alpha=0.2).fit(X, y)
    assert 0 < fitted.n_iter_ < fitted.max_iter
    assert fitted.dual_gap_ * 60 <= fitted.tol * np.sum((y - y.mean()) ** 2) + 1e-12
    assert fitted.coef_[2] == 0
    residual = y - fitted.predict(X)
    slope = X[:, 0] @ residual / 60  # the derivative of half the mean squared residual
    np.testing.assert_allclose(abs(slope), 0.2, rtol=1e-3)


def test_logistic_regression_minimises_what_is_said(rows: Any) -> None:
    """At its solution the gradient of C · log loss + half the squared weights is zero."""
    X, _, labels = rows
    fitted = linear_model.LogisticRegression(C=0.7, tol=1e-8, max_iter=1000).fit(X, labels)
    wrong = fitted.predict_proba(X) - np.eye(3)[labels]
    gradient = 0.7 * wrong.T @ X + fitted.coef_
    np.testing.assert_allclose(gradient, 0, atol=1e-3)
    assert fitted.n_iter_.max() > 1
    two = linear_model.LogisticRegression().fit(X, labels == 1)
    assert two.coef_.shape == (1, 3)
    assert "one alone for two" in part(two, "model")


@pytest.mark.parametrize("kind", [linear_model.SGDRegressor, linear_model.SGDClassifier])
def test_sgd_looks_at_one_row_a_step(kind: type, rows: Any) -> None:
    X, _, labels = rows
    fitted = kind(random_state=0).fit(X, labels == 1)
    assert fitted.t_ - 1 == fitted.n_iter_ * len(X)
    assert "one row a step" in part(fitted, "data")


@pytest.mark.parametrize(
    "kind", [neural_network.MLPRegressor, neural_network.MLPClassifier], ids=lambda k: k.__name__
)
def test_the_mlp_has_the_loop_inside(kind: type, rows: Any) -> None:
    X, _, labels = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # five epochs are few
        adam = kind(max_iter=5, batch_size=16, random_state=0).fit(X, labels)
        lbfgs = kind(max_iter=5, solver="lbfgs", random_state=0).fit(X, labels)
    assert len(adam.loss_curve_) == adam.n_iter_ == 5
    assert type(adam._optimizer).__name__ == "AdamOptimizer"
    assert adam._optimizer.t == 5 * 4  # minibatches of 16, 16, 16 and 12 rows
    assert "minibatches of batch_size=16" in part(adam, "data")
    assert not hasattr(lbfgs, "loss_curve_")
    assert "there is no loss_curve_" in part(lbfgs, "loop")


def test_the_loss_of_the_mlp_is_halved_and_penalised(rows: Any) -> None:
    X, y, _ = rows
    options = {"hidden_layer_sizes": (4,), "alpha": 3.0, "max_iter": 1, "batch_size": 60}
    net = neural_network.MLPRegressor(**options, learning_rate_init=1e-12, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch is not enough
        net.fit(X, y)
    squares = sum(np.sum(weights**2) for weights in net.coefs_)
    loss = np.mean((net.predict(X) - y) ** 2) / 2 + 3.0 / 2 * squares / 60
    np.testing.assert_allclose(net.loss_curve_[0], loss, rtol=1e-6)


def test_a_support_vector_machine_is_a_sum_of_kernels(rows: Any) -> None:
    X, _, labels = rows
    fitted = svm.SVC(gamma=0.5).fit(X, labels == 1)
    K = np.exp(-0.5 * ((X[:, None] - fitted.support_vectors_[None]) ** 2).sum(2))
    decision = K @ fitted.dual_coef_[0] + fitted.intercept_
    np.testing.assert_allclose(decision, fitted.decision_function(X))


def test_kmeans_centres_are_means_of_their_rows(rows: Any) -> None:
    X, _, _ = rows
    fitted = cluster.KMeans(3, n_init=1, random_state=0, tol=0).fit(X)
    means = [X[fitted.labels_ == k].mean(0) for k in range(3)]
    np.testing.assert_allclose(fitted.cluster_centers_, means)
    distances = ((X - fitted.cluster_centers_[fitted.labels_]) ** 2).sum()
    np.testing.assert_allclose(fitted.inertia_, distances)


def test_a_mixture_never_gets_worse(rows: Any) -> None:
    X, _, _ = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few iterations do not converge
        bounds = [
            mixture.GaussianMixture(2, random_state=0, max_iter=n, tol=0).fit(X).lower_bound_
            for n in (1, 2, 4, 8)
        ]
    assert bounds == sorted(bounds)


def test_a_gaussian_process_tunes_its_kernel_and_solves(rows: Any) -> None:
    X, y, _ = rows
    kernel = gaussian_process.kernels.RBF(1.0)
    fitted = gaussian_process.GaussianProcessRegressor(kernel, alpha=1.0).fit(X, y)
    assert fitted.kernel_.length_scale != 1.0
    before = fitted.log_marginal_likelihood(kernel.theta)
    assert fitted.log_marginal_likelihood_value_ > before
    K = fitted.kernel_(X)
    np.testing.assert_allclose(fitted.alpha_, np.linalg.solve(K + np.eye(60), y))


# --- the claims: trees -------------------------------------------------------------------------


def test_trees_need_no_scaling_and_leaves_are_means(rows: Any) -> None:
    X, y, _ = rows
    fitted = tree.DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, y)
    scaled = tree.DecisionTreeRegressor(max_depth=3, random_state=0).fit(X * 1024, y)
    np.testing.assert_array_equal(fitted.predict(X), scaled.predict(X * 1024))
    leaves = fitted.apply(X)
    leaf = leaves[0]
    np.testing.assert_allclose(fitted.predict(X[:1])[0], y[leaves == leaf].mean())


def test_a_forest_is_an_average_of_trees(rows: Any) -> None:
    X, y, _ = rows
    fitted = ensemble.RandomForestRegressor(5, random_state=0).fit(X, y)
    apart = np.mean([one.predict(X) for one in fitted.estimators_], axis=0)
    np.testing.assert_allclose(fitted.predict(X), apart)


def test_boosting_learns_gradients_of_its_loss(rows: Any) -> None:
    """For squared errors the negative gradient is the residual."""
    X, y, labels = rows
    fitted = ensemble.GradientBoostingRegressor(n_estimators=3, random_state=0).fit(X, y)
    first = fitted.estimators_[0, 0]
    alone = tree.DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, y - y.mean())
    np.testing.assert_allclose(first.predict(X), alone.predict(X))
    added = y.mean() + 0.1 * sum(one.predict(X) for one in fitted.estimators_[:, 0])
    np.testing.assert_allclose(fitted.predict(X), added)
    classes = ensemble.GradientBoostingClassifier(n_estimators=2).fit(X, labels)
    assert classes.estimators_.shape == (2, 3)


def test_histogram_boosting_stops_early_only_with_many_rows(rows: Any) -> None:
    X, y, _ = rows
    few = ensemble.HistGradientBoostingRegressor(max_iter=3).fit(X, y)
    assert few.n_iter_ == 3
    assert not few.do_early_stopping_
    many = np.random.default_rng(0).normal(size=(10_001, 1))
    fitted = ensemble.HistGradientBoostingRegressor(max_iter=2).fit(many, many[:, 0])
    assert fitted.do_early_stopping_
