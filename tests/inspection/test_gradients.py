"""Attributions against weights, differences of outputs, and a quadrature written here."""

import sys
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn
from torch.utils.data import TensorDataset

import manumatic as mm
from manumatic.errors import DataError, MissingExtra
from manumatic.inspection.gradients import Attribution, input_gradients, integrated_gradients
from manumatic.show.bars import bars

IRIS = load_iris(as_frame=True)
X, KINDS = IRIS.data, IRIS.target.to_numpy()
NAMES = np.array(["setosa", "versicolor", "virginica"])[KINDS]


def smooth_net(inputs=4, outputs=3, seed=0):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


def rows_of(n=6, d=4, seed=1):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def iris_net():
    return mm.Classifier("mlp", loop=mm.Loop(epochs=20), random_state=0).fit(X, NAMES)


@pytest.fixture
def captum():
    return pytest.importorskip("captum")


# --- gradients -----------------------------------------------------------------------------------


def test_the_gradient_of_a_linear_model_is_its_weights():
    given, target = make_regression(40, 3, random_state=0)
    net = mm.Regressor("linear", data=mm.Data(preprocess=None), random_state=0).fit(given, target)
    weights = np.broadcast_to(net.model_.weight.detach().numpy(), (40, 3))
    assert np.array_equal(input_gradients(net, given).values, weights)
    times = input_gradients(net, given, multiply=True).values
    assert np.array_equal(times, weights * given.astype(np.float32))


@pytest.mark.parametrize("output", [0, 2, None])
def test_gradients_are_the_slopes_of_small_differences(output):
    model, rows = smooth_net().double(), rows_of().double()
    found = input_gradients(model, rows, output).values
    column = model(rows).argmax(1) if output is None else torch.full((6,), output)
    for feature in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[feature] = 1e-6
        rise = (model(rows + step) - model(rows - step)).gather(1, column[:, None])[:, 0] / 2e-6
        assert found[:, feature] == pytest.approx(rise.detach().numpy(), abs=1e-8)


def test_the_predicted_class_is_what_is_asked_about(iris_net):
    predicted = input_gradients(iris_net, X).values
    by_label = {label: input_gradients(iris_net, X, label).values for label in iris_net.classes_}
    wanted = [by_label[label][row] for row, label in enumerate(iris_net.predict(X))]
    assert np.array_equal(predicted, np.stack(wanted))


def test_a_useless_column_comes_last(captum):
    rng = np.random.default_rng(0)
    given = rng.normal(size=(300, 4))
    target = 3 * given[:, 0] - 2 * given[:, 1] + given[:, 3] ** 2
    table = pd.DataFrame(given, columns=["first", "second", "useless", "squared"])
    net = mm.Regressor("mlp", loop=mm.Loop(epochs=60), random_state=0).fit(table, target)
    for attribution in (input_gradients(net, table), integrated_gradients(net, table)):
        frame = attribution.frame
        assert frame["feature"].iloc[-1].endswith("useless")
        assert frame["attribution"].iloc[-1] < 0.5 * frame["attribution"].iloc[-2]


def test_one_logit_speaks_for_the_second_class():
    two = KINDS < 2
    net = mm.Classifier(
        nn.Linear(4, 1), loss="bce", data=mm.Data(preprocess=None), random_state=0
    ).fit(X[two], NAMES[two])
    weights = net.model_.weight.detach().numpy()
    assert np.array_equal(input_gradients(net, X[:3], "versicolor").values, weights.repeat(3, 0))
    assert np.array_equal(input_gradients(net, X[:3], "setosa").values, -weights.repeat(3, 0))
    sign = np.where(net.predict(X[two]) == "versicolor", 1, -1)
    assert np.array_equal(input_gradients(net, X[two]).values, sign[:, None] * weights)


def test_images_keep_their_shape():
    images = np.random.default_rng(0).normal(size=(20, 8, 8))
    net = mm.Classifier("cnn", loop=mm.Loop(epochs=1), random_state=0).fit(images, [0, 1] * 10)
    found = input_gradients(net, images)
    assert found.values.shape == (20, 1, 8, 8)
    assert found.names == []
    assert found._repr_svg_() is None
    with pytest.raises(DataError, match=r"rows of the shape \(1, 8, 8\) have no columns to rank"):
        found.frame  # noqa: B018 - looking is the test


