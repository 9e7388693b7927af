"""Steps of a fit that a search over many fits may take over: preparing rows, and training."""

__all__ = ["Steps", "steps"]

import threading
from collections.abc import Callable
from typing import Any

from torch import Tensor

from manumatic.gears.callbacks import drive
from manumatic.gears.prepare import Preparation, prepare_rows


class Steps(threading.local):
    """Who does them for the fits of this thread; alone, a fit does them itself.

    Attributes
    ----------
    prepare : callable
        With the signature of :func:`~manumatic.gears.prepare.prepare_rows`.
    numbers : callable
        (preparation, rows) → tensor; with what was learned from the training rows.
    train : callable
        With the signature of :func:`~manumatic.gears.callbacks.drive`.
    """

    def __init__(self) -> None:
        self.prepare: Callable[..., Any] = prepare_rows
        self.numbers: Callable[[Preparation, Any], Tensor] = Preparation.numbers
        self.train: Callable[..., None] = drive


steps = Steps()
