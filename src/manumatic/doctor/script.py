"""``read_script``: what the text of a training script says about it, before anybody runs it."""

__all__ = ["read_script"]

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator

from manumatic.doctor.finding import Finding, is_ignored
from manumatic.doctor.reading.data import early_fits, sorted_folds, unshuffled_batches
from manumatic.doctor.reading.evaluation import lasting_dropout
from manumatic.doctor.reading.loop import kept_gradients, stale_models
from manumatic.doctor.reading.model import hidden_layers, twice
from manumatic.doctor.reading.names import outdated
from manumatic.doctor.reading.shapes import unlike_shapes
from manumatic.doctor.reading.source import Source
from manumatic.doctor.reading.tree import Remark, ranks
from manumatic.errors import DataError

CHECKS: tuple[Callable[[Source], Iterator[Remark]], ...] = (
    outdated,
    unlike_shapes,
    twice,
    hidden_layers,
    kept_gradients,
    unshuffled_batches,
    stale_models,
    lasting_dropout,
    early_fits,
    sorted_folds,
)
MAGIC = re.compile(r"\s*([\w\s,.\[\]]+=\s*)?(%%?[a-zA-Z]|!|\?)|\s*[\w.]+\?{1,2}\s*$")
OTHER = re.compile(
    r"%%(bash|cmd|html|javascript|js|latex|markdown|perl|ruby|script|sh|svg|system)\b"
)


def read_script(text: str, name: str = "script") -> list[Finding]:
    """Look for the mistakes that can be seen without running anything.

    It says only what the text shows: what it cannot follow, it takes to be right. A line with
    ``# manumatic: ignore[MM303]`` is left alone.

    Parameters
    ----------
    text : str
        A Python script, or a Jupyter notebook with its code cells.
    name : str
        What to call it in errors; ``.ipynb`` at its end says that it is a notebook.

    Returns
    -------
    list of Finding
        In the order of the lines, which their messages begin with. Empty: nothing was found.

    Raises
    ------
    DataError
        The text is no Python, or no notebook; it names the line.

    Examples
    --------
    >>> [finding] = read_script("from sklearn.datasets import load_boston")
    >>> print(finding)
    MM001 tip: line 1: sklearn.datasets.load_boston is gone since scikit-learn 1.2.
        houses = mm.datasets.load_houses()  # 506×13, made up, no download
    """
    cells = _cells(text, name)
    starts = [1 + sum(cell.count("\n") + 1 for cell in cells[:n]) for n in range(len(cells))]
    code = "\n".join(cells) if cells else text.removeprefix("\ufeff")
    source = Source(_parse(code, name, starts), starts)
    lines = re.split("\r\n|\r|\n", code)
    remarks = [remark for check in CHECKS for remark in check(source)]
    return [
        finding._replace(message=f"{source.place(node)}: {finding.message}")
        for node, finding in sorted(remarks, key=lambda remark: ranks(remark.node))
        if not is_ignored(finding.code) and not _waved(lines[ranks(node)[0] - 1], finding.code)
    ]


def _parse(code: str, name: str, starts: list[int]) -> ast.Module:
    """The tree; a notebook may await outside of functions."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's text, which is not run here
            tree: ast.Module = compile(code, name, "exec", flags)
    except SyntaxError as error:
        place = Source(ast.Module([], []), starts).place(ast.Pass(lineno=error.lineno or 1))
        raise DataError(f"{name}, {place} is no Python: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is no Python: {error}") from None
    return tree


def _waved(line: str, code: str) -> bool:
    """Whether the line carries ``# manumatic: ignore[...]`` with this code."""
    found = re.search(r"#\s*manumatic:\s*ignore\[([\w,\s]*)\]", line)
    return found is not None and code in re.split(r"[,\s]+", found[1])


# --- notebooks -----------------------------------------------------------------------------------


def _cells(text: str, name: str) -> list[str]:
    """The code cells of a notebook, with as many lines as there; none: it is a plain script."""
    wanted = name.endswith(".ipynb")
    if not wanted and not re.match(r'\s*\{\s*"', text):
        return []
    try:
        cells = json.loads(text)["cells"]
        code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        if not wanted:
            return []
        raise DataError(f"{name} is no notebook in version 4's format: {error!r}") from None
    return [_plain("".join(cell)) for cell in code] or [""]


def _plain(cell: str) -> str:
    """A cell without magics and shell commands; a line goes for a line."""
    try:
        ast.parse(cell)
        return cell
    except (SyntaxError, ValueError, RecursionError):
        lines = textwrap.dedent(cell).split("\n")  # IPython takes an indented cell
    if OTHER.match(lines[0]):
        return "\n".join("pass" for _ in lines)
    plain: list[str] = []
    magic: re.Match[str] | None = None
    for line in lines:
        magic = magic or MAGIC.match(line)
        if magic is None:
            plain.append(line)
            continue
        begun = magic.string
        indent = begun[: len(begun) - len(begun.lstrip())]
        plain.append(f"{indent}{(magic[1] or '').lstrip()}None")
        magic = magic if line.endswith("\\") else None
    return "\n".join(plain)
