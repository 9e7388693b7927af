"""``to_torch``: a fitted scikit-learn estimator as an ``nn.Module`` with the same predictions."""

__all__ = ["Converted", "to_torch"]

import fnmatch
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from manumatic.convert.border import Border, Column
from manumatic.convert.parity import parity
from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build
from manumatic.errors import ComponentError, ConvertError

CHUNK = 2048  # rows at a time, so that what a kernel or a forest needs stays in the cache


def to_torch(
    estimator: Any,
    *,
    dtype: torch.dtype = torch.float64,
    soft: float | None = None,
    freeze: str | Sequence[str] = (),
    check: Any = None,
) -> "Converted":
    """A fitted scikit-learn estimator or pipeline as an ``nn.Module`` with the same predictions.

    Parameters
    ----------
    estimator : estimator
        Fitted: a model, a transformer, a ``Pipeline``, a search, a manumatic estimator.
    dtype : torch.dtype
        ``torch.float64`` computes as scikit-learn does; ``torch.float32`` is smaller and as good
        for training on. ``module.float()`` changes it later.
    soft : float, optional
        The temperature τ of soft trees: a row goes left with the probability sigmoid((threshold −
        x) / τ), so that gradients pass and thresholds can be trained. None keeps the exact trees,
        whose leaves alone can be trained.
    freeze : str or sequence of str
        Patterns of parameter names (``"net.steps.scaler.*"``) that training shall not change.
    check : array or DataFrame (n, features), optional
        Rows to compare with the estimator at once.

    Returns
    -------
    Converted
        On tensors, ``module(X)`` gives numbers to train on. Its ``predict``, ``predict_proba``,
        ``transform`` … take rows of any kind and give what the estimator gives.

    Raises
    ------
    NotFittedError
        The estimator has not seen data yet; ``mm.shift`` takes those.
    ConvertError
        Nobody has registered a converter for it or a part of it, a parameter has no counterpart, or
        the rows of ``check`` come out differently.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"]
    >>> module = to_torch(LogisticRegression().fit(X, y))
    >>> module.predict([[0.4], [2.6]]).tolist()
    ['no', 'yes']
    >>> module(torch.tensor([[1.5]])).softmax(1).round(decimals=3)
    tensor([[0.5000, 0.5000]], dtype=torch.float64, grad_fn=<RoundBackward1>)
    """
    check_is_fitted(estimator)
    if soft is not None and not soft > 0:
        raise ComponentError(f"soft is a temperature, more than 0; got {soft!r}")
    names = getattr(estimator, "feature_names_in_", None)
    n_features = getattr(estimator, "n_features_in_", None)
    if n_features is None and not get_tags(estimator).input_tags.two_d_array:
        n_features = 1  # isotonic regression
    if n_features is None:
        Build(soft=soft).convert(estimator)  # if that is no help either, it says so better
        raise ConvertError(
            f"{type(estimator).__name__} does not say how many columns it takes (n_features_in_); "
            "put it into a Pipeline behind a step that does"
        )
    told = range(n_features) if names is None else names
    columns = [Column(str(name)) for name in told]
    net = Build(soft=soft).convert(estimator, columns)
    for column in net.columns or ():
        if column.kind != "word":
            column.read_as_number(type(estimator).__name__)
            continue
        raise ConvertError(
            f"{type(estimator).__name__} gives the words of {column.name!r} as they are, and a "
            "tensor has none; encode the column as a last step"
        )
    module = Converted(net, Border(columns, names is not None)).to(dtype).eval()
    _freeze(module, [freeze] if isinstance(freeze, str) else freeze)
    if check is not None:
        parity(estimator, module, check).require()
    return module


