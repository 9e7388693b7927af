"""Imputers: what stands where nothing is known, and flags that say where that was."""

__all__ = ["Emptied", "Filled", "Flags", "Imputer", "Neighbours", "Rounds"]

from typing import Any

import numpy as np
import torch
from sklearn import impute
from sklearn.metrics.pairwise import nan_euclidean_distances
from torch import Tensor

from manumatic.convert.border import Column, Handed
from manumatic.convert.pieces import Piece, Pieces, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError


class Flags(Transformer):
    """1 where a value is missing.

    Parameters
    ----------
    missing : Tensor (features,)
        What stands for a missing value; NaN for NaN.
    columns : sequence of int
        Which columns have a flag.
    """

    missing: Tensor
    picked: Tensor

    def __init__(self, missing: Tensor, picked: Any) -> None:
        super().__init__()
        self.register_buffer("missing", missing)
        self.register_buffer("picked", torch.as_tensor(np.asarray(picked, np.int64)))

    def forward(self, x: Tensor) -> Tensor:
        """Ones and zeros (n, flags)."""
        return self.mask(x).index_select(1, self.picked).to(x.dtype)

    def mask(self, x: Tensor) -> Tensor:
        """Which values (n, features) are missing."""
        # without torch.where: onnxruntime has none for booleans
        return (self.missing.isnan() & x.isnan()) | (x == self.missing)


class Imputer(Transformer):
    """Some of the columns, without holes, and flags behind.

    Parameters
    ----------
    flags : Flags
    kept : Tensor (columns,) of int64
        The columns that stay: those that had a value in fit.
    """

    kept: Tensor

    def __init__(self, flags: Flags, kept: Tensor) -> None:
        super().__init__()
        self.flags = flags
        self.register_buffer("kept", kept)

    def forward(self, x: Tensor) -> Tensor:
        """Columns (n, kept + flags)."""
        return torch.cat([self.fill(x), self.flags(x)], 1)

    def fill(self, x: Tensor) -> Tensor:
        """Columns (n, kept)."""
        raise NotImplementedError  # a subclass says what stands in the holes


class Filled(Imputer):
    """One value a column where nothing is known.

    Parameters
    ----------
    flags, kept
        As for all imputers.
    values : Tensor (features,)
        Anything for columns that do not stay.
    """

    values: Tensor

    def __init__(self, flags: Flags, kept: Tensor, values: Tensor) -> None:
        super().__init__(flags, kept)
        self.register_buffer("values", values)

    def fill(self, x: Tensor) -> Tensor:
        """Columns (n, kept)."""
        return torch.where(self.flags.mask(x), self.values, x).index_select(1, self.kept)


