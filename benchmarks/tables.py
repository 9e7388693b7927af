"""manumatic without any option against other people's defaults, on small and middling tables.

    python benchmarks/tables.py titanic ames          # some sets, everybody who is installed
    python benchmarks/tables.py --only manumatic      # all sets, one contestant
    python benchmarks/tables.py --write               # what is missing, and docs/benchmarks.md

Five folds, seed 0, one thread. Each contestant has a file of results in benchmarks/tables/, one
entry a set and fold, and what is there is not run again (``--fresh`` does), so a run may be stopped,
and contestants that cannot live in one environment are run in two.
"""

__all__ = ["CONTESTANTS", "main"]

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts its threads
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.compose import make_column_selector as columns
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from table import environment, markdown, refresh
from table_sets import BENCH, DEV, EXTRA, load

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
FOLDS, RARE, HGB_LEVELS = 5, 5, 250
METRIC = {"binary": "AUC", "multiclass": "accuracy", "regression": "R²"}
Results = dict[str, dict[str, dict[str, float]]]  # contestant → "set/fold" → figures

# --- how a table is laid out for those who do not read a DataFrame as it is -----------------------


class Tidy(TransformerMixin, BaseEstimator):
    """Dates become numbers, words a category of the training rows' levels.

    A date is its year, month, day, weekday, hour and the days since 1970. A word that training did
    not show is missing. ``most`` folds the rarest levels into one; ``blank`` is a word for missing
    ones (and everything is a plain string); ``fill`` puts the mean into missing numbers, and says
    where in a category of its own.
    """

    def __init__(self, most: int | None = None, blank: str | None = None, fill: bool = False):
        self.most = most
        self.blank = blank
        self.fill = fill

    def fit(self, X: pd.DataFrame, y: Any = None) -> "Tidy":
        """Learn levels and means."""
        flat = _undated(X)
        words = flat.select_dtypes(exclude=["number", "bool"])
        self.levels_ = {name: words[name].value_counts().index[: self.most] for name in words}
        numbers = flat.drop(columns=list(words))
        self.means_ = numbers.mean()
        self.holes_ = [name for name in numbers if numbers[name].isna().any()]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The same columns for other rows; they are called c0, c1, …."""
        flat = _undated(X)
        found: dict[str, pd.Series] = {}
        for name in flat:
            key = f"c{len(found)}"
            if name in self.levels_:
                found[key] = self._words(flat[name], self.levels_[name])
            else:
                numbers = flat[name].astype(float)
                found[key] = numbers.fillna(self.means_[name]) if self.fill else numbers
        if self.fill:
            for name in self.holes_:
                there = np.where(flat[name].isna(), "no", "yes")
                found[f"c{len(found)}"] = pd.Series(pd.Categorical(there, ["no", "yes"]), X.index)
        return pd.DataFrame(found)

    def _words(self, column: pd.Series, levels: pd.Index) -> pd.Series:
        known = sorted(levels.astype(str))
        words = column.astype(object).where(column.isin(levels))
        if self.most is not None and len(levels) == self.most:
            words = words.where(words.notna() | column.isna(), "all others")
            known = [*known, "all others"]
        if self.blank is not None:
            return words.where(words.notna(), self.blank).astype(str)
        return words.where(words.isna(), words.astype(str)).astype(pd.CategoricalDtype(known))


def _undated(X: pd.DataFrame) -> pd.DataFrame:
    dates = X.select_dtypes("datetime")
    parts = [X.drop(columns=list(dates))]
    for name in dates:
        when = X[name].dt
        bits = {f"{name} {bit}": getattr(when, bit) for bit in ("year", "month", "day", "hour")}
        days = (X[name] - pd.Timestamp(0)) / pd.Timedelta("1D")
        parts.append(pd.DataFrame({**bits, f"{name} weekday": when.weekday, f"{name} days": days}))
    return pd.concat(parts, axis=1)


WORDS, NUMBERS = columns(dtype_include="category"), columns(dtype_include="number")


def _one_hot() -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", min_frequency=RARE)
    return make_pipeline(Tidy(), ColumnTransformer([("n", numbers, NUMBERS), ("w", words, WORDS)]))


def _codes() -> Any:
    words = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    numbers = SimpleImputer(strategy="median")
    return make_pipeline(Tidy(), ColumnTransformer([("n", numbers, NUMBERS), ("w", words, WORDS)]))


# --- the contestants: each is handed the kind of task, and is at its own defaults -----------------


def manumatic(kind: str) -> Any:
    """No options, the table as it is."""
    import manumatic as mm

    return (mm.Regressor if kind == "regression" else mm.Classifier)(random_state=0)


def linear(kind: str) -> Any:
    """One-hot, imputed with indicators, standardised."""
    last = Ridge() if kind == "regression" else LogisticRegression(max_iter=1000)
    return make_pipeline(_one_hot(), last)


def forest(kind: str) -> Any:
    """Ordinal codes, medians."""
    last = RandomForestRegressor if kind == "regression" else RandomForestClassifier
    return make_pipeline(_codes(), last(random_state=0, n_jobs=1))


def histgb(kind: str) -> Any:
    """Categories by dtype; it takes no more than 255 levels, so rare ones are folded."""
    regression = kind == "regression"
    last = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return make_pipeline(Tidy(most=HGB_LEVELS), last(random_state=0))


def mlp(kind: str) -> Any:
    """One-hot and scaled, the target of a regression too."""
    if kind == "regression":
        net = TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler())
        return make_pipeline(_one_hot(), net)
    return make_pipeline(_one_hot(), MLPClassifier(random_state=0))


def lightgbm(kind: str) -> Any:
    """Categories by dtype."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    last = LGBMRegressor if kind == "regression" else LGBMClassifier
    return make_pipeline(Tidy(), last(random_state=0, n_jobs=1, verbosity=-1))


