"""Two steps of a fit that a search over many fits may take over: preparing rows, and training."""

__all__ = ["Steps", "steps"]

import threading
from collections.abc import Callable
from typing import Any

from manumatic.gears.callbacks import drive
from manumatic.gears.prepare import prepare_rows


class Steps(threading.local):
    """Who does them for the fits of this thread; alone, a fit does both itself.

    Attributes
    ----------
    prepare : callable
        With the signature of :func:`~manumatic.gears.prepare.prepare_rows`.
    train : callable
        With the signature of :func:`~manumatic.gears.callbacks.drive`.
    """

    def __init__(self) -> None:
        self.prepare: Callable[..., Any] = prepare_rows
        self.train: Callable[..., None] = drive


steps = Steps()
