"""Decision trees and forests of scikit-learn."""

__all__ = ["Anomalies", "LeafCodes", "ManyVotes", "Mean", "Votes", "tree_of"]

from typing import Any

import numpy as np
import torch
from sklearn import ensemble, tree
from torch import Tensor, nn

from manumatic.convert.pieces import Classifier, Piece, Regressor, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact
from manumatic.convert.soft_trees import SoftTrees, grow
from manumatic.convert.tree_op import HIGH, LOW, PLAIN
from manumatic.convert.trees import Tree, Trees


def tree_of(fitted: Any, value: Any, *, features: Any = None, missing: bool = True) -> Tree:
    """The nodes of a tree of scikit-learn.

    Parameters
    ----------
    fitted : sklearn.tree._tree.Tree
        ``estimator.tree_``.
    value : array (nodes, outputs)
        What leaves give.
    features : array of int, optional
        Which columns the tree saw, where it saw some of them only.
    missing : bool
        It knows where missing values go.

    Returns
    -------
    Tree

    Examples
    --------
    >>> stump = tree.DecisionTreeRegressor().fit([[1.0], [2.0]], [10.0, 20.0]).tree_
    >>> tree_of(stump, stump.value[:, :, 0]).value.ravel()
    array([15., 10., 20.])
    """
    feature = np.maximum(fitted.feature, 0)
    return Tree(
        left=fitted.children_left,
        right=fitted.children_right,
        feature=feature if features is None else np.asarray(features)[feature],
        threshold=fitted.threshold,
        missing=np.where(fitted.missing_go_to_left, LOW, HIGH)
        if missing
        else np.full(len(feature), PLAIN),
        value=value,
    )


class Mean(nn.Module):
    """The mean of all trees.

    Parameters
    ----------
    trees : Trees or SoftTrees
    """

    def __init__(self, trees: Trees | SoftTrees) -> None:
        super().__init__()
        self.trees = trees

    def forward(self, x: Tensor) -> Tensor:
        """Means (n, outputs)."""
        return self.trees(x) / self.trees.count


class Votes(Classifier):
    """Leaves hold shares of classes; scores are the logarithms of their means."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes); 0 counts as the smallest step of the number type."""
        return _scores(self.body(x))

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,)."""
        return self.body(x).argmax(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, classes)."""
        return _shares(self.body(x))


class ManyVotes(Piece):
    """The same for several targets.

    Parameters
    ----------
    classes : list of ndarray
        The labels of each target.
    body : nn.Module
        (n, features) → shares of all classes of all targets, side by side.
    """

    methods = ("predict", "predict_proba", "predict_log_proba")

    def __init__(self, classes: list[Any], body: nn.Module) -> None:
        super().__init__()
        self.classes, self.body = classes, body
        self.sizes = [len(labels) for labels in classes]

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, all classes of all targets)."""
        return _scores(self.body(x))

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n, targets)."""
        return torch.stack([part.argmax(1) for part in self.body(x).split(self.sizes, 1)], 1)

    def predict_proba(self, x: Tensor) -> list[Tensor]:
        """Probabilities (n, classes) of each target."""
        return [_shares(part) for part in self.body(x).split(self.sizes, 1)]

    def predict_log_proba(self, x: Tensor) -> list[Tensor]:
        """Their logarithms."""
        return [part.log() for part in self.predict_proba(x)]


def _scores(shares: Tensor) -> Tensor:
    return shares.clamp_min(torch.finfo(shares.dtype).eps).log()


def _shares(shares: Tensor) -> Tensor:
    """Training may lead out of the probabilities."""
    shares = shares.clamp_min(0.0)
    return shares / shares.sum(1, keepdim=True)


@converts(
    tree.DecisionTreeClassifier,
    tree.ExtraTreeClassifier,
    ensemble.RandomForestClassifier,
    ensemble.ExtraTreesClassifier,
)
def votes(estimator: Any, build: Build) -> Piece:
    """Shares of classes, of one target or of several."""
    several = estimator.n_outputs_ > 1
    sizes = np.atleast_1d(estimator.n_classes_)

    def shares(fitted: Any) -> np.ndarray:
        return np.concatenate([fitted.value[:, i, :k] for i, k in enumerate(sizes)], 1)

    body = _mean(estimator, shares, build)
    return ManyVotes(estimator.classes_, body) if several else Votes(estimator.classes_, body)


