"""What ``fit`` hides in scikit-learn's transformers, clusterings and estimators of estimators."""

__all__ = ["AROUND", "TRANSFORMERS"]

from manumatic.doctor.pages.linear import UNTIL, Page


def _closed(
    summary: str,
    model: str,
    data: str = "all rows, one pass",
    how: str = "none: statistics of columns",
) -> Page:
    """A page for what is computed once: no loss, no loop."""
    return Page(summary, data, model, "none", how, "none")


def _nothing(model: str) -> Page:
    """A page for what only checks the columns."""
    return Page(
        "Nothing is learned from the values: fit looks at the columns and their number.",
        "none of the values",
        model,
        "none",
        "none",
        "none",
    )


# One page for all the classes in its key.
TRANSFORMERS: dict[str, Page] = {
    "StandardScaler": _closed(
        "A mean and a standard deviation a column, computed once: no gradients, no epochs.",
        "(x - mean) / standard deviation (with_mean={with_mean}, with_std={with_std})",
        how="none: mean and variance in closed form",
    ),
    "MinMaxScaler MaxAbsScaler": _closed(
        "The extremes of each column, computed once.",
        "a shift and a scale a column",
        how="none: minimum and maximum",
    ),
    "RobustScaler": _closed(
        "The median and the spread of each column, computed once; outliers do not matter.",
        "(x - median) / range between the quantiles {quantile_range}",
        how="none: quantiles",
    ),
    "QuantileTransformer KBinsDiscretizer SplineTransformer": _closed(
        "Quantiles or edges of each column, computed once.",
        "a monotone map, bins or splines between those points",
        "all rows, or a random part of them (subsample)",
        how="none: quantiles, equal widths or a clustering of one column",
    ),
    "PowerTransformer": Page(
        "One exponent a column, by maximum likelihood.",
        "all rows, a column at a time",
        "{method} with an exponent a column, then standardised ({standardize})",
        "the negative log likelihood of a normal distribution",
        "a one-dimensional search; no gradients",
        "a few evaluations a column",
    ),
    "OneHotEncoder OrdinalEncoder LabelEncoder LabelBinarizer MultiLabelBinarizer "
    "DictVectorizer": _closed(
        "The list of values that occur, nothing more.",
        "a number or a column of 0 and 1 a value",
        how="none: the sorted distinct values",
    ),
    "TargetEncoder": _closed(
        "The mean target of each category, pulled towards the overall mean.",
        "one number a category (one a class for more than two)",
        "X and y; fit_transform computes it in folds (cv={cv}), so that no row sees its own y",
        "none: smoothed means",
    ),
    "SimpleImputer MissingIndicator": _closed(
        "One value a column to fill gaps with, computed once (MissingIndicator: where gaps are).",
        "missing → that value",
        how="none: a mean, median, most frequent value or constant",
    ),
    "KNNImputer": _closed(
        "fit stores the rows; transform fills gaps from the nearest ones.",
        "the stored rows; n_neighbors={n_neighbors}",
        "all rows are kept",
        "none",
    ),
    "CountVectorizer TfidfVectorizer TfidfTransformer": _closed(
        "A list of words, and for tf-idf in how many texts each occurs.",
        "a column a word",
        "all texts, one pass",
        "none: counts",
    ),
    "HashingVectorizer FeatureHasher": _nothing("a hash gives each word its column"),
    "Normalizer Binarizer FunctionTransformer PolynomialFeatures AdditiveChi2Sampler "
    "SparseCoder PatchExtractor": _nothing("a fixed function of each row"),
    "GaussianRandomProjection SparseRandomProjection RBFSampler SkewedChi2Sampler "
    "PolynomialCountSketch": Page(
        "Nothing is learned from the values: fit draws random weights.",
        "only the number of columns (and of rows, for n_components='auto')",
        "a random projection to n_components={n_components}",
        "none",
        "none: a draw by random_state={random_state}",
        "none",
    ),
    "Nystroem": _closed(
        "A kernel, approximated by n_components={n_components} rows drawn at random.",
        "kernel={kernel} with the chosen rows, then a linear map",
        "a random subset of rows",
        "none: a singular value decomposition",
    ),
    "VarianceThreshold SelectKBest SelectPercentile SelectFpr SelectFdr SelectFwe "
    "GenericUnivariateSelect": _closed(
        "A score a column, computed once; the columns above a limit stay.",
        "a choice of columns",
        how="none: variances or a statistical test a column",
    ),
    "PCA": Page(
        "The directions of largest variance, by linear algebra: no gradients, no epochs.",
        "all rows at once, centred (not scaled)",
        "n_components={n_components} orthogonal directions",
        "the squared error of the reconstruction; its minimum is known",
        "none: a singular value decomposition, or an eigendecomposition of the covariance "
        "(svd_solver={svd_solver})",
        "none",
    ),
    "TruncatedSVD": _closed(
        "The strongest directions of X, by linear algebra: no gradients, no epochs.",
        "n_components={n_components} orthogonal directions; X is not centred",
        "all rows at once",
        "none: a truncated singular value decomposition (algorithm={algorithm})",
    ),
    "IncrementalPCA": Page(
        "PCA batch by batch: each updates one decomposition; no gradients.",
        "batches of batch_size={batch_size} rows, in their order",
        "n_components={n_components} orthogonal directions",
        "the squared error of the reconstruction",
        "none: a singular value decomposition of what is known and the new batch",
        "one pass over the batches",
    ),
    "KernelPCA ClassicalMDS Isomap LocallyLinearEmbedding SpectralEmbedding": _closed(
        "Similarities or distances between all rows, then an eigendecomposition: no gradients.",
        "coordinates from the leading eigenvectors",
        "all pairs of rows, or of neighbours",
        "none: an eigendecomposition",
    ),
    "KernelCenterer": _closed(
        "The means of similarities, computed once.",
        "similarities as if the rows were centred in the space of the kernel",
        how="none: means",
    ),
    "NMF MiniBatchNMF": Page(
        "Two factors without negative numbers, improved in turns.",
        "all rows at once (MiniBatchNMF: batches)",
        "X = W H with n_components={n_components}",
        "beta_loss={beta_loss} between X and W H, + penalties if asked for",
        "coordinate descent or multiplicative updates: exact small steps, no learning rate",
        UNTIL,
    ),
    "FastICA": Page(
        "Independent directions, by fixed-point iterations.",
        "all rows at once, centred and whitened",
        "n_components={n_components} directions",
        "how far from normal the components are (fun={fun}), as far as possible",
        "a fixed-point (Newton-like) update; no learning rate",
        UNTIL,
    ),
    "FactorAnalysis": Page(
        "Factors and a noise a column, by maximum likelihood.",
        "all rows at once, centred",
        "n_components={n_components} factors + noise with a variance a column",
        "the negative log likelihood",
        "none with a learning rate: a singular value decomposition and new noise variances, in "
        "turns",
        UNTIL,
    ),
    "LatentDirichletAllocation": Page(
        "Topics of texts, by variational Bayes.",
        "counts; all texts or batches (learning_method={learning_method})",
        "n_components={n_components} topics",
        "a bound of the likelihood",
        "coordinate ascent: topics of texts and words of topics in turns",
        "passes over the texts, max_iter={max_iter}",
    ),
    "DictionaryLearning MiniBatchDictionaryLearning SparsePCA MiniBatchSparsePCA": Page(
        "Atoms and sparse codes, improved in turns.",
        "all rows at once (MiniBatch…: batches)",
        "n_components={n_components} atoms; each row is a sum of few",
        "squared residuals + alpha={alpha} times the L1 norm of what shall be sparse",
        "coordinate descent or least angle regression (method/fit_algorithm), in turns",
        "iterations until tol={tol}, at most max_iter={max_iter}",
    ),
    "BernoulliRBM": Page(
        "A restricted Boltzmann machine by stochastic gradient ascent.",
        "minibatches of batch_size={batch_size} rows",
        "n_components={n_components} hidden units",
        "the negative log likelihood, its gradient estimated by sampling",
        "persistent contrastive divergence, learning_rate={learning_rate}",
        "n_iter={n_iter} epochs",
    ),
    "TSNE": Page(
        "A map of the rows, by gradient descent on their positions.",
        "all pairs of rows, or of neighbours (method={method})",
        "one position a row; there is no function for new rows",
        "the divergence between neighbourhoods in the columns and on the map",
        "gradient descent with momentum, learning_rate={learning_rate}; gradients in closed form",
        "max_iter={max_iter} steps, exaggerated at first",
    ),
    "MDS": Page(
        "A map that keeps distances, by majorisation (SMACOF).",
        "all pairs of rows",
        "one position a row; there is no function for new rows",
        "stress: squared differences of distances",
        "none with a learning rate: each step minimises a bound of the stress exactly",
        "at most max_iter={max_iter} iterations from n_init={n_init} starts",
    ),
    "NeighborhoodComponentsAnalysis": Page(
        "A linear map under which neighbours share their class, with gradients.",
        "all pairs of rows",
        "x → A x",
        "the chance that a row's random neighbour has another class",
        "L-BFGS with the gradient over all rows",
        UNTIL,
    ),
    "KMeans BisectingKMeans": Page(
        "Lloyd's algorithm: rows to the nearest centre, centres to the mean of their rows.",
        "all rows at once, in each iteration",
        "n_clusters={n_clusters} centres",
        "the sum of squared distances to the nearest centre (inertia)",
        "none with a learning rate: the two steps in turns ({algorithm}), started by init={init}",
        "iterations until the centres move less than tol={tol}, at most max_iter={max_iter}; "
        "n_init={n_init} starts",
    ),
    "MiniBatchKMeans": Page(
        "KMeans batch by batch: each pulls its nearest centres towards it.",
        "random batches of batch_size={batch_size} rows",
        "n_clusters={n_clusters} centres",
        "the sum of squared distances to the nearest centre (inertia)",
        "running means: the more rows a centre has seen, the less it moves",
        "batches, at most max_iter={max_iter} passes, fewer without gain",
    ),
    "GaussianMixture BayesianGaussianMixture": Page(
        "Expectation-maximisation: shares of the rows, then the best parameters for them.",
        "all rows at once, in each iteration",
        "n_components={n_components} normal distributions, covariance_type={covariance_type}",
        "the negative log likelihood (Bayesian: a bound of it)",
        "none with a learning rate: both steps are closed forms and never make it worse",
        "iterations until the gain is below tol={tol}, at most max_iter={max_iter}; "
        "n_init={n_init} starts",
    ),
    "DBSCAN OPTICS HDBSCAN": _closed(
        "Dense regions grow from row to row: no centres, no gradients, no epochs.",
        "a label a row; there is no function for new rows",
        "all rows and their neighbours",
        "none: a search through neighbours",
    ),
    "AgglomerativeClustering FeatureAgglomeration": _closed(
        "The two nearest groups merge, again and again: greedy, no gradients.",
        "a tree of merges, cut at n_clusters={n_clusters}",
        "all pairs of rows (FeatureAgglomeration: of columns)",
        "none: linkage={linkage}, never taken back",
    ),
    "MeanShift AffinityPropagation Birch": Page(
        "Groups by iterating simple rules: no gradients.",
        "all rows (Birch: one after another, into a tree)",
        "centres or exemplars",
        "none that is given",
        "none with a learning rate: means of neighbours, messages between rows, or a tree of sums",
        "until nothing changes (Birch: one pass)",
    ),
    "SpectralClustering SpectralBiclustering SpectralCoclustering": _closed(
        "Eigenvectors of similarities, then a simple clustering of them.",
        "a label a row (and column)",
        "all pairs of rows, or of neighbours",
        "none: an eigendecomposition, then a clustering of few coordinates",
    ),
    "NearestNeighbors KNeighborsTransformer RadiusNeighborsTransformer LocalOutlierFactor "
    "KernelDensity": _closed(
        "Nothing is learned: fit stores the rows, and later looks for the near ones.",
        "the stored rows (LocalOutlierFactor: and how dense it is around each)",
        "all rows are kept, in a tree or as they are (algorithm={algorithm})",
        "none",
    ),
    "IsolationForest RandomTreesEmbedding": Page(
        "Random trees: how soon a row stands alone, or in which leaves it ends.",
        "for each tree, rows drawn at random (RandomTreesEmbedding: all rows)",
        "n_estimators={n_estimators} trees",
        "none",
        "none: columns and thresholds are drawn at random",
        "none over epochs: trees do not learn from each other",
    ),
    "EmpiricalCovariance ShrunkCovariance LedoitWolf OAS MinCovDet EllipticEnvelope": _closed(
        "Mean and covariance, in closed form (MinCovDet, EllipticEnvelope: of the densest subset).",
        "one normal distribution",
        "all rows, or the subset with the smallest determinant",
        "none: means of products, some shrunk by a formula; the subset grows from random ones",
    ),
    "GraphicalLasso GraphicalLassoCV": Page(
        "A sparse inverse covariance, by coordinate descent.",
        "the empirical covariance of all rows",
        "one normal distribution whose inverse covariance has zeros",
        "the negative log likelihood + an L1 penalty",
        "a lasso a column, by coordinate descent or LARS (mode={mode})",
        UNTIL,
    ),
}

