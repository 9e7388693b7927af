"""Listening to a training loop that somebody else wrote: hooks that look and never touch."""

__all__ = ["Listener", "listen"]

import functools
import math
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.doctor.case import Case, examine
from manumatic.doctor.driving import TIMES, Divergence
from manumatic.doctor.finding import Finding, Findings
from manumatic.doctor.model import double_softmax, stretched_target
from manumatic.doctor.stability import FICKLE, at_most

CALLS = 50  # losses that are read together: one wait for a GPU in so many steps
SAMPLE = 64  # numbers of a weight that show whether it has changed


def listen(
    model: nn.Module, loss: Any = None, optimizer: torch.optim.Optimizer | None = None
) -> "Listener":
    """The doctor beside a training loop of your own, in plain PyTorch or in the manual gear.

    It says when a target is broadcast (MM201), when softmax is applied twice (MM202), when the loss
    grows or is no number any more (MM301), when ``zero_grad`` is missing (MM303) and when dropout
    or batch norm is at work while predicting (MM402). No weight, gradient or random number is
    changed; a step takes a few microseconds longer.

    Parameters
    ----------
    model : torch.nn.Module
    loss : torch.nn.Module, optional
        What is called on (prediction, target). A function cannot be listened to: with one, or
        without, MM303 and MM402 are left.
    optimizer : torch.optim.Optimizer, optional
        Names the learning rate in what is said.

    Returns
    -------
    Listener
        For a ``with`` block; its ``findings`` can be read at any time.

    Examples
    --------
    >>> model, loss = nn.Linear(1, 1), nn.MSELoss()
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    >>> X = torch.tensor([[1.0], [2], [3], [4], [5]])
    >>> y = torch.tensor([[52.0], [59], [66], [73], [80]])
    >>> with listen(model, loss, optimizer) as listener:
    ...     for epoch in range(3):
    ...         loss(model(X), y).backward()
    ...         optimizer.step()
    >>> listener.findings.codes
    ['MM303']
    """
    return Listener(model, loss, optimizer)


