"""CPU time of a grid search: five folds, sixteen learning rates, eighty fits.

    python benchmarks/search.py                  # measure everything, minutes
    python benchmarks/search.py --quick          # does it run? the numbers mean nothing
    python benchmarks/search.py --write          # measure, and refresh docs/benchmarks.md

Everybody searches the same rates on the same folds with the same network, batches and epochs; the
best score stands beside the times. Nothing is refitted. Splitting, scoring and what a library
prepares are counted, imports are not. A second table shows what a model costs by the number that
are trained together.
"""

__all__ = ["main"]

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts its threads
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fits import CASES, Case, manumatic_net, network
from sklearn import model_selection
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from table import cpu_times, environment, markdown, refresh

from manumatic.model_selection import GridSearchCV
from manumatic.model_selection.stack import train_together

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PACKAGES = ("manumatic", "torch", "scikit-learn", "skorch")
CHOSEN = ("506×13 full batch", "506×13 batch 32", "digits batch 64", "20,000×30 batch 256")
OURS, ALONE, BY_HAND = "manumatic", "manumatic, one after another", "torch.optim by hand"
SKORCH, MLP = "skorch", "scikit-learn MLP"
COUNTS = (1, 5, 20, 80, 320)
Search = Callable[[], float]  # the best mean score

# --- who searches ------------------------------------------------------------------------------


