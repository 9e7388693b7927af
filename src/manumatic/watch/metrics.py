"""Metrics of any kind, called by name on raw outputs that are already there."""

__all__ = ["Metric", "as_metrics"]

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.metrics import get_scorer

from manumatic.errors import ComponentError

# (an estimator over raw outputs, raw outputs, targets as the loss takes them) → one number
Metric = Callable[[Any, Any, Any], float]


def as_metrics(metrics: Any) -> dict[str, Metric]:
    """The user's ``metrics=`` by name.

    Parameters
    ----------
    metrics : str, callable, dict or sequence of them
        As :class:`~manumatic.watch.spec.Watch` takes them.

    Raises
    ------
    ComponentError
        No scorer of that name, or something that cannot be called.

    Examples
    --------
    >>> from sklearn.metrics import median_absolute_error
    >>> list(as_metrics(["r2", median_absolute_error, {"mine": max}]))
    ['r2', 'median_absolute_error', 'mine']
    """
    if isinstance(metrics, Mapping):
        return {name: _metric(given) for name, given in metrics.items()}
    if isinstance(metrics, str) or callable(metrics) or hasattr(metrics, "compute"):
        metrics = [metrics]
    found: dict[str, Metric] = {}
    for given in metrics:
        if isinstance(given, Mapping):
            found |= as_metrics(given)
        else:
            found[_name(given)] = _metric(given)
    return found


def _name(given: Any) -> str:
    if isinstance(given, str):
        return given
    inner = getattr(given, "_score_func", given)
    return str(getattr(inner, "__name__", type(inner).__name__))


def _metric(given: Any) -> Metric:
    if isinstance(given, str):
        try:
            given = get_scorer(given)
        except ValueError:
            raise ComponentError(
                f"no metric {given!r}; sklearn.metrics.get_scorer_names() lists the names, and a "
                "function of (y_true, y_pred) will do as well"
            ) from None
    if hasattr(given, "update") and hasattr(given, "compute"):
        return _Stateful(given)
    if hasattr(given, "_score_func"):  # of scikit-learn's make_scorer
        return lambda reader, raw, y: given(reader, raw, reader.target(y))
    if callable(given):
        return lambda reader, raw, y: given(reader.target(y), reader.predict(raw))
    raise ComponentError(
        "a metric is a scorer's name, a scorer, a function of (y_true, y_pred) or an object with "
        f"update and compute; got {given!r}"
    )


class _Stateful:
    """torchmetrics' form: update(predictions, targets), compute, reset; tensors on both sides."""

    def __init__(self, metric: Any) -> None:
        self.metric = metric

    def __call__(self, reader: Any, raw: Any, y: Any) -> float:
        self.metric.reset()
        self.metric.update(*reader.tensors(raw, y))
        return float(self.metric.compute())