class Emptied(Filled):
    """The same, and back: flags say which values were missing.

    Parameters
    ----------
    flags, kept, values
        As for :class:`Filled`.
    """

    methods = ("transform", "inverse_transform")

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Columns (n, features), missing ones where the flags say so."""
        n_features = len(self.flags.missing)
        found = x.new_zeros(x.shape[0], n_features)
        found[:, self.kept] = x[:, : len(self.kept)]
        gone = torch.zeros_like(found, dtype=torch.bool)
        gone[:, self.flags.picked] = x[:, len(self.kept) :] != 0
        return torch.where(gone, self.flags.missing, found)


class Neighbours(Imputer):
    """The mean of the nearest training rows that have a value (Troyanskaya et al. 2001).

    Distances are those between the values that both rows have, scaled up for the missing ones
    (Dixon 1979). Where several training rows are equally far, scikit-learn takes any of them, and
    so does this.

    Parameters
    ----------
    flags, kept
        As for all imputers.
    rows : Tensor (training rows, features)
        NaN where a value is missing.
    neighbours : int
    by_distance : bool
        Near rows count more: 1 / distance.
    """

    rows: Tensor

    def __init__(
        self,
        flags: Flags,
        kept: Tensor,
        rows: Tensor,
        *,
        neighbours: int,
        by_distance: bool,
    ) -> None:
        super().__init__(flags, kept)
        self.neighbours, self.by_distance = neighbours, by_distance
        self.register_buffer("rows", rows)
        self.counts = (~rows.isnan()).sum(0).tolist()

    def fill(self, x: Tensor) -> Tensor:
        """Columns (n, kept)."""
        gone = self.flags.mask(x)
        distances = self._distances(torch.where(gone, torch.nan, x))
        columns = []
        for i, count in enumerate(self.counts):
            if count == 0:  # nobody has a value: 0, where the column stays at all
                columns.append(torch.zeros_like(x[:, i]))
                continue
            near = self._mean(distances, i, min(self.neighbours, count))
            columns.append(torch.where(gone[:, i], near, x[:, i]))
        return torch.stack(columns, 1).index_select(1, self.kept)

    def _distances(self, x: Tensor) -> Tensor:
        """Distances (n, training rows); infinite where two rows share no value."""
        gone, unknown = x.isnan().to(x.dtype), self.rows.isnan().to(x.dtype)
        ours, theirs = x.nan_to_num(0.0), self.rows.nan_to_num(0.0)
        # in scikit-learn's order: its rounding decides what is 0, and so has all the weight
        squares = -2 * (ours @ theirs.T) + ours.square().sum(1, keepdim=True)
        squares = (squares + theirs.square().sum(1)).clamp(min=0)
        squares = squares - ours.square() @ unknown.T - gone @ theirs.square().T
        shared = (1 - gone) @ (1 - unknown).T
        scaled = squares.clamp(min=0) / shared.clamp(min=1) * x.shape[1]
        return torch.where(shared == 0, torch.inf, scaled.sqrt())

    def _mean(self, distances: Tensor, column: int, count: int) -> Tensor:
        values = self.rows[:, column]
        far = torch.where(values.isnan(), torch.inf, distances)
        near, places = far.topk(count, dim=1, largest=False)
        there = near.isfinite()
        weights = there.to(near.dtype)
        if self.by_distance:
            same = near == 0
            weights = torch.where(there, 1 / torch.where(same, 1.0, near), 0.0)
            weights = torch.where(same.any(1, keepdim=True), same.to(near.dtype), weights)
        found = values.nan_to_num(0.0)[places]
        total = weights.sum(1)
        mean = (found * weights).sum(1) / torch.where(total == 0, 1.0, total)
        return torch.where(there.any(1), mean, values.nanmean())


class Rounds(Imputer):
    """Columns predicted from the others, in turn (van Buuren and Groothuis-Oudshoorn 2011).

    Parameters
    ----------
    flags, kept
        As for all imputers.
    first : Piece
        Fills all holes for a start.
    turns : list of (int, array of int, Piece)
        Which column is predicted from which others, by whom.
    low, high : Tensor (kept,)
        Bounds of what is predicted.
    constant : Tensor (kept,) of bool
        Columns that were empty in fit, and are as the start fills them.
    """

    low: Tensor
    high: Tensor
    constant: Tensor

    def __init__(
        self,
        flags: Flags,
        kept: Tensor,
        first: Piece,
        turns: list[tuple[int, Any, Piece]],
        low: Tensor,
        high: Tensor,
        constant: Tensor,
    ) -> None:
        super().__init__(flags, kept)
        self.first = first
        self.targets = [column for column, _, _ in turns]
        self.sources = [[int(i) for i in others] for _, others, _ in turns]
        self.models = Pieces({str(i): model for i, (_, _, model) in enumerate(turns)})
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.register_buffer("constant", constant)

    def fill(self, x: Tensor) -> Tensor:
        """Columns (n, kept)."""
        gone = self.flags.mask(x).index_select(1, self.kept)
        start = self.first.call("transform", x)
        columns = list(start.unbind(1))
        turns = zip(self.targets, self.sources, self.models.all(), strict=True)
        for target, others, model in turns:
            guess = model.call("predict", torch.stack([columns[i] for i in others], 1))
            guess = guess.reshape(-1).clamp(self.low[target], self.high[target])
            columns[target] = torch.where(gone[:, target], guess, columns[target])
        found = torch.where(gone, torch.stack(columns, 1), x.index_select(1, self.kept))
        return torch.where(self.constant, start, found)


def _flags(estimator: Any, missing: Tensor) -> Flags:
    """The flags that ``add_indicator`` asks for."""
    return Flags(missing, estimator.indicator_.features_ if estimator.add_indicator else [])


def _gap(value: Any, column: Column | None, who: str) -> float:
    """What stands for a missing value in the tensor; in a column of numbers None is NaN, too."""
    if column is not None and isinstance(value, str | None):
        return float(column.codes([value], who)[0])
    return np.nan if value is None or _is_nan(value) else float(value)


def _is_nan(value: Any) -> bool:
    return bool(value is not None and not isinstance(value, str) and value != value) or (
        type(value).__name__ == "NAType"
    )


def _number(name: str) -> Column:
    column = Column(name, computed=True)
    column.read_as_number(name)
    return column


@converts(impute.SimpleImputer, strings=True)
def simple(estimator: Any, build: Build) -> Piece:
    """The mean, the median, the most frequent value or a constant."""
    value, given = estimator.missing_values, estimator.statistics_
    kept = [i for i, v in enumerate(given) if estimator.keep_empty_features or not _is_nan(v)]
    gaps, values, handed = [], np.zeros(len(given)), []
    for i, column in enumerate(build.columns or [None] * len(given)):
        # in the type of the rows that fit saw, as transform casts it
        filled = np.asarray(given[i]).astype(estimator._fill_dtype).item() if i in kept else None
        gap, number = _one(column, value, filled, type(estimator).__name__)
        gaps.append(gap)
        values[i] = number
        if filled is not None and column is not None:
            handed.append(Handed(column, {np.nan if _is_nan(value) else value: filled}))
    flags, where = _flags(estimator, build.tensor(gaps)), torch.tensor(kept, dtype=torch.int64)
    back = estimator.add_indicator and all(column.kind == "number" for column in handed)
    made = (Emptied if back else Filled)(flags, where, build.tensor(values))
    if build.columns is not None:
        made.columns = (*handed, *(_number(f"missing {i}") for i in range(len(flags.picked))))
    return made


def _one(column: Column | None, value: Any, filled: Any, who: str) -> tuple[float, float]:
    """What stands for a missing value of a column in the tensor, and what takes its place."""
    words = column is not None and (isinstance(filled, str) or isinstance(value, str))
    gap = _gap(value, column if words else None, who)
    if filled is None:
        return gap, 0.0
    if column is None:
        return gap, float(filled)
    if words:
        return gap, float(column.codes([filled], who)[0])
    column.read_as_number(who)
    return gap, float(filled)


@converts(impute.MissingIndicator, strings=True)
def indicator(estimator: Any, build: Build) -> Piece:
    """Where values are missing."""
    value, who, gaps = estimator.missing_values, type(estimator).__name__, []
    for column in build.columns or [None] * estimator.n_features_in_:
        words = column is not None and column.kind != "number" and isinstance(value, str | None)
        gaps.append(_gap(value, column if words else None, who))
        if column is not None and not words and not _is_nan(value):
            column.read_as_number(who)
    return Flags(build.tensor(gaps), estimator.features_)


@converts(impute.KNNImputer)
def neighbours(estimator: Any, build: Build) -> Piece:
    """The mean of the nearest rows."""
    if estimator.metric not in ("nan_euclidean", nan_euclidean_distances):
        raise ConvertError(
            f"KNNImputer(metric={estimator.metric!r}) calls a function, which has no counterpart; "
            'metric="nan_euclidean" has one'
        )
    if callable(estimator.weights):
        raise ConvertError(
            f"KNNImputer(weights={estimator.weights!r}) calls a function, which has no "
            'counterpart; "uniform" and "distance" have one'
        )
    rows = np.where(estimator._mask_fit_X, np.nan, estimator._fit_X)
    valid = np.asarray(estimator._valid_mask)
    kept = np.arange(len(valid)) if estimator.keep_empty_features else np.flatnonzero(valid)
    gap = np.nan if _is_nan(estimator.missing_values) else float(estimator.missing_values)
    return Neighbours(
        _flags(estimator, build.tensor(np.full(len(valid), gap))),
        torch.as_tensor(kept),
        build.tensor(rows),
        neighbours=estimator.n_neighbors,
        by_distance=estimator.weights == "distance",
    )


@converts("sklearn.IterativeImputer")
def rounds(estimator: Any, build: Build) -> Piece:
    """Each column from the others, round by round."""
    if estimator.sample_posterior:
        raise ConvertError(
            "IterativeImputer(sample_posterior=True) draws at random, so two calls differ; "
            "sample_posterior=False gives the mean of what it draws"
        )
    empty = np.asarray(estimator._is_empty_feature)
    keep = estimator.keep_empty_features
    kept = np.arange(len(empty)) if keep else np.flatnonzero(~empty)
    turns = [
        (one.feat_idx, one.neighbor_feat_idx, build.convert(one.estimator))
        for one in estimator.imputation_sequence_
    ]
    gap = np.nan if _is_nan(estimator.missing_values) else float(estimator.missing_values)
    return Rounds(
        _flags(estimator, build.tensor(np.full(len(empty), gap))),
        torch.as_tensor(kept),
        build.convert(estimator.initial_imputer_),
        turns,
        build.tensor(estimator._min_value if turns else []),
        build.tensor(estimator._max_value if turns else []),
        torch.as_tensor(empty[kept]),
    )
