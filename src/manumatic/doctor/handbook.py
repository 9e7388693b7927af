"""The pages about findings, in order, as plain text and as Markdown."""

__all__ = ["FINDINGS", "HEADINGS", "contents", "page_as_markdown", "page_as_text"]

import textwrap

from manumatic.doctor.finding import CODES
from manumatic.doctor.pages.findings.data import DATA
from manumatic.doctor.pages.findings.evaluation import EVALUATION
from manumatic.doctor.pages.findings.loop import LOOP
from manumatic.doctor.pages.findings.model import MODEL
from manumatic.doctor.pages.findings.optimizer import OPTIMIZER
from manumatic.doctor.pages.findings.page import FindingPage
from manumatic.doctor.pages.findings.script import SCRIPT

FINDINGS: dict[str, FindingPage] = dict(
    sorted((SCRIPT | DATA | MODEL | OPTIMIZER | LOOP | EVALUATION).items())
)
HEADINGS = {
    "seen": "How the doctor sees it",
    "automatic": "What the automatic gear does",
    "fix": "How to fix it",
    "ignoring": "When to ignore it",
    "code": "The trap and the cure",
}
CODES_OF = ("fix", "code")  # these are code, the others words
WIDTH = 92


def contents() -> str:
    """All codes with severity and title, a line each.

    Examples
    --------
    >>> print(contents().splitlines()[2])
      MM001  tip    a name that is gone or deprecated
    """
    lines = [f"  {code}  {severity:<5}  {title}" for code, (severity, title) in CODES.items()]
    said = 'An issue spoils results; a tip may be what you want. explain("MM201") says more.'
    return "\n".join(["What the doctor looks for", "", *lines, "", said])


def page_as_text(code: str) -> str:
    """The page of a code for a terminal, at most 92 columns beside its program."""
    severity, title = CODES[code]
    parts = [f"{code} {severity}: {title}", _wrapped(FINDINGS[code].meaning)]
    for name, text in _sections(code).items():
        part = text.strip() if name in CODES_OF else _wrapped(text, WIDTH - 2)
        indent = "    " if name in CODES_OF else "  "
        parts.append(f"{HEADINGS[name]}\n{textwrap.indent(part, indent)}")
    return "\n\n".join(parts)


def page_as_markdown(code: str) -> str:
    """The page of a code as a file in docs/findings."""
    severity, title = CODES[code]
    parts = [f"# {code}: {title}", f"*{severity}* · `manumatic explain {code}`"]
    parts.append(_wrapped(FINDINGS[code].meaning, 120))
    for name, text in _sections(code).items():
        part = f"```python\n{text.strip()}\n```" if name in CODES_OF else _wrapped(text, 120)
        parts.append(f"## {HEADINGS[name]}\n\n{part}")
    return "\n\n".join(parts) + "\n\n[All findings](../doctor.md)\n"


def _sections(code: str) -> dict[str, str]:
    page = FINDINGS[code]._asdict()
    everywhere, here = f'`mm.ignore("{code}")`', f'`watch=mm.Watch(ignore=["{code}"])`'
    page["ignoring"] += f"\n\n{everywhere} mutes it everywhere, {here} in one estimator."
    return {name: page[name] for name in HEADINGS}


def _wrapped(text: str, width: int = WIDTH) -> str:
    parts = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    wrapped = (
        textwrap.fill(part, width, break_long_words=False, break_on_hyphens=False) for part in parts
    )
    return "\n\n".join(wrapped)
