"""The user's rows and targets → the tensors that a model trains on, and the way back."""

__all__ = [
    "Preparation",
    "Rows",
    "as_tensor",
    "class_weights",
    "numeric_columns",
    "prepare_rows",
]

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import compute_sample_weight
from torch import Tensor

from manumatic.convert.border import Border
from manumatic.errors import ComponentError, DataError
from manumatic.logbook import Logbook
from manumatic.parts.cells import sentences
from manumatic.parts.columns import (
    array_preprocess,
    in_float32,
    table_preprocess,
    text_preprocess,
)
from manumatic.parts.components import Data
from manumatic.parts.rows import as_images, kind_of, mean_and_spread, pixels_in
from manumatic.parts.sequences import Sequences, steps_of
from manumatic.parts.tokens import Tokenizer, told
from manumatic.task import Task


@dataclass
class Rows:
    """Rows as read at the border: inputs, numbers of the target, weights."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: np.ndarray) -> "Rows":
        """Some of the rows, in that order."""
        X = self.X.iloc[index] if isinstance(self.X, pd.DataFrame) else self.X[index]
        return Rows(X, self.y[index], None if self.weight is None else self.weight[index])


@dataclass
class Preparation:
    """What was learned from the training rows about how to read rows.

    Attributes
    ----------
    preprocess : transformer or None
        Fitted; rows → numbers.
    target : transformer or None
        Fitted; target (n, outputs) → what the model is trained on. Regression only.
    columns : list or None
        Names of the columns, where the rows were a table with names.
    pixels : tuple of int or None
        The shape of a row, (h, w) or (c, h, w), where the rows were images.
    """

    preprocess: Any = None
    target: Any = None
    columns: list[Any] | None = None
    pixels: tuple[int, ...] | None = None

    def numbers(self, rows: Any) -> Tensor:
        """Rows that were read at the border, as the model takes them: a float32 tensor (n, …)."""
        if self.preprocess is not None:
            if self.vocabulary:
                rows = sentences(rows)
            elif self.columns is not None and isinstance(rows, np.ndarray):
                rows = pd.DataFrame(rows, columns=self.columns)
            elif self.columns is None and isinstance(rows, pd.DataFrame):
                rows = _plain(rows)
            rows = self.preprocess.transform(rows)
        return self.tensor(rows)

    def tensor(self, numbers: Any) -> Tensor:
        """Prepared rows as a tensor; a converted model fills in missing values itself."""
        if self.vocabulary:
            return torch.from_numpy(np.array(numbers, dtype=np.int64))
        kept = isinstance(self.preprocess, Border) or hasattr(self.preprocess, "keeps_missing")
        return as_tensor(numbers, missing=self.steps or kept)

    @property
    def vocabulary(self) -> int:
        """How many numbers of words there are; 0 where rows are not words."""
        return getattr(_last(self.preprocess), "n_words_", 0)

    @property
    def steps(self) -> bool:
        """Whether rows are sequences; NaN is a step that is not there."""
        return isinstance(_last(self.preprocess), Sequences)

    def pair(self, rows: Rows, task: Task, inputs: Tensor) -> tuple[Tensor, np.ndarray]:
        """Inputs, and what the model is trained to return for them."""
        itself = task.kind == "reconstruction"
        return inputs, inputs.numpy() if itself else self.targets(rows.y)

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Numbers of the target as the model is trained on them."""
        if self.target is None:
            return y
        scaled = self.target.transform(y.reshape(len(y), -1))
        return np.asarray(scaled).reshape(y.shape)

    def original(self, prediction: np.ndarray) -> np.ndarray:
        """Predictions (n, outputs) in the units of the user's target."""
        if self.target is None:
            return prediction
        return np.asarray(self.target.inverse_transform(prediction))


def _last(preprocess: Any) -> Any:
    return preprocess.steps[-1][1] if hasattr(preprocess, "steps") else preprocess


