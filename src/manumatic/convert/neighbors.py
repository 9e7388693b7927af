"""Neighbours: what the nearest of the stored rows say, or all within a radius."""

__all__ = ["Centroids", "Graph", "NeighborClassifier", "NeighborRegressor", "Outlying", "Said"]

from typing import Any

import numpy as np
import torch
from sklearn import neighbors
from torch import Tensor, nn

from manumatic.convert.distances import Distance, distance_of
from manumatic.convert.nearest import Nearest, Within, nearest_of, stored
from manumatic.convert.outliers import Detector
from manumatic.convert.pieces import Classifier, Piece, Regressor, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact
from manumatic.errors import ConvertError, DataError


def _weights(distances: Tensor, inside: Tensor | None, by_distance: bool) -> Tensor:
    """1, or 1 / distance; where some distance is 0, those alone count."""
    if not by_distance:
        return torch.ones_like(distances) if inside is None else inside.to(distances.dtype)
    zero = distances == 0
    zero = zero if inside is None else zero & inside
    weights = torch.where(zero, 0.0, 1 / torch.where(zero, 1.0, distances))
    weights = weights if inside is None else torch.where(inside, weights, 0.0)
    return torch.where(zero.any(1, keepdim=True), zero.to(weights.dtype), weights)


class Said(nn.Module):
    """Σ weight · value of the neighbours, and Σ weight.

    Parameters
    ----------
    search : Nearest or Within
    values : Tensor (m, columns)
    by_distance : bool
    """

    values: Tensor

    def __init__(self, search: Nearest | Within, values: Tensor, *, by_distance: bool) -> None:
        super().__init__()
        self.search, self.by_distance = search, by_distance
        self.register_buffer("values", values)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Sums (n, columns) and (n, 1)."""
        distances, found = self.search(x)
        if isinstance(self.search, Within):
            weights = _weights(distances, found, self.by_distance)
            said = weights @ self.values
        else:
            weights = _weights(distances, None, self.by_distance)
            said = (weights[:, :, None] * self.values[found]).sum(1)
        return said, weights.sum(1, keepdim=True)


class NeighborRegressor(Regressor):
    """The mean of the neighbours; NaN where there are none."""

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        said, weight = self.body(x)
        return said / weight


class NeighborClassifier(Classifier):
    """The share of each class among the neighbours, of one target or several.

    Parameters
    ----------
    classes : ndarray (k,) or list of ndarray
    body : Said
        Values are the classes, one-hot, of one target after the other.
    alone : list of int, optional
        The class of a row without neighbours, for each target.
    """

    def __init__(self, classes: Any, body: Said, alone: list[int] | None = None) -> None:
        super().__init__(classes, body, ("predict", "predict_proba"))
        self.sizes = [len(each) for each in (classes if isinstance(classes, list) else [classes])]
        self.alone = alone

    def _shares(self, x: Tensor) -> list[Tensor]:
        said, _ = self.body(x)
        return [self._share(part, i) for i, part in enumerate(said.split(self.sizes, 1))]

    def _share(self, said: Tensor, target: int) -> Tensor:
        total = said.sum(1, keepdim=True)
        if self.alone is None:
            if not torch.compiler.is_compiling() and bool((total == 0).any()):
                row = int((total[:, 0] == 0).nonzero()[0, 0])
                raise DataError(
                    f"row {row} has no neighbours within the radius; take a larger radius, or "
                    "outlier_label='most_frequent'"
                )
            return said / total
        label = torch.arange(said.shape[1], device=said.device) == self.alone[target]
        said = torch.where(total == 0, label.to(said.dtype), said)
        return said / said.sum(1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the shares (n, k), of several targets side by side."""
        shares = self._shares(x)
        logs = [share.clamp_min(_tiny(share)).log() for share in shares]
        if self.sizes == [2]:
            return logs[0] - logs[0][:, :1]
        return torch.cat(logs, 1)

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,) or (n, targets)."""
        labels = [share.argmax(1) for share in self._shares(x)]
        return torch.stack(labels, 1) if isinstance(self.classes, list) else labels[0]

    def predict_proba(self, x: Tensor) -> Any:
        """Shares (n, k), or a list of them."""
        shares = self._shares(x)
        return shares if isinstance(self.classes, list) else shares[0]


class Centroids(Classifier):
    """The nearest of the classes' centres.

    Parameters
    ----------
    classes : ndarray (k,)
    has : list of str
    centres : nn.Parameter (k, features)
    scale : Tensor (features,)
        Within the classes; 1 where the labels follow from plain distances.
    bias : nn.Parameter (k,)
        2 · log(prior).
    distance : Distance
    even : bool
        All priors are the same: labels follow from distances that are not scaled.
    """

    scale: Tensor

    def __init__(
        self,
        classes: Any,
        has: list[str],
        centres: nn.Parameter,
        scale: Tensor,
        bias: nn.Parameter,
        distance: Distance,
        *,
        even: bool,
    ) -> None:
        super().__init__(classes, has=has)
        self.centres, self.bias, self.distance, self.even = centres, bias, distance, even
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """−distance² + 2 · log(prior) (n, k); (0, d) of two."""
        scores = self.bias - self.distance(x / self.scale, self.centres / self.scale) ** 2
        return scores - scores[:, :1] if scores.shape[1] == 2 else scores

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,)."""
        return self.distance.ranks(x, self.centres).argmin(1) if self.even else self(x).argmax(1)

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Logarithms of the probabilities (n, k), of the smallest ones, too."""
        return self(x).log_softmax(1)


class Outlying(Detector):
    """How much sparser it is around a row than around its neighbours (Breunig et al. 2000).

    Parameters
    ----------
    search : Nearest
    reach, density : Tensor (m,)
        Of the stored rows: the distance to their k-th neighbour, and how dense it is around them.
    offset : Tensor ()
    """

    reach: Tensor
    density: Tensor
    offset: Tensor
    slack: Tensor

    def __init__(self, search: Nearest, reach: Tensor, density: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.search = search
        self.register_buffer("reach", reach)
        self.register_buffer("density", density)
        self.register_buffer("offset", offset)
        exact(self, slack=1e-10)

    def score_samples(self, x: Tensor) -> Tensor:
        """Minus the local outlier factor (n,)."""
        distances, found = self.search(x)
        reached = torch.maximum(distances, self.reach[found]).mean(1, keepdim=True)
        # reached + 1e-10 as scikit-learn has it, in two terms: torch.onnx takes + 1e-10 for + 0
        slack = self.density * self.slack
        return -(self.density[found] * reached + slack[found]).mean(1)

    def decision_function(self, x: Tensor) -> Tensor:
        """The score above the border's (n,)."""
        return self.score_samples(x) - self.offset


