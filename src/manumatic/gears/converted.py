"""What ``to_torch`` makes of manumatic's own estimators and of its preprocessing.

The registry of ``convert`` loads this file by its name: it must know the parts, and ``convert``
must not.
"""

__all__ = ["Calendar", "Classes", "Embedded", "Kept", "Model", "Numbers", "Squeezed"]

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.convert.border import Column, Handed
from manumatic.convert.pieces import Piece, Regressor, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError
from manumatic.parts.cells import dates, numbers, seconds, sentences, smooth_clip, words
from manumatic.parts.foundation import InContext, named
from manumatic.parts.link import Link
from manumatic.parts.mixed import Pictures
from manumatic.parts.rows import as_images
from manumatic.parts.sequences import Sequences
from manumatic.parts.tokens import Tokenizer

DAY = 86400.0
TO_MARCH_OF_YEAR_0 = 719468  # days from then to 1970
ERA = 146097  # days in 400 years


class Squeezed(Transformer):
    """x / √(1 + (x/bound)²), as the preprocessing squeezes outliers.

    Parameters
    ----------
    bound : Tensor () or (features,)
    """

    bound: Tensor

    def __init__(self, bound: Tensor) -> None:
        super().__init__()
        self.register_buffer("bound", bound)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (n, features) in ±bound."""
        return x / (1 + (x / self.bound).square()).sqrt()


class Calendar(Transformer):
    """Seconds since 1970 → the thirteen numbers of :func:`manumatic.parts.cells.dates`.

    The date comes from whole days by arithmetic (Hinnant, *chrono-compatible low-level date
    algorithms*). Seconds since 1970 are exact in float64; in float32 they are off by a minute or
    two.

    Examples
    --------
    >>> noon = torch.tensor([[86400 * 59 + 43200.0]])  # 1 March 1970
    >>> Calendar()(noon)[0, :5].tolist()
    [1970.0, 3.0, 1.0, 6.0, 12.0]
    """

    circle: Tensor

    def __init__(self) -> None:
        super().__init__()
        # a buffer, because torch.onnx rounds numbers in the code to float32
        self.register_buffer("circle", torch.tensor([2 * math.pi], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (n, 13 · columns)."""
        days = _whole(x, DAY)
        minutes = _whole(x - days * DAY, 60)
        hour = _whole(minutes, 60)
        year, month, day = _civil(days)
        weekday = days + 3 - 7 * _whole(days + 3, 7)  # 1970 began on a Thursday
        clock = hour + (minutes - hour * 60) / 60
        columns = [year, month, day, weekday, hour, x]
        for turn in ((month - 1) / 12, weekday / 7, clock / 24):
            waves = (self.circle * turn).sin(), (self.circle * turn).cos()
            columns += [(2**40 * wave).round() / 2**40 for wave in waves]  # powers of 2 are exact
        return torch.stack([*columns, x.isnan().to(x.dtype)], 2).flatten(1)


def _whole(x: Tensor, by: float) -> Tensor:
    """How often it goes into x: exact also where / multiplies by 1/by, as it does on CUDA."""
    return torch.div(x, by, rounding_mode="floor")


