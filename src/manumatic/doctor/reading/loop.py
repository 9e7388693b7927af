"""MM303, MM401: loops that keep gradients, and folds that keep the model."""

__all__ = ["folds_of", "is_optimizer", "is_split", "kept_gradients", "stale_models"]

import ast
import re
from collections.abc import Iterator

from manumatic.doctor.finding import Finding
from manumatic.doctor.reading.evaluation import FRAMEWORKS
from manumatic.doctor.reading.model import classes_of_models
from manumatic.doctor.reading.source import Source
from manumatic.doctor.reading.tree import FUNCTION, Remark, own, ranks, word

IN_PLACE = {"copy_", "detach_", "fill_", "mul_", "zero_"}
FOLDS = {
    *("GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut"),
    *("RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold"),
    *("StratifiedKFold", "StratifiedShuffleSplit"),
}
RENEWS = {"apply", "deepcopy", "load_state_dict", "reset_parameters"}


def is_optimizer(source: Source, node: ast.AST) -> bool:
    """Made by torch.optim; or of unknown make and called so."""
    made = source.made(node)
    known = [call for call in made if call is not None]
    if known and None not in made:
        origins = [source.origin(call.func) for call in known]
        return all(name.startswith("torch.optim.") and "sched" not in name for name in origins)
    name = word(node).removeprefix("self.").lstrip("_")
    return not known and name.startswith("opt") and "sched" not in name


# --- gradients -----------------------------------------------------------------------------------


def kept_gradients(source: Source) -> Iterator[Remark]:
    """MM303: backward and step in a loop, and nothing there sets the gradients back."""
    if source.uses(*FRAMEWORKS):
        return
    seen: set[ast.AST] = set()
    for back in source.calls.get("backward", []):
        nest = _nest(source, back)
        step = next(_steps(source, nest), None) if nest and not back.args else None
        if nest is None or step is None or step[0] in seen:
            continue
        call, optimizer = step
        if _sets_back(source, back, nest, optimizer):
            continue
        seen.add(call)
        name = word(optimizer) or ast.unparse(optimizer)
        message = (
            f"{name} steps in a loop where nothing sets the gradients back: each backward() "
            f"({source.place(back)}) adds to the gradients of all steps before."
        )
        fix = f"{name}.zero_grad()  # before {ast.unparse(back)}"
        yield Remark(call, Finding("MM303", message, fix))


def _sets_back(source: Source, back: ast.Call, nest: ast.AST, optimizer: ast.expr) -> bool:
    """Whether gradients start from nothing, or may, there or where that is called from."""
    regions = [nest, *_callers(source, back)]
    nodes = [node for region in regions for node in source.reached(region, loose=True)]
    return _fresh(source, back, optimizer) or any(
        _clears(source, node) or _handed(source, node, optimizer) for node in nodes
    )


def _nest(source: Source, back: ast.Call) -> ast.AST | None:
    """The outermost loop around; or the function, when a loop calls that."""
    if loops := source.loops(back):
        return loops[-1]
    scope = source.scope(back)
    calls = source.calls.get(getattr(scope, "name", ""), [])
    return scope if any(source.loops(call) for call in calls) else None


def _callers(source: Source, node: ast.AST, deep: int = 0) -> Iterator[ast.AST]:
    """The loops and functions from which the function around a node is called."""
    scope = source.scope(node)
    if scope is source.tree or deep > 3:
        return
    for call in source.calls.get(getattr(scope, "name", ""), []):
        yield next(reversed(source.loops(call)), source.scope(call))
        yield from _callers(source, call, deep + 1)


def _steps(source: Source, nest: ast.AST) -> Iterator[tuple[ast.Call, ast.expr]]:
    """``optimizer.step()``, and ``scaler.step(optimizer)`` of mixed precision."""
    for node in own(nest):
        func = node.func if isinstance(node, ast.Call) else node
        if isinstance(node, ast.Call) and isinstance(func, ast.Attribute) and func.attr == "step":
            given = node.args[0] if node.args else func.value
            if len(node.args) < 2 and is_optimizer(source, given):
                yield node, given


def _fresh(source: Source, back: ast.Call, optimizer: ast.expr) -> bool:
    """Whether the optimizer is made anew for each backward."""
    around = next(iter(source.loops(back)), source.scope(back))
    nodes = [bound.node for bound in source.values(optimizer)]
    return any(around in source.above(n) for n in nodes if not isinstance(n, ast.arg))