def test_many_rows_are_answered_in_pieces(monkeypatch):
    rows, model = rows_of(50), smooth_net()
    whole = input_gradients(model, rows).values
    monkeypatch.setattr("manumatic.inspection.gradients.PIECE", 7)
    assert input_gradients(model, rows).values == pytest.approx(whole, abs=1e-6)


# --- integrated gradients ------------------------------------------------------------------------


def quadrature(model, rows, column, start, steps):
    """Σ w(α) · ∂f(start + α (rows - start)) · (rows - start), by Gauss and Legendre."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(rows)
    for alpha, weight in zip((points + 1) / 2, weights / 2, strict=True):
        at = (start + alpha * (rows - start)).detach().requires_grad_()
        score = model(at).gather(1, column[:, None]).sum()
        total += weight * torch.autograd.grad(score, at)[0]
    return total * (rows - start)


@pytest.mark.parametrize("start", [None, rows_of(1, seed=5), rows_of(6, seed=6)])
def test_integrated_gradients_are_the_quadrature_and_complete(captum, start):
    model, rows = smooth_net(), rows_of()
    found = integrated_gradients(model, rows, 1, baseline=start).values
    begin = torch.zeros(6, 4) if start is None else start.expand(6, 4)
    column = torch.ones(6, dtype=torch.int64)
    assert found == pytest.approx(quadrature(model, rows, column, begin, 50).numpy(), abs=1e-5)
    difference = (model(rows) - model(begin))[:, 1].detach().numpy()
    assert np.abs(difference).max() > 0.1
    assert found.sum(1) == pytest.approx(difference, abs=1e-3)


def test_of_a_square_they_are_known():
    """f = x² has the share x² from a baseline of 0, whatever the path's points: exact for n ≥ 1."""
    pytest.importorskip("captum")

    class Square(nn.Module):
        def forward(self, x):
            return (x**2).sum(1)

    rows = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    found = integrated_gradients(Square(), rows, steps=3)
    assert found.values == pytest.approx(rows.numpy() ** 2, abs=1e-5)


def test_they_are_complete_for_a_fitted_net(captum, iris_net):
    some = X.iloc[::10]
    found = integrated_gradients(iris_net, some, "setosa", baseline=X.iloc[[0]], steps=400)
    difference = (iris_net._raw(some) - iris_net._raw(X.iloc[[0]]))[:, 0].numpy()
    assert found.values.sum(1) == pytest.approx(difference, abs=0.02)


def test_a_baseline_of_another_shape_is_an_error(captum):
    for start in (torch.zeros(2, 4), torch.zeros(1, 3)):
        with pytest.raises(DataError, match=r"the baseline is prepared to the shape \(\d, \d\)"):
            integrated_gradients(smooth_net(), rows_of(), 0, baseline=start)


def test_without_captum_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)  # as Python marks what is not there
    with pytest.raises(MissingExtra, match=r'needs captum: pip install "manumatic\[captum\]"'):
        integrated_gradients(smooth_net(), rows_of())


# --- nothing changes, bad questions --------------------------------------------------------------


