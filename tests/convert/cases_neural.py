"""Neural networks of scikit-learn."""

__all__ = ["CASES"]

from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from suite import Case

CLASSES, NUMBERS = ("binary", "multiclass", "labels"), ("regression", "targets")
QUICK = {"max_iter": 20, "random_state": 0}
CASES = [
    Case(MLPClassifier((8, 5), **QUICK), CLASSES),
    Case(MLPRegressor(hidden_layer_sizes=(8, 5), **QUICK), NUMBERS),
    *(Case(MLPClassifier(6, activation=a, **QUICK), CLASSES, a) for a in ("tanh", "logistic")),
    *(
        Case(MLPRegressor(hidden_layer_sizes=6, activation=a, **QUICK), NUMBERS, a)
        for a in ("tanh", "identity")
    ),
    Case(MLPClassifier((), **QUICK), CLASSES, "no hidden layer"),
    Case(MLPRegressor("poisson", 4, learning_rate_init=1e-4, **QUICK), ("counts",), "poisson"),
    Case(BernoulliRBM(4, n_iter=2, random_state=0), ("binary", "counts")),
]
