"""The five components as a user writes them: parameters and nothing else.

They are scikit-learn estimators in the parameter sense (``get_params``, ``set_params``, ``clone``),
so that ``GridSearchCV(net, {"optimizer__lr": [...], "model__hidden": [...]})`` needs no
``**kwargs`` on the estimator. The files beside this one turn them into what runs: data.py,
model.py, loss.py, optimizer.py, loop.py.
"""

__all__ = ["Checkpoint", "Component", "Data", "Loop", "Loss", "Model", "Optimizer"]

import copy
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Self

from sklearn.base import BaseEstimator, clone


class Component(BaseEstimator):
    """Named parameters first, then what the thing itself takes (kept in ``arguments``)."""

    arguments: dict[str, Any]

    @classmethod
    @cache  # a clone asks for it some twenty times
    def _named(cls) -> list[str]:
        signature = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in signature if p.kind is not p.VAR_KEYWORD and p.name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, the free arguments among them."""
        own = {name: getattr(self, name) for name in self._named()}
        inside = {
            f"{name}__{key}": value
            for name, part in own.items()
            if deep and hasattr(part, "set_params") and not isinstance(part, type)
            for key, value in part.get_params().items()
        }
        return own | inside | getattr(self, "arguments", {})

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; a name that is no parameter becomes an argument."""
        named = self._named()
        for name, value in params.items():
            part, _, inside = name.partition("__")
            if name in named:
                setattr(self, name, value)
            elif inside and part in named and hasattr(getattr(self, part), "set_params"):
                getattr(self, part).set_params(**{inside: value})
            elif hasattr(self, "arguments"):
                self.arguments = {**self.arguments, name: value}
            else:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(named)}"
                )
        return self


class Data(Component):
    """How rows become batches.

    Parameters
    ----------
    batch_size : int, None or "auto"
        Rows a step. None is full batch; "auto" goes by the number of rows.
    validation : float, int, None or (X, y)
        Rows held out to choose when to stop and which weights to keep: a share, a number, none, or
        rows of your own. They are held out only when the loop uses them. The default, 0.1, holds
        none out of 50 to 8,000 rows of a table where members of its net leave some out
        (``CrossedNet``) and judge by these.
    shuffle : bool
        A new order each epoch, decided by (random_state, epoch) alone.
    preprocess : "auto", None or a scikit-learn transformer
        "auto" looks at the columns; None takes X as it is. Fitted on the training rows only.
    target : "auto", None or a scikit-learn transformer
        Scaling of the target in regression. "auto" standardises it where ``preprocess`` is not
        None.
    workers : int
        Processes that load batches of a torch Dataset.
    augment : "auto", None or callable
        Changes the rows of a training batch, (n, ...) → (n, ...): an ``mm.Augment``, a transform of
        torchvision, an ``nn.Module``, any function of a tensor. "auto" moves images a little where
        a ready net for images learns from them, and is None for all else.

    Examples
    --------
    >>> Data(batch_size=32).set_params(shuffle=False).get_params()["shuffle"]
    False
    """

    def __init__(
        self,
        batch_size: int | str | None = "auto",
        validation: Any = 0.1,
        shuffle: bool = True,
        preprocess: Any = "auto",
        target: Any = "auto",
        workers: int = 0,
        augment: Any = "auto",
    ) -> None:
        self.batch_size = batch_size
        self.validation = validation
        self.shuffle = shuffle
        self.preprocess = preprocess
        self.target = target
        self.workers = workers
        self.augment = augment

    def __sklearn_clone__(self) -> "Data":
        """A copy; torchvision's transforms have a ``get_params`` that is not scikit-learn's."""
        given = self.get_params(deep=False)
        augment = copy.deepcopy(given.pop("augment"))
        cloned = {name: clone(value, safe=False) for name, value in given.items()}
        return type(self)(**cloned, augment=augment)


class Model(Component):
    """A network to be built: a class or function, an ``nn.Module``, or the name of a ready net.

    Parameters
    ----------
    net : type, callable, torch.nn.Module or str
        What to build. ``in_features``, ``out_features``, ``in_channels`` and ``in_shape`` are
        filled in when it asks for them and they are not among the arguments.
    **arguments
        Handed to the class or function.

    Examples
    --------
    >>> Model("mlp", hidden=64).get_params()
    {'net': 'mlp', 'hidden': 64}
    """

    def __init__(self, net: Any = "auto", **arguments: Any) -> None:
        self.net = net
        self.arguments = arguments


class Loss(Component):
    """A loss on raw outputs (logits).

    Parameters
    ----------
    name : str, type, torch.nn.Module or callable
        "auto", "mse", "mae", "huber", "cross_entropy", "bce", …, a class such as ``nn.MSELoss``, an
        instance, or any function of (prediction, target).
    class_weight : None, "balanced" or dict
        Weights of the classes, as in scikit-learn; works with any loss.
    calibrate : bool or "auto"
        Whether the probabilities of a classifier are scaled by one number, the temperature, that
        is fitted on the validation rows. "auto" does so where the loss is "auto", too, and other
        rows gain by it.
    **arguments
        Handed to the loss, for example ``label_smoothing=0.1``.

    Examples
    --------
    >>> Loss("cross_entropy", label_smoothing=0.1).get_params()
    {'name': 'cross_entropy', 'class_weight': None, 'calibrate': 'auto', 'label_smoothing': 0.1}
    """

    def __init__(
        self,
        name: Any = "auto",
        class_weight: Any = None,
        calibrate: bool | str = "auto",
        **arguments: Any,
    ) -> None:
        self.name = name
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.arguments = arguments


