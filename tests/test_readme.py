"""What the README and the docs show is run: Python blocks, sessions, command lines."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[tuple[int, str, str]]:
    """(lines before it, language, text) of each fenced block in one of the languages."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(2)), match[1], match[2])
        for match in FENCE.finditer(text)
        if match[1] in languages
    ]


# --- Python ------------------------------------------------------------------------------------


def run(page: Path, line: int, language: str, text: str, names: dict[str, object]) -> None:
    """Run a block in the page's names; failures show the page and its own line numbers."""
    if language == "python":
        exec(compile("\n" * line + text, str(page), "exec"), names)
        return
    session = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), line)
    session.globs = names  # not the copy that the parser made: the next block goes on from here
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DebugRunner(optionflags=flags).run(session, clear_globs=False)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of one page share their names and a working folder, empty at first."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for line, language, text in blocks(page, "python", "pycon"):
        run(page, line, language, text, names)


# --- command lines -----------------------------------------------------------------------------


def commands(page: Path) -> list[str]:
    """Command lines that the page shows after ``$``, or that a ``sh`` block consists of."""
    shown = [line for _, _, text in blocks(page, "sh", "bash") for line in text.splitlines()]
    shown += [
        line[2:]
        for _, _, text in blocks(page, "console", "")
        for line in text.splitlines()
        if line.startswith("$ ")
    ]
    return [line for line in shown if line.strip() and not line.startswith("#")]


def words(line: str) -> list[list[str]]:
    """Each command of the line as its words; comments, redirections and their files fall away."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if set(word) <= set("|&;"):
            found.append([])
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        else:
            found[-1].append(word)
    return found


SHOWN = [(page, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=[f"{name_of(p)}: {c}" for p, c in SHOWN])
def test_the_command_lines_of_a_page_are_right(page: Path, line: str) -> None:
    """``manumatic …`` parses, ``make …`` names a target, ``python …`` a file that is there."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for command, *rest in filter(None, words(line)):
        if command == "make":
            assert set(rest) <= set(targets)
        elif command == "manumatic":
            parse(rest)
        elif command == "python" and rest[0].endswith(".py") and "/" in rest[0]:
            assert (ROOT / rest[0]).is_file()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """``parts/loop.py`` in backquotes, below the root or below the package."""
    named = re.findall(r"`([\w./-]+(?:/|\.(?:py|md|toml|txt)))`", page.read_text(encoding="utf-8"))
    places = (ROOT, ROOT / "src" / "manumatic", page.parent)
    assert [name for name in named if not any((at / name).exists() for at in places)] == []


def parse(arguments: list[str]) -> None:
    """Let the command line's own parser read them; it exits on what it does not know."""
    from manumatic.cli.main import build_parser

    if not {"-h", "--help", "--version"} & set(arguments):
        build_parser().parse_args(arguments)