class Graph(Transformer):
    """Distances to the neighbours, 0 to all others; or 1 and 0.

    Parameters
    ----------
    search : Nearest or Within
    distances : bool
    """

    def __init__(self, search: Nearest | Within, *, distances: bool) -> None:
        super().__init__()
        self.search, self.distances = search, distances

    def forward(self, x: Tensor) -> Tensor:
        """A column for each stored row (n, m)."""
        distances, found = self.search(x)
        values = distances if self.distances else torch.ones_like(distances)
        if isinstance(self.search, Within):
            return torch.where(found, values, 0.0)
        empty = torch.zeros_like(x[:, :1]).expand(-1, len(self.search.rows))
        return empty.scatter(1, found, values)


def _tiny(x: Tensor) -> Tensor:
    """The smallest number that has a logarithm."""
    return x.new_tensor(torch.finfo(x.dtype).tiny)


def _by_distance(estimator: Any) -> bool:
    if callable(estimator.weights):
        raise ConvertError(
            f"{type(estimator).__name__} weighs with a function of its own, "
            f"weights={estimator.weights!r}; 'uniform' and 'distance' can be converted"
        )
    return bool(estimator.weights == "distance")


def _search(estimator: Any, build: Build) -> Nearest | Within:
    if getattr(estimator, "n_neighbors", None) is None:
        distance, rows = stored(estimator)
        return Within(build.tensor(rows), distance, float(estimator.radius))
    return nearest_of(estimator, estimator.n_neighbors, build)


