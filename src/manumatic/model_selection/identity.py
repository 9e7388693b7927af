"""What a study was made for, as text that another process comes to as well."""

__all__ = ["data_key", "told"]

import functools
import hashlib
import inspect
import re
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import nn

from manumatic.parts.model import is_lazy
from manumatic.parts.rows import read_rows

# they change no score, or are in the study themselves
ASIDE = ("device", "random_state", "verbose", "warm_start", "watch")


def data_key(X: Any, *columns: Any) -> str:
    """A digest of rows and of what belongs to them.

    Parameters
    ----------
    X : rows of any kind
    *columns : array-like or None
        Targets, weights.

    Examples
    --------
    >>> data_key([[1.0], [2.0]], [0, 1]) == data_key([[1.0], [2.0]], [1, 0])
    False
    """
    return _digest(read_rows(X), *columns)


def told(value: Any) -> Any:
    """A value in words that depend on nothing but the value: no addresses, digests of numbers.

    Parameters
    ----------
    value : Any
        An estimator becomes a dict of its parameters.

    Examples
    --------
    >>> told(torch.nn.ReLU), told((1, "a"))
    ('ReLU', "(1, 'a')")
    """
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = value.get_params().items()
        kept = {name: told(v) for name, v in params if name.split("__")[0] not in ASIDE}
        # what a component holds is among the parameters, as optimizer__lr
        inside = {name: v["class"] if isinstance(v, dict) else v for name, v in kept.items()}
        return {"class": type(value).__name__} | inside
    if isinstance(value, tuple | list | dict):
        return _told_inside(value)
    if isinstance(value, np.ndarray | pd.DataFrame | pd.Series | torch.Tensor):
        return _digest(value)
    if isinstance(value, nn.Module):
        weights = [] if is_lazy(value) else list(value.state_dict().values())
        return f"{value!r} {_digest(*weights)}"
    if isinstance(value, functools.partial):
        return f"{told(value.func)}{told(value.args)}{told(value.keywords)}"
    if isinstance(value, type) or inspect.isroutine(value):
        return value.__qualname__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _digest(*arrays: Any) -> str:
    found = hashlib.sha256()
    for array in arrays:
        if array is None:
            found.update(b"none")
            continue
        if isinstance(array, torch.Tensor):
            array = array.detach().cpu().numpy()
        if sparse.issparse(array):
            array = array.toarray()
        if not isinstance(array, pd.DataFrame):
            array = np.asarray(array)
            if array.dtype.kind in "biufc":
                found.update(f"{array.dtype}{array.shape}".encode())
                found.update(np.ascontiguousarray(array).tobytes())
                continue
            array = pd.DataFrame(array.astype(object))
        found.update(f"{[*map(str, array.columns)]}{[*map(str, array.dtypes)]}".encode())
        found.update(pd.util.hash_pandas_object(array, index=False).to_numpy().tobytes())
    return found.hexdigest()[:16]


def _told_inside(value: Any) -> str:
    if isinstance(value, dict):
        return str({name: told(part) for name, part in value.items()})
    return f"({', '.join(str(told(part)) for part in value)})"
