"""Gradient boosting of scikit-learn: GradientBoosting* and HistGradientBoosting*."""

__all__ = ["Boosted", "Codes", "Start", "Sum", "padded"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn import ensemble
from torch import Tensor, nn

from manumatic.convert.forests import tree_of
from manumatic.convert.linear import Exp
from manumatic.convert.pieces import Classifier, Piece, Regressor
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact
from manumatic.convert.soft_trees import SoftTrees, grow
from manumatic.convert.tree_op import CODE, HIGH, LOW
from manumatic.convert.trees import Tree, Trees

METHODS = ("predict", "predict_proba", "decision_function")


class Sum(nn.Module):
    """Where boosting starts, plus all trees.

    Parameters
    ----------
    trees : Trees or SoftTrees
    start : nn.Parameter (outputs,) or nn.Module
        One start for all rows, or an estimator that gives each row its own.
    codes : nn.Module, optional
        What rows go through first.
    """

    def __init__(
        self,
        trees: Trees | SoftTrees,
        start: nn.Parameter | nn.Module,
        codes: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.trees, self.start, self.codes = trees, start, codes

    def forward(self, x: Tensor) -> Tensor:
        """Raw predictions (n, outputs)."""
        if self.codes is not None:
            x = self.codes(x)
        start = self.start(x) if isinstance(self.start, nn.Module) else self.start
        return start + self.trees(x)


class Boosted(Classifier):
    """A classifier on raw predictions.

    Parameters
    ----------
    classes : ndarray (k,)
    body : nn.Module
        (n, features) → (n, k), or one column for two classes.
    has : tuple of str
        The methods that the estimator has.
    slope : float
        The log-odds of two classes are the raw prediction times this: 2 for exponential loss.
    tie : int
        Which of two classes a raw prediction of 0 is.
    """

    slope: Tensor

    def __init__(
        self,
        classes: Any,
        body: nn.Module,
        has: tuple[str, ...] = METHODS,
        *,
        slope: float = 1.0,
        tie: int = 0,
    ) -> None:
        super().__init__(classes, body, has)
        self.tie = tie
        exact(self, slope=slope)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, k)."""
        raw = self.body(x)
        return torch.cat([torch.zeros_like(raw), self.slope * raw], 1) if self._two(raw) else raw

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,)."""
        raw = self.body(x)
        if not self._two(raw):
            return raw.argmax(1)
        second = raw >= 0 if self.tie else raw > 0
        return second[:, 0].long()

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k); of two, the first is what is left by the second."""
        raw = self.body(x)
        if not self._two(raw):
            return raw.softmax(1)
        second = (self.slope * raw).sigmoid()
        return torch.cat([1 - second, second], 1)

    def decision_function(self, x: Tensor) -> Tensor:
        """Raw predictions (n, k), or (n,) for two classes."""
        raw = self.body(x)
        return raw[:, 0] if self._two(raw) else raw

    def _two(self, raw: Tensor) -> bool:
        return raw.shape[1] == 1


class Start(nn.Module):
    """The predictions of another estimator, where boosting starts from.

    Parameters
    ----------
    piece : Piece
    link : str
        What makes raw predictions of them: "identity", or for probabilities "logit", "half_logit",
        "multinomial".
    """

    def __init__(self, piece: Piece, link: str) -> None:
        super().__init__()
        self.piece, self.link = piece, link

    def forward(self, x: Tensor) -> Tensor:
        """Raw predictions (n, outputs), of rows in float32."""
        x = x.float().to(x.dtype)
        if self.link == "identity":
            return self.piece.call("predict", x).reshape(x.shape[0], 1)
        shares = self.piece.call("predict_proba", x)
        shares = shares.clamp_min(torch.finfo(torch.float64).eps)
        if self.link == "multinomial":
            logs = shares.log()
            return logs - logs.mean(1, keepdim=True)
        # nothing is likelier than 1 - ε; in float32, that of float64 is 1, and its log-odds are inf
        second = shares[:, 1:]
        odds = (second / (1 - second).clamp_min(torch.finfo(x.dtype).eps)).log()
        return odds / 2 if self.link == "half_logit" else odds


LINKS = {
    "HalfBinomialLoss": "logit",
    "ExponentialLoss": "half_logit",
    "HalfMultinomialLoss": "multinomial",
}


def _gradient_boosting(estimator: Any, build: Build) -> Sum:
    groups = estimator.estimators_.shape[1]
    trees = [
        tree_of(each.tree_, estimator.learning_rate * each.tree_.value[:, 0], missing=False)
        for each in estimator.estimators_.ravel()
    ]
    features = estimator.n_features_in_
    grown = grow(trees, features, build, single=True, groups=groups)
    if estimator.init is None or estimator.init_ == "zero":
        start = estimator._raw_predict_init(np.zeros((1, features), np.float32))[0]
        return Sum(grown, build.weight(start))
    link = LINKS.get(type(estimator._loss).__name__, "identity")
    return Sum(grown, Start(build.convert(estimator.init_), link))


@converts(ensemble.GradientBoostingClassifier)
def gradient_boosting_classifier(estimator: Any, build: Build) -> Piece:
    """Log-odds, or half of them for exponential loss."""
    slope = 2.0 if estimator.loss == "exponential" else 1.0
    has = (*METHODS, "predict_log_proba")
    body = _gradient_boosting(estimator, build)
    return Boosted(estimator.classes_, body, has, slope=slope, tie=1)


@converts(ensemble.GradientBoostingRegressor)
def gradient_boosting_regressor(estimator: Any, build: Build) -> Piece:
    """All losses predict what the trees sum up to."""
    return Regressor(_gradient_boosting(estimator, build))


class Codes(nn.Module):
    """Categories become their numbers and stand before the numeric columns.

    Parameters
    ----------
    order : array of int (columns,)
        Where each column was.
    known : Tensor (categorical columns, categories)
        The values that have the numbers 0, 1, …; NaN fills up. Anything else is missing.
    """

    order: Tensor
    known: Tensor

    def __init__(self, order: Any, known: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", torch.as_tensor(order, dtype=torch.int64))
        self.register_buffer("known", known)

    def forward(self, x: Tensor) -> Tensor:
        """Columns (n, columns) in their new order."""
        x = x.index_select(1, self.order)
        words, numbers = x.tensor_split([len(self.known)], 1)
        same = words[:, :, None] == self.known
        code = same.to(x.dtype).argmax(2).to(x.dtype)
        code = torch.where(same.any(2), code, torch.nan)
        return torch.cat([code, numbers], 1)


@converts(ensemble.HistGradientBoostingClassifier, strings=True)
def hist_classifier(estimator: Any, build: Build) -> Piece:
    """Log-odds."""
    return Boosted(estimator.classes_, _hist_gradient_boosting(estimator, build))


@converts(ensemble.HistGradientBoostingRegressor, strings=True)
def hist_regressor(estimator: Any, build: Build) -> Piece:
    """Means, quantiles or rates; the last are exponentials."""
    body = _hist_gradient_boosting(estimator, build)
    rates = estimator.loss in ("poisson", "gamma")
    return Regressor(nn.Sequential(body, Exp()) if rates else body)


def _hist_gradient_boosting(estimator: Any, build: Build) -> Sum:
    known, place = estimator._bin_mapper.make_known_categories_bitsets()
    flat = [predictor for stage in estimator._predictors for predictor in stage]
    rows: list[np.ndarray] = []
    trees = [_hist_tree(each, known, place, rows) for each in flat]
    grown = grow(
        trees,
        estimator.n_features_in_,
        build,
        single=False,
        groups=estimator.n_trees_per_iteration_,
        table=np.array(rows) if rows else None,
    )
    start = build.weight(np.ravel(estimator._baseline_prediction))
    return Sum(grown, start, _hist_codes(estimator, build))


def _hist_tree(predictor: Any, known: Any, place: Any, rows: list[np.ndarray]) -> Tree:
    """One tree; the sets of its splits by category are put behind ``rows``."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    by_category = nodes["is_categorical"].astype(bool) & ~leaf
    sets = np.full(len(nodes), -1)
    for i in np.flatnonzero(by_category):
        node = nodes[i]
        member = _bits(predictor.raw_left_cat_bitsets[node["bitset_idx"]])
        if node["missing_go_to_left"]:  # with the missing ones go those that nobody knows
            member = member | ~_bits(known[place[node["feature_idx"]]])
        sets[i] = len(rows)
        rows.append(np.append(member, bool(node["missing_go_to_left"])))
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=np.where(leaf, 0, nodes["feature_idx"]),
        threshold=nodes["num_threshold"],
        missing=np.where(by_category, CODE, np.where(nodes["missing_go_to_left"], LOW, HIGH)),
        value=nodes["value"][:, None],
        sets=sets,
    )


