"""Write docs/findings/ from the pages of ``manumatic explain``: python docs/make_findings.py."""

__all__ = ["pages"]

from pathlib import Path

from manumatic.doctor.handbook import FINDINGS, page_as_markdown

HERE = Path(__file__).parent / "findings"


def pages() -> dict[Path, str]:
    """The text of each file."""
    return {HERE / f"{code}.md": page_as_markdown(code) for code in FINDINGS}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
