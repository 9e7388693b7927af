"""Soft trees: rows go both ways, by shares, so that gradients reach thresholds and features."""

__all__ = ["SoftTrees", "grow"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.convert.registry import Build
from manumatic.convert.tree_op import CODE
from manumatic.convert.trees import Layout, Nodes, Tree, Trees, columns_for


def grow(trees: Sequence[Tree], features: int, build: Build, **given: Any) -> "Trees | SoftTrees":
    """Trees as a module: exact, or soft where ``build.soft`` says how much.

    Parameters
    ----------
    trees : sequence of Tree
    features : int
        How many columns rows have.
    build : Build
    **given
        Of :class:`~manumatic.convert.trees.Trees`: single, groups, table.

    Returns
    -------
    Trees or SoftTrees
    """
    return (Trees if build.soft is None else SoftTrees)(trees, features, build, **given)


class SoftTrees(nn.Module):
    """Each split sends the share sigmoid((threshold − x) / τ) of a row to the left.

    A leaf counts by the share that reaches it, the product along its path; for τ → 0 all of a row
    reaches one leaf. Splits by category and missing values stay hard. Costs the memory of all nodes
    for every row. Thresholds and leaf values can be trained. After Irsoy, Yıldız and Alpaydın, Soft
    Decision Trees, ICPR 2012.

    Parameters
    ----------
    trees, features, build, single, groups, table
        As :class:`~manumatic.convert.trees.Trees` takes them; ``build.soft`` is τ.
    """

    feature: Tensor
    splits: Tensor
    ends: Tensor
    order: Tensor
    target: Tensor
    sets: Tensor
    table: Tensor

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
        assert build.soft is not None
        layout = Layout(trees, perfect=0)
        nodes = Nodes(trees, layout, features, single)
        self.soft, self.single, self.kinds = build.soft, single, nodes.kinds
        self.count, self.groups = len(trees), groups
        self.width = 0 if table is None else table.shape[1]
        inner = layout.slot < 0
        self.threshold = build.weight(nodes.threshold[inner])
        self.value = build.weight(np.concatenate([tree.value for tree in trees])[layout.leaf])
        starts = np.concatenate([np.full(stop - start, start) for start, stop in layout.levels])
        within = np.arange(len(inner)) - starts
        self.bounds = [
            (int(inner[:start].sum()), int(inner[:stop].sum()), start, stop)
            for start, stop in layout.levels
        ]
        owner = np.repeat(np.arange(len(trees)), [len(tree.left) for tree in trees])
        self._keep("feature", nodes.feature[inner])
        self._keep("splits", within[inner])
        self._keep("ends", within[~inner])
        self._keep("order", np.argsort(layout.slot[~inner]))
        self._keep("target", owner[layout.leaf] % groups)
        if table is not None and nodes.sets is not None:
            self._keep("sets", nodes.sets[inner])
            self.register_buffer("table", torch.tensor(table))

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Sums (n, outputs)."""
        reach = self.reach(x)
        if self.groups == 1:
            return reach @ self.value
        sums = reach.new_zeros(x.shape[0], self.groups)
        return sums.index_add(1, self.target, reach * self.value[:, 0])

    def reach(self, x: Tensor) -> Tensor:
        """The share of each row that each leaf gets (n, leaves)."""
        left = self._left(x)
        reach, found = left.new_ones(x.shape[0], self.count), []
        for first, last, start, stop in self.bounds:
            # before this level there are start - first leaves
            ends = self.ends[start - first : stop - last]
            found.append(reach.index_select(1, ends))
            here = reach.index_select(1, self.splits[first:last])
            share = left[:, first:last]
            reach = torch.stack([here * share, here * (1 - share)], 2).flatten(1)
        return torch.cat(found, 1).index_select(1, self.order)

    def _left(self, x: Tensor) -> Tensor:
        """The share that goes left at each split (n, splits)."""
        x = (x.float() if self.single else x).to(self.threshold.dtype)
        columns = torch.cat([columns_for(x, kind, self.width) for kind in self.kinds], 1)
        found = columns.index_select(1, self.feature)
        left = ((self.threshold - found) / self.soft).sigmoid()
        if CODE not in self.kinds:
            return left
        code = found.detach().clamp(0, self.width - 1).long()
        member = self.table.view(-1)[self.sets.clamp(min=0) * self.width + code]
        return torch.where(self.sets < 0, left, member.to(left.dtype))
