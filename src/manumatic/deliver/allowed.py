"""What a bundle may name: classes and functions that are known here, never by the file's word.

The lists are code, reviewed as code. Nothing is imported because a file names it; a name is looked
up among these, or among what the caller passes as ``classes``.
"""

__all__ = ["SKLEARN_PARTS", "function_name", "known_class", "known_function", "name_of"]

import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

HOUSE = Path(__file__).parents[1]
# Our own modules whose classes hold data: settings, records, fitted parts.
OURS = {
    "manumatic.compare.candidates",
    "manumatic.compare.columns",
    "manumatic.doctor.finding",
    "manumatic.gears.autoencoder",
    "manumatic.gears.automatic",
    "manumatic.gears.embedder",
    "manumatic.gears.prepare",
    "manumatic.gears.reading",
    "manumatic.history",
    "manumatic.logbook",
    "manumatic.model_selection.ensemble",
    "manumatic.model_selection.search",
    "manumatic.parts.codes",
    "manumatic.parts.columns",
    "manumatic.parts.components",
    "manumatic.parts.finetune",
    "manumatic.parts.foundation",
    "manumatic.parts.link",
    "manumatic.parts.loss",
    "manumatic.parts.mixed",
    "manumatic.parts.objectives",
    "manumatic.parts.sequences",
    "manumatic.parts.tokens",
    "manumatic.task",
    *(
        f"manumatic.{folder}.{found.name}"
        for folder in ("convert", "nets")
        for found in pkgutil.iter_modules([str(HOUSE / folder)])
    ),
}
COMPUTING = ("manumatic.nets.", "manumatic.parts.objectives")  # whose functions do nothing else
ACTIVATIONS = (
    *("celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"),
    *("log_softmax", "logsigmoid", "mish", "normalize", "relu", "relu6", "rrelu", "selu", "silu"),
    *("softmax", "softplus", "softsign", "tanhshrink"),
)
LOSSES = (
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "huber_loss"),
    *("kl_div", "l1_loss", "mse_loss", "nll_loss", "poisson_nll_loss", "smooth_l1_loss"),
)
ELEMENTWISE = (
    *("abs", "atan", "cos", "erf", "exp", "expm1", "log", "log1p", "relu", "selu", "sigmoid"),
    *("sin", "softmax", "sqrt", "square", "tanh"),
)

# What skops does not trust by itself, and fitted scikit-learn estimators hold. None of these does
# anything but compute when it is built, given a state, or asked for predictions.
SKLEARN_PARTS = frozenset(
    {
        "manumatic.compare.candidates.FromLabels",
        "manumatic.compare.columns.Brightness",
        "manumatic.compare.columns.Columns",
        "manumatic.compare.columns.flatten",
        "manumatic.compare.steps.summary",
        "manumatic.deliver.state.Slot",
        "manumatic.parts.cells.date_names",
        "manumatic.parts.cells.dates",
        "manumatic.parts.cells.numbers",
        "manumatic.parts.cells.seconds",
        "manumatic.parts.cells.sentences",
        "manumatic.parts.cells.smooth_clip",
        "manumatic.parts.cells.words",
        "manumatic.parts.rows.as_images",
        "numpy.dtype",
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.interpolate._interpolate.interp1d",
        "scipy.sparse._csr.csr_array",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfGammaLoss",
        "sklearn._loss.loss.HalfPoissonLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.feature_selection._univariate_selection.r_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        *(
            f"sklearn.gaussian_process.kernels.{kernel}"
            for kernel in (
                *("CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared"),
                *("Exponentiation", "Hyperparameter", "Matern", "PairwiseKernel", "Product"),
                *("RBF", "RationalQuadratic", "Sum", "WhiteKernel"),
            )
        ),
        *(
            f"sklearn.metrics._dist_metrics.{metric}{bits}"
            for metric in (
                *("ChebyshevDistance", "EuclideanDistance", "ManhattanDistance"),
                *("MinkowskiDistance", "SEuclideanDistance"),
            )
            for bits in (32, 64)
        ),
        "sklearn.impute._iterative.IterativeImputer",
        "sklearn.impute._iterative._ImputerTriplet",
        "sklearn.metrics._classification.accuracy_score",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._classification.f1_score",
        "sklearn.metrics._regression.mean_squared_error",
        "sklearn.metrics._regression.r2_score",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
        "sklearn.model_selection._split.GroupKFold",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.RepeatedKFold",
        "sklearn.model_selection._split.RepeatedStratifiedKFold",
        "sklearn.model_selection._split.ShuffleSplit",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.model_selection._split.StratifiedShuffleSplit",
        "sklearn.model_selection._split.TimeSeriesSplit",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
    }
)


def name_of(known: Any) -> str:
    """``module:name`` of a class or function.

    Parameters
    ----------
    known : type or function

    Examples
    --------
    >>> name_of(nn.Linear)
    'torch.nn.modules.linear:Linear'
    """
    return f"{known.__module__}:{known.__qualname__}"


@cache
def _torch_classes() -> dict[str, type]:
    """Layers, optimizers and schedules that torch itself offers by name."""
    found = [
        *(v for v in vars(nn).values() if isinstance(v, type) and issubclass(v, nn.Module)),
        nn.modules.linear.NonDynamicallyQuantizableLinear,  # inside of MultiheadAttention
        *(
            v
            for v in vars(torch.optim).values()
            if isinstance(v, type) and issubclass(v, torch.optim.Optimizer)
        ),
        *(
            v
            for v in vars(lr_scheduler).values()
            if isinstance(v, type) and issubclass(v, lr_scheduler.LRScheduler)
        ),
    ]
    return {name_of(known): known for known in found}


@cache
def _functions() -> dict[str, Any]:
    """Functions that nets keep as attributes, and losses that are functions."""
    known = {f"torch.nn.functional:{name}": getattr(F, name) for name in (*ACTIVATIONS, *LOSSES)}
    return known | {f"torch:{name}": getattr(torch, name) for name in ELEMENTWISE}


def known_class(name: str, given: Iterable[Any] = ()) -> Any:
    """The class of a name, from the lists above or from what the caller gave; else None.

    Parameters
    ----------
    name : str
        As :func:`name_of` writes it.
    given : iterable of type or function
        Those of the caller; the name alone decides, because a class of a notebook has another
        place in a script.
    """
    place, _, title = name.partition(":")
    if name in _torch_classes():
        return _torch_classes()[name]
    if place in OURS:
        found = vars(import_module(place)).get(title)
        return found if isinstance(found, type) and found.__module__ == place else None
    return _given(title, given)


def known_function(name: str, given: Iterable[Any] = ()) -> Any:
    """The function of a name; else None.

    Parameters
    ----------
    name : str
    given : iterable of type or function
    """
    place, _, title = name.partition(":")
    if place in OURS and place.startswith(COMPUTING):
        found = vars(import_module(place)).get(title)
        own = isinstance(found, FunctionType) and found.__module__ == place
        return found if own else None
    return _functions().get(name) or _given(title, given)


def function_name(function: Any) -> str:
    """The name under which a function is written.

    Parameters
    ----------
    function : callable
    """
    known = (name for name, found in _functions().items() if found is function)
    return next(known, None) or name_of(function)


def _given(title: str, given: Iterable[Any]) -> Any:
    last = title.rpartition(".")[2]
    return next((one for one in given if getattr(one, "__name__", None) == last), None)
