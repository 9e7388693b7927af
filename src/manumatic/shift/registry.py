"""Which function lays which estimator open: one door, open to everybody's estimators."""

__all__ = ["Shift", "Shifter", "refuse", "shift", "shiftable", "shifts", "starts"]

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from manumatic.errors import ComponentError, nearest
from manumatic.logbook import PARTS, Logbook

FAMILIES = ("glm", "linear", "margins", "neural", "pls", "robust", "stochastic", "unsupervised")


@dataclass(frozen=True)
class Shift:
    """What a shifter returns.

    Attributes
    ----------
    net : Classifier, Regressor or Autoencoder
        Not fitted. Where the estimator was, its model is an ``nn.Module`` with those weights.
    roles : dict of str to (str, str)
        For each of the five components what it is, and which part of scikit-learn's ``fit`` it
        plays: ``{"loss": ("squared error", "the sum that least squares makes small"), ...}``.
    """

    net: Any
    roles: dict[str, tuple[str, str]]


Shifter = Callable[[Any], Shift]
REGISTRY: dict[str, tuple[type | None, Shifter]] = {}


def shifts(*kinds: type | str) -> Callable[[Shifter], Shifter]:
    """Register a function that lays an estimator open as five components.

    Parameters
    ----------
    *kinds : type or str
        Classes of estimators; as text, ``"package.Name"``, where they may not be installed.

    Returns
    -------
    callable
        A decorator. The function takes the estimator, fitted or not, and returns a
        :class:`Shift`. It refuses a parameter that has no counterpart by its name
        (:func:`refuse`).

    Examples
    --------
    >>> from sklearn.base import BaseEstimator, RegressorMixin
    >>> import manumatic as mm
    >>> class Mean(RegressorMixin, BaseEstimator):
    ...     def fit(self, X, y):
    ...         self.mean_ = y.mean()
    ...         return self
    >>> @mm.shifts(Mean)
    ... def mean(estimator):
    ...     return Shift(mm.Regressor("linear"), {"model": ("a line", "the mean is a flat one")})
    >>> print(mm.shift(Mean()).logbook_)
    model  a line  the mean is a flat one
    """

    def register(shifter: Shifter) -> Shifter:
        for kind in kinds:
            known = (None, kind) if isinstance(kind, str) else (kind, _name(kind))
            REGISTRY[known[1]] = known[0], shifter
        return shifter

    return register


def shift(estimator: Any) -> Any:
    """Lay a scikit-learn estimator open: the same task, as five explicit components.

    Parameters
    ----------
    estimator : object
        An estimator of scikit-learn's, not fitted: the solution will be the same; or fitted: the
        model starts from its weights.

    Returns
    -------
    Classifier, Regressor or Autoencoder
        Not fitted. ``logbook_`` says which component plays which role; rows are taken as they are,
        so standardise first, as for scikit-learn's own SGD.

    Raises
    ------
    ComponentError
        Nobody has registered a function for it, or a parameter has no counterpart.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> import manumatic as mm
    >>> X, y = [[-1.0], [0.0], [1.0]], [1.0, 2.0, 3.0]
    >>> net = mm.shift(Ridge(alpha=2.0)).fit(X, y)
    >>> net.predict(X).round(3), Ridge(alpha=2.0).fit(X, y).predict(X)
    (array([1.5, 2. , 2.5]), array([1.5, 2. , 2.5]))
    """
    shifted = _shifter(estimator)(estimator)
    book = Logbook()
    for part in PARTS:
        if part in shifted.roles:
            book.note(part, *shifted.roles[part])
    shifted.net.logbook_ = shifted.net._roles = book
    return shifted.net


def shiftable() -> list[str]:
    """Names of the estimators that :func:`shift` lays open, by package: ``"sklearn.Ridge"``.

    Examples
    --------
    >>> "sklearn.Ridge" in shiftable()
    True
    """
    _load()
    return sorted(REGISTRY)


def refuse(estimator: Any, **without: Any) -> None:
    """Raise where a parameter differs from the one value that has a counterpart.

    Parameters
    ----------
    estimator : object
    **without : Any
        Name of the parameter → the value that is covered.

    Raises
    ------
    ComponentError
        Names the parameter and its value.
    """
    for name, covered in without.items():
        value = getattr(estimator, name)
        if value is not covered and not (type(value) is type(covered) and value == covered):
            raise ComponentError(
                f"{type(estimator).__name__}({name}={value!r}) has no counterpart among the five "
                f"components; shift covers {name}={covered!r}"
            )


def starts(estimator: Any, name: str = "coef_") -> bool:
    """Whether the estimator was fitted: its weights are where the model then starts.

    Parameters
    ----------
    estimator : object
    name : str
        The attribute that a fit leaves.
    """
    return hasattr(estimator, name)


def _shifter(estimator: Any) -> Shifter:
    _load()
    kind = estimator if isinstance(estimator, type) else type(estimator)
    if kind is estimator:
        raise ComponentError(
            f"shift takes an estimator, not its class: mm.shift({kind.__name__}())"
        )
    for base in kind.__mro__:
        if _name(base) not in REGISTRY:
            continue
        if getattr(kind, "fit", 0) is not getattr(base, "fit", 0):
            raise ComponentError(
                f"{kind.__name__} has a fit of its own, so what shift knows of {base.__name__} "
                f"does not hold for it; register a function with @mm.shifts({kind.__name__})"
            )
        return REGISTRY[_name(base)][1]
    known = [name.rpartition(".")[2] for name in REGISTRY]
    raise ComponentError(
        f"{kind.__name__} cannot be shifted.{nearest(kind.__name__, known)} Write how with "
        f"@mm.shifts({kind.__name__}) over a function (estimator); mm.shiftable() lists what "
        "there is"
    )


def _name(kind: type) -> str:
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _load() -> None:
    for family in FAMILIES:
        import_module(f"manumatic.shift.{family}")