class Listener:
    """Hooks on a model and its loss, for the length of a ``with`` block.

    Parameters
    ----------
    model, loss, optimizer
        Those of :func:`listen`.

    Attributes
    ----------
    findings : Findings
        What was found so far.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Any = None,
        optimizer: torch.optim.Optimizer | None = None,
        findings: Findings | None = None,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.findings = Findings() if findings is None else findings
        self.handles: list[Any] = []
        self.fickle: list[tuple[str, nn.Module]] = []
        self.gradients = _Gradients(model, self.findings)
        self.losses: list[Tensor] = []
        self.divergence = Divergence(patience=1)  # each loss it sees is a median over CALLS
        self.calls = 0

    def __enter__(self) -> "Listener":
        self.close()
        layers = self.model.named_modules()
        self.fickle = [(name, layer) for name, layer in layers if isinstance(layer, FICKLE)]
        self.handles = [self.model.register_forward_hook(self._heard_model, with_kwargs=True)]
        if isinstance(self.loss, nn.Module):
            self.handles.append(self.loss.register_forward_hook(self._heard_loss))
        self.gradients.open()
        return self

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        """What is listened to."""
        return self.model, self.loss, self.optimizer

    def __exit__(self, *error: object) -> None:
        self.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Listener":
        return self  # copies of the model carry its hooks; they are told apart by who calls

    def close(self) -> None:
        """Take the hooks away, if they are still there."""
        for handle in self.handles:
            handle.remove()
        self.handles = []
        self.gradients.close()
        self._judge_losses()

    # --- the model -------------------------------------------------------------------------------

    def _heard_model(
        self, model: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        if torch.is_grad_enabled() or not self.fickle or model is not self.model:
            return
        restless = [
            f"{type(layer).__name__} ({name})"
            for name, layer in self.fickle
            if layer.training and getattr(layer, "p", 1.0) > 0
        ]
        if restless and "MM402" not in self.findings.codes:
            apart = self._apart(inputs, keywords, output)
            self.findings.add(
                Finding(
                    "MM402",
                    f"the model predicts with {', '.join(restless[:3])} at work{apart}.",
                    "model.eval()  # before predicting, and model.train() before the next step",
                )
            )

    def _apart(self, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> str:
        """How far that is from the outputs in eval mode."""
        if not (isinstance(output, Tensor) and output.numel()):
            return ""

        def differences(case: Case) -> Iterator[Any]:
            yield (case.model.forward(*inputs, **keywords) - output).abs().max().item()

        [apart] = examine(Case(self.model, output, output), [differences])
        return f": outputs differ by up to {apart:.3g} from those in eval mode"

    # --- the loss --------------------------------------------------------------------------------

    def _heard_loss(self, loss: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if loss is not self.loss or not isinstance(output, Tensor) or not output.requires_grad:
            return
        if not self.calls:
            self._look_at_shapes(inputs)
        self.calls += 1
        if output.ndim == 0:
            self.losses.append(output.detach())
        if len(self.losses) == CALLS:
            self._judge_losses()

    def _look_at_shapes(self, inputs: tuple[Any, ...]) -> None:
        if len(inputs) < 2 or not all(isinstance(value, Tensor) for value in inputs):
            return
        prediction, y, *weight = inputs
        case = Case(nn.Identity(), prediction, y, self.loss, weight=weight[0] if weight else None)
        self.calls = 1  # the checks call the loss, too
        self.findings.add(*examine(case, [stretched_target, double_softmax]))
        self.calls, self.losses = 0, []

    def _judge_losses(self) -> None:
        """MM301 for the losses since the last time; a short rest says less."""
        if not self.losses or self.divergence.found:
            self.losses = []
            return
        values = torch.stack(self.losses).tolist()
        self.losses = []
        lost = next((n for n, value in enumerate(values) if not math.isfinite(value)), None)
        first = self.calls - len(values) + 1
        rate = self.optimizer.param_groups[0]["lr"] if self.optimizer else None
        named = "the learning rate" if rate is None else f"lr={float(rate):g}"
        if lost is not None:
            said = f"the loss is {values[lost]} in call {first + lost}: {named} is too high, or a "
            said += "row holds a number that is too large."
        elif len(values) >= CALLS // 5 and self.divergence.saw(median(values)):
            best, last = self.divergence.best, self.divergence.last
            said = f"{named} makes the loss grow: a median of {best:.3g} at its best, {last:.3g} "
            said += f"over calls {first} to {self.calls}, more than {TIMES} times that."
        else:
            return
        self.divergence.found = True
        self.findings.add(Finding("MM301", said, self._slower(rate)))

    def _slower(self, rate: Any) -> str:
        if self.optimizer is None or not rate:
            return 'optimizer.param_groups[0]["lr"] /= 10'
        name = type(self.optimizer).__name__.removeprefix("Lean")
        lower = float(at_most(float(rate) / 10))
        return f"optimizer = torch.optim.{name}(model.parameters(), lr={lower:g})"


class _Gradients:
    """MM303: whether gradients are added to what a step has used already, and used again.

    A hook on one weight sees the new gradient before it is added to ``.grad``. That weight has
    changed since the last backward where a step was taken; its version counter would not say, as
    fused optimizers leave it alone. Two optimizers may well leave gradients to each other until
    their own ``zero_grad``, so a mixed gradient counts only once a step has used it.
    """

    def __init__(self, model: nn.Module, findings: Findings) -> None:
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.findings = findings
        self.handles: list[Any] = []
        self.helpers: list[Any] = []
        self.watched: Tensor | None = None
        self.sample = self.before = torch.empty(0)
        self.mixed: list[float] | None = None  # number of the backward, own norm², used norm²
        self.calls = 0

    def open(self) -> None:
        self.watched = self.mixed = None
        self.handles = [
            weight.register_hook(functools.partial(self._arrived, weight))
            for weight in self.weights
        ]

    def close(self) -> None:
        if self.mixed and self.watched is not None and self._stepped():
            self._report(self.watched.grad)
        for handle in (*self.handles, *self.helpers):
            handle.remove()
        self.handles, self.helpers = [], []

    def _arrived(self, weight: Tensor, gradient: Tensor) -> None:
        """A backward has reached a weight; one that the first backward reaches is watched."""
        if gradient.layout is not torch.strided:
            return
        if self.watched is None:
            self._watch(weight)
        if weight is not self.watched or "MM303" in self.findings.codes:
            return
        self.calls += 1
        held = weight.grad
        if held is None:
            self.mixed = None
        elif (stepped := self._stepped()) or self.mixed:
            if not held.any():
                self.mixed = None
            elif stepped:
                self._report(held)
                self._collect(weight, gradient)
        self.before.copy_(self.sample)

    def _watch(self, weight: Tensor) -> None:
        self.watched = weight
        self.sample = weight.detach().reshape(-1)[:SAMPLE]  # a view: it follows the weight
        self.before = self.sample.clone()
        for handle, other in zip(self.handles, self.weights, strict=True):
            if other is not weight:
                handle.remove()

    def _stepped(self) -> bool:
        return not torch.equal(self.sample, self.before)

    def _collect(self, watched: Tensor, gradient: Tensor) -> None:
        """Norms over all weights; this backward comes to the others after the watched one."""
        mixed = self.mixed = [self.calls, 0.0, 0.0]

        def add(weight: Tensor, own: Tensor) -> None:
            used = own if weight.grad is None else own + weight.grad
            mixed[1] += float(own.square().sum())
            mixed[2] += float(used.square().sum())

        add(watched, gradient)
        for helper in self.helpers:
            helper.remove()
        others = [weight for weight in self.weights if weight is not watched]
        self.helpers = [weight.register_hook(functools.partial(add, weight)) for weight in others]

    def _report(self, held: Tensor | None) -> None:
        """Say it, if the mixed gradient is still there after a step: that step has used it."""
        if self.mixed and held is not None and bool(held.any()):
            call, own, used = self.mixed
            self.findings.add(
                Finding(
                    "MM303",
                    f"the gradient of backward() number {call} was added to one that a step had "
                    f"used already: own norm {math.sqrt(own):.1f}, used {math.sqrt(used):.1f}.",
                    "optimizer.zero_grad()  # before loss.backward()",
                )
            )
