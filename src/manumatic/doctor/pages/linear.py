"""What ``fit`` hides in scikit-learn's linear models and its neural network.

Written beside scikit-learn 1.9's source and held to it by tests. ``{name}`` stands for the value of
that parameter; ``CHOICES`` replaces lines where a parameter chooses the algorithm.
"""

__all__ = ["CHOICES", "LINEAR", "Page"]

from typing import NamedTuple


class Page(NamedTuple):
    """One sentence, then a line for each component."""

    summary: str
    data: str
    model: str
    loss: str
    optimizer: str
    loop: str


ALL_ROWS = "all rows at once; nothing is shuffled"
LINE = "y = X w + b: one weight a column and an intercept (fit_intercept={fit_intercept})"
LOGITS = "X w + b, one column of weights a class (one alone for two), then probabilities"
L_BFGS = (
    "L-BFGS (scipy.optimize.minimize): the gradient over all rows, steps by past gradients and a "
    "line search; no learning rate to choose"
)
UNTIL = "iterations until the change is below tol={tol}, at most max_iter={max_iter}"
EPOCHS = (
    "epochs: at most max_iter={max_iter}, fewer when the loss does not fall by tol={tol} in "
    "n_iter_no_change={n_iter_no_change} of them"
)
UNSCALED = "columns are not scaled for you"
GAP = (
    "passes over the columns until the duality gap is below tol={tol}, at most max_iter={max_iter}"
)

