"""What a server counts, in the words of Prometheus: requests, seconds, batches, drift."""

__all__ = ["Metrics", "Watch"]

import math
import threading
from collections import Counter
from typing import Any

import numpy as np

from manumatic.deliver.rows import STRANGER
from manumatic.deliver.schema import Column, Schema
from manumatic.errors import MissingExtra

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
MOST_COLUMNS = 200  # that have labels of their own
MOST_ROWS = 512  # that wait to be counted


class Metrics:
    """Counters of one server; no value of a request ever becomes a label.

    Parameters
    ----------
    model : str
        The model's name, a label of everything.
    """

    def __init__(self, model: str) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            raise MissingExtra("prometheus_client", "deliver") from None
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "manumatic"}
        self.requests = Counter("requests", "Answers", ["route", "code"], **own)
        self.seconds = Histogram(
            "request_seconds", "From the head to the answer", ["route"], buckets=SECONDS, **own
        )
        self.inference = Histogram(
            "inference_seconds", "A batch in the model", buckets=SECONDS, **own
        )
        self.batch = Histogram("batch_rows", "Rows of a batch", buckets=ROWS, **own)
        self.waiting = Gauge("queue_rows", "Rows that wait", **own)
        self.invalid = Counter("validation_errors", "Refused requests", ["reason"], **own)
        self.unseen = Counter("unseen_words", "Words that no step knows", ["column"], **own)
        self.null = Counter("null_values", "Missing values", ["column"], **own)
        self.nonfinite = Counter("nonfinite_outputs", "Answers that are no number", **own)
        self.drift = Gauge(
            "drift_psi", "Population stability index to the training rows", ["column"], **own
        )
        self.swaps = Counter("model_swaps", "Bundles taken up or refused", ["result"], **own)
        self.info = Gauge("model_info", "Always 1", ["model", "digest"], **own)
        self.model = model

    def loaded(self, digest: str) -> None:
        """A bundle is in use from now on."""
        self.info.clear()
        self.info.labels(self.model, digest).set(1)

    def text(self) -> bytes:
        """All of it, in Prometheus' format."""
        from prometheus_client import generate_latest

        return bytes(generate_latest(self.registry))

    def refresh(self, watch: "Watch", waiting_rows: int) -> None:
        """Bring up to date what is only reckoned when the metrics are read."""
        self.waiting.set(waiting_rows)
        watch.count()
        for name, (missing, unseen) in watch.odd.items():
            for counter, found in ((self.null, missing), (self.unseen, unseen)):
                if found:
                    counter.labels(name).inc(found)
        watch.odd.clear()
        for name, index in watch.drift().items():
            self.drift.labels(name).set(index)


class Watch:
    """How the rows of requests compare with those that the model was trained on.

    The population stability index Σ (p − q) · ln(p / q) over the parts of the training profile, p
    the share of requests and q of training rows in each; below 0.1 is the same, above 0.25 is not.
    Rows are counted some hundred at a time: one by one they would cost more than the model.

    Parameters
    ----------
    schema : Schema

    Attributes
    ----------
    odd : dict of str to (int, int)
        Missing values and unseen words of each column since the metrics were read.
    """

    def __init__(self, schema: Schema) -> None:
        self.columns = schema.columns[:MOST_COLUMNS] if schema.form == "table" else []
        self.odd: dict[str, tuple[int, int]] = {}
        self._parts = {c.name: _parts(c.profile) for c in self.columns if c.profile}
        self._seen = {name: np.zeros(len(shares)) for name, (_, shares) in self._parts.items()}
        self._recent: list[dict[str, np.ndarray]] = []
        self._rows = 0
        self._lock = threading.Lock()

    def saw(self, feeds: dict[str, np.ndarray], rows: int) -> None:
        """Rows that were answered.

        Parameters
        ----------
        feeds : dict of str to ndarray
            The inputs of the graph.
        rows : int
        """
        self._recent.append(feeds)
        self._rows += rows
        if self._rows >= MOST_ROWS:
            self.count()

    def count(self) -> None:
        """Sort what was seen lately into the parts of the profiles."""
        with self._lock:
            recent, self._recent, self._rows = self._recent, [], 0
            if not recent:
                return
            for column in self.columns:
                values = np.concatenate([feeds[column.name][:, 0] for feeds in recent])
                numbers = values.dtype.kind == "f"
                missing, unseen = (self._numbers if numbers else self._words)(column, values)
                before = self.odd.get(column.name, (0, 0))
                self.odd[column.name] = (before[0] + missing, before[1] + unseen)

    def _numbers(self, column: Column, values: np.ndarray) -> tuple[int, int]:
        there = values[~np.isnan(values)]
        edges, shares = self._parts.get(column.name, ({}, ()))
        if not isinstance(edges, dict):
            places = np.searchsorted(edges, there, side="right")
            self._seen[column.name] += np.bincount(places, minlength=len(shares))
        return len(values) - len(there), 0

    def _words(self, column: Column, values: np.ndarray) -> tuple[int, int]:
        found = Counter(values.tolist())
        missing = found.pop("None" if None in (column.categories or ()) else "", 0)
        places, shares = self._parts.get(column.name, ((), ()))
        if isinstance(places, dict):
            for word, count in found.items():
                self._seen[column.name][places.get(word, len(shares) - 1)] += count
        # no known word begins as this one does
        return missing, sum(n for word, n in found.items() if word.startswith(STRANGER[0]))

    def drift(self) -> dict[str, float]:
        """The index of each column that a hundred values were seen of."""
        found = {}
        for name, (_, shares) in self._parts.items():
            total = self._seen[name].sum()
            if total >= 100:
                found[name] = _psi(self._seen[name] / total, shares)
        return found


def _parts(profile: dict[str, Any]) -> tuple[Any, np.ndarray]:
    """Inner edges, or places of words; and the share of training rows in each part."""
    if "edges" in profile:
        inner, each = np.unique(np.asarray(profile["edges"][1:-1], float), return_counts=True)
        share = np.append(each, 1.0)
        return inner, share / share.sum()
    counts = profile["counts"]
    shares = np.array([*(count for _, count in counts), profile["other"]], float)
    return {str(value): i for i, (value, _) in enumerate(counts)}, shares / max(1.0, shares.sum())


def _psi(now: np.ndarray, before: np.ndarray) -> float:
    now, before = np.maximum(now, 1e-4), np.maximum(before, 1e-4)
    return math.fsum(((now - before) * np.log(now / before)).tolist())
