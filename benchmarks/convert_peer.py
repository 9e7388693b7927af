"""Hummingbird's times, in a Python that has it: it pins an onnx with which ours writes no graph.

    python benchmarks/convert_peer.py FILE BUDGET     # benchmarks/convert.py calls it

The pickled FILE holds (fitted model, rows, method); the answer goes to FILE.out, the seconds of
a call and what it said.
"""

__all__ = ["main", "numbers", "seconds"]

import pickle
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

LONG = 15.0  # CPU seconds: nobody waits for the median of three of these


def seconds(run: Callable[[], Any], budget: float) -> float:
    """Median CPU seconds of a call, of as many as the budget allows; three unless they are long."""
    start = time.process_time()
    run()
    if time.process_time() - start < LONG:
        run()  # TorchScript compiles in its first calls
    found: list[float] = []
    while not found or (sum(found) < (budget if len(found) > 2 else LONG) and len(found) < 200):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return statistics.median(found)


def numbers(values: Any) -> np.ndarray:
    """One number a row, where two classes share 1."""
    found = np.asarray(values, float)
    return found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found.ravel()


def main(arguments: Sequence[str]) -> None:
    """Convert by TorchScript, predict, measure."""
    import torch
    from hummingbird.ml import convert

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    path = Path(arguments[0])
    model, rows, method = pickle.loads(path.read_bytes())  # noqa: S301 (of convert.py)
    single = np.asarray(rows).astype(np.float32)
    predict = getattr(convert(model, "torch.jit", single[:1]), method)
    said = numbers(predict(single))
    spent = seconds(lambda: predict(single), float(arguments[1]))
    path.with_suffix(".out").write_bytes(pickle.dumps((spent, said)))


if __name__ == "__main__":
    main(sys.argv[1:])
