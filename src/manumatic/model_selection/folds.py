"""The rows that a candidate is trained on, and those that it is judged by."""

__all__ = ["Fold", "folds_of", "refuse_streams"]

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing as rows_of
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples as count
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from manumatic.errors import DataError
from manumatic.gears.choices import as_data
from manumatic.gears.manual import Training
from manumatic.nets.table import TableNet
from manumatic.parts.components import Data
from manumatic.parts.data import Batches, are_unseen, split_rows

HELD_OUT = 0.2  # of the rows, as RealMLP's


@dataclass(frozen=True, eq=False)
class Fold:
    """Both sides of a split.

    Attributes
    ----------
    train, valid : tuple of three
        Rows, targets and weights; what is not there is None.
    """

    train: tuple[Any, Any, Any]
    valid: tuple[Any, Any, Any]

    def training(self, net: Any) -> tuple[Training, Any]:
        """A fresh training of a net, and the other side as batches.

        A net whose members leave rows out is judged by these on the way, as in any fit; any other
        by the other side.
        """
        net, alone = clone(net), clone(net)
        X, y, weight = self.valid
        net.set_params(
            data=Data(**(as_data(net.data).get_params(deep=False) | {"validation": (X, y)}))
        )
        training: Training = net.manual(*self.train)
        held = training.valid
        if isinstance(held, Batches) and len(held.tensors) == 3 and weight is not None:
            ones = held.tensors[2]
            counts = ones.new_tensor(np.asarray(weight, dtype=np.float32))
            held.tensors = (*held.tensors[:2], counts / counts.mean())
        if not isinstance(training.model, TableNet):
            return training, held
        apart = alone.manual(*self.train)
        return (apart if are_unseen(apart.valid) else training), held


def refuse_streams(X: Any) -> None:
    """Raise DataError for rows that can't be split here."""
    if isinstance(X, Dataset | DataLoader):
        raise DataError(
            f"tune holds rows out itself, which it cannot of a {type(X).__name__}; "
            "give X and y as arrays or a DataFrame"
        )


def folds_of(net: Any, X: Any, y: Any, weight: Any, cv: Any, seed: int) -> list[Fold]:
    """The folds of ``cv``; without it one split: the net's own validation rows, or a fifth.

    Labels that none of the training rows has can't be predicted: such rows judge nobody.

    Parameters
    ----------
    net : Classifier, Regressor or Autoencoder
    X, y, weight : rows, targets and weights, or None
    cv : int, splitter, iterable or None
    seed : int
        Decides which rows are held out.
    """
    check_consistent_length(X, y, weight)
    own = as_data(net.data).validation
    if cv is None and isinstance(own, tuple | list) and len(own) == 2:
        return [Fold((X, y, weight), (*own, None))]
    labels = _labels(net, y)
    found = []
    for train, valid in _splits(net, X, y, labels, cv, seed):
        if labels is not None:
            valid = valid[np.isin(labels[valid], labels[train])]
        found.append(Fold(_some(train, X, y, weight), _some(valid, X, y, weight)))
    return found


def _splits(
    net: Any, X: Any, y: Any, labels: Any, cv: Any, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if cv is None:
        yield split_rows(count(X), HELD_OUT, labels, seed)
    else:
        splitter = check_cv(cv, y, classifier=is_classifier(net))
        yield from splitter.split(np.zeros(count(X)), y)


def _labels(net: Any, y: Any) -> np.ndarray | None:
    if not is_classifier(net) or type_of_target(y) not in ("binary", "multiclass"):
        return None
    return np.asarray(check_array(y, ensure_2d=False, dtype=None)).reshape(-1)


def _some(rows: np.ndarray, *columns: Any) -> Any:
    """Some rows of each column that is there."""
    return tuple(
        None if c is None else c[rows] if isinstance(c, Tensor) else rows_of(c, rows)
        for c in columns
    )
