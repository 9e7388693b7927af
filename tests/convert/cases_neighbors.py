"""Neighbours."""

__all__ = ["CASES"]

from sklearn import neighbors
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection
from suite import Case

CLASSES, NUMBERS = ("binary", "multiclass"), ("regression", "targets")
METRICS = ("manhattan", "chebyshev", "cosine")
WIDE = 1e6  # every row has neighbours there


def turned(model):
    """Where no two rows are equally far: which of those counts, scikit-learn leaves to its trees.

    Numbers with one decimal and whole numbers are full of them; a random projection has none.
    """
    return make_pipeline(GaussianRandomProjection(4, random_state=0), model)


CASES = [
    Case(neighbors.KNeighborsClassifier(), CLASSES),
    Case(turned(neighbors.KNeighborsClassifier()), ("labels",), "turned"),
    Case(neighbors.KNeighborsClassifier(weights="distance"), CLASSES, "distance"),
    Case(turned(neighbors.KNeighborsClassifier(weights="distance")), ("labels",), "distance"),
    Case(neighbors.KNeighborsClassifier(1), CLASSES, "one"),
    Case(turned(neighbors.KNeighborsClassifier(algorithm="brute")), CLASSES, "brute"),
    Case(neighbors.KNeighborsClassifier(algorithm="ball_tree"), CLASSES, "ball tree"),
    Case(turned(neighbors.KNeighborsClassifier(3, p=3)), CLASSES, "p=3"),
    *[
        Case(turned(neighbors.KNeighborsClassifier(metric=metric)), CLASSES, metric)
        for metric in METRICS
    ],
    Case(neighbors.KNeighborsRegressor(), NUMBERS),
    Case(neighbors.KNeighborsRegressor(70), ("regression",), "many"),
    Case(neighbors.KNeighborsRegressor(weights="distance"), NUMBERS, "distance"),
    *[
        Case(
            turned(neighbors.KNeighborsRegressor(metric=metric, weights="distance")),
            NUMBERS,
            metric,
        )
        for metric in METRICS
    ],
    Case(
        neighbors.RadiusNeighborsClassifier(20.0, outlier_label="most_frequent"),
        (*CLASSES, "labels"),
    ),
    Case(
        neighbors.RadiusNeighborsClassifier(WIDE, weights="distance"),
        (*CLASSES, "labels"),
        "distance",
    ),
    Case(neighbors.RadiusNeighborsRegressor(5.0), NUMBERS),
    Case(neighbors.RadiusNeighborsRegressor(WIDE, weights="distance"), NUMBERS, "distance"),
    Case(turned(neighbors.RadiusNeighborsRegressor(3.0, metric="chebyshev")), NUMBERS, "chebyshev"),
    # float32: the row far out is 1e4 from both centres, and the difference is what counts
    Case(neighbors.NearestCentroid(), CLASSES, single=0.6),
    Case(neighbors.NearestCentroid(priors="empirical"), CLASSES, "priors", single=0.6),
    Case(neighbors.NearestCentroid(metric="manhattan"), CLASSES, "manhattan"),
    Case(neighbors.NearestCentroid(shrink_threshold=0.2), CLASSES, "shrunk", single=0.6),
    Case(turned(neighbors.LocalOutlierFactor(novelty=True)), ("multiclass", "regression")),
    Case(
        turned(
            neighbors.LocalOutlierFactor(10, novelty=True, contamination=0.2, metric="manhattan")
        ),
        ("multiclass", "regression"),
        "manhattan",
    ),
    Case(turned(neighbors.KNeighborsTransformer()), ("multiclass", "regression")),
    Case(neighbors.KNeighborsTransformer(mode="connectivity"), ("regression",), "connectivity"),
    Case(neighbors.RadiusNeighborsTransformer(radius=20.0), ("multiclass", "regression")),
    Case(
        neighbors.RadiusNeighborsTransformer(radius=20.0, mode="connectivity"),
        ("regression",),
        "connectivity",
    ),
    Case(
        neighbors.NeighborhoodComponentsAnalysis(2, max_iter=5, random_state=0),
        ("binary", "multiclass"),
    ),
]
