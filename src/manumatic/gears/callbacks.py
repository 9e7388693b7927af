"""scikit-learn's own callbacks: its bars and monitors see our epochs.

The protocol is scikit-learn 1.9's (SLEP 23): an estimator tells the callbacks set on it, or on a
meta-estimator around it, when a task begins and ends; here, fit and its epochs.
"""

__all__ = ["CallbackSupportMixin", "drive", "with_callbacks"]

import copy
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sklearn.callback import CallbackSupportMixin
from sklearn.callback import with_callbacks as _untyped

from manumatic.gears.books import settle
from manumatic.gears.manual import Training

Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """scikit-learn's decorator, with the type of the method kept: callbacks are torn down after."""
    return cast(Method, _untyped(method))


def drive(net: Any, training: Training, X: Any, y: Any, sample_weight: Any) -> None:
    """Run a training to its end, telling the callbacks of ``net`` about each epoch.

    A callback that returns True ends the run after this epoch; what is finished is kept.
    """
    if not getattr(net, "_skl_callbacks", None):  # nobody listens: the loop as it is
        training.run()
        return
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    told = {"estimator": net, "X": X, "y": y, "metadata": metadata}
    fit = net._init_callback_context(max_subtasks=training.loop.epochs)
    fit.call_on_fit_task_begin(**told)

    def now() -> dict[str, Any]:
        return vars(copy.copy(net)._adopt(training))

    stop = False
    while not stop and _goes_on(training):
        epoch = fit.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(**told)
        training.run(epochs=1)
        stop = epoch.call_on_fit_task_end(**told, reconstruction_attributes=now)
    if stop:
        settle(training)
    else:
        training.run()  # closes the books where patience ran out
    fit.call_on_fit_task_end(**told, reconstruction_attributes=now)


def _goes_on(training: Training) -> bool:
    """Whether the loop has another epoch."""
    state, loop = training.state, training.loop
    if state.ended or state.next_epoch >= loop.epochs:
        return False
    waited = state.epoch - state.best.epoch if state.steps else 0
    return loop.patience is None or waited < loop.patience
