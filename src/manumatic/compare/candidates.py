"""Who takes part: a baseline, scikit-learn's models, installed boosters, and networks."""

__all__ = ["Candidate", "FromLabels", "count_parameters", "line_up"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from manumatic.compare.columns import preprocessing
from manumatic.compare.problem import Problem
from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build, converts
from manumatic.errors import ComponentError, nearest

# ranks: a network is never the simpler one, and a pretrained one is the largest
FIRST_BOOSTER, FIRST_NETWORK, FIRST_FOUNDATION = 10, 20, 1000
MOST_ROWS_FOR_SVM = 10_000  # its time grows with the square of the rows
READY = {  # networks for rows that are no columns
    "image": ("linear", "mlp", "cnn"),
    "text": ("linear", "bag", "gru"),
    "sequence": ("linear", "mlp", "conv", "gru"),
}
APART = (
    "columns of images: auto-net reads pixels and words, all others leading directions of pixels "
    "and of word counts"
)
AUTOMATIC, MANUAL = "scikit-learn", "PyTorch"


@dataclass(frozen=True)
class Candidate:
    """One model of a contest.

    Attributes
    ----------
    name : str
    gear : "scikit-learn" or "PyTorch"
    family : "baseline", "linear", "trees", "neighbours", "kernel", "network" or "foundation"
    rank : int
        Simplicity: a tie goes to the lowest.
    estimator : estimator
        Unfitted, its preprocessing included, so that both are fitted inside the fold.
    """

    name: str
    gear: str
    family: str
    rank: int
    estimator: Any

    def build(self) -> Any:
        """A fresh unfitted estimator."""
        return clone(self.estimator)


class FromLabels(ClassifierMixin, BaseEstimator):
    """A classifier that wants 0, 1, ... (XGBoost), fitted on any labels."""

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def fit(self, X: Any, y: Any) -> "FromLabels":
        """Fit on the class numbers of y."""
        encoder = LabelEncoder()
        self.classifier_ = clone(self.classifier).fit(X, encoder.fit_transform(y))
        self.classes_ = encoder.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Labels of y."""
        return self.classes_[self.classifier_.predict(X)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n_rows, n_classes)."""
        return np.asarray(self.classifier_.predict_proba(X))


@converts(FromLabels, strings=True)
def from_labels(estimator: FromLabels, build: Build) -> Piece:
    """As PyTorch, for ONNX: the classifier, with the labels that it never saw."""
    found = build.convert(estimator.classifier_, build.columns)
    found.classes = estimator.classes_
    return found


def line_up(
    problem: Problem,
    models: Sequence[str] | None = None,
    nets: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> tuple[list[Candidate], list[str]]:
    """The candidates for a problem, simplest first, and notes about those left out.

    Parameters
    ----------
    problem : Problem
    models : sequence of str, optional
        Names out of the full list, in any case of letters. Without them all take part, but for
        boosted trees where rows are images, and foundation models ("tabicl"). The Dummy always
        does: without it nobody knows what a score is worth.
    nets : mapping, optional
        Networks of your own by name: a class, a function, an ``nn.Module``, a ``Model(...)``, or
        an estimator.
    seed : int

    Returns
    -------
    candidates : list of Candidate
    notes : list of str

    Raises
    ------
    ComponentError
        A name that is not in the list.

    Examples
    --------
    >>> from manumatic.compare.problem import open_problem
    >>> problem = open_problem([[1.0], [2.0], [3.0], [4.0]], [1.5, 2.5, 3.5, 4.5])
    >>> [candidate.name for candidate in line_up(problem, ["ridgecv", "mlp-net"])[0]]
    ['Dummy', 'RidgeCV', 'mlp-net']
    """
    notes: list[str] = []
    found = [
        *_scikit_learn(problem, seed),
        *_boosters(problem, seed),
        *_networks(problem, nets or {}, seed),
    ]
    if models is None and problem.is_images:
        found = [c for c in found if c.family != "trees" or c.name == "RandomForest"]
        notes.append("boosted trees left out: pixels one by one say little, and take them long")
    elif models is not None:
        found = _chosen([*found, *_foundations(problem, seed)], [*models, *(nets or {})])
    if any(column["kind"] == "image" for column in problem.columns()):
        notes.append(APART)
    if len(problem.y) > MOST_ROWS_FOR_SVM and any(c.family == "kernel" for c in found):
        found = [c for c in found if c.family != "kernel"]
        notes.append(f"SVM left out: it takes too long above {MOST_ROWS_FOR_SVM:,} rows")
    return sorted(found, key=lambda candidate: candidate.rank), notes


def _chosen(found: list[Candidate], names: Sequence[str]) -> list[Candidate]:
    listed = {candidate.name.lower(): candidate.name for candidate in found}
    wanted = [name.strip().lower() for name in names]
    for name, low in zip(names, wanted, strict=True):
        if low not in listed:
            hint = nearest(name, listed.values())
            raise ComponentError(f"no model {name!r}.{hint} Models: {', '.join(listed.values())}")
    return [c for c in found if c.family == "baseline" or c.name.lower() in wanted]


def _scikit_learn(problem: Problem, seed: int) -> Iterator[Candidate]:
    """Each model at its own defaults, from simple to complex."""
    table: list[tuple[str, str, Any, Any]] = [
        # family, columns, classifier, regressor
        ("baseline", "none", DummyClassifier(), DummyRegressor()),
        ("linear", "scaled", LogisticRegression(max_iter=1000), LinearRegression()),
        ("linear", "scaled", None, RidgeCV(np.logspace(-3, 3, 13))),
        ("trees", "plain", DecisionTreeClassifier(), DecisionTreeRegressor()),
        ("neighbours", "scaled", KNeighborsClassifier(), KNeighborsRegressor()),
        ("trees", "native", HistGradientBoostingClassifier(), HistGradientBoostingRegressor()),
        ("trees", "plain", RandomForestClassifier(), RandomForestRegressor()),
        ("kernel", "scaled", SVC(), _scaled_target(SVR())),
        ("network", "scaled", MLPClassifier(), _scaled_target(MLPRegressor())),
    ]
    for rank, (family, columns, classifier, regressor) in enumerate(table):
        estimator = classifier if problem.is_classification else regressor
        if estimator is not None:
            yield _automatic(problem, estimator, family, rank, columns, seed)


def _boosters(problem: Problem, seed: int) -> Iterator[Candidate]:
    """Boosted trees of other libraries, if installed: one thread, no output, no files."""
    table: list[tuple[str, str, dict[str, Any]]] = [
        ("lightgbm", "LGBM", {"n_jobs": 1, "verbosity": -1}),
        ("xgboost", "XGB", {"n_jobs": 1, "verbosity": 0}),
        ("catboost", "CatBoost", {"thread_count": 1, "verbose": 0, "allow_writing_files": False}),
    ]
    kind = "Classifier" if problem.is_classification else "Regressor"
    for rank, (package, name, options) in enumerate(table, start=FIRST_BOOSTER):
        if find_spec(package) is not None:
            estimator = getattr(import_module(package), name + kind)(**options)
            if (package, kind) == ("xgboost", "Classifier"):
                estimator = FromLabels(estimator)
            columns = "native" if package == "lightgbm" else "plain"
            yield _automatic(problem, estimator, "trees", rank, columns, seed)


def _automatic(
    problem: Problem, estimator: Any, family: str, rank: int, columns: str, seed: int
) -> Candidate:
    """A candidate of scikit-learn's gear, seeded and behind its preprocessing."""
    seeds = {name: seed for name in estimator.get_params() if name.endswith("random_state")}
    inner = getattr(estimator, "regressor", getattr(estimator, "classifier", estimator))
    name = type(inner).__name__
    if not name.startswith("MLP"):  # "MLP" alone would be taken for the network mlp-net
        name = name.removesuffix("Classifier").removesuffix("Regressor")
    sparse = columns == "scaled" and family != "network" and not name.startswith("LinearR")
    if problem.form == "text" and sparse:
        columns = "words"
    prepared = make_pipeline(*preprocessing(problem, columns), estimator.set_params(**seeds))
    return Candidate(name, AUTOMATIC, family, rank, prepared)


def _scaled_target(regressor: Any) -> TransformedTargetRegressor:
    """For models whose defaults expect a target of about one."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def _networks(problem: Problem, nets: Mapping[str, Any], seed: int) -> Iterator[Candidate]:
    """Ready networks, then the user's own."""
    from manumatic.gears.automatic import Classifier, Regressor
    from manumatic.gears.pictures import LARGE

    kind = Classifier if problem.is_classification else Regressor
    ready = READY.get(problem.form, ("linear", "mlp", "auto"))
    if problem.is_images and min(problem.X.shape[-2:]) > LARGE:
        ready = ("linear", "mlp", "resnet")
    models: dict[str, Any] = {f"{name}-net": name for name in ready} | dict(nets)
    for rank, (name, model) in enumerate(models.items(), start=FIRST_NETWORK):
        own = hasattr(model, "fit") and not isinstance(model, type)
        net = model if own else kind(model=model, random_state=seed)
        if problem.form in ("image", "sequence") and model in ("linear", "mlp"):
            wish = "plain" if problem.is_images else "scaled"
            net = make_pipeline(*preprocessing(problem, wish), net)
        yield Candidate(name, MANUAL, "network", rank, net)


def _foundations(problem: Problem, seed: int) -> Iterator[Candidate]:
    """Pretrained models for tables: they need weights, so nobody gets them unasked."""
    from manumatic.gears.automatic import Classifier, Regressor
    from manumatic.parts.foundation import FOUNDATIONS

    kind = Classifier if problem.is_classification else Regressor
    if problem.form in ("table", "frame"):
        for rank, name in enumerate(FOUNDATIONS, start=FIRST_FOUNDATION):
            yield Candidate(name, MANUAL, "foundation", rank, kind(name, random_state=seed))


def count_parameters(estimator: Any) -> int | None:
    """How many numbers a fitted estimator learned.

    Networks: all elements of all parameters. Linear models and MLPs: coefficients and intercepts.
    Trees: nodes. SVMs: support vectors and their weights. Neighbours: the rows that are kept.
    Dummies: what they predict. None for all others.
    """
    if hasattr(estimator, "steps"):
        return count_parameters(estimator[-1])
    for inner in ("regressor_", "classifier_"):
        estimator = getattr(estimator, inner, estimator)
    if hasattr(estimator, "model_"):
        return sum(parameter.numel() for parameter in estimator.model_.parameters())
    if hasattr(estimator, "tree_"):
        return int(estimator.tree_.node_count)
    if isinstance(estimator, RandomForestClassifier | RandomForestRegressor):
        return sum(tree.tree_.node_count for tree in estimator.estimators_)
    if isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return sum(len(tree.nodes) for trees in estimator._predictors for tree in trees)
    if hasattr(estimator, "support_vectors_"):
        return int(estimator.support_vectors_.size + estimator.dual_coef_.size)
    if hasattr(estimator, "n_samples_fit_"):
        return int(estimator.n_samples_fit_ * estimator.n_features_in_)
    for names in ("coefs_ intercepts_", "coef_ intercept_", "constant_", "class_prior_"):
        if hasattr(estimator, names.split()[0]):
            return sum(_size(getattr(estimator, name)) for name in names.split())
    return None


def _size(numbers: Any) -> int:
    return sum(map(_size, numbers)) if isinstance(numbers, list) else int(np.size(numbers))
