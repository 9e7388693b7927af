"""One forward pass, written down: which layers and functions ran, on what, one after the other."""

__all__ = ["Call", "Trace", "trace"]

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

Size = tuple[int, ...]
OPEN = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass
class Call:
    """A layer or a function that ran.

    Attributes
    ----------
    name, kind : str
        "layers.0" and "Linear"; a function has no name, unless it reads a weight.
    taken, made : list of tuple
        Shapes of the tensors that went in and came out.
    weights : list of Tensor
        Those that no earlier call has brought.
    inputs : list of int
        Places, in the list of steps, of the calls whose results it took.
    within : str or None
        Of a function: the name of the layer that calls it.
    """

    name: str
    kind: str
    taken: list[Size] = field(default_factory=list)
    made: list[Size] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    within: str | None = None

    @property
    def depth(self) -> int:
        """Of a layer: 0 for the model itself, 1 for its parts, 2 for theirs."""
        return self.name.count(".") + 1 if self.name else 0

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


def trace(
    model: nn.Module, inputs: tuple[Tensor, ...], depth: int | None = None, whole: bool = False
) -> Trace:
    """Run a copy of the model once, in eval mode, and note what runs.

    Parameters
    ----------
    model : nn.Module
        Stays as it is: lazy layers unbuilt, buffers, modes and random states untouched.
    inputs : tuple of Tensor
        Its arguments; copies of them go where the weights are.
    depth : int, optional
        Modules so deep are not looked into; 1 shows the blocks of a model.
    whole : bool
        Also what torch's own layers are made of, and functions that nothing came of: no result
        that was used, or what they were given.

    Examples
    --------
    >>> found = trace(nn.Sequential(nn.Linear(2, 1), nn.Tanh()), (torch.zeros(3, 2),))
    >>> [step.kind for step in found.steps]
    ['input', 'Linear', 'Tanh', 'output']
    """
    model = copy.deepcopy(model).eval()
    device = next((weight.device for weight in model.parameters()), None)
    inputs = tuple(x.detach().to(device=device, copy=True) for x in inputs)  # it may write into x
    drawn = torch.random.fork_rng([x.device for x in inputs if x.is_cuda])
    eager = torch.compiler.set_stance("force_eager")  # a compiled model as its author wrote it
    with drawn, torch.no_grad(), eager:
        if any(map(is_lazy, model.parameters())):
            model(*inputs)
        recorder = _Recorder(model, depth, whole)
        with recorder.hooks(), recorder:
            recorder.run(model, inputs)
    return Trace(recorder.layers(), recorder.steps if whole else recorder.reached(), model)


