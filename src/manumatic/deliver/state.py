"""Estimators as data: a tree of plain values, tensors beside it, scikit-learn's parts by skops.

An object is its class's name and its attributes. It comes back as ``class.__new__`` and the
attributes, so no constructor runs and a net needs no arguments that would have to be guessed.
"""

__all__ = ["Packed", "Slot", "pack"]

import collections
import copy
import enum
import functools
import inspect
import math
import sys
import types
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from manumatic.deliver.allowed import (
    SKLEARN_PARTS,
    function_name,
    known_class,
    known_function,
    name_of,
)
from manumatic.errors import ComponentError, MissingExtra
from manumatic.gears.net import Net
from manumatic.history import History

PLAIN = (type(None), bool, int, str)
FRESH = nn.Module().__dict__  # what a module without anything has
TEMPORARY = ("_keys", "_partial")  # of a fit that goes on
WITH_MORE = (bytes, dict, enum.Enum, float, int, set, str)  # attributes are not all of these
BY_SKOPS = ("numpy", "scipy", "sklearn")
Functions = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, np.ufunc)


class Slot:
    """In a part that skops writes: the place of something that it does not know.

    Parameters
    ----------
    number : int
        Of the object in the tree.
    """

    def __init__(self, number: int) -> None:
        self.number = number


@dataclass
class Packed:
    """An estimator as data.

    Attributes
    ----------
    tree : dict
        ``root`` and ``objects``: plain values.
    tensors : dict of str to Tensor
        By names that say where they were.
    parts : bytes or None
        What skops wrote.
    histories : list
        Rows of each history.
    needs : dict of str to object
        Classes and functions of the user, which loading needs, by name.
    """

    tree: dict[str, Any]
    tensors: dict[str, Tensor]
    parts: bytes | None
    histories: list[Any]
    needs: dict[str, Any]


def pack(estimator: Any) -> Packed:
    """Take an estimator apart.

    Parameters
    ----------
    estimator : fitted estimator

    Raises
    ------
    ComponentError
        Something in it has no form as data, such as a lambda; the message says where it is.
    MissingExtra
        skops is not there.
    """
    packer = _Packer()
    try:
        root = packer.value(estimator, "")
    except RecursionError:
        raise ComponentError(
            f"{type(estimator).__name__} holds itself in a list; it cannot be written as data"
        ) from None
    parts = _dump(packer.parts) if packer.parts else None
    needs = packer.needs | _of_users(parts)
    tree = {"root": root, "objects": packer.objects}
    return Packed(tree, packer.tensors, parts, packer.histories, needs)


