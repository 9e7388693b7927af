"""What to record while a network trains; none of it changes a weight."""

__all__ = ["Watch", "as_watch"]

from typing import Any, Self

import numpy as np

from manumatic.errors import ComponentError
from manumatic.parts.components import Component


class Watch(Component):
    """What to look at while training goes on.

    Parameters
    ----------
    metrics : str, callable, dict or sequence of them
        Measured each epoch on the training rows, and on the validation rows where there are some:
        the name of a scikit-learn scorer ("accuracy", "r2"), a scorer, a function of (y_true,
        y_pred), an object with ``update`` and ``compute`` as torchmetrics has them, or ``{name:
        any of these}``.
    track : str or sequence of str
        Weights to record by name, patterns allowed: ``["weight", "bias"]``, ``"layers.0.*"``.
    every : int
        Epochs from one record of metrics, weights and tensors to the next. The loss is always
        recorded each epoch.
    log : path, logger or sequence of them
        Where to write as well: a path ending in ``.jsonl``, ``mm.TensorBoard(...)``, or any object
        with ``log(values, step)``.
    ignore : sequence of str
        Codes that the doctor keeps to itself, such as "MM101".

    Examples
    --------
    >>> Watch(track=["weight", "bias"], every=100).get_params()["every"]
    100
    """

    def __init__(
        self,
        metrics: Any = (),
        track: Any = (),
        every: int = 1,
        log: Any = None,
        ignore: Any = (),
    ) -> None:
        self.metrics = metrics
        self.track = track
        self.every = every
        self.log = log
        self.ignore = ignore

    def __sklearn_clone__(self) -> Self:
        """A copy with the same loggers: they are places to write to, not settings."""
        return type(self)(**self.get_params(deep=False))

    @property
    def patterns(self) -> list[str]:
        """``track`` as a list."""
        return [self.track] if isinstance(self.track, str) else list(self.track)


def as_watch(watch: Any) -> Watch:
    """The user's ``watch=``; None watches the loss alone.

    Raises
    ------
    ComponentError
        It is no ``mm.Watch``, or ``every`` is no number of epochs.
    """
    if watch is None:
        return Watch()
    if not isinstance(watch, Watch):
        raise ComponentError(f"watch must be None or mm.Watch(...); got {watch!r}")
    every = watch.every
    if not isinstance(every, int | np.integer) or isinstance(every, bool) or every < 1:
        raise ComponentError(
            f"mm.Watch(every=...) must be a whole number, 1 or more; got {every!r}"
        )
    return watch
