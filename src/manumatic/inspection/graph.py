"""What a network is made of: a table of its layers, and a drawing of how they are joined."""

__all__ = ["GraphDisplay", "Layer", "Summary", "example_of", "summary"]

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from manumatic.errors import DataError
from manumatic.gears.manual import Training
from manumatic.gears.net import Net
from manumatic.gears.prepare import as_tensor
from manumatic.inspection.pyplot import draw_graph
from manumatic.parts.tracing import Call, Size, trace
from manumatic.show.graph import dot, graph_chart
from manumatic.show.style import standalone

Shape = tuple[int | str, ...]
ROWS = 3  # what is 3 long at the front is the batch, in most networks
HEAD = ("layer", "kind", "input", "output", "parameters")


class Layer(NamedTuple):
    """A row of a :class:`Summary`.

    Attributes
    ----------
    name, kind : str
        "layers.0" and "Linear".
    in_shape, out_shape : tuple
        Of the first tensor, "n" for the rows; empty where the layer is not called.
    parameters, trainable : int
        Numbers in the weights that the layer itself owns; how many of them are trained.
    depth : int
        1 for the parts of the model, 2 for theirs.

    Examples
    --------
    >>> Layer("0", "Linear", ("n", 4), ("n", 2), 10, 10, 1).kind
    'Linear'
    """

    name: str
    kind: str
    in_shape: Shape
    out_shape: Shape
    parameters: int
    trainable: int
    depth: int


