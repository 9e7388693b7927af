"""What is done with each kind of column, and why, in the words of the logbook."""

__all__ = ["DROPPED", "REASONS", "note_kinds"]

from collections.abc import Mapping, Sequence
from typing import Any

from manumatic.errors import DataError
from manumatic.logbook import Logbook
from manumatic.parts.kinds import FAR, MANY, PROSE

# kind of column → what is done with it, and why; in the order of the output columns
REASONS = {
    "numbers": ("scaled by median and quartiles", "missing values: the median, and a flag"),
    "tailed": (
        "scaled by median and quartiles, outliers squeezed",
        f"values more than {FAR} quartile distances from the median",
    ),
    "durations": ("in seconds, scaled", "missing values: the median, and a flag"),
    "pairs": ("as −1 or 1", "two values; missing and unseen ones 0"),
    "categories": ("one-hot", f"fewer than {MANY} different values each; unseen ones all 0"),
    "levels": (
        "as the mean target of each value",
        f"{MANY} or more different values; cross-fitted, so that no row sees its own target",
    ),
    "frequent": (f"one-hot of the {MANY} most frequent values", "and no target to take means of"),
    "dates": ("as calendar and clock", "year to hour, seconds, and where on the circle they are"),
    "text": ("as up to 30 topics", f"{PROSE} or more words a value: TF-IDF and a truncated SVD"),
    "images": ("as up to 30 directions", "images: pixels, and a truncated SVD"),
    "words": ("as numbers of words, in order", "the mixed net reads them as a text"),
    "pixels": ("as pixels", "the mixed net reads them as an image"),
    "constant": ("dropped", "the same value in every row"),
    "missing": ("dropped", "no value in any row"),
    "ids": ("dropped", "an id: it names the row and says nothing about it"),
}
DROPPED = {"constant", "missing", "ids"}


def note_kinds(names: Mapping[str, Sequence[Any]], logbook: Logbook | None) -> None:
    """One row in the logbook for each kind of column; an error when all are dropped."""
    rows = []
    for kind, columns in names.items():
        did, why = REASONS[kind]
        listed = ", ".join(str(name) for name in columns[:4]) + ", …" * (len(columns) > 4)
        rows.append((f"{len(columns)} column{'s' * (len(columns) > 1)} {did}: {listed}", why))
    if set(names) <= DROPPED:
        reasons = "; ".join(f"{did} ({why})" for did, why in rows)
        raise DataError(f"no column is of use for learning: {reasons}")
    if logbook is not None:
        for did, why in rows:
            logbook.note("data", did, why)
