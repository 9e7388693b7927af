"""What each check of the doctor says and costs, and what all of them cost a fit.

    python benchmarks/doctor.py --write

CPU time on one thread.  A check is timed on the mistake that it finds, so that composing the
sentence is counted, too.  In a fit all checks of its three moments run; their share of the CPU time
is measured around their calls.
"""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from doctor_cases import MISTAKES, Look
from fits import CASES, manumatic_net
from table import environment, markdown, refresh

from manumatic.doctor.finding import CODES
from manumatic.gears.checkup import Checkup

PAGE = Path(__file__).resolve().parents[1] / "docs" / "doctor.md"
PACKAGES = ("manumatic", "torch", "scikit-learn")
ROUNDS = 5


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds > 0.01 else f"{seconds * 1e6:,.0f} µs"


def checks() -> str:
    """A line for each code."""
    rows = []
    for code, (how, look) in MISTAKES.items():
        said = {finding.code: finding.message for finding in look()}
        assert code in said, f"{code} is not found: {said}"
        severity, title = CODES[code]
        said_here = said[code].replace("|", "\\|").replace("\n", " ")
        told = f"**{title}.** {how}: “{said_here}”"
        rows.append([f"[{code}](findings/{code}.md)", severity, told, duration(cost(look))])
    assert set(MISTAKES) == set(CODES), set(CODES) - set(MISTAKES)
    head = "| code | | what it is, how it was triggered, what the doctor said | cost |"
    return "\n".join([head, "|---|---|---|--:|", *(f"| {' | '.join(row)} |" for row in rows)])


def cost(look: Look) -> float:
    times = []
    for _ in range(15):
        begin = time.process_time()
        list(look())
        times.append(time.process_time() - begin)
    return median(times)


def share() -> str:
    """What the checks take of a fit of a second or more."""
    rows = []
    for short in CASES.values():
        longer = math.ceil(1.2 / fit(short)[0])
        case = replace(short, epochs=short.epochs * longer)
        found = [fit(case) for _ in range(ROUNDS)]
        whole, spent = median(f[0] for f in found), median(f[1] for f in found)
        part = median(f[1] / f[0] for f in found)
        rows.append(
            [
                f"{case.name}, {case.epochs} epochs",
                duration(whole),
                duration(spent),
                f"{100 * part:.1f} %",
            ]
        )
    return markdown(["fit", "CPU time", "of it the doctor", "share"], rows)


def fit(case: Any) -> tuple[float, float]:
    """CPU seconds of a fit and of the checks in it."""
    spent = 0.0
    methods = {name: getattr(Checkup, name) for name in ("before", "first_step", "epoch", "after")}

    def timed(method: Any) -> Any:
        def call(*given: Any) -> Iterator[Any]:
            nonlocal spent
            begin = time.process_time()
            found = list(method(*given))
            spent += time.process_time() - begin
            return iter(found)

        return call

    for name, method in methods.items():
        setattr(Checkup, name, timed(method))
    try:
        net = manumatic_net(case)
        begin = time.process_time()
        net.fit(case.X, case.y)
        return time.process_time() - begin, spent
    finally:
        for name, method in methods.items():
            setattr(Checkup, name, method)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="put the tables into docs/doctor.md")
    write = parser.parse_args().write
    np.random.seed(0)
    torch.set_num_threads(1)
    where = f"{environment(PACKAGES)}."
    tables = {"doctor": checks(), "doctor-share": f"{where}\n\n{share()}"}
    for name, table in tables.items():
        print(table, end="\n\n")
        if write:
            refresh(PAGE, name, table)


if __name__ == "__main__":
    main()
