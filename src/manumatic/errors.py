"""Everything that manumatic raises on purpose.

    ManumaticError
    ├── DataError        (ValueError)          the data cannot be used
    ├── ComponentError   (ValueError)          a component cannot be used as given
    ├── DivergedError    (FloatingPointError)  the loss left the finite numbers
    ├── ConvertError     (ValueError)          this estimator has no module in PyTorch
    ├── EjectError       (ValueError)          this run has no plain PyTorch script
    └── MissingExtra     (ImportError)         an optional package is missing

Each is also the built-in exception that scikit-learn's users already catch.
"""

__all__ = [
    "ComponentError",
    "ConvertError",
    "DataError",
    "DivergedError",
    "EjectError",
    "ManumaticError",
    "MissingExtra",
    "nearest",
]

import difflib
from collections.abc import Iterable
from typing import Any


class ManumaticError(Exception):
    """The root: ``except ManumaticError`` catches all that the library itself raises."""


class DataError(ManumaticError, ValueError):
    """The data cannot be used as given."""


class ComponentError(ManumaticError, ValueError):
    """A component (data, model, loss, optimizer, loop) cannot be used as given."""


class DivergedError(ManumaticError, FloatingPointError):
    """Training left the finite numbers.

    Attributes
    ----------
    epoch, batch : int
        Where, counted from 0.
    """

    def __init__(self, message: str, epoch: int = -1, batch: int = -1) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch

    def __reduce__(
        self,
    ) -> tuple[Any, ...]:  # joblib's processes send exceptions by their arguments
        return type(self), (self.args[0], self.epoch, self.batch)


class ConvertError(ManumaticError, ValueError):
    """There is no module for this estimator; the message says which part is in the way."""


class EjectError(ManumaticError, ValueError):
    """There is no plain script for this run; the message says which component has no source."""


class MissingExtra(ManumaticError, ImportError):
    """An optional package is needed.

    Parameters
    ----------
    package : str
        What could not be imported.
    extra : str
        The extra that brings it: ``pip install "manumatic[extra]"``.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'this needs {package}: pip install "manumatic[{extra}]"')
        self.package, self.extra = package, extra

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.package, self.extra)


def nearest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'price'?`` when something known is near to word, else an empty string."""
    close = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
