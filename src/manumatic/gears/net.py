"""What the estimators share: five components, fit, and the way to the manual gear."""

__all__ = ["Net", "chunks", "inputs_of", "numbers_of", "outputs"]

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from manumatic.doctor.after import seen_before
from manumatic.doctor.finding import facts_of
from manumatic.errors import ComponentError, DataError, DivergedError, EjectError
from manumatic.gears.assemble import assemble
from manumatic.gears.beyond import first_rows, in_blocks, is_beyond
from manumatic.gears.books import settle
from manumatic.gears.calibrate import calibrated
from manumatic.gears.callbacks import CallbackSupportMixin, with_callbacks
from manumatic.gears.checkup import keys_of
from manumatic.gears.choices import as_data, as_loop
from manumatic.gears.facts import Earlier, Specs
from manumatic.gears.foundation import remember
from manumatic.gears.handover import steps
from manumatic.gears.manual import Training
from manumatic.gears.reading import reader_of
from manumatic.gears.reads import names_steps
from manumatic.gears.swap import describe
from manumatic.logbook import Entry, Logbook
from manumatic.parts.components import Component, Data, Loop
from manumatic.parts.data import batch_rows
from manumatic.parts.device import threads_for
from manumatic.parts.foundation import named, refuse_steps
from manumatic.parts.images import told
from manumatic.parts.lengths import rows_at_once
from manumatic.parts.rows import kind_of, read_rows
from manumatic.show.net import render_net
from manumatic.watch.spec import as_watch

ADDRESSED = ("model", "data", "loss", "optimizer", "loop", "watch")  # what ``__`` reaches into
KEPT = ("clip_norm", "accumulate", "precision", "step")  # of a loop, where it goes on for an epoch


