"""A trained network that goes on learning: a fresh head, layers at rest, a thaw on a schedule.

It imports torch and the standard library only: eject copies it.
"""

__all__ = ["FineTuned", "LowRank", "Thaw", "answer_of", "features_of", "matches", "put"]

import copy
import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn


class LowRank(nn.Module):
    """A linear layer that stays as it is, and a change of low rank that learns: W + B A · scale.

    LoRA: Hu et al. 2021, arXiv:2106.09685. B begins at 0, so that nothing changes at first.

    Parameters
    ----------
    layer : torch.nn.Linear
        Its weights are frozen.
    rank : int
        Columns of B, rows of A.
    scale : float
        α / r of the paper.

    Examples
    --------
    >>> import torch
    >>> layer = nn.Linear(6, 4)
    >>> low = LowRank(layer, rank=2)
    >>> bool((low(torch.ones(1, 6)) == layer(torch.ones(1, 6))).all())
    True
    >>> sum(weight.numel() for weight in low.parameters() if weight.requires_grad)
    20
    """

    def __init__(self, layer: nn.Linear, rank: int, scale: float = 1.0) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.lora_a = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        self.scale = scale
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))  # as the layer's own weights begin

    def forward(self, x: Tensor) -> Tensor:
        """(…, in_features) → (…, out_features)."""
        change = nn.functional.linear(nn.functional.linear(x, self.lora_a), self.lora_b)
        found: Tensor = self.layer(x) + change * self.scale
        return found

    @property
    def weight(self) -> Tensor:
        """W + B A · scale, for who reads the weights in place of calling the layer."""
        return self.layer.weight + self.lora_b @ self.lora_a * self.scale

    @property
    def bias(self) -> Tensor | None:
        """That of the layer."""
        return self.layer.bias

    def merged(self) -> nn.Linear:
        """One plain layer that says the same."""
        layer = copy.deepcopy(self.layer)
        layer.weight = nn.Parameter(self.weight.detach())
        return layer


class FineTuned(nn.Module):
    """A trained network behind a fresh head; what is frozen rests whole.

    At rest is a part with its weights, its running statistics and its dropout: in training, too, it
    computes as in prediction, so that nothing of it changes.

    Parameters
    ----------
    body : torch.nn.Module
        The trained network; it is changed.
    at : str or None
        Name of the layer that the head replaces. None puts the head behind the body.
    head : torch.nn.Module, callable or None
        A module, or what makes one of (in_features, out_features). None leaves the body as it is.
    in_features, out_features : int
        Of the head.
    freeze : "auto", sequence of str, or None
        Patterns of names; "auto" is all of the body; None is what has ``requires_grad=False``
        already. A fresh head learns in any case, and with "auto" what ``at`` names, too.
    thaw : mapping of int to sequence of str
        After so many epochs, weights of these patterns begin to learn.
    lora : mapping or None
        ``rank``, ``scale`` and ``layers`` (patterns of names) of low-rank changes.
    pad : int or None
        For a network that takes ``input_ids`` and ``attention_mask``: its number for padding. Rows
        hold 0 for padding, and its own numbers plus 2.

    Examples
    --------
    >>> import torch
    >>> body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1000))
    >>> net = FineTuned(body, at="2", in_features=8, out_features=3)
    >>> net(torch.zeros(5, 4)).shape, [n for n, w in net.named_parameters() if w.requires_grad]
    (torch.Size([5, 3]), ['body.2.weight', 'body.2.bias'])
    """

    def __init__(
        self,
        body: nn.Module,
        at: str | None = None,
        head: nn.Module | Callable[[int, int], nn.Module] | None = nn.Linear,
        in_features: int = 0,
        out_features: int = 0,
        freeze: str | Sequence[str] | None = "auto",
        thaw: Mapping[int, Sequence[str]] | None = None,
        lora: Mapping[str, Any] | None = None,
        pad: int | None = None,
    ) -> None:
        super().__init__()
        self.body, self.pad = body, pad
        self.head: nn.Module | None = None
        self.plan = dict(thaw or {})
        self.fresh: list[str] = []  # patterns of the weights that have not been trained before
        self.still: list[str] = []  # buffers at rest
        if freeze is not None:
            kept = at if head is None and freeze == "auto" else None
            self._freeze(("*",) if freeze == "auto" else freeze, kept)
        if lora is not None:
            self._adapt(at, **lora)
        if head is not None:
            self._put(at, head if isinstance(head, nn.Module) else head(in_features, out_features))
        elif freeze == "auto" and at is not None:
            self.fresh.append(f"body.{at}.*" if at else "body.*")
        self.reach(0)

    def forward(self, x: Tensor) -> Tensor:
        """Rows → (n, out_features)."""
        if self.pad is None:
            there, found = None, answer_of(self.body(x))
        else:
            there = x > 0
            ids = (x - 2).where(there, self.pad)
            found = answer_of(self.body(input_ids=ids, attention_mask=there.long()))
        return found if self.head is None else self.head(features_of(found, there))

    def train(self, mode: bool = True) -> "FineTuned":
        """As torch; what is at rest stays in the mode for prediction."""
        super().train(mode)
        if mode:
            self._rest(self, "")
        return self

    def reach(self, epoch: int) -> None:
        """Thaw what is to learn after so many epochs."""
        for begins, patterns in self.plan.items():
            if begins <= epoch:
                self.still = [name for name in self.still if not matches(name, patterns)]
                for name, weight in self.named_parameters():
                    if weight.is_floating_point() and matches(name, patterns):
                        weight.requires_grad_(True)
        self.train(self.training)

    def merged(self) -> nn.Module:
        """A copy of the body in which changes of low rank are part of the weights."""
        body = copy.deepcopy(self.body)
        for name, layer in list(body.named_modules()):
            if isinstance(layer, LowRank):
                put(body, name, layer.merged())
        return body

    def _freeze(self, patterns: Iterable[str], kept: str | None) -> None:
        def learns(name: str) -> bool:
            inside = kept is not None and name.startswith(f"body.{kept}.".replace("..", "."))
            return inside or not matches(name, patterns)

        for name, weight in self.named_parameters():
            weight.requires_grad_(learns(name) and weight.is_floating_point())
        self.still = [name for name, _ in self.named_buffers() if not learns(name)]

    def _adapt(self, at: str | None, rank: int, scale: float, layers: Sequence[str]) -> None:
        for name, layer in list(self.body.named_modules()):
            if type(layer) is nn.Linear and name != at and matches(name, layers):
                self.body = put(self.body, name, LowRank(layer, rank, scale))
        self.fresh += ["*.lora_a", "*.lora_b"]

    def _put(self, at: str | None, head: nn.Module) -> None:
        if at is None:
            self.head, name = head, "head"
        else:
            self.body, name = put(self.body, at, head), f"body.{at}".rstrip(".")
        self.fresh.append(f"{name}.*")

    def _rest(self, module: nn.Module, before: str) -> None:
        rests = False
        for name, child in reversed(list(module.named_children())):
            inside = f"{before}{name}."
            learn = [weight.requires_grad for weight in child.parameters()]
            if not learn:  # batch norm without weights
                learn = [inside + name not in self.still for name, _ in child.named_buffers()]
            if learn:
                rests = not any(learn)
            if rests:  # dropout goes with the layer behind it
                child.eval()
            elif learn:
                self._rest(child, inside)
                own = [inside + name for name, _ in child.named_buffers(recurse=False)]
                child.training = not own or not set(own) <= set(self.still)


