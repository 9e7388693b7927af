"""scikit-learn's own callbacks: its bars and monitors see our epochs.

The protocol is scikit-learn 1.9's (SLEP 23): an estimator tells the callbacks set on it, or on a
meta-estimator around it, when a task begins and ends; here, fit and its epochs.
"""

__all__ = ["CallbackSupportMixin", "drive", "with_callbacks"]

import copy
from typing import Any

from sklearn.callback import CallbackSupportMixin, with_callbacks

from manumatic.gears.books import settle
from manumatic.gears.manual import Training


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
    patient = loop.patience is None or state.epoch - state.best.epoch < loop.patience
    return not state.ended and state.next_epoch < loop.epochs and patient
