"""Link: from raw outputs to what the user reads."""

__all__ = ["Link"]

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Link:
    """How raw outputs are read.

    Attributes
    ----------
    kind : "identity", "exp", "exp_classes", "softmax", "sigmoid" or "clip"
        "clip" is for outputs that the loss compares with 0 and 1 as they are. "sigmoid" and "clip"
        end in "_pair" where one output stands for two classes, and in "_shares" where each class
        has its own output.
    sharpness : float
        1 / temperature: what calibration multiplies the scores of classes by.
    """

    kind: str
    sharpness: float = 1.0

    def scores(self, raw: Tensor) -> Tensor:
        """Raw outputs as calibration has scaled them, before softmax or sigmoid."""
        return raw if self.sharpness == 1 else raw * self.sharpness

    def __call__(self, raw: Tensor) -> Tensor:
        """Raw outputs → predictions (regression) or probabilities (n, classes) or (n, labels)."""
        raw = self.scores(raw)
        first, _, then = self.kind.partition("_")
        if first == "softmax":
            return raw.softmax(dim=1)
        if first == "exp":
            return raw.exp()
        if first == "identity":
            return raw
        if first == "sigmoid":
            read = raw.sigmoid().clamp(max=1 - 2**-24)  # float32 would round it to 1 from 17 on
        else:
            read = raw.clamp(2**-24, 1 - 2**-24)
        if then == "pair":
            read = read.reshape(-1)
            return torch.stack([1 - read, read], dim=1)
        return read / read.sum(dim=1, keepdim=True) if then == "shares" else read
