"""Linear models: one matrix, one bias, and what stands behind them."""

__all__ = ["Exp", "OneClass", "OneVsRestOdds", "YesOrNo", "linear_layer"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn import linear_model, svm
from torch import Tensor, nn
from torch.nn import functional as F

from manumatic.convert.pieces import Classifier, Piece, Regressor
from manumatic.convert.probabilities import ByProbability, Logistic, normalised, two_columns
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError

MARGIN = ("predict", "decision_function")
SMALLEST = -745.13  # its exponential is 0 in float64
ODDS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def linear_layer(coef: Any, intercept: Any, build: Build) -> nn.Linear:
    """x · coefᵀ + intercept as a layer whose weights can be trained.

    Parameters
    ----------
    coef : array (features,) or (outputs, features)
    intercept : float or array (outputs,)
    build : Build

    Returns
    -------
    torch.nn.Linear

    Examples
    --------
    >>> linear_layer([7.0], 45.0, Build())
    Linear(in_features=1, out_features=1, bias=True)
    """
    weight = build.weight(np.atleast_2d(np.asarray(coef, np.float64)))
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    layer.weight = weight
    layer.bias = build.weight(np.broadcast_to(np.ravel(intercept), (weight.shape[0],)))
    return layer


class Exp(nn.Module):
    """eˣ: the link of a rate."""

    def forward(self, x: Tensor) -> Tensor:
        """Rates (n, targets)."""
        return x.exp()


class OneVsRestOdds(ByProbability):
    """Each class has a probability of its own; they are divided by their sum.

    Parameters
    ----------
    classes : ndarray (k,)
    body : nn.Module
        (n, features) → decisions (n, k), or (n, 1) of two classes.
    clipped : bool
        The probability is (clip(d, −1, 1) + 1) / 2 and not σ(d).

    Notes
    -----
    Zadrozny and Elkan, "Transforming classifier scores into multiclass probability estimates",
    KDD 2002; the clipped one: Zhang, "Statistical behavior and consistency of classification
    methods based on convex risk minimization", Annals of Statistics 32 (2004), appendix B.
    """

    def __init__(self, classes: Any, body: nn.Module, *, clipped: bool) -> None:
        super().__init__(classes, body, ODDS)
        self.clipped = clipped

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        d = self.body(x)
        if self.clipped:
            p = (d.clamp(-1, 1) + 1) / 2
            return two_columns(p[:, 0]) if p.shape[1] == 1 else normalised(p)
        if d.dtype == torch.float64:
            return normalised(d.sigmoid())
        # a smaller type has no numbers where float64 still tells the classes apart
        nothing = d.amax(1, keepdim=True) < SMALLEST
        return torch.where(nothing, 1 / d.shape[1], F.logsigmoid(d).softmax(1))

    def decision_function(self, x: Tensor) -> Tensor:
        """Scores (n, k), or (n,) of the second of two classes."""
        d = self.body(x)
        return d[:, 0] if d.shape[1] == 1 else d

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,): the largest decision."""
        d = self.body(x)
        return (d[:, 0] > 0).long() if d.shape[1] == 1 else d.argmax(1)


class YesOrNo(Piece):
    """Several labels a row; each is there where its score is above 0.

    Parameters
    ----------
    body : nn.Module
        (n, features) → scores (n, labels).
    n_labels : int
    has : sequence of str
    """

    def __init__(self, body: nn.Module, n_labels: int, has: Sequence[str] = MARGIN) -> None:
        super().__init__()
        self.body, self.methods = body, tuple(has)
        self.classes = [np.array([0, 1])] * n_labels

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, labels)."""
        return self.body(x)

    def decision_function(self, x: Tensor) -> Tensor:
        """The same."""
        return self(x)

    def predict(self, x: Tensor) -> Tensor:
        """1 where the label is there, (n, labels)."""
        return (self(x) > 0).long()

    def predict_proba(self, x: Tensor) -> Tensor:
        """Of each label (n, labels); they do not exclude each other."""
        return self(x).sigmoid()

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Their logarithms (n, labels)."""
        return self.predict_proba(x).log()


class OneClass(Piece):
    """1 on the inner side of a plane, −1 beyond; ``forward`` gives the distance (n, 1)."""

    methods = ("predict", "decision_function", "score_samples")

    def __init__(self, coef: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.coef, self.offset = nn.Parameter(coef), nn.Parameter(offset)

    def forward(self, x: Tensor) -> Tensor:
        """Distances (n, 1)."""
        return x @ self.coef.mT - self.offset

    def decision_function(self, x: Tensor) -> Tensor:
        """Distances (n,)."""
        return self(x)[:, 0]

    def score_samples(self, x: Tensor) -> Tensor:
        """The same before the offset (n,)."""
        return (self(x) + self.offset)[:, 0]

    def predict(self, x: Tensor) -> Tensor:
        """±1 (n,), int64."""
        return torch.where(self.decision_function(x) >= 0, 1, -1)


@converts(
    linear_model.ARDRegression,
    linear_model.BayesianRidge,
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
    linear_model.HuberRegressor,
    linear_model.Lars,
    linear_model.LarsCV,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.LassoLars,
    linear_model.LassoLarsCV,
    linear_model.LassoLarsIC,
    linear_model.LinearRegression,
    linear_model.MultiTaskElasticNet,
    linear_model.MultiTaskElasticNetCV,
    linear_model.MultiTaskLasso,
    linear_model.MultiTaskLassoCV,
    linear_model.OrthogonalMatchingPursuit,
    linear_model.OrthogonalMatchingPursuitCV,
    linear_model.QuantileRegressor,
    linear_model.Ridge,
    linear_model.RidgeCV,
    linear_model.SGDRegressor,
    linear_model.TheilSenRegressor,
    svm.LinearSVR,
    "sklearn.PassiveAggressiveRegressor",  # by name: deprecated there, and some day gone
)
def regression(estimator: Any, build: Build) -> Piece:
    """One output a target."""
    flat = np.ndim(estimator.coef_) == 1
    return Regressor(linear_layer(estimator.coef_, estimator.intercept_, build), flat=flat)


@converts(linear_model.GammaRegressor, linear_model.PoissonRegressor, linear_model.TweedieRegressor)
def rate(estimator: Any, build: Build) -> Piece:
    """A linear predictor behind the link of the distribution."""
    layer = linear_layer(estimator.coef_, estimator.intercept_, build)
    link = type(estimator._base_loss.link).__name__
    if link == "IdentityLink":
        return Regressor(layer)
    if link == "LogLink":
        return Regressor(nn.Sequential(layer, Exp()))
    raise ConvertError(f"{type(estimator).__name__} has the link {link}; known are log, identity")


@converts(linear_model.RANSACRegressor)
def ransac(estimator: linear_model.RANSACRegressor, build: Build) -> Piece:
    """The regressor that was fitted on the inliers."""
    return build.convert(estimator.estimator_, build.columns)


@converts(linear_model.LogisticRegression, linear_model.LogisticRegressionCV)
def logistic(estimator: Any, build: Build) -> Piece:
    """Scores whose softmax are the probabilities: liblinear's has but two classes."""
    layer = linear_layer(estimator.coef_, estimator.intercept_, build)
    return Logistic(estimator.classes_, layer, ODDS)


