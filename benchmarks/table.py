"""What benchmarks share: interleaved CPU times, Markdown tables, the block in a page."""

__all__ = ["cpu_times", "environment", "markdown", "refresh"]

import gc
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def cpu_times(
    runs: Mapping[str, Callable[[], Any]], repeats: int, least: float = 0.1
) -> dict[str, list[float]]:
    """Seconds of process CPU time of each run, A B C A B C, so that slow minutes hit all alike.

    A run shorter than ``least`` seconds is called several times in a row and divided; garbage is
    collected before, so that nobody pays for the one before it.
    """
    found: dict[str, list[float]] = {name: [] for name in runs}
    calls = dict.fromkeys(runs, 1)
    for _ in range(repeats):
        for name, run in runs.items():
            gc.collect()
            start = time.process_time()
            for _ in range(calls[name]):
                run()
            spent = (time.process_time() - start) / calls[name]
            found[name].append(spent)
            calls[name] = max(calls[name], min(100, round(least / max(spent, 1e-6))))
    return found


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others stand right."""
    rule = [":--"] + ["--:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def environment(packages: Sequence[str]) -> str:
    """``torch 2.13.0, …, Python 3.11.7, Linux x86_64, one CPU thread``, of what is installed."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    found += [f"Python {platform.python_version()}", f"{platform.system()} {platform.machine()}"]
    return ", ".join([*found, "one CPU thread"])


def refresh(page: Path, name: str, text: str) -> None:
    """Put the text between ``<!-- name:begin -->`` and ``<!-- name:end -->`` of the page."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before = page.read_text(encoding="utf-8")
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    after, count = re.subn(pattern, lambda _: f"{begin}\n{text}\n{end}", before, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} must hold {begin} … {end} once; it does {count} times")
    page.write_text(after, encoding="utf-8")