@converts(neighbors.KNeighborsRegressor, neighbors.RadiusNeighborsRegressor)
def regressor(estimator: Any, build: Build) -> Piece:
    """Means of targets."""
    y = np.asarray(estimator._y)
    values = build.tensor(y.reshape(len(y), -1))
    said = Said(_search(estimator, build), values, by_distance=_by_distance(estimator))
    return NeighborRegressor(said, flat=y.ndim == 1)


@converts(neighbors.KNeighborsClassifier, neighbors.RadiusNeighborsClassifier)
def classifier(estimator: Any, build: Build) -> Piece:
    """Shares of classes."""
    y = np.asarray(estimator._y)
    y = y.reshape(len(y), -1)
    several = isinstance(estimator.classes_, list)
    targets = estimator.classes_ if several else [estimator.classes_]
    hot = [np.eye(len(labels))[y[:, i]] for i, labels in enumerate(targets)]
    values = build.tensor(np.concatenate(hot, 1))
    said = Said(_search(estimator, build), values, by_distance=_by_distance(estimator))
    return NeighborClassifier(estimator.classes_, said, _alone(estimator, targets))


def _alone(estimator: Any, targets: list[np.ndarray]) -> list[int] | None:
    """The number of the outliers' label, for each target."""
    given = getattr(estimator, "outlier_label_", None)
    if given is None:
        return None
    found = []
    for label, labels in zip(given, targets, strict=True):
        where = np.flatnonzero(labels == label)
        if not len(where):
            raise ConvertError(
                f"outlier_label={label!r} is none of the classes {labels.tolist()}, and a module "
                "gives their numbers; take one of them or 'most_frequent'"
            )
        found.append(int(where[0]))
    return found


@converts(neighbors.NearestCentroid)
def centroid(estimator: Any, build: Build) -> Piece:
    """Distances to the centres."""
    has = ("predict", "decision_function", "predict_proba", "predict_log_proba")
    prior, spread = estimator.class_prior_, estimator.within_class_std_dev_
    return Centroids(
        estimator.classes_,
        [method for method in has if hasattr(estimator, method)],
        build.weight(estimator.centroids_),
        build.tensor(np.where(spread == 0, 1.0, spread)),
        build.weight(2 * np.log(prior)),
        distance_of(estimator.metric, "NearestCentroid"),
        even=bool(np.isclose(prior, 1 / len(prior)).all()),
    )


@converts(neighbors.LocalOutlierFactor)
def outlier_factor(estimator: Any, build: Build) -> Piece:
    """Densities around the neighbours."""
    if not estimator.novelty:
        raise ConvertError(
            "LocalOutlierFactor with novelty=False judges no new rows; fit it with novelty=True"
        )
    k = estimator.n_neighbors_
    reach = estimator._distances_fit_X_[:, k - 1]
    given = (build.tensor(each) for each in (reach, estimator._lrd, estimator.offset_))
    return Outlying(nearest_of(estimator, k, build), *given)


@converts(neighbors.KNeighborsTransformer, neighbors.RadiusNeighborsTransformer)
def graph(estimator: Any, build: Build) -> Piece:
    """The graph, dense."""
    distances = estimator.mode == "distance"
    if isinstance(estimator, neighbors.RadiusNeighborsTransformer):
        return Graph(_search(estimator, build), distances=distances)
    return Graph(
        nearest_of(estimator, estimator.n_neighbors + distances, build), distances=distances
    )
