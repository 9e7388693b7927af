"""Data → estimators: the way back from what ``state.py`` writes, with known classes only."""

__all__ = ["unpack"]

import collections
import copy
import functools
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.deliver.allowed import SKLEARN_PARTS, known_class, known_function
from manumatic.deliver.state import FRESH, Slot
from manumatic.errors import ComponentError, DataError, MissingExtra
from manumatic.history import History, Record

MOST_INSIDE = 4 * 2**30  # bytes of all that is in what skops wrote
# What values of a wrong form can raise; a bundle that holds such is no bundle of ours.
WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, RecursionError)


def unpack(
    tree: Any, tensors: bytes, parts: bytes | None, histories: Any, classes: Sequence[Any] = ()
) -> Any:
    """Put an estimator together again; no code of the file is run, none is imported by its word.

    Parameters
    ----------
    tree, histories
        Plain values, of :class:`~manumatic.deliver.state.Packed`.
    tensors : bytes
        safetensors.
    parts : bytes or None
        skops.
    classes : sequence of type or function
        The user's own, which the estimator needs.

    Raises
    ------
    DataError
        A class that is neither known nor given, or values that are no estimator.
    MissingExtra
        safetensors or skops is not there.
    """
    builder = _Builder(_tensors(tensors), _parts(parts, classes), classes)
    try:
        builder.histories = [
            History(Record(*map(builder.value, row)) for row in rows) for rows in histories
        ]
        builder.objects = tree["objects"]
        return builder.value(tree["root"])
    except (ComponentError, DataError):  # these say what is missing here
        raise
    except WRONG as error:
        raise DataError(
            f"the bundle's config.json is no estimator: {type(error).__name__} {error}"
        ) from None


class _Builder:
    """Plain values → values."""

    def __init__(
        self, tensors: dict[str, Tensor], parts: list[Any], classes: Sequence[Any]
    ) -> None:
        self.tensors, self.parts, self.classes = tensors, parts, classes
        self.histories: list[History] = []
        self.objects: list[dict[str, Any]] = []
        self._made: dict[int, Any] = {}

    def value(self, told: Any) -> Any:
        """What a plain value stands for."""
        if isinstance(told, list):
            return self.items(told)
        if not isinstance(told, dict):
            return told
        ((kind, inside),) = told.items()
        if kind == "ref":
            return self._reference(inside)
        if kind in READERS:
            return READERS[kind](self, inside)
        raise DataError(f"the bundle holds a {kind!r}, which this version does not know")

    def items(self, told: list[Any]) -> list[Any]:
        """Each of them."""
        return [self.value(one) for one in told]

    def known(self, name: str) -> Any:
        """The class of that name."""
        found = known_class(name, self.classes)
        if not isinstance(found, type):
            raise DataError(_missing(name))
        return found

    def function(self, name: str) -> Any:
        """The function of that name."""
        found = known_function(name, self.classes)
        if found is None or isinstance(found, type):
            raise DataError(_missing(name))
        return found

    def _reference(self, number: int) -> Any:
        if number not in self._made:
            told = self.objects[number]
            if "object" in told:
                return self._instance(number, told)
            self._made[number] = self._thing(told)
        return self._made[number]

    def _thing(self, told: dict[str, Any]) -> Any:
        if "tensor" in told:
            tensor = self.tensors[told["tensor"]]
            if "parameter" not in told:
                return tensor
            return nn.Parameter(tensor, requires_grad=bool(told["parameter"]))
        if "array" in told:
            return self.tensors[told["array"]].numpy()
        if "history" in told:
            return self.histories[told["history"]]
        if "part" in told:
            return self._filled(self.parts[told["part"]])
        cells = np.empty(len(told["cells"]), dtype=object)
        cells[:] = self.items(told["cells"])
        return cells.reshape(told["shape"]).astype(told["dtype"])

    def _filled(self, part: Any) -> Any:
        """What skops read, with the slots filled."""
        slots = _slots(part, {})
        if not slots:
            return part
        memo = {id(slot): self._reference(slot.number) for slot in slots}
        return copy.deepcopy(part, memo)

    def _instance(self, number: int, told: dict[str, Any]) -> Any:
        """An object without its constructor; it is known before its attributes are, for cycles."""
        kind = self.known(told["object"])
        made = self._made[number] = kind.__new__(kind)
        if "items" in told:
            list.extend(made, self.items(told["items"]))
        state = {key: self.value(one) for key, one in told["state"].items()}
        if isinstance(made, nn.Module):
            made.__dict__.update(copy.deepcopy(FRESH))
        if hasattr(kind, "__setstate__"):
            made.__setstate__(state)
        else:
            made.__dict__.update(state)
        return made


