"""Measure all converted estimators and write the tables of docs/convert.md: takes minutes.

python docs/make_parity.py
"""

__all__ = ["covered", "not_covered", "tables"]

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "convert"))

from sklearn.utils import all_estimators  # noqa: E402 (the suite lies beside the tests)
from suite import DATA, Case, agrees, all_cases  # noqa: E402

from manumatic.convert.registry import convertible, why_not  # noqa: E402

Figures = dict[str, dict[str, float]]  # estimator → kind of task → the largest difference


def figures() -> tuple[Figures, Figures]:
    """In float64 and float32, over all cases and data sets."""
    double: Figures = {}
    single: Figures = {}
    for cases in all_cases().values():
        for case in cases:
            name = type(case.estimator).__name__
            for kind in case.kinds:
                for data in DATA[kind]:
                    one, other = _measured(case, kind, data)
                    for found, value in ((double, one), (single, other)):
                        kinds = found.setdefault(name, {})
                        kinds[kind] = max(kinds.get(kind, 0.0), value)
    return double, single


def _measured(case: Case, kind: str, data: str) -> tuple[float, float]:
    found, rough, _ = agrees(case, kind, data)
    return found.largest, max(
        (one.largest for one in rough.differences if one.method != "predict_log_proba"),
        default=0.0,
    )


def covered() -> list[str]:
    """scikit-learn's estimators that can be converted."""
    known = {name.partition(".")[2] for name in convertible()}
    return [name for name, _ in all_estimators() if name in known]


def not_covered() -> dict[str, str]:
    """The others, and why."""
    known = set(covered())
    return {name: why_not(kind) for name, kind in all_estimators() if name not in known}


def tables() -> str:
    """All of it as Markdown."""
    double, single = figures()
    rows = [
        f"**{len(covered())} of scikit-learn's {len(all_estimators())} estimators**, each on three "
        "data sets a task; the largest difference over all methods and rows, relative to 1 or the "
        "value, whichever is larger. Labels in float64 are always the same; the column of float32 "
        "holds the share of labels that differ, where that is the larger number.",
        "",
        "| Estimator | Tasks, and the largest difference in float64 | in float32 |",
        "| :-- | :-- | --: |",
    ]
    for name in sorted(double):
        told = ", ".join(f"{kind} {value:.0e}" for kind, value in double[name].items())
        rows.append(f"| {name} | {told} | {max(single[name].values()):.0e} |")
    rows += ["", "| Not covered | Why |", "| :-- | :-- |"]
    rows += [f"| {name} | {why} |" for name, why in not_covered().items()]
    return "\n".join(rows)


if __name__ == "__main__":
    page = HERE / "convert.md"
    text = page.read_text(encoding="utf-8")
    begin, end = "<!-- parity:begin -->", "<!-- parity:end -->"
    block = f"{begin}\n{tables()}\n{end}"
    page.write_text(
        re.sub(f"{begin}.*{end}", lambda _: block, text, flags=re.DOTALL), encoding="utf-8"
    )
