"""CPU time of K trainings as one stack against the same trainings one after another.

    python benchmarks/stack.py             # measure, about ten minutes
    python benchmarks/stack.py --quick     # does it run? the numbers mean nothing
    python benchmarks/stack.py --write     # measure, and refresh docs/benchmarks.md

The K differ in learning rate, fold and seed, as in a search. What is timed is the training, from
assembled components to finished books; building the K networks costs the same on both sides. A
third table shows by how much a process grows while it trains them.
"""

__all__ = ["main"]

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts its threads
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import gc
import multiprocessing
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fits import CASES, Case, manumatic_net, network, viewed
from table import environment, markdown, refresh

import manumatic as mm
from manumatic.model_selection.stack import train_together

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SIZES = (1, 5, 20, 80, 320)
NAMES = ("506×13 full batch", "506×13 batch 32", "digits batch 64", "20,000×30 batch 256")
ALONE, BY_HAND, FUSED = "manumatic, alone", "torch.optim by hand", "the same, fused"


def fold(case: Case, member: int) -> tuple[np.ndarray, np.ndarray]:
    """Four fifths of the rows."""
    rows = np.arange(len(case.X)) % 5 != member % 5
    return case.X[rows], case.y[rows]


def rate(member: int) -> float:
    """One of sixteen learning rates from 1e-4 to 1e-2."""
    return float(10 ** (-4 + 2 * (member // 5 % 16) / 15))


def training(case: Case, member: int) -> Any:
    """One of the K, assembled."""
    net = manumatic_net(case).set_params(random_state=member)
    net.set_params(optimizer=mm.Optimizer("adam", lr=rate(member)))
    return net.manual(*fold(case, member))


def by_hand(case: Case, member: int, **options: Any) -> torch.nn.Module:
    """The same training, written out."""
    X, y = replace(case, **dict(zip("Xy", fold(case, member), strict=True))).tensors()
    model, loss_fn = network(case.widths), case.loss()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate(member), **options)
    for _ in range(case.epochs):
        for rows, target in viewed(X, y, min(case.batch, len(X))):
            optimizer.zero_grad()
            loss_fn(model(rows), target).backward()
            optimizer.step()
    return model


# --- measuring ---------------------------------------------------------------------------------


def one_by_one(trainings: Sequence[Any]) -> None:
    """Each training's own loop."""
    for one in trainings:
        one.run()


def contestants(case: Case, sizes: Sequence[int], few: int) -> dict[str, Callable[[], float]]:
    """Seconds of CPU time a model, by who trains how many."""

    def timed(count: int, run: Callable[[Any], Any], ready: Callable[[int], Any]) -> float:
        members = [ready(member) for member in range(count)]
        gc.collect()
        start = time.process_time()
        run(members)
        return (time.process_time() - start) / count

    def ours(member: int) -> Any:
        return training(case, member)

    def hand(fused: bool, members: Sequence[int]) -> None:
        for member in members:
            by_hand(case, member, fused=fused)

    alone = {
        ALONE: partial(timed, few, one_by_one, ours),
        BY_HAND: partial(timed, few, partial(hand, False), int),
        FUSED: partial(timed, few, partial(hand, True), int),
    }
    return alone | {str(size): partial(timed, size, train_together, ours) for size in sizes}


def measure(case: Case, sizes: Sequence[int], repeats: int, few: int) -> dict[str, list[float]]:
    """Times of each, A B C A B C, so that slow minutes hit all alike."""
    print(case.name, file=sys.stderr)
    runs = contestants(case, sizes, few)
    for name in (ALONE, BY_HAND, FUSED, str(min(sizes[-1], 20))):  # warm up
        if name in runs:
            runs[name]()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(run())
    return times


def gain(times: dict[str, list[float]], over: str, name: str) -> float:
    """How many times faster, the median over the rounds."""
    return statistics.median(np.divide(times[over], times[name]).tolist())


def growth(case: Case, size: int) -> float:
    """MiB by which the process grows beyond its K assembled trainings when it trains them."""
    trainings = [training(case, member) for member in range(size)]
    before = peak()
    train_together(trainings)
    return peak() - before


def peak() -> float:
    """The most MiB that this process has held, as Linux tells."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def measure_memory(case: Case, sizes: Sequence[int]) -> list[float]:
    """The same in a fresh process each, which has no peak behind it."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        return list(pool.map(growth, [replace(case, epochs=1)] * len(sizes), sizes))


# --- printing ----------------------------------------------------------------------------------


def report(
    found: dict[str, dict[str, list[float]]], memory: list[float], sizes: Sequence[int]
) -> str:
    """The tables as Markdown."""

    def row(title: str, cell: Callable[[dict[str, list[float]]], str]) -> list[str]:
        return [title, *(cell(times) for times in found.values())]

    rows = [
        row(f"{name}", lambda times, name=name: f"{1e3 * statistics.median(times[name]):.1f}")
        for name in (ALONE, BY_HAND, FUSED)
    ]
    rows += [
        row(
            f"a stack of {size}" if size > 1 else "`train_together` of 1",
            lambda times, size=size: f"{1e3 * statistics.median(times[str(size)]):.1f}",
        )
        for size in sizes
    ]
    costs = markdown(["CPU milliseconds a model", *found], rows)
    gains = [
        row(
            f"K = {size}",
            lambda times, size=size: " · ".join(
                f"{gain(times, over, str(size)):.1f}" for over in (ALONE, BY_HAND, FUSED)
            ),
        )
        for size in sizes
    ]
    header = ["Times faster than alone · by hand · fused by hand", *found]
    grown = [["digits batch 64", *(f"{value:.0f}" for value in memory)]]
    parts = [
        environment(("manumatic", "torch")) + ".",
        costs,
        markdown(header, gains),
        markdown(["MiB while they train", *(f"K = {size}" for size in sizes)], grown),
    ]
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--write", action="store_true", help="refresh docs/benchmarks.md")
    parser.add_argument("--case", default="", help="cases whose name holds this")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    cases = [CASES[name] for name in NAMES if options.case in name]
    sizes, repeats, few = SIZES, options.repeats, 5
    if options.quick:
        cases, sizes, repeats, few = [replace(c, epochs=1) for c in cases], (1, 5, 20), 1, 1
    found = {case.name: measure(case, sizes, repeats, few) for case in cases}
    text = report(found, measure_memory(CASES["digits batch 64"], sizes), sizes)
    print(text)
    if options.write:
        refresh(PAGE, "stack", text)


if __name__ == "__main__":
    main()
