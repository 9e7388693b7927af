"""manumatic without any option against other people's defaults, on small and middling tables.

    python benchmarks/tables.py titanic ames          # some sets, everybody who is installed
    python benchmarks/tables.py --only manumatic      # all sets, one contestant
    python benchmarks/tables.py --write               # what is missing, and docs/benchmarks.md
    python benchmarks/tables.py --folds 15 --only manumatic mlp --write    # cut three times

Five folds, seed 0, one thread; ten more folds are those of the seeds 1 and 2. Each contestant has
a file of results in benchmarks/tables/, one entry a set and fold. What is there is not run again
(``--fresh`` does), so a run may be stopped, and contestants that cannot live in one environment
are run in two.
"""

__all__ = ["main"]

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts its threads
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import logging
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from table import environment, markdown, refresh
from table_peers import CONTESTANTS
from table_sets import BENCH, DEV, MIDDLE, SMALL, load

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
FOLDS = 5
METRIC = {"binary": "AUC", "multiclass": "accuracy", "regression": "R²"}
AGAINST = ["manumatic wins", "better mean on", "surely better / worse"]
PACKAGES = {"sklearn": "scikit-learn"}  # where the registry's name is another
Results = dict[str, dict[str, dict[str, float]]]  # contestant → "set/fold" → figures

# --- running --------------------------------------------------------------------------------------


