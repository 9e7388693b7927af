"""A schedule that torch has not: learning rates in waves.  Plain torch, as eject copies it."""

__all__ = ["Waves"]

import math

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
    """

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        self.steps = steps
        for group in optimizer.param_groups:
            group.setdefault("initial_weight_decay", group["weight_decay"])
        super().__init__(optimizer)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The rates of all groups at this step; their weight decay is set on the way."""
        t = min(1.0, (self.last_epoch + 0.5) / self.steps)  # the middle of a step: no rate is 0
        calm = 0.5 * (1 + math.cos(math.pi * max(0.0, 2 * t - 1)))
        for group in self.optimizer.param_groups:
            group["weight_decay"] = group["initial_weight_decay"] * calm
        wave = 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t)))
        return [base * wave for base in self.base_lrs]
