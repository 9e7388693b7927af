"""A comparison as plain data, for JSON, text and the report."""

__all__ = ["collect_facts"]

import math
import platform
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

from manumatic.compare.race import Row
from manumatic.compare.verdict import AID
from manumatic.doctor.finding import facts_of
from manumatic.show.text import decimals

if TYPE_CHECKING:
    from manumatic.compare.contest import Comparison

PACKAGES = ("manumatic", "numpy", "pandas", "scikit-learn", "torch")


def collect_facts(comparison: "Comparison") -> dict[str, Any]:
    """Everything that was found, as strings, numbers, lists and dicts (no NaN), ready for JSON."""
    contest, verdict = comparison.contest, comparison.verdict
    problem, metric = contest.problem, contest.metric
    done = [row for row in comparison.rows if row.ok]
    return {
        "schema": 1,
        "kind": "comparison",
        "data": {
            "summary": problem.describe(),
            "rows": len(problem.y),
            "columns": problem.columns(),
            "target": problem.target,
            "task": "classification" if problem.is_classification else "regression",
            "why": problem.why,
            "classes": None
            if problem.classes is None
            else [str(label) for label in problem.classes],
        },
        "metric": {
            "name": metric.name,
            "label": metric.label,
            "lower_is_better": metric.sign < 0,
            "reason": metric.reason,
            "decimals": decimals(done[0].sd) if done else 2,
        },
        "folds": {"number": len(contest.folds), "kind": contest.folds.kind, "seed": contest.seed},
        "verdict": {
            "gear": verdict.gear,
            "model": verdict.model,
            "rule": verdict.rule,
            "sentences": list(verdict.sentences),
            "aid": AID,
        },
        "findings": facts_of(comparison.findings),
        "rows": [_row(row) for row in comparison.rows],
        "missed": contest.missed,
        "interrupted": comparison.interrupted,
        "notes": contest.notes,
        "seconds": round(contest.seconds, 3),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "gear": row.gear,
        "family": row.candidate.family,
        "scores": row.scores,
        "mean": _number(row.mean),
        "sd": _number(row.sd),
        "difference": _number(row.difference),
        "p": _number(row.p),
        "verdict": row.verdict,
        "fit_seconds": _number(row.seconds, 4),
        "cpu_seconds": _number(median(row.cpu_seconds), 4) if row.cpu_seconds else None,
        "together": row.together,
        "predict_us": _number(row.microseconds, 4),
        "parameters": row.parameters,
        "notes": row.notes,
        "error": row.error or None,
        "training": row.trace or None,
    }


def _number(value: float | None, digits: int = 10) -> float | None:
    """JSON knows no NaN, and a time needs no 17 digits."""
    known = value is not None and math.isfinite(value)
    return float(f"{value:.{digits}g}") if known else None
