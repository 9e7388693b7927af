"""Estimators made of estimators that rows pass one after another, or side by side."""

__all__ = ["Inverted", "Pick", "SideBySide"]

from typing import Any

import torch
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from torch import Tensor, nn

from manumatic.convert.border import Column
from manumatic.convert.pieces import Chain, Piece, Pieces, Regressor, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError


class Pick(Transformer):
    """Some of the columns, in this order."""

    indices: Tensor

    def __init__(self, indices: Any, columns: tuple[Column, ...] | None = None) -> None:
        super().__init__()
        self.columns = columns
        self.register_buffer("indices", torch.as_tensor(indices, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Columns (n, picked)."""
        return x.index_select(1, self.indices)


class SideBySide(Transformer):
    """Each part sees the same rows; what they give stands side by side, times its weight."""

    def __init__(self, parts: dict[str, Piece], weights: dict[str, float] | None = None) -> None:
        super().__init__()
        self.parts, self.weights = Pieces(parts), weights or {}

    def forward(self, x: Tensor) -> Tensor:
        """Columns (n, all that the parts give)."""
        given = [part.call("transform", x) for part in self.parts.all()]
        weighted = [
            found * self.weights[name] if name in self.weights else found
            for name, found in zip(self.parts, given, strict=True)
        ]
        return torch.cat(weighted, 1)


class Inverted(Regressor):
    """A regressor whose predictions go back through the transformer of its target."""

    def __init__(self, regressor: Piece, transformer: Piece, *, flat: bool) -> None:
        super().__init__(flat=flat)
        self.regressor, self.transformer = regressor, transformer

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets) in the units of the target."""
        return self.transformer.call("inverse_transform", self.regressor(x))


@converts(Pipeline, strings=True)
def pipeline(estimator: Pipeline, build: Build) -> Piece:
    """Each step on what the one before it gives."""
    steps: dict[str, Piece] = {}
    columns = build.columns
    for name, step in estimator.steps:
        if step is None or step == "passthrough":
            continue
        steps[name] = build.convert(step, columns)
        columns = steps[name].columns
    return Chain(steps) if steps else _identity(build.columns)


@converts(ColumnTransformer, strings=True)
def column_transformer(estimator: ColumnTransformer, build: Build) -> Piece:
    """Each transformer on its columns."""
    parts, given = {}, {}
    for name, step, _ in estimator.transformers_:
        indices = estimator._transformer_to_input_indices[name]
        if step == "drop" or not len(indices):
            continue
        columns = build.columns and tuple(build.columns[i] for i in indices)
        pick = Pick(indices, columns)
        inner = _identity(columns) if step == "passthrough" else build.convert(step, columns)
        parts[name] = Chain({"pick": pick, "step": inner})
        given[name] = inner.columns
    if not parts:
        raise ConvertError("this ColumnTransformer drops every column; there is nothing left")
    # in the order in which their columns come out
    order = sorted(parts, key=lambda name: estimator.output_indices_[name].start)
    made = SideBySide({name: parts[name] for name in order})
    slices = {name: estimator.output_indices_[name] for name in order}
    made.columns = _columns({name: given[name] for name in order}, slices)
    return made


def _columns(given: dict[str, Any], slices: dict[str, slice]) -> tuple[Column, ...] | None:
    """All columns, where some are not plain numbers."""
    if all(columns is None for columns in given.values()):
        return None
    found: list[Column] = []
    for name, columns in given.items():
        found += columns or [_number(name)] * (slices[name].stop - slices[name].start)
    return tuple(found)


def _number(name: str) -> Column:
    column = Column(name, computed=True)
    column.read_as_number(name)
    return column


@converts(FeatureUnion, strings=True)
def feature_union(estimator: FeatureUnion, build: Build) -> Piece:
    """Each transformer on all columns."""
    parts = {}
    for name, step in estimator.transformer_list:
        if step == "drop":
            continue
        keep = step == "passthrough"
        parts[name] = _identity(build.columns) if keep else build.convert(step, build.columns)
        for column in parts[name].columns or ():
            column.read_as_number("FeatureUnion")
    return SideBySide(parts, estimator.transformer_weights)


@converts(TransformedTargetRegressor, strings=True)
def transformed_target(estimator: TransformedTargetRegressor, build: Build) -> Piece:
    """The regressor, and back through the transformer of the target."""
    regressor = build.convert(estimator.regressor_, build.columns)
    transformer = build.convert(estimator.transformer_)
    return Inverted(regressor, transformer, flat=estimator._training_dim == 1)


HALVING = ("sklearn.HalvingGridSearchCV", "sklearn.HalvingRandomSearchCV")  # an experiment there


@converts(GridSearchCV, RandomizedSearchCV, *HALVING, strings=True)
def search(estimator: Any, build: Build) -> Piece:
    """The best of a search."""
    return build.convert(estimator.best_estimator_, build.columns)


@converts(FrozenEstimator, strings=True)
def frozen(estimator: FrozenEstimator, build: Build) -> Piece:
    """What was frozen."""
    return build.convert(estimator.estimator, build.columns)


def _identity(columns: tuple[Column, ...] | None) -> Piece:
    same = Transformer(nn.Identity())
    same.columns = columns
    return same
