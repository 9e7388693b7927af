"""One network called for all members of a stack: forward, losses and gradients by torch.func."""

__all__ = ["Network", "Tensors"]

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from manumatic.model_selection.gathered import Batch
from manumatic.model_selection.masks import Mask, Recorded, Served
from manumatic.model_selection.plain import Plain
from manumatic.parts.loss import Weighted, per_row

Tensors = dict[str, Tensor]


class Network:
    """The members' network and loss, called once for all of them.

    Parameters
    ----------
    model : torch.nn.Module
        Like that of each member; its own weights are put aside during a call.
    loss : callable
        As the members' trainings have it.

    Attributes
    ----------
    learned : list of str
        Weights that have a gradient.
    changing : list of str
        Buffers that a forward in training changes, as batch norm does its averages.
    plain : bool
        Whether to call the model as it is on rows (K, B, ...), see :class:`Plain`; else by vmap.
    unseen : bool
        Whether it is judged on training rows, by members of a net that left them out.
    """

    def __init__(
        self, model: nn.Module, loss: Callable[..., Tensor], plain: bool, unseen: bool = False
    ) -> None:
        self.model: Any = model
        self.loss: Any = loss
        self.plain = plain
        self.unseen = unseen
        self.learned = [n for n, weight in model.named_parameters() if weight.requires_grad]
        self.changing = [name for name, _ in model.named_buffers()]
        self._apart: Callable[..., Tensor] | None = None
        self._planned: dict[torch.Size, list[Mask]] = {}
        self._each = vmap(self.one)
        names = {id(weight): name for name, weight in model.named_parameters()}
        found = model.named_parameters(remove_duplicate=False)
        self._tied = {n: names[id(w)] for n, w in found if names[id(w)] != n}

    def one(
        self,
        tensors: Tensors,
        masks: Sequence[Tensor],
        shares: Sequence[Tensor],
        X: Tensor,
        *target: Tensor,
    ) -> tuple[Tensor, Tensors]:
        """Loss of one member, and its buffers after the forward."""
        tensors = dict(tensors)  # a buffer that a forward assigns anew comes to stand in here
        loss = self.mean(self.predict(tensors, masks, X), shares, *target)
        return loss, {name: tensors[name] for name in self.changing}

    def predict(
        self, tensors: Tensors, masks: Sequence[Tensor], X: Tensor, stacked: bool = False
    ) -> Tensor:
        """Raw outputs of one member, or of all."""
        tensors.update({name: tensors[other] for name, other in self._tied.items()})
        if stacked:
            mode: Any = Plain(masks, tensors.values())
        else:
            mode = Served(masks) if masks else contextlib.nullcontext()
        # whole: here no shape may depend on values
        judges = self.unseen and not self.model.training
        asked = {"unseen": True, "whole": True} if judges else {}
        with mode:
            found: Tensor = functional_call(self.model, tensors, (X,), asked, tie_weights=False)
        return found

    def mean(self, prediction: Tensor, shares: Sequence[Tensor], *target: Tensor) -> Tensor:
        """Loss of one member; where shares are given, the sum over rows of loss times share."""
        if not shares:
            return self.loss(prediction, *target)
        rows = self._rows(prediction, *target)
        return (rows * shares[0].to(rows)).sum()

    def _rows(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of each row, times its weight."""
        if self._apart is None:
            weighted = isinstance(self.loss, Weighted)
            self._apart = self.loss.loss if weighted else per_row(self.loss)
        rows = self._apart(prediction, target)
        rows = rows.flatten(1).mean(dim=1) if rows.ndim > 1 else rows
        return rows if weight is None else rows * weight

    def gradients(
        self, tensors: Tensors, masks: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, Tensors]:
        """Losses (K,) and gradients by name; buffers among the tensors are brought up to date."""
        if not self.model.training:
            self.model.train()
        losses, buffers = self._all(tensors, masks, batch)
        # members do not meet in here, so the gradient of the sum holds the gradient of each
        found = torch.autograd.grad(losses.sum(), [tensors[name] for name in self.learned])
        for name, buffer in buffers.items():
            tensors[name] = buffer.detach()
        # torch's fused CPU kernels take memory as it lies, whatever the strides (torch 2.13)
        whole = (gradient.contiguous() for gradient in found)
        return losses.detach(), dict(zip(self.learned, whole, strict=True))

    @torch.no_grad()
    def losses(self, tensors: Tensors, batch: Batch) -> Tensor:
        """Losses (K,), nothing learned."""
        if self.model.training:
            self.model.eval()
        return self._all(tensors, (), batch)[0]

    def _all(
        self, tensors: Tensors, masks: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, Tensors]:
        """Losses of all members (K,), and their buffers after the forward."""
        share = batch.share
        if not self.plain:
            shares = [] if share is None else [share]
            found: tuple[Tensor, Tensors] = self._each(tensors, [*masks], shares, *batch.tensors)
            return found
        X, *target = batch.tensors
        prediction = self.predict(dict(tensors), masks, X, stacked=True).flatten(0, 1)
        rows = self._rows(prediction, *(values.flatten(0, 1) for values in target))
        rows = rows.view(X.shape[:2])
        return rows.mean(dim=1) if share is None else (rows * share.to(rows)).sum(dim=1), {}

    @torch.no_grad()
    def masks(self, tensors: Tensors, X: Tensor) -> list[Mask]:
        """What dropout draws for each member in training, for rows X (K, B, ...)."""
        shape = X.shape[1:]
        if shape not in self._planned:
            self.model.train()
            one = {name: tensor[0].clone() for name, tensor in tensors.items()}
            with Recorded() as recorded:
                self.predict(one, (), X[0])
            self._planned[shape] = recorded.masks
        return self._planned[shape]

    def drop(self, share: float) -> None:
        """Let the one dropout of the model fall, as its schedule would."""
        self.model.drop(share)
        for shape, plan in self._planned.items():
            self._planned[shape] = [m._replace(share=self.model.dropout.p) for m in plan]

    @property
    def draws(self) -> bool:
        """Whether it has drawn masks."""
        return any(self._planned.values())