# One page for all the classes in its key.
LINEAR: dict[str, Page] = {
    "LinearRegression": Page(
        "Least squares, solved exactly in one go: no gradients, no epochs.",
        "all rows at once; with fit_intercept={fit_intercept}, X and y are centred first",
        LINE,
        "the sum of squared residuals",
        "none: scipy.linalg.lstsq finds the minimum by a singular value decomposition (sparse X: "
        "scipy.sparse.linalg.lsqr)",
        "none",
    ),
    "Ridge RidgeClassifier": Page(
        "Least squares with a price on large weights; solver says how it is solved.",
        "all rows at once, centred first (a classifier's labels become -1 and 1)",
        LINE,
        "the sum of squared residuals + alpha={alpha} times the sum of squared weights",
        "none for a dense table: the normal equations, by a Cholesky decomposition "
        "(solver={solver}; sparse X: conjugate gradients; positive=True: L-BFGS-B)",
        "none",
    ),
    "RidgeCV RidgeClassifierCV": Page(
        "Ridge for each of several alphas, the best by its error on rows left out.",
        "all rows; with cv=None each is left out once without fitting again",
        LINE,
        "the sum of squared residuals + alpha times the sum of squared weights",
        "none: one decomposition of X serves all alphas (with cv: a GridSearchCV over Ridge)",
        "none over epochs; once over alphas={alphas}",
    ),
    "Lasso ElasticNet MultiTaskLasso MultiTaskElasticNet": Page(
        "Coordinate descent: one weight at a time moves to its own best value.",
        "all rows at once, centred first",
        LINE + "; many weights end at exactly 0",
        "half the mean squared residual + alpha={alpha} times the L1 norm of the weights (an "
        "elastic net adds squared weights; several targets share their zeros)",
        "coordinate descent: each step solves for one weight in closed form (soft threshold); no "
        "learning rate",
        GAP,
    ),
    "LassoCV ElasticNetCV MultiTaskLassoCV MultiTaskElasticNetCV": Page(
        "Coordinate descent along a path of penalties, the best chosen by cross-validation.",
        "all rows, in folds (cv={cv}); at the end all of them with the penalty that was chosen",
        LINE + "; many weights end at exactly 0",
        "half the mean squared residual + alpha times the L1 norm of the weights",
        "coordinate descent; each penalty starts from the weights of the one before",
        "for each fold and penalty: " + GAP,
    ),
    "Lars LassoLars LarsCV LassoLarsCV LassoLarsIC OrthogonalMatchingPursuit "
    "OrthogonalMatchingPursuitCV": Page(
        "Columns join the model one at a time; each step is computed exactly.",
        "all rows at once",
        LINE + "; only the chosen columns have a weight",
        "squared residuals; the number of columns or the L1 norm of the weights is the price",
        "none with a learning rate: the column most correlated with the residual joins, then the "
        "weights of the chosen ones are solved for",
        "as many steps as columns join (and leave)",
    ),
    "LogisticRegression": Page(
        "A convex loss without a closed form: iterations with gradients, no minibatches.",
        ALL_ROWS,
        LOGITS,
        "log loss (cross entropy), weighed by C={C}, + {regularisation}",
        L_BFGS,
        "iterations until the gradient is below tol={tol}, at most max_iter={max_iter}",
    ),
    "LogisticRegressionCV": Page(
        "LogisticRegression for each fold and each strength of the penalty, the best kept.",
        "all rows, in folds (cv={cv}); with refit={refit}, all of them again at the end",
        LOGITS,
        "log loss (cross entropy) + a penalty, for each of Cs={Cs}",
        "solver={solver}; each strength starts from the weights of the one before",
        "for each fold and strength: iterations until tol={tol}, at most max_iter={max_iter}",
    ),
    "PoissonRegressor GammaRegressor TweedieRegressor": Page(
        "A generalised linear model: a convex loss, iterations with gradients.",
        ALL_ROWS,
        "exp(X w + b) for counts and positive numbers (TweedieRegressor: X w + b for power <= 0)",
        "half the mean deviance of the distribution + alpha={alpha}/2 times squared weights",
        "solver={solver}: L-BFGS with the gradient over all rows, or Newton's method with second "
        "derivatives (newton-cholesky)",
        UNTIL,
    ),
    "SGDClassifier SGDRegressor": Page(
        "Stochastic gradient descent, one row at a time: a training loop as in PyTorch.",
        "one row a step, in an order shuffled each epoch (shuffle={shuffle}); " + UNSCALED,
        "X w + b, one column of weights a class (one alone for two)",
        "loss={loss} of one row + alpha={alpha} times penalty={penalty}",
        "gradient descent; the derivative of the loss is written out by hand in Cython, the step "
        "size is learning_rate={learning_rate}",
        EPOCHS,
    ),
    "Perceptron PassiveAggressiveClassifier PassiveAggressiveRegressor": Page(
        "One row at a time, and a step only where the row is wrong: SGD with fixed rules.",
        "one row a step, in an order shuffled each epoch (shuffle={shuffle}); " + UNSCALED,
        "X w + b, one column of weights a class (one alone for two)",
        "how far a row is on the wrong side (of the margin)",
        "a step along the row itself, which is the gradient: constant (Perceptron), or just long "
        "enough to be right (passive-aggressive)",
        EPOCHS,
    ),
    "SGDOneClassSVM": Page(
        "A one-class support vector machine, by stochastic gradient descent.",
        "one row a step, in an order shuffled each epoch (shuffle={shuffle}); " + UNSCALED,
        "X w - offset: below 0 is an outlier",
        "a price for rows outside, at most a share nu={nu} of them, + squared weights",
        "gradient descent written in Cython, the step size is learning_rate={learning_rate}",
        "epochs: at most max_iter={max_iter}, fewer when the loss does not fall by tol={tol}",
    ),
    "MLPClassifier MLPRegressor": Page(
        "A neural network with minibatches, gradients and Adam: here the loop is inside fit.",
        "minibatches of batch_size={batch_size} rows ('auto': 200, or all if fewer), shuffled each "
        "epoch (shuffle={shuffle}); " + UNSCALED,
        "dense layers of hidden_layer_sizes={hidden_layer_sizes}, activation={activation}; the "
        "last gives {outputs}",
        "{data_loss}, + alpha={alpha}/2 times squared weights, divided by the rows of the batch",
        "Adam with learning_rate_init={learning_rate_init}; gradients by backpropagation written "
        "out in numpy, not by autograd",
        "epochs: at most max_iter={max_iter}, fewer when the training loss (early_stopping=True: "
        "the validation score) does not gain tol={tol} in n_iter_no_change={n_iter_no_change} of "
        "them; loss_curve_ keeps the losses",
    ),
    "BayesianRidge ARDRegression": Page(
        "Ridge whose penalties are learned from the same rows.",
        "all rows at once, centred first",
        LINE + ", with a distribution over the weights",
        "the negative log marginal likelihood",
        "none with a learning rate: weights in closed form and penalties by formula, in turns",
        UNTIL,
    ),
    "HuberRegressor": Page(
        "A line that outliers do not pull: a convex loss, iterations with gradients.",
        ALL_ROWS,
        LINE + ", and the scale of the noise",
        "squared for small residuals, absolute beyond epsilon={epsilon} times the scale, + "
        "alpha={alpha} times squared weights",
        L_BFGS,
        UNTIL,
    ),
    "QuantileRegressor": Page(
        "A linear program: no gradients, no epochs.",
        ALL_ROWS,
        LINE,
        "the pinball loss of quantile={quantile} + alpha={alpha} times absolute weights",
        "scipy.optimize.linprog (solver={solver})",
        "none of its own: the steps of the linear program",
    ),
    "TheilSenRegressor RANSACRegressor": Page(
        "Many fits on few random rows, so that outliers do not matter: no gradients of its own.",
        "random subsets of the rows",
        "linear (RANSAC: any estimator)",
        "agreement of the subsets (RANSAC: how many rows are near)",
        "none: a fit to each subset, then their spatial median (RANSAC: the best of them)",
        "one fit a subset",
    ),
}