class Net(CallbackSupportMixin, BaseEstimator):
    """What Classifier and Regressor share: one estimator around the five components."""

    _classification = False
    _reconstructs = False

    def __init__(
        self,
        model: Any = "auto",
        *,
        data: Any = "auto",
        loss: Any = "auto",
        optimizer: Any = "auto",
        loop: Any = "auto",
        device: Any = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        watch: Any = None,
    ) -> None:
        self.model = model
        self.data = data
        self.loss = loss
        self.optimizer = optimizer
        self.loop = loop
        self.device = device
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.watch = watch

    # --- the two gears ---------------------------------------------------------------------------

    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose the components and train.

        Parameters
        ----------
        X : array, DataFrame, list, sparse matrix, tensor, Dataset or DataLoader
            n rows: numbers (n, d), mixed columns, strings (n,), images (n, h, w), (n, c, h, w) or
            (n, h, w, c). Or a list of images or of their files; mm.Images, mm.Parquet.
        y : array-like (n,) or (n, outputs)
            May be left out where X brings it: a Dataset, a DataLoader, mm.Parquet, mm.Images.
        sample_weight : array-like (n,), optional
            0 or more; a weight of 2 is the same as giving the row twice.

        Raises
        ------
        DataError, ComponentError
            Before the first step: what cannot be used, and how to mend it.
        DivergedError
            The loss is no longer a finite number; the estimator keeps the last finite weights.
        """
        if named(self.model):
            self.__dict__.update(remember(self, X, y, sample_weight))
            return self
        earlier = self._earlier() if self.warm_start and hasattr(self, "model_") else None
        training = self._assemble(X, y, sample_weight, earlier)
        keys = keys_of(training.data) if self.warm_start else None
        earlier_keys, self._keys = getattr(self, "_keys", None), keys
        if keys is not None and earlier_keys is not None:
            training.findings.add(*seen_before(earlier_keys, keys))
        try:
            steps.train(self, training, X, y, sample_weight)
        except (KeyboardInterrupt, DivergedError) as stop:
            if training.state.steps:  # what is finished is kept
                if isinstance(stop, KeyboardInterrupt):
                    settle(training)
                    training.watcher.end(training, "interrupted")
                self._adopt(training)
            raise
        return self._adopt(training)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train one more epoch on these rows, with the same optimizer.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array-like, optional
            All labels, at the first call, where y may hold only some of them. A Regressor has no
            use for it.
        """
        earlier = self._earlier() if hasattr(self, "model_") else None
        asked = as_loop(self.loop) or Loop()
        kept = {name: getattr(asked, name) for name in KEPT}
        loop = Loop(epochs=1, **kept)
        training = self._assemble(X, y, sample_weight, earlier, loop=loop, classes=classes)
        training.facts.optimizer = clone(training.facts.optimizer).set_params(schedule=None)
        if earlier is not None and "_partial" in vars(self):
            training.state, moments = vars(self)["_partial"]
            training.optimizer.load_state_dict(moments)
        training.run(epochs=1)
        self._adopt(training)
        self._partial = training.state, training.optimizer.state_dict()
        return self

    def manual(self, X: Any, y: Any = None, sample_weight: Any = None) -> Training:
        """Shift to the manual gear: the five components in your hands, nothing trained yet.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        """
        origin = clone(self)
        return origin._assemble(X, y, sample_weight, None)

    def eject(
        self,
        path: str | Path | None = None,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
    ) -> str:
        """Write the plain PyTorch script that trains to the same weights; returns its text.

        Parameters
        ----------
        path : path, optional
            Where to write it; larger data go into a file beside it.
        X, y, sample_weight
            The rows of ``fit``; an estimator does not keep them.

        Raises
        ------
        EjectError
            A component has no source that could be written down.
        """
        refuse_steps(self.model, EjectError)
        if X is None:
            raise DataError("eject needs the rows that fit saw: net.eject('train.py', X, y)")
        origin = clone(self)
        if hasattr(self, "seed_"):
            origin.set_params(random_state=self.seed_)
            if self.loop_.time is not None:  # another day, another number of epochs would fit
                origin.set_params(loop=clone(self.loop_).set_params(time=None, keep="best"))
        return origin._assemble(X, y, sample_weight, None).eject(path)

    # --- prediction ------------------------------------------------------------------------------

    def _raw(self, X: Any) -> Tensor:
        """Raw outputs (n, outputs) for rows of any kind."""
        check_is_fitted(self, "model_")
        return outputs(self.model_, inputs_of(self, X))

    def _read(self, X: Any, reset: bool) -> Any:
        """Rows in one of four forms; columns counted and named as scikit-learn does."""
        pixels = None if reset else _pixels(self)
        steps = names_steps(self.model)
        rows = read_rows(X, allow_nan=self._takes_nan(), steps=steps, pixels=pixels)
        if kind_of(rows) in ("table", "frame"):
            named = X if hasattr(X, "columns") else rows
            validate_data(self, named, reset=reset, skip_check_array=True)
            columns = None if reset else self._preparation.columns
            if columns is not None and kind_of(rows) == "frame":
                rows = rows.set_axis(columns, axis=1)  # an array of words has none
        return rows

    # --- inside ----------------------------------------------------------------------------------

    def _assemble(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        earlier: Earlier | None,
        *,
        loop: Loop | None = None,
        classes: Any = None,
    ) -> Training:
        data, given = self.data, X
        if isinstance(X, TensorDataset) and y is None:  # in memory already, and meant as it is
            if len(X.tensors) != 2:
                raise DataError(
                    f"a TensorDataset must hold (X, y); this one holds {len(X.tensors)} tensor(s)"
                )
            X, y = X.tensors
            data = Data(**(as_data(data).get_params(deep=False) | {"preprocess": None}))
        if is_beyond(X):
            self._read(first_rows(X), reset=earlier is None)
        elif not isinstance(X, Dataset | DataLoader):
            X = self._read(X, reset=earlier is None)
        specs = Specs(
            model=self.model,
            data=data,
            loss=self.loss,
            optimizer=self.optimizer,
            loop=self.loop if loop is None else loop,
            device=self.device,
            random_state=self.random_state,
            verbose=self.verbose,
            watch=as_watch(self.watch),
            classification=self._classification,
            classes=classes,
            reconstructs=self._reconstructs,
        )
        training = assemble(specs, X, y, sample_weight, earlier)
        training.facts.make = self._adopt
        if pictures := told(given, X):
            training.facts.logbook.insert(0, Entry("data", *pictures))
        return training

    def _adopt(self, training: Training) -> Self:
        """Become what a training has learned."""
        facts = training.facts
        self.__dict__.pop("_partial", None)  # partial_fit would go on from another run
        link = calibrated(training)
        self.model_ = facts.processes.shards.plain(training.model).eval()
        self.history_ = training.state.history[:]
        # what mm.shift says of the components, before what automatic decided
        self.logbook_ = Logbook([*vars(self).get("_roles", ()), *facts.logbook])
        self.findings_ = training.findings
        self.n_iter_ = training.state.next_epoch
        self.seed_, self.loop_ = facts.seed, training.loop
        self.preprocess_ = facts.preparation.preprocess
        self._preparation, self._task = facts.preparation, facts.task
        self._reader = reader_of(link, facts.task, facts.preparation)
        # the shape of two rows, to trace the model with: one number in memory
        self._sample = facts.sample.new_zeros(1).expand(2, *facts.sample.shape[1:])
        self._told = {name: describe(part) for name, part in training.parts.items()}
        if facts.task.classes is not None:
            self.classes_ = facts.task.classes
        return self

    def _earlier(self) -> Earlier:
        return Earlier(self._task, self._preparation, self.model_)

    def _takes_nan(self) -> bool:
        return getattr(self.data, "preprocess", "auto") is not None

    def _html_repr(self) -> str:
        """scikit-learn's diagram and, after a fit, what it has left; nothing is computed here."""
        diagram = str(super()._html_repr())
        if not hasattr(self, "model_"):
            return diagram
        history = self.history_
        losses = {part: [v for _, v in history.curve("loss", part)] for part in ("train", "valid")}
        return diagram + render_net(
            type(self).__name__, self._told, losses, facts_of(self.findings_)
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._takes_nan()
        tags.target_tags.required = True
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the estimator, or of a component: ``optimizer__lr=0.1``."""
        for name in params:
            part, nested, _ = name.partition("__")
            value = params.get(part, getattr(self, part, None))
            if nested and part in ADDRESSED and not isinstance(value, Component):
                kind = part.capitalize()
                left = value is None or (isinstance(value, str) and value == "auto")
                inside = "" if left else repr(value)
                raise ComponentError(
                    f"{name} cannot be set: {part} is {value!r}. Make it explicit, "
                    f"{part}=mm.{kind}({inside}), then {name} has a place"
                )
        return super().set_params(**params)


def _pixels(net: Net) -> tuple[int, ...] | None:
    """The shape of the images that a net was fitted on."""
    return net._preparation.pixels if hasattr(net, "_preparation") else None


def inputs_of(net: Net, X: Any) -> Iterable[Tensor]:
    """Rows of any kind in batches, as the model takes them."""
    if isinstance(X, TensorDataset):
        return chunks(X.tensors[0])
    if isinstance(X, Dataset | DataLoader):
        batches = X if isinstance(X, DataLoader) else DataLoader(X, 1024)
        return (batch_rows(b)[0] if isinstance(b, list | tuple) else b for b in batches)
    if is_beyond(X):
        blocks = in_blocks(X, _pixels(net))
        return (part for block in blocks for part in chunks(numbers_of(net, block)))
    return chunks(numbers_of(net, X))


def numbers_of(net: Net, X: Any) -> Tensor:
    """Rows in memory, prepared as those that the model was trained on."""
    numbers = steps.numbers(net._preparation, net._read(X, reset=False))
    if not net._task.fits(numbers.shape[1:]):
        raise DataError(
            f"X has rows of the shape {tuple(numbers.shape[1:])}; this "
            f"{type(net).__name__} was fitted on {net._task.in_shape}"
        )
    return numbers


def outputs(
    model: nn.Module, inputs: Iterable[Tensor], call: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Outputs (n, numbers) of a model, or of one of its methods, on the CPU."""
    run, device = call or model, next(model.parameters()).device
    if model.training:
        model.eval()
    with torch.inference_mode(), threads_for(model, 4096):
        found = [run(chunk.to(device)).reshape(len(chunk), -1) for chunk in inputs]
    return (found[0] if len(found) == 1 else torch.cat(found)).float().cpu()


def chunks(tensor: Tensor) -> tuple[Tensor, ...]:
    """About a hundred thousand numbers at a time: what a forward pass makes of them, for the table
    net seventy times as many, stays small, and twice as fast as with a million.
    """
    if tensor.ndim == 3 or not tensor.is_floating_point():
        return tensor.split(min(rows_at_once(tensor), 256))
    return tensor.split(max(256, 2**17 // max(1, tensor[0].numel())))
