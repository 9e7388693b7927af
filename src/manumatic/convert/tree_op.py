"""Ensembles of trees in ONNX: the operator ``TreeEnsemble`` of ai.onnx.ml in place of a loop.

While a graph for ONNX is being drawn, an ensemble is one operator of ours, ``manumatic::trees``,
that knows it by a number; :func:`translations` numbers the ensembles of a module and says what the
operator becomes.
"""

__all__ = ["CODE", "Ensemble", "HIGH", "HOLE", "LOW", "PLAIN", "ZERO", "translations"]

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.errors import MissingExtra

LOW, HIGH, HOLE, ZERO, CODE, PLAIN = range(6)  # where a missing value goes, see `columns_for`
AS_THEY_ARE = {LOW, HIGH, HOLE, PLAIN}  # TreeEnsemble can tell by itself where NaN goes
LEQ, MEMBER = 0, 6  # its nodes: x ≤ split, x is one of
SUM = 1  # how it brings trees together


class Ensemble(nn.Module):
    """Trees in tensors that a ``TreeEnsemble`` of ONNX can hold; a subclass fills and walks them.

    Attributes
    ----------
    count, groups, features, width, outputs : int
        Trees, groups of them that are summed apart, columns of x, codes of categories, outputs.
    kinds : tuple of int
        Which columns nodes compare: ``features`` of each kind.
    perfect, single : bool
        left = 2 · node + count; x is rounded to float32.
    left, feature, threshold, slot, sets : Tensor (nodes,)
        ``slot`` is the row of ``value`` and -1 where a node splits, ``sets`` the row of ``table``
        and -1 where a split is by threshold.
    place : Tensor (trees,)
        The root of each tree.
    table : Tensor (sets, width)
        Codes that go left.
    value : Tensor (leaves, outputs)
    """

    count: int
    groups: int
    features: int
    width: int
    kinds: tuple[int, ...]
    perfect: bool
    single: bool
    left: Tensor
    feature: Tensor
    threshold: Tensor
    slot: Tensor
    place: Tensor
    sets: Tensor
    table: Tensor
    value: Tensor

    @property
    def outputs(self) -> int:
        """Columns that ``forward`` gives."""
        return self.value.shape[1] * self.groups

    def plain(self, x: Tensor) -> Tensor:
        """Sums (n, outputs), in PyTorch's own operations."""
        raise NotImplementedError  # exact and soft trees walk differently

    def columns(self, x: Tensor) -> Tensor:
        """What nodes compare (n, features · kinds)."""
        raise NotImplementedError  # exact and soft trees walk differently

    def lowered(self, x: Tensor) -> Tensor:
        """Sums (n, outputs), by the operator where a graph for ONNX is being drawn."""
        if not (torch.onnx.is_in_onnx_export() and self in NUMBERS):
            return self.plain(x)
        if AS_THEY_ARE.issuperset(self.kinds):
            x = (x.float() if self.single else x).to(self.threshold.dtype)
        else:
            x = self.columns(x)
        return torch.ops.manumatic.trees(x, NUMBERS[self])


NUMBERS: WeakKeyDictionary[Ensemble, int] = WeakKeyDictionary()
LIVE: WeakValueDictionary[int, Ensemble] = WeakValueDictionary()


@torch.library.custom_op("manumatic::trees", mutates_args=())
def _trees(x: Tensor, number: int) -> Tensor:
    raise NotImplementedError("manumatic::trees exists while a graph for ONNX is drawn, only")


@_trees.register_fake
def _shape(x: Tensor, number: int) -> Tensor:
    return x.new_empty(x.shape[0], LIVE[number].outputs)


def translations(module: nn.Module) -> dict[Any, Callable[..., Any]]:
    """What the ensembles of a module become in ONNX; call it right before the export.

    Parameters
    ----------
    module : nn.Module
        With any number of ensembles inside, or none.

    Returns
    -------
    dict
        For ``torch.onnx.export(..., custom_translation_table=...)``.

    Raises
    ------
    MissingExtra
        onnxscript is not there.

    Examples
    --------
    >>> translations(nn.Linear(3, 1))
    {}
    """
    ensembles = [each for each in module.modules() if isinstance(each, Ensemble)]
    if not ensembles:
        return {}
    try:
        import onnx_ir
        from onnxscript.values import Opset
    except ImportError:
        raise MissingExtra("onnxscript", "deliver") from None
    first = max(LIVE, default=-1) + 1
    for number, each in enumerate(ensembles, first):
        NUMBERS[each], LIVE[number] = number, each
    op: Any = Opset("", 20)
    ml: Any = Opset("ai.onnx.ml", 5)

    def translate(x: Any, number: int) -> Any:
        ensemble, found = LIVE[number], []
        shared, weights = _nodes(ensemble)
        for weight in weights:
            given = {**shared, "leaf_weights": weight}
            whole = {k: onnx_ir.tensor(v) if hasattr(v, "dtype") else v for k, v in given.items()}
            found.append(ml.TreeEnsemble(x, **whole, aggregate_function=SUM, post_transform=0))
        if len(found) < ensemble.outputs == 2:  # a leaf has one weight: a second node costs double
            total = op.CastLike(op.Constant(value_float=float(ensemble.count)), found[0])
            found = [op.Sub(total, found[0]), found[0]]
        return found[0] if len(found) == 1 else op.Concat(*found, axis=-1)

    return {torch.ops.manumatic.trees.default: translate}


