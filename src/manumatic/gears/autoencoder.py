"""The third estimator: rows → a short code → rows, in the automatic gear."""

__all__ = ["Autoencoder", "coder"]

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from manumatic.errors import ComponentError, DataError
from manumatic.gears.facts import Earlier
from manumatic.gears.manual import Training
from manumatic.gears.net import Net, chunks, numbers_of, outputs
from manumatic.parts.undo import undo

Call = Callable[[Tensor], Tensor]


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Net):
    """A network that learns to give rows back through a short code, as a scikit-learn transformer.

    The target of a row is the row itself, as the network sees it: after preprocessing.

    Parameters
    ----------
    model : "auto", str, nn.Module, type, callable or mm.Model
        The network: the name of a ready one ("autoencoder", "linear", "variational"), an instance,
        a class or function, or ``mm.Model("autoencoder", code=8, hidden=[64, 32], noise=0.1)``.
        One of your own has methods ``encode`` and ``decode``, or parts called ``encoder`` and
        ``decoder``; its ``forward(x)`` returns the reconstruction. With a step of your own,
        ``mm.Loop(step=...)``, one of the two is enough, and ``forward`` may be what it likes.
    data, loss, optimizer, loop : "auto" or a component
        As for :class:`Classifier`. There is no target, so ``mm.Data(target=...)`` has no say, and
        validation rows of your own are ``(X, None)``.
    device : "auto", str or torch.device
        "auto" takes an accelerator when there is one.
    random_state : int, RandomState or None
        Decides initial weights, batch order, noise and the rows held out; torch's own generator
        is left alone.
    warm_start : bool
        Go on from the weights of the last fit.
    verbose : int
        1 shows progress and what the doctor found; 2 prints a line an epoch.
    watch : mm.Watch or None
        What to record.

    Attributes
    ----------
    model_ : torch.nn.Module
        The trained network.
    history_, logbook_, findings_, preprocess_, n_features_in_, n_iter_, seed_, loop_
        As those of :class:`Classifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import manumatic as mm
    >>> X, _ = load_iris(return_X_y=True)
    >>> net = mm.Autoencoder(mm.Model("linear", code=2), random_state=0).fit(X)
    >>> net.transform(X).shape, net.inverse_transform(net.transform(X)).shape
    ((150, 2), (150, 4))
    >>> bool(net.score(X) > -0.1)
    True
    """

    _reconstructs = True

    def transform(self, X: Any) -> np.ndarray:
        """The codes of rows, (n, numbers a code).

        Parameters
        ----------
        X : array, DataFrame, list, sparse matrix or tensor of n rows
        """
        check_is_fitted(self, "model_")
        code = _each(self.model_, "encode", numbers_of(self, X)).numpy()
        return code if getattr(X, "dtype", None) == np.float32 else code.astype(np.float64)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """The rows that codes stand for, in the units of the rows of ``fit``.

        Parameters
        ----------
        X : array (n, numbers a code)

        Returns
        -------
        ndarray (n, ...)
            Rows of the shape that ``fit`` saw. Where a value was missing, it is what the network
            thinks of it; columns that the preprocessing dropped are NaN.

        Raises
        ------
        DataError
            The preprocessing has no way back: columns that became one-hot, dates, text.
        """
        check_is_fitted(self, "model_")
        code = check_array(X, dtype=np.float32, input_name="X")
        coder(self.model_, "decode")
        if self._code_shape and code.shape[1] != self._n_features_out:
            raise DataError(
                f"X holds codes of {code.shape[1]} numbers; this Autoencoder's codes have "
                f"{self._n_features_out}"
            )
        codes = torch.tensor(code).reshape(-1, *(self._code_shape or code.shape[1:]))
        found = _each(self.model_, "decode", codes)
        read = self._reader.link(found.reshape(-1, *self._task.in_shape)).double().numpy()
        return undo(self.preprocess_, read).reshape(-1, *self._row_shape)

    def score(self, X: Any, y: Any = None) -> float:
        """The negative mean squared error of the reconstruction, so that more is better.

        It is taken over the prepared rows, on which all columns count alike: with standardised
        columns it is the share of the variance that is lost, times -1.

        Parameters
        ----------
        X : array, DataFrame, list, sparse matrix or tensor of n rows
        y : ignored
        """
        check_is_fitted(self, "model_")
        numbers = numbers_of(self, X)
        found = self._reader.link(outputs(self.model_, chunks(numbers)))
        return -float((found - numbers.flatten(1)).square().mean())

    # --- inside ----------------------------------------------------------------------------------

    def _assemble(
        self, X: Any, y: Any, sample_weight: Any, earlier: Earlier | None, **changes: Any
    ) -> Training:
        if isinstance(X, TensorDataset):  # in memory already, and meant as it is
            X, y = TensorDataset(X.tensors[0], X.tensors[0]), None
        elif isinstance(X, Dataset | DataLoader):
            raise DataError(
                f"an Autoencoder takes rows in memory, and X is a {type(X).__name__}; give an "
                "array, a tensor or a TensorDataset"
            )
        training = super()._assemble(X, y, sample_weight, earlier, **changes)
        _code_shape(training)
        self._row_shape = tuple(training.facts.source.X.shape[1:])
        return training

    def _adopt(self, training: Training) -> Self:
        self._code_shape = _code_shape(training)
        return super()._adopt(training)

    @property
    def _n_features_out(self) -> int:
        coder(self.model_, "encode")
        return int(np.prod(self._code_shape))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _found(model: nn.Module, verb: str) -> Call | None:
    found = getattr(model, verb, None) or getattr(model, f"{verb}r", None)
    return found if callable(found) else None


def coder(model: nn.Module, verb: str) -> Call:
    """The model's method ``encode`` or ``decode``, or its part ``encoder`` or ``decoder``."""
    found = _found(model, verb)
    if found is None:
        raise ComponentError(
            f"{type(model).__name__} has no {verb!r}: an Autoencoder needs a model with methods "
            "encode(x) and decode(code), or with parts called encoder and decoder, whose "
            "forward(x) returns the reconstruction"
        )
    return found


def _each(model: nn.Module, verb: str, rows: Tensor) -> Tensor:
    """Rows encoded or decoded, (n, numbers), each as it would be alone.

    Matrix products of another height may round otherwise, so the height is a multiple of 32.
    """
    missing = rows.new_zeros(-len(rows) % 32, *rows.shape[1:])
    return outputs(model, chunks(torch.cat([rows, missing])), coder(model, verb))[: len(rows)]


def _code_shape(training: Training) -> tuple[int, ...]:
    """The shape of one code, after a look at a few rows; () where nothing encodes them."""
    model, facts = training.model, training.facts
    own = training.loop.step is not None  # it may do with one of the two
    if own and _found(model, "encode") is None:
        coder(model, "decode")
        return ()
    encode = coder(model, "encode")
    if not own:
        coder(model, "decode")
    mode = model.training
    model.eval()
    with torch.no_grad(), torch.random.fork_rng([]):
        code = encode(facts.sample.to(facts.device))
    model.train(mode)
    if not isinstance(code, Tensor) or code.ndim < 2 or len(code) != len(facts.sample):
        found = tuple(code.shape) if isinstance(code, Tensor) else type(code).__name__
        raise ComponentError(
            f"{type(model).__name__} encodes {len(facts.sample)} rows as {found}; it must return "
            "one tensor, (rows, numbers a code)"
        )
    return tuple(code.shape[1:])
