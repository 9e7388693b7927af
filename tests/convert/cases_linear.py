"""Linear models."""

__all__ = ["CASES"]

from sklearn import linear_model, svm
from suite import Case

CLASSES, NUMBERS, LABELS = ("binary", "multiclass"), ("regression", "targets"), ("labels",)
ONE, SEVERAL = ("regression",), ("targets",)
CASES = [
    Case(linear_model.LinearRegression(), NUMBERS),
    Case(linear_model.LinearRegression(fit_intercept=False), NUMBERS, "no intercept"),
    Case(linear_model.LinearRegression(positive=True), NUMBERS, "positive"),
    Case(linear_model.Ridge(), NUMBERS),
    Case(linear_model.Ridge(solver="sag", random_state=0), NUMBERS, "sag"),
    Case(linear_model.RidgeCV(), NUMBERS),
    Case(linear_model.RidgeClassifier(), CLASSES + LABELS),
    Case(linear_model.RidgeClassifier(fit_intercept=False), CLASSES + LABELS, "no intercept"),
    Case(linear_model.RidgeClassifierCV(), CLASSES + LABELS),
    Case(linear_model.Lasso(), NUMBERS),
    Case(linear_model.LassoCV(alphas=5), ONE),
    Case(linear_model.LassoLars(alpha=0.1), NUMBERS),
    Case(linear_model.LassoLarsCV(), ONE),
    Case(linear_model.LassoLarsIC(), ONE),
    Case(linear_model.ElasticNet(), NUMBERS),
    Case(linear_model.ElasticNetCV(alphas=5), ONE),
    Case(linear_model.MultiTaskLasso(), SEVERAL),
    Case(linear_model.MultiTaskLassoCV(alphas=5), SEVERAL),
    Case(linear_model.MultiTaskElasticNet(), SEVERAL),
    Case(linear_model.MultiTaskElasticNetCV(alphas=5), SEVERAL),
    Case(linear_model.Lars(n_nonzero_coefs=3), NUMBERS),
    Case(linear_model.LarsCV(), ONE),
    Case(linear_model.OrthogonalMatchingPursuit(), NUMBERS),
    Case(linear_model.OrthogonalMatchingPursuitCV(), ONE),
    Case(linear_model.BayesianRidge(), ONE),
    Case(linear_model.ARDRegression(), ONE),
    Case(linear_model.HuberRegressor(), ONE),
    Case(linear_model.TheilSenRegressor(max_subpopulation=50, random_state=0), ONE),
    Case(linear_model.RANSACRegressor(random_state=0), NUMBERS),
    Case(linear_model.QuantileRegressor(alpha=0.1), ONE),
    Case(linear_model.SGDRegressor(random_state=0, alpha=1.0, eta0=1e-6), ONE),
    Case(linear_model.SGDRegressor(random_state=0, average=True, eta0=1e-6), ONE, "average"),
    Case(linear_model.PoissonRegressor(), ("counts",)),
    Case(linear_model.TweedieRegressor(), ("regression", "counts")),
    Case(linear_model.TweedieRegressor(power=1.5), ("counts",), "power 1.5"),
    Case(linear_model.TweedieRegressor(power=1, link="identity"), ("counts",), "rate, identity"),
    Case(linear_model.LogisticRegression(max_iter=300), CLASSES),
    Case(linear_model.LogisticRegression(solver="liblinear"), ("binary",), "liblinear"),
    Case(linear_model.LogisticRegression(solver="newton-cholesky"), CLASSES, "newton-cholesky"),
    Case(linear_model.LogisticRegressionCV(Cs=3, cv=3, max_iter=300), CLASSES),
    Case(linear_model.Perceptron(random_state=0), CLASSES),
    Case(linear_model.SGDOneClassSVM(random_state=0), ("binary",)),
    Case(svm.LinearSVC(), CLASSES),
    Case(svm.LinearSVC(multi_class="crammer_singer"), CLASSES, "crammer_singer"),
    Case(svm.LinearSVR(), ONE),
    *(
        Case(linear_model.SGDClassifier(loss=loss, random_state=0), CLASSES, loss)
        for loss in ("hinge", "log_loss", "modified_huber", "squared_error", "perceptron")
    ),
]
