"""MM001: names that are gone or deprecated, where a script uses them."""

__all__ = ["outdated"]

import ast
import re
from collections.abc import Iterator

from manumatic.doctor.finding import Finding
from manumatic.doctor.reading.old import OLD, Old
from manumatic.doctor.reading.source import Source
from manumatic.doctor.reading.tree import Remark, word

NAMES = {row.name: row for row in OLD if not row.parameter}
PARAMETERS = {(row.name, row.parameter, row.value): row for row in OLD if row.parameter}
# the methods among them: what they belong to is written with a capital letter
METHODS = {row.name for row in OLD if row.name.split(".")[-2][0].isupper()}
PANDAS = {"pandas.DataFrame", "pandas.Series"}
FRAMES = {"pandas.read_csv", "pandas.read_excel", "pandas.read_json", "pandas.read_parquet"}
WHOLE = {"eval", "parameters", "train"}  # only a model has these


def outdated(source: Source) -> Iterator[Remark]:
    """MM001, once for each name, where it appears first."""
    seen: set[Old] = set()
    for node in source.of(ast.Import, ast.ImportFrom, ast.Attribute, ast.Name, ast.Call):
        if _guarded(source, node):
            continue
        for row in (*_named(source, node), *_called(source, node)):
            if row not in seen:
                seen.add(row)
                yield Remark(node, Finding("MM001", f"{row} is {row.since}.", row.instead))
    yield from _whole_models(source)


def _named(source: Source, node: ast.AST) -> Iterator[Old]:
    """Rows for a name, in an import or where it is used."""
    origins: list[str] = []
    if isinstance(node, ast.Import):
        origins = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        origins = [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Attribute | ast.Name):
        origins = [source.origin(node), *_methods(source, node)]
    for origin in origins:
        parts = origin.split(".")
        stems = (".".join(parts[:end]) for end in range(2, len(parts) + 1))
        yield from (NAMES[stem] for stem in stems if stem in NAMES)


def _methods(source: Source, node: ast.AST) -> list[str]:
    """``frame.append`` → "pandas.DataFrame.append", where frame is surely a frame."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return []
    if any(name.endswith(f".{node.attr}") for name in METHODS):
        return [f"{kind}.{node.attr}" for kind in _kinds(source, node.value)]
    return []


def _kinds(source: Source, node: ast.AST) -> set[str]:
    """What an object is an instance of, where all that makes it agrees."""
    makers = [call for call in source.makers(node) if not _from_itself(call, node)]
    kinds = {source.origin(call.func) for call in makers}
    if kinds <= FRAMES | PANDAS and makers:
        return {"pandas.DataFrame"} if kinds != {"pandas.Series"} else kinds
    return kinds if len(kinds) == 1 else set()


def _from_itself(call: ast.Call, node: ast.AST) -> bool:
    """``frame = frame.dropna()`` is still a frame; ``frame.to_numpy()`` is not."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr.startswith("to_"):
        return False
    return word(func.value) == word(node) != ""


def _called(source: Source, node: ast.AST) -> Iterator[Old]:
    """Rows for the parameters that a call gives."""
    if not isinstance(node, ast.Call):
        return
    origins = [source.origin(node.func), *_methods(source, node.func)]
    for keyword in node.keywords:
        given = keyword.value.value if isinstance(keyword.value, ast.Constant) else ""
        for origin in origins:
            for value in ("", given):
                if row := PARAMETERS.get((origin, keyword.arg or "", str(value))):
                    yield row


def _guarded(source: Source, node: ast.AST) -> bool:
    """Inside ``try: ... except ImportError`` or a question about the version: on purpose."""
    for up in source.above(node):
        if isinstance(up, ast.Try):
            caught = " ".join(ast.unparse(handler.type or up) for handler in up.handlers)
            if re.search("ImportError|ModuleNotFound|AttributeError|TypeError", caught):
                return True
        asked = ast.unparse(up.test) if isinstance(up, ast.If | ast.IfExp) else ""
        if re.search("version|hasattr|TYPE_CHECKING", asked, re.IGNORECASE):
            return True
    return False


def _whole_models(source: Source) -> Iterator[Remark]:
    """``model = torch.load(path)``, with the model used as one: refused since 2.6."""
    if any("safe_globals" in name for name in source.calls):
        return
    for call in source.calls.get("load", []):
        if source.origin(call.func) != "torch.load" or _guarded(source, call):
            continue
        if {keyword.arg for keyword in call.keywords} & {"weights_only", "pickle_module", None}:
            continue
        if name := _used_as_model(source, call):
            message = (
                f"{name} is a whole model from torch.load, which reads only weights "
                "since PyTorch 2.6, unless weights_only=False says that the file is trusted."
            )
            fix = f'{name}.load_state_dict(torch.load("weights.pt"))  # saved: {name}.state_dict()'
            yield Remark(call, Finding("MM001", message, fix))


def _used_as_model(source: Source, call: ast.Call) -> str:
    """The name that a call's value gets, when it is used as only a model can be."""
    statement = source.parents[call]
    name = word(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
    if not name:
        return ""
    for node in source.of(ast.Call):
        func = node.func if isinstance(node, ast.Call) else node
        if isinstance(func, ast.Attribute) and func.attr in WHOLE and word(func.value) == name:
            makers = source.makers(func.value)
            if makers == [call]:
                return name
    return ""
