"""What a server counts, in the words of Prometheus: requests, seconds, batches, drift."""

__all__ = ["Metrics"]

import math
import threading
from typing import Any

import numpy as np

from manumatic.deliver.schema import Column, Schema
from manumatic.errors import MissingExtra

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
MOST_COLUMNS = 200  # that have labels of their own
STRANGER = "\x00"  # how a word that nobody knows begins


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

    def saw(self, watch: "Watch", feeds: dict[str, np.ndarray]) -> None:
        """Count missing values, unseen words, and where values fall among those of training."""
        for column in watch.columns:
            values = feeds[column.name][:, 0] if column.name in feeds else None
            if values is None:
                continue
            if values.dtype.kind == "f":
                missing, unseen = int(np.isnan(values).sum()), 0
            else:
                missing = sum(value == "" for value in values)
                unseen = sum(value.startswith(STRANGER) for value in values)
            if missing:
                self.null.labels(column.name).inc(missing)
            if unseen:
                self.unseen.labels(column.name).inc(unseen)
            watch.count(column, values)

    def measure_drift(self, watch: "Watch") -> None:
        """Refresh the index of each column; asked for when the metrics are read."""
        for name, index in watch.drift().items():
            self.drift.labels(name).set(index)


class Watch:
    """How the rows of requests compare with those that the model was trained on.

    The population stability index Σ (p − q) · ln(p / q) over the parts of the training profile, p
    the share of requests and q of training rows in each; below 0.1 is the same, above 0.25 is not.

    Parameters
    ----------
    schema : Schema
    """

    def __init__(self, schema: Schema) -> None:
        self.columns = schema.columns[:MOST_COLUMNS] if schema.form == "table" else []
        self._parts = {c.name: _parts(c.profile) for c in self.columns if c.profile}
        self._seen = {name: np.zeros(len(shares)) for name, (_, shares) in self._parts.items()}
        self._lock = threading.Lock()

    def count(self, column: Column, values: np.ndarray) -> None:
        """Sort the values of a column into the parts of its profile."""
        if column.name not in self._parts:
            return
        known, shares = self._parts[column.name]
        if values.dtype.kind == "f":
            if isinstance(known, dict):
                return
            places = np.searchsorted(known, values[~np.isnan(values)], side="right")
        elif isinstance(known, dict):
            places = np.array([known.get(v, len(known)) for v in values if v != ""], np.int64)
        else:
            return
        with self._lock:
            self._seen[column.name] += np.bincount(places, minlength=len(shares))[: len(shares)]

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
