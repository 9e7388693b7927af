"""Calibration: one number that makes a classifier's probabilities as sure as they may be."""

__all__ = ["helps", "inverse_temperature"]

import torch
from torch import Tensor, nn


@torch.no_grad()
def inverse_temperature(raw: Tensor, target: Tensor) -> float:
    """The β for which softmax(β · raw) has the least log-loss.

    Temperature scaling with T = 1/β (Guo et al. 2017, arXiv:1706.04599). To the rows comes one of
    each class that could look like any of them, as in Platt's scaling: without a mistake among a
    few rows, β would be infinite. The log-loss is convex in β, so its slope, mean(E[raw] - raw of
    the true class), has one root: 40 halvings between 1/20 and 20.

    Parameters
    ----------
    raw : Tensor (n, classes) or (n, 1)
        Outputs before the softmax; one column is the score of the second class beside a 0.
    target : Tensor (n,) or (n, 1)
        Numbers of the true classes.

    Examples
    --------
    >>> raw = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> target = torch.tensor([0, 0, 1, 1])  # so sure, and right 3 times in 4: with 2 more, 4 in 6
    >>> round(inverse_temperature(raw, target), 4)  # log(4 / 2) / 4
    0.1733
    """
    if raw.shape[1] == 1:
        raw = torch.cat([torch.zeros_like(raw), raw], dim=1)
    raw, target = raw.double(), target.reshape(-1, 1).long()
    n, classes = raw.shape
    true = (n * raw.gather(1, target).mean() + classes * raw.mean()) / (n + classes)
    low, high = 1 / 20, 20.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        slope = ((middle * raw).softmax(1) * raw).sum(1).mean() - true
        low, high = (low, middle) if slope > 0 else (middle, high)
    return middle


@torch.no_grad()
def helps(raw: Tensor, target: Tensor) -> bool:
    """Whether scaling lowers the log-loss of rows that it was not fitted on, each half in turn."""
    raw = torch.cat([torch.zeros_like(raw), raw], dim=1) if raw.shape[1] == 1 else raw
    raw, target = raw.double(), target.reshape(-1).long()
    log_loss = nn.functional.cross_entropy
    before = after = 0.0
    for held in range(2):
        rows = torch.arange(len(raw)) % 2 == held
        factor = inverse_temperature(raw[~rows], target[~rows])
        before += log_loss(raw[rows], target[rows]).item()
        after += log_loss(factor * raw[rows], target[rows]).item()
    return after < before