@converts(
    tree.DecisionTreeRegressor,
    tree.ExtraTreeRegressor,
    ensemble.RandomForestRegressor,
    ensemble.ExtraTreesRegressor,
)
def means(estimator: Any, build: Build) -> Piece:
    """A number for each target."""
    body = _mean(estimator, lambda fitted: fitted.value[:, :, 0], build)
    return Regressor(body, flat=estimator.n_outputs_ == 1)


def _mean(estimator: Any, value: Any, build: Build) -> Mean:
    members = getattr(estimator, "estimators_", [estimator])
    trees = [tree_of(each.tree_, value(each.tree_)) for each in members]
    return Mean(grow(trees, estimator.n_features_in_, build, single=True))


class Anomalies(Piece):
    """An isolation forest: rows that few splits set apart are outliers.

    Parameters
    ----------
    trees : Trees or SoftTrees
        Their leaves hold how many splits lead to them.
    scale : float
        How many splits there are on average, in all trees together; 0 after one row.
    offset : Tensor ()
        The score below which a row is an outlier.
    """

    methods = ("predict", "decision_function", "score_samples")
    offset: Tensor
    scale: Tensor

    def __init__(self, trees: Trees | SoftTrees, scale: float, offset: Tensor) -> None:
        super().__init__()
        self.trees, self.several = trees, scale > 0
        exact(self, scale=scale)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, 1)."""
        return self.score_samples(x)[:, None]

    def score_samples(self, x: Tensor) -> Tensor:
        """From -1, an outlier, to 0 (n,)."""
        depths = self.trees(x)[:, 0]
        parts = depths / self.scale if self.several else torch.ones_like(depths)
        return -torch.exp2(-parts)

    def decision_function(self, x: Tensor) -> Tensor:
        """Below 0 for outliers (n,)."""
        return self.score_samples(x) - self.offset

    def predict(self, x: Tensor) -> Tensor:
        """-1 for outliers, else 1 (n,)."""
        outlier = self.decision_function(x) < 0
        return 1 - 2 * outlier.long()


@converts(ensemble.IsolationForest)
def isolation(estimator: Any, build: Build) -> Piece:
    """Depths of leaves, and what would have come below them."""
    some = estimator._max_features < estimator.n_features_in_
    per_tree = zip(
        estimator.estimators_,
        estimator.estimators_features_,
        estimator._decision_path_lengths,
        estimator._average_path_length_per_tree,
        strict=True,
    )
    trees = [
        tree_of(each.tree_, (path + below - 1.0)[:, None], features=features if some else None)
        for each, features, path, below in per_tree
    ]
    average = ensemble._iforest._average_path_length([estimator._max_samples])[0]
    grown = grow(trees, estimator.n_features_in_, build, single=True)
    return Anomalies(grown, float(len(trees) * average), build.tensor(estimator.offset_))


class LeafCodes(Transformer):
    """Which leaf of each tree a row reaches, as a column of 0 and 1 for each leaf.

    Parameters
    ----------
    trees : Trees or SoftTrees
    """

    def __init__(self, trees: Trees | SoftTrees) -> None:
        super().__init__()
        self.trees = trees

    def forward(self, x: Tensor) -> Tensor:
        """Columns (n, leaves)."""
        return self.trees.reach(x)


@converts(ensemble.RandomTreesEmbedding)
def leaf_codes(estimator: Any, build: Build) -> Piece:
    """The leaves, tree by tree, in the order of their numbers."""
    trees = [tree_of(each.tree_, each.tree_.value[:, 0]) for each in estimator.estimators_]
    grown = grow(trees, estimator.n_features_in_, build, single=True)
    grown.value.requires_grad_(False)
    return LeafCodes(grown)
