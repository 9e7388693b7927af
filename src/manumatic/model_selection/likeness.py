"""Whether two objects would do the same: a value that is equal for those that would."""

__all__ = ["likeness"]

import functools
import types
import weakref
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size)
OWN = ("_parameters", "_buffers", "_modules", "training")


def likeness(value: Any, *, contents: bool = True) -> Hashable:
    """A key that is equal for objects of the same class with the same settings.

    Two networks that were built alike have the same, whatever their weights are; a function is
    known by its code and by what it closes over. An object that cannot be looked into is like
    nothing but itself.

    Parameters
    ----------
    value : Any
    contents : bool
        Whether the numbers in parameters and buffers count, or their shapes alone.

    Examples
    --------
    >>> one, two = (likeness(nn.Linear(2, 1), contents=False) for _ in range(2))
    >>> one == two, one == likeness(nn.Linear(2, 3), contents=False)
    (True, False)
    >>> likeness(lambda x: x * 2) == likeness(lambda x: x * 3)
    False
    """
    return _Reading(contents).read(value)


class _Reading:
    """One walk; what has been seen on it is not walked again, so that circles end."""

    def __init__(self, contents: bool) -> None:
        self.contents = contents
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # so that no address is used twice

    def read(self, value: Any) -> Hashable:
        if isinstance(value, PLAIN):
            return type(value), value
        if id(value) in self.seen:
            return "seen", self.seen[id(value)]
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        if isinstance(value, Tensor):
            return self._tensor(value, contents=True)
        if isinstance(value, nn.Module):
            return self._network(value)
        if isinstance(value, weakref.ref):
            return weakref.ref, self.read(value())
        if isinstance(value, dict):
            return type(value), tuple((self.read(k), self.read(v)) for k, v in value.items())
        if isinstance(value, list | tuple | set | frozenset):
            return type(value), tuple(map(self.read, value))
        return self._callable(value) if callable(value) else self._object(value)

    def _tensor(self, value: Tensor, contents: bool) -> Hashable:
        kind = tuple(value.shape), value.dtype, value.device, value.requires_grad
        if not contents or value.is_meta:
            return kind
        return *kind, bytes(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())

    def _network(self, value: nn.Module) -> Hashable:
        form = type(value)
        if parametrize.is_parametrized(value):
            form = form.__mro__[1]  # torch makes a class for each such layer
        tensors = [(name, t) for own in OWN[:2] for name, t in getattr(value, own).items()]
        numbers = tuple(
            (name, None if tensor is None else self._shared(tensor)) for name, tensor in tensors
        )
        settings = tuple(
            (name, self.read(setting)) for name, setting in vars(value).items() if name not in OWN
        )
        layers = tuple((name, self.read(layer)) for name, layer in value._modules.items())
        return form, value.training, numbers, settings, layers

    def _shared(self, value: Tensor) -> Hashable:
        """A parameter or buffer; the same one in two places is told from two that are equal."""
        if id(value) in self.seen:
            return "seen", self.seen[id(value)]
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        return self._tensor(value, self.contents)

    def _callable(self, value: Any) -> Hashable:
        if isinstance(value, functools.partial):
            return functools.partial, *map(self.read, (value.func, value.args, value.keywords))
        if isinstance(value, types.MethodType):
            return self.read(value.__func__), self.read(value.__self__)
        if isinstance(value, types.FunctionType):
            inside = [cell.cell_contents for cell in value.__closure__ or ()]
            given = value.__defaults__, value.__kwdefaults__, inside
            return value.__code__, id(value.__globals__), *map(self.read, given)
        if isinstance(value, type | types.BuiltinFunctionType):
            return value
        return self._object(value)

    def _object(self, value: Any) -> Hashable:
        inside = getattr(value, "__dict__", None)
        return type(value), id(value) if inside is None else self.read(inside)