def _civil(days: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Year, month and day of days since 1970; years begin in March here, so leap days come last."""
    days = days + TO_MARCH_OF_YEAR_0
    era = _whole(days, ERA)
    of_era = days - era * ERA
    leaps = _whole(of_era, 1460) - _whole(of_era, 36524) + _whole(of_era, 146096)
    year = _whole(of_era - leaps, 365)
    of_year = of_era - (365 * year + _whole(year, 4) - _whole(year, 100))
    month = _whole(5 * of_year + 2, 153)
    day = of_year - _whole(153 * month + 2, 5) + 1
    month = torch.where(month < 10, month + 3, month - 9)
    return year + 400 * era + (month <= 2).to(days.dtype), month, day


class Model(nn.Module):
    """A network that goes on computing in its own type, whatever the module around it is cast to.

    Parameters
    ----------
    preprocess : Piece or None
    network : nn.Module
        Copied.
    shape : tuple of int
        One row as the network takes it.
    """

    def __init__(self, preprocess: Piece | None, network: nn.Module, shape: tuple[int, ...]):
        super().__init__()
        self.preprocess, self.network = preprocess, Kept(copy.deepcopy(network).cpu())
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs (n, outputs) of float32."""
        if self.preprocess is not None:
            x = self.preprocess.call("transform", x)
        found: Tensor = self.network(x.float().reshape(-1, *self.shape))
        return found.reshape(x.shape[0], -1).float()


class Kept(nn.Module):
    """A network whose tensors move between devices but keep their types.

    Parameters
    ----------
    network : nn.Module
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        """What the network says."""
        return self.network(x)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        return super()._apply(lambda tensor: fn(tensor).to(tensor.dtype), recurse)  # type: ignore[no-untyped-call] # torch has no types here


class Numbers(Regressor):
    """Raw outputs → numbers in the units of the user's target.

    Parameters
    ----------
    body : Model
    link : Link
    target : Piece or None
        The transformer of the target.
    flat : bool
        Predictions are (n,).
    """

    def __init__(self, body: Model, link: Link, target: Piece | None, *, flat: bool) -> None:
        super().__init__(body, flat=flat)
        self.link, self.target = link, target

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        found = self.link(self.body(x)).to(x.dtype)
        return found if self.target is None else self.target.call("inverse_transform", found)


class Embedded(Transformer):
    """Embeddings in the type of the steps around them."""

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (n, outputs)."""
        return self.body(x).to(x.dtype)


class Classes(Piece):
    """Raw outputs → probabilities and labels.

    Parameters
    ----------
    body : Model
    link : Link
    classes : ndarray or None
        The labels; None for several yes or no a row.
    """

    methods = ("predict", "predict_proba", "predict_log_proba")

    def __init__(self, body: Model, link: Link, classes: np.ndarray | None) -> None:
        super().__init__()
        self.body, self.link, self.classes = body, link, classes

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, classes), or raw outputs (n, labels)."""
        raw = self.body(x)
        if self.link.kind == "softmax" or self.classes is None:
            return self.link.scores(raw).to(x.dtype)
        if self.link.kind == "sigmoid_pair":
            return torch.cat([torch.zeros_like(raw), self.link.scores(raw)], 1).to(x.dtype)
        return self.link(raw).log().to(x.dtype)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, classes) or (n, labels)."""
        return self.link(self.body(x))

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Their logarithms."""
        raw = self.body(x)
        if self.link.kind == "softmax":
            return self.link.scores(raw).log_softmax(1)
        return self.link(raw).log()

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), or 0 and 1 (n, labels)."""
        probabilities = self.predict_proba(x)
        if self.classes is None:
            return (probabilities > 0.5).long()
        return probabilities.argmax(1)


def _model(net: Any, build: Build, network: nn.Module | None = None) -> Model:
    if isinstance(net.model_, InContext):
        raise ConvertError(
            f"{named(net.model)!r} goes by the rows that it keeps, and its weights are a package's"
        )
    preprocess = net.preprocess_
    if preprocess is None:
        for column in build.columns or ():
            column.read_as_number(type(net).__name__)
    before = None if preprocess is None else build.convert(preprocess, build.columns)
    return Model(before, network or net.model_, tuple(net._task.in_shape))


@converts("manumatic.Classifier", strings=True)
def classifier(net: Any, build: Build) -> Piece:
    """Preprocessing, network and link of a manumatic classifier."""
    several = net._task.kind == "multilabel"
    return Classes(_model(net, build), net._reader.link, None if several else net.classes_)


