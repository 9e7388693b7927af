"""The model that is served: loaded, batched, watched, and exchanged while requests go on."""

__all__ = ["Model", "Service"]

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from manumatic.deliver.runtime import Runtime
from manumatic.deliver.serve.batching import Batcher
from manumatic.deliver.serve.decode import Decoder, finite_rows
from manumatic.deliver.serve.metrics import Metrics, Watch

log = logging.getLogger("manumatic.serve")
Columns = dict[str, np.ndarray]


class Model:
    """One bundle, ready to answer; requests that it has begun it also ends.

    Parameters
    ----------
    path : Path
    metrics : Metrics
    most_rows : int
        Of one request.
    """

    def __init__(self, path: Path, metrics: Metrics, most_rows: int) -> None:
        self.runtime = Runtime(path)  # replays the golden rows
        self.schema, self.digest = self.runtime.schema, self.runtime.version
        self.decode = Decoder(self.schema, most_rows)
        self.batcher = Batcher(self._run)
        self.watch, self.metrics = Watch(self.schema), metrics

    async def answer(self, feeds: Columns, rows: int) -> Columns:
        """The outputs of the graph for its inputs."""
        outputs = await self.batcher.answer(feeds, rows)
        finite_rows(outputs)
        return outputs

    def _run(self, feeds: Columns) -> Columns:
        start = time.perf_counter()
        outputs = self.runtime.run(feeds)
        self.metrics.inference.observe(time.perf_counter() - start)
        rows = len(next(iter(feeds.values())))
        self.metrics.batch.observe(rows)
        self.watch.saw(feeds, rows)
        return outputs


class Service:
    """A bundle's path, and the model that was loaded from it last.

    Parameters
    ----------
    path : path
        Of the bundle. A new one moved to this place is taken up while the server runs; one that
        does not load is refused, and the old one goes on.
    most_rows : int
        Of one request.
    every : float
        Seconds between two looks at the path.
    """

    def __init__(self, path: str | Path, most_rows: int = 10_000, every: float = 1.0) -> None:
        self.path, self.most_rows, self.every = Path(path), most_rows, every
        self.name = self.path.stem
        self.metrics = Metrics(self.name)
        self.draining = False
        self._seen = self._stamp()
        self.model = self._load()

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return not self.draining

    @contextlib.asynccontextmanager
    async def watching(self, app: Any = None) -> AsyncIterator[None]:
        """Look for a new bundle as long as this lasts: the lifespan of an app."""
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self.every)
            stamp = self._stamp()
            if stamp is None or stamp == self._seen:
                continue
            self._seen = stamp
            old = self.model
            try:
                self.model = await asyncio.to_thread(self._load)
            except Exception as error:  # noqa: BLE001 (whatever is wrong with it, the old one goes on)
                self.metrics.swaps.labels("refused").inc()
                log.error("the new %s is refused, the old one goes on: %s", self.path, error)
            else:
                self.metrics.swaps.labels("taken").inc()
                self.metrics.refresh(old.watch, 0)
                log.info("%s: now %s", self.path, self.model.digest)

    def _load(self) -> Model:
        model = Model(self.path, self.metrics, self.most_rows)
        self.metrics.loaded(model.digest)
        return model

    def _stamp(self) -> tuple[int, int, int] | None:
        """Changes when another file stands there."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
