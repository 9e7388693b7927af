"""Which function turns which estimator into a module: one door, open to everybody's estimators."""

__all__ = ["Build", "Converter", "Entry", "converter_of", "convertible", "converts", "why_not"]

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags
from torch import Tensor, nn

from manumatic.convert.border import Column
from manumatic.convert.pieces import METHODS, Classifier, Piece, Regressor, Transformer
from manumatic.errors import ConvertError, nearest

FAMILIES = (
    "approximation",
    "basis",
    "bayes",
    "boosters",
    "boosting",
    "calibration",
    "cluster",
    "committees",
    "compose",
    "cross_decomposition",
    "decomposition",
    "density",
    "discriminant",
    "dummy",
    "encoders",
    "factorize",
    "forests",
    "functions",
    "impute",
    "isotonic",
    "kernel_machines",
    "linear",
    "manifold",
    "meta",
    "mixture",
    "neighbors",
    "neural",
    "one_against",
    "outliers",
    "power",
    "scale",
    "select",
    "several",
    "stacking",
    "svm",
    "text",
)
# why a part of scikit-learn stays outside
TEXTS = (
    "it reads strings or dicts, and a tensor holds numbers; let scikit-learn run it, and convert "
    "the steps behind it: to_torch(pipeline[1:])"
)
LABELS = "it reads labels, not rows; a converted classifier keeps them as classes_"
REASONS: dict[str, str] = {
    "CountVectorizer": TEXTS,
    "DictVectorizer": TEXTS,
    "FeatureHasher": TEXTS,
    "HashingVectorizer": TEXTS,
    "LabelBinarizer": LABELS,
    "LabelEncoder": LABELS,
    "MultiLabelBinarizer": LABELS,
    "TfidfVectorizer": TEXTS,
}
Converter = Callable[[Any, "Build"], nn.Module]


@dataclass(frozen=True)
class Entry:
    """A converter and what it can take."""

    converter: Converter
    strings: bool
    of: Any = None  # a function, kept so that no other gets its id


REGISTRY: dict[str, Entry] = {}


def converts(
    *kinds: type | str | Callable[..., Any], strings: bool = False
) -> Callable[[Converter], Converter]:
    """Register a function that turns a fitted estimator into an ``nn.Module``.

    Parameters
    ----------
    *kinds : type, function or str
        Classes of estimators, or functions that a ``FunctionTransformer`` calls; as text,
        ``"xgboost.XGBClassifier"``, where they may not be there: the top package and the name.
    strings : bool
        The estimator takes columns of strings. The converter then looks at ``build.columns``, and
        the module's input holds their codes.

    Returns
    -------
    callable
        A decorator. The function takes ``(estimator, build)``, see :class:`Build`, and returns a
        module: numbers (n, features) → what the estimator gives, with a column for each output;
        for a classifier scores (n, classes), softmax of which are the probabilities.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> class Doubled(TransformerMixin, BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         self.n_features_in_ = len(X[0])
    ...         return self
    ...     def transform(self, X):
    ...         return 2 * X
    >>> class Twice(nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> @converts(Doubled)
    ... def doubled(estimator, build):
    ...     return Twice()
    >>> from manumatic.convert.module import to_torch
    >>> to_torch(Doubled().fit([[1.0]])).transform([[21.0]])
    array([[42.]])
    """

    def register(converter: Converter) -> Converter:
        for kind in kinds:
            REGISTRY[kind if isinstance(kind, str) else _name(kind)] = Entry(
                converter, strings, kind
            )
        return converter

    return register


def convertible() -> list[str]:
    """Names of the estimators that can be converted, by package: ``"sklearn.Ridge"``.

    Examples
    --------
    >>> "sklearn.StandardScaler" in convertible()
    True
    """
    _load()
    return sorted(REGISTRY)


