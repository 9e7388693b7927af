"""Ensembles of decision trees as tensors: rows walk down one table of nodes, all trees at once.

Nodes are numbered level by level over the whole ensemble, brothers side by side: the root of tree t
is node t, and right = left + 1. A leaf is its own left child and its threshold is +inf, so that who
has arrived stays. The walk is tree by tree (trees, rows): neighbours in memory read the same tree.
"""

__all__ = ["Layout", "Nodes", "PERFECT", "Tree", "Trees", "columns_for", "floor32"]

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from manumatic.convert.registry import Build
from manumatic.convert.repeat import repeat
from manumatic.convert.tree_op import CODE, HIGH, HOLE, LOW, PLAIN, ZERO, Ensemble

PERFECT = 8  # levels up to which all trees are filled up: a third fewer look-ups on each level
STRIDE = 4  # levels in the compiled loop's body: g++ took minutes for 38 of them in a row
INT32 = 2**31


def floor32(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 that is not above each number, as float64.

    For every x of float32, x ≤ floor32(t) exactly where x ≤ t; rounding to the nearest float32
    would send rows that lie on a border to the wrong side.

    Parameters
    ----------
    thresholds : ndarray of float64

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> bool(floor32(np.array([0.1]))[0] <= 0.1 < float(np.float32(0.1)))
    True
    """
    thresholds = np.asarray(thresholds, np.float64)
    low = thresholds.astype(np.float32)
    below = np.nextafter(low, np.float32(-np.inf))
    return np.where(low > thresholds, below, low).astype(np.float64)


@dataclass(frozen=True)
class Tree:
    """The nodes of one tree, number 0 is the root.

    Attributes
    ----------
    left, right : ndarray (nodes,)
        The children; -1 at leaves.
    feature : ndarray (nodes,)
    threshold : ndarray (nodes,)
        A row goes left where x ≤ threshold.
    missing : ndarray (nodes,)
        Where a missing value goes: ``LOW`` left, ``HIGH`` right, ``ZERO`` where 0 goes, ``PLAIN``
        where there are none; ``CODE`` for a split by category.
    value : ndarray (nodes, outputs)
        What leaves give.
    sets : ndarray (nodes,) or None
        For a split by category the row of the table that says which codes go left.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing: np.ndarray
    value: np.ndarray
    sets: np.ndarray | None = None


class Layout:
    """All nodes of an ensemble in their new order.

    The deepest tree comes first, so that on each level those that go on are the first ones.

    Parameters
    ----------
    trees : sequence of Tree
    perfect : int
        Trees up to this depth are filled up, so that left = 2 · node + trees.

    Attributes
    ----------
    order : ndarray (trees,)
        Which tree stands where.
    place : ndarray (trees,)
        Where each tree stands.
    alive : tuple of int
        How many trees go on below each level.
    perfect : bool
        All are filled up.
    left : ndarray (nodes,)
    nodes : ndarray (nodes,)
        Each node's number among the nodes of all trees as they were given.
    leaf : ndarray (nodes,)
        The leaves as they were given: the rows of the table of leaves.
    slot : ndarray (nodes,)
        The row of each node in the table of leaves; -1 where it is none.
    levels : list of (int, int)
        The first node and the one behind the last, level by level.

    Examples
    --------
    >>> stump = Tree(*np.array([[1, -1, -1], [2, -1, -1], [0, 0, 0], [5, 0, 0], [0, 0, 0]]),
    ...              np.array([[0.0], [10.0], [20.0]]))
    >>> Layout([stump, stump], perfect=0).left
    array([2, 4, 2, 3, 4, 5])
    """

    def __init__(self, trees: Sequence[Tree], perfect: int = PERFECT) -> None:
        starts = np.cumsum([0] + [len(tree.left) for tree in trees])[:-1]
        left, right = (_joined(trees, starts, side) for side in ("left", "right"))
        depth = _depths(left, right, starts, len(trees))
        self.order = np.argsort(-depth, kind="stable")
        self.place = np.argsort(self.order)
        deepest = int(depth.max())
        self.alive = tuple(int((depth > level).sum()) for level in range(deepest))
        self.perfect = 0 < deepest <= perfect
        if self.perfect:
            self.alive = (len(trees),) * deepest
        self._number(left, right, starts[self.order], deepest)
        ends = left[self.nodes] < 0
        # a tree that is filled up has copies of its leaves below them
        self.leaf, slots = np.unique(self.nodes[ends], return_inverse=True)
        self.slot = np.full(len(self.nodes), -1)
        self.slot[ends] = slots

    def _number(self, left: np.ndarray, right: np.ndarray, roots: np.ndarray, deepest: int) -> None:
        levels, lefts, start = [roots], [], 0
        for _ in range(deepest):
            nodes = levels[-1]
            inner = np.ones(len(nodes), bool) if self.perfect else left[nodes] >= 0
            first = start + len(nodes) + 2 * (np.cumsum(inner) - 1)
            lefts.append(np.where(inner, first, start + np.arange(len(nodes))))
            start += len(nodes)
            going = nodes[inner]
            stay = left[going] < 0
            pairs = [np.where(stay, going, side[going]) for side in (left, right)]
            levels.append(np.stack(pairs, 1).ravel())
        lefts.append(start + np.arange(len(levels[-1])))
        bounds = np.cumsum([0] + [len(level) for level in levels]).tolist()
        self.levels = list(pairwise(bounds))
        self.nodes, self.left = np.concatenate(levels), np.concatenate(lefts)


def _joined(trees: Sequence[Tree], starts: np.ndarray, side: str) -> np.ndarray:
    parts = [
        np.where(getattr(tree, side) < 0, -1, getattr(tree, side).astype(np.int64) + start)
        for tree, start in zip(trees, starts, strict=True)
    ]
    return np.concatenate(parts)


def _depths(left: np.ndarray, right: np.ndarray, roots: np.ndarray, count: int) -> np.ndarray:
    """Levels of splits in each tree (trees,)."""
    depth, nodes, owner, level = np.zeros(count, np.int64), roots, np.arange(count), 0
    while True:
        inner = left[nodes] >= 0
        nodes, owner, level = nodes[inner], owner[inner], level + 1
        if not len(nodes):
            return depth
        depth[owner] = level
        nodes = np.concatenate([left[nodes], right[nodes]])
        owner = np.concatenate([owner, owner])


def columns_for(x: Tensor, kind: int, width: int = 0) -> Tensor:
    """The features as splits of one kind want them, without missing values.

    Parameters
    ----------
    x : Tensor
        Numbers, NaN where a value is missing.
    kind : int
        ``LOW``: NaN is below all thresholds; ``HIGH``: above all; ``HOLE``: inf where a value is
        missing, else -inf; ``ZERO``: NaN is 0; ``CODE``: a whole number below ``width``,
        which is ``width - 1`` where the value is missing or unknown; ``PLAIN``: as they are.
    width : int
        How many codes there are, with the one of missing values.

    Returns
    -------
    Tensor
        Of the same shape.

    Examples
    --------
    >>> columns_for(torch.tensor([1.5, float("nan")]), ZERO)
    tensor([1.5000, 0.0000])
    """
    if kind == PLAIN:
        return x
    if kind == CODE:
        known = (x > -1) & (x < width - 1)
        return torch.where(known, x, width - 1).trunc()
    if kind == HOLE:
        return torch.where(x.isnan(), torch.inf, -torch.inf).to(x.dtype)
    return x.masked_fill(x.isnan(), {LOW: -torch.inf, HIGH: torch.inf, ZERO: 0.0}[kind])


class Trees(Ensemble):
    """The sum of an ensemble's leaves; leaf values can be trained.

    Parameters
    ----------
    trees : sequence of Tree
    features : int
        How many columns rows have.
    build : Build
    single : bool
        Rows are rounded to float32 before they are compared, as scikit-learn's forests do.
    groups : int
        Tree t adds to the output t mod groups: boosting for several classes.
    table : ndarray of bool (sets, codes), optional
        Which codes of a category go left; the last one is that of missing values.

    Examples
    --------
    >>> stump = Tree(*np.array([[1, -1, -1], [2, -1, -1], [0, 0, 0], [5, 0, 0], [PLAIN] * 3]),
    ...              np.array([[0.0], [10.0], [20.0]]))
    >>> Trees([stump, stump], 1, Build(), single=True)(torch.tensor([[5.0], [6.0]]))
    tensor([[20.],
            [40.]], dtype=torch.float64, grad_fn=<SumBackward1>)
    """

    def __init__(
        self,
        trees: Sequence[Tree],
        features: int,
        build: Build,
        *,
        single: bool,
        groups: int = 1,
        table: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        layout = Layout(trees)
        self.count, self.groups, self.features, self.single = len(trees), groups, features, single
        self.alive, self.perfect = layout.alive, layout.perfect
        self.width = 0 if table is None else table.shape[1]
        nodes = Nodes(trees, layout, features, single)
        self.kinds = nodes.kinds
        for name in ("feature", "left", "slot", "place"):
            found = getattr(nodes, name, None)
            found = getattr(layout, name) if found is None else found
            self.register_buffer(name, torch.tensor(found, dtype=torch.int32))
        self.register_buffer("threshold", build.tensor(nodes.threshold))
        if table is not None:
            self.register_buffer("sets", torch.tensor(nodes.sets, dtype=torch.int32))
            self.register_buffer("table", torch.tensor(table))
        value = np.concatenate([tree.value for tree in trees])
        self.value = build.weight(value[layout.leaf])

    def forward(self, x: Tensor) -> Tensor:
        """Sums (n, outputs)."""
        return self.lowered(x)

    def plain(self, x: Tensor) -> Tensor:
        """Sums (n, outputs), in PyTorch's own operations."""
        slots = self.leaves(x)
        found = self.value.index_select(0, slots.reshape(-1))
        found = found.view(self.count, -1, self.value.shape[1])
        if self.groups == 1:
            return found.sum(0)
        found = found.index_select(0, self.place)
        return found.view(-1, self.groups, found.shape[1]).sum(0).t()

    def leaves(self, x: Tensor) -> Tensor:
        """Rows of ``value`` (trees, n) that each row of x reaches, deepest tree first."""
        columns = self.columns(x.detach()).t().contiguous()
        traced = torch.compiler.is_compiling()
        walk = self._walk_traced if traced else self._walk
        return self.slot.index_select(0, walk(columns).reshape(-1)).view(self.count, -1)

    def columns(self, x: Tensor) -> Tensor:
        """The features (n, columns) that nodes compare."""
        x = (x.float() if self.single else x).to(self.threshold.dtype)
        return torch.cat([columns_for(x, kind, self.width) for kind in self.kinds], 1)

    def reach(self, x: Tensor) -> Tensor:
        """1 for the leaves that a row reaches, else 0, (n, leaves)."""
        found = x.new_zeros(x.shape[0], len(self.value), dtype=self.value.dtype)
        return found.scatter(1, self.leaves(x).t().long(), 1.0)

    def _walk(self, columns: Tensor) -> Tensor:
        """Trees that end above a level are left out of it; all look-ups are in flat tables."""
        n, flat = columns.shape[1], columns.view(-1)
        whole = torch.int64 if columns.numel() >= INT32 else torch.int32
        rows = torch.arange(n, dtype=whole, device=columns.device).repeat(self.count)
        roots = torch.arange(self.count, dtype=torch.int32, device=columns.device)
        node = roots.repeat_interleave(n)
        for alive in self.alive:
            now = node[: alive * n]
            at = torch.add(rows[: alive * n], self.feature.index_select(0, now), alpha=n)
            right = self._right(now, flat.index_select(0, at))
            torch.add(self._left(now), right, out=now)
        return node

    def _walk_traced(self, columns: Tensor) -> Tensor:
        """All trees on all levels: what a compiler makes one loop of."""
        roots = torch.arange(self.count, dtype=torch.int64, device=columns.device)
        node = roots[:, None].expand(-1, columns.shape[1])
        if len(self.alive) <= PERFECT or torch.compiler.is_exporting():
            return self._down(columns, node, len(self.alive))

        def going(level: Tensor, node: Tensor) -> Tensor:
            return level < len(self.alive)

        def step(level: Tensor, node: Tensor) -> tuple[Tensor, Tensor]:
            return level + STRIDE, self._down(columns, node, STRIDE).to(torch.int32)

        level = torch.zeros((), dtype=torch.int64, device=columns.device)
        return repeat(going, step, level, node.to(torch.int32, copy=True))[1]

    def _down(self, columns: Tensor, node: Tensor, levels: int) -> Tensor:
        """So many levels down; who has arrived stays."""
        for _ in range(levels):
            found = columns.gather(0, self.feature[node].long())
            node = self._left(node) + self._right(node, found)
        return node

    def _left(self, node: Tensor) -> Tensor:
        if self.perfect:
            return node * 2 + self.count
        return _at(self.left, node)

    def _right(self, node: Tensor, found: Tensor) -> Tensor:
        """Does a row go right."""
        right = found > _at(self.threshold, node)
        if not self.width:
            return right
        sets = _at(self.sets, node)
        code = found.clamp(0, self.width - 1).to(torch.int32)
        at = sets.clamp(min=0) * self.width + code
        member = _at(self.table.view(-1), at)
        return torch.where(sets < 0, right, ~member)


def _at(table: Tensor, node: Tensor) -> Tensor:
    """Look-ups; plain indexing is the faster one compiled, and the slower one else."""
    if torch.compiler.is_compiling():
        return table[node]
    return table.index_select(0, node.reshape(-1)).view(node.shape)


class Nodes:
    """What the nodes of an ensemble compare, in the order of a layout.

    Parameters
    ----------
    trees : sequence of Tree
    layout : Layout
    features : int
    single : bool
        Thresholds are for rows of float32.
    """

    def __init__(self, trees: Sequence[Tree], layout: Layout, features: int, single: bool) -> None:
        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(tree, name) for tree in trees])[layout.nodes]

        inner = joined("left") >= 0
        threshold = joined("threshold").astype(np.float64)
        missing = joined("missing").astype(np.int64)
        # x ≤ inf for all that is there: the question is only whether something is
        hole = inner & (missing == HIGH) & np.isposinf(threshold)
        missing[hole] = HOLE
        self.kinds = tuple(np.unique(missing[inner]).tolist()) or (PLAIN,)
        block = np.searchsorted(self.kinds, missing)
        self.feature = np.where(inner, joined("feature") + block * features, 0)
        threshold = np.where(hole, 0.0, threshold)
        self.threshold = np.where(inner, floor32(threshold) if single else threshold, np.inf)
        some = trees[0].sets is not None
        self.sets = np.where(inner, joined("sets"), -1) if some else None
