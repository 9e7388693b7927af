"""The way of weights over the epochs, and where least squares would have put them."""

__all__ = ["WeightTrajectoryDisplay"]

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import nn

from manumatic.errors import ComponentError, DataError
from manumatic.history import History
from manumatic.inspection.graph import example_of
from manumatic.inspection.pyplot import axes_for, draw_curves
from manumatic.parts.tracing import trace
from manumatic.show.curves import curve_chart
from manumatic.show.style import standalone

# what may stand around a linear layer
PLAIN = {"input", "output", "Linear", "Identity", "Flatten", "flatten", "reshape", "view"}


class WeightTrajectoryDisplay:
    """Weights over the epochs, with the values that they should arrive at.

    Made by :meth:`from_estimator` or :meth:`from_history`.

    Parameters
    ----------
    curves : dict
        ``{"weight": [(epochs done, value), ...], "bias": ...}``.
    targets : dict, optional
        ``{"weight": 7, "bias": 45}``.

    Attributes
    ----------
    lines_, ax_, figure_ : matplotlib objects
        After :meth:`plot`.

    Examples
    --------
    >>> import manumatic as mm
    >>> X, y = [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]
    >>> net = mm.Regressor(
    ...     "linear",
    ...     data=mm.Data(batch_size=None, preprocess=None),
    ...     optimizer=mm.Optimizer("sgd", lr=0.01),
    ...     loop=mm.Loop(epochs=1000),
    ...     watch=mm.Watch(track=["weight", "bias"]),
    ...     random_state=42,
    ... ).fit(X, y)
    >>> display = WeightTrajectoryDisplay.from_estimator(net, X, y)
    >>> display.targets
    {'weight': 7.0, 'bias': 45.0}
    >>> weights = [value for _, value in display.curves["weight"]]
    >>> round(max(weights), 1), round(weights[-1], 4)  # it overshoots first
    (17.1, 7.3693)
    """

    def __init__(
        self,
        curves: dict[str, list[tuple[int, float]]],
        targets: Mapping[str, float] | None = None,
    ) -> None:
        self.curves = curves
        self.targets = dict(targets or {})

    @classmethod
    def from_estimator(
        cls,
        net: Any,
        X: Any = None,
        y: Any = None,
        *,
        names: Sequence[str] | None = None,
        target: Mapping[str, float] | None = None,
    ) -> Self:
        """The weights that ``watch=mm.Watch(track=...)`` has recorded in a fit.

        Parameters
        ----------
        net : fitted estimator
        X, y : rows and targets, optional
            Of a linear model with squared error: its weights by least squares become the targets,
            in the units in which it was trained. Weights of rows and weight decay are not in it.
        names : sequence of str, optional
            Which ones; patterns allowed. All by default.
        target : dict, optional
            ``{"weight": 7, "bias": 45}``: targets from elsewhere.

        Raises
        ------
        DataError
            Nothing was tracked, or nothing of that name; X leaves the answer open.
        ComponentError
            X and y are given, but there is no closed form for this model or loss.
        """
        check_is_fitted(net, "history_")
        answer = _least_squares(net, X, y) if X is not None else {}
        display = cls.from_history(net.history_, names=names, target=target)
        kept = {name: value for name, value in answer.items() if name in display.curves}
        display.targets = kept | display.targets
        return display

    @classmethod
    def from_history(
        cls,
        history: History,
        *,
        names: Sequence[str] | None = None,
        target: Mapping[str, float] | None = None,
    ) -> Self:
        """The rows of a history whose part is "weight"; names and target as above."""
        tracked = list(dict.fromkeys(row.name for row in history if row.part == "weight"))
        if not tracked:
            raise DataError(
                f"none of the history's {len(history)} rows is a weight; "
                'watch=mm.Watch(track=["weight", "bias"]) records them'
            )
        for asked in [*(names or []), *(target or {})]:
            if not any(_matches(name, asked) for name in tracked):
                raise DataError(f"no weight {asked!r} was tracked; there are {', '.join(tracked)}")
        wanted = tracked if names is None else names
        chosen = [name for name in tracked if any(_matches(name, asked) for asked in wanted)]
        return cls({name: history.curve(name, "weight") for name in chosen}, target)

    def plot(self, ax: Any = None, *, kind: str = "epochs", **look: Any) -> Self:
        """Draw with matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Else a new figure.
        kind : "epochs" or "plane"
            Values over the epochs; or two weights against each other.
        **look
            For ``Axes.plot``.

        Raises
        ------
        MissingExtra
            matplotlib is not installed.
        DataError
            A plane of other than two weights.
        """
        if kind == "plane" and len(self.curves) != 2:
            raise DataError(f"a plane has two weights; there are {len(self.curves)}")
        if kind not in ("epochs", "plane"):
            raise DataError(f'kind must be "epochs" or "plane"; got {kind!r}')
        self.ax_ = axes_for(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = self._plane(look) if kind == "plane" else self._epochs(look)
        self.ax_.legend()
        return self

    def svg(self) -> str:
        """The values over the epochs as SVG with its styles; no matplotlib is needed."""
        return standalone(
            curve_chart(self.curves, value="weights", targets=self.targets, log=False)
        )

    def _repr_html_(self) -> str:
        return self.svg()

    def _epochs(self, look: dict[str, Any]) -> list[Any]:
        lines = draw_curves(self.ax_, self.curves, value="weights", log=False, **look)
        for line, (name, curve) in zip(lines, self.curves.items(), strict=True):
            if name in self.targets:
                aim, ends = self.targets[name], [curve[0][0], curve[-1][0]]
                dashed = {"color": line.get_color(), "linestyle": "--", "linewidth": 1, "zorder": 1}
                self.ax_.plot(ends, [aim, aim], label=f"target {aim:.4g}", **dashed)
        return lines

    def _plane(self, look: dict[str, Any]) -> list[Any]:
        (one, across), (other, up) = self.curves.items()
        x, y = ([value for _, value in curve] for curve in (across, up))
        lines: list[Any] = self.ax_.plot(x, y, **{"label": f"{across[-1][0]:,} epochs", **look})
        colour = lines[0].get_color()
        self.ax_.plot(x[0], y[0], "o", color=colour, mfc="none", label="start")
        if one in self.targets and other in self.targets:
            self.ax_.plot(self.targets[one], self.targets[other], "x", color="C1", label="target")
        self.ax_.set(xlabel=one, ylabel=other)
        return lines


def _matches(name: str, asked: str) -> bool:
    """weight[0,1] itself, and what a pattern with * or ? means; brackets are no pattern."""
    return name == asked or fnmatch.fnmatchcase(name, asked.replace("[", "[[]"))


def _least_squares(net: Any, X: Any, y: Any) -> dict[str, float]:
    """The weights of the smallest squared error, named as they are tracked."""
    if y is None:
        raise DataError("least squares needs y beside X; got None")
    layer, prefix = _linear_layer(net, X)
    rows = net._preparation.numbers(net._read(X, reset=False))
    design = rows.double().numpy().reshape(len(rows), -1)
    if layer.bias is not None:
        design = np.column_stack([design, np.ones(len(design))])
    aims = net._preparation.targets(np.asarray(y, dtype=np.float64)).reshape(len(design), -1)
    found, _, rank, _ = np.linalg.lstsq(design, aims, rcond=None)
    if rank < design.shape[1]:
        raise DataError(
            f"X leaves the weights open: its columns and the bias make {design.shape[1]} unknowns, "
            f"of which these {len(design)} rows settle {rank}"
        )
    weight = found[: layer.in_features].T
    answer = _named(f"{prefix}weight", weight)
    return answer | (_named(f"{prefix}bias", found[-1]) if layer.bias is not None else {})


def _linear_layer(net: Any, X: Any) -> tuple[nn.Linear, str]:
    """The only layer, and what stands before the names of its weights."""
    steps = trace(*example_of(net, X)).steps
    linear = [step for step in steps if step.kind == "Linear"]
    loss = net._told["loss"]
    if len(linear) != 1 or not {step.kind for step in steps} <= PLAIN or "mse" not in loss.lower():
        raise ComponentError(
            f"there is no closed form for {net._told['model']} with {loss}, only for one linear "
            "layer with squared error; give target={'weight': ...} instead of X and y"
        )
    layer = net.model_.get_submodule(linear[0].name)
    return layer, f"{linear[0].name}." if linear[0].name else ""


def _named(name: str, values: np.ndarray) -> dict[str, float]:
    """As the watch names them: weight, or weight[0,1] where there are several."""
    if values.size == 1:
        return {name: float(values.item())}
    places = np.ndindex(values.shape)
    return {f"{name}[{','.join(map(str, at))}]": float(values[at]) for at in places}
