"""CPU time of ``fit`` and ``predict`` against the same training by hand and by the peers.

    python benchmarks/loop.py                    # measure everything, minutes
    python benchmarks/loop.py --quick            # does it run? the numbers mean nothing
    python benchmarks/loop.py --write            # measure, and refresh docs/benchmarks.md
    python benchmarks/loop.py --profile digits   # where manumatic's own time goes

Steps are counted in a warm-up run, and the losses at the end stand beside the times, so that nobody
is fast by learning less. Imports are not counted. The best loop written by hand is 1.
"""

__all__ = ["main"]

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts its threads
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["KERAS_BACKEND"] = "torch"

import argparse
import cProfile
import json
import pstats
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fits import CASES, FITS, HAND, Case, Fitted, manumatic_net, network
from table import cpu_times, environment, markdown, refresh
from torch.optim.optimizer import register_optimizer_step_post_hook

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PACKAGES = ("manumatic", "torch", "scikit-learn", "skorch", "lightning", "keras")
Times = dict[str, list[float]]


# --- fit ---------------------------------------------------------------------------------------


def prepare(case: Case, names: Sequence[str]) -> tuple[dict[str, Callable[[], Fitted]], list[str]]:
    """What can run this case, and notes on what cannot."""
    runs, skipped = {}, []
    for name in names:
        try:
            run = FITS[name](case)
        except ImportError as error:
            skipped.append(f"{name} skipped: {error}")
            continue
        if run is not None:
            runs[name] = run
    return runs, skipped


def check(case: Case, run: Callable[[], Fitted]) -> float:
    """One run to warm up: its steps are counted; returns the loss at its end."""
    counted: list[Any] = []
    hook = register_optimizer_step_post_hook(lambda *_: counted.append(None))
    try:
        fitted = run()
    finally:
        hook.remove()
    steps = len(counted) if fitted.steps is None else fitted.steps
    if steps != case.steps:
        raise RuntimeError(f"{case.name}: {steps} steps of the optimizer, not {case.steps}")
    return case.final_loss(fitted.outputs())


def measure_fits(cases: Sequence[Case], names: Sequence[str], repeats: int) -> dict[str, Any]:
    """Times and final losses by case and name, and the notes."""
    found: dict[str, Any] = {"cases": {}, "skipped": []}
    for case in cases:
        print(f"{case.name}: {case.steps} steps", file=sys.stderr)
        runs, skipped = prepare(case, names)
        losses = {name: check(case, run) for name, run in runs.items()}
        found["cases"][case.name] = summary(cpu_times(runs, repeats), HAND, losses)
        found["skipped"] = skipped
    return found


def summary(times: Times, reference: Sequence[str], losses: dict[str, float]) -> dict[str, Any]:
    """Median seconds, and the median over the rounds of the ratio to the best of the reference."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    round_means = np.mean([times[name] for name in reference], axis=0)
    best = min(reference, key=lambda name: np.median(times[name] / round_means))
    rounds = {name: np.divide(values, times[best]) for name, values in times.items()}
    return {
        name: {
            "seconds": medians[name],
            "ratio": float(np.median(rounds[name])),
            "loss": losses.get(name),
            "times": times[name],
        }
        for name in times
    }


# --- predict, and tables with columns ----------------------------------------------------------


def measure_predict(rows: int, repeats: int) -> dict[str, Any]:
    """Labels of many rows, against the network's outputs alone, chunk by chunk."""
    case = next(case for case in CASES.values() if case.name.startswith("20,000"))
    X = np.random.default_rng(1).standard_normal((rows, case.X.shape[1]), dtype=np.float32)
    net = manumatic_net(replace(case, epochs=1)).fit(case.X, case.y)
    model, chunk = network(case.widths), 2**20 // X.shape[1]

    def raw() -> np.ndarray:
        with torch.inference_mode():
            found = [model(part) for part in torch.from_numpy(X).split(chunk)]
        return torch.cat(found).numpy()

    runs = {"network called by hand": raw, "manumatic": lambda: net.predict(X)}
    for run in runs.values():
        run()
    return summary(cpu_times(runs, repeats), ["network called by hand"], {})


def measure_frame(repeats: int, short: bool) -> dict[str, Any]:
    """fit and predict with a DataFrame against the same numbers as an array."""
    case = next(case for case in CASES.values() if case.name.startswith("20,000"))
    case = replace(case, epochs=1) if short else case
    frame = pd.DataFrame(case.X, columns=[f"column {i}" for i in range(case.X.shape[1])])
    runs = {}
    for title, data in (("as it is", {}), ("preprocessed", {"preprocess": "auto"})):
        for kind, rows in (("array", case.X), ("DataFrame", frame)):

            def run(rows: Any = rows, data: dict[str, Any] = data) -> np.ndarray:
                return manumatic_net(case, **data).fit(rows, case.y).predict(rows)

            runs[f"{kind}, {title}"] = run
    for one in runs.values():
        one()
    times = cpu_times(runs, repeats)
    return {
        title: summary(
            {kind: times[f"{kind}, {title}"] for kind in ("array", "DataFrame")}, ["array"], {}
        )
        for title in ("as it is", "preprocessed")
    }


