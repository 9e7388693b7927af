"""One forward pass, written down: which layers and functions ran, on what, one after the other."""

__all__ = ["Call", "Trace", "example_of", "trace"]

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from manumatic.errors import DataError
from manumatic.gears.manual import Training
from manumatic.gears.net import Net
from manumatic.gears.prepare import as_tensor

Shape = tuple[int | str, ...]
ROWS = 3  # what is 3 long at the front is the batch, in most networks
OPEN = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass
class Call:
    """A layer or a function that ran.

    Attributes
    ----------
    name, kind : str
        "layers.0" and "Linear"; a function has no name, unless it reads a weight.
    in_shape, out_shape : tuple
        Of the first tensor; "n" stands for the rows.
    weights : list of Tensor
        Those that no earlier call has brought.
    depth : int
        0 is the model itself.
    inputs : list of int
        Places, in the list of steps, of the calls whose results it took.
    function : str
        Its kind once more, where it is no layer.
    """

    name: str
    kind: str
    in_shape: Shape = ()
    out_shape: Shape = ()
    weights: list[Tensor] = field(default_factory=list)
    depth: int = 0
    inputs: list[int] = field(default_factory=list)
    function: str = ""

    @property
    def parameters(self) -> int:
        """How many numbers its weights hold."""
        return sum(weight.numel() for weight in self.weights)

    @property
    def trainable(self) -> int:
        """How many of them are trained."""
        return sum(weight.numel() for weight in self.weights if weight.requires_grad)


@dataclass(frozen=True)
class Trace:
    """What one forward pass did.

    Attributes
    ----------
    layers : list of Call
        Each module once, in the order of the calls, with the weights that it owns itself; at the
        end those that were not called, without shapes.
    steps : list of Call
        Input, layers that are not looked into, functions outside of them, output.
    model : nn.Module
        The copy that ran.
    """

    layers: list[Call]
    steps: list[Call]
    model: nn.Module


def example_of(model: Any, X: Any = None) -> tuple[nn.Module, tuple[Any, ...]]:
    """A network and a few rows that it takes.

    Parameters
    ----------
    model : fitted estimator, Training or nn.Module
    X : rows, optional
        An estimator reads them as ``predict`` does, and has two rows of zeros of its own. A module
        takes tensors as they are (a tuple is several arguments), other rows as float32.

    Raises
    ------
    DataError
        A plain module without rows.
    """
    if isinstance(model, Net):
        check_is_fitted(model, "model_")
        sample = vars(model).get("_sample")
        if X is not None:
            sample = model._preparation.numbers(model._read(X, reset=False))
        model, X = model.model_, sample
    elif isinstance(model, Training):
        model, X = model.model, model.facts.sample if X is None else X
    if X is None:
        raise DataError(
            f"{type(model).__name__} takes rows of a shape that only you know; give a few of them "
            "as X"
        )
    weight = next((w for w in model.parameters() if not is_lazy(w)), torch.empty(0))
    inputs = X if isinstance(X, tuple) else (X,)
    return model, tuple(
        _placed(x if isinstance(x, Tensor) else as_tensor(x), weight) for x in inputs
    )


def _placed(tensor: Tensor, weight: Tensor) -> Tensor:
    """The first rows, where the weights are, and as precise."""
    rows = tensor[:ROWS].detach().clone()  # a model may write into it
    return rows.to(weight.device, weight.dtype if rows.is_floating_point() else rows.dtype)


def trace(model: nn.Module, inputs: tuple[Any, ...], depth: int | None = None) -> Trace:
    """Run a copy of the model once, in eval mode, and note what runs.

    Parameters
    ----------
    model : nn.Module
        Stays as it is: lazy layers unbuilt, buffers, modes and random states untouched.
    inputs : tuple
        Its arguments.
    depth : int, optional
        Modules so deep are not looked into; 1 shows the blocks of a model.

    Examples
    --------
    >>> found = trace(nn.Sequential(nn.Linear(2, 1), nn.Tanh()), (torch.zeros(3, 2),))
    >>> [step.kind for step in found.steps]
    ['input', 'Linear', 'Tanh', 'output']
    """
    model = copy.deepcopy(model).eval()
    devices: list[Any] = [x.device for x in inputs if x.is_cuda]
    with torch.random.fork_rng(devices), torch.no_grad():
        if any(map(is_lazy, model.parameters())):
            model(*inputs)
        recorder = _Recorder(model, len(inputs[0]), depth)
        with recorder.hooks(), recorder:
            recorder.start(inputs)
            recorder.end(model(*inputs))
    return Trace(recorder.layers(), recorder.reached(), model)


