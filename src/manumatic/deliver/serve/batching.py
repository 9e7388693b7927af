"""Requests that wait together are answered together: greedy, bounded, nobody waits for company."""

__all__ = ["Batcher", "Busy"]

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

Columns = dict[str, np.ndarray]
Run = Callable[[Columns], Columns]


class Busy(Exception):
    """More rows are waiting than the queue holds."""


class Batcher:
    """Runs a model on all rows that are there when it is free.

    While a batch runs, requests queue up and become the next batch: under load batches grow by
    themselves, and a single request never waits for others.

    Parameters
    ----------
    run : callable
        Columns (n, 1) by name → outputs (n, …) by name. Called in one thread at a time.
    most_rows : int
        Of a batch; a larger request is a batch of its own.
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
        self._queue: deque[tuple[Columns, int, asyncio.Future[Columns]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def answer(self, columns: Columns, rows: int) -> Columns:
        """The outputs for these rows.

        Raises
        ------
        Busy
            Come back later.
        """
        if self.waiting_rows + rows > self.most_waiting and self.waiting_rows:
            raise Busy
        future: asyncio.Future[Columns] = asyncio.get_running_loop().create_future()
        self._queue.append((columns, rows, future))
        self.waiting_rows += rows
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        await asyncio.sleep(0)  # let all requests in that have come with this one
        while self._queue:
            batch = self._next()
            if not batch:
                continue
            parts, sizes, futures = zip(*batch, strict=True)
            try:
                joined = parts[0] if len(parts) == 1 else _joined(parts)
                if sum(sizes) <= self.inline_rows:
                    outputs = self.run(joined)
                    await asyncio.sleep(0)  # others may read and write between two batches
                else:
                    outputs = await asyncio.to_thread(self.run, joined)
            except Exception as error:  # noqa: BLE001 (whoever asked hears of it)
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
                continue
            first = 0
            for rows, future in zip(sizes, futures, strict=True):
                if not future.done():
                    part = {name: found[first : first + rows] for name, found in outputs.items()}
                    future.set_result(part)
                first += rows

    def _next(self) -> list[tuple[Columns, int, "asyncio.Future[Columns]"]]:
        """The next rows, those of clients that have gone left out."""
        batch: list[Any] = []
        total = 0
        while self._queue and (not batch or total + self._queue[0][1] <= self.most_rows):
            request = self._queue.popleft()
            self.waiting_rows -= request[1]
            if not request[2].done():
                batch.append(request)
                total += request[1]
        return batch


def _joined(parts: tuple[Columns, ...]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