@dataclass(frozen=True)
class Build:
    """What a converter needs to know beside the estimator.

    All is computed in float64, as scikit-learn does; the whole module is cast at the end.

    Attributes
    ----------
    columns : tuple of Column or None
        The columns that come in; None where all are numbers that some step has computed.
    soft : float or None
        The temperature of soft trees, None for exact ones.
    """

    columns: tuple[Column, ...] | None = None
    soft: float | None = None

    def tensor(self, values: Any) -> Tensor:
        """Numbers of a fitted estimator, copied."""
        return torch.tensor(np.array(values, order="C"), dtype=torch.float64)

    def weight(self, values: Any) -> nn.Parameter:
        """Numbers that training may change."""
        return nn.Parameter(self.tensor(values))

    def convert(self, estimator: Any, columns: Sequence[Column] | None = None) -> Piece:
        """An estimator inside an estimator, on these columns; None: on computed numbers.

        Raises
        ------
        ConvertError
            Nobody has registered a converter, or the converter refuses.
        """
        entry = _entry(estimator)
        inner = replace(self, columns=None if columns is None else tuple(columns))
        if columns is not None and not entry.strings:
            missing = get_tags(estimator).input_tags.allow_nan
            for column in columns:
                column.read_as_number(type(estimator).__name__, missing=missing)
        return self.piece(entry.converter(estimator, inner), estimator)

    def piece(self, module: nn.Module, estimator: Any) -> Piece:
        """A module of anybody's with the methods of the estimator's kind."""
        if isinstance(module, Piece):
            return module
        if is_classifier(estimator):
            return Classifier(estimator.classes_, module)
        if is_regressor(estimator):
            return Regressor(module)
        return Transformer(module)


def converter_of(function: Any) -> Converter | None:
    """What is registered for a function that a ``FunctionTransformer`` calls.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable or None
    """
    entry = REGISTRY.get(_name(function))
    return None if entry is None else entry.converter


def _entry(estimator: Any) -> Entry:
    _load()
    kind = type(estimator)
    for base in kind.__mro__:
        entry = REGISTRY.get(_name(base))
        if entry is None:
            continue
        own, known = (dict(_methods(each)) for each in (kind, base))
        changed = [name for name in METHODS if own[name] is not known[name]]
        if changed:
            raise ConvertError(
                f"{kind.__name__} has a {changed[0]} of its own, so the converter of "
                f"{base.__name__} does not hold for it; register one with "
                f"@mm.converts({kind.__name__})"
            )
        return entry
    names = [name.rpartition(".")[2] for name in REGISTRY]
    raise ConvertError(
        f"{kind.__name__} has no converter to PyTorch: {why_not(kind)}."
        f"{nearest(kind.__name__, names)} Write one: @mm.converts({kind.__name__}) over a function "
        "(estimator, build) that returns an nn.Module; mm.convertible() lists what there is"
    )


def why_not(kind: type) -> str:
    """Why a class of estimators has no converter.

    Parameters
    ----------
    kind : type

    Examples
    --------
    >>> from sklearn.manifold import TSNE
    >>> why_not(TSNE)
    'it says nothing about rows that it has not seen'
    """
    if not any(hasattr(kind, method) for method in METHODS):
        return "it says nothing about rows that it has not seen"
    return REASONS.get(kind.__name__, "nobody has written one")


def _methods(kind: type) -> list[tuple[str, Any]]:
    return [(name, inspect.getattr_static(kind, name, None)) for name in METHODS]


def _name(kind: Any) -> str:
    name, home = getattr(kind, "__qualname__", "<no name>"), getattr(kind, "__module__", None) or ""
    if isinstance(kind, type):
        return f"{home.partition('.')[0]}.{name}"
    # of two functions with one name, each is its own; all lambdas have the same
    return f"{home}.{name} {id(kind)}" if "<" in name else f"{home}.{name}"


def _load() -> None:
    for family in FAMILIES:
        import_module(f"manumatic.convert.{family}")
    import_module("manumatic.gears.converted")  # manumatic's own, which lie above this folder
