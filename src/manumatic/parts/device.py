"""Where the numbers live, how precise they are, and how many threads work on them."""

__all__ = ["OwnRandomness", "autocast", "choose_device", "grad_scaler", "is_small", "threads_for"]

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from manumatic.errors import ComponentError

PRECISIONS = {
    "auto": None,
    "float32": None,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}


def choose_device(device: Any) -> torch.device:
    """A torch device; "auto" is the accelerator when there is one, else the CPU."""
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ComponentError(
            f"device {device!r} cannot be used here ({str(error).splitlines()[0]}); "
            'device="auto" takes what there is'
        ) from None
    return chosen


def autocast(precision: str, device: torch.device) -> Any:
    """The context of the forward pass, or None for full precision."""
    if precision not in PRECISIONS:
        raise ComponentError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    dtype = PRECISIONS[precision]
    return None if dtype is None else torch.autocast(device.type, dtype)


def grad_scaler(precision: str, device: torch.device) -> Any:
    """float16 gradients underflow below 6e-8, so their loss is scaled up; else None."""
    if PRECISIONS.get(precision) is not torch.float16:
        return None
    return torch.amp.GradScaler(device.type)


class OwnRandomness:
    """Inside, torch draws from a generator state of our own; outside, the global one is as it was.

    Parameters
    ----------
    seed : int
        Where our own begins, as ``torch.manual_seed`` would.
    device : torch.device
        Its generator is kept too.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = None if device.type == "cpu" else device
        outside = self._read()
        # what torch.manual_seed does, without the millisecond that it spends on absent devices
        torch.default_generator.manual_seed(seed)
        if self._device is not None:
            torch.get_device_module(self._device).manual_seed(seed)
        self.state = self._read()
        self._write(outside)
        self._inside = False

    def __enter__(self) -> "OwnRandomness":
        self._outside = self._read()
        self._write(self.state)
        self._inside = True
        return self

    def __exit__(self, *error: object) -> None:
        self.state = self._read()
        self._write(self._outside)
        self._inside = False

    def now(self) -> list[torch.Tensor]:
        """Our own state at this moment, inside or outside."""
        return self._read() if self._inside else self.state

    def _read(self) -> list[torch.Tensor]:
        states = [torch.get_rng_state()]
        if self._device is not None:
            states.append(torch.get_device_module(self._device).get_rng_state(self._device))
        return states

    def _write(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self._device is not None:
            torch.get_device_module(self._device).set_rng_state(states[1], self._device)


@contextlib.contextmanager
def threads_for(model: nn.Module, batch_rows: int) -> Iterator[int]:
    """One CPU thread for small networks: waking a second one costs more than it does there.

    About 2 · weights · rows multiply-adds make a forward pass; below 2e8 a step is shorter than a
    millisecond or two and two threads were measured 3 to 30 times *slower* in CPU time.
    """
    before = torch.get_num_threads()
    wanted = 1 if is_small(model, batch_rows) else before
    if wanted != before:
        torch.set_num_threads(wanted)
    try:
        yield wanted
    finally:
        if wanted != before:
            torch.set_num_threads(before)


def is_small(model: nn.Module, batch_rows: int) -> bool:
    """Whether a step is too short to share between threads."""
    weights = sum(weight.numel() for weight in model.parameters())
    return weights * batch_rows < 1e8 and not any(
        isinstance(layer, nn.modules.conv._ConvNd) for layer in model.modules()
    )
