"""What ``fit`` hides in scikit-learn's other classifiers and regressors.

Trees, forests, boosting, support vectors, neighbours, Bayes, kernels.
"""

__all__ = ["PREDICTORS"]

from manumatic.doctor.pages.linear import ALL_ROWS, UNSCALED, UNTIL, Page

SVC = Page(
    "A quadratic program, solved in its dual form by libsvm: no epochs.",
    "all rows; only the support vectors are kept; " + UNSCALED,
    "a weighted sum of kernels ({kernel}) between a row and the support vectors",
    "a wide margin, and a price for rows on its wrong side",
    "SMO in libsvm (C++): two dual coefficients at a time, solved exactly; no learning rate",
    "pairs of rows until the optimality conditions hold to tol={tol}, max_iter={max_iter} (-1: no "
    "limit)",
)

# One page for all the classes in its key.
PREDICTORS: dict[str, Page] = {
    "SVC NuSVC OneClassSVM": SVC,
    "SVR NuSVR": SVC._replace(
        loss="a flat function, and a price for residuals that leave a tube around it (epsilon)"
    ),
    "LinearSVC LinearSVR": Page(
        "A linear support vector machine, solved by liblinear.",
        "all rows; " + UNSCALED,
        "X w + b",
        "loss={loss}, weighed by C={C}, + a penalty on the weights, the intercept among them",
        "liblinear (C++): coordinate descent on the dual, or a trust-region Newton method on the "
        "primal (dual={dual})",
        UNTIL,
    ),
    "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor": Page(
        "Greedy questions until the leaves are pure: no gradients, no epochs.",
        "all rows; each split divides the rows of its node in two; columns need no scaling",
        "yes/no questions about one column each; a leaf answers with the mean (or median) of its "
        "rows, or the shares of their classes",
        "none over the whole tree: each split lowers criterion={criterion} the most",
        "none: a search over columns and thresholds at each node (splitter={splitter}), never "
        "taken back",
        "none over epochs: nodes split until pure, or max_depth={max_depth}, "
        "min_samples_leaf={min_samples_leaf}",
    ),
    "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor": Page(
        "Many trees, grown apart from each other and averaged: no gradients, no epochs.",
        "for each tree, rows drawn with replacement (bootstrap={bootstrap}; False: all rows)",
        "n_estimators={n_estimators} trees, each split sees max_features={max_features} of the "
        "columns; their answers are averaged",
        "none over the whole forest: each split lowers criterion={criterion} the most",
        "none: a greedy search at each node; extra trees draw their thresholds at random",
        "none over epochs: trees do not learn from each other and may grow in parallel",
    ),
    "GradientBoostingClassifier GradientBoostingRegressor": Page(
        "Gradient descent on the predictions: a step is a small tree, not a change of weights.",
        "each round all rows, or a random share of them (subsample={subsample})",
        "a first guess + n_estimators={n_estimators} trees of max_depth={max_depth}, added up",
        "loss={loss}; its gradient by the predictions is what the next tree learns",
        "gradient descent by trees: a tree fits the negative gradients, its leaves are adjusted to "
        "the loss, learning_rate={learning_rate} scales it",
        "one tree a round (one a class, for more than two classes), n_estimators={n_estimators} "
        "rounds; n_iter_no_change={n_iter_no_change} may end it earlier",
    ),
    "HistGradientBoostingClassifier HistGradientBoostingRegressor": Page(
        "Gradient descent on the predictions, by trees over binned columns.",
        "each round all rows; each column is cut into at most max_bins={max_bins} bins first, with "
        "one more for missing values",
        "a first guess + up to max_iter={max_iter} trees of max_leaf_nodes={max_leaf_nodes}, "
        "added up",
        "loss={loss}; its gradients and second derivatives are summed by bin",
        "Newton steps by trees: a leaf is minus gradient over second derivative, scaled by "
        "learning_rate={learning_rate}",
        "one tree a round (one a class, for more than two classes), max_iter={max_iter} rounds; "
        "early_stopping={early_stopping} ('auto': with more than 10,000 rows)",
    ),
    "AdaBoostClassifier AdaBoostRegressor": Page(
        "Weak models one after another, each on the rows that the last ones got wrong.",
        "all rows, with weights that grow where the models so far are wrong",
        "n_estimators={n_estimators} copies of estimator={estimator} (None: a shallow tree), "
        "weighed by how good each is",
        "that of the copies; the reweighting acts like an exponential loss",
        "none: the weights of rows and models come from formulas; no gradients",
        "one model a round, at most n_estimators={n_estimators}",
    ),
    "KNeighborsClassifier KNeighborsRegressor RadiusNeighborsClassifier "
    "RadiusNeighborsRegressor": Page(
        "Nothing is learned: fit stores the rows, and predict looks for the near ones.",
        "all rows are kept, in a tree or as they are (algorithm={algorithm}); " + UNSCALED,
        "the stored rows; a new one gets the mean or the vote of its neighbours "
        "(weights={weights})",
        "none",
        "none",
        "none",
    ),
    "NearestCentroid": Page(
        "The centre of each class, computed once: no gradients, no epochs.",
        "all rows, one pass",
        "one centre a class; the nearest wins (metric={metric})",
        "none",
        "none: means (medians for metric='manhattan')",
        "none",
    ),
    "GaussianNB": Page(
        "Means and variances of each column in each class, in closed form.",
        "all rows, one pass",
        "a normal distribution a column and class; Bayes' rule, columns taken as independent",
        "the likelihood; its maximum is known, so nothing is minimised",
        "none: means and variances",
        "none",
    ),
    "MultinomialNB ComplementNB BernoulliNB CategoricalNB": Page(
        "Counts in each class, in closed form.",
        "all rows, one pass",
        "how often each value or word occurs in each class; Bayes' rule, columns taken as "
        "independent",
        "the likelihood; its maximum is known, so nothing is minimised",
        "none: counts, smoothed by alpha={alpha}",
        "none",
    ),
    "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis": Page(
        "Means and covariances of the classes, in closed form.",
        "all rows at once",
        "a normal distribution a class, with one covariance for all (linear) or its own "
        "(quadratic)",
        "the likelihood; its maximum is known, so nothing is minimised",
        "none: linear algebra (solver={solver})",
        "none",
    ),
    "GaussianProcessRegressor GaussianProcessClassifier": Page(
        "A distribution over functions: the rows are kept, the kernel's parameters are tuned.",
        "all rows are kept; memory grows with the square of their number",
        "kernel={kernel} between a new row and all stored ones (None: a constant times an RBF)",
        "the negative log marginal likelihood, for the kernel's free parameters",
        "optimizer={optimizer}: L-BFGS with gradients, if the kernel has free parameters; the rest "
        "is a Cholesky decomposition",
        "the iterations of L-BFGS; a classifier makes Newton steps inside each",
    ),
    "KernelRidge": Page(
        "Ridge in the space of a kernel, solved exactly in one go: no gradients, no epochs.",
        "all rows are kept",
        "a weighted sum of kernels ({kernel}) between a row and all stored ones",
        "squared residuals + alpha={alpha} times the squared norm of the function",
        "none: one linear system (K + alpha I) a = y, by Cholesky",
        "none",
    ),
    "IsotonicRegression": Page(
        "The best rising steps, found exactly in one pass.",
        "all rows, sorted by their one column",
        "a step function that only rises (or falls: increasing={increasing})",
        "the sum of squared residuals",
        "none: neighbours that break the order are pooled (PAVA)",
        "none",
    ),
    "DummyClassifier DummyRegressor": Page(
        "A rule that never looks at X: the least that any other model must beat.",
        "y alone",
        "strategy={strategy}",
        "none",
        "none: a count, a mean or a quantile",
        "none",
    ),
    "PLSRegression PLSCanonical CCA PLSSVD": Page(
        "Directions in which X and y vary together.",
        "all rows at once, centred and scaled (scale={scale})",
        "n_components={n_components} directions",
        "the covariance (CCA: correlation) of both sides, as large as possible",
        "none with a learning rate: power iterations or singular value decompositions",
        "one direction after another (PLSSVD: all at once)",
    ),
    "LabelPropagation LabelSpreading": Page(
        "Labels flow from labelled rows to their neighbours until they settle.",
        ALL_ROWS + "; those without a label are marked -1",
        "a graph of similarities (kernel={kernel}) and a distribution over labels a row",
        "none that is given",
        "none: labels are multiplied by the graph again and again; no gradients",
        UNTIL,
    ),
}