class _Recorder(TorchFunctionMode):
    """Sees each function of torch and, by hooks, each layer.

    Who made a tensor is known by its identity, so that the lines are those of this very pass,
    whatever control flow led to it.
    """

    def __init__(self, model: nn.Module, rows: int, depth: int | None) -> None:
        super().__init__()
        self.rows, self.depth = rows, depth
        self.names = {module: name for name, module in model.named_modules()}
        self.owned = {id(weight): name for name, weight in model.named_parameters()}
        self.calls: dict[nn.Module, Call] = {}
        self.steps: list[Call] = []
        self.maker: dict[int, int] = {}  # id of a tensor → place of the step that made it
        self.held: list[Any] = []  # as long as a tensor lives, no other has its id
        self.versions: list[list[int]] = []  # of the arguments of layers that are running
        self.brought: set[int] = set()  # ids of weights that a step already has
        self.inside = 0  # layers that are running and are not looked into

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Hear of each layer before and after."""
        handles = [m.register_forward_pre_hook(self._enter, with_kwargs=True) for m in self.names]
        handles += [m.register_forward_hook(self._leave, with_kwargs=True) for m in self.names]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def start(self, inputs: tuple[Any, ...]) -> None:
        """The arguments of the model."""
        for given in inputs:
            self._note(Call("", "input", out_shape=_shape(given, self.rows)), [], [], given)

    def end(self, result: Any) -> None:
        """What the model returned."""
        shape, found = _shape(result, self.rows), [*_tensors(result)]
        self._note(Call("", "output", shape, shape, inputs=self._makers(found)), [], [], None)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = [] if self.inside else [*_tensors((args, kwargs))]
        versions = [tensor._version for tensor in given]
        result = func(*args, **(kwargs or {}))
        if not self.inside:
            self._function(func, given, versions, result)
        return result

    def layers(self) -> list[Call]:
        """Each module once, with its own weights; then those that were not called."""
        called = {self.names[module]: module for module in self.calls}
        rest = [(name, module) for module, name in self.names.items() if name not in called]
        kept: dict[str, list[Tensor]] = {}
        for name, module in [*called.items(), *rest]:
            own = module.parameters(recurse=False)
            kept.setdefault(_keeper(name, called), []).extend(own)
        kinds = {name: type(module).__name__ for name, module in rest}
        seen: set[int] = set()
        found = []
        for name, weights in kept.items():
            call = self.calls[called[name]] if name in called else Call(name, kinds[name])
            call.weights = [w for w in weights if id(w) not in seen and not is_lazy(w)]
            call.depth = _level(name)
            seen.update(map(id, weights))
            if name in called or call.weights:
                found.append(call)
        return found

    def reached(self) -> list[Call]:
        """The steps, without functions whose results nothing came of."""
        wanted = {len(self.steps) - 1}
        for place in reversed(range(len(self.steps))):
            if place in wanted or self.steps[place].function == "":
                wanted |= {place, *self.steps[place].inputs}
        new = {place: number for number, place in enumerate(sorted(wanted))}
        for place in wanted:
            self.steps[place].inputs = [new[source] for source in self.steps[place].inputs]
        return [self.steps[place] for place in sorted(wanted)]

    # --- one call --------------------------------------------------------------------------------

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = [*_tensors((args, kwargs))]
        call = Call(self.names[module], "", _shape(given, self.rows))
        self.calls.setdefault(module, call)
        self.versions.append([tensor._version for tensor in given])
        self.inside += self._closed(module)

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> Any:
        given, versions = [*_tensors((args, kwargs))], self.versions.pop()
        first = self.calls[module]
        if not first.kind:
            first.kind, first.out_shape = type(module).__name__, _shape(result, self.rows)
        if not self._closed(module):
            return None
        if self.inside == 1:
            if any(result is tensor for tensor in given) and not _changed(given, versions):
                result = result.view_as(result)  # nn.Identity: else all users of X would be its
            makers = self._makers(given) or [len(self.steps) - 1]
            name, shape = self.names[module], _shape(given, self.rows)
            call = Call(name, first.kind, shape, _shape(result, self.rows), inputs=makers)
            call.weights = self._new(module.parameters())
            self._note(call, given, versions, result)
        self.inside -= 1
        return result

    def _function(self, func: Any, given: list[Any], versions: list[int], result: Any) -> None:
        made = [new for new in _tensors(result) if not any(new is tensor for tensor in given)]
        weights = [tensor for tensor in given if id(tensor) in self.owned]
        makers = self._makers(given)
        if (made or _changed(given, versions)) and (makers or weights):
            named = ", ".join(self.owned[id(weight)] for weight in weights)
            shape = _shape(result, self.rows) or _shape(given, self.rows)
            call = Call(named, _name(func), _shape(given, self.rows), shape, inputs=makers)
            call.function, call.weights = call.kind, self._new(weights)
            self._note(call, given, versions, made)

    def _note(self, call: Call, given: list[Any], versions: list[int], result: Any) -> None:
        """From now on, its results and what it changed in place come from this call."""
        self.steps.append(call)
        for tensor in [*_changed(given, versions), *_tensors(result)]:
            self.maker[id(tensor)] = len(self.steps) - 1
            self.held.append(tensor)

    def _makers(self, given: list[Any]) -> list[int]:
        return sorted({self.maker[id(tensor)] for tensor in given if id(tensor) in self.maker})

    def _new(self, weights: Iterable[Tensor]) -> list[Tensor]:
        new = [w for w in weights if id(w) not in self.brought and not is_lazy(w)]
        self.brought.update(map(id, new))
        return new

    def _closed(self, module: nn.Module) -> bool:
        """Whether it is one box: no modules inside, one of torch's own, or as deep as asked."""
        level = _level(self.names[module])
        if self.depth is not None and level >= self.depth > 0:
            return True
        return _torchs(module) or (level > 0 and not any(True for _ in module.children()))


