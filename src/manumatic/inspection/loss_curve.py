"""Loss and metrics over the epochs of one fit."""

__all__ = ["LossCurveDisplay"]

import math
from typing import Any, Self

from sklearn.metrics import get_scorer_names
from sklearn.utils.validation import check_is_fitted

from manumatic.errors import DataError, nearest
from manumatic.history import History
from manumatic.inspection.pyplot import axes_for, draw_curves
from manumatic.show.curves import curve_chart
from manumatic.show.frame import short
from manumatic.show.style import standalone


class LossCurveDisplay:
    """Loss, or a metric, over the epochs of one fit, its best epoch marked.

    Made by :meth:`from_estimator` or :meth:`from_history`. scikit-learn's ``LearningCurveDisplay``
    is something else, though both are called learning curves: its axis is the number of training
    rows, and it fits anew for each. It takes our estimators, too.

    Parameters
    ----------
    curves : dict
        ``{"train": [(epoch, value), ...], "valid": ...}``.
    name : str
        "loss" or the name of a metric.
    greater_is_better : bool, optional
        Which epoch is the best; None marks none.

    Attributes
    ----------
    best_epoch, best_value
        On validation rows where there are some, else on training rows; None where none is best.
    lines_, ax_, figure_ : matplotlib objects
        After :meth:`plot`.

    Examples
    --------
    >>> import manumatic as mm
    >>> X, y = [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]
    >>> net = mm.Regressor("linear", loop=mm.Loop(epochs=20), random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(net)
    >>> display.best_epoch
    19
    >>> display.svg()[:4]
    '<svg'
    """

    def __init__(
        self,
        curves: dict[str, list[tuple[int, float]]],
        *,
        name: str = "loss",
        greater_is_better: bool | None = False,
    ) -> None:
        self.curves = curves
        self.name = name
        self.greater_is_better = greater_is_better
        part = "valid" if "valid" in curves else "train"
        finite = [point for point in curves[part] if math.isfinite(point[1])]
        pick = max if greater_is_better else min
        known = finite if greater_is_better is not None else []
        best = pick(known, key=lambda point: point[1], default=None)
        self.best_epoch: int | None = best[0] if best else None
        self.best_value: float | None = best[1] if best else None
        self._best = (part, best[0]) if best else None

    @classmethod
    def from_estimator(
        cls, net: Any, name: str = "loss", *, greater_is_better: bool | None = None
    ) -> Self:
        """The curves that a fit has left in ``net.history_``; parameters as below."""
        check_is_fitted(net, "history_")
        return cls.from_history(net.history_, name, greater_is_better=greater_is_better)

    @classmethod
    def from_history(
        cls, history: History, name: str = "loss", *, greater_is_better: bool | None = None
    ) -> Self:
        """The curves in a history, such as ``training.state.history``.

        Parameters
        ----------
        history : History
        name : str
            "loss" or the name of a metric that ``mm.Watch(metrics=...)`` has measured.
        greater_is_better : bool, optional
            By default as scikit-learn has it: scorers and ``*_score`` are the better the greater,
            ``*_loss`` and ``*_error`` the smaller. Of other names no epoch is the best.

        Raises
        ------
        DataError
            Nothing of that name was recorded.
        """
        parts = {part: history.curve(name, part) for part in ("train", "valid")}
        curves = {part: curve for part, curve in parts.items() if curve}
        if not curves:
            known = sorted({row.name for row in history if row.part in parts})
            raise DataError(
                f"the history has no {name!r}; it has {', '.join(known) or 'no rows at all'}."
                f"{nearest(name, known)} mm.Watch(metrics=...) measures more"
            )
        better = _greater_is_better(name) if greater_is_better is None else greater_is_better
        return cls(curves, name=name, greater_is_better=better)

    def plot(self, ax: Any = None, *, log: bool | None = None, **look: Any) -> Self:
        """Draw with matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Else a new figure.
        log : bool, optional
            A logarithmic axis; by default where the values fall far.
        **look
            For ``Axes.plot``.

        Raises
        ------
        MissingExtra
            matplotlib is not installed.
        """
        self.ax_ = axes_for(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = draw_curves(self.ax_, self.curves, value=self.name, log=log, **look)
        if self._best and self.best_value is not None:
            line = self.lines_[[*self.curves].index(self._best[0])]
            label = f"best epoch {self.best_epoch:,}: {short(self.best_value)}"
            dot = {"color": line.get_color(), "marker": "o", "linestyle": "none", "label": label}
            self.lines_ += self.ax_.plot(self.best_epoch, self.best_value, **dot)
        self.ax_.legend()
        return self

    def svg(self) -> str:
        """The picture as SVG with its styles, light and dark; no matplotlib is needed."""
        return standalone(curve_chart(self.curves, value=self.name, best=self._best))

    def _repr_html_(self) -> str:
        return self.svg()


def _greater_is_better(name: str) -> bool | None:
    if name in get_scorer_names() or name.endswith("_score"):
        return True
    return False if name == "loss" or name.endswith(("_loss", "_error")) else None
