"""Learning rates side by side, or one test from small to large: one suggestion, and why."""

__all__ = ["Sweep", "sweep"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone

from manumatic.doctor.case import Case
from manumatic.doctor.stability import at_most, stability_limit
from manumatic.errors import ComponentError, DataError
from manumatic.gears.choices import choose_seed
from manumatic.history import History
from manumatic.inspection.axes import draw_sweep
from manumatic.inspection.range_test import Probe, range_test
from manumatic.inspection.rates import Run, best_of, judged, train_with, with_verdicts
from manumatic.inspection.sentences import WHY, on_range_test, on_runs, table
from manumatic.parts.components import Loop
from manumatic.parts.data import Batches
from manumatic.show.curves import thinned
from manumatic.show.lines import range_chart, rates_chart
from manumatic.show.style import standalone, with_picture
from manumatic.watch.spec import Watch

LOWEST = (1e-6, 1e-12)  # where a range test begins; the second where the first is too high


@dataclass(frozen=True, eq=False)
class Sweep:
    """Learning rates that were tried, and the one to take.

    Attributes
    ----------
    rows : list of Run, or of Probe
        Rates side by side (lr, final_loss, best_loss, diverged_at, seconds, verdict); or the steps
        of a range test (lr, loss, smoothed).
    suggested : float
        The one suggestion.
    sentence : str
        What to take, and why.
    limit : float or None
        The stability limit 2/λmax, where there is one: SGD on a model that is linear in its weights
        under the mean squared error.
    histories : dict
        ``{lr: History}`` of rates side by side; empty for a range test.
    part : "train" or "valid"
        Whose loss is compared: that of the validation rows where the loop decides by them.
    diverges_from : float or None
        Of a range test: the rate from which the loss grows for good.
    interrupted : bool
        Ctrl-C came before the last rate was done.

    Examples
    --------
    >>> Sweep([Run(0.01, 0.5, 0.5, None, 1.0, "best")], 0.01, "Take lr 0.01.").frame.verdict[0]
    'best'
    """

    rows: Sequence[Run] | Sequence[Probe]
    suggested: float
    sentence: str
    limit: float | None = None
    histories: dict[float, History] = field(default_factory=dict)
    part: str = "train"
    diverges_from: float | None = None
    interrupted: bool = False

    @property
    def frame(self) -> Any:
        """The rows as a pandas DataFrame."""
        import pandas as pd

        frame = pd.DataFrame(self.rows, columns=list(type(self.rows[0])._fields))
        return frame.astype({"diverged_at": "Int64"}) if "diverged_at" in frame else frame

    @property
    def curves(self) -> dict[float, list[tuple[int, float]]]:
        """``{lr: [(epoch, loss), ...]}`` of rates side by side."""
        return {lr: history.curve("loss", self.part) for lr, history in self.histories.items()}

    @property
    def diverged(self) -> dict[float, str]:
        """``{lr: what became of it}``."""
        runs = [row for row in self.rows if isinstance(row, Run)]
        ended = {run.lr: run.diverged_at for run in runs if run.diverged_at is not None}
        return {lr: f"not finite in epoch {at:,}" for lr, at in ended.items()}

    @property
    def value(self) -> str:
        """What is compared, in words."""
        return "validation loss" if self.part == "valid" else "loss"

    @property
    def limit_text(self) -> str:
        """The stability limit, rounded down; empty where there is none."""
        return "" if self.limit is None else at_most(self.limit)

    @property
    def caption(self) -> str:
        """The stability limit in words; empty where there is none."""
        if self.limit is None:
            return ""
        return f"stability limit {self.limit_text}: above it {WHY}"

    def plot(self, ax: Any = None) -> Any:
        """Draw on matplotlib axes, new ones by default, which are returned.

        Raises
        ------
        MissingExtra
            matplotlib is not installed.
        """
        return draw_sweep(self, ax)[0]

    def svg(self) -> str:
        """The same picture as an SVG with its styles inside; needs no matplotlib."""
        if self.histories:
            picture = rates_chart(
                self.curves,
                suggested=self.suggested,
                diverged=self.diverged,
                caption=self.caption,
                value=self.value,
            )
        else:
            picture = range_chart(
                [row for row in self.rows if isinstance(row, Probe)],
                suggested=self.suggested,
                diverges_from=self.diverges_from,
                limit=self.limit,
                limit_text=self.limit_text,
            )
        return standalone(picture) if picture else ""

    def facts(self) -> dict[str, Any]:
        """All of it as plain values that JSON can hold; None for what is not finite."""
        names = ("suggested", "limit", "diverges_from", "sentence", "part", "interrupted")
        curves = {
            f"{lr:g}": [(at, _plain(loss)) for at, loss in thinned(curve)]
            for lr, curve in self.curves.items()
        }
        return {
            "schema": 1,
            "kind": "side by side" if self.histories else "range test",
            **{name: getattr(self, name) for name in names},
            "rows": [{k: _plain(v) for k, v in row._asdict().items()} for row in self.rows],
            "curves": curves,
        }

    def __str__(self) -> str:
        return f"{table(self.rows, self.diverges_from)}\n\n{self.sentence}"

    def _repr_html_(self) -> str:
        return with_picture(str(self), self.svg())


def sweep(
    net: Any,
    X: Any,
    y: Any = None,
    lr: Any = None,
    sample_weight: Any = None,
    *,
    steps: int = 100,
    on_run: Callable[[Run], Any] | None = None,
) -> Sweep:
    """Try learning rates, and suggest one.

    Trainings are fresh, from the same seed; the net itself is neither fitted nor changed, no file
    of its loop or logger is written.

    Parameters
    ----------
    net : Classifier or Regressor
        Any components; the learning rate of its optimizer is the one thing that varies.
    X, y, sample_weight : as for ``fit``
    lr : sequence of float, optional
        Rates to train with to the end, side by side. By default one range test: a step each with
        rates from 1e-6 to 10, until the loss explodes (Smith 2017, arXiv:1506.01186).
    steps : int
        Of the range test.
    on_run : callable, optional
        Hears of each :class:`Run` when it is done.

    Returns
    -------
    Sweep
        ``.suggested`` is, of rates side by side, the one with the lowest loss at the end. Of a
        range test it is a tenth of the rate where the smoothed loss is lowest; or, where the
        stability limit is known, half of that.

    Raises
    ------
    ComponentError
        ``net`` cannot be trained by hand, or ``lr`` holds no positive numbers.
    DataError
        Not even the smallest rate makes the loss fall.

    Examples
    --------
    >>> import manumatic as mm
    >>> net = mm.Regressor(
    ...     "linear",
    ...     data=mm.Data(batch_size=None, preprocess=None),
    ...     optimizer=mm.Optimizer("sgd"),
    ...     loop=mm.Loop(epochs=200),
    ...     random_state=42,
    ... )
    >>> found = sweep(net, [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80], lr=[0.1, 0.01, 0.001])
    >>> found.suggested, round(found.limit, 4)
    (0.01, 0.0845)
    """
    net = _private(net)

    def fresh() -> Any:
        return net.manual(X, y, sample_weight)

    if lr is not None:
        return _side_by_side(fresh, _rates(lr), on_run)
    if not isinstance(steps, int | np.integer) or steps < 20:
        raise ComponentError(f"steps must be a whole number, 20 or more; got {steps!r}")
    return _from_small_to_large(fresh, int(steps))


def _side_by_side(
    fresh: Callable[[], Any], rates: list[float], on_run: Callable[[Run], Any] | None
) -> Sweep:
    training = fresh()
    limit, part, epochs = _limit(training), judged(training), training.loop.epochs
    runs: list[Run] = []
    histories: dict[float, History] = {}
    try:
        for lr in rates:
            run, histories[lr] = train_with(fresh(), lr)
            runs.append(run)
            if on_run is not None:
                on_run(run)
    except KeyboardInterrupt:
        if not runs:
            raise
        histories = {run.lr: histories[run.lr] for run in runs}
    firsts = [
        next((loss for _, loss in h.curve("loss", part)), math.inf) for h in histories.values()
    ]
    runs = with_verdicts(runs, part, firsts)
    suggested, sentence = on_runs(runs, best_of(runs, part), part=part, limit=limit, epochs=epochs)
    if len(runs) < len(rates):
        sentence = f"Interrupted after {len(runs)} of {len(rates)} rates. {sentence}"
    return Sweep(
        runs, suggested, sentence, limit, histories, part, interrupted=len(runs) < len(rates)
    )


def _from_small_to_large(fresh: Callable[[], Any], steps: int) -> Sweep:
    training = fresh()
    whole = isinstance(training.data, Batches) and len(training.data) == 1
    limit = _limit(training)
    for low in LOWEST:
        test = range_test(fresh(), low, steps)
        if not test.began_too_high:
            break
    else:
        raise DataError(
            f"even with a learning rate of {low:g} the loss explodes: a column of X or y is too "
            'large; leave data=mm.Data(preprocess="auto")'
        )
    # of minibatches each has a limit of its own, often far below that of all rows
    suggested, sentence = on_range_test(test, limit if whole else None)
    return Sweep(test.probes, suggested, sentence, limit, diverges_from=test.diverges_from)


# --- inside --------------------------------------------------------------------------------------


def _private(net: Any) -> Any:
    """A copy with a seed for all its trainings, which writes no file and prints nothing."""
    if not hasattr(net, "manual"):
        raise ComponentError(
            "sweep takes a manumatic Classifier or Regressor; got "
            f"{type(net).__name__}. Of a Pipeline give the last step, and rows as the others hand "
            "them on"
        )
    net = clone(net)
    net.set_params(random_state=choose_seed(net.random_state), verbose=0)
    if isinstance(net.loop, Loop):
        net.set_params(loop__checkpoint=None)
    if isinstance(net.watch, Watch):
        net.set_params(watch__log=None)
    return net


def _rates(lr: Any) -> list[float]:
    try:
        rates = [float(rate) for rate in np.atleast_1d(lr)]
    except (TypeError, ValueError):
        rates = []
    if not rates or not all(math.isfinite(rate) and rate > 0 for rate in rates):
        raise ComponentError(f"lr must be None or positive numbers, as in [0.1, 0.01]; got {lr!r}")
    return list(dict.fromkeys(rates))


def _limit(training: Any) -> float | None:
    """The stability limit over all training rows."""
    if not isinstance(training.data, Batches):
        return None
    X, y, *weight = training.data.tensors
    case = Case(
        training.model, X, y, training.loss, training.optimizer, weight=next(iter(weight), None)
    )
    return stability_limit(case)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
