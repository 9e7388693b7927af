"""How many members a stack may have: memory, and what a cache holds."""

__all__ = ["keep_freed_memory", "most_members"]

import os
from typing import Any

import torch

COPIES = 9  # weights, gradient, two moments, the move, average, best, safe, one on the way
CACHE = 4 * 2**20  # bytes kept for the backward of all members: above, memory is the bottleneck


def most_members(training: Any, saved: int) -> int:
    """Members a stack, by what one of them needs.

    Parameters
    ----------
    training : Training
        One of them.
    saved : int
        Bytes that its forward keeps for its backward.
    """
    tensors = [*training.model.parameters(), *training.model.buffers()]
    weights = sum(tensor.nbytes for tensor in tensors)
    rows, judged = (
        0 if data is None else min(data.n_rows, data.batch_size)
        for data in (training.data, training.valid)
    )
    row = sum(tensor[:1].nbytes for tensor in training.data.tensors)
    passing = 3 * saved * max(1, judged / rows) + row * (rows + judged)
    device = training.facts.device
    most = _free(device) // max(1, COPIES * weights + passing)
    if device.type == "cpu":
        most = min(most, max(16, CACHE // max(1, saved)))
    return max(1, int(most))


def _free(device: torch.device) -> float:
    """Bytes that a stack may take: a part of what is free."""
    if device.type == "cuda":
        return 0.8 * torch.cuda.mem_get_info(device)[0]
    names = os.sysconf_names
    if "SC_AVPHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return 2**30
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 4


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, up to 64 MB, for the next step.

    glibc hands large pieces back to the system at once, and a step then waits for fresh pages, one
    by one: a quarter of its time for 32 nets 13-50-1 on 506 rows. It learns how large is usual from
    the largest piece that was ever given back, up to 32 MB; elsewhere nothing happens.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)