class _Recorder(TorchFunctionMode):
    """Sees each function of torch and, by hooks, each layer.

    Who made a tensor is known by its identity, so that the lines are those of this very pass,
    whatever control flow led to it.
    """

    def __init__(self, model: nn.Module, depth: int | None, whole: bool) -> None:
        super().__init__()
        self.depth, self.whole = depth, whole
        self.modules = dict(model.named_modules())
        self.names = {module: name for name, module in self.modules.items()}
        self.owned = {id(weight): name for name, weight in model.named_parameters()}
        self.calls: dict[str, Call] = {}  # the first of each module
        self.steps: list[Call] = []
        self.maker: dict[int, int] = {}  # id of a tensor → place of the step that made it
        # whatever the input is: weights, buffers, and what functions make of these alone
        self.constants = {*self.owned, *map(id, model.buffers())}
        self.held: list[Any] = []  # as long as a tensor lives, no other has its id
        self.running: list[tuple[str, list[int]]] = [("", [])]  # and versions of its arguments
        self.brought: set[int] = set()  # ids of weights that a step already has
        self.inside = 0  # layers that are running and are not looked into

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Hear of each layer before and after."""
        with ExitStack() as hooks:  # left there, they would keep the copy alive
            for layer in self.names:
                hooks.enter_context(layer.register_forward_pre_hook(self._enter, with_kwargs=True))
                hooks.enter_context(layer.register_forward_hook(self._leave, with_kwargs=True))
            yield

    def run(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """From the arguments of the model to what it returns."""
        for given in inputs:
            self._note(Call("", "input", made=_sizes(given)), [], [], given)
        result = [*_tensors(model(*inputs))]
        self._note(Call("", "output", _sizes(result), _sizes(result)), result, _versions(result))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = [] if self.inside else [*_tensors((args, kwargs))]
        versions = _versions(given)
        result = func(*args, **(kwargs or {}))
        if not self.inside:
            self._function(func, given, versions, result)
        return result

    def layers(self) -> list[Call]:
        """Each module once, with its own weights; then those that were not called."""
        kept: dict[str, list[Tensor]] = {}
        for name in dict.fromkeys([*self.calls, *self.modules]):
            own = self.modules[name].parameters(recurse=False)
            kept.setdefault(self._keeper(name), []).extend(own)
        seen: set[int] = set()
        found = []
        for name, weights in kept.items():
            call = self.calls.get(name) or Call(name, type(self.modules[name]).__name__)
            call.weights = _new(weights, seen)
            if name in self.calls or call.weights:
                found.append(call)
        return found

    def reached(self) -> list[Call]:
        """The steps, without functions whose results nothing came of."""
        wanted: set[int] = set()
        for place in reversed(range(len(self.steps))):
            if place in wanted or self.steps[place].within is None:
                wanted |= {place, *self.steps[place].inputs}
        new = {place: number for number, place in enumerate(sorted(wanted))}
        for place in wanted:
            self.steps[place].inputs = [new[source] for source in self.steps[place].inputs]
        return [self.steps[place] for place in new]

    # --- one call --------------------------------------------------------------------------------

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        name, given = self.names[module], [*_tensors((args, kwargs))]
        self.calls.setdefault(name, Call(name, type(module).__name__, _sizes(given)))
        self.running.append((name, _versions(given)))
        self.inside += self._closed(name)

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> Any:
        given, (name, versions) = [*_tensors((args, kwargs))], self.running.pop()
        self.calls[name].made = self.calls[name].made or _sizes(result)
        if not self._closed(name):
            return None
        if self.inside == 1:
            if any(result is tensor for tensor in given) and not _changed(given, versions):
                result = result.view_as(result)  # nn.Identity: else all users of X would be its
            call = Call(name, type(module).__name__, _sizes(given), _sizes(result))
            call.weights = _new(module.parameters(), self.brought)
            self._note(call, given, versions, result)
            if not call.inputs and not (given and self._constant(given)):
                call.inputs = [len(self.steps) - 2]  # on a way that torch's functions do not show
        self.inside -= 1
        return result

    def _function(self, func: Any, given: list[Any], versions: list[int], result: Any) -> None:
        made = [x for x in _tensors(result) if self.whole or all(x is not old for old in given)]
        weights = [tensor for tensor in given if id(tensor) in self.owned]
        known = weights or any(id(tensor) in self.maker for tensor in given)
        if not known and self._constant(given):
            self.constants.update(map(id, made))
            self.held += made
        elif known and (made or _changed(given, versions)):
            call = Call(", ".join(self.owned[id(weight)] for weight in weights), _name(func))
            call.taken, call.within = _sizes(given), self.running[-1][0]
            call.made = _sizes(result) or call.taken
            call.weights = _new(weights, self.brought)
            self._note(call, given, versions, made)

    def _note(self, call: Call, given: list[Any], versions: list[int], result: Any = None) -> None:
        """From now on, its results and what it changed in place come from this call."""
        call.inputs = sorted({self.maker[id(x)] for x in given if id(x) in self.maker})
        self.steps.append(call)
        for tensor in [*_changed(given, versions), *_tensors(result)]:
            self.maker[id(tensor)] = len(self.steps) - 1
            self.held.append(tensor)

    def _constant(self, given: list[Any]) -> bool:
        return all(id(tensor) in self.constants for tensor in given)

    # --- one module ------------------------------------------------------------------------------

    def _closed(self, name: str) -> bool:
        """Whether it is one box: no modules inside, one of torch's own, or as deep as asked."""
        module, level = self.modules[name], Call(name, "").depth
        leaf = next(module.children(), None) is None
        if level and (leaf or (self.depth and level >= self.depth)):
            return True
        return _torchs(module) and (leaf or not self.whole)

    def _keeper(self, name: str) -> str:
        """The name itself, or that of torch's layer that reads its weights without calling it."""
        parts = name.split(".") if name else []
        above = (".".join(parts[:end]) for end in range(len(parts), -1, -1))
        owner = next((one for one in above if one in self.calls), name)
        return owner if _torchs(self.modules[owner]) else name


def _tensors(value: Any) -> Iterator[Any]:
    """All tensors in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))


def _sizes(value: Any) -> list[Size]:
    return [tuple(tensor.shape) for tensor in _tensors(value)]


def _new(weights: Iterable[Tensor], seen: set[int]) -> list[Tensor]:
    """Those not seen before; now they are."""
    new = [w for w in weights if id(w) not in seen and not is_lazy(w)]
    seen.update(map(id, new))
    return new


def _torchs(module: nn.Module) -> bool:
    """Whether it is a layer of torch, not just a container."""
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, OPEN)


def _versions(given: list[Any]) -> list[int]:
    """How often each was written to; a tensor of inference mode does not count it."""
    return [0 if tensor.is_inference() else tensor._version for tensor in given]


def _changed(given: list[Any], versions: list[int]) -> list[Any]:
    """What was written to in place since its version was read."""
    now = zip(given, versions, _versions(given), strict=True)
    return [tensor for tensor, before, after in now if after != before]


def _name(func: Callable[..., Any]) -> str:
    """add for ``a + b`` and ``a += b``, T for ``a.T``."""
    name: str = getattr(func, "__name__", "function")
    if name == "__get__":
        return str(func.__self__.__name__)  # type: ignore[attr-defined]
    name = name.strip("_")
    short = name[1:] if name[1:] in ("add", "sub", "mul", "truediv", "matmul", "pow") else name
    return "div" if short == "truediv" else short