def _nodes(trees: Ensemble) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Attributes of ``TreeEnsemble``, and the weights of leaves for one output after another."""

    def read(name: str) -> np.ndarray:
        return getattr(trees, name).detach().cpu().numpy()

    slot, left, value = read("slot").astype(np.int64), read("left").astype(np.int64), read("value")
    if trees.perfect:
        left = 2 * np.arange(len(slot)) + trees.count
    inner, target = _reached(left, slot, np.argsort(read("place")) % trees.groups)
    number = np.full(len(slot), -1)
    number[inner] = np.arange(len(inner))
    # a tree that is a leaf only is a node that goes to this leaf in any case
    lonely = np.flatnonzero(slot[: trees.count] >= 0)
    number[lonely] = len(inner) + np.arange(len(lonely))
    nodes = np.concatenate([inner, lonely])
    ends = slot[nodes] >= 0
    children = [np.where(ends, nodes, left[nodes] + i) for i in (0, 1)]
    ids = [np.where(slot[child] >= 0, slot[child], number[child]) for child in children]
    leaf = [(slot[child] >= 0).astype(np.int64) for child in children]
    feature, split, tracks = _compared(trees, nodes, ends)
    shared: dict[str, Any] = {
        "nodes_featureids": feature.tolist(),
        "nodes_modes": np.full(len(nodes), LEQ, np.uint8),
        "nodes_splits": split.astype(value.dtype),
        "nodes_truenodeids": ids[0].tolist(),
        "nodes_falsenodeids": ids[1].tolist(),
        "nodes_trueleafs": leaf[0].tolist(),
        "nodes_falseleafs": leaf[1].tolist(),
        "nodes_missing_value_tracks_true": tracks.tolist(),
        "leaf_targetids": target.tolist(),
        "tree_roots": number[: trees.count].tolist(),
        "n_targets": trees.groups,
    }
    if trees.width:
        sets = np.where(ends, -1, read("sets")[nodes])
        shared["nodes_modes"] = np.where(sets >= 0, MEMBER, LEQ).astype(np.uint8)
        members = [np.append(np.flatnonzero(row), np.nan) for row in read("table")[sets[sets >= 0]]]
        shared["membership_values"] = np.concatenate([*members, []]).astype(value.dtype)
    return shared, _weights(value, trees.groups)


def _reached(left: np.ndarray, slot: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, ...]:
    """The nodes that split, from the roots down, and the group of each leaf."""
    target = np.zeros(slot.max() + 1, np.int64)
    nodes, found = np.arange(len(group)), []
    while len(nodes):
        splits = slot[nodes] < 0
        target[slot[nodes[~splits]]] = group[~splits]
        nodes, group = nodes[splits], group[splits]
        found.append(nodes)
        nodes = np.stack([left[nodes], left[nodes] + 1], 1).ravel()
        group = np.repeat(group, 2)
    return np.concatenate(found), target


def _compared(
    trees: Ensemble, nodes: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature, threshold, and does NaN go left, of each node."""
    feature = trees.feature.cpu().numpy()[nodes].astype(np.int64)
    split = np.where(ends, 0.0, trees.threshold.detach().cpu().numpy()[nodes])
    if not AS_THEY_ARE.issuperset(trees.kinds):
        return feature, split, np.zeros(len(nodes), np.int64)
    kind = np.array(trees.kinds)[feature // trees.features]
    split = np.where((kind == HOLE) & ~ends, np.inf, split)
    return feature % trees.features, split, np.isin(kind, (LOW, PLAIN)).astype(np.int64)


def _weights(value: np.ndarray, groups: int) -> list[np.ndarray]:
    shares = value.shape[1] == 2 and groups == 1
    exact = 4 * np.finfo(value.dtype).eps
    if shares and np.abs(value.sum(1) - 1).max() <= exact:
        return [value[:, 1]]
    return list(value.T)
