"""Dummies: the same answer for every row."""

__all__ = ["Always", "AlwaysSeveral", "Constant"]

from typing import Any

import numpy as np
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor
from torch import Tensor, nn

from manumatic.convert.pieces import Piece, Regressor
from manumatic.convert.probabilities import ByProbability
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError


class Constant(nn.Module):
    """The same numbers for every row."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (n, values)."""
        return torch.zeros_like(x[:, :1]) + self.values


class Always(ByProbability):
    """The same probabilities for every row."""

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        return self.body(x)


class AlwaysSeveral(Piece):
    """The same for every row, for several targets; ``forward`` puts them side by side.

    Parameters
    ----------
    targets : list of Always
    """

    methods = ("predict", "predict_proba", "predict_log_proba")

    def __init__(self, targets: list[Always]) -> None:
        super().__init__()
        self.targets = nn.ModuleList(targets)
        self.classes = [target.classes for target in targets]

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes of all targets)."""
        return torch.cat([target(x) for target in self.targets], 1)

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n, targets), int64."""
        return torch.stack([target.predict(x) for target in self._all()], 1)

    def predict_proba(self, x: Tensor) -> list[Tensor]:
        """Probabilities (n, k) of each target."""
        return [target.predict_proba(x) for target in self._all()]

    def predict_log_proba(self, x: Tensor) -> list[Tensor]:
        """Their logarithms."""
        return [target.predict_log_proba(x) for target in self._all()]

    def _all(self) -> list[Always]:
        return [target for target in self.targets if isinstance(target, Always)]


@converts(DummyClassifier, strings=True)
def classifier(estimator: DummyClassifier, build: Build) -> Piece:
    """One label, or one set of probabilities."""
    if estimator.strategy not in ("prior", "most_frequent", "constant"):
        raise ConvertError(
            f"DummyClassifier(strategy={estimator.strategy!r}) answers by chance, and a module "
            "gives the same answer twice; take 'prior', 'most_frequent' or 'constant'"
        )
    one = estimator.n_outputs_ == 1
    classes = [estimator.classes_] if one else estimator.classes_
    priors = [estimator.class_prior_] if one else estimator.class_prior_
    constants = np.ravel(estimator.constant) if estimator.strategy == "constant" else priors
    targets = [
        Always(of, Constant(build.tensor(_probabilities(estimator.strategy, of, prior, constant))))
        for of, prior, constant in zip(classes, priors, constants, strict=True)
    ]
    return targets[0] if one else AlwaysSeveral(targets)


def _probabilities(strategy: str, classes: Any, prior: Any, constant: Any) -> np.ndarray:
    if strategy == "prior":
        return np.asarray(prior)
    if strategy == "constant":
        return (classes == constant).astype(np.float64)
    return np.eye(len(classes))[np.argmax(prior)]


@converts(DummyRegressor, strings=True)
def regressor(estimator: DummyRegressor, build: Build) -> Piece:
    """One number a target."""
    values = build.tensor(estimator.constant_).reshape(-1)
    return Regressor(Constant(values), flat=estimator.n_outputs_ == 1)
