"""Learning rates in a picture, in scikit-learn's form for displays."""

__all__ = ["LearningRateDisplay"]

from typing import Any

from manumatic.inspection.axes import draw_sweep
from manumatic.inspection.sweep import Sweep, sweep


class LearningRateDisplay:
    """Learning rates side by side, a line each over the epochs; or a range test, loss by rate.

    Make one with :meth:`from_sweep` or :meth:`from_estimator`, then :meth:`plot` or :meth:`svg`.

    Parameters
    ----------
    sweep : Sweep
        What ``mm.sweep`` returned; it is kept as an attribute.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    lines_ : list of matplotlib Line2D
        A line a rate, in the order of the sweep; the smoothed loss of a range test.

    Examples
    --------
    >>> import manumatic as mm
    >>> net = mm.Regressor("linear", loop=mm.Loop(epochs=5), random_state=0)
    >>> net = net.set_params(optimizer=mm.Optimizer("sgd"))
    >>> display = LearningRateDisplay.from_estimator(net, [[1], [2], [3]], [1, 2, 3], [0.1, 0.01])
    >>> "lr 0.1, suggested" in display.svg()
    True
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep

    @classmethod
    def from_sweep(cls, sweep: Sweep) -> "LearningRateDisplay":
        """Of a sweep; nothing is computed."""
        return cls(sweep)

    @classmethod
    def from_estimator(
        cls, net: Any, X: Any, y: Any = None, lr: Any = None, sample_weight: Any = None
    ) -> "LearningRateDisplay":
        """Sweep; the parameters are those of ``mm.sweep``."""
        return cls(sweep(net, X, y, lr, sample_weight))

    def plot(self, ax: Any = None) -> "LearningRateDisplay":
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            New ones by default.

        Raises
        ------
        MissingExtra
            matplotlib is not installed.
        """
        self.ax_, self.lines_ = draw_sweep(self.sweep, ax)
        self.figure_ = self.ax_.figure
        return self

    def svg(self) -> str:
        """The picture as an SVG with its styles inside; needs no matplotlib."""
        return self.sweep.svg()

    def _repr_svg_(self) -> str:
        return self.svg()