def folds(y: pd.Series, kind: str, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same for everybody: five of each seed."""
    cut, found = KFold if kind == "regression" else StratifiedKFold, []
    for seed in range(-(-count // FOLDS)):
        found += cut(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(y)), y)
    return found


def measure(
    who: str, X: pd.DataFrame, y: pd.Series, kind: str, fold: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """Score, log-loss, and CPU seconds of fit and predict; all but us get classes as codes."""
    train, test = fold
    truth = y.to_numpy() if kind == "regression" else np.unique(y, return_inverse=True)[1]
    target = y.iloc[train] if who == "manumatic" else truth[train]
    model = CONTESTANTS[who].build(kind)
    start = time.process_time()
    model.fit(X.iloc[train], target)
    fitted = time.process_time()
    predict = model.predict if kind == "regression" else model.predict_proba
    told = np.asarray(predict(X.iloc[test]), dtype=float)
    figures = {"fit": fitted - start, "predict": time.process_time() - fitted}
    if kind == "regression":
        return {"score": float(r2_score(truth[test], told.ravel())), **figures}
    codes = np.arange(told.shape[1])
    told = told / told.sum(axis=1, keepdims=True)  # float32 does not add up to 1
    figures["log_loss"] = float(log_loss(truth[test], told, labels=codes))
    if kind == "binary":
        return {"score": float(roc_auc_score(truth[test], told[:, 1])), **figures}
    return {"score": float(accuracy_score(truth[test], told.argmax(axis=1))), **figures}


def run(sets: Iterable[str], names: Iterable[str], count: int, cache: Path, fresh: bool) -> None:
    """Whatever is not in the cache, set by set."""
    here = [name for name in names if find_spec(CONTESTANTS[name].package)]
    for name in set(names) - set(here):
        print(f"{name}: skipped, {CONTESTANTS[name].package} is not installed", flush=True)
    for table in sets:
        wanted = [(name, i) for name in here for i in range(count)]
        if not fresh:
            wanted = [(name, i) for name, i in wanted if f"{table}/{i}" not in read(cache, name)]
        if not wanted:
            continue
        X, y, kind = load(table)
        cuts = folds(y, kind, count)
        for name, i in wanted:
            try:
                found = measure(name, X, y, kind, cuts[i])
            except Exception as error:  # noqa: BLE001 (a peer may fail in any way: say so)
                print(f"{table}/{i} {name}: {type(error).__name__}: {error}"[:300], flush=True)
                continue
            save(cache, name, f"{table}/{i}", found)
            print(f"{table}/{i} {name}: {found['score']:.4f}, {found['fit']:.2f} s", flush=True)


def read(cache: Path, name: str) -> dict[str, dict[str, float]]:
    """What was measured of a contestant before."""
    path = cache / f"{name}.json"
    return json.loads(path.read_text("utf-8"))["results"] if path.exists() else {}


def save(cache: Path, name: str, key: str, found: dict[str, float]) -> None:
    """One entry more; the file is replaced at once, so that a stop leaves the old one."""
    cache.mkdir(parents=True, exist_ok=True)
    results = {**read(cache, name), key: {k: float(f"{v:.6g}") for k, v in found.items()}}
    package = CONTESTANTS[name].package
    # of the environment only who and which: the rest is the page's
    version = environment([PACKAGES.get(package, package)]).split(", ")[0]
    text = json.dumps({"version": version, "results": dict(sorted(results.items()))}, indent=1)
    new = cache / f"{name}.json.{os.getpid()}"
    new.write_text(text + "\n", "utf-8")
    new.replace(cache / f"{name}.json")


# --- telling --------------------------------------------------------------------------------------


def cells(results: Results, figure: str, sets: Iterable[str], count: int) -> dict[str, Any]:
    """Contestant → set → the figure in each fold, where all folds were run."""
    found: dict[str, Any] = {}
    for name, entries in results.items():
        for table in sets:
            got = [entries.get(f"{table}/{i}", {}).get(figure) for i in range(count)]
            if None not in got:
                found.setdefault(name, {})[table] = np.array(got, dtype=float)
    return found


def ranks(scores: Mapping[str, Any], names: Sequence[str], sets: Iterable[str]) -> np.ndarray:
    """Mean rank of each by the mean score of a set; 1 is best, ties share."""
    each = [rankdata([-scores[name][table].mean() for name in names]) for table in sets]
    return np.mean(each, axis=0)


def wins(scores: Mapping[str, Any], name: str, sets: Iterable[str]) -> float:
    """Share of sets × folds that we win against this one; a tie is half a win."""
    gaps = np.concatenate([scores["manumatic"][table] - scores[name][table] for table in sets])
    return float((gaps > 0).mean() + (gaps == 0).mean() / 2)


def better(scores: Mapping[str, Any], name: str, sets: Iterable[str]) -> int:
    """Sets on which our mean score is higher."""
    means = [(scores["manumatic"][table].mean(), scores[name][table].mean()) for table in sets]
    return sum(ours > theirs for ours, theirs in means)


def told_apart(scores: Mapping[str, Any], name: str, sets: Iterable[str]) -> tuple[int, int]:
    """Sets on which we score higher, and lower, than chance would let us."""
    from manumatic.compare.verdict import LEVEL, paired_test  # not where the peers run

    pairs = [(scores["manumatic"][table], scores[name][table]) for table in sets]
    tests = [paired_test(ours, theirs, ratio=1 / (FOLDS - 1)) for ours, theirs in pairs]
    sure = [test.difference for test in tests if test.p < LEVEL]
    return sum(gap > 0 for gap in sure), sum(gap < 0 for gap in sure)


def report(results: Results, sources: Mapping[str, Any], count: int) -> str:
    """Scores, log-losses, and what they come to."""
    scores = cells(results, "score", sources, count)
    whole = [name for name in CONTESTANTS if name in scores and set(BENCH) <= set(scores[name])]
    whole = whole or [name for name in CONTESTANTS if name in scores]
    shown = [table for table in sources if any(table in scores[name] for name in whole)]
    common = [table for table in shown if all(table in scores[name] for name in whole)]
    labels = [CONTESTANTS[name].label for name in whole]
    parts = [markdown(["Mean score", *labels], _means(scores, whole, shown, sources, max))]
    losses = cells(results, "log_loss", shown, count)
    classes = [t for t in shown if sources[t][3] != "regression"]
    parts.append(markdown(["Mean log-loss", *labels], _means(losses, whole, classes, {}, min)))
    if common:
        head = [f"Over {len(common)} sets", "mean rank", *AGAINST]
        rows = _sums(results, scores, whole, common, count)
        parts.append(markdown([*head, "CPU s of fit", "CPU s of predict"], rows))
    parts += _partial(results, scores, whole, count)
    return "\n\n".join(parts)


def _means(
    found: Mapping[str, Any], names: Sequence[str], sets: Sequence[str], sources: Any, best: Any
) -> list[list[str]]:
    rows = []
    for table in sets:
        told = {
            name: f"{found[name][table].mean():.4f}"
            for name in names
            if table in found.get(name, {})
        }
        top = best(told.values(), key=float, default="")
        metric = f" ({METRIC[sources[table][3]]})" if table in sources else ""
        row = [told.get(name, "–") for name in names]
        rows.append([table + metric, *(f"**{cell}**" if cell == top else cell for cell in row)])
    return rows


def _sums(
    results: Results, scores: Any, names: Sequence[str], sets: Sequence[str], count: int
) -> list[list[str]]:
    seconds = {figure: cells(results, figure, sets, count) for figure in ("fit", "predict")}
    rows = []
    for name, rank in zip(names, ranks(scores, names, sets), strict=True):
        against = name != "manumatic" and set(sets) <= set(scores.get("manumatic", {}))
        won = f"{wins(scores, name, sets):.0%}" if against else "–"
        higher = f"{better(scores, name, sets)} of {len(sets)}" if against else "–"
        several = against and count > 1  # one fold has no spread to test by
        apart = "{} / {}".format(*told_apart(scores, name, sets)) if several else "–"
        spent = [sum(s[name][table].sum() for table in sets) for s in seconds.values()]
        told = [f"{rank:.2f}", won, higher, apart, *(f"{s:,.1f}" for s in spent)]
        rows.append([CONTESTANTS[name].label, *told])
    return rows


def _partial(results: Results, scores: Any, whole: Sequence[str], count: int) -> list[str]:
    """Who was not run on all sets: ranked among all others on the sets that it was run on."""
    rows = []
    for name in CONTESTANTS:
        own = [t for t in scores.get(name, {}) if all(t in scores[other] for other in whole)]
        if name in whole or not own:
            continue
        told = _sums(results, scores, [*whole, name], own, count)[-1]
        rows.append([told[0], f"{len(own)}: {', '.join(own)}", *told[1:]])
    head = ["On the sets it was run on", "sets", "mean rank", *AGAINST]
    return [markdown([*head, "CPU s of fit", "CPU s of predict"], rows)] if rows else []


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ", ".join([*BENCH, *DEV, *SMALL, *MIDDLE])
    parser.add_argument("sets", nargs="*", metavar="SET", help=known)
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many, 5 of each seed")
    for name, others in {"dev": DEV, "small": SMALL, "middle": MIDDLE}.items():
        told = f"{len(others)} sets that defaults are chosen on"
        kept = {"action": "store_const", "const": others, "dest": "chosen", "default": {}}
        parser.add_argument(f"--{name}", **kept, help=told)
    parser.add_argument("--cache", type=Path, help="folder of the results")
    parser.add_argument("--fresh", action="store_true", help="run again what is in the cache")
    parser.add_argument("--write", action="store_true", help="refresh docs/benchmarks.md")
    options = parser.parse_args(arguments)
    chosen = options.chosen
    if options.write and (chosen or options.folds % FOLDS):
        parser.error("--write tells of all folds of the sets that nothing was chosen on")
    default = Path(gettempdir()) / "manumatic-dev-tables" if chosen else HERE / "tables"
    cache = options.cache or default
    sources = chosen or BENCH
    logging.disable(logging.WARNING)  # a peer's trainer tells of itself in every fold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sets = options.sets or list(chosen or BENCH)
        run(sets, options.only, options.folds, cache, options.fresh)
    results = {name: read(cache, name) for name in CONTESTANTS}
    text = report(results, sources, options.folds)
    print(text)
    if options.write:
        part = "tables" if options.folds == FOLDS else "tables-again"
        refresh(PAGE, part, f"{_versions(cache)}.\n\n{text}")


def _versions(cache: Path) -> str:
    files = [cache / f"{name}.json" for name in CONTESTANTS]
    told = [json.loads(file.read_text("utf-8"))["version"] for file in files if file.exists()]
    return ", ".join([*dict.fromkeys(told), environment([])])


if __name__ == "__main__":
    main()