STOCHASTIC = {
    "data": "one row a step, drawn at random",
    "optimizer": "{solver}: the gradient of one row at a time, with the last gradient of each row "
    "remembered (written in Cython)",
    "loop": "epochs until the change is below tol={tol}, at most max_iter={max_iter}",
}
ITERATIVE = {"loop": UNTIL}
RIDGE: dict[object, dict[str, str]] = {
    "svd": {"optimizer": "none: a singular value decomposition of X"},
    "cholesky": {"optimizer": "none: the normal equations, by a Cholesky decomposition"},
    "lsqr": ITERATIVE | {"optimizer": "scipy.sparse.linalg.lsqr, an iterative solver"},
    "sparse_cg": ITERATIVE | {"optimizer": "conjugate gradients (scipy.sparse.linalg.cg)"},
    "lbfgs": ITERATIVE | {"optimizer": L_BFGS + "; weights stay positive"},
    "sag": STOCHASTIC,
    "saga": STOCHASTIC,
}
LOGISTIC: dict[object, dict[str, str]] = {
    "newton-cg": {"optimizer": "Newton's method: gradients, and products with second derivatives"},
    "newton-cholesky": {
        "optimizer": "Newton's method: gradient and all second derivatives, a linear system a step"
    },
    "liblinear": {
        "data": "all rows",
        "optimizer": "liblinear (C++): a trust-region Newton method, or coordinate descent (L1 "
        "penalty, dual=True)",
        "loop": UNTIL,
    },
    "sag": STOCHASTIC,
    "saga": STOCHASTIC,
}
MLP: dict[object, dict[str, str]] = {
    "lbfgs": {
        "summary": "A neural network fitted by L-BFGS: gradients over all rows, no minibatches.",
        "data": ALL_ROWS + " (batch_size is not used); " + UNSCALED,
        "optimizer": L_BFGS + "; gradients by backpropagation written out in numpy",
        "loop": UNTIL + "; there is no loss_curve_",
    },
    "sgd": {
        "summary": "A neural network with minibatches and gradient descent: the loop is inside.",
        "optimizer": "gradient descent, momentum={momentum}, "
        "learning_rate_init={learning_rate_init} ({learning_rate}); gradients by backpropagation "
        "written out in numpy, not by autograd",
    },
}

# class → the parameter that chooses, and for each of its values the lines that are different.
CHOICES: dict[str, tuple[str, dict[object, dict[str, str]]]] = {
    "LinearRegression": (
        "positive",
        {True: {"optimizer": "scipy.optimize.nnls: exact, for weights that may not be negative"}},
    ),
    "Ridge": ("solver", RIDGE),
    "RidgeClassifier": ("solver", RIDGE),
    "LogisticRegression": ("solver", LOGISTIC),
    "MLPClassifier": ("solver", MLP),
    "MLPRegressor": ("solver", MLP),
}