@dataclass(frozen=True, repr=False)
class Summary:
    """A network as a table: ``print`` it, or take its ``frame``.

    Attributes
    ----------
    layers : list of Layer
        In the order of the calls. A layer that is called twice is one row, weights that two layers
        share are counted with the first. Layers that were not called come last, without shapes.
    functions : dict of str to int
        What ran outside of layers, and how often.
    parameters, trainable : int
        Numbers in all weights, and how many of them are trained.
    bytes : int
        Of weights and buffers.

    Examples
    --------
    >>> import torch
    >>> found = summary(torch.nn.Linear(4, 2), torch.ones(3, 4))
    >>> found.parameters, found.bytes, list(found.frame["kind"])
    (10, 40, ['Linear'])
    """

    layers: list[Layer]
    functions: dict[str, int]
    parameters: int
    trainable: int
    bytes: int

    @property
    def frame(self) -> Any:
        """The rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.layers, columns=list(Layer._fields))

    def __str__(self) -> str:
        lines = [HEAD, *_indented(self.layers)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(_padded(line, widths)).rstrip() for line in lines]
        text.insert(1, "─" * (sum(widths) + 2 * len(widths) - 2))
        frozen = self.parameters - self.trainable
        total = f"{self.parameters:,} parameters, {_size(self.bytes)}"
        text += [text[1], total + (f"; {frozen:,} of them frozen" if frozen else "")]
        if self.functions:
            told = (f"{name} ×{n}" if n > 1 else name for name, n in self.functions.items())
            text.append(f"functions outside of layers: {', '.join(told)}")
        if any(not layer.out_shape for layer in self.layers):
            text.append("–: weights are there, but the layer itself is not called")
        return "\n".join(text)

    __repr__ = __str__


def summary(net: Any, X: Any = None) -> Summary:
    """The layers of a network with their shapes and parameters.

    One forward pass over up to three rows, with a copy, in eval mode; nothing of the network
    changes.

    Parameters
    ----------
    net : fitted estimator, Training or nn.Module
    X : rows, optional
        What the network sees; may be left out for an estimator or a training. A module takes a
        tensor as it is (a tuple of them is several arguments), other rows as float32.

    Returns
    -------
    Summary
        In its shapes, n stands for the number of rows.

    Raises
    ------
    DataError
        A plain module without X.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> print(summary(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), torch.ones(3, 4)))
    layer  kind    input  output  parameters
    ────────────────────────────────────────
    0      Linear  n × 4  n × 8           40
    1      ReLU    n × 8  n × 8
    2      Linear  n × 8  n × 1            9
    ────────────────────────────────────────
    49 parameters, 196 bytes
    """
    model, inputs = example_of(net, X)
    found = trace(model, inputs)
    calls = [call for call in found.layers if call.depth or call.weights or len(found.layers) == 1]
    weights = [weight for call in calls for weight in call.weights]
    held = [*weights, *found.model.buffers()]
    return Summary(
        [_layer(call, len(inputs[0])) for call in calls],
        dict(Counter(step.kind for step in found.steps if step.within is not None)),
        sum(weight.numel() for weight in weights),
        sum(weight.numel() for weight in weights if weight.requires_grad),
        sum(tensor.numel() * tensor.element_size() for tensor in held),
    )


class GraphDisplay:
    """The layers of a network and the lines between them.

    Made by :meth:`from_estimator` or :meth:`from_model`.

    Parameters
    ----------
    rows : list of dict
        A box each, in the order of execution: ``id``, ``kind``, ``name``, ``shape``,
        ``parameters``, ``trainable``, ``inputs`` (ids).

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        After :meth:`plot`.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    >>> display = GraphDisplay.from_model(model, torch.ones(3, 4))
    >>> for row in display.rows:
    ...     print(row["id"], row["kind"], row["shape"], row["inputs"])
    0 input n × 4 []
    1 Linear n × 2 [0]
    2 ReLU n × 2 [1]
    3 output n × 2 [2]
    """

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.rows = list(rows)

    @classmethod
    def from_estimator(cls, net: Any, X: Any = None, *, depth: int | None = None) -> Self:
        """The network of a fitted estimator.

        Parameters
        ----------
        net : fitted estimator or Training
        X : rows, optional
            What it sees, where ``forward`` depends on it; zeros by default.
        depth : int, optional
            Modules so deep are one box; 1 shows the blocks of a model. By default all is shown, but
            for the insides of torch's own layers.
        """
        return cls.from_model(net, X, depth=depth)

    @classmethod
    def from_model(cls, model: Any, X: Any = None, *, depth: int | None = None) -> Self:
        """The network of a plain module; X as for :func:`summary`, depth as above.

        The lines are those of one forward pass, so that loops and ifs in ``forward`` are no
        obstacle.
        """
        model, inputs = example_of(model, X)
        steps = trace(model, inputs, depth).steps
        return cls([_row(number, step, len(inputs[0])) for number, step in enumerate(steps)])

    def svg(self) -> str:
        """The drawing as SVG, with its styles; needs neither matplotlib nor Graphviz."""
        return standalone(graph_chart(self.rows))

    def dot(self) -> str:
        """The graph in the DOT language of Graphviz."""
        return dot(self.rows)

    def plot(self, ax: Any = None) -> Self:
        """Draw with matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Else a new figure, as large as the drawing needs.

        Raises
        ------
        MissingExtra
            matplotlib is not there.
        """
        self.ax_ = draw_graph(self.rows, ax)
        self.figure_ = self.ax_.figure
        return self

    def _repr_html_(self) -> str:
        return self.svg()


def example_of(model: Any, X: Any = None) -> tuple[nn.Module, tuple[Any, ...]]:
    """A network and a few rows that it takes.

    Parameters
    ----------
    model : fitted estimator, Training or nn.Module
    X : rows, optional
        An estimator reads them as ``predict`` does, and has two rows of zeros of its own. A module
        takes tensors as they are (a tuple is several arguments), other rows as float32.

    Raises
    ------
    DataError
        A plain module without rows.
    """
    if isinstance(model, Net):
        check_is_fitted(model, "model_")
        sample = vars(model).get("_sample")
        if X is not None:
            sample = model._preparation.numbers(model._read(X, reset=False))
        model, X = model.model_, sample
    elif isinstance(model, Training):
        model, X = model.model, model.facts.sample if X is None else X
    if X is None:
        raise DataError(
            f"{type(model).__name__} takes rows of a shape that only you know; give a few of them "
            "as X"
        )
    weight = next((w for w in model.parameters() if not is_lazy(w)), torch.empty(0))
    given = X if isinstance(X, tuple) else (X,)
    inputs = [(x if isinstance(x, Tensor) else as_tensor(x))[:ROWS] for x in given]
    return model, tuple(x.to(weight.dtype) if x.is_floating_point() else x for x in inputs)


def _layer(call: Call, rows: int) -> Layer:
    shapes = _shape(call.taken, rows), _shape(call.made, rows)
    return Layer(call.name, call.kind, *shapes, call.parameters, call.trainable, call.depth)


def _row(number: int, step: Call, rows: int) -> dict[str, Any]:
    return {
        "id": number,
        "kind": step.kind,
        "name": step.name,
        "shape": _written(_shape(step.made, rows)),
        "parameters": step.parameters,
        "trainable": step.trainable,
        "inputs": step.inputs,
    }


def _shape(sizes: Sequence[Size], rows: int) -> Shape:
    """Of the first tensor, n for the rows; (1,) is a number, () no tensor at all."""
    if not sizes or not sizes[0]:
        return (1,) if sizes else ()
    first, *rest = sizes[0]
    times, over = divmod(first, rows)
    if over or not times or (times > 1 and rows == 1):
        return (first, *rest)
    return ("n" if times == 1 else f"{times}n", *rest)


def _written(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def _indented(layers: Sequence[Layer]) -> Iterator[tuple[str, ...]]:
    """The cells of each row; a name is without that of the row it belongs to, and further in."""
    owners: list[str] = []
    for layer in layers:
        while owners and not layer.name.startswith(owners[-1]):
            owners.pop()
        name = layer.name.removeprefix(owners[-1] if owners else "")
        shapes = [_written(shape) or "–" for shape in (layer.in_shape, layer.out_shape)]
        weights = f"{layer.parameters:,}" if layer.parameters else ""
        yield "  " * len(owners) + name, layer.kind, *shapes, weights
        owners += [f"{layer.name}."] if layer.name else []


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Texts to the left, the number to the right."""
    *texts, number = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
    return [*texts, f"{line[-1]:>{len(number)}}"]


def _size(count: float) -> str:
    """Bytes for people.

    >>> _size(196), _size(46_800_000)
    ('196 bytes', '46.8 MB')
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"