# Estimators that fit others; what they do with them.
AROUND: dict[str, str] = {
    "Pipeline": "the steps are fitted in order, each on what the one before makes of X",
    "ColumnTransformer FeatureUnion": "each part is fitted on its columns, side by side",
    "GridSearchCV RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV": "a copy is fitted "
    "for each candidate and fold, then the best once more on all rows (refit)",
    "VotingClassifier VotingRegressor": "each is fitted on all rows; predict averages or votes",
    "StackingClassifier StackingRegressor": "each is fitted on all rows; the last learns from "
    "their predictions for rows left out (cross_val_predict)",
    "BaggingClassifier BaggingRegressor": "copies are fitted on rows drawn with replacement, apart "
    "from each other; predict averages",
    "OneVsRestClassifier OneVsOneClassifier OutputCodeClassifier": "a copy is fitted for each "
    "two-class question made of the labels",
    "MultiOutputClassifier MultiOutputRegressor": "a copy is fitted for each column of y",
    "ClassifierChain RegressorChain": "a copy is fitted for each column of y and sees the columns "
    "before it",
    "CalibratedClassifierCV": "copies are fitted in folds; a sigmoid, isotonic or temperature map "
    "from their scores to probabilities is fitted on the rows left out",
    "FixedThresholdClassifier TunedThresholdClassifierCV": "it is fitted; then a threshold is "
    "given, or the best of many by cross-validation",
    "RFE RFECV SelectFromModel SequentialFeatureSelector": "it is fitted (again and again) to say "
    "which columns matter; those stay",
    "SelfTrainingClassifier": "it is fitted on the labelled rows, its sure predictions become "
    "labels, and again",
    "TransformedTargetRegressor": "y is transformed, it is fitted on that, predictions go back",
    "FrozenEstimator": "nothing: it is fitted already, and fit leaves it as it is",
    "IterativeImputer": "each column with gaps is predicted from the others by it, in rounds",
}
