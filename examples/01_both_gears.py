"""Exercise 1: your own data through both gears.

One line: mm.compare(hours, score).  Change the numbers below, or give a file of your own:

    python examples/01_both_gears.py my.csv --target score
"""

import argparse
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LinearRegression

import manumatic as mm

arguments = argparse.ArgumentParser()
arguments.add_argument("table", nargs="?")
arguments.add_argument("--target", default="score")
given = arguments.parse_args()

if given.table:
    table = pd.read_csv(given.table)
else:
    table = pd.DataFrame({"hours": [1, 2, 3, 4, 5], "score": [52, 59, 66, 73, 80]})
X, y = table.drop(columns=given.target), table[given.target]

if not given.table:
    # Automatic: scikit-learn solves the equations of least squares.  No loss falls, nothing steps.
    line = LinearRegression().fit(X, y)
    print(f"scikit-learn: {line.coef_[0]:.2f} points an hour, {line.intercept_:.2f} to begin with")

    # Manual: the same line by 1,000 steps downhill.  It is not quite there when it stops.
    net = mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=0.01),
        loop=mm.Loop(epochs=1000),
        random_state=42,
    ).fit(X, y)
    weight, bias = net.model_.weight.item(), net.model_.bias.item()
    print(f"PyTorch:      {weight:.2f} points an hour, {bias:.2f} to begin with")

    six = pd.DataFrame({"hours": [6]})
    print(f"six hours:    {line.predict(six)[0]:.2f} and {net.predict(six)[0]:.2f}")
    print(net.findings_)

# And on the same folds, with what it costs:
models = ["LinearRegression", "linear-net"] if len(table) < 50 else None
print(mm.compare(X, y, models=models))

if not given.table:
    picture = mm.LossCurveDisplay.from_estimator(net)
    Path("both_gears.svg").write_text(picture.svg(), encoding="utf-8")
