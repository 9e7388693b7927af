"""A schedule that torch has not: learning rates in waves.  Plain torch, as eject copies it."""

__all__ = ["Waves"]

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler


class Waves(LRScheduler):
    """Four waves of the learning rate, each twice as long as the one before it, and less decay.

    At the share t of all steps the rate is lr · ½ (1 - cos(2π log₂(1 + 15 t))) ("coslog4"), and
    the weight decay is its own up to t = ½, then half a cosine down to 0 ("flat_cos"): Holzmüller
    et al. 2024, arXiv:2407.04491. At the end of each wave the weights have come to rest, so that
    the best ones may be found early.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    steps : int
        Steps of the optimizer in the whole training.
    model : torch.nn.Module or None
        One whose dropout falls as the decay does, by its ``drop(share)``.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, steps: int, model: Any | None = None
    ) -> None:
        self.steps, self.model = steps, model
        for group in optimizer.param_groups:
            group.setdefault("initial_weight_decay", group["weight_decay"])
        super().__init__(optimizer)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The rates of all groups at this step; decay and dropout are set on the way."""
        left = self.left(self.last_epoch)
        for group in self.optimizer.param_groups:
            group["weight_decay"] = group["initial_weight_decay"] * left
        if self.model is not None:
            self.model.drop(left)
        t = self._share(self.last_epoch)
        wave = 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t)))
        return [base * wave for base in self.base_lrs]

    def left(self, step: int) -> float:
        """What is left of decay and dropout at a step, counted from 0."""
        return 0.5 * (1 + math.cos(math.pi * max(0.0, 2 * self._share(step) - 1)))

    def _share(self, step: int) -> float:
        return min(1.0, (step + 0.5) / self.steps)  # the middle of a step: no rate is 0

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer and the model, which have states of their own."""
        return {name: value for name, value in super().state_dict().items() if name != "model"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there, with the dropout of that step."""
        super().load_state_dict(state_dict)
        self.get_lr()
