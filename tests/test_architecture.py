"""The rules of the house (docs/architecture.md), each held by a test over the syntax tree."""

import ast
import io
import os
import subprocess
import sys
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "manumatic"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

# First to last: a module imports from its own folder and from what stands to its left.
ORDER = [
    *("errors", "files", "logbook", "history", "task", "show"),
    *("convert", "nets", "parts", "watch", "doctor", "gears"),
    *("inspection", "model_selection", "shift", "compare", "deliver"),
    *("datasets", "cli"),
]
ESTIMATORS = {"Autoencoder", "Classifier", "Regressor"}
OWNERS = {"estimator", "owner", "trainer"}

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPE = (*FUNCTION, ast.ClassDef)
BRANCH = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.match_case,
)


# --- reading -----------------------------------------------------------------------------------


def name_of(path: Path) -> str:
    """src/manumatic/parts/loop.py → parts/loop.py."""
    return path.relative_to(PACKAGE).as_posix()


def stage_of(path: Path) -> str:
    """The folder or file directly under the package: parts/loop.py → parts."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]


def classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of the parameters, without self and cls."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    return [argument.arg for argument in every if argument.arg not in ("self", "cls")]


def code_lines(path: Path) -> set[int]:
    """Numbers of the lines that hold code: no docstring, comment or blank line."""
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in quiet:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(TREES[path]):
        if isinstance(node, (*SCOPE, ast.Module)) and ast.get_docstring(node, clean=False):
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below this one that does not belong to a nested function or class."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, SCOPE):
            yield from own_nodes(child)


def branches(function: ast.AST) -> int:
    """1 + decision points: if, loop, except, assert, and/or, the ifs of a comprehension."""
    nodes = list(own_nodes(function))
    return (
        1
        + sum(isinstance(node, BRANCH) for node in nodes)
        + sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))
        + sum(len(node.ifs) for node in nodes if isinstance(node, ast.comprehension))
    )


def typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name or "") of each import, inside functions too, not under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif not typing_only(node):
            yield from imports(node)


def inner_stages(tree: ast.AST) -> set[str]:
    """The stages of the package that a module imports from."""
    found = set()
    for module, name in imports(tree):
        parts = [*module.split("."), name]
        if parts[0] == "manumatic":
            found.add(parts[1])
    return found - {""}


# --- layers ------------------------------------------------------------------------------------


def test_every_file_has_its_place_in_the_order() -> None:
    assert {stage_of(path) for path in FILES} - {"__init__"} <= set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_only_back(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return  # the list of public names: it points at everything, lazily
    allowed = ORDER[: ORDER.index(stage_of(path)) + 1]
    assert inner_stages(TREES[path]) <= set(allowed)


def test_the_package_root_is_never_imported_inside() -> None:
    inside = [
        f"{name_of(path)} imports {name or module}"
        for path in FILES
        for module, name in imports(TREES[path])
        if module == "manumatic" and path != PACKAGE / "__init__.py"
    ]
    assert not inside


def test_the_loop_and_the_nets_are_plain_pytorch() -> None:
    """Eject prints their source, so they may not need anything that the script would not have.

    What one net takes from another is printed, too.
    """
    pages = [PACKAGE / "parts" / "loop.py", *sorted((PACKAGE / "nets").glob("*.py"))]
    known = {"torch", *sys.stdlib_module_names}
    foreign = {
        f"{name_of(page)} imports {module}"
        for page in pages
        for module, _ in imports(TREES[page])
        if module.split(".")[0] not in known and not module.startswith("manumatic.nets.")
    }
    assert not foreign


def test_parts_take_values_never_their_owner() -> None:
    # in convert an estimator is what goes in, as the rows are elsewhere: nobody's owner
    below = [path for path in FILES if stage_of(path) in ("nets", "parts")]
    owned = [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in below
        for function in functions(TREES[path])
        if OWNERS & set(parameters(function))
    ]
    assert not owned


# --- budgets -----------------------------------------------------------------------------------


def test_files_have_at_most_400_lines() -> None:
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_functions_are_short() -> None:
    """At most 50 lines of code each, and at most 22 in nine of ten."""
    sizes = {}
    for path in FILES:
        code = code_lines(path)
        for node in functions(TREES[path]):
            span = range(node.lineno, (node.end_lineno or 0) + 1)
            sizes[f"{name_of(path)}:{node.lineno} {node.name}"] = len(code.intersection(span))
    assert {where: size for where, size in sizes.items() if size > 50} == {}
    ordered = sorted(sizes.values())
    assert ordered[int(0.9 * len(ordered))] <= 22


def test_functions_have_at_most_12_branches() -> None:
    counts = {
        f"{name_of(path)}:{node.lineno} {node.name}": branches(node)
        for path in FILES
        for node in functions(TREES[path])
    }
    assert {where: count for where, count in counts.items() if count > 12} == {}


def test_classes_have_at_most_15_methods() -> None:
    """Names are counted, so that a property with a setter is one; estimators may have 20."""
    crowded = {}
    for path in FILES:
        for node in classes(TREES[path]):
            methods = {child.name for child in node.body if isinstance(child, FUNCTION)}
            if len(methods) > (20 if node.name in ESTIMATORS else 15):
                crowded[f"{name_of(path)} {node.name}"] = len(methods)
    assert crowded == {}


def test_constructors_have_at_most_10_parameters() -> None:
    wide = {
        f"{name_of(path)} {owner.name}": len(parameters(function))
        for path in FILES
        for owner in classes(TREES[path])
        for function in owner.body
        if isinstance(function, FUNCTION) and function.name == "__init__"
        if len(parameters(function)) > 10
    }
    assert wide == {}


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    vague = ("util", "helper", "common", "misc")
    assert [path for path in FILES if any(word in name_of(path) for word in vague)] == []


def test_no_mocks_in_the_tests() -> None:
    """The real small thing is built instead; pytest's own monkeypatch may set the environment."""
    faked = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any("mock" in f"{module}.{name}".split(".") for module, name in imports(tree)):
            faked.append(path.name)
        faked += [f"{path.name} {f.name}" for f in functions(tree) if "mocker" in parameters(f)]
    assert faked == []


