"""Several targets, and many classes from estimators of two."""

__all__ = ["CASES"]

from math import inf

from sklearn import linear_model, multiclass, multioutput, naive_bayes
from suite import Case

CLASSES, LABELS, NUMBERS = ("binary", "multiclass"), ("labels",), ("targets",)
LOGISTIC, BAYES = (
    linear_model.LogisticRegression(max_iter=100),
    naive_bayes.GaussianNB(var_smoothing=0.1),
)
MARGIN, RIDGE = linear_model.RidgeClassifier(), linear_model.Ridge()
Chain, Rest = multioutput.ClassifierChain, multiclass.OneVsRestClassifier
One, Codes = multiclass.OneVsOneClassifier, multiclass.OutputCodeClassifier
CASES = [
    Case(multioutput.MultiOutputRegressor(RIDGE), NUMBERS),
    Case(multioutput.MultiOutputClassifier(LOGISTIC), LABELS),
    Case(multioutput.MultiOutputClassifier(MARGIN), LABELS, "margin"),
    Case(multioutput.RegressorChain(RIDGE), NUMBERS),
    Case(multioutput.RegressorChain(RIDGE, order="random", random_state=1, cv=3), NUMBERS, "cv"),
    *(
        # the logarithm of what float32 rounds to 0 is -inf, and goes on down the chain
        Case(
            Chain(LOGISTIC, order="random", random_state=1, chain_method=method),
            LABELS,
            method,
            single=inf if method == "predict_log_proba" else 1e-3,
        )
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function")
    ),
    Case(Chain(BAYES), LABELS, "bayes"),
    Case(Chain(MARGIN), LABELS, "margin"),
    Case(Rest(LOGISTIC), CLASSES + LABELS, "logistic"),
    Case(Rest(MARGIN), CLASSES + LABELS, "margin"),
    # far from all classes, float32 rounds every probability to 0, and there is nothing to divide
    Case(Rest(BAYES), CLASSES + LABELS, "bayes", single=1.0),
    Case(Rest(RIDGE), ("multiclass", "labels"), "regressor"),
    *(
        Case(One(of), CLASSES, note)
        for note, of in (("logistic", LOGISTIC), ("bayes", BAYES), ("margin", MARGIN))
    ),
    *(
        Case(Codes(of, code_size=2, random_state=0), CLASSES, note)
        for note, of in (("logistic", LOGISTIC), ("bayes", BAYES), ("margin", MARGIN))
    ),
]