def xgboost(kind: str) -> Any:
    """Categories by dtype."""
    from xgboost import XGBClassifier, XGBRegressor

    last = XGBRegressor if kind == "regression" else XGBClassifier
    return make_pipeline(Tidy(), last(random_state=0, n_jobs=1, enable_categorical=True))


class Cat(BaseEstimator):
    """CatBoost is told which columns are words, and wants a word for missing ones."""

    def __init__(self, last: Any):
        self.last = last

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Cat":
        """All columns of words are cat_features."""
        self.tidy_ = Tidy(blank="missing").fit(X)
        X = self.tidy_.transform(X)
        words = list(X.select_dtypes(exclude="number"))
        self.last_ = self.last(
            random_seed=0, thread_count=1, allow_writing_files=False, verbose=False
        ).fit(X, y, cat_features=words)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Values."""
        return self.last_.predict(self.tidy_.transform(X))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Probabilities."""
        return self.last_.predict_proba(self.tidy_.transform(X))


def catboost(kind: str) -> Any:
    """All words and texts are categories."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    return Cat(CatBoostRegressor if kind == "regression" else CatBoostClassifier)


def _pytabkit(name: str, kind: str, **options: Any) -> Any:
    import pytabkit

    last = getattr(pytabkit, f"{name}_{'Regressor' if kind == 'regression' else 'Classifier'}")
    common = {"n_cv": 1, "device": "cpu", "random_state": 0, "n_threads": 1}
    return make_pipeline(Tidy(fill=True), last(**common, **options))


def realmlp(kind: str) -> Any:
    """For AUC it is told so, and its label smoothing is off: the README of pytabkit says to."""
    auc = {"val_metric_name": "1-auc_ovr", "use_ls": False}
    return _pytabkit("RealMLP_TD", kind, **(auc if kind == "binary" else {}))


def tabm(kind: str) -> Any:
    """As it comes."""
    return _pytabkit("TabM_D", kind)


@dataclass(frozen=True)
class Contestant:
    """Who it is, how to build it, and the package it needs."""

    label: str
    build: Callable[[str], Any]
    package: str


CONTESTANTS = {
    "manumatic": Contestant("manumatic", manumatic, "manumatic"),
    "linear": Contestant("linear", linear, "sklearn"),
    "forest": Contestant("random forest", forest, "sklearn"),
    "histgb": Contestant("HistGradientBoosting", histgb, "sklearn"),
    "lightgbm": Contestant("LightGBM", lightgbm, "lightgbm"),
    "xgboost": Contestant("XGBoost", xgboost, "xgboost"),
    "catboost": Contestant("CatBoost", catboost, "catboost"),
    "mlp": Contestant("scikit-learn MLP", mlp, "sklearn"),
    "realmlp": Contestant("RealMLP_TD", realmlp, "pytabkit"),
    "tabm": Contestant("TabM_D", tabm, "pytabkit"),
}
PACKAGES = {"sklearn": "scikit-learn"}  # where the registry's name is another

# --- running --------------------------------------------------------------------------------------


def folds(y: pd.Series, kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same five for everybody."""
    cut = KFold if kind == "regression" else StratifiedKFold
    return list(cut(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(y)), y))


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
        cuts = folds(y, kind)
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
        head = [f"Over {len(common)} sets", "mean rank", "manumatic wins"]
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
        spent = [sum(s[name][table].sum() for table in sets) for s in seconds.values()]
        rows.append([CONTESTANTS[name].label, f"{rank:.2f}", won, *(f"{s:,.1f}" for s in spent)])
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
    head = ["On the sets it was run on", "sets", "mean rank", "manumatic wins", "CPU s of fit"]
    return [markdown([*head, "CPU s of predict"], rows)] if rows else []


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join([*BENCH, *EXTRA, *DEV]))
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument("--folds", type=int, default=FOLDS, help="only the first of the five")
    parser.add_argument("--dev", action="store_true", help="the sets that defaults are chosen on")
    parser.add_argument("--cache", type=Path, help="folder of the results")
    parser.add_argument("--fresh", action="store_true", help="run again what is in the cache")
    parser.add_argument("--write", action="store_true", help="refresh docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if options.write and (options.dev or options.folds != FOLDS):
        parser.error("--write tells of all folds of the sets that nothing was chosen on")
    default = Path(gettempdir()) / "manumatic-dev-tables" if options.dev else HERE / "tables"
    cache = options.cache or default
    sources = DEV if options.dev else {**BENCH, **EXTRA}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sets = options.sets or list(DEV if options.dev else BENCH)
        run(sets, options.only, options.folds, cache, options.fresh)
    results = {name: read(cache, name) for name in CONTESTANTS}
    text = report(results, sources, options.folds)
    print(text)
    if options.write:
        refresh(PAGE, "tables", f"{_versions(cache)}.\n\n{text}")


def _versions(cache: Path) -> str:
    files = [cache / f"{name}.json" for name in CONTESTANTS]
    told = [json.loads(file.read_text("utf-8"))["version"] for file in files if file.exists()]
    return ", ".join([*dict.fromkeys(told), environment([])])


if __name__ == "__main__":
    main()
