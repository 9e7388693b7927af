"""Encoders: categories, words or numbers, become numbers."""

__all__ = ["Categories", "Encoder", "Hot", "Known", "Lookup", "Ordinal"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn import preprocessing
from torch import Tensor

from manumatic.convert.border import Column
from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.places import Slots, padded
from manumatic.convert.registry import Build, converts
from manumatic.errors import DataError

# whole numbers are exact up to 2⁵³ in float64, 2²⁴ in float32: there larger ids fall together


class Encoder(Transformer):
    """Categories → the slots that they have in a table.

    Parameters
    ----------
    known : list of arrays
        For each column its categories as the tensor holds them, codes or numbers.
    refuses : str or None
        Who refuses an unknown category.
    checked : bool
        The border sees to it that there are none.
    """

    gaps: Tensor

    def __init__(self, known: list[np.ndarray], refuses: str | None, checked: bool) -> None:
        super().__init__()
        self.slots = Slots([values[~np.isnan(values)] for values in known])
        self.refuses, self.checked = refuses, checked
        self.register_buffer("gaps", torch.tensor([bool(np.isnan(v).any()) for v in known]))

    def refused(self, x: Tensor, slots: Tensor) -> Tensor:
        """Which values (n, features) are refused; raises, except inside a graph: that cannot."""
        width = self.slots.width
        unknown = (slots == width) | ((slots == width + 1) & ~self.gaps)
        if self.checked or torch.compiler.is_compiling() or not bool(unknown.any()):
            return unknown
        row, column = (int(i) for i in unknown.nonzero()[0])
        raise DataError(
            f"Found unknown categories [{x[row, column].item():g}] in column {column}, row {row}: "
            f'{self.refuses} refuses what it has not seen in fit; handle_unknown="ignore" takes it'
        )


class Hot(Encoder):
    """A column for each category: 1 where a row has it.

    Parameters
    ----------
    known, refuses, checked
        As for all encoders.
    target : list of arrays
        For each category of each column, and behind them for unknown and missing ones, which output
        is 1; −1 for none.
    outputs : int
    """

    target: Tensor
    source: Tensor
    number: Tensor

    def __init__(
        self,
        known: list[np.ndarray],
        refuses: str | None,
        checked: bool,
        target: list[np.ndarray],
        outputs: int,
    ) -> None:
        super().__init__(known, refuses, checked)
        source = np.zeros(outputs, np.int64)
        for column, numbers in enumerate(target):
            source[numbers[numbers >= 0].astype(np.int64)] = column
        self.register_buffer("target", torch.as_tensor(_table(target, self.slots.width)))
        self.register_buffer("source", torch.as_tensor(source))
        self.register_buffer("number", torch.arange(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Ones and zeros (n, outputs)."""
        slots = self.slots(x)
        target = _looked_up(self.target, slots)
        hot = (target.index_select(1, self.source) == self.number).to(x.dtype)
        if self.refuses is None:
            return hot
        return torch.where(self.refused(x, slots).any(1, keepdim=True), torch.nan, hot)


class Categories(Hot):
    """One-hot and back: numbers alone, for a tensor has no words.

    Parameters
    ----------
    known, refuses, checked, target, outputs
        As for :class:`Hot`.
    values : list of arrays
        The categories of each column but the missing one. A row without any has the one that was
        dropped, or else NaN.
    """

    methods = ("transform", "inverse_transform")
    values: Tensor
    otherwise: Tensor

    def __init__(
        self,
        known: list[np.ndarray],
        refuses: str | None,
        checked: bool,
        target: list[np.ndarray],
        outputs: int,
        values: list[np.ndarray],
    ) -> None:
        super().__init__(known, refuses, checked, target, outputs)
        cells, otherwise = np.full(outputs, np.nan), np.full(len(target), np.nan)
        for column, (numbers, told) in enumerate(zip(target, values, strict=True)):
            for number, value in zip(numbers[:-2], told, strict=True):
                if number >= 0:
                    cells[int(number)] = value
                else:
                    otherwise[column] = value
        self.register_buffer("values", torch.as_tensor(cells))
        self.register_buffer("otherwise", torch.as_tensor(otherwise))

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Categories (n, features)."""
        found = []
        for column in range(len(self.otherwise)):
            own = self.source == column
            places = own.nonzero()[:, 0]
            other = self.otherwise[column].expand(x.shape[0])
            if len(places):
                block = x[:, places]
                picked = self.values[places][block.argmax(1)]
                other = torch.where(block.sum(1) == 0, other, picked)
            found.append(other)
        return torch.stack(found, 1)


class Lookup(Encoder):
    """Each category becomes the numbers that a table has for it.

    Parameters
    ----------
    known, refuses, checked
        As for all encoders.
    told : list of arrays (slots, k)
        For each column the k numbers of each category, and behind them those of unknown and missing
        ones; NaN for a category that is refused.
    """

    told: Tensor

    def __init__(
        self, known: list[np.ndarray], refuses: str | None, checked: bool, told: list[np.ndarray]
    ) -> None:
        super().__init__(known, refuses, checked)
        numbers = [_table([one[:, k] for one in told], self.slots.width) for k in range(_k(told))]
        self.register_buffer("told", torch.as_tensor(np.stack(numbers)))

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (n, features · k), those of one column side by side."""
        slots = self.slots(x)
        if self.refuses is not None:
            self.refused(x, slots)
        found = [_looked_up(table, slots) for table in self.told]
        return found[0] if len(found) == 1 else torch.stack(found, 2).flatten(1)


class Ordinal(Lookup):
    """Categories ↔ their numbers.

    Parameters
    ----------
    known, refuses, checked, told
        As for :class:`Lookup`.
    values : list of arrays
        The categories of each column, as numbers.
    """

    methods = ("transform", "inverse_transform")
    values: Tensor

    def __init__(
        self,
        known: list[np.ndarray],
        refuses: str | None,
        checked: bool,
        told: list[np.ndarray],
        values: list[np.ndarray],
    ) -> None:
        super().__init__(known, refuses, checked, told)
        self.back = Slots([one[: len(v), 0] for one, v in zip(told, values, strict=True)])
        self.register_buffer("values", torch.as_tensor(padded(values, np.nan)))

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Categories (n, features); NaN for missing and unknown ones."""
        slots = self.back(x)
        width = self.values.shape[1]
        table = torch.cat([self.values, self.values.new_full((x.shape[1], 2), torch.nan)], 1)
        return _looked_up(table, torch.where(slots < width, slots, width))


def _k(told: list[np.ndarray]) -> int:
    return told[0].shape[1]


def _table(rows: list[np.ndarray], width: int) -> np.ndarray:
    """(features, width + 2): the last two of each row, for unknown and missing, go to the end."""
    table = np.full((len(rows), width + 2), -1.0)
    for line, row in zip(table, rows, strict=True):
        line[: len(row) - 2] = row[:-2]
        line[-2:] = row[-2:]
    return table


def _looked_up(table: Tensor, slots: Tensor) -> Tensor:
    start = torch.arange(slots.shape[1], device=slots.device) * table.shape[1]
    return table.reshape(-1)[slots + start]


def _is_numeric(values: Any) -> bool:
    """Categories that a tensor holds as they are: numbers, truth values and NaN, but not None."""
    if values.dtype.kind in "fiub":
        return True
    numbers = int | float | np.integer | np.floating | np.bool_
    return values.dtype.kind == "O" and all(isinstance(value, numbers) for value in values)


@dataclass
class Known:
    """The categories as the tensor holds them, who refuses others, and whether all are numbers."""

    values: list[np.ndarray]
    refuses: str | None
    checked: bool = True
    numeric: bool = True

    @property
    def rules(self) -> tuple[list[np.ndarray], str | None, bool]:
        """What all encoders begin with."""
        return self.values, self.refuses, self.checked


def _read(estimator: Any, build: Build) -> Known:
    who = type(estimator).__name__
    refuses = getattr(estimator, "handle_unknown", None) == "error"
    found = Known([], who if refuses else None)
    columns: Sequence[Column] = build.columns or [
        Column(f"x{i}", computed=True) for i in range(len(estimator.categories_))
    ]
    for column, values in zip(columns, estimator.categories_, strict=True):
        if _is_numeric(values):
            column.read_as_number(who)
            found.values.append(values.astype(np.float64))
        else:
            found.numeric = False
            found.values.append(column.codes(values.tolist(), who))
        if refuses:
            found.checked &= column.require(values.tolist(), who)
    return found


def _grouped(estimator: Any, column: int, n: int) -> np.ndarray | None:
    """Category → its number once the infrequent ones are one; None where there are none."""
    if not estimator._infrequent_enabled:
        return None
    found = estimator._default_to_infrequent_mappings[column]
    return found if found is None else np.append(found, np.zeros(n - len(found), np.int64))


@converts(preprocessing.OneHotEncoder, strings=True)
def one_hot(estimator: Any, build: Build) -> Piece:
    """Ones and zeros, infrequent categories together, dropped ones left out."""
    known = _read(estimator, build)
    dropped = estimator._drop_idx_after_grouping
    gathers = estimator.handle_unknown in ("infrequent_if_exist", "warn")
    target, outputs, grouped = [], 0, False
    for i, values in enumerate(known.values):
        group = _grouped(estimator, i, len(values))
        grouped |= group is not None
        number = np.arange(len(values)) if group is None else group
        size = int(number.max()) + 1
        other = float(group.max()) if group is not None and gathers else -1.0
        gone = np.isnan(values)  # a category like others, but the tensor has NaN for it
        missing = number[gone] if gone.any() else [other]
        number = np.concatenate([number[~gone], [other], missing]).astype(np.float64)
        if dropped is not None and dropped[i] is not None:
            drop = float(dropped[i])
            number = np.where(number == drop, -1, number - (number > drop))
            size -= 1
        target.append(np.where(number >= 0, number + outputs, -1.0))
        outputs += size
    if grouped or not known.numeric:
        return Hot(*known.rules, target, outputs)
    there = [values[~np.isnan(values)] for values in known.values]
    return Categories(*known.rules, target, outputs, there)


@converts(preprocessing.OrdinalEncoder, strings=True)
def ordinal(estimator: Any, build: Build) -> Piece:
    """The number of the category."""
    known = _read(estimator, build)
    other = np.nan if known.refuses else estimator.unknown_value
    told, grouped = [], False
    for i, values in enumerate(known.values):
        group = _grouped(estimator, i, len(values))
        grouped |= group is not None
        number = (np.arange(len(values)) if group is None else group).astype(np.float64)
        missing = estimator.encoded_missing_value if i in estimator._missing_indices else other
        told.append(np.append(number[~np.isnan(values)], [other, missing])[:, None])
    if grouped or not known.numeric:
        return Lookup(*known.rules, told)
    there = [values[~np.isnan(values)] for values in known.values]
    return Ordinal(*known.rules, told, there)


@converts(preprocessing.TargetEncoder, strings=True)
def target_encoder(estimator: Any, build: Build) -> Piece:
    """The mean target of the category; of all rows for an unknown one."""
    known = _read(estimator, build)
    mean = np.atleast_1d(estimator.target_mean_).astype(np.float64)
    k, told = len(mean), []
    for i, values in enumerate(known.values):
        means = np.stack(estimator.encodings_[i * k : (i + 1) * k], 1)
        gone = np.isnan(values)
        missing = means[gone] if gone.any() else mean[None]
        told.append(np.concatenate([means[~gone], mean[None], missing]))
    return Lookup(*known.rules, told)