@converts(linear_model.SGDClassifier)
def stochastic(estimator: linear_model.SGDClassifier, build: Build) -> Piece:
    """One plane a class; the loss says whether there are probabilities, and which."""
    if estimator.loss not in ("log_loss", "modified_huber"):
        return _margins(estimator, build)
    layer = linear_layer(estimator.coef_, estimator.intercept_, build)
    if estimator.loss == "log_loss" and len(estimator.classes_) == 2:
        return Logistic(estimator.classes_, layer, ODDS)
    clipped = estimator.loss == "modified_huber"
    return OneVsRestOdds(estimator.classes_, layer, clipped=clipped)


@converts("sklearn.PassiveAggressiveClassifier", linear_model.Perceptron, svm.LinearSVC)
def margins(estimator: Any, build: Build) -> Piece:
    """Scores without probabilities."""
    return _margins(estimator, build)


def _margins(fitted: Any, build: Build) -> Piece:
    layer = linear_layer(fitted.coef_, fitted.intercept_, build)
    return Classifier(fitted.classes_, layer, MARGIN)


@converts(linear_model.RidgeClassifier, linear_model.RidgeClassifierCV)
def ridge_classifier(estimator: Any, build: Build) -> Piece:
    """Scores; of several labels a row, one each."""
    if not estimator._label_binarizer.y_type_.startswith("multilabel"):
        return _margins(estimator, build)
    layer = linear_layer(estimator.coef_, estimator.intercept_, build)
    return YesOrNo(layer, layer.out_features)


@converts(linear_model.SGDOneClassSVM)
def one_class(estimator: linear_model.SGDOneClassSVM, build: Build) -> Piece:
    """Which side of one plane."""
    return OneClass(build.tensor(np.atleast_2d(estimator.coef_)), build.tensor(estimator.offset_))