def test_looking_changes_nothing(captum):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    model.train()[1].eval()
    model[0].weight.grad = torch.ones(8, 4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows, state = rows_of(), torch.get_rng_state()
    kept = rows.clone()
    with torch.no_grad():  # as a caller may be
        first = input_gradients(model, rows).values
        integrated_gradients(model, rows)
    assert np.array_equal(first, input_gradients(model, rows).values)  # no dropout
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(rows, kept)
    assert not rows.requires_grad
    assert [part.training for part in model] == [True, False, True, True]
    assert torch.equal(model[0].weight.grad, torch.ones(8, 4))
    assert model[3].weight.grad is None


@pytest.mark.parametrize("output", [3, -1, 1.5, "setosa"])
def test_an_output_that_is_not_there(output):
    with pytest.raises(DataError, match=r"is no number of an output; there are 0 to 2"):
        input_gradients(smooth_net(), rows_of(), output)


def test_an_unknown_label_is_told_what_there_is(iris_net):
    with pytest.raises(DataError, match=r"'setos' is no class; there are 'setosa',.*Did you mean"):
        input_gradients(iris_net, X, "setos")


def test_several_targets_want_a_choice():
    target = np.stack([X.iloc[:, 0], X.iloc[:, 1]], axis=1)
    net = mm.Regressor("linear", loop=mm.Loop(epochs=1), random_state=0).fit(X, target)
    with pytest.raises(DataError, match=r"there are 2 outputs; choose one: output=0 to 1"):
        input_gradients(net, X)
    assert input_gradients(net, X, 1).values.shape == (150, 4)


def test_several_labels_a_row_want_a_choice():
    labels = np.stack([KINDS == 0, KINDS > 0], axis=1).astype(int)
    net = mm.Classifier("linear", loop=mm.Loop(epochs=1), random_state=0).fit(X, labels)
    with pytest.raises(DataError, match=r"a row can have several of the labels \[0, 1\]"):
        input_gradients(net, X)
    assert input_gradients(net, X, 1).values.shape == (150, 4)


class Rounding(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 2)

    def forward(self, x):
        return self.table(x.long()).sum(1).detach()


def test_a_model_without_gradients_says_so():
    with pytest.raises(DataError, match=r"no gradient reaches the inputs of Rounding"):
        input_gradients(Rounding(), torch.ones(3, 2), 0)


def test_what_cannot_be_asked(iris_net):
    with pytest.raises(NotFittedError):
        input_gradients(mm.Classifier(), X)
    with pytest.raises(DataError, match="attributions need rows, not a TensorDataset"):
        input_gradients(iris_net, TensorDataset(rows_of()))


# --- names, frame, pictures ----------------------------------------------------------------------


def test_names_are_those_of_the_prepared_columns():
    table = X.assign(color=["red", "green", "blue"] * 50)
    net = mm.Classifier("linear", loop=mm.Loop(epochs=1), random_state=0).fit(table, KINDS)
    found = input_gradients(net, table)
    full = list(net.preprocess_.get_feature_names_out())
    assert found.names == [name.partition("__")[2] for name in full]
    assert found.values.shape == (150, len(full))
    assert "color_red" in found.names
    assert full[0] == "numbers__sepal length (cm)"  # looking did not change the preprocessing


def twice():
    return ColumnTransformer(
        [("raw", "passthrough", ["petal length (cm)"]), ("sd", StandardScaler(), X.columns)]
    )


@pytest.mark.parametrize(
    ("given", "preprocess", "names"),
    [
        (X, None, list(X.columns)),
        (X.to_numpy(), None, ["x0", "x1", "x2", "x3"]),
        (X, StandardScaler(), list(X.columns)),
        (X, make_pipeline(FunctionTransformer(np.log1p)), ["x0", "x1", "x2", "x3"]),
        (X, twice(), ["raw__petal length (cm)", *(f"sd__{name}" for name in X.columns)]),
    ],
)
def test_names_without_our_preprocessing(given, preprocess, names):
    data = mm.Data(preprocess=preprocess)
    net = mm.Classifier("linear", data=data, loop=mm.Loop(epochs=1), random_state=0)
    assert input_gradients(net.fit(given, KINDS), given).names == names


SMALL = Attribution(np.array([[1.0, -4.0, 0.0], [-2.0, 2.0, 0.0]]), ["a", "b", "c"])


def test_the_frame_ranks_by_mean_size():
    frame = SMALL.frame
    assert list(frame["feature"]) == ["b", "a", "c"]
    assert list(frame["attribution"]) == [3.0, 1.5, 0.0]


def test_the_plot_draws_the_frame():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    ax = SMALL.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c", "a", "b"]
    assert [bar.get_width() for bar in ax.patches] == [0.0, 1.5, 3.0]
    assert SMALL.plot(ax) is ax
    pyplot.close(ax.figure)


def drawn(svg):
    """(title, width) of each bar."""
    space = "{http://www.w3.org/2000/svg}"
    found = ET.fromstring(svg).iter(f"{space}rect")
    return [
        (rect[0].text, float(rect.get("width"))) for rect in found if rect.get("class") != "card"
    ]


def test_the_svg_draws_the_frame():
    (first, longest), (second, half), (third, none) = drawn(SMALL.svg())
    assert (first, second, third) == ("b: 3", "a: 1.5", "c: 0")
    assert half == pytest.approx(longest / 2)
    assert none == 0
    assert SMALL._repr_svg_() == SMALL.svg()


def test_a_long_list_is_cut_and_says_so():
    names, values = [f"<column {n}>" for n in range(25)], [float(n) for n in range(25)]
    picture = bars(names, values, "size")
    assert picture.count("<rect") == 20
    assert "and 5 shorter ones" in picture
    assert "&lt;column 24&gt;" in picture
    assert "column 4&gt;" not in picture


def test_bars_of_nothing_are_drawn():
    assert bars(["a"], [0.0], "size").count('width="0.0"') == 1
    assert "<rect" not in bars([], [], "size")
