"""The numbers inside a network as features: a layer by its name, as a scikit-learn transformer."""

__all__ = ["Code", "Embedder", "Given"]

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from manumatic.errors import ComponentError, DataError, nearest
from manumatic.gears.autoencoder import Autoencoder, coder
from manumatic.gears.beyond import first_rows, is_beyond
from manumatic.gears.handover import steps
from manumatic.gears.net import Net, inputs_of, outputs
from manumatic.gears.prepare import Preparation, Rows
from manumatic.gears.reads import choose_reading
from manumatic.logbook import Logbook
from manumatic.nets.layer import Layer
from manumatic.parts.components import Data, Model
from manumatic.parts.model import build_model
from manumatic.task import Task, itself


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What a layer of a network says about rows, as a scikit-learn transformer.

    A network that has learned one thing has learned to describe rows. The description, one row of
    numbers each, is good for others: ``KMeans``, ``TSNE``, ``NearestNeighbors``, a
    ``LogisticRegression`` on few labels.

    Parameters
    ----------
    net : estimator or nn.Module
        A manumatic estimator: ``fit`` trains a clone of it. A fitted one as
        ``sklearn.frozen.FrozenEstimator(net)``, or a network of torch, is used as it is.
    layer : str, optional
        The name of a layer, as ``model.named_modules()`` has it: "features", "blocks.1"; "" is the
        whole network. If the network calls it more than once, the last call counts. None takes the
        code of an ``mm.Autoencoder``, and of other networks what goes into the last linear layer.
    pool : "mean" or None
        What becomes of several places a row. "mean": maps (n, channels, height, width) become
        their mean over the places, sequences and texts the mean over the steps that are there, the
        members of the table net their mean if they share their weights. None puts all numbers side
        by side.
    preprocess : None, "auto", "images", "sequences", "tokens" or transformer
        For a network of torch, as in ``mm.Data``. None hands over X as it is; what the network was
        trained with is known to you alone. A manumatic estimator has its own in ``data``.

    Attributes
    ----------
    net_ : estimator
        The fitted one.
    model_ : torch.nn.Module
        Prepared rows → embedding: the network of ``net_``, which ends at the layer.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    Rows pass in batches, in evaluation mode, without gradients; the network is not changed. Its
    layers behind the named one run, too.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> import manumatic as mm
    >>> X, y = load_iris(return_X_y=True)
    >>> net = mm.Classifier(mm.Model("mlp", hidden=[16, 8]), random_state=0)
    >>> embedder = mm.Embedder(net).fit(X, y)
    >>> embedder.transform(X).shape, embedder.get_feature_names_out()[:2].tolist()
    ((150, 8), ['embedder0', 'embedder1'])
    >>> clusters = make_pipeline(mm.Embedder(net, "1"), KMeans(3, random_state=0)).fit(X, y)
    >>> clusters[0].transform(X).shape
    (150, 16)
    """

    def __init__(
        self,
        net: Any,
        layer: str | None = None,
        *,
        pool: str | None = "mean",
        preprocess: Any = None,
    ) -> None:
        self.net = net
        self.layer = layer
        self.pool = pool
        self.preprocess = preprocess

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train the net, unless it is there already, and find the layer.

        Parameters
        ----------
        X : array, DataFrame, list, sparse matrix, tensor, Dataset or DataLoader
            n rows, of all kinds that the net takes.
        y : array-like (n,) or (n, outputs), optional
            What the net learns; a finished one and an Autoencoder need none.
        sample_weight : array-like (n,), optional

        Raises
        ------
        ComponentError
            The net is none, or has no such layer; before anything is trained.
        DataError
            X cannot be used.
        """
        if self.pool not in ("mean", None):
            raise ComponentError(f'pool must be "mean" or None; got {self.pool!r}')
        self.net_ = net = self._fitted(X, y, sample_weight)
        self.model_ = self._ending(net, net.model_)
        try:
            self._n_features_out = outputs(self.model_, [net._sample]).shape[1]
        except ValueError as error:
            raise ComponentError(str(error)) from error
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(net, name):
                setattr(self, name, getattr(net, name))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embeddings (n, numbers) of float32.

        Parameters
        ----------
        X : array, DataFrame, list, sparse matrix, tensor, Dataset or DataLoader of n rows

        Raises
        ------
        DataError
            X cannot be used, or rows of another length have embeddings of another length.
        """
        check_is_fitted(self, "model_")
        found = outputs(self.model_, inputs_of(self.net_, X)).numpy()
        if found.shape[1] != self._n_features_out:
            raise DataError(
                f"these rows have embeddings of {found.shape[1]} numbers, those of fit had "
                f'{self._n_features_out}; pool="mean" makes one length of all'
            )
        return found

    # --- inside ----------------------------------------------------------------------------------

    def _fitted(self, X: Any, y: Any, sample_weight: Any) -> Net:
        net = self.net
        if isinstance(net, nn.Module):
            net = Given(net, data=Data(preprocess=self.preprocess))
        elif self.preprocess is not None:
            raise ComponentError(
                f"preprocess={self.preprocess!r} is for a network of torch; "
                f"{type(net).__name__} prepares rows as its data=mm.Data(preprocess=...) says"
            )
        frozen = isinstance(net, FrozenEstimator)
        net = net.estimator if frozen else net
        if not isinstance(net, Net):
            raise ComponentError(
                "net must be an mm.Classifier, mm.Regressor or mm.Autoencoder, a fitted one as "
                f"FrozenEstimator(net), or an nn.Module; got {net!r}"
            )
        if frozen:
            check_is_fitted(net, "model_")
            return net
        if self.layer is not None and not isinstance(net, Given):  # no training for a wrong name
            self._ending(net, net.manual(X, y, sample_weight).model)
        return clone(net).fit(X, y, sample_weight)

    def _ending(self, net: Net, model: nn.Module) -> nn.Module:
        """The model as it ends at the layer."""
        if self.layer is None and isinstance(net, Autoencoder):
            return Code(model).eval()
        task = getattr(net, "_task", None)
        rows = None if task is None else "words" if task.vocabulary else "steps" * task.steps
        ending = Layer(model, self.layer, self.pool, rows or None)
        names = [name for name, _ in model.named_modules()]
        if self.layer is not None and self.layer not in names:
            raise ComponentError(
                f"{type(model).__name__} has no layer {self.layer!r}; {ending.names()}."
                f"{nearest(self.layer, names)}"
            )
        return ending.eval()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inside = get_tags(Given(self.net) if isinstance(self.net, nn.Module) else self.net)
        tags.input_tags, tags.target_tags = inside.input_tags, inside.target_tags
        if isinstance(self.net, FrozenEstimator):
            tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class Code(nn.Module):
    """The half of an autoencoder that encodes.

    Parameters
    ----------
    network : nn.Module
        With a method ``encode`` or a part ``encoder``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Rows (n, …) → codes (n, numbers)."""
        return coder(self.network, "encode")(x).flatten(1)


class Given(Net):
    """A network that is finished: ``fit`` learns how rows are prepared and trains nothing.

    Parameters are those of :class:`manumatic.Classifier`; only ``model`` and ``data`` count.
    """

    _reconstructs = True  # there is no target

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Look at the rows.

        Parameters
        ----------
        X : array, DataFrame, list, sparse matrix, tensor, Dataset or DataLoader
        y, sample_weight : ignored
        """
        self.model_ = build_model(Model(self.model)).eval()
        if next(self.model_.parameters(), None) is None:
            raise ComponentError(f"{type(self.model).__name__} has no weights: nothing is learned")
        self._preparation, self._task = Preparation(), Task("reconstruction", None, 0, False)
        if isinstance(X, Dataset | DataLoader):
            sample = next(iter(inputs_of(self, X)))
        else:
            X = self._read(first_rows(X) if is_beyond(X) else X, reset=True)
            self._task, nothing = itself(X)
            spec = choose_reading(self.data, self.model, X, Logbook())
            self._preparation, sample, _ = steps.prepare(
                spec,
                Rows(X, nothing),
                task=self._task,
                scale_target=False,
                seed=0,
                logbook=Logbook(),
            )
        self.preprocess_ = self._preparation.preprocess
        self._task = replace(
            self._task,
            in_shape=tuple(sample.shape[1:]),
            vocabulary=self._preparation.vocabulary,
            steps=self._preparation.steps,
        )
        self._sample = sample.new_zeros(1).expand(2, *sample.shape[1:])
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags
