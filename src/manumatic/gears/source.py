"""Objects → the source code that makes them again."""

__all__ = ["Source"]

import ast
import functools
import importlib
import inspect
import math
import symtable
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from manumatic.errors import EjectError


class Source:
    """Expressions, and the imports, definitions and files that they need.

    Parameters
    ----------
    path : path, optional
        Of the script. Without one there can be no files beside it.

    Attributes
    ----------
    imports : set of str
        Lines such as ``import numpy as np``.
    definitions : dict
        Name → source of each class and function of the user's (or ours) in the order of need.
    known : dict
        Name → object that the script has made by then.
    files : dict
        Name → content of each file beside the script; written when the script is whole.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.files: dict[str, str | bytes] = {}
        self.imports: set[str] = set()
        self.definitions: dict[str, str] = {}
        self.known: dict[str, Any] = {}

    def of(self, value: Any) -> str:
        """An expression that makes an equal object.

        Raises
        ------
        EjectError
            There is none: a lambda, an object without constructor arguments to read.
        """
        for name, made in self.known.items():
            if value is made:
                return name
        for kinds, write in WAYS:
            if isinstance(value, kinds):
                return write(self, value)
        if inspect.isbuiltin(value):
            return self._named(value)
        if attributes := getattr(value, "__dict__", None):  # a splitter of scikit-learn, say
            return self._by_attributes(value, attributes)
        raise EjectError(f"there is no source for {value!r} ({type(value).__name__})")

    def call(self, function: Any, keywords: dict[str, Any]) -> str:
        """A call with keywords."""
        return _layout(f"{self.of(function)}(", self._keywords(keywords), ")")

    def since(self, before: set[str]) -> list[str]:
        """The definitions that came in after those names."""
        return [f"\n{text}\n\n" for name, text in self.definitions.items() if name not in before]

    def _keywords(self, keywords: dict[str, Any]) -> list[str]:
        return [f"{name}={self.of(value)}" for name, value in keywords.items()]

    def _float(self, value: float) -> str:
        if math.isfinite(value):
            return repr(value)
        self.imports.add("import math")
        return "math.nan" if math.isnan(value) else "math.inf" if value > 0 else "-math.inf"

    def _partial(self, value: "functools.partial[Any]") -> str:
        self.imports.add("import functools")
        parts = [self.of(value.func), *map(self.of, value.args), *self._keywords(value.keywords)]
        return _layout("functools.partial(", parts, ")")

    def _container(self, value: Any) -> str:
        if isinstance(value, dict):
            return _layout("{", [f"{self.of(k)}: {self.of(v)}" for k, v in value.items()], "}")
        inside = [self.of(item) for item in value]
        if isinstance(value, tuple):
            return _layout("(", inside, ",)" if len(value) == 1 else ")")
        return _layout(
            "{" if isinstance(value, set) else "[", inside, "}" if isinstance(value, set) else "]"
        )

    # --- classes and functions ---

    def _named(self, value: Any) -> str:
        """A class or function: imported from a library, copied where it is the user's or ours."""
        module, name = value.__module__, value.__qualname__
        if module == "builtins":
            return str(name)
        if module.startswith("torch.nn.modules") or module == "torch.nn":
            self.imports.add("from torch import nn")
            return f"nn.{name}"
        if module.startswith("torch"):
            return self._torch(value)
        if _is_library(module):
            self.imports.add(f"from {_public_home(value)} import {name}")
            return str(name)
        self._define(value)
        return str(name)

    def _torch(self, value: Any) -> str:
        name: str = value.__name__
        for home in ("torch", "torch.optim", "torch.optim.lr_scheduler", "torch.nn.functional"):
            if getattr(importlib.import_module(home), name, None) is value:
                return f"{home}.{name}"
        self.imports.add(f"from {value.__module__} import {name}")
        return name

    def _define(self, value: Any) -> None:
        name: str = value.__name__
        if name in self.definitions:
            return
        if name == "<lambda>" or getattr(value, "__closure__", None):
            raise EjectError(
                f"{value.__qualname__} has no source that stands alone; write it as a "
                "function or class at the top of a file or cell"
            )
        try:
            text = textwrap.dedent(inspect.getsource(value))
        except (OSError, TypeError):
            raise EjectError(
                f"the source of {name} cannot be read (typed at a prompt?); "
                "put it into a file or a notebook cell"
            ) from None
        self.definitions[name] = ""  # reserved: a class may name itself
        tree = ast.parse(text)
        space = _namespace(value)
        for word in _free_names(tree, text):
            if word in space and word != name:
                self._need(word, space[word])
        del self.definitions[name]
        self.definitions[name] = _short_docstrings(text, tree)

    def _need(self, word: str, value: Any) -> None:
        """Make a global name of some source available in the script."""
        if isinstance(value, ModuleType):
            home, _, last = value.__name__.rpartition(".")
            if value is nn:
                self.imports.add("from torch import nn")
            elif word == value.__name__:
                self.imports.add(f"import {word}")
            elif word == last:
                self.imports.add(f"from {home} import {last}")
            else:
                self.imports.add(f"import {value.__name__} as {word}")
        elif _is_library(getattr(value, "__module__", None) or "") and hasattr(value, "__name__"):
            home, name = _public_home(value), value.__name__
            self.imports.add(f"from {home} import {name}" + (f" as {word}" if word != name else ""))
        elif isinstance(value, type | FunctionType):
            self._define(value)
        elif getattr(value, "__module__", "") == "typing":  # Any, Literal, …
            self.imports.add(f"from typing import {word}")
        else:
            self.definitions.setdefault(word, f"{word} = {self.of(value)}")

    # --- instances ---

    def _estimator(self, value: BaseEstimator) -> str:
        """A scikit-learn object with the parameters that differ from their defaults."""
        if type(value) is Pipeline and _same_names(value):
            self.imports.add("from sklearn.pipeline import make_pipeline")
            return _layout("make_pipeline(", [self.of(step) for _, step in value.steps], ")")
        given = value.get_params(deep=False)
        changed = {
            name: given[name]
            for name, parameter in inspect.signature(type(value)).parameters.items()
            if name in given and not _same(given[name], parameter.default)
        }
        if isinstance(value, FunctionTransformer):
            changed.pop("feature_names_out", None)  # names are not trained on
        return self.call(type(value), changed)

    def _by_attributes(self, value: Any, attributes: dict[str, Any]) -> str:
        signature = inspect.signature(type(value)).parameters
        given = {
            name: attributes[name]
            for name, parameter in signature.items()
            if name in attributes and not _same(attributes[name], parameter.default)
        }
        return self.call(type(value), given)

    def _network(self, value: nn.Module) -> str:
        """A finished network, from the constructor arguments that its attributes still show."""
        if type(value) is nn.Sequential:
            self.imports.add("from torch import nn")
            return f"nn.Sequential({', '.join(self.of(layer) for layer in value)})"
        made = None
        given: dict[str, Any] = {}
        for name, parameter in inspect.signature(type(value)).parameters.items():
            if name in ("device", "dtype") or not hasattr(value, name):
                continue
            found = getattr(value, name)
            if name == "bias" and not isinstance(found, bool):
                found = found is not None
            if not _same(found, parameter.default):
                given[name] = found
        try:
            with torch.random.fork_rng([]):
                made = type(value)(**given)
        except (TypeError, ValueError, RuntimeError):
            made = None
        if made is None or repr(made) != repr(value):
            name = type(value).__name__
            raise EjectError(
                f"the arguments that made this {name} cannot be read off it; "
                f"give its class and arguments, mm.Model({name}, ...), instead"
            )
        return self.call(type(value), given)


