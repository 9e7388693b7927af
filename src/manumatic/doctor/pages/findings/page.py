"""What a page about a finding consists of."""

__all__ = ["FindingPage"]

from typing import NamedTuple


class FindingPage(NamedTuple):
    """The title and severity stand in ``CODES``; paragraphs are parted by blank lines."""

    meaning: str
    seen: str
    automatic: str
    fix: str
    ignoring: str
    code: str
