"""Rows that several fits prepare alike are prepared once."""

__all__ = ["Prepared"]

import pickle
from typing import Any

import joblib
import numpy as np
from torch import Tensor

from manumatic.gears.prepare import Preparation, Rows, prepare_rows
from manumatic.logbook import Logbook
from manumatic.parts.components import Data
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

    def clear(self) -> None:
        """Forget: what is prepared is as large as the rows."""
        self._fits.clear()
        self._shared.clear()
        self._numbers.clear()

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


def _digest(value: Any) -> str | None:
    """The same for equal contents; None for what cannot be pickled, as a lambda."""
    try:
        return str(joblib.hash(value))
    except (pickle.PicklingError, TypeError, AttributeError):
        return None