# --- what importing and fitting cost -----------------------------------------------------------


def loaded_after(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import manumatic", "import manumatic.cli.main", "from manumatic import datasets"],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    assert not loaded_after(statement) & {"numpy", "pandas", "scipy", "sklearn", "torch"}


def test_compare_stays_the_function_whoever_imports_its_package_first() -> None:
    code = "import manumatic.compare, manumatic as mm\nassert callable(mm.compare), mm.compare"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


class Counting(torch.nn.Module):
    """A linear classifier that counts the library's frames between ``fit`` and itself."""

    seen: list[list[str]] = []  # noqa: RUF012 - on the class, because fit trains a copy

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Note the names of the library's frames below ``fit``, innermost first."""
        frame, between = sys._getframe(1), []
        while frame and frame.f_code.co_name != "fit":
            if Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
                between.append(f"{Path(frame.f_code.co_filename).name} {frame.f_code.co_name}")
            frame = frame.f_back
        if frame and self.training:
            Counting.seen.append(between)
        return self.linear(X)


def test_at_most_three_frames_between_fit_and_forward() -> None:
    import manumatic as mm

    Counting.seen.clear()
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).numpy()
    net = mm.Classifier(Counting, loop=mm.Loop(epochs=2), random_state=0)
    net.fit(X, (X[:, 0] > 0).astype(int))
    assert len(Counting.seen) >= 2
    assert max(map(len, Counting.seen)) <= 3, max(Counting.seen, key=len)


# --- what is shipped ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """Everything under src/manumatic is in it, and it imports from the archive alone."""
    build = f"-m pip wheel --quiet --no-deps --wheel-dir {tmp_path} {ROOT}"
    subprocess.run([sys.executable, *build.split()], check=True)
    [wheel] = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"manumatic/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= shipped
    lines = ("import sys", f"sys.path.insert(0, {str(wheel)!r})", "import manumatic as mm")
    code = "; ".join([*lines, "print(mm.__file__)"])
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
    )
    assert str(wheel) in done.stdout