@converts("manumatic.Regressor", strings=True)
def regressor(net: Any, build: Build) -> Piece:
    """Preprocessing, network, link and the way back to the units of the target."""
    target = net._preparation.target
    back = None if target is None else build.convert(target)
    return Numbers(_model(net, build), net._reader.link, back, flat=net._task.flat)


@converts("manumatic.Embedder", strings=True)
def embedder(estimator: Any, build: Build) -> Piece:
    """Preprocessing, and the network up to the layer."""
    return Embedded(_model(estimator.net_, build, estimator.model_))


@converts("manumatic.Table", strings=True)
def table(estimator: Any, build: Build) -> Piece:
    """What it has decided for each column."""
    return build.convert(estimator.columns_, build.columns)


@converts(words, strings=True)
def as_words(step: Any, build: Build) -> Piece:
    """Each value as text: the border does that."""
    return _same([Handed(column, text=True) for column in _raw(step, build)])


@converts(numbers, strings=True)
def as_numbers(step: Any, build: Build) -> Piece:
    """Numbers of any kind, strings of them, too; the border reads them."""
    for column in build.columns or ():
        column.read_as_number("numbers", coerce=True)
    return _same(None)


@converts(seconds, strings=True)
def as_seconds(step: Any, build: Build) -> Piece:
    """Lengths of time; the border reads them."""
    for column in _raw(step, build):
        column.read_as_date("seconds", "seconds")
    return _same(None)


@converts(dates, strings=True)
def as_dates(step: Any, build: Build) -> Piece:
    """Dates, which the border reads as seconds since 1970."""
    for column, form in zip(_raw(step, build), step.kw_args["formats"], strict=True):
        column.read_as_date("dates", form)
    return Calendar()


@converts(smooth_clip)
def squeezed(step: Any, build: Build) -> Piece:
    """Outliers squeezed into a bound."""
    for column in build.columns or ():
        column.read_as_number("smooth_clip")
    bound = (step.kw_args or {}).get("bound", 3.0)
    return Squeezed(build.tensor(np.asarray(bound, np.float32)))


@converts(sentences, strings=True)
def text(step: Any, build: Build) -> Piece:
    """There is no text in a tensor."""
    name = build.columns[0].name if build.columns else "X"
    raise ConvertError(
        f"the column {name!r} is text, whose words are counted, and a tensor holds no text; leave "
        "the column out, or count its words before"
    )


@converts(as_images)
def images(step: Any, build: Build) -> Piece:
    """Images are no rows of columns."""
    raise ConvertError(
        "the rows are images, and a converted module takes a table (n, features); net.model_ is a "
        f"module already, for float32 images (n, channels, height, width) after {step.kw_args}"
    )


@converts(Tokenizer, strings=True)
def tokens(step: Any, build: Build) -> Piece:
    """Texts are no rows of columns."""
    raise ConvertError(
        "the rows are texts, and a tensor holds no text; net.model_ is a module already, for the "
        "numbers that net.preprocess_.transform(texts) gives"
    )


@converts(Pictures, strings=True)
def pictures(step: Any, build: Build) -> Piece:
    """Images are no numbers of a column."""
    raise ConvertError(
        "a column holds images, and a converted module takes numbers and words; net.model_ is a "
        "module already, for the rows that net.preprocess_.transform(X) gives"
    )


@converts(Sequences)
def sequences(step: Any, build: Build) -> Piece:
    """Sequences are no rows of columns."""
    raise ConvertError(
        "the rows are sequences, and a converted module takes a table (n, features); net.model_ is "
        "a module already, for what net.preprocess_.transform(X) gives"
    )


def _raw(step: Any, build: Build) -> tuple[Column, ...]:
    if build.columns is None:
        raise ConvertError(
            f"{step.func.__name__} reads columns as they come in, and here some step has computed "
            "them; put it first"
        )
    return build.columns


def _same(columns: list[Column] | None) -> Piece:
    same = Transformer(nn.Identity())
    same.columns = None if columns is None else tuple(columns)
    return same
