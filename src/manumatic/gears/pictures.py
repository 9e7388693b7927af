"""What automatic decides for networks that read images: how long, how fast, and what is moved."""

__all__ = [
    "FEW_PICTURES",
    "choose_augment",
    "is_picture_net",
    "picture_loop",
    "picture_optimizer",
    "picture_steps",
    "sized_picture_net",
]

from typing import Any

import torch
from torch import Tensor, nn

from manumatic.errors import ComponentError
from manumatic.logbook import Logbook
from manumatic.nets.image import CNN, ResNet
from manumatic.parts.augment import Augment
from manumatic.parts.components import Data, Loop, Model, Optimizer
from manumatic.task import Task

LOOKS = 80_000  # images seen in a training, the same one many times
FEWEST, MOST = 12, 100  # passes over the images
FEW_PICTURES = 8_000  # images, below which a tenth of them tells epochs apart by chance only
MANY = 10_000  # images, above which moving them teaches less than seeing them as they are
SMALL = 16  # pixels a side, below which one pixel is a large step, and a wide net is cheap
LARGE = 64  # pixels a side, above which a net must not convolve all of them at every width


def is_picture_net(model: Any) -> bool:
    """Whether the model that was asked for is, for images, a ready net that convolves them."""
    net = model.net if isinstance(model, Model) else model
    return isinstance(net, str) and net in ("auto", "cnn", "resnet")


def sized_picture_net(spec: Model, task: Task, n_rows: int, logbook: Logbook) -> Model:
    """The net for such images, and its width where its user left that open.

    Once, on 12,000 images of Fashion-MNIST in ten passes, three layers of width 32 with max pooling
    were right on 90.2 % in 89 CPU seconds, the residual net of width 16 on 88.5 % in 65.
    """
    side = min(task.in_shape[1:])
    if spec.net == "auto":
        net = "cnn" if side <= LARGE else "resnet"
        logbook.note("model", f"the {net!r} net", f"images of {side} pixels a side")
        spec = Model(net, **spec.arguments)
    if spec.net != "cnn" or "width" in spec.arguments:
        return spec
    wide = side <= SMALL or n_rows > MANY
    width, why = (32, "they are small") if side <= SMALL else (32, f"{n_rows} images")
    if not wide:
        width, why = 16, f"{n_rows} images of {side} pixels a side"
    logbook.note("model", f"{width}, {2 * width} and {4 * width} channels", why)
    return Model(spec.net, **(spec.arguments | {"width": width}))


def picture_steps(n_rows: int, batch_size: int) -> int:
    """Steps of the optimizer in which such a net learns what so many images can teach it."""
    return max(FEWEST, round(LOOKS / n_rows)) * -(-n_rows // batch_size)


def picture_loop(n_rows: int, logbook: Logbook) -> Loop:
    """All images train, to the end: the rate falls to 0, and the last weights are the best.

    Of five folds of digits 99.2 % were right so, and 98.6 % with a tenth held out to stop by.
    """
    epochs = min(MOST, max(FEWEST, round(LOOKS / n_rows)))
    why = f"{n_rows} images: a tenth of them is worth more as training rows"
    logbook.note("loop", f"{epochs} epochs, none held out", why)
    return Loop(epochs)


def picture_optimizer(logbook: Logbook) -> Optimizer:
    """AdamW in one cycle (Smith & Topin, arXiv:1708.07120)."""
    why = "few passes over the images are enough when the rate rises first"
    logbook.note("optimizer", "AdamW, lr rising to 0.01 and falling to 0 in one cycle", why)
    return Optimizer("adamw", lr=1e-2, schedule="one_cycle", weight_decay=0.01)


def choose_augment(
    spec: Data, model: nn.Module, found: Any, device: torch.device, *, ours: bool, book: Logbook
) -> Any:
    """What changes the training batches, or None.

    Parameters
    ----------
    spec : Data
        As asked for.
    model : torch.nn.Module
        As built.
    found : Found
        The data; a few rows of them show what a function of the user's returns.
    device : torch.device
    ours : bool
        The model was asked for by name.
    book : Logbook

    Raises
    ------
    ComponentError
        It is no function of a tensor, or does not return as many rows.
    """
    augment, sample = spec.augment, found.sample
    if augment is None:
        return None
    if isinstance(augment, str) and augment == "auto":
        ready = ours and isinstance(model, CNN | ResNet)
        return _by_size(sample, getattr(found.data, "n_rows", MANY), book) if ready else None
    if not callable(augment) or isinstance(augment, type):
        raise ComponentError(
            'augment must be "auto", None or a function (n, ...) → (n, ...), such as '
            f"mm.Augment(shift=2); got {augment!r}"
        )
    with torch.random.fork_rng([]):
        changed = augment(sample.to(device))
    if not isinstance(changed, Tensor) or len(changed) != len(sample):
        form = tuple(changed.shape) if isinstance(changed, Tensor) else type(changed).__name__
        raise ComponentError(
            f"augment returned {form} for rows of the shape {tuple(sample.shape)}; it must return "
            "a tensor with as many rows"
        )
    book.note("data", f"training batches changed by {augment!r}".splitlines()[0], "as you asked")
    return augment


def _by_size(sample: Tensor, n_rows: int, book: Logbook) -> Augment | None:
    """Moves of a fourteenth of a side: never a flip, for a letter would be another."""
    side = min(sample.shape[2:])
    if side < SMALL:
        book.note("data", "images as they are", f"of {side} pixels a side, one is a large step")
        return None
    if n_rows > MANY:
        book.note("data", "images as they are", f"{n_rows} of them show enough")
        return None
    shift = side // 14
    told = f"images moved by up to {shift} pixels in training"
    book.note("data", told, "a thing moved a little is the same thing")
    return Augment(shift=shift)