# --- the goals ---------------------------------------------------------------------------------


def goals(found: dict[str, Any]) -> list[tuple[str, float, str, bool]]:
    """What the library promises: (where, value, promise, kept)."""
    rows = []
    for name, results in found["cases"].items():
        own = results["manumatic"]["ratio"]
        rows.append((name, own, "≤ 1.05 × best loop by hand", own <= 1.05))
        for peer in ("skorch", "Lightning"):
            if peer in results and not name.startswith(("28", "20")):
                gain = results[peer]["ratio"] / own
                rows.append((name, gain, f"≥ 3 × faster than {peer}", gain >= 3))
        if "scikit-learn MLP" in results:
            share = own / results["scikit-learn MLP"]["ratio"]
            rows.append((name, share, "≤ 1 × scikit-learn's MLP", share <= 1))
    share = found["predict"]["manumatic"]["ratio"]
    rows.append(("predict", share, "≤ 1.5 × the network called by hand", share <= 1.5))
    for title, results in found["frame"].items():
        share = results["DataFrame"]["ratio"]
        rows.append((f"DataFrame, {title}", share, "≤ 1.2 × array", share <= 1.2))
    return rows


# --- printing ----------------------------------------------------------------------------------


def report(found: dict[str, Any]) -> str:
    """All tables as Markdown."""
    by_case = found["cases"]
    names = [name for name in FITS if any(name in results for results in by_case.values())]

    def cells(name: str, key: str, form: str) -> list[str]:
        shown = [results.get(name, {}).get(key) for results in by_case.values()]
        return [name, *("–" if value is None else format(value, form) for value in shown)]

    bests = [min(results[name]["seconds"] for name in HAND) for results in by_case.values()]
    ratios = [cells(name, "ratio", ".2f") for name in names]
    ratios.append(["the 1 in milliseconds", *(f"{1e3 * best:.0f}" for best in bests)])
    speed = markdown(["CPU time of fit", *by_case], ratios)
    losses = [cells(name, "loss", ".4f") for name in names]
    loss = markdown(["Training loss at the end", *by_case], losses)
    shares = [["predict, 50,000 rows", f"{found['predict']['manumatic']['ratio']:.2f}"]]
    for title, results in found["frame"].items():
        shares.append([f"fit and predict, {title}", f"{results['DataFrame']['ratio']:.2f}"])
    rest = markdown(["CPU time of", "network by hand / array = 1"], shares)
    kept = [
        [where, f"{value:.2f}", promise, "yes" if good else "**no**"]
        for where, value, promise, good in goals(found)
    ]
    promises = markdown(["Goal for", "measured", "wanted", "kept"], kept)
    notes = "\n".join(f"- {note}" for note in found["skipped"])
    parts = [environment(PACKAGES) + ".", speed, loss, rest, promises, notes]
    return "\n\n".join(part for part in parts if part)


def profile(case: Case) -> None:
    """Where the time of manumatic's fit goes; functions sorted by their own time."""
    run = FITS["manumatic"](case)
    assert run is not None
    run()
    profiler = cProfile.Profile()
    profiler.runcall(run)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="refresh docs/benchmarks.md")
    parser.add_argument("--only", help="names of contestants, comma-separated")
    parser.add_argument("--case", default="", help="cases whose name holds this")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--profile", metavar="CASE", help="profile manumatic on a case and stop")
    options = parser.parse_args(arguments)
    cases = [case for name, case in CASES.items() if (options.profile or options.case) in name]
    if options.profile:
        profile(cases[0])
        return
    names = list(FITS)
    if options.only:
        wanted = [part.strip() for part in options.only.split(",")]
        names = [name for name in FITS if any(part in name for part in [*wanted, "by hand"])]
    repeats = options.repeats
    if options.quick:
        cases, repeats = [replace(case, epochs=1) for case in cases], 1
    found = measure_fits(cases, names, repeats)
    found["predict"] = measure_predict(2_000 if options.quick else 50_000, repeats)
    found["frame"] = measure_frame(repeats, options.quick)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print(report(found))
    if options.write:
        refresh(PAGE, "loop", report(found))


if __name__ == "__main__":
    main()