def as_tensor(rows: Any, missing: bool = False) -> Tensor:
    """Numbers of any kind as float32; integers too, for networks are made of floats.

    Parameters
    ----------
    rows : array, DataFrame or sparse matrix (n, …)
    missing : bool
        The model takes NaN.

    Raises
    ------
    DataError
        Words, NaN or infinity where a number must be.
    """
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if isinstance(rows, pd.DataFrame):
        rows = _plain(rows)
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "O":
        raise DataError("X holds strings; preprocess='auto' turns them into numbers")
    with np.errstate(over="ignore"):
        numbers = np.array(rows, dtype=np.float32, order="C")
    bad = np.isinf(numbers) if missing else ~np.isfinite(numbers)
    if bad.any():
        row = int(np.argwhere(bad)[0, 0])
        raise DataError(
            f"row {row} of X holds {numbers[row][bad[row]].flat[0]} once it is prepared as "
            "float32; fill missing values and scale large ones, as preprocess='auto' does"
        )
    return torch.from_numpy(numbers)


def _plain(frame: pd.DataFrame) -> np.ndarray:
    try:
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"X has columns that are no numbers ({error}); fitted on a DataFrame that holds such, "
            "preprocess='auto' encodes them"
        ) from None


def numeric_columns(numbers: Tensor) -> tuple[int, ...]:
    """Columns of (n, d) that take more than three values; at most 2,000 rows are looked at."""
    some = numbers[:: max(1, len(numbers) // 2000)].sort(dim=0).values
    different = 1 + (some[1:] != some[:-1]).sum(dim=0)
    return tuple(torch.nonzero(different > 3).flatten().tolist())


def class_weights(class_weight: Any, y: Any, task: Task) -> np.ndarray | None:
    """A weight a row from weights of the classes (None, "balanced" or {label: weight})."""
    if class_weight is None:
        return None
    if not task.is_classification:
        raise ComponentError(
            f"class_weight={class_weight!r} needs classes; this target is a number"
        )
    try:
        weights = np.asarray(compute_sample_weight(class_weight, y), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ComponentError(
            f'class_weight must be "balanced", {{label: weight}} with each label, or None; '
            f"got {class_weight!r} ({error})"
        ) from None
    if not np.all((weights >= 0) & np.isfinite(weights)):
        raise ComponentError(f"weights of classes are finite and 0 or more; got {class_weight!r}")
    return weights


def prepare_rows(
    spec: Data,
    train: Rows,
    *,
    task: Task,
    scale_target: bool,
    seed: int,
    logbook: Logbook,
) -> tuple[Preparation, Tensor, np.ndarray]:
    """Fit the preprocessing on the training rows.

    Returns
    -------
    preparation : Preparation
    X : Tensor (n, …) of float32
    y : ndarray
        The target, scaled where that applies.
    """
    preparation = Preparation(
        _choose(spec, train, task, seed, logbook),
        columns=list(train.X.columns) if isinstance(train.X, pd.DataFrame) else None,
        pixels=pixels_in(train.X),
    )
    X = train.X
    if preparation.preprocess is not None:
        y = None if task.kind == "reconstruction" else train.y
        X = preparation.preprocess.fit_transform(X, y)
        if isinstance(preparation.preprocess, Tokenizer):
            logbook.note("data", *told(preparation.preprocess))
    if task.kind == "regression":
        preparation.target = _choose_target(spec, train, scale_target, logbook)
    return preparation, *preparation.pair(train, task, preparation.tensor(X))


def _choose(spec: Data, train: Rows, task: Task, seed: int, logbook: Logbook) -> Any:
    """The preprocessing, not yet fitted."""
    if spec.preprocess is None:
        return None
    if _splits_texts(spec.preprocess):
        return Tokenizer(split=spec.preprocess)
    if hasattr(spec.preprocess, "fit_transform") and not isinstance(spec.preprocess, type):
        return clone(spec.preprocess)
    if not (isinstance(spec.preprocess, str) and spec.preprocess in ("auto", *KINDS)):
        raise ComponentError(
            'preprocess must be "auto", "tokens", "sequences", "images", "mixed", None or a '
            f"scikit-learn transformer; got {spec.preprocess!r}"
        )
    kind = KINDS.get(spec.preprocess, kind_of(train.X))
    return in_float32(_made_for(kind, train, task, seed, logbook))


def _made_for(kind: str, train: Rows, task: Task, seed: int, logbook: Logbook) -> Any:
    """The preprocessing that suits rows of a kind."""
    if kind == "tokens":
        return _tokens(train.X)
    if kind in ("frame", "mixed"):
        classes, mixed = _has_classes(task), kind == "mixed"
        return table_preprocess(
            train.X, classification=classes, seed=seed, mixed=mixed, logbook=logbook
        )
    if kind == "text":
        return text_preprocess(train.X, seed=seed, logbook=logbook)
    if kind == "sequence":
        return _sequences(train.X, logbook)
    if kind == "image":
        return _images(train.X, logbook)
    return array_preprocess(train.X, logbook=logbook)


def _splits_texts(given: Any) -> bool:
    """Whether it is a tokenizer of Hugging Face; a word has an "encode", too."""
    return hasattr(given, "encode") and not (isinstance(given, str) or hasattr(given, "fit"))


def _has_classes(task: Task) -> bool | None:
    """Whether the one target is classes; None where there is no one target."""
    one_target = task.kind != "multilabel" and task.n_outputs == 1
    return task.is_classification if one_target else None


def _images(X: np.ndarray, logbook: Logbook) -> FunctionTransformer:
    channels = [X] if X.ndim != 4 or X.shape[1] == 1 else [X[:, c] for c in range(X.shape[1])]
    mean, scale = zip(*map(mean_and_spread, channels), strict=True)
    told = [", ".join(f"{number:.3g}" for number in each) for each in (mean, scale)]
    why = "mean and spread of the training rows" + ", channel by channel" * (len(mean) > 1)
    logbook.note("data", f"pixels minus {told[0]}, over {told[1]}", why)
    if len(mean) == 1:
        mean, scale = mean[0], scale[0]
    return FunctionTransformer(as_images, kw_args={"mean": mean, "scale": scale})


KINDS = {"tokens": "tokens", "sequences": "sequence", "images": "image", "mixed": "mixed"}


def _tokens(X: Any) -> Tokenizer:
    texts = sentences(X)
    if len(set(texts)) < 2 or not any(map(str.strip, texts)):
        raise DataError(
            f"all texts are alike, {texts[0]!r}: there is nothing to tell rows apart by"
        )
    return Tokenizer()


def _sequences(X: Any, logbook: Logbook) -> Sequences:
    """Features scaled over the steps that are there, as the columns of a table are."""
    if not isinstance(X, np.ndarray) or X.ndim not in (2, 3) or X.dtype.kind not in "fiu":
        raise DataError(f'preprocess="sequences" takes rows (n, t, features); X is a {kind_of(X)}')
    rows = X if X.ndim == 3 else X[..., np.newaxis]
    steps = steps_of(rows)
    if not len(steps):
        raise DataError(f"none of the {len(X)} rows of X has a step")
    return Sequences(array_preprocess(steps, logbook=logbook))


def _choose_target(spec: Data, train: Rows, scale_target: bool, logbook: Logbook) -> Any:
    scaler = spec.target
    if isinstance(scaler, str) and scaler == "auto":
        scaler = StandardScaler() if scale_target and spec.preprocess is not None else None
        if scaler is not None:
            logbook.note("data", "target standardised", "a loss near 1 suits every learning rate")
    if scaler is None:
        return None
    if not hasattr(scaler, "inverse_transform") or isinstance(scaler, type):
        raise ComponentError(
            'target must be "auto", None or a scikit-learn transformer with inverse_transform; '
            f"got {scaler!r}"
        )
    return clone(scaler).fit(train.y.reshape(len(train.y), -1))
