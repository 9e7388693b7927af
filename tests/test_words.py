"""Names, docstrings and messages: every public name documented, every message shows the value."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
from test_architecture import FILES, PACKAGE, TREES

import manumatic as mm

MODULES = [path for path in FILES if path.name != "__init__.py"]

PUBLIC = [name for name in mm.__all__ if name != "__version__"]
CALLABLE = [name for name in mm.HOME if mm.HOME[name] != "manumatic.errors"]
# The five words have no synonyms; these two are other libraries' words for them.
SYNONYMS = {"criterion", "trainer"}
# In the public face, also the words that torch uses for a model and for data.
PUBLIC_SYNONYMS = SYNONYMS | {"dataset", "module"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def dotted(path: Path) -> str:
    return ".".join(["manumatic", *path.relative_to(PACKAGE).with_suffix("").parts])


def declared(tree: ast.Module) -> list[str] | None:
    """What ``__all__`` says, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


# --- __all__ -----------------------------------------------------------------------------------


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert mm.__all__ == sorted(mm.__all__)
    assert dir(mm) == mm.__all__
    assert all(hasattr(mm, name) for name in mm.__all__)
    assert mm.__version__


def test_type_checkers_see_the_same_names_at_the_same_places() -> None:
    """The imports under TYPE_CHECKING and the lazy table say the same."""
    tree = TREES[PACKAGE / "__init__.py"]
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == mm.HOME | dict.fromkeys(("datasets", "model_selection"), "manumatic")
    assert set(seen) | {"__version__"} == set(mm.__all__)


def test_names_are_looked_up_where_they_are_defined() -> None:
    assert {name: getattr(mm, name).__module__ for name in mm.HOME} == mm.HOME


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(AttributeError, match=r"'Clasifier'\. Did you mean 'Classifier'\?"):
        mm.Clasifier  # noqa: B018 - the look-up is the test


def registers(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """A converter is reached through its registry, not by its name."""
    calls = [mark.func for mark in node.decorator_list if isinstance(mark, ast.Call)]
    return any(isinstance(call, ast.Name) and call.id in ("converts", "shifts") for call in calls)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_declare_what_is_public(path: Path) -> None:
    """A docstring, then ``__all__``: sorted, and just the public functions and classes."""
    tree = TREES[path]
    assert ast.get_docstring(tree)
    names = declared(tree)
    assert names is not None, "__all__ is missing"
    assert names == sorted(names)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = {node.name for node in tree.body if isinstance(node, kinds) and not registers(node)}
    assert {name for name in defined if not name.startswith("_")} <= set(names)
    module = import_module(dotted(path))
    assert [name for name in names if not hasattr(module, name)] == []


# --- docstrings --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_names_of_modules_have_docstrings(path: Path) -> None:
    names = set(declared(TREES[path]) or ())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    bare = [
        node.name
        for node in TREES[path].body
        if isinstance(node, kinds) and node.name in names and not ast.get_docstring(node)
    ]
    assert bare == []


def text_of(name: str) -> str:
    return inspect.getdoc(getattr(mm, name)) or ""


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    assert text_of(name)


@pytest.mark.parametrize("name", CALLABLE)
def test_public_callables_have_an_example(name: str) -> None:
    """That it runs is seen to by ``--doctest-modules``."""
    assert re.search(r"^Examples\n-{8}\n(.*\n)*?>>> ", text_of(name), re.MULTILINE)


@pytest.mark.parametrize("name", CALLABLE)
def test_public_callables_document_their_parameters(name: str) -> None:
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    signature = inspect.signature(getattr(mm, name))
    wanted = {p.name for p in signature.parameters.values() if p.kind not in free}
    text = text_of(name)
    if elsewhere := re.search(r"^Parameters .*are those of :class:`(\w+)`", text, re.MULTILINE):
        text = text_of(elsewhere[1])
    entries = re.findall(r"^(\w[\w, *]*) : ", text, re.MULTILINE)
    assert wanted <= {word.strip("* ") for entry in entries for word in entry.split(",")}


@pytest.mark.parametrize("name", CALLABLE)
def test_public_methods_have_docstrings(name: str) -> None:
    """Those of a public class itself; what it inherits from scikit-learn is documented there."""
    value = getattr(mm, name)
    own = vars(value) if inspect.isclass(value) else {}
    methods = [method for method in own if not method.startswith("_") and callable(own[method])]
    assert [method for method in methods if not inspect.getdoc(own[method])] == []


# --- words -------------------------------------------------------------------------------------


def test_no_parameter_is_a_synonym_of_the_five_words() -> None:
    found = [
        f"{name_of(path)}:{node.lineno} {node.arg}"
        for path in FILES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.arg) and node.arg in SYNONYMS
    ]
    assert found == []


@pytest.mark.parametrize("name", CALLABLE)
def test_public_parameters_use_the_five_words(name: str) -> None:
    assert not PUBLIC_SYNONYMS & set(inspect.signature(getattr(mm, name)).parameters)


# --- messages ----------------------------------------------------------------------------------


def messages(tree: ast.Module) -> list[ast.expr]:
    """The first argument of each ``raise SomeError(...)`` that has words in it."""
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    calls = [exc for exc in raised if isinstance(exc, ast.Call) and exc.args]
    texts = [call.args[0] for call in calls if ast.unparse(call.func).endswith("Error")]
    return [text for text in texts if any(is_text(node) for node in ast.walk(text))]


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_messages_show_the_value() -> None:
    """At least four in five interpolate what they complain about."""
    every = {
        f"{name_of(path)}:{text.lineno}": text for path in FILES for text in messages(TREES[path])
    }
    mute = [
        where
        for where, text in every.items()
        if not any(isinstance(node, ast.FormattedValue) for node in ast.walk(text))
    ]
    assert len(mute) <= 0.2 * len(every), mute
