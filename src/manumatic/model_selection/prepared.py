"""Rows that several fits prepare alike are prepared once."""

__all__ = ["Prepared"]

import pickle
from typing import Any

import joblib
import numpy as np
import torch
from torch import Tensor

from manumatic.gears.manual import Training
from manumatic.gears.prepare import Preparation, Rows, prepare_rows
from manumatic.logbook import Logbook
from manumatic.parts.components import Data
from manumatic.parts.data import Batches
from manumatic.task import Task


class Prepared:
    """Prepares rows, and remembers what it has seen.

    Candidates that differ in model, optimizer or loop train on the same rows of a fold and are
    judged on the same others. On a table, preparing them takes longer than a small net's share of
    a stack. Rows are known again by a digest of their contents. What comes back is shared, not
    copied: nobody changes it.
    """

    def __init__(self) -> None:
        self._fits: dict[str, Any] = {}
        self._shared: dict[int, Preparation] = {}  # by id; kept, so that an id stays theirs
        self._numbers: dict[tuple[int, str], Tensor] = {}
        self._rows: dict[tuple[Any, ...], list[tuple[Tensor, ...]]] = {}

    def clear(self) -> None:
        """Forget: what is prepared is as large as the rows."""
        self._fits.clear()
        self._shared.clear()
        self._numbers.clear()
        self._rows.clear()

    def prepare(
        self,
        spec: Data,
        train: Rows,
        *,
        task: Task,
        scale_target: bool,
        seed: int,
        logbook: Logbook,
    ) -> tuple[Preparation, Tensor, np.ndarray]:
        """As :func:`~manumatic.gears.prepare.prepare_rows`, its notes in the logbook included."""
        asked = (spec.preprocess, spec.target, train, task, scale_target, seed)
        key = None if spec.preprocess is None else _digest(asked)  # None: there is nothing to save
        if key in self._fits:
            made, notes = self._fits[key]
            logbook.extend(notes)
            self._shared[id(made[0])] = made[0]
            return made
        before = len(logbook)
        made = prepare_rows(
            spec, train, task=task, scale_target=scale_target, seed=seed, logbook=logbook
        )
        if key is not None:
            self._fits[key] = made, logbook[before:]
        return made

    def numbers(self, preparation: Preparation, rows: Any) -> Tensor:
        """As :meth:`~manumatic.gears.prepare.Preparation.numbers`."""
        digest = _digest(rows) if id(preparation) in self._shared else None
        if digest is None:
            return preparation.numbers(rows)
        key = id(preparation), digest
        if key not in self._numbers:
            self._numbers[key] = preparation.numbers(rows)
        return self._numbers[key]

    def share(self, training: Training) -> None:
        """Rows that another training holds already are not held twice, nor kept for ``eject``."""
        training.facts.source = None
        training.facts.sample = training.facts.sample.clone()  # of a view of all rows
        for data in (training.data, training.valid):
            if isinstance(data, Batches):
                known = self._rows.setdefault(_sample(data.tensors), [])
                same = [rows for rows in known if all(map(torch.equal, rows, data.tensors))]
                known += [] if same else [data.tensors]
                data.tensors = same[0] if same else data.tensors


def _sample(tensors: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """Shapes, and a few of the numbers: different for most rows that differ."""
    few = (tensor.reshape(-1)[:: max(1, tensor.numel() // 8)].tolist() for tensor in tensors)
    return tuple((tensor.shape, *some) for tensor, some in zip(tensors, few, strict=True))


def _digest(value: Any) -> str | None:
    """The same for equal contents; None for what cannot be pickled, as a lambda."""
    try:
        return str(joblib.hash(value))
    except (pickle.PicklingError, TypeError, AttributeError):
        return None
