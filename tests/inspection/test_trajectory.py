"""Trajectories of weights: the way of the study hours, and where least squares ends it."""

import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

import manumatic as mm
from manumatic.errors import ComponentError, DataError, MissingExtra
from manumatic.history import History
from manumatic.inspection.trajectory import WeightTrajectoryDisplay

HOURS, SCORES = [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]


def by_hand(epochs=1000, every=1):
    """The same descent in plain PyTorch."""
    torch.manual_seed(42)
    layer = nn.Linear(1, 1)
    X = torch.tensor(HOURS, dtype=torch.float32)
    y = torch.tensor(SCORES, dtype=torch.float32).reshape(-1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    history = History()
    for epoch in range(epochs + 1):
        if epoch % every == 0:
            history.add(epoch, epoch, "weight", "weight", layer.weight.item())
            history.add(epoch, epoch, "weight", "bias", layer.bias.item())
        optimizer.zero_grad()
        ((layer(X) - y) ** 2).mean().backward()
        optimizer.step()
    return history


@pytest.fixture(scope="module")
def net():
    return mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=0.01),
        loop=mm.Loop(epochs=1000),
        watch=mm.Watch(track=["weight", "bias"], every=5),
        random_state=42,
    ).fit(HOURS, SCORES)


def linear(X, y, track="*", epochs=1, model="linear", data="auto", **parts):
    watch = mm.Watch(track=track)
    loop = mm.Loop(epochs=epochs)
    return mm.Regressor(model, data=data, loop=loop, watch=watch, random_state=0, **parts).fit(X, y)


def test_the_way_of_the_study_hours(net):
    display = WeightTrajectoryDisplay.from_estimator(net, HOURS, SCORES)
    expected = WeightTrajectoryDisplay.from_history(by_hand(every=5))
    for name, curve in expected.curves.items():
        np.testing.assert_allclose(display.curves[name], curve, rtol=1e-4)
    assert display.targets == pytest.approx({"weight": 7, "bias": 45}, rel=1e-5)
    weight, bias = (dict(display.curves[name]) for name in ("weight", "bias"))
    assert max(weight.values()) == pytest.approx(17.1, abs=0.05)
    assert (weight[1000], bias[1000]) == pytest.approx((7.3693, 43.6669), abs=5e-4)


def test_targets_from_elsewhere(net):
    target = {"weight": 7, "bias": 45}
    assert WeightTrajectoryDisplay.from_estimator(net, target=target).targets == target
    both = WeightTrajectoryDisplay.from_estimator(net, HOURS, SCORES, target={"bias": 40})
    assert both.targets == pytest.approx({"weight": 7, "bias": 40})
    assert WeightTrajectoryDisplay.from_estimator(net).targets == {}


@pytest.mark.parametrize("outputs", [1, 2])
def test_targets_are_in_the_units_of_the_training(outputs):
    """Least squares on the rows and targets as the network saw them."""
    rng = np.random.default_rng(0)
    X = rng.normal(3, [1, 5, 9], size=(60, 3))
    y = X @ rng.normal(size=(3, outputs)) * 100 + 7 + rng.normal(size=(60, outputs))
    y = y[:, 0] if outputs == 1 else y
    data = mm.Data(preprocess=StandardScaler(), target=StandardScaler(), validation=None)
    net = linear(X, y, data=data)
    display = WeightTrajectoryDisplay.from_estimator(net, X, y)
    scaled = StandardScaler().fit_transform(y.reshape(60, -1))
    other = LinearRegression().fit(StandardScaler().fit_transform(X), scaled)
    assert len(display.targets) == 3 * outputs + outputs
    for o in range(outputs):
        assert display.targets["bias" if outputs == 1 else f"bias[{o}]"] == pytest.approx(
            other.intercept_[o], abs=1e-5
        )
        for i in range(3):
            assert display.targets[f"weight[{o},{i}]"] == pytest.approx(other.coef_[o, i], rel=1e-4)


