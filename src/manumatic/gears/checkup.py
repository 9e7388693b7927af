"""The doctor's three moments: before the first step, while driving, and after the last."""

__all__ = ["after", "before", "driving"]

from collections.abc import Iterator
from typing import Any

from manumatic.doctor.finding import Finding


def before(training: Any) -> Iterator[Finding]:
    yield from ()


def driving(training: Any) -> Iterator[Finding]:
    yield from ()


def after(training: Any, ended: str) -> Iterator[Finding]:
    yield from ()
