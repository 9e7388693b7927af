"""Trees, forests and boosting."""

__all__ = ["CASES"]

from sklearn import ensemble, linear_model, tree
from suite import Case

CLASSES, NUMBERS = ("binary", "multiclass"), ("regression", "targets")
HOLES, NUMBER_HOLES = "missing", "missing numbers"
FEW = {"n_estimators": 8, "random_state": 0}
SHORT = {"max_iter": 12, "min_samples_leaf": 5, "random_state": 0}
HGB_C, HGB_R = ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor
LOGISTIC = linear_model.LogisticRegression(C=1e-5, max_iter=50)
GB_C, GB_R = ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor
RF_C, RF_R = ensemble.RandomForestClassifier, ensemble.RandomForestRegressor
CASES = [
    Case(tree.DecisionTreeClassifier(random_state=0), (*CLASSES, "labels", HOLES)),
    Case(tree.DecisionTreeClassifier(max_leaf_nodes=5, class_weight="balanced"), CLASSES, "small"),
    Case(tree.DecisionTreeRegressor(random_state=0), (*NUMBERS, "counts", NUMBER_HOLES)),
    Case(tree.DecisionTreeRegressor(criterion="poisson"), ("counts",), "poisson"),
    Case(tree.ExtraTreeClassifier(random_state=0), (*CLASSES, "labels", HOLES)),
    Case(tree.ExtraTreeRegressor(random_state=0), (*NUMBERS, NUMBER_HOLES)),
    Case(RF_C(**FEW), (*CLASSES, "labels", HOLES)),
    Case(RF_C(**FEW, max_depth=3, max_features=None), (*CLASSES, "labels", HOLES), "depth 3"),
    Case(RF_C(**FEW, min_samples_leaf=4, class_weight="balanced"), CLASSES, "weights"),
    Case(RF_R(**FEW), (*NUMBERS, NUMBER_HOLES)),
    Case(RF_R(**FEW, criterion="absolute_error"), ("regression",), "absolute"),
    Case(ensemble.ExtraTreesClassifier(**FEW), (*CLASSES, "labels", HOLES)),
    Case(ensemble.ExtraTreesRegressor(**FEW), (*NUMBERS, NUMBER_HOLES)),
    Case(ensemble.IsolationForest(**FEW), (*CLASSES, HOLES)),
    Case(ensemble.IsolationForest(**FEW, max_features=0.6, contamination=0.1), CLASSES, "some"),
    Case(ensemble.RandomTreesEmbedding(**FEW, max_depth=4), ("regression",)),
    Case(ensemble.RandomTreesEmbedding(**FEW, sparse_output=False), ("binary",), "dense"),
    Case(GB_C(**FEW), CLASSES),
    Case(GB_C(**FEW, loss="exponential"), ("binary",), "exponential"),
    Case(GB_C(**FEW, init="zero"), CLASSES, "from zero"),
    # the estimator that it starts from computes in float32, in scikit-learn
    Case(GB_C(**FEW, init=LOGISTIC), CLASSES, "from logistic", double=1e-5),
    Case(GB_R(**FEW), ("regression",)),
    *(Case(GB_R(**FEW, loss=x), ("regression",), x) for x in ("huber", "quantile")),
    Case(GB_R(**FEW, loss="absolute_error"), ("regression",), "absolute"),
    Case(GB_R(**FEW, init=linear_model.Ridge()), ("regression",), "from ridge", double=1e-5),
    Case(HGB_C(**SHORT), (*CLASSES, HOLES)),
    Case(HGB_C(**SHORT, categorical_features=["town", "state"]), ("words",), "named"),
    # diabetes has rows whose distance from a threshold float32 cannot tell
    Case(HGB_R(**SHORT), ("regression", NUMBER_HOLES), single=0.05),
    Case(HGB_R(**SHORT, categorical_features=["town", "state"]), ("words and a number",), "named"),
    Case(HGB_R(**SHORT, loss="poisson"), ("counts",), "poisson"),
    Case(
        HGB_R(**SHORT, loss="gamma", categorical_features=[1, 3]), ("words and a number",), "gamma"
    ),
    Case(HGB_R(**SHORT, loss="quantile", quantile=0.8), (NUMBER_HOLES,), "quantile"),
    Case(HGB_R(**SHORT, loss="absolute_error", max_depth=3), (NUMBER_HOLES,), "absolute"),
]
