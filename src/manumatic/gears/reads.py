"""What a network reads where preprocess is "auto": columns, an image, words in order, or steps."""

__all__ = ["WAYS", "choose_reading", "names_steps"]

import inspect
from typing import Any

from torch import nn
from torch.utils.data import DataLoader, Dataset

from manumatic.errors import ComponentError
from manumatic.logbook import Logbook
from manumatic.parts.components import Data, Model
from manumatic.parts.kinds import column_kinds
from manumatic.parts.mixed import is_picture_column
from manumatic.parts.model import SEQUENCE_NETS, TEXT_NETS
from manumatic.parts.rows import kind_of
from manumatic.parts.sequences import are_images

MANY_TEXTS = 1000  # from which vectors of words say more than topics (docs/text.md)
WAYS = {
    "tokens": "texts as numbers of their words, in order",
    "sequences": "rows as sequences (steps, features)",
    "images": "rows as images",
    "mixed": "texts as words and images as pixels, beside the numbers of the table",
}


def names_steps(model: Any) -> bool:
    """Whether a ready net for sequences was asked for by name."""
    net = model.net if isinstance(model, Model) else model
    return isinstance(net, str) and net in SEQUENCE_NETS


def choose_reading(spec: Data, model: Any, X: Any, logbook: Logbook) -> Data:
    """The data component with "tokens", "sequences" or "images" in place of "auto", where it may.

    Raises
    ------
    ComponentError
        The net that was named cannot read such rows.
    """
    automatic = isinstance(spec.preprocess, str) and spec.preprocess == "auto"
    if not automatic or isinstance(X, Dataset | DataLoader):
        return spec
    way, why = _way(model.net if isinstance(model, Model) else model, X)
    if not way:
        return spec
    logbook.note("data", WAYS[way], why)
    return Data(**(spec.get_params(deep=False) | {"preprocess": way}))


def _way(net: Any, X: Any) -> tuple[str, str]:
    """One of WAYS, or nothing; and why."""
    form = kind_of(X)
    if way := _apart(net, X, form):
        return way
    if form == "text" or (form == "frame" and X.shape[1] == 1):
        return _text(net, X, form)
    if isinstance(net, str) and net in {**TEXT_NETS, **SEQUENCE_NETS}:
        return _steps(net, X, form)
    return _stack(net, X) if form != "frame" and X.ndim == 3 else ("", "")


def _text(net: Any, X: Any, form: str) -> tuple[str, str]:
    """Texts: tokens, or nothing for what counts their words."""
    named = net if isinstance(net, str) and net in {**TEXT_NETS, **SEQUENCE_NETS} else ""
    if named or "vocabulary" in _asks(net):
        return "tokens", f"{named or getattr(net, '__name__', net)} reads texts"
    if net == "auto" and form == "text" and len(X) >= MANY_TEXTS:
        return "tokens", f"{len(X)} texts are enough to learn what each word means"
    return "", ""


def _apart(net: Any, X: Any, form: str) -> tuple[str, str] | None:
    """Texts and images beside a table: for a net that reads them, and for "auto" with images."""
    if net == "mixed" or {"texts", "images"} & set(_asks(net)):
        return _mixed(getattr(net, "__name__", net), X, form)
    if net != "auto" or form != "frame":
        return None
    count = sum(is_picture_column(X[name]) for name in X)
    return ("mixed", f"{count} column{'s' * (count > 1)} of images") if count else None


def _mixed(net: str, X: Any, form: str) -> tuple[str, str]:
    """Texts and images beside a table, for a net that was named because it reads them."""
    if form != "frame" or not {"text", "images"} & {kind for kind, _ in column_kinds(X)}:
        what = "DataFrame without such a column" if form == "frame" else form
        raise ComponentError(
            f"model={net!r} reads a DataFrame with columns of texts or images, and X is a {what}; "
            '"auto" finds a net for it'
        )
    return "mixed", f"the {net} net reads them"


def _steps(net: str, X: Any, form: str) -> tuple[str, str]:
    """Sequences, for a net that was named because it reads them."""
    if form == "frame" or net == "bag" or X.ndim > 3:
        what = f"a table with {X.shape[1]} columns" if form == "frame" else form + "s"
        raise ComponentError(
            f"model={net!r} reads texts (n,){' or sequences' * (net != 'bag')}, and X is "
            f'{what}; "auto" finds a net for it'
        )
    one = "one feature a step; " if form == "table" else ""
    return "sequences", f"{one}{net} reads sequences"


def _stack(net: Any, X: Any) -> tuple[str, str]:
    """Rows (n, a, b): images or sequences?"""
    if net in ("cnn", "resnet") or "in_channels" in _asks(net) or _convolves_images(net):
        return "images", "the network takes images"
    a, b = X.shape[1:]
    if are_images(X):
        return "images", f"{a} × {b} numbers a row; model='gru' takes them for sequences"
    return "sequences", f"{a} steps of {b} features; model='cnn' takes them for images"


def _asks(net: Any) -> tuple[str, ...]:
    """Names of the arguments that a class or function takes."""
    if isinstance(net, nn.Module | str) or not callable(net):
        return ()
    return tuple(inspect.signature(net).parameters)


def _convolves_images(net: Any) -> bool:
    return isinstance(net, nn.Module) and any(isinstance(m, nn.Conv2d) for m in net.modules())