def _array(source: Source, value: np.ndarray) -> str:
    source.imports.add("import numpy as np")
    return f"np.array({source.of(value.tolist())})"


def _quoted(text: str) -> str:
    """In double quotes, as the rest of the script."""
    written = repr(text)
    if written[0] == '"' or '"' in text:
        return written
    return '"' + written[1:-1].replace("\\'", "'") + '"'


def _same_names(pipeline: Pipeline) -> bool:
    """Whether make_pipeline would give the steps the names that they have."""
    steps = [step for _, step in pipeline.steps]
    return [name for name, _ in make_pipeline(*steps).steps] == [name for name, _ in pipeline.steps]


def _layout(opening: str, parts: list[str], closing: str) -> str:
    """On one line where it fits, else one part a line."""
    short = opening + ", ".join(parts) + closing
    if not parts or (len(short) <= 88 and "\n" not in short):
        return short
    inside = "".join(textwrap.indent(f"{part},", "    ") + "\n" for part in parts)
    return f"{opening}\n{inside}{closing.lstrip(',')}"


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, np.ndarray | torch.Tensor) or isinstance(b, np.ndarray | torch.Tensor):
        return False
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return type(a) is type(b) and bool(a == b)


def _is_library(module: str) -> bool:
    """Whether a module comes with Python, torch or scikit-learn, and is not the user's."""
    top = module.partition(".")[0]
    return (top in sys.stdlib_module_names and top != "__main__") or top in {
        "torch",
        "numpy",
        "pandas",
        "sklearn",
        "scipy",
        "skrub",
        "torchvision",
    }


