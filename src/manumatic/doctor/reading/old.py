"""The table of names that are gone or deprecated.

Each row was checked against the libraries it names, and a test checks it again, against those that
are installed: what is not there must be missing, what is deprecated must warn.
"""

__all__ = ["OLD", "Old"]

import re
from collections.abc import Iterator
from typing import NamedTuple


class Old(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name : str
        Where it lives or lived: "numpy.float", "pandas.DataFrame.append".
    parameter : str
        Where only a parameter is old: "sparse"; otherwise empty.
    value : str
        Where only a value of it is old: "log"; otherwise empty.
    since : str
        What happened, and when: "gone since NumPy 1.24".
    instead : str
        One line of code.
    """

    name: str
    parameter: str
    value: str
    since: str
    instead: str

    def __str__(self) -> str:
        value = repr(self.value) if self.value else "..."
        return f"{self.name}({self.parameter}={value})" if self.parameter else self.name


# name, name(parameter) or name(parameter=value); {a,b} stands for both | since | instead
TABLE = """
sklearn.datasets.load_boston | gone since scikit-learn 1.2
    houses = mm.datasets.load_houses()  # 506×13, made up, no download
sklearn.datasets.fetch_mldata | gone since scikit-learn 0.22
    sklearn.datasets.fetch_openml(name, version=1)
sklearn.datasets.samples_generator | gone since scikit-learn 0.24
    from sklearn.datasets import make_blobs
sklearn.externals.joblib | gone since scikit-learn 0.23
    import joblib
sklearn.externals.six | gone since scikit-learn 0.23
    import six
sklearn.{cross_validation,grid_search,learning_curve} | gone since scikit-learn 0.20
    from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
sklearn.model_selection.plot_learning_curve | no name of scikit-learn
    LearningCurveDisplay.from_estimator(model, X, y)  # from sklearn.model_selection
sklearn.metrics.plot_confusion_matrix | gone since scikit-learn 1.2
    ConfusionMatrixDisplay.from_estimator(model, X, y)  # from sklearn.metrics
sklearn.metrics.plot_roc_curve | gone since scikit-learn 1.2
    RocCurveDisplay.from_estimator(model, X, y)  # from sklearn.metrics
sklearn.metrics.plot_precision_recall_curve | gone since scikit-learn 1.2
    PrecisionRecallDisplay.from_estimator(model, X, y)  # from sklearn.metrics
sklearn.metrics.plot_det_curve | gone since scikit-learn 1.2
    DetCurveDisplay.from_estimator(model, X, y)  # from sklearn.metrics
sklearn.inspection.plot_partial_dependence | gone since scikit-learn 1.2
    PartialDependenceDisplay.from_estimator(model, X, features)  # from sklearn.inspection
sklearn.metrics.jaccard_similarity_score | gone since scikit-learn 0.23
    from sklearn.metrics import jaccard_score
sklearn.metrics.calinski_harabaz_score | gone since scikit-learn 0.23
    from sklearn.metrics import calinski_harabasz_score
sklearn.metrics.SCORERS | gone since scikit-learn 1.3
    sklearn.metrics.get_scorer_names()
sklearn.preprocessing.Imputer | gone since scikit-learn 0.22
    from sklearn.impute import SimpleImputer
sklearn.mixture.GMM | gone since scikit-learn 0.20
    from sklearn.mixture import GaussianMixture
sklearn.lda | gone since scikit-learn 0.19
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
sklearn.qda | gone since scikit-learn 0.19
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
sklearn.decomposition.RandomizedPCA | gone since scikit-learn 0.20
    PCA(n_components, svd_solver="randomized")
sklearn.linear_model.{RandomizedLogisticRegression,RandomizedLasso} | gone since scikit-learn 0.21
    SelectFromModel(LassoCV())  # from sklearn.feature_selection
sklearn.linear_model.{PassiveAggressiveClassifier,
  PassiveAggressiveRegressor} | deprecated since scikit-learn 1.8
    SGDClassifier(loss="hinge", penalty=None, learning_rate="pa1", eta0=1.0)
sklearn.utils.testing | gone since scikit-learn 0.24
    from numpy.testing import assert_allclose
sklearn.{preprocessing.OneHotEncoder,preprocessing.PolynomialFeatures,
  feature_extraction.text.CountVectorizer,feature_extraction.text.TfidfVectorizer,
  feature_extraction.DictVectorizer}.get_feature_names | gone since scikit-learn 1.2
    names = transformer.get_feature_names_out()
sklearn.preprocessing.OneHotEncoder(sparse) | gone since scikit-learn 1.4
    OneHotEncoder(sparse_output=False)
sklearn.preprocessing.OneHotEncoder({categorical_features,
  n_values}) | gone since scikit-learn 0.22
    ColumnTransformer([("text", OneHotEncoder(), columns)], remainder="passthrough")
sklearn.linear_model.{LinearRegression,Ridge,Lasso,ElasticNet,LassoCV,
  RidgeCV}(normalize) | gone since scikit-learn 1.2
    make_pipeline(StandardScaler(), NAME())
sklearn.linear_model.{LassoCV,ElasticNetCV}(n_alphas) | gone since scikit-learn 1.9
    NAME(alphas=100)
sklearn.linear_model.LogisticRegression(multi_class) | gone from scikit-learn
    OneVsRestClassifier(LogisticRegression())  # for "ovr"; "multinomial" is what it does
sklearn.linear_model.LogisticRegression(penalty) | deprecated since scikit-learn 1.8
    LogisticRegression(l1_ratio=0.0, C=1.0)  # 0 is L2, 1 is L1, C=np.inf is no penalty
sklearn.linear_model.LogisticRegression(n_jobs) | without effect since scikit-learn 1.8
    LogisticRegression()
sklearn.linear_model.{SGDClassifier,SGDRegressor,
  Perceptron}(n_iter) | gone since scikit-learn 0.21
    NAME(max_iter=1000)
sklearn.linear_model.SGDClassifier(loss=log) | gone since scikit-learn 1.3
    SGDClassifier(loss="log_loss")
sklearn.linear_model.SGDRegressor(loss=squared_loss) | gone since scikit-learn 1.2
    SGDRegressor(loss="squared_error")
sklearn.svm.SVC(probability) | deprecated since scikit-learn 1.9
    CalibratedClassifierCV(SVC(), ensemble=False)  # from sklearn.calibration
sklearn.metrics.{mean_squared_error,mean_squared_log_error}(squared) | gone since scikit-learn 1.6
    sklearn.metrics.root_mean_squared_error(y_true, y_pred)
sklearn.metrics.log_loss(eps) | gone since scikit-learn 1.5
    log_loss(y_true, y_prob)
sklearn.cluster.KMeans(n_jobs) | gone since scikit-learn 1.0
    KMeans(n_clusters)
sklearn.cluster.KMeans(algorithm={full,auto}) | gone since scikit-learn 1.3
    KMeans(n_clusters, algorithm="lloyd")
sklearn.cluster.AgglomerativeClustering(affinity) | gone since scikit-learn 1.4
    AgglomerativeClustering(metric="euclidean")
sklearn.manifold.TSNE(n_iter) | gone since scikit-learn 1.7
    TSNE(max_iter=1000)
sklearn.ensemble.{RandomForestClassifier,
  RandomForestRegressor}(max_features=auto) | gone since scikit-learn 1.3
    NAME(max_features="sqrt")  # in regressors it meant 1.0
sklearn.{tree.DecisionTreeRegressor,ensemble.RandomForestRegressor,
  ensemble.GradientBoostingRegressor}(criterion=mse) | gone since scikit-learn 1.2
    NAME(criterion="squared_error")
sklearn.{tree.DecisionTreeRegressor,
  ensemble.RandomForestRegressor}(criterion=mae) | gone since scikit-learn 1.2
    NAME(criterion="absolute_error")
sklearn.ensemble.GradientBoostingClassifier(loss=deviance) | gone since scikit-learn 1.3
    GradientBoostingClassifier(loss="log_loss")
sklearn.ensemble.GradientBoostingRegressor(loss={ls,lad}) | gone since scikit-learn 1.2
    GradientBoostingRegressor(loss="squared_error")  # "lad" is "absolute_error"
sklearn.ensemble.{AdaBoostClassifier,AdaBoostRegressor,BaggingClassifier,
  BaggingRegressor}(base_estimator) | gone since scikit-learn 1.4
    NAME(estimator=model)
sklearn.calibration.CalibratedClassifierCV(base_estimator) | gone since scikit-learn 1.4
    NAME(estimator=model)
sklearn.calibration.CalibratedClassifierCV(cv=prefit) | gone since scikit-learn 1.8
    CalibratedClassifierCV(FrozenEstimator(model))  # from sklearn.frozen
sklearn.ensemble.AdaBoostClassifier(algorithm) | gone since scikit-learn 1.8
    AdaBoostClassifier()
sklearn.model_selection.{GridSearchCV,RandomizedSearchCV}(iid) | gone since scikit-learn 0.24
    NAME(model, grid)
sklearn.model_selection.{cross_val_score,cross_validate}(fit_params) | gone since scikit-learn 1.6
    NAME(model, X, y, params={...})
sklearn.model_selection.cross_val_score(scoring={mean_squared_error,
  mean_absolute_error}) | gone since scikit-learn 0.20
    cross_val_score(model, X, y, scoring="neg_mean_squared_error")
torch.autograd.Variable | without effect since PyTorch 0.4
    X = torch.tensor(data)  # needs no Variable around it
torch.jit.script | deprecated in PyTorch
    torch.export.export(model.eval(), (X,))
torch.jit.trace | deprecated in PyTorch
    torch.export.export(model.eval(), (X,))
torch.cuda.amp.autocast | deprecated since PyTorch 2.4
    with torch.amp.autocast("cuda"): ...
torch.cpu.amp.autocast | deprecated since PyTorch 2.4
    with torch.amp.autocast("cpu"): ...
torch.cuda.amp.GradScaler | deprecated since PyTorch 2.4
    scaler = torch.amp.GradScaler("cuda")
torch.{symeig,eig,solve,lstsq} | gone from PyTorch
    torch.linalg.eigh(A); torch.linalg.solve(A, b); torch.linalg.lstsq(A, b)
torch.matrix_rank | gone from PyTorch
    torch.linalg.matrix_rank(A)
torch.rfft | gone from PyTorch
    torch.fft.rfft(x)
torch.{qr,cholesky} | deprecated in PyTorch
    torch.linalg.qr(A); torch.linalg.cholesky(A)
torch.range | deprecated in PyTorch
    torch.arange(start, stop)  # without stop itself
torch.set_default_tensor_type | deprecated since PyTorch 2.1
    torch.set_default_dtype(torch.float32); torch.set_default_device("cuda")
torch.nn.utils.clip_grad_norm | deprecated since PyTorch 0.4
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
torch.nn.utils.weight_norm | deprecated in PyTorch
    torch.nn.utils.parametrizations.weight_norm(layer)
torch.nn.init.{xavier_uniform,xavier_normal,kaiming_uniform,kaiming_normal,uniform,normal,
  orthogonal} | deprecated since PyTorch 0.4
    torch.nn.init.NAME_(weight)  # with an underscore: in place
torch.nn.init.constant | deprecated since PyTorch 0.4
    torch.nn.init.constant_(bias, 0.0)
torch.nn.functional.upsample | deprecated in PyTorch
    torch.nn.functional.interpolate(x, scale_factor=2)
torch.nn.NLLLoss2d | deprecated in PyTorch
    torch.nn.NLLLoss()
torch.testing.assert_allclose | deprecated since PyTorch 1.12
    torch.testing.assert_close(actual, expected)
torch.nn.{MSELoss,L1Loss,SmoothL1Loss,CrossEntropyLoss,NLLLoss,BCELoss,BCEWithLogitsLoss,
  KLDivLoss}({size_average,reduce}) | deprecated in PyTorch
    loss_fn = torch.nn.NAME(reduction="mean")  # or "sum", "none"
torch.nn.functional.{mse_loss,l1_loss,smooth_l1_loss,cross_entropy,nll_loss,
  binary_cross_entropy,binary_cross_entropy_with_logits,
  kl_div}({size_average,reduce}) | deprecated in PyTorch
    torch.nn.functional.NAME(output, target, reduction="mean")  # or "sum", "none"
torch.optim.lr_scheduler.{StepLR,MultiStepLR,ExponentialLR,CosineAnnealingLR,LambdaLR,
  OneCycleLR,CyclicLR,ReduceLROnPlateau}(verbose) | gone from PyTorch
    print(scheduler.get_last_lr())
numpy.{float,int,object,str,complex} | gone since NumPy 1.24
    np.float64, np.int64, or Python's own float, int, object, str, complex
numpy.float_ | gone since NumPy 2.0
    np.float64
numpy.complex_ | gone since NumPy 2.0
    np.complex128
numpy.{unicode_,string_,unicode} | gone since NumPy 2.0
    np.str_, np.bytes_
numpy.bool8 | gone since NumPy 2.0
    np.bool_
numpy.{NaN,NAN} | gone since NumPy 2.0
    np.nan
numpy.{Inf,Infinity,infty,PINF,NINF} | gone since NumPy 2.0
    np.inf, -np.inf
numpy.{product,cumproduct} | gone since NumPy 2.0
    np.prod(a), np.cumprod(a)
numpy.{alltrue,sometrue} | gone since NumPy 2.0
    np.all(a), np.any(a)
numpy.in1d | gone from NumPy
    np.isin(a, b)
numpy.trapz | gone from NumPy
    np.trapezoid(y, x)
numpy.row_stack | deprecated since NumPy 2.0
    np.vstack(rows)
numpy.asfarray | gone since NumPy 2.0
    np.asarray(a, dtype=float)
numpy.{asscalar,rank,math,mat,msort,round_} | gone from NumPy
    a.item(), a.ndim, math, np.asmatrix(a), np.sort(a, axis=0), np.round(a)
numpy.random.random_integers | deprecated since NumPy 1.11
    np.random.randint(low, high + 1)
pandas.Panel | gone from pandas
    pd.concat(frames, keys=names)
pandas.{rolling_mean,rolling_std,ewma} | gone from pandas
    frame.rolling(window).mean(); frame.ewm(span=10).mean()
pandas.datetime | gone since pandas 2.0
    from datetime import datetime
pandas.np | gone since pandas 2.0
    import numpy as np
pandas.{Int64Index,Float64Index} | gone since pandas 2.0
    pd.Index(values, dtype="int64")
pandas.value_counts | gone from pandas
    pd.Series(values).value_counts()
pandas.scatter_matrix | gone from pandas
    pd.plotting.scatter_matrix(frame)
pandas.io.json.json_normalize | gone from pandas
    pd.json_normalize(records)
pandas.{DataFrame,Series}.append | gone since pandas 2.0
    frame = pd.concat([frame, more], ignore_index=True)
pandas.{DataFrame,Series}.ix | gone since pandas 1.0
    frame.loc[label], frame.iloc[number]
pandas.{DataFrame,Series}.iteritems | gone since pandas 2.0
    for name, column in frame.items(): ...
pandas.DataFrame.applymap | gone from pandas
    frame.map(function)
pandas.{DataFrame,Series}.as_matrix | gone from pandas
    frame.to_numpy()
pandas.{DataFrame,Series}.mad | gone from pandas
    (frame - frame.mean()).abs().mean()
pandas.{DataFrame,Series}.fillna(method) | gone from pandas
    frame.ffill(); frame.bfill()
pandas.read_csv(delim_whitespace) | gone from pandas
    pd.read_csv(path, sep=r"\\s+")
pandas.read_csv({error_bad_lines,warn_bad_lines}) | gone from pandas
    pd.read_csv(path, on_bad_lines="skip")
pandas.read_csv(squeeze) | gone from pandas
    pd.read_csv(path).squeeze("columns")
pandas.read_csv({infer_datetime_format,date_parser}) | gone from pandas
    pd.read_csv(path, parse_dates=["day"], date_format="%d.%m.%Y")
pandas.to_datetime(infer_datetime_format) | gone from pandas
    pd.to_datetime(column)
"""


def _rows(table: str) -> Iterator[Old]:
    lines = re.sub(r",\n +", ",", table).strip().splitlines()
    for head, instead in zip(lines[::2], lines[1::2], strict=True):
        names, since = head.split(" | ")
        for name in _spread(names):
            place, _, given = name.rstrip(")").partition("(")
            parameter, _, value = given.partition("=")
            line = instead.strip().replace("NAME", place.rpartition(".")[2])
            yield Old(place, parameter, value, since, line)


def _spread(text: str) -> list[str]:
    """a.{b,c} → a.b, a.c."""
    found = re.search(r"\{(.*?)\}", text)
    if not found:
        return [text]
    choices = found[1].split(",")
    return [
        one for c in choices for one in _spread(text[: found.start()] + c + text[found.end() :])
    ]


OLD = tuple(_rows(TABLE))
