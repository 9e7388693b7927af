"""A script as a tree: what stands inside what, and in which line."""

__all__ = [
    "DEEP",
    "FUNCTION",
    "Function",
    "LOOP",
    "Remark",
    "Tree",
    "argument",
    "own",
    "ranks",
    "word",
]

import ast
from collections.abc import Iterator
from typing import NamedTuple

from manumatic.doctor.finding import Finding

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOP = (ast.For, ast.AsyncFor, ast.While)
DEEP = 6  # steps after which a trail is given up
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Remark(NamedTuple):
    """A finding, and the place in the script that it is about."""

    node: ast.AST
    finding: Finding


def own(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below this one, without the bodies of functions and classes defined there."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*FUNCTION, ast.ClassDef)):
            yield from own(child)


def word(node: ast.AST) -> str:
    """``x`` or ``self.x`` as written; an empty string for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"self.{node.attr}" if node.value.id == "self" else ""
    return ""


def argument(call: ast.Call, place: int | None, name: str) -> ast.expr | None:
    """What a call gives for a parameter, by its place or by its name."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if place is None or any(isinstance(given, ast.Starred) for given in call.args):
        return None
    return call.args[place] if 0 <= place < len(call.args) else None


def ranks(node: ast.AST) -> tuple[int, int]:
    """Line and column, to put nodes in the order of the text."""
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


class Tree:
    """The nodes of a script and what is around each.

    Parameters
    ----------
    tree : ast.Module
    cells : list of int, optional
        Of a notebook: the line in which each code cell begins.
    """

    def __init__(self, tree: ast.Module, cells: list[int] | None = None) -> None:
        self.tree, self.cells = tree, cells
        self.nodes = list(ast.walk(tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def place(self, node: ast.AST) -> str:
        """ "line 12"; in a notebook "cell 3, line 2"."""
        line = ranks(node)[0]
        if not self.cells:
            return f"line {line}"
        number = sum(first <= line for first in self.cells)
        return f"cell {number}, line {line - self.cells[number - 1] + 1}"

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around this one, from the inside out."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def scope(self, node: ast.AST) -> ast.AST:
        """The function around a node, or the whole script."""
        return next((up for up in self.above(node) if isinstance(up, FUNCTION)), self.tree)

    def owner(self, node: ast.AST) -> ast.ClassDef | None:
        """The class around a node."""
        return next((up for up in self.above(node) if isinstance(up, ast.ClassDef)), None)

    def loops(self, node: ast.AST) -> list[ast.AST]:
        """The loops around a node in its own function, innermost first."""
        found: list[ast.AST] = []
        for up in self.above(node):
            if isinstance(up, FUNCTION):
                break
            if isinstance(up, LOOP):
                found.append(up)
        return found

    def of(self, *kinds: type[ast.AST]) -> list[ast.AST]:
        """All nodes of these kinds, in the order of the text."""
        return sorted((node for node in self.nodes if isinstance(node, kinds)), key=ranks)