def _bits(words: np.ndarray) -> np.ndarray:
    """A set of 256 codes, of which each word holds 32."""
    return (words[:, None] >> np.arange(32, dtype=np.uint32) & 1).astype(bool).ravel()


def _hist_codes(estimator: Any, build: Build) -> Codes | None:
    """The ordinal encoder within the estimator, and the order of its columns."""
    who = type(estimator).__name__
    chosen = estimator.is_categorical_
    chosen = np.zeros(estimator.n_features_in_, bool) if chosen is None else np.asarray(chosen)
    for i in np.flatnonzero(~chosen):
        if build.columns is not None:
            build.columns[i].read_as_number(who)
    if estimator._preprocessor is None:
        return None
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    found = []
    for i, values in zip(np.flatnonzero(chosen), encoder.categories_, strict=True):
        if build.columns is None or values.dtype.kind in "fiub":
            found.append(np.asarray(values, np.float64))
            if build.columns is not None:
                build.columns[i].read_as_number(who)
        else:
            found.append(build.columns[i].codes(values.tolist(), who))
    order = np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)])
    return Codes(order, build.tensor(padded(found)))


def padded(rows: Sequence[Any]) -> np.ndarray:
    """Rows of different lengths as one array, NaN behind the short ones.

    Parameters
    ----------
    rows : sequence of sequences of numbers

    Returns
    -------
    ndarray of float64 (rows, longest)

    Examples
    --------
    >>> padded([[1, 2], [3]])
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found
