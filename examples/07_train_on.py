"""Train on where scikit-learn stopped: four models, the world changes, 600 new rows.

Five thousand rows teach a model of scikit-learn. Then six of the slopes turn around, and only 600
labelled rows of the new world exist. Three ways: leave the model as it is, fit a new one on the 600
rows, or turn it into an ``nn.Module`` and train on.

    python examples/07_train_on.py
"""

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import manumatic as mm


def world(rows: int, seed: int, turned: float) -> tuple[np.ndarray, np.ndarray]:
    """Twenty columns; the first six slopes are turned around by a share."""
    rng = np.random.default_rng(seed)
    X, slopes = rng.normal(size=(rows, 20)), np.linspace(1, -1, 20)
    slopes[:6] *= 1 - 2 * turned
    found = X @ slopes + 2 * X[:, 0] * X[:, 1] + rng.normal(size=rows) / 2 > 0
    return X, np.where(found, "yes", "no")


def main() -> None:
    """One line a model."""
    old, new, test = world(5000, 0, 0.0), world(600, 1, 0.6), world(5000, 2, 0.6)
    models = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "neural network": make_pipeline(
            StandardScaler(), MLPClassifier(64, early_stopping=True, random_state=0)
        ),
        "gradient boosting": HistGradientBoostingClassifier(random_state=0),
        "random forest": RandomForestClassifier(100, random_state=0),
    }
    print(f"{'accuracy in the new world':<28}{'as it was':>10}{'refitted':>10}{'trained on':>12}")
    for name, model in models.items():
        refitted = clone(model).fit(*new)
        model.fit(*old)
        net = mm.Classifier(mm.to_torch(model), random_state=0).fit(*new)
        scores = [each.score(*test) for each in (model, refitted, net)]
        print(f"{name:<28}{scores[0]:>10.3f}{scores[1]:>10.3f}{scores[2]:>12.3f}")


if __name__ == "__main__":
    main()
