"""What an output hangs on, row by row: gradients at the inputs, and their sum along a path."""

__all__ = ["Attribution", "input_gradients", "integrated_gradients"]

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from manumatic.errors import DataError, MissingExtra, nearest
from manumatic.inspection.pyplot import axes_for
from manumatic.show.bars import MOST, bars
from manumatic.show.style import standalone

PIECE = 12_800  # rows that go through the model at once


@dataclass(frozen=True, eq=False)
class Attribution:
    """A number for each prepared input of each row.

    Attributes
    ----------
    values : ndarray (n, …)
        In the shape of the rows as the model sees them.
    names : list of str
        Of the prepared columns; empty where the rows are no table.

    Examples
    --------
    >>> Attribution(np.array([[1.0, -2.0], [3.0, -4.0]]), ["age", "fare"]).frame
      feature  attribution
    0    fare          3.0
    1     age          2.0
    """

    values: np.ndarray
    names: list[str]

    @property
    def frame(self) -> Any:
        """Mean absolute attribution by column, largest first: a pandas DataFrame.

        Raises
        ------
        DataError
            The rows have no columns.
        """
        import pandas as pd

        if self.values.ndim != 2:
            raise DataError(
                f"rows of the shape {self.values.shape[1:]} have no columns to rank; "
                ".values holds the numbers"
            )
        means = np.abs(self.values).mean(axis=0)
        frame = pd.DataFrame({"feature": self.names, "attribution": means})
        order = frame.sort_values("attribution", ascending=False, kind="stable")
        return order.reset_index(drop=True)

    def plot(self, ax: Any = None) -> Any:
        """Bars of ``frame`` on matplotlib axes, which are returned.

        Raises
        ------
        MissingExtra
            matplotlib is not installed.
        """
        ax, shown = axes_for(ax), self.frame.head(MOST)[::-1]
        ax.barh(shown["feature"], shown["attribution"])
        ax.set_xlabel("mean |attribution|")
        return ax

    def svg(self) -> str:
        """Bars of ``frame`` as an SVG, without matplotlib."""
        frame = self.frame
        picture = bars(list(frame["feature"]), list(frame["attribution"]), "mean |attribution|")
        return standalone(picture)

    def _repr_svg_(self) -> str | None:
        return self.svg() if self.values.ndim == 2 else None


def input_gradients(net: Any, X: Any, output: Any = None, multiply: bool = False) -> Attribution:
    """How fast an output changes with each prepared input: ∂ output / ∂ x.

    Parameters
    ----------
    net : Classifier, Regressor or torch.nn.Module
        Fitted; nothing in it is changed.
    X : as for ``predict``
        n rows; a tensor (n, …) for a plain module.
    output : label or int, optional
        A Classifier's label, or the number of an output. By default the predicted class of each
        row, the only output of a regression, the largest output of a plain module.
    multiply : bool
        Times the input (Shrikumar et al. 2017): shares of an output that is linear.

    Returns
    -------
    Attribution
        Of raw outputs (logits; the standardised target where that is what the model learned) by
        inputs as the model sees them: a standardised column counts in standard deviations.

    Raises
    ------
    DataError
        There is no such output, several and none is chosen, or no gradient reaches the inputs.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(2, 1)
    >>> model.weight.data = torch.tensor([[3.0, -1.0]])
    >>> input_gradients(model, torch.ones(4, 2)).frame
      feature  attribution
    0      x0          3.0
    1      x1          1.0
    """

    asked = _ask(net, X, output)

    def slopes(rows: Tensor, column: Tensor) -> Tensor:
        rows = rows.detach().requires_grad_()
        chosen = asked.outputs(rows).gather(1, column[:, None])
        [slope] = torch.autograd.grad(chosen.sum(), rows)  # the sum: rows do not touch each other
        return slope * rows.detach() if multiply else slope

    return asked.answer(slopes, PIECE)


