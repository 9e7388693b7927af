"""Fits that meet where each would start to train, and are trained there as one.

A search calls "fit on these rows, then score" many times. Here each call runs in a thread of its
own, but only one thread runs at a time: a call is let go on until a net in it is ready to train,
and waits there. When all wait, their trainings are run together, and each goes on as if it had
trained alone. Whatever the call does around its net (a pipeline, weights, a search inside) happens
as ever, because nobody else does it.
"""

__all__ = ["Call", "Meeting"]

import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from threading import Event, Thread
from typing import Any

from manumatic.gears.callbacks import drive
from manumatic.gears.handover import steps
from manumatic.gears.manual import Training
from manumatic.model_selection.prepared import Prepared
from manumatic.model_selection.stack import train_together

MOST_CALLS = 512  # that wait at a time; each costs a thread, and a larger stack gains nothing more
MOST_BYTES = 2**28  # of rows that wait at a time; with all copies on the way, five times as much

Done = Callable[[], Any]


class Call:
    """A function that stops on its way where a net in it is ready to train.

    Parameters
    ----------
    function : callable
        Takes nothing.
    done : callable or None
        Called when it has returned.
    prepared : Prepared
        Prepares the rows of its fits.

    Attributes
    ----------
    training : Training or None
        What it waits for.
    run : callable
        Runs that training alone.
    listened : bool
        Whether callbacks of scikit-learn listen to its epochs.
    ended : bool
        Whether it came to its end, with a result or an error.
    value : Any
        What it returned; None until then.
    """

    def __init__(self, function: Callable[[], Any], done: Done | None, prepared: Prepared) -> None:
        self.function = function
        self.done = done
        self.prepared = prepared
        self.training: Training | None = None
        self.run: Callable[[], None] = lambda: None
        self.listened = self.ended = False
        self.value: Any = None
        self._raised: BaseException | None = None
        self._error: BaseException | None = None  # to raise where it waits
        self._others = 0.0  # seconds between start and end that went into other calls
        self._go, self._stopped = Event(), Event()
        self._thread = Thread(
            None, copy_context().run, "one of many fits", (self._run,), daemon=True
        )

    def result(self) -> Any:
        """What it returned; what it raised is raised."""
        if self._raised is not None:
            raise self._raised
        return self.value

    def go_on(self, error: BaseException | None = None, seconds: float = 0.0) -> None:
        """Let it run until it waits for a training, or to its end.

        Parameters
        ----------
        error : exception, optional
            What became of the training that it waits for.
        seconds : float
            Its share of the time that the training took.
        """
        waits = self.training is not None
        self.training, self._error = None, error
        self._others -= seconds
        self._stopped.clear()
        with warnings.catch_warnings():  # of the process, not of a thread: it may leave by waiting
            try:
                if waits:
                    self._go.set()
                else:
                    self._thread.start()
                self._stopped.wait()
            except KeyboardInterrupt:
                if self._thread.is_alive():  # one at a time, also on the way out
                    self._stopped.wait()
                raise

    def close(self) -> None:
        """End it where it stands."""
        self._error = GeneratorExit()
        self._go.set()
        if self._thread.is_alive():
            self._thread.join()

    # --- in its own thread -----------------------------------------------------------------------

    def _run(self) -> None:
        steps.prepare, steps.numbers = self.prepared.prepare, self.prepared.numbers
        steps.train = self._train
        try:
            self.value = self._timed(self.function())
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._raised = error
        self.ended = True
        self._stopped.set()

    def _timed(self, result: Any) -> Any:
        """Less the time that went into other calls, where scikit-learn has held a stopwatch."""
        for found in result if isinstance(result, list) else ():
            if isinstance(found, dict) and "fit_time" in found:
                found["fit_time"] -= self._others
        return result

    def _train(self, net: Any, training: Training, X: Any, y: Any, sample_weight: Any) -> None:
        """In place of :func:`~manumatic.gears.callbacks.drive`."""
        self.run = partial(drive, net, training, X, y, sample_weight)
        self.listened = bool(getattr(net, "_skl_callbacks", None))
        self._wait_for(training)

    def _wait_for(self, training: Training) -> None:
        start, filters = time.time(), warnings.filters
        if not isinstance(self._error, GeneratorExit):
            self.training = training
            self._stopped.set()
            self._go.wait()
            self._go.clear()
        warnings.filters = filters
        self._others += time.time() - start
        if self._error is not None:
            raise self._error


class Meeting:
    """Calls, run so that the nets in them are trained together.

    An error that a call raises ends the meeting, as it would end the calls one after another. An
    interrupt ends it, too: calls whose training is finished go on to their result before.

    Attributes
    ----------
    calls : list of Call
        In the order in which they were added.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._new: deque[Call] = deque()
        self._waiting: list[Call] = []
        self._prepared = Prepared()

    def add(self, function: Callable[[], Any], done: Done | None = None) -> Call:
        """Take in a call; it begins when there is room."""
        call = Call(function, done, self._prepared)
        self.calls.append(call)
        self._new.append(call)
        return call

    def until(self, call: Call) -> Any:
        """Go on until this call has returned; what it returned."""
        while not call.ended:
            self._round()
        return call.result()

    def results(self) -> list[Any]:
        """What each call has returned; None where it has not."""
        return [call.value for call in self.calls]

    def close(self) -> None:
        """End what has not come to its end."""
        for call in self.calls:
            call.close()

    def _round(self) -> None:
        """Gather as many as there is room for, train them together, let each go on."""
        if self._new:
            self._prepared.clear()
        while self._new and self._has_room():
            self._let_go(self._new.popleft())
        waiting, self._waiting = self._waiting, []
        try:
            start = time.time()
            errors = _train([call.training for call in waiting if call.training is not None])
            seconds = (time.time() - start) / max(1, len(waiting))
            for call, error in zip(waiting, errors, strict=True):
                left = error is None and not _has_ended(call)
                self._let_go(call, *(_alone(call) if left else (error, seconds)))
        except KeyboardInterrupt:
            for call in filter(_has_ended, waiting):
                self._let_go(call)
            raise

    def _has_room(self) -> bool:
        rows = (getattr(call.training, "data", None) for call in self._waiting)
        size = sum(tensor.nbytes for data in rows for tensor in getattr(data, "tensors", ()))
        return len(self._waiting) < MOST_CALLS and size < MOST_BYTES

    def _let_go(self, call: Call, error: BaseException | None = None, seconds: float = 0.0) -> None:
        call.go_on(error, seconds)
        if call.training is None:
            call.result()
            if call.done is not None:
                call.done()
        elif call.listened:
            self._let_go(call, *_alone(call))
        else:
            self._prepared.share(call.training)
            self._waiting.append(call)


def _has_ended(call: Call) -> bool:
    return call.training is not None and call.training.state.ended


def _train(trainings: Sequence[Training]) -> Sequence[BaseException | None]:
    """The error of each, if there is one; what has not ended had bad company."""
    if not trainings:
        return []
    try:
        return train_together(trainings)
    except Exception as error:  # noqa: BLE001 - whoever caused it meets it again on its own
        for training in trainings:
            if not training.state.ended:
                why = f"together: {type(error).__name__}: {error}"
                training.facts.logbook.note("loop", "trained alone", why)
        return [None] * len(trainings)


def _alone(call: Call) -> tuple[BaseException | None, float]:
    """Run what a call waits for; the error that it is to raise, and seconds."""
    start, raised = time.time(), None
    try:
        call.run()
    except Exception as error:  # noqa: BLE001 - the call raises it
        raised = error
    return raised, time.time() - start
