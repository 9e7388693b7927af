"""Loss curves: the history as it is, its best epoch, with and without matplotlib."""

import math
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import manumatic as mm
from manumatic.errors import DataError, MissingExtra
from manumatic.history import History
from manumatic.inspection.loss_curve import LossCurveDisplay


@pytest.fixture(scope="module")
def net():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return mm.Classifier(
        "mlp",
        data=mm.Data(batch_size=64, validation=50),
        loop=mm.Loop(epochs=12, patience=12),
        watch=mm.Watch(metrics=["accuracy", "neg_log_loss"]),
        random_state=0,
    ).fit(X, (X[:, 0] + X[:, 1] > 0).astype(int))


@pytest.fixture
def axes():
    plt = pytest.importorskip("matplotlib.pyplot")
    yield plt.subplots()[1]
    plt.close("all")


def history_of(values, part="valid", name="loss"):
    history = History()
    for epoch, value in enumerate(values):
        history.add(epoch, epoch + 1, part, name, value)
    return history


def test_the_curves_are_those_of_the_history(net):
    display = LossCurveDisplay.from_estimator(net)
    frame = net.history_.frame
    for part in ("train", "valid"):
        rows = frame[(frame["part"] == part) & (frame["name"] == "loss")]
        assert display.curves[part] == list(zip(rows["epoch"], rows["value"], strict=True))
    best = frame[(frame["part"] == "valid") & (frame["name"] == "loss")]
    best = best.loc[best["value"].idxmin()]
    assert (display.best_epoch, display.best_value) == (best["epoch"], best["value"])


@pytest.mark.parametrize(("name", "pick"), [("accuracy", max), ("neg_log_loss", max)])
def test_metrics_have_curves_too(net, name, pick):
    display = LossCurveDisplay.from_estimator(net, name)
    assert display.best_value == pick(value for _, value in net.history_.curve(name, "valid"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("loss", 1), ("mean_absolute_error", 1), ("hinge_loss", 1)),
        *(("r2", 2), ("neg_brier_score", 2), ("f1_score", 2), ("mine", None)),
    ],
)
def test_which_epoch_is_best_depends_on_the_name(name, expected):
    history = history_of([0.5, 0.1, 0.9], name=name)
    assert LossCurveDisplay.from_history(history, name).best_epoch == expected
    for better, epoch in ((True, 2), (False, 1)):
        told = LossCurveDisplay.from_history(history, name, greater_is_better=better)
        assert told.best_epoch == epoch


def test_the_best_epoch_is_one_of_validation_and_finite():
    history = history_of([3.0, math.nan, 2.0, math.inf]) + history_of([1.0, 0.0], part="train")
    display = LossCurveDisplay.from_history(History(history))
    assert (display.best_epoch, display.best_value) == (2, 2.0)
    assert LossCurveDisplay.from_history(history_of([math.nan])).best_epoch is None


def test_what_was_not_measured_is_an_error(net):
    with pytest.raises(DataError, match=r"no 'acuracy'; it has accuracy, loss.*mean 'accuracy'"):
        LossCurveDisplay.from_estimator(net, "acuracy")
    with pytest.raises(DataError, match="no rows at all"):
        LossCurveDisplay.from_history(History())
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(mm.Classifier())


def test_the_picture_says_the_same(net):
    display = LossCurveDisplay.from_estimator(net)
    picture = display.svg()
    ElementTree.fromstring(picture)
    assert f"best epoch {display.best_epoch}: " in picture
    assert display._repr_html_() == picture
    assert len(picture.encode()) < 20_000


def test_matplotlib_draws_the_same_data(net, axes):
    display = LossCurveDisplay.from_estimator(net)
    assert display.plot(axes, linewidth=3) is display
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    *lines, dot = display.lines_
    for line, (part, curve) in zip(lines, display.curves.items(), strict=True):
        assert line.get_label() == part
        assert line.get_linewidth() == 3
        assert line.get_xydata().tolist() == [list(point) for point in curve]
    assert dot.get_xydata().tolist() == [[display.best_epoch, display.best_value]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")


@pytest.mark.parametrize(("log", "expected"), [(None, "log"), (False, "linear")])
def test_a_steep_loss_has_a_logarithmic_axis(axes, log, expected):
    display = LossCurveDisplay.from_history(history_of([1e3, 1e1, 1e-1, math.nan]))
    assert display.plot(axes, log=log).ax_.get_yscale() == expected


def test_a_figure_of_its_own(net):
    plt = pytest.importorskip("matplotlib.pyplot")
    display = LossCurveDisplay.from_estimator(net).plot()
    assert display.figure_.axes == [display.ax_]
    plt.close(display.figure_)


def test_without_matplotlib_there_is_still_a_picture(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python marks what is not there
    display = LossCurveDisplay.from_estimator(net)
    assert display.svg()
    with pytest.raises(MissingExtra, match=r"manumatic\[plot\]"):
        display.plot()
