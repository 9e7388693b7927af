"""The automatic gear: estimators whose ``fit`` chooses the components and drains the loop."""

__all__ = ["Classifier", "Regressor"]

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from manumatic.gears.net import Net


class Classifier(ClassifierMixin, Net):
    """Any network as a scikit-learn classifier.

    Parameters
    ----------
    model : "auto", str, nn.Module, type, callable or mm.Model
        The network: the name of a ready one ("linear", "mlp", "table", "cnn"), an instance (its
        weights are where training starts; it is copied, never changed), a class or function, or
        ``mm.Model(Net, hidden=64)``. "tabicl" and "tabpfn" are pretrained and keep the rows as
        context: nothing is trained (docs/table.md).
    data, loss, optimizer, loop : "auto" or a component
        ``mm.Data``, ``mm.Loss``, ``mm.Optimizer``, ``mm.Loop``; a loss may also be a torch loss or
        any function, an optimizer a class of torch.optim.
    device : "auto", str or torch.device
        "auto" takes an accelerator when there is one.
    random_state : int, RandomState or None
        Decides initial weights, batch order, dropout and the rows held out; torch's own generator
        is left alone.
    warm_start : bool
        Go on from the weights of the last fit.
    verbose : int
        1 shows progress, as a bar in a terminal, and what the doctor found; 2 prints a line an
        epoch.
    watch : mm.Watch or None
        What to record: metrics, weights, TensorBoard; none of it changes a weight.

    Attributes
    ----------
    classes_ : ndarray
        Labels in the order of the probabilities.
    model_ : torch.nn.Module
        The trained network.
    history_ : History
        Losses by epoch; ``history_.frame`` is a tidy DataFrame.
    logbook_ : Logbook
        What automatic decided and why.
    findings_ : Findings
        What the doctor has to say; empty where all is well.
    preprocess_ : transformer or None
        The fitted scikit-learn preprocessing.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    n_iter_ : int
        Epochs trained.
    seed_ : int
        The number that random_state came to.
    loop_ : mm.Loop
        The loop that ran; with ``time`` it says how many epochs fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import manumatic as mm
    >>> X, y = load_iris(return_X_y=True)
    >>> net = mm.Classifier("mlp", random_state=0).fit(X, y)
    >>> bool(net.score(X, y) > 0.9)
    True
    """

    _classification = True

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, classes), or (n, labels) for a multilabel target."""
        raw = self._raw(X)
        return self._reader.predict_proba(raw)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities."""
        raw = self._raw(X)
        return self._reader.predict_log_proba(raw)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row; multilabel: 1 where a probability exceeds a half."""
        raw = self._raw(X)
        return self._reader.predict(raw)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class Regressor(RegressorMixin, Net):
    """Any network as a scikit-learn regressor, for one target or several.

    Parameters and attributes are those of :class:`Classifier`, without ``classes_``.

    Examples
    --------
    >>> import manumatic as mm
    >>> net = mm.Regressor(
    ...     "linear",
    ...     data=mm.Data(batch_size=None, preprocess=None),
    ...     optimizer=mm.Optimizer("sgd", lr=0.01),
    ...     loop=mm.Loop(epochs=1000),
    ...     random_state=42,
    ... )
    >>> net.fit([[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]).predict([[6]]).round(2)
    array([87.88])
    """

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (n,), or (n, outputs) where the target had several columns."""
        raw = self._raw(X)
        return self._reader.predict(raw)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