class Thaw:
    """A schedule that lets frozen layers learn after some epochs, beside that of the rates.

    Parameters
    ----------
    model : FineTuned
    steps : int
        Of the optimizer in an epoch.
    done : int
        Epochs that are over already.
    schedule : torch.optim.lr_scheduler.LRScheduler or None
        Of the learning rates; it is stepped, too.

    Examples
    --------
    >>> net = FineTuned(nn.Linear(2, 1), head=None, freeze=["*"], thaw={1: ["*.bias"]})
    >>> thaw = Thaw(net, steps=3)
    >>> for _ in range(3):
    ...     thaw.step()
    >>> net.body.bias.requires_grad, net.body.weight.requires_grad
    (True, False)
    """

    def __init__(self, model: Any, steps: int, done: int = 0, schedule: Any = None) -> None:
        self.model, self.steps, self.schedule = model, steps, schedule
        self.done = done * steps
        model.reach(done)

    def step(self) -> None:
        """After each step of the optimizer."""
        if self.schedule is not None:
            self.schedule.step()
        self.done += 1
        if self.done % self.steps == 0:
            self.model.reach(self.done // self.steps)

    def state_dict(self) -> dict[str, Any]:
        """Steps done, and the state of the other schedule."""
        inside = None if self.schedule is None else self.schedule.state_dict()
        return {"done": self.done, "schedule": inside}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there: what was thawed by then learns."""
        self.done = state["done"]
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.model.reach(self.done // self.steps)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of the patterns, with or without the ``body.`` before it."""
    names = {name, name.removeprefix("body.")}
    return any(fnmatch.fnmatchcase(one, pattern) for one in names for pattern in patterns)


def put(body: nn.Module, at: str, layer: nn.Module) -> nn.Module:
    """The body with another layer at that name; the layer itself where the name is empty."""
    if not at:
        return layer
    above, _, name = at.rpartition(".")
    setattr(body.get_submodule(above), name, layer)
    return body


def answer_of(found: Any) -> Tensor:
    """The tensor in what a network returns: a tensor, a tuple, or an object or dict with names."""
    if isinstance(found, Tensor):
        return found
    for name in ("logits", "pooler_output", "last_hidden_state"):
        inside = found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
        if isinstance(inside, Tensor):
            return inside
    values = found.values() if isinstance(found, Mapping) else found
    tensor: Tensor = next(one for one in values if isinstance(one, Tensor))
    return tensor


def features_of(found: Tensor, there: Tensor | None) -> Tensor:
    """(n, features): the mean over steps (n, t, f) that are there, or positions (n, c, h, w)."""
    if found.ndim == 3 and there is not None:
        weight = there.unsqueeze(2).to(found.dtype)
        return (found * weight).sum(1) / weight.sum(1).clamp(min=1)
    if found.ndim == 3:
        return found.mean(1)
    return found.flatten(2).mean(2) if found.ndim > 3 else found