def _missing(name: str) -> str:
    place, _, title = name.partition(":")
    return (
        f"the bundle needs {title}, which was defined in {place}; nothing is imported because a "
        f"file names it: load(path, classes=[{title.rpartition('.')[2]}])"
    )


def _partial(builder: _Builder, told: list[Any]) -> Any:
    function, args, keywords = builder.items(told)
    return functools.partial(function, *args, **keywords)


def _record(builder: _Builder, told: list[Any]) -> Any:
    kind = builder.known(told[0])
    if not (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        raise DataError(f"{told[0]} is no record")
    return kind(*builder.items(told[1:]))


def _pairs(builder: _Builder, told: list[Any]) -> list[Any]:
    return [(builder.value(key), builder.value(one)) for key, one in told]


def _torch_dtype(builder: _Builder, told: str) -> torch.dtype:
    found = getattr(torch, told)
    if not isinstance(found, torch.dtype):
        raise DataError(f"torch.{told} is no dtype")
    return found


READERS: dict[str, Any] = {
    "float": lambda builder, told: float(told),
    "tuple": lambda builder, told: tuple(builder.items(told)),
    "set": lambda builder, told: set(builder.items(told)),
    "frozenset": lambda builder, told: frozenset(builder.items(told)),
    "dict": lambda builder, told: dict(_pairs(builder, told)),
    "ordered": lambda builder, told: collections.OrderedDict(_pairs(builder, told)),
    "size": lambda builder, told: torch.Size(told),
    "slice": lambda builder, told: slice(*builder.items(told)),
    "number": lambda builder, told: np.array(builder.value(told[1]), dtype=told[0])[()],
    "dtype": lambda builder, told: np.dtype(str(told)),
    "torch": _torch_dtype,
    "device": lambda builder, told: torch.device(told),
    "path": lambda builder, told: Path(told),
    "class": lambda builder, told: builder.known(told),
    "function": lambda builder, told: builder.function(told),
    "partial": _partial,
    "record": _record,
}


# --- the files of others -------------------------------------------------------------------------


def _tensors(content: bytes) -> dict[str, Tensor]:
    try:
        import safetensors.torch
        from safetensors import SafetensorError
    except ImportError:
        raise MissingExtra("safetensors", "deliver") from None
    try:
        found: dict[str, Tensor] = safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"the bundle's weights cannot be read: {error}") from None
    return found


def _parts(content: bytes | None, classes: Sequence[Any]) -> list[Any]:
    if content is None:
        return []
    try:
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException
    except ImportError:
        raise MissingExtra("skops", "deliver") from None
    _check_zip(content)
    own = {f"{one.__module__}.{one.__qualname__}" for one in classes}
    try:
        strange = set(skops.io.get_untrusted_types(data=content)) - SKLEARN_PARTS - own
        if strange:
            raise DataError(_missing(":".join(min(strange).rpartition(".")[::2])))
        found: list[Any] = skops.io.loads(content, trusted=sorted(SKLEARN_PARTS | own))
    except DataError:
        raise
    except (*WRONG, UntrustedTypesFoundException, ImportError, zipfile.BadZipFile) as error:
        raise DataError(
            f"the bundle's preprocess.skops cannot be read: {type(error).__name__} {error}"
        ) from None
    return found


def _check_zip(content: bytes) -> None:
    """What skops wrote is a stored zip: nothing in it is larger than the file says."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            inside = file.infolist()
    except zipfile.BadZipFile as error:
        raise DataError(f"the bundle's preprocess.skops is no zip: {error}") from None
    packed = [one.filename for one in inside if one.compress_type != zipfile.ZIP_STORED]
    names = [one.filename for one in inside]
    if packed or sum(one.file_size for one in inside) > MOST_INSIDE:
        raise DataError(f"the bundle's preprocess.skops holds something compressed: {packed[:1]}")
    if len(set(names)) < len(names):
        raise DataError("the bundle's preprocess.skops holds a name twice")


def _slots(value: Any, seen: dict[int, Any]) -> list[Slot]:
    """The slots in something of scikit-learn, at any depth of attributes and containers."""
    if id(value) in seen:
        return []
    seen[id(value)] = value
    if isinstance(value, Slot):
        return [value]
    inside: list[Any] = []
    if isinstance(value, dict):
        inside = [*value.values()]
    elif isinstance(value, list | tuple | set):
        inside = [*value]
    elif isinstance(value, np.ndarray) and value.dtype == object:
        inside = value.ravel().tolist()
    if hasattr(value, "__dict__") and not isinstance(value, type):
        inside += vars(value).values()
    return [found for one in inside for found in _slots(one, seen)]