def _clears(source: Source, node: ast.AST) -> bool:
    """Whether a node sets gradients back, or may."""
    if isinstance(node, ast.Attribute):
        stored = not isinstance(node.ctx, ast.Load)
        if node.attr == "zero_grad" or (stored and ".grad" in ast.unparse(node)):
            return True
    if not isinstance(node, ast.Call):
        return False
    func = node.func
    name = _called(node)
    if name in IN_PLACE and "grad" in ast.unparse(func):
        return True
    return bool(re.search(r"zero_?grad|(clear|reset|set)_?grads?", name, re.IGNORECASE))


def _handed(source: Source, node: ast.AST, optimizer: ast.expr) -> bool:
    """Whether an unknown function gets the optimizer: it may do what is missing."""
    if not isinstance(node, ast.Call) or source.target(node, loose=True):
        return False
    if _called(node) in ("isinstance", "len", "print", "step", "unscale_"):
        return False
    library = source.origin(node.func).startswith("torch.")
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    return not library and word(optimizer) in {word(one) for one in given} - {""}


# --- folds ---------------------------------------------------------------------------------------


def folds_of(source: Source, node: ast.AST, deep: int = 0) -> ast.Call | None:
    """The ``splitter.split(...)`` that is iterated here, as it is, counted or listed."""
    inner: list[ast.expr | None] = []
    if isinstance(node, ast.Name):  # folds = list(kf.split(X))
        inner = [None if bound.looped else bound.value for bound in source.values(node)]
    elif isinstance(node, ast.Call):
        if is_split(source, node):
            return node
        inner = [*node.args] if _called(node) in ("enumerate", "list", "tqdm", "zip") else []
    found = [folds_of(source, one, deep + 1) for one in inner if one is not None and deep < 3]
    return next((call for call in found if call is not None), None)


def is_split(source: Source, call: ast.Call) -> bool:
    """``kf.split(X)``, of a splitter that tests on every row."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr != "split":
        return False
    makers = {source.short(maker) for maker in source.makers(func.value)}
    return bool(makers) and makers <= {f"sklearn.{name}" for name in FOLDS}


def stale_models(source: Source) -> Iterator[Remark]:
    """MM401: a loop over folds trains on with the model of the fold before."""
    for loop in source.of(ast.For):
        assert isinstance(loop, ast.For)
        split = folds_of(source, loop.iter)
        nodes = source.reached(loop) if split else []
        if not split or "backward" not in {n.attr for n in nodes if isinstance(n, ast.Attribute)}:
            continue
        if _renewed(source, loop):
            continue
        for name, maker in _kept(source, loop).items():
            message = (
                f"{name} ({source.place(maker)}) is made once, before the folds: from the second "
                "fold on it has trained on rows that it is tested on."
            )
            fix = f"{name} = {ast.unparse(maker)}  # inside the loop, before its optimizer"
            yield Remark(loop, Finding("MM401", message, fix))


def _renewed(source: Source, loop: ast.For) -> bool:
    """Whether something in the loop may set weights back, or ends it after one fold."""
    for node in source.reached(loop, loose=True):
        if isinstance(node, ast.Break) and source.loops(node)[:1] == [loop]:
            return True
        name = getattr(node, "attr", getattr(node, "id", ""))
        if name in RENEWS or isinstance(node, ast.Global | ast.Nonlocal):
            return True
        if isinstance(node, ast.Call) and re.search(r"init_|_init|reset|rebuild", _called(node)):
            return True
    return False


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _kept(source: Source, loop: ast.For) -> dict[str, ast.Call]:
    """Models that the loop trains and that are made outside of it, by their names."""
    trained = _in_optimizers(source)
    stored = {
        word(node)
        for node in source.reached(loop, loose=True)
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store)
    }
    kept: dict[str, ast.Call] = {}
    for node in sorted(own(loop), key=ranks):
        name = word(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        makers = source.makers(node) if name and name not in stored else []
        outside = [call for call in makers if loop not in source.above(call)]
        if len(makers) == 1 and outside and makers[0] in trained and makers[0] not in kept.values():
            kept[name] = makers[0]
    return kept


def _in_optimizers(source: Source) -> set[ast.Call]:
    """The calls that made the models whose ``parameters()`` an optimizer gets."""
    models = classes_of_models(source)
    found: set[ast.Call] = set()
    for call in source.calls.get("parameters", []):
        given = any(
            isinstance(up, ast.Call) and source.origin(up.func).startswith("torch.optim.")
            for up in source.above(call)
            if not isinstance(up, FUNCTION)
        )
        if given and isinstance(call.func, ast.Attribute):
            makers = source.makers(call.func.value)
            found |= {
                maker
                for maker in makers
                if source.short(maker).startswith("torch.") or word(maker.func) in models
            }
    return found
