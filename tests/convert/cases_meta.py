"""Estimators around one other, and committees."""

__all__ = ["CASES"]

from sklearn import (
    calibration,
    ensemble,
    linear_model,
    model_selection,
    naive_bayes,
    semi_supervised,
    svm,
)
from sklearn.dummy import DummyClassifier
from sklearn.neural_network import MLPClassifier
from suite import Case

CLASSES, NUMBERS = ("binary", "multiclass"), ("regression",)
LOGISTIC, BAYES = (
    linear_model.LogisticRegression(max_iter=100),
    naive_bayes.GaussianNB(var_smoothing=0.1),
)
MARGIN = linear_model.RidgeClassifier()
NET = MLPClassifier(4, max_iter=20, random_state=0)
RIDGE, LASSO = linear_model.Ridge(), linear_model.Lasso()
CLASSIFIERS = [("logistic", LOGISTIC), ("bayes", BAYES), ("gone", "drop"), ("margin", MARGIN)]
SURE = [("logistic", LOGISTIC), ("bayes", BAYES)]
REGRESSORS = [("ridge", RIDGE), ("lasso", LASSO), ("gone", "drop")]
Calibrated, Voting = calibration.CalibratedClassifierCV, ensemble.VotingClassifier
Stacking, Bagging = ensemble.StackingClassifier, ensemble.BaggingClassifier
Fixed, Tuned = model_selection.FixedThresholdClassifier, model_selection.TunedThresholdClassifierCV
CASES = [
    *(
        # between two knots side by side, an isotonic curve is steeper than float32 can follow
        Case(
            Calibrated(of, method=method, ensemble=several),
            CLASSES,
            f"{method} {several} {note}",
            single=0.5 if method == "isotonic" else 1e-3,
        )
        for method in ("sigmoid", "isotonic", "temperature")
        for several in (True, False)
        for note, of in (("scores", MARGIN), ("odds", NET))
    ),
    Case(Voting(CLASSIFIERS), CLASSES, "hard"),
    Case(Voting(CLASSIFIERS, weights=[1, 2.5, 1, 1.5]), CLASSES, "hard, weights"),
    Case(Voting(SURE, voting="soft"), CLASSES, "soft"),
    Case(Voting(SURE, voting="soft", weights=[1, 3]), CLASSES, "soft, weights"),
    Case(ensemble.VotingRegressor(REGRESSORS), NUMBERS),
    Case(ensemble.VotingRegressor(REGRESSORS, weights=[1, 4, 2]), NUMBERS, "weights"),
    Case(Stacking(CLASSIFIERS), CLASSES),
    *(
        Case(Stacking(members, stack_method=method), CLASSES, method)
        for method, members in (
            ("predict", CLASSIFIERS),
            ("predict_proba", SURE),
            ("decision_function", [("logistic", LOGISTIC), ("margin", MARGIN)]),
        )
    ),
    Case(Stacking(SURE, passthrough=True), CLASSES, "passthrough"),
    Case(Stacking(SURE, svm.LinearSVC()), CLASSES, "margin"),
    Case(
        Stacking([("mlp", MLPClassifier(3, max_iter=5, random_state=0))], MARGIN),
        ("labels",),
    ),
    Case(ensemble.StackingRegressor(REGRESSORS), NUMBERS),
    Case(ensemble.StackingRegressor(REGRESSORS, passthrough=True), NUMBERS, "passthrough"),
    Case(Bagging(LOGISTIC, 4, random_state=0), CLASSES, "logistic"),
    Case(Bagging(BAYES, 4, max_features=0.5, random_state=0), CLASSES, "some columns"),
    Case(Bagging(MARGIN, 4, random_state=0, bootstrap_features=True), CLASSES, "votes"),
    # five rounded yes or no: there are ties
    Case(Bagging(BAYES, 5, max_samples=4, random_state=0), CLASSES, "some classes", loose=0.2),
    Case(Bagging(DummyClassifier(), 3, random_state=0), CLASSES, "dummies"),
    Case(ensemble.BaggingRegressor(RIDGE, 4, random_state=0), (*NUMBERS, "targets")),
    Case(
        ensemble.BaggingRegressor(LASSO, 4, max_features=0.6, random_state=0),
        NUMBERS,
        "some columns",
    ),
    Case(ensemble.AdaBoostClassifier(BAYES, n_estimators=5, random_state=0), CLASSES),
    Case(ensemble.AdaBoostRegressor(RIDGE, n_estimators=5, random_state=0), NUMBERS),
    Case(Fixed(LOGISTIC, threshold=0.8), ("binary",), "odds"),
    Case(Fixed(MARGIN, threshold=-0.3), ("binary",), "scores"),
    Case(Fixed(LOGISTIC, response_method="decision_function"), ("binary",), "auto"),
    Case(semi_supervised.SelfTrainingClassifier(LOGISTIC), ("some labels",)),
    Case(semi_supervised.SelfTrainingClassifier(BAYES), ("some labels",), "bayes"),
    Case(Tuned(LOGISTIC, scoring="balanced_accuracy", cv=3, random_state=0), ("binary",)),
]