def _public_home(value: Any) -> str:
    """The shortest module that offers a name: sklearn.preprocessing, not …_data."""
    parts = value.__module__.split(".")
    for end in range(1, len(parts) + 1):
        home = ".".join(parts[:end])
        if getattr(importlib.import_module(home), value.__name__, None) is value:
            return home
    return str(value.__module__)


def _namespace(value: Any) -> dict[str, Any]:
    if isinstance(value, FunctionType):
        return value.__globals__
    first = next((item for item in vars(value).values() if isinstance(item, FunctionType)), None)
    return first.__globals__ if first else vars(sys.modules[value.__module__])


def _free_names(tree: ast.AST, text: str) -> list[str]:
    """Names that the source reads from outside, in order, each once."""
    outside = _outside(symtable.symtable(text, "<source>", "exec"))
    names = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return [name for name in dict.fromkeys(names) if name in outside]


def _outside(table: symtable.SymbolTable) -> set[str]:
    top = table.get_type() == "module"
    symbols = [s for s in table.get_symbols() if s.is_global() or (top and s.is_referenced())]
    return {s.get_name() for s in symbols}.union(*map(_outside, table.get_children()))


def _short_docstrings(text: str, tree: ast.Module) -> str:
    """The source with docstrings cut to their first line: a script is read on one screen."""
    lines = text.rstrip().splitlines()
    for node in reversed(
        [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    ):
        first = node.body[0]
        if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
            continue
        if isinstance(first.value.value, str) and first.end_lineno is not None:
            indent = " " * first.col_offset
            start = first.value.value.strip().splitlines()
            short = [f'{indent}"""{start[0].strip()}"""'] if start else []
            lines[first.lineno - 1 : first.end_lineno] = short
    return "\n".join(lines)


# How a value is written, by what it is; the first that fits.
WAYS: list[tuple[Any, Callable[[Source, Any], str]]] = [
    (float, Source._float),
    (str, lambda _, text: _quoted(text)),
    ((bytes, int, type(None), type(...), torch.dtype), lambda _, value: repr(value)),
    (np.generic, lambda source, value: source.of(value.item())),
    (list | tuple | set | dict, Source._container),
    (np.ndarray, _array),
    (
        torch.Tensor,
        lambda source, value: f"torch.tensor({source.of(value.tolist())}, dtype={value.dtype})",
    ),
    (type | FunctionType, Source._named),
    (functools.partial, Source._partial),
    (BaseEstimator, Source._estimator),
    (nn.Module, Source._network),
]
