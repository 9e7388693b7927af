"""What every test shares: one thread, no window, no chance, and the numbers of the tutorial."""

import os
import signal

# Set before torch is imported, and inherited by the scripts that tests start: sums are split by
# thread, so bit-for-bit comparisons between processes need the same number of threads in each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
import torch
from hypothesis import settings

# A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same cases each time, and as much time as a busy machine needs.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A GPU test that was asked for by its marker is skipped where there is no GPU.

    The longest of all begins first: last, it would keep one worker busy alone for ten minutes.
    """
    items.sort(key=lambda item: "41_fashion_mnist" not in item.name)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no GPU here"))


@pytest.fixture
def study_hours() -> tuple[np.ndarray, np.ndarray]:
    """Hours of study, shape (5, 1), and the score of the exam, shape (5,)."""
    return np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), np.array([52.0, 59.0, 66.0, 73.0, 80.0])