def folds(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """Five folds, the same for all."""
    kind = model_selection.StratifiedKFold if case.classes else model_selection.KFold
    return list(kind(5, shuffle=True, random_state=0).split(case.X, case.y))


def grid_search(
    kind: type, net: Any, name: str, case: Case, rates: Sequence[float], y: np.ndarray | None = None
) -> Search:
    """A search of scikit-learn's kind over the rates."""
    scoring = "accuracy" if case.classes else "r2"

    def run() -> float:
        search = kind(net, {name: list(rates)}, scoring=scoring, cv=folds(case), refit=False)
        return float(search.fit(case.X, case.y if y is None else y).best_score_)

    return run


def ours(case: Case, rates: Sequence[float]) -> Search:
    """This library's search."""
    return grid_search(GridSearchCV, manumatic_net(case), "optimizer__lr", case, rates)


def alone(case: Case, rates: Sequence[float]) -> Search:
    """scikit-learn's search over this library's estimator."""
    kind = model_selection.GridSearchCV
    return grid_search(kind, manumatic_net(case), "optimizer__lr", case, rates)


def by_hand(case: Case, rates: Sequence[float]) -> Search:
    """Two loops around a training loop: tensors in memory, batches by index, torch's Adam."""

    def fit(X: torch.Tensor, y: torch.Tensor, lr: float) -> torch.nn.Module:
        model, loss_fn = case.network(), case.loss()
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        for _ in range(case.epochs):
            for rows in torch.randperm(len(X)).split(case.batch):
                optimizer.zero_grad()
                loss_fn(model(X[rows]), y[rows]).backward()
                optimizer.step()
        return model

    def score(model: torch.nn.Module, X: torch.Tensor, y: np.ndarray) -> float:
        with torch.inference_mode():
            found = model(X)
        if case.classes:
            return float(accuracy_score(y, found.argmax(1).numpy()))
        return float(r2_score(y, found.numpy()))

    def run() -> float:
        X, y = case.tensors()
        means = []
        for lr in rates:
            scores = [
                score(fit(X[train], y[train], lr), X[test], case.y[test])
                for train, test in folds(case)
            ]
            means.append(statistics.mean(scores))
        return max(means)

    return run


def skorch(case: Case, rates: Sequence[float]) -> Search:
    """scikit-learn's search over skorch, all that costs switched off."""
    from skorch import NeuralNetClassifier, NeuralNetRegressor

    kind = NeuralNetClassifier if case.classes else NeuralNetRegressor
    net = kind(
        network,
        module__widths=case.widths,
        criterion=type(case.loss()),
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        batch_size=case.batch,
        max_epochs=case.epochs,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks="disable",
        verbose=0,
    )
    y = case.y if case.classes else case.y[:, None]
    return grid_search(model_selection.GridSearchCV, net, "lr", case, rates, y)


def mlp(case: Case, rates: Sequence[float]) -> Search:
    """scikit-learn's search over scikit-learn's network."""
    assert case.widths is not None
    kind = MLPClassifier if case.classes else MLPRegressor
    net = kind(
        hidden_layer_sizes=case.widths[1:-1],
        alpha=0.0,
        batch_size=case.batch,
        max_iter=case.epochs,
        tol=0.0,
        n_iter_no_change=case.epochs + 1,
        random_state=0,
    )
    return grid_search(model_selection.GridSearchCV, net, "learning_rate_init", case, rates)


SEARCHES = {OURS: ours, ALONE: alone, BY_HAND: by_hand, SKORCH: skorch, MLP: mlp}


# --- measuring ---------------------------------------------------------------------------------


def noted(name: str, search: Search, scores: dict[str, float]) -> None:
    """Run a search and write its best score down."""
    scores[name] = search()


def measure(
    cases: Sequence[Case], names: Sequence[str], rates: Sequence[float], repeats: int
) -> dict[str, Any]:
    """Median seconds and best score by case and name."""
    found: dict[str, Any] = {}
    for case in cases:
        print(case.name, file=sys.stderr)
        scores: dict[str, float] = {}
        runs = {}
        for name in names:
            try:
                search = SEARCHES[name](case, rates)
                SEARCHES[name](replace(case, epochs=1), rates[:1])()  # warm
            except ImportError as error:
                print(f"{name} skipped: {error}", file=sys.stderr)
                continue

            runs[name] = partial(noted, name, search, scores)
        times = cpu_times(runs, repeats, least=0)
        found[case.name] = {
            name: {"seconds": statistics.median(times[name]), "score": scores[name]}
            for name in runs
        }
    return found


def measure_counts(case: Case, counts: Sequence[int], repeats: int) -> dict[int, dict[str, float]]:
    """Milliseconds a model, together and one after another, by how many there are."""
    found = {}
    for count in counts:
        nets = [manumatic_net(case).set_params(random_state=seed) for seed in range(count)]

        def together(nets: list[Any] = nets) -> None:
            train_together([net.manual(case.X, case.y) for net in nets])

        def one_by_one(nets: list[Any] = nets[:20]) -> None:
            for net in nets:
                net.manual(case.X, case.y).run()

        runs = {"together": together, "one after another": one_by_one}
        times = cpu_times(runs, repeats, least=0)
        sizes = {"together": count, "one after another": min(count, 20)}
        found[count] = {name: 1e3 * statistics.median(times[name]) / sizes[name] for name in times}
    return found


def goals(found: dict[str, Any]) -> list[tuple[str, str, float, float]]:
    """What the library promises: (case, who else, measured times faster, wanted)."""
    wanted = {ALONE: 2.0, BY_HAND: 3.5, MLP: 1.0}
    skorch_wanted = {"506×13 full batch": 25.0, "506×13 batch 32": 25.0, "digits batch 64": 8.0}
    rows = []
    for case, results in found.items():
        own = results[OURS]["seconds"]
        for name, least in (wanted | {SKORCH: skorch_wanted.get(case, 1.0)}).items():
            if name in results:
                rows.append((case, name, results[name]["seconds"] / own, least))
    return rows


def report(found: dict[str, Any]) -> str:
    """All tables as Markdown."""
    searches, counts = found["searches"], found["counts"]
    names = [name for name in SEARCHES if all(name in results for results in searches.values())]

    def row(name: str, text: Callable[[dict[str, Any]], str]) -> list[str]:
        return [name, *(text(results) for results in searches.values())]

    times = [
        row(name, lambda r, name=name: f"{r[name]['seconds'] / r[OURS]['seconds']:.1f}")
        for name in names
    ]
    times.append(row("the 1 in seconds", lambda r: f"{r[OURS]['seconds']:.1f}"))
    scores = [row(name, lambda r, name=name: f"{r[name]['score']:.4f}") for name in names]
    curve = [
        [name, *(f"{cell[name]:.1f}" for cell in counts.values())]
        for name in ("together", "one after another")
    ]
    kept = [
        [case, name, f"{value:.1f} ×", f"≥ {least:g} ×", "yes" if value >= least else "**no**"]
        for case, name, value, least in goals(searches)
    ]
    parts = [
        environment(PACKAGES) + ".",
        markdown(["CPU time of 80 fits", *searches], times),
        markdown(["Best mean score", *searches], scores),
        markdown(["ms a model, digits", *(f"{count} models" for count in counts)], curve),
        markdown(["Goal for", "faster than", "measured", "wanted", "kept"], kept),
    ]
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="refresh docs/benchmarks.md")
    parser.add_argument("--only", help="names of contestants, comma-separated")
    parser.add_argument("--case", default="", help="cases whose name holds this")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    cases = [CASES[name] for name in CHOSEN if options.case in name]
    rates, counts, repeats = np.logspace(-4, -1, 16).tolist(), COUNTS, options.repeats
    if options.quick:
        cases, rates, counts = [replace(case, epochs=1) for case in cases], rates[::5], COUNTS[:2]
        repeats = 1
    names = list(SEARCHES)
    if options.only:
        wanted = options.only.split(",")
        names = [name for name in names if name == OURS or any(part in name for part in wanted)]
    digits = replace(CASES["digits batch 64"], epochs=1 if options.quick else 20)
    found = {
        "searches": measure(cases, names, rates, repeats),
        "counts": measure_counts(digits, counts, repeats),
    }
    print(json.dumps(found, indent=1) if options.json else report(found))
    if options.write:
        refresh(PAGE, "search", report(found))


if __name__ == "__main__":
    main()