def _freeze(module: nn.Module, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        found = [w for name, w in module.named_parameters() if fnmatch.fnmatch(name, pattern)]
        if not found:
            names = [name for name, _ in module.named_parameters()]
            raise ComponentError(
                f"freeze={pattern!r} matches no parameter; there are {', '.join(names[:20])}"
            )
        for weight in found:
            weight.requires_grad_(False)


Method = TypeVar("Method", bound=Callable[..., Any])


def _has(method: str) -> Callable[[Method], Method]:
    """A method that is there where the estimator has it."""
    found: Any = available_if(lambda module: method in module.net.methods)
    return found


class Converted(nn.Module):
    """A fitted estimator as a module; :func:`to_torch` makes it.

    The rows of ``module(X)`` are one tensor (n, features): numbers as they are, words as codes,
    which ``module.encode(rows)`` looks up. It returns predictions (n, targets), scores (n, classes)
    or transformed rows (n, outputs). The methods of scikit-learn take rows of any kind, and return
    what the estimator returns: arrays, or for a tensor, tensors.

    Parameters
    ----------
    net : Piece
        What was converted.
    border : Border
        Rows of any kind → one tensor.

    Attributes
    ----------
    classes_ : ndarray (k,) or list of ndarray
        The labels, where there are some.
    border : Border
        A scikit-learn transformer; manumatic's estimators put it before the module.
    """

    net: Piece
    like: Tensor

    def __init__(self, net: Piece, border: Border) -> None:
        super().__init__()
        self.net, self.border = net, border
        # where, and in what type; not empty, for torch.export cannot tell empty tensors apart
        self.register_buffer("like", torch.zeros(1, dtype=torch.float64), persistent=False)
        if net.classes is not None:
            self.classes_ = net.classes

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns; AttributeError where the estimator saw none."""
        if not self.border.named:
            raise AttributeError("the estimator was fitted on rows without names")
        return np.array([column.name for column in self.border.columns], dtype=object)

    @property
    def n_features_in_(self) -> int:
        """How many columns rows have."""
        return len(self.border.columns)

    def encode(self, X: Any) -> Tensor:
        """Rows of any kind → the tensor (n, features) that the module takes, on its device."""
        if isinstance(X, Tensor):
            return X.to(self.like)
        rows = np.require(self.border.transform(X), requirements="W")  # torch has no others
        return torch.from_numpy(rows).to(self.like)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets), scores (n, classes), or transformed rows (n, outputs)."""
        return self.net(x.to(self.like.dtype))

    @_has("predict")
    def predict(self, X: Any) -> Any:
        """Labels or numbers (n,) or (n, targets)."""
        return self._call("predict", X)

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> Any:
        """Probabilities (n, classes)."""
        return self._call("predict_proba", X)

    @_has("predict_log_proba")
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the probabilities (n, classes)."""
        return self._call("predict_log_proba", X)

    @_has("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Scores (n,) or (n, classes)."""
        return self._call("decision_function", X)

    @_has("score_samples")
    def score_samples(self, X: Any) -> Any:
        """One number a row (n,): how likely or how normal it is."""
        return self._call("score_samples", X)

    @_has("transform")
    def transform(self, X: Any) -> Any:
        """Transformed rows (n, outputs)."""
        return self._call("transform", X)

    @_has("inverse_transform")
    def inverse_transform(self, X: Any) -> Any:
        """From transformed rows (n, outputs) back to rows (n, features)."""
        return self._call("inverse_transform", X)

    def _call(self, method: str, X: Any) -> Any:
        given = X
        if method == "inverse_transform":
            X = X.toarray() if hasattr(X, "toarray") else X
            X = torch.as_tensor(np.asarray(X)) if not isinstance(X, Tensor) else X
        x = self.encode(X)
        if isinstance(given, Tensor):
            return self._read(method, self.net.call(method, x), tensors=True)
        with torch.inference_mode():
            parts = [self.net.call(method, rows) for rows in x.split(CHUNK)]
        return self._read(method, _joined(parts), tensors=False)

    def _read(self, method: str, found: Any, tensors: bool) -> Any:
        """Tensors or arrays, the labels in place of their numbers."""
        if isinstance(found, list):
            return [self._read(method, part, tensors) for part in found]
        if method == "predict" and self.net.classes is not None:
            return _labels(found, self.net.classes, tensors)
        return found if tensors else found.cpu().numpy()


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], list):
        return [torch.cat(same) for same in zip(*parts, strict=True)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _labels(numbers: Tensor, classes: Any, tensors: bool) -> Any:
    """Labels for the numbers (n,), or (n, targets) of several targets; words stay arrays."""
    if isinstance(classes, list):
        columns = [_labels(numbers[:, i], of, tensors) for i, of in enumerate(classes)]
        stack: Any = torch.stack if isinstance(columns[0], Tensor) else np.stack
        return stack(columns, 1)
    if tensors and classes.dtype.kind in "fiub":
        return torch.as_tensor(classes, device=numbers.device)[numbers]
    return classes[numbers.cpu().numpy()]