class _Packer:
    """Values → plain values; what has an identity is written once and referred to."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.tensors: dict[str, Tensor] = {}
        self.parts: list[Any] = []
        self.histories: list[Any] = []
        self.needs: dict[str, Any] = {}
        self._seen: dict[int, tuple[int, Any]] = {}  # the object too, so that no id is used again

    def value(self, value: Any, where: str) -> Any:
        """A plain value, or a dict with one key that says what it stands for."""
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind in CONTAINERS:
            return CONTAINERS[kind](self, value, where)
        if isinstance(value, (type, *Functions)):
            return self._named(value, where)
        for known, write in WRITERS:
            if isinstance(value, known):
                return write(self, value, where)
        return self._reference(value, where)

    def items(self, values: Any, where: str) -> list[Any]:
        """Each of them."""
        return [self.value(value, f"{where}.{i}") for i, value in enumerate(values)]

    def pairs(self, values: Any, where: str) -> list[Any]:
        """Each key and its value."""
        return [[self.value(k, where), self.value(v, f"{where}.{k}")] for k, v in values.items()]

    def _named(self, value: Any, where: str) -> dict[str, str]:
        """A class or function, by name."""
        if isinstance(value, type):
            self.need(value, known_class(name_of(value)))
            return {"class": name_of(value)}
        name = function_name(value) if hasattr(value, "__qualname__") else repr(value)
        bound = not isinstance(getattr(value, "__self__", None), types.ModuleType | None)
        if bound or "<lambda>" in name or "<locals>" in name:
            raise ComponentError(
                f"{where.strip('.') or 'the estimator'} is {name.partition(':')[2] or name}, which "
                "has no name to find it by; define it with def at the top of a file or cell"
            )
        self.need(value, known_function(name))
        return {"function": name}

    def need(self, value: Any, known: Any) -> None:
        """Note a class or function that is none of ours."""
        if known is not value:
            self.needs[name_of(value)] = value

    def _reference(self, value: Any, where: str) -> dict[str, int]:
        if id(value) not in self._seen:
            number = len(self.objects)
            self._seen[id(value)] = number, value
            self.objects.append({})
            self.objects[number] = self._object(value, where)
        return {"ref": self._seen[id(value)][0]}

    def _object(self, value: Any, where: str) -> dict[str, Any]:
        if isinstance(value, Tensor):
            return self._tensor(value, where)
        if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
            return self._array(value, where)
        if isinstance(value, History):
            self.histories.append([self.items(row, where) for row in value])
            return {"history": len(self.histories) - 1}
        if _by_skops(value):
            return self._part(value, where)
        return self._instance(value, where)

    def _tensor(self, value: Tensor, where: str) -> dict[str, Any]:
        if type(value) not in (Tensor, nn.Parameter) or value.layout is not torch.strided:
            raise ComponentError(
                f"{where.strip('.')} is a {type(value).__name__} ({value.layout}), which is not "
                "written; a plain tensor is"
            )
        name = self._keep(value.detach().cpu().contiguous().clone(), where)
        told: dict[str, Any] = {"tensor": name}
        if isinstance(value, nn.Parameter):
            told["parameter"] = value.requires_grad
        return told

    def _keep(self, tensor: Tensor, where: str) -> str:
        name = base = where.strip(".") or "value"
        count = 1
        while name in self.tensors:
            count += 1
            name = f"{base}#{count}"
        self.tensors[name] = tensor
        return name

    def _array(self, value: np.ndarray, where: str) -> dict[str, Any]:
        if value.dtype.kind in "fiub" and value.dtype.itemsize <= 8:
            native = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
            return {"array": self._keep(torch.from_numpy(native), where)}
        if value.dtype.kind in "OUT":
            cells = self.items(value.ravel().tolist(), where)
            dtype = value.dtype.str if value.dtype.kind == "U" else "object"
            return {"cells": cells, "dtype": dtype, "shape": list(value.shape)}
        raise ComponentError(f"{where.strip('.')} is an array of {value.dtype}, not written yet")

    def _part(self, value: Any, where: str) -> dict[str, int]:
        """A part for skops, with slots for what is ours in it."""
        foreign = _foreign(value)
        memo: dict[int, Any] = {
            id(found): Slot(self._reference(found, where)["ref"]) for found in foreign
        }
        self.parts.append(copy.deepcopy(value, memo) if foreign else value)
        return {"part": len(self.parts) - 1}

    def _instance(self, value: Any, where: str) -> dict[str, Any]:
        """Its class and its attributes."""
        kind = type(value)
        self.need(kind, known_class(name_of(kind)))
        state = value.__getstate__()
        whole = hasattr(value, "__dict__") and not isinstance(value, WITH_MORE)
        if not whole or not isinstance(state, dict | None):
            raise ComponentError(
                f"{where.strip('.') or 'the estimator'} is a {kind.__name__}, which is more than "
                "its attributes; it cannot be written as data"
            )
        state = dict(state or {})
        if isinstance(value, nn.Module):
            state = {k: v for k, v in state.items() if k not in FRESH or not _same(FRESH[k], v)}
        if isinstance(value, Net):
            state = {k: v for k, v in state.items() if k not in TEMPORARY} | {"watch": None}
        told: dict[str, Any] = {"object": name_of(kind)}
        if isinstance(value, list):
            told["items"] = self.items(value, where)
        told["state"] = {key: self.value(v, _place(where, key)) for key, v in state.items()}
        return told


def _same(fresh: Any, value: Any) -> bool:
    return type(fresh) is type(value) and not isinstance(value, Tensor) and bool(fresh == value)


def _place(where: str, key: str) -> str:
    """Names as ``state_dict`` has them: without _modules, _parameters and _buffers."""
    inner = ("_modules", "_parameters", "_buffers")
    return where if key in inner else f"{where}.{key}"


# --- what is written how -------------------------------------------------------------------------


def _dict(packer: _Packer, value: Any, where: str) -> dict[str, Any]:
    return {"dict": packer.pairs(value, where)}


CONTAINERS: dict[type, Any] = {
    list: lambda packer, value, where: packer.items(value, where),
    tuple: lambda packer, value, where: {"tuple": packer.items(value, where)},
    set: lambda packer, value, where: {"set": packer.items(sorted(value, key=repr), where)},
    frozenset: lambda packer, value, where: {
        "frozenset": packer.items(sorted(value, key=repr), where)
    },
    dict: _dict,
    collections.OrderedDict: lambda packer, value, where: {"ordered": packer.pairs(value, where)},
    torch.Size: lambda packer, value, where: {"size": list(value)},
    slice: lambda packer, value, where: {
        "slice": packer.items((value.start, value.stop, value.step), where)
    },
}


def _partial(packer: _Packer, value: Any, where: str) -> dict[str, Any]:
    inside = value.func, value.args, value.keywords
    return {"partial": packer.items(inside, where)}


def _number(packer: _Packer, value: Any, where: str) -> dict[str, Any]:
    if value.dtype.kind != "U" and (value.dtype.kind not in "fiub" or value.dtype.itemsize > 8):
        raise ComponentError(f"{where.strip('.')} is a {value.dtype}, which is not written")
    return {"number": [value.dtype.str, packer.value(value.item(), where)]}


def _record(packer: _Packer, value: Any, where: str) -> Any:
    if not hasattr(value, "_fields"):
        raise ComponentError(f"{where.strip('.')} is a {type(value).__name__}, not written yet")
    packer.need(type(value), known_class(name_of(type(value))))
    return {"record": [name_of(type(value)), *packer.items(value, where)]}


WRITERS: tuple[tuple[Any, Any], ...] = (
    (np.generic, _number),
    (np.dtype, lambda packer, value, where: {"dtype": value.str}),
    (torch.dtype, lambda packer, value, where: {"torch": str(value).removeprefix("torch.")}),
    (torch.device, lambda packer, value, where: {"device": str(value)}),
    (PurePath, lambda packer, value, where: {"path": str(Path(value))}),
    (functools.partial, _partial),
    (tuple, _record),
)


# --- skops ---------------------------------------------------------------------------------------


def _root(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _ours(value: Any) -> bool:
    return isinstance(value, nn.Module | Tensor) or _root(value) == "manumatic"


def _by_skops(value: Any) -> bool:
    if _ours(value):
        return False
    return isinstance(value, BaseEstimator) or _root(value) in BY_SKOPS


def _foreign(value: Any, seen: dict[int, Any] | None = None) -> list[Any]:
    """What is ours in something of scikit-learn, at any depth of attributes and containers."""
    seen = {} if seen is None else seen
    if id(value) in seen or type(value) in PLAIN or inspect.isclass(value):
        return []
    seen[id(value)] = value
    if isinstance(value, Functions):
        return []
    if _ours(value):
        return [value]
    inside: list[Any] = []
    if isinstance(value, dict):
        inside = [*value.values()]
    elif isinstance(value, list | tuple | set):
        inside = [*value]
    elif isinstance(value, np.ndarray):
        inside = value.ravel().tolist() if value.dtype == object else []
    inside += vars(value).values() if hasattr(value, "__dict__") else ()
    return [found for one in inside for found in _foreign(one, seen)]


def _dump(parts: list[Any]) -> bytes:
    try:
        import skops.io
        from skops.io.exceptions import UnsupportedTypeException
    except ImportError:
        raise MissingExtra("skops", "deliver") from None
    try:
        return bytes(skops.io.dumps(parts))
    except (UnsupportedTypeException, TypeError, AttributeError, ValueError) as error:
        raise ComponentError(f"scikit-learn's part cannot be written by skops: {error}") from None


def _of_users(parts: bytes | None) -> dict[str, Any]:
    """What skops wrote that is on no list: classes and functions of the user."""
    if parts is None:
        return {}
    import skops.io

    found = {}
    for name in sorted(set(skops.io.get_untrusted_types(data=parts)) - SKLEARN_PARTS):
        place, _, title = name.rpartition(".")
        known = getattr(sys.modules.get(place), title, None)
        if known is None:
            raise ComponentError(
                f"scikit-learn's part holds {name}, which cannot be found by that name; define it "
                "with def or class at the top of a file or cell"
            )
        found[f"{place}:{title}"] = known
    return found