def _level(name: str) -> int:
    """0 for the model itself, 1 for its parts, 2 for theirs."""
    return name.count(".") + 1 if name else 0


def _keeper(name: str, called: Mapping[str, nn.Module]) -> str:
    """The name itself, or that of torch's layer that reads its weights without calling it."""
    parts = name.split(".") if name else []
    above = (".".join(parts[:end]) for end in range(len(parts), -1, -1))
    owner = next((one for one in above if one in called), name)
    return owner if owner in called and _torchs(called[owner]) else name


def _shape(value: Any, rows: int) -> Shape:
    """Of the first tensor, n for the rows; (1,) is a number, () no tensor at all."""
    tensor = next(_tensors(value), None)
    if tensor is None or tensor.ndim == 0:
        return () if tensor is None else (1,)
    first, *rest = tensor.shape
    times, over = divmod(first, rows)
    if over or not times or (times > 1 and rows == 1):
        return (first, *rest)
    return ("n" if times == 1 else f"{times}n", *rest)


def _tensors(value: Any) -> Iterator[Any]:
    """All tensors in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _torchs(module: nn.Module) -> bool:
    """Whether it is a layer of torch, not just a container."""
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, OPEN)


def _changed(given: list[Any], versions: list[int]) -> list[Any]:
    """What was written to in place since its version was read."""
    pairs = zip(given, versions, strict=True)
    return [tensor for tensor, version in pairs if tensor._version != version]


def _name(func: Callable[..., Any]) -> str:
    """add for ``a + b`` and ``a += b``, T for ``a.T``."""
    name: str = getattr(func, "__name__", "function")
    if name == "__get__":
        return str(func.__self__.__name__)  # type: ignore[attr-defined]
    name = name.strip("_")
    short = name[1:] if name[1:] in ("add", "sub", "mul", "truediv", "matmul", "pow") else name
    return "div" if short == "truediv" else short