def test_a_frame_and_the_users_own_layer():
    class Line(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(1, 1)

        def forward(self, x):
            return self.linear(x)

    frame = pd.DataFrame({"hours": [1.0, 2, 3, 4, 5]})
    data = mm.Data(preprocess=None, validation=None)
    net = linear(frame, SCORES, model=Line, data=data)
    display = WeightTrajectoryDisplay.from_estimator(net, frame, SCORES)
    assert display.targets == pytest.approx({"linear.weight": 7, "linear.bias": 45}, rel=1e-5)


def test_without_a_bias_the_line_goes_through_the_origin():
    model = mm.Model(nn.Linear, bias=False)
    net = linear(HOURS, SCORES, model=model, data=mm.Data(preprocess=None, validation=None))
    display = WeightTrajectoryDisplay.from_estimator(net, HOURS, SCORES)
    reference = LinearRegression(fit_intercept=False).fit(HOURS, SCORES)
    assert display.targets == pytest.approx({"weight": reference.coef_[0]}, rel=1e-5)


@pytest.mark.parametrize("parts", [{"model": "mlp"}, {"loss": "mae"}])
def test_no_closed_form_is_an_error(parts):
    net = linear(HOURS, SCORES, track="*bias", **parts)
    with pytest.raises(ComponentError, match=r"no closed form for .* target=\{'weight'"):
        WeightTrajectoryDisplay.from_estimator(net, HOURS, SCORES)


def test_rows_that_leave_the_weights_open_are_an_error():
    X = [[1, 2], [2, 4], [3, 6]]
    net = linear(X, [1, 2, 3], data=mm.Data(preprocess=None, validation=None))
    with pytest.raises(DataError, match="3 unknowns, of which these 3 rows settle 2"):
        WeightTrajectoryDisplay.from_estimator(net, X, [1, 2, 3])
    with pytest.raises(DataError, match="needs y beside X; got None"):
        WeightTrajectoryDisplay.from_estimator(net, X)


def test_some_of_the_weights():
    net = linear([[1, 2], [2, 1], [3, 6]], [1, 2, 3])
    choose = WeightTrajectoryDisplay.from_estimator
    assert list(choose(net).curves) == ["weight[0,0]", "weight[0,1]", "bias"]
    assert list(choose(net, names=["weight[0,1]"]).curves) == ["weight[0,1]"]
    for pattern in ("weight*", "weight[0,*]"):
        assert list(choose(net, names=[pattern]).curves) == ["weight[0,0]", "weight[0,1]"]
    with pytest.raises(DataError, match=r"no weight 'w' was tracked; there are weight\[0,0\]"):
        choose(net, names=["w"])
    with pytest.raises(DataError, match="no weight 'w'"):
        choose(net, target={"w": 1})


def test_a_history_without_weights_is_an_error():
    history = History()
    history.add(0, 1, "train", "loss", 1.0)
    with pytest.raises(DataError, match="none of the history's 1 rows is a weight"):
        WeightTrajectoryDisplay.from_history(history)


def test_the_picture_shows_lines_and_targets(net):
    picture = WeightTrajectoryDisplay.from_estimator(net, HOURS, SCORES).svg()
    ElementTree.fromstring(picture)
    assert "weight → 7<" in picture
    assert "bias → 45<" in picture
    assert picture.count('class="aim') == 2
    assert "logarithmic" not in picture
    assert len(picture.encode()) < 20_000


def test_matplotlib_draws_over_the_epochs_and_in_the_plane(net):
    plt = pytest.importorskip("matplotlib.pyplot")
    display = WeightTrajectoryDisplay.from_estimator(net, HOURS, SCORES)
    lines = display.plot(linewidth=2).lines_
    assert [line.get_label() for line in lines] == ["weight", "bias"]
    assert [line.get_xydata().tolist() for line in lines] == [
        [list(point) for point in curve] for curve in display.curves.values()
    ]
    dashed = [line for line in display.ax_.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == pytest.approx([7, 45])
    ax = plt.subplots()[1]
    [path] = display.plot(ax, kind="plane").lines_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight", "bias")
    assert path.get_xydata()[-1] == pytest.approx([7.3693, 43.6669], abs=5e-4)
    plt.close("all")


def test_a_plane_has_two_weights(net):
    display = WeightTrajectoryDisplay.from_estimator(net, names=["bias"])
    with pytest.raises(DataError, match="two weights; there are 1"):
        display.plot(kind="plane")
    with pytest.raises(DataError, match="got 'space'"):
        display.plot(kind="space")


def test_without_matplotlib_there_is_still_a_picture(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python marks what is not there
    display = WeightTrajectoryDisplay.from_estimator(net)
    assert display.svg() == display._repr_html_()
    with pytest.raises(MissingExtra, match=r"manumatic\[plot\]"):
        display.plot()
