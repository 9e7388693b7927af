"""A script and its names: where they come from, and what may stand behind them.

Nothing is run. Where the text does not say, the answer is "unknown", and the rules stay silent.
"""

__all__ = ["Bound", "Source"]

import ast
from collections import defaultdict
from typing import NamedTuple

from manumatic.doctor.reading.tree import FUNCTION, Function, Tree, argument, own, word

# a model or loader that comes out of these is the one that went in
SAME = {"cpu", "cuda", "double", "eval", "float", "half", "requires_grad_", "to", "train"}
AROUND = {"torch.DataParallel", "torch.DistributedDataParallel", "torch.compile"}


class Bound(NamedTuple):
    """One way in which a name gets its value.

    Attributes
    ----------
    value : ast.expr or None
        None: unknown, as in ``with open(p) as f`` or ``x += 1``.
    path : tuple of int
        Which part of the value: (1,) for y in ``X, y = value``.
    looped : bool
        The name takes one item of the value after the other.
    node : ast.AST
        The statement; of a parameter, its ``ast.arg``.
    """

    value: ast.expr | None
    path: tuple[int, ...]
    looped: bool
    node: ast.AST


class Source(Tree):
    """What a script imports, defines and calls; the parameters are those of :class:`Tree`."""

    def __init__(self, tree: ast.Module, cells: list[int] | None = None) -> None:
        super().__init__(tree, cells)
        self.classes = {node.name: node for node in self.nodes if isinstance(node, ast.ClassDef)}
        self.functions: dict[str, list[Function]] = defaultdict(list)
        self.calls: dict[str, list[ast.Call]] = defaultdict(list)
        self.bound: dict[tuple[ast.AST, str], list[Bound]] = defaultdict(list)
        self.imports: dict[str, str] = {}
        self.asked: set[ast.Call] = set()  # whose function is being looked for
        for node in self.nodes:
            self._note(node)
        plain = {name for name, known in self.functions.items() if not all(map(self.owner, known))}
        for name in ({name for _, name in self.bound} | plain | {*self.classes}) & {*self.imports}:
            del self.imports[name]  # imported and something else too: unknown

    # --- where names come from ---------------------------------------------------------------

    def origin(self, node: ast.AST) -> str:
        """``nn.Linear`` → "torch.nn.Linear"; an empty string for what was not imported."""
        rest = ""
        while isinstance(node, ast.Attribute):
            rest = f".{node.attr}{rest}"
            node = node.value
        found = self.imports.get(node.id, "") if isinstance(node, ast.Name) else ""
        return found + rest if found else ""

    def short(self, node: ast.AST | None) -> str:
        """Library and last name: ``F.softmax`` and ``torch.softmax`` are both "torch.softmax"."""
        if node is None:
            return ""
        origin = self.origin(node.func if isinstance(node, ast.Call) else node)
        return f"{origin.split('.')[0]}.{origin.split('.')[-1]}" if origin else ""

    def uses(self, *libraries: str) -> bool:
        """Whether one of these is imported."""
        return any(origin.split(".")[0] in libraries for origin in self.imports.values())

    def values(self, node: ast.AST) -> list[Bound]:
        """The ways in which a name that is read here may have got its value."""
        name = word(node)
        if "." in name:
            return self.bound.get((self.owner(node) or self.tree, name), [])
        for up in self.above(node):
            if isinstance(up, (*FUNCTION, ast.Module)) and (up, name) in self.bound:
                return self.bound[up, name]
        return []

    # --- what stands behind them -------------------------------------------------------------

    def made(self, node: ast.AST | None) -> list[ast.Call | None]:
        """The calls that may have made this value; None among them: there are other ways."""
        found: dict[ast.Call | None, None] = {}
        seen: set[ast.AST] = set()
        waiting: list[ast.AST | None] = [node]
        while waiting:
            node = waiting.pop()
            if node in seen:  # model = model.to(device)
                continue
            before = self._before(node)
            if isinstance(node, ast.Call) and not before:
                found[node] = None
            elif node is None or not before:
                found[None] = None
            else:
                seen.add(node)
                waiting += reversed(before)
        return list(found)

    def makers(self, node: ast.AST | None) -> list[ast.Call]:
        """The calls that made this value; empty where there may be other ways."""
        calls = self.made(node)
        return [] if None in calls else [call for call in calls if call is not None]

    def target(self, call: ast.Call, loose: bool = False) -> list[Function]:
        """The functions of the script that a call may run; loose: any method of that name."""
        func = call.func
        name = getattr(func, "attr", getattr(func, "id", ""))
        plain = isinstance(func, ast.Name)
        found = [f for f in self.functions.get(name, []) if plain == (self.owner(f) is None)]
        if plain or loose or not found or not isinstance(func, ast.Attribute):
            return found
        if isinstance(func.value, ast.Name) and func.value.id == "self":
            return [f for f in found if self.owner(f) is self.owner(call)] or found  # inherited
        if call in self.asked:  # x = x.next()
            return []
        self.asked.add(call)
        owners = [self.class_of(maker) for maker in self.made(func.value)]
        self.asked.remove(call)
        return [method for method in found if self.owner(method) in owners]

    def class_of(self, call: ast.Call | None) -> ast.ClassDef | None:
        """The class of the script that a call makes an instance of."""
        named = call is not None and isinstance(call.func, ast.Name)
        return self.classes.get(call.func.id) if named else None  # type: ignore[union-attr]

    def reached(self, node: ast.AST, loose: bool = False) -> list[ast.AST]:
        """The nodes below this one and in the functions of the script that it calls.

        Loose also takes methods of unknown objects by their name and functions that are handed on.
        """
        found, seen = list(own(node)), {node}
        for below in found:  # grows on the way
            functions: list[Function] = []
            if isinstance(below, ast.Call):
                functions = [] if self.origin(below.func) else self.target(below, loose)
            elif loose and isinstance(below, ast.Name):
                functions = self.functions.get(below.id, [])
            for function in functions:
                if function not in seen:
                    seen.add(function)
                    found += own(function)
        return found

    def _before(self, node: ast.AST | None) -> list[ast.expr | None]:
        """The values that a value may be; of a call, what its function gives back."""
        if isinstance(node, ast.IfExp):
            return [node.body, node.orelse]
        if not isinstance(node, ast.Call):
            bounds = self.values(node) if node is not None else []
            return [way for bound in bounds for way in self._ways(bound)]
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr in SAME and not self.origin(func):
            return [func.value]
        if self.short(node) in AROUND and node.args:
            return [node.args[0]]
        inside = [below for function in self.target(node) for below in own(function)]
        return [back.value for back in inside if isinstance(back, ast.Return)]

    def _ways(self, bound: Bound) -> list[ast.expr | None]:
        """The values of a name; of a parameter, what the script's calls give for it."""
        parameter = bound.node
        if not isinstance(parameter, ast.arg):
            return [None if bound.looped or bound.path else bound.value]
        function = self.parents[self.parents[parameter]]
        if not isinstance(function, FUNCTION):
            return [None]
        names = [arg.arg for arg in [*function.args.posonlyargs, *function.args.args]]
        owner = self.owner(function)
        hidden = owner is not None and not function.decorator_list  # self
        place = names.index(parameter.arg) - hidden if parameter.arg in names else None
        name = owner.name if owner and function.name == "__init__" else function.name
        return [argument(call, place, parameter.arg) for call in self.calls.get(name, [])]

    # --- reading -----------------------------------------------------------------------------

    def _note(self, node: ast.AST) -> None:
        """Remember an import, a definition, a call, or what a statement gives to names."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.functions[node.name].append(node)
                for arg in (below for below in ast.walk(node.args) if isinstance(below, ast.arg)):
                    self.bound[node, arg.arg].append(Bound(None, (), False, arg))
            case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)):
                self.calls[name].append(node)
            case ast.Assign(targets, value):
                for target in targets:
                    self._bind(target, Bound(value, (), False, node))
            case ast.AnnAssign(target, _, value) | ast.NamedExpr(target, value):
                self._bind(target, Bound(value, (), False, node))
            case ast.AugAssign(target) | ast.withitem(_, ast.expr() as target):
                self._bind(target, Bound(None, (), False, node))
            case ast.For(target, iterated) | ast.AsyncFor(target, iterated):
                self._bind(target, Bound(iterated, (), True, node))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            if isinstance(node, ast.ImportFrom):
                place = f"{'.' * node.level}{node.module or ''}.{alias.name}"
                self.imports[alias.asname or alias.name] = place
            else:
                self.imports[alias.asname or top] = alias.name if alias.asname else top

    def _bind(self, target: ast.expr, bound: Bound) -> None:
        value = bound.value
        if isinstance(target, ast.Tuple | ast.List):
            pairs = isinstance(value, ast.Tuple | ast.List) and not bound.looped
            for place, part in enumerate(target.elts):
                if pairs and len(value.elts) == len(target.elts):  # type: ignore[union-attr]
                    self._bind(part, bound._replace(value=value.elts[place]))  # type: ignore[union-attr]
                else:
                    self._bind(part, bound._replace(path=(*bound.path, place)))
        elif name := word(target):
            owner = self.owner(target) if "." in name else None
            self.bound[owner or self.scope(target), name].append(bound)
