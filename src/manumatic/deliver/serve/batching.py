"""Requests that wait together are answered together: greedy, bounded, nobody waits for company."""

__all__ = ["Batcher", "Busy", "Waiting"]

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

Columns = dict[str, np.ndarray]
Run = Callable[[Columns], Columns]


class Busy(Exception):
    """More rows are waiting than the queue holds."""


class Waiting(NamedTuple):
    """Rows of one request."""

    columns: Columns
    rows: int
    future: "asyncio.Future[Columns]"


class Batcher:
    """Runs a model on all rows that are there when it is free.

    While a batch runs, requests queue up and become the next batch: under load batches grow by
    themselves, and a single request never waits for others. Where a batch of several requests
    fails, each is run again by itself, so that nobody pays for another's rows.

    Parameters
    ----------
    run : callable
        Columns (n, 1) by name → outputs (n, …) by name. Called in one thread at a time.
    most_rows : int
        Of a batch; a larger request is a batch of its own. 1 answers every request by itself.
    most_waiting : int
        Rows that may wait; more raise :class:`Busy`.
    inline_rows : int
        Batches up to so many rows run in the event loop: for a small graph the way to a thread and
        back costs more than the work.
    """

    def __init__(
        self, run: Run, most_rows: int = 1024, most_waiting: int = 20_000, inline_rows: int = 64
    ) -> None:
        self.run = run
        self.most_rows, self.most_waiting, self.inline_rows = most_rows, most_waiting, inline_rows
        self.waiting_rows = 0
        self._queue: deque[Waiting] = deque()
        self._working = False

    async def answer(self, columns: Columns, rows: int) -> Columns:
        """The outputs for these rows.

        Raises
        ------
        Busy
            Come back later.
        """
        if self.waiting_rows + rows > self.most_waiting and self.waiting_rows:
            raise Busy
        loop = asyncio.get_running_loop()
        waiting = Waiting(columns, rows, loop.create_future())
        self._queue.append(waiting)
        self.waiting_rows += rows
        if not self._working:
            self._working = True
            loop.call_soon(self._start, loop)  # after all requests that have come with this one
        return await waiting.future

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._next()
        if not batch:
            self._working = False
        elif sum(one.rows for one in batch) <= self.inline_rows:
            self._settle(loop, batch, self._outputs(batch))
        else:
            done = loop.run_in_executor(None, self._outputs, batch)
            done.add_done_callback(lambda outputs: self._settle(loop, batch, outputs.result()))

    def _next(self) -> list[Waiting]:
        """The next rows, those that nobody waits for any more left out."""
        batch: list[Waiting] = []
        total = 0
        while self._queue and (not batch or total + self._queue[0].rows <= self.most_rows):
            waiting = self._queue.popleft()
            self.waiting_rows -= waiting.rows
            if not waiting.future.done():
                batch.append(waiting)
                total += waiting.rows
        return batch

    def _outputs(self, batch: Sequence[Waiting]) -> list[Columns | Exception]:
        """For each request its outputs, or what went wrong."""
        try:
            if len(batch) == 1:
                return [self.run(batch[0].columns)]
            names = batch[0].columns
            outputs = self.run({n: np.concatenate([b.columns[n] for b in batch]) for n in names})
        except Exception as error:  # noqa: BLE001 (whoever asked hears of it)
            return [error] if len(batch) == 1 else [self._outputs([one])[0] for one in batch]
        ends = accumulate(one.rows for one in batch)
        return [
            {name: found[end - one.rows : end] for name, found in outputs.items()}
            for one, end in zip(batch, ends, strict=True)
        ]

    def _settle(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[Waiting],
        outputs: Sequence[Columns | Exception],
    ) -> None:
        for one, found in zip(batch, outputs, strict=True):
            if one.future.done():
                continue
            if isinstance(found, Exception):
                one.future.set_exception(found)
            else:
                one.future.set_result(found)
        loop.call_soon(self._start, loop)  # others may read and write between two batches