def integrated_gradients(
    net: Any, X: Any, output: Any = None, baseline: Any = None, steps: int = 50
) -> Attribution:
    """Gradients along the straight line from a baseline to each row, times its length.

    They sum up to the difference of the outputs at the row and at the baseline (Sundararajan, Taly
    and Yan 2017, arXiv 1703.01365). Computed by captum, with Gauss-Legendre quadrature.

    Parameters
    ----------
    net, X, output : as for :func:`input_gradients`
    baseline : like X, optional
        One row, or n: "nothing there". By default zeros as the model sees them, which is the middle
        of a standardised column.
    steps : int
        Points on the line. More where the sum misses the difference.

    Returns
    -------
    Attribution
        In units of the raw output.

    Raises
    ------
    MissingExtra
        captum is not installed.
    DataError
        As for :func:`input_gradients`; or a baseline of another shape than the rows.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(2, 1)
    >>> model.weight.data = torch.tensor([[3.0, -1.0]])
    >>> integrated_gradients(model, torch.tensor([[1.0, 2.0]])).values.round(3)
    array([[ 3., -2.]], dtype=float32)
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError:
        raise MissingExtra("captum", "captum") from None
    asked = _ask(net, X, output)
    start = torch.zeros_like(asked.rows) if baseline is None else _prepared(net, baseline)
    if start.shape[1:] != asked.rows.shape[1:] or len(start) not in (1, len(asked.rows)):
        raise DataError(
            f"the baseline is prepared to the shape {tuple(start.shape)}; it must be one row, or "
            f"as many as X, which is {tuple(asked.rows.shape)}"
        )
    along = IntegratedGradients(asked.outputs)

    def shares(rows: Tensor, column: Tensor, start: Tensor) -> Tensor:
        return along.attribute(rows, start, column, n_steps=steps)

    return asked.answer(shares, max(1, PIECE // steps), start.expand_as(asked.rows))


# --- what is asked --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Question:
    """Rows as the model sees them; for each the number of an output, and its sign."""

    model: nn.Module
    rows: Tensor
    column: Tensor
    sign: Tensor
    names: list[str]

    def outputs(self, rows: Tensor) -> Tensor:
        found = self.model(rows).reshape(len(rows), -1)
        if not found.requires_grad:
            raise DataError(
                f"no gradient reaches the inputs of {type(self.model).__name__}: it rounds them "
                "(an embedding does) or detaches them"
            )
        return found

    def answer(self, rule: Callable[..., Tensor], size: int, *more: Tensor) -> Attribution:
        """``rule`` over pieces of that many rows."""
        pieces = zip(*(one.split(size) for one in (self.rows, self.column, *more)), strict=True)
        with _at_rest(self.model), torch.enable_grad():
            found = torch.cat([rule(*piece).detach() for piece in pieces])
        signed = found * self.sign.reshape(-1, *[1] * (found.ndim - 1))
        return Attribution(signed.cpu().numpy(), self.names)


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; each layer afterwards in its own again."""
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def _ask(net: Any, X: Any, output: Any) -> _Question:
    plain = isinstance(net, nn.Module)
    if not plain:
        check_is_fitted(net, "model_")
    model, rows = net if plain else net.model_, _prepared(net, X)
    with _at_rest(model), torch.no_grad():
        raw = torch.cat([model(piece).reshape(len(piece), -1) for piece in rows.split(PIECE)])
    classes = None if plain else getattr(net, "classes_", None)
    if classes is None:
        column = _number(raw, output, plain)
    else:
        column = _label(net, X, output).to(raw.device)
    sign = torch.ones(len(raw), device=raw.device)
    if classes is not None and raw.shape[1] == 1:  # one logit for two classes: for the second
        sign, column = column * 2.0 - 1, torch.zeros_like(column)
    return _Question(model, rows, column.expand(len(raw)), sign, _names(net, rows))


def _prepared(net: Any, X: Any) -> Tensor:
    """Rows as the model sees them, where it is."""
    if isinstance(net, nn.Module):
        model, rows = net, torch.as_tensor(X)
        rows = rows if rows.is_floating_point() else rows.float()
    elif isinstance(X, Dataset | DataLoader):
        raise DataError(f"attributions need rows, not a {type(X).__name__}: give X as an array")
    else:
        model, rows = net.model_, net._preparation.numbers(net._read(X, reset=False))
    return rows.to(next((weight.device for weight in model.parameters()), rows.device))


def _number(raw: Tensor, output: Any, plain: bool) -> Tensor:
    """Of the output that was chosen; a plain module may leave it to the rows."""
    width = raw.shape[1]
    if output is None and width > 1:
        if plain:
            return raw.argmax(dim=1)
        raise DataError(f"there are {width} outputs; choose one: output=0 to {width - 1}")
    number = 0 if output is None else output
    if not isinstance(number, int | np.integer) or not 0 <= number < width:
        raise DataError(f"output={output!r} is no number of an output; there are 0 to {width - 1}")
    return torch.full((len(raw),), int(number), device=raw.device)


def _label(net: Any, X: Any, output: Any) -> Tensor:
    """The number of the class that was chosen, or of the predicted one of each row."""
    labels = net.classes_.tolist()
    if output is None:
        predicted = net.predict(X)
        if predicted.ndim == 2:
            raise DataError(f"a row can have several of the labels {labels}; choose one: output=")
        return torch.as_tensor(np.searchsorted(net.classes_, predicted))
    if output not in labels:
        known = ", ".join(map(repr, labels))
        raise DataError(
            f"output={output!r} is no class; there are {known}.{nearest(output, labels)}"
        )
    return torch.tensor([labels.index(output)])


def _names(net: Any, rows: Tensor) -> list[str]:
    """Of the prepared columns."""
    if rows.ndim != 2:
        return []
    preprocess = getattr(net, "preprocess_", None)
    names = getattr(net, "feature_names_in_", []) if preprocess is None else _told(preprocess)
    if len(names) != rows.shape[1]:
        names = [f"x{number}" for number in range(rows.shape[1])]
    return [str(name) for name in names]


def _told(preprocess: Any) -> Any:
    """As scikit-learn names them; without the group of the column where that is clear enough."""
    brief = copy(preprocess)
    brief.verbose_feature_names_out = False  # of a ColumnTransformer; others do not look at it
    for one in (brief, preprocess):
        with suppress(AttributeError, ValueError):  # it has none to give, or one name twice
            return one.get_feature_names_out()
    return []
