"""Selectors: some of the columns, numbers or words, stay."""

__all__ = ["Eliminated", "Kept"]

from typing import Any

import numpy as np
import torch
from sklearn import feature_selection
from torch import Tensor

from manumatic.convert.border import Column
from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts


class Kept(Transformer):
    """Some of the columns; on the way back the others are 0.

    Parameters
    ----------
    support : ndarray (features,) of bool
        Which columns stay.
    columns : tuple of Column or None
        All columns.
    """

    methods = ("transform", "inverse_transform")
    indices: Tensor

    def __init__(self, support: np.ndarray, columns: tuple[Column, ...] | None) -> None:
        super().__init__()
        self.n_features = len(support)
        found = np.flatnonzero(support)
        self.columns = None if columns is None else tuple(columns[i] for i in found)
        self.register_buffer("indices", torch.as_tensor(found))

    def forward(self, x: Tensor) -> Tensor:
        """Columns (n, kept)."""
        return x.index_select(1, self.indices)

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Columns (n, features)."""
        return x.new_zeros(x.shape[0], self.n_features).index_copy(1, self.indices, x)


class Eliminated(Piece):
    """The model of a selector, on the columns that it has left.

    Parameters
    ----------
    kept : Kept
    model : Piece
    """

    def __init__(self, kept: Kept, model: Piece) -> None:
        super().__init__()
        self.kept, self.model = kept, model
        of_model = [m for m in model.methods if m not in kept.methods and m != "score_samples"]
        self.methods, self.classes, self.columns = (
            (*of_model, *kept.methods),
            model.classes,
            kept.columns,
        )

    def forward(self, x: Tensor) -> Tensor:
        """What the model makes of the columns."""
        found: Tensor = self.model(self.kept(x))
        return found

    def call(self, method: str, x: Tensor) -> Any:
        """A method of the selector or of the model."""
        if method in self.kept.methods:
            return self.kept.call(method, x)
        return self.model.call(method, self.kept(x))


@converts(
    feature_selection.GenericUnivariateSelect,
    feature_selection.SelectFdr,
    feature_selection.SelectFpr,
    feature_selection.SelectFromModel,
    feature_selection.SelectFwe,
    feature_selection.SelectKBest,
    feature_selection.SelectPercentile,
    feature_selection.SequentialFeatureSelector,
    feature_selection.VarianceThreshold,
    strings=True,
)
def selector(estimator: Any, build: Build) -> Piece:
    """The columns that it has chosen."""
    return Kept(estimator.get_support(), build.columns)


@converts(feature_selection.RFE, feature_selection.RFECV, strings=True)
def eliminated(estimator: Any, build: Build) -> Piece:
    """The columns that are left, and the model that was fitted on them last."""
    kept = Kept(estimator.get_support(), build.columns)
    return Eliminated(kept, build.convert(estimator.estimator_, kept.columns))