class Optimizer(Component):
    """A rule that turns gradients into new weights.

    Parameters
    ----------
    name : str, type or functools.partial
        "adamw", "sgd", "lbfgs", … (any of ``torch.optim``), "fista", a class, or a partial of one;
        "auto" is the recipe that suits the model, with what else is given here.
    lr : float or None
        Learning rate; None is the optimizer's own.
    schedule : None, str, type, partial or callable
        "cosine", "linear", "one_cycle", "waves" (four of them, each twice as long as the last), a
        ``torch.optim.lr_scheduler`` class, or a function of the optimizer. It is stepped once a
        step of the optimizer, not once an epoch.
    groups : sequence of (pattern, dict)
        Parameters whose names match the pattern (``"head.*"``) get settings of their own, ``{"lr":
        1e-4}``; ``{"lr": 0}`` freezes them. The first match counts.
    layer_decay : float or None
        Each layer, or block of layers, learns at the rate of the one behind it times this: 0.8, or
        1/2.6 in Howard & Ruder 2018, arXiv:1801.06146. None gives all the same.
    **arguments
        Handed to the optimizer, for example ``weight_decay=0.01``.

    Examples
    --------
    >>> Optimizer("sgd", lr=0.01, momentum=0.9).get_params()["momentum"]
    0.9
    """

    def __init__(
        self,
        name: Any = "adamw",
        lr: float | None = None,
        schedule: Any = None,
        groups: Sequence[tuple[str, dict[str, Any]]] | None = None,
        layer_decay: float | None = None,
        **arguments: Any,
    ) -> None:
        self.name = name
        self.lr = lr
        self.schedule = schedule
        self.groups = groups
        self.layer_decay = layer_decay
        self.arguments = arguments


class Checkpoint(Component):
    """A file from which an interrupted training goes on exactly.

    Parameters
    ----------
    path : path
        Written atomically while training goes on.
    every : float
        Seconds between two checkpoints; 0 writes one after each step.
    resume : bool
        Go on from the file where it exists.

    Examples
    --------
    >>> Loop(epochs=20, checkpoint=Checkpoint("run.pt", resume=True)).saves.every
    30.0
    """

    def __init__(self, path: Any, every: float = 30.0, resume: bool = False) -> None:
        self.path = path
        self.every = every
        self.resume = resume


class Loop(Component):
    """How long and how to train.

    Parameters
    ----------
    epochs : int
        Passes over the training rows.
    patience : int or None
        Stop after so many epochs without a new best loss on the validation rows. None never stops
        early.
    keep : "last" or "best"
        Which weights to end with. "best" and ``patience`` need validation rows; with ``patience``
        the best are kept.
    clip_norm : float or None
        Longest gradient (L2 norm over all weights).
    accumulate : int
        Batches a step of the optimizer; the gradient is the mean over the rows that they hold.
    precision : "auto", "float32", "bfloat16" or "float16"
        Of the forward pass (autocast); "auto" is float32. "float16" scales the loss.
    ema : float or None
        Decay of an exponential moving average of the weights, 0.999 for example; the average is
        what is kept.
    checkpoint : path, mm.Checkpoint or None
        A file written atomically while training goes on, from which it can go on exactly.
    time : float or None
        Seconds that training may take, at most ``epochs``. The number of epochs, and schedules with
        it, is cut to what fits, after a trial of a few steps on a copy. Where rows are held out,
        the best weights are kept. None sets no limit.
    step : callable or None
        A step of your own in place of forward, loss, backward and update:
        ``step(model, loss_fn, optimizer, X, *target)`` changes the weights and returns the loss.

    Examples
    --------
    >>> Loop(epochs=20, patience=5).epochs
    20
    """

    def __init__(
        self,
        epochs: int = 100,
        patience: int | None = None,
        keep: str = "last",
        clip_norm: float | None = None,
        accumulate: int = 1,
        precision: str = "auto",
        ema: float | None = None,
        checkpoint: Any = None,
        time: float | None = None,
        step: Callable[..., Any] | None = None,
    ) -> None:
        self.epochs = epochs
        self.patience = patience
        self.keep = keep
        self.clip_norm = clip_norm
        self.accumulate = accumulate
        self.precision = precision
        self.ema = ema
        self.checkpoint = checkpoint
        self.time = time
        self.step = step

    @property
    def uses_validation(self) -> bool:
        """Whether rows held out would change what this loop does."""
        return self.patience is not None or self.keep == "best" or self.time is not None

    @property
    def saves(self) -> Checkpoint | None:
        """Where and when a checkpoint is written; a path alone is one with the usual settings."""
        if self.checkpoint is None or isinstance(self.checkpoint, Checkpoint):
            return self.checkpoint
        return Checkpoint(self.checkpoint)
