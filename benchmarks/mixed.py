"""Does each kind of column count? The adverts with all of them, and with each left out.

    python benchmarks/mixed.py          # writes its table into docs/mixed.md

1,000 adverts to learn from, 500 to judge by. The target is the logarithm of the price, so that an
error of 0.1 is one of 10 %. scikit-learn's models read texts as topics and images as directions.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from table import environment, markdown, refresh

import manumatic as mm
from manumatic.datasets import load_adverts
from manumatic.parts.columns import Table

PAGE = Path(__file__).parents[1] / "docs" / "mixed.md"
TRAIN = 1000
LEFT_OUT = {
    "all columns": [],
    "without the numbers (height, age)": ["height", "age"],
    "without the label (city)": ["city"],
    "without the text": ["text"],
    "without the photo": ["photo"],
}


def measure(model: Any, left_out: list[str]) -> list[str]:
    """Error, share explained and CPU seconds of a fit."""
    adverts = load_adverts()
    X, y = adverts.data.drop(columns=left_out), np.log(adverts.target)
    begin = time.process_time()
    model.fit(X[:TRAIN], y[:TRAIN])
    seconds = time.process_time() - begin
    found = model.predict(X[TRAIN:])
    error, share = root_mean_squared_error(y[TRAIN:], found), r2_score(y[TRAIN:], found)
    return [f"{error:.3f}", f"{share:.3f}", f"{seconds:.1f}"]


def main() -> None:
    """Measure, print, and write the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", help="a part of the name of one row; the page stays as it is")
    only = arguments.parse_args().only
    torch.set_num_threads(1)
    runs: dict[str, tuple[Any, list[str]]] = {
        f"the mixed net, {name}": (mm.Regressor("mixed", random_state=0), columns)
        for name, columns in LEFT_OUT.items()
    }
    trees = HistGradientBoostingRegressor(random_state=0)
    runs["ridge regression, all columns"] = (make_pipeline(Table(), RidgeCV()), [])
    runs["boosted trees, all columns"] = (make_pipeline(Table(), trees), [])
    rows = []
    for name, (model, columns) in runs.items():
        if only is None or only in name:
            rows.append([name, *measure(model, columns)])
            print(*rows[-1], sep="  ", flush=True)
    if only is None:
        table = markdown(["model", "error", "R²", "CPU seconds a fit"], rows)
        about = environment(["manumatic", "torch", "scikit-learn"])
        refresh(PAGE, "adverts", f"{table}\n\n500 adverts not seen; {about}.")


if __name__ == "__main__":
    main()
