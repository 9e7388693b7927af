"""Summaries and graphs: what really ran, once, in tables and pictures."""

import operator
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.exceptions import NotFittedError
from torch import fx, nn

import manumatic as mm
from manumatic.errors import DataError, MissingExtra
from manumatic.inspection.graph import GraphDisplay, summary
from manumatic.nets.table import MLP, TableNet


class Residual(nn.Module):
    """Convolutions with a shortcut, as in a ResNet; a weight of its own; one layer unused."""

    def __init__(self, channels=4, shortcut=None):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.two = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = shortcut or nn.Identity()
        self.scale = nn.Parameter(torch.ones(1))
        self.spare = nn.Linear(2, 3)

    def forward(self, x):
        short = self.shortcut(x)
        y = self.two(self.act(self.norm(self.one(x))))
        y = y * self.scale
        y += short
        return F.relu(y)


class Twice(nn.Module):
    """One layer, called twice; its weight, read once more by another."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.shared.weight

    def forward(self, x):
        return self.tied(self.shared(self.shared(x)))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 1)
        self.two = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.head = nn.Linear(11, 2)

    def forward(self, x):
        x = torch.cat([self.one(x), self.two(x), self.pool(x)], dim=1)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def images(n=3, channels=4):
    return torch.randn(n, channels, 6, 6, generator=torch.Generator().manual_seed(0))


NETS = {
    "mlp": (MLP(4, 2, [8, 8], dropout=0.1), torch.ones(3, 4)),
    "table": (TableNet(4, 1, hidden=8), torch.ones(3, 4)),
    "residual": (Residual(), images()),
    "inception": (Inception(), images(channels=3)),
    "twice": (Twice(), torch.ones(3, 4)),
    "lstm": (nn.LSTM(4, 5, batch_first=True), torch.ones(3, 7, 4)),
    "encoder": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.ones(3, 5, 8)),
}


def edges(display):
    """(what it came from, what it went to), as kinds and names."""
    told = {row["id"]: row["name"] or row["kind"] for row in display.rows}
    return [(told[source], told[row["id"]]) for row in display.rows for source in row["inputs"]]


def symbolic_edges(model):
    """The same by torch.fx, an independent way that opens all layers that are not torch's."""
    said = {operator.add: "add", operator.mul: "mul", operator.iadd: "add"}
    weights = {name for name, _ in model.named_parameters()}

    def name(node):
        if node.op in ("call_module", "placeholder", "output"):
            return {"placeholder": "input"}.get(node.op) or str(node.target)
        function = node.target if isinstance(node.target, str) else node.target.__name__
        read = [a.target for a in node.all_input_nodes if a.op == "get_attr"]
        return read[0] if read else said.get(node.target, function)

    return [
        (name(source), name(node))
        for node in fx.symbolic_trace(model).graph.nodes
        for source in node.all_input_nodes
        if not (source.op == "get_attr" and source.target in weights)
    ]


# --- graph ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "residual", "inception", "twice"])
def test_the_lines_are_those_of_symbolic_tracing(name):
    model, X = NETS[name]
    assert sorted(edges(GraphDisplay.from_model(model, X))) == sorted(symbolic_edges(model))


def test_a_residual_block_has_its_shortcut():
    found = edges(GraphDisplay.from_model(nn.Sequential(Residual(), Residual()), images()))
    assert ("input", "0.one") in found
    assert ("input", "0.shortcut") in found
    assert ("0.shortcut", "add") in found
    assert ("0.scale", "add") in found
    assert ("relu", "1.one") in found


def test_depth_closes_boxes():
    model = nn.Sequential(nn.Sequential(Residual(), Residual()), nn.Flatten())
    kinds = {
        depth: [row["kind"] for row in GraphDisplay.from_model(model, images(), depth=depth).rows]
        for depth in (1, 2)
    }
    assert kinds[1] == ["input", "Sequential", "Flatten", "output"]
    assert kinds[2] == ["input", "Residual", "Residual", "Flatten", "output"]


@pytest.mark.parametrize("depth", [None, 1, 2])
@pytest.mark.parametrize("name", NETS)
def test_every_weight_that_runs_is_in_one_box(name, depth):
    model, X = NETS[name]
    rows = GraphDisplay.from_model(model, X, depth=depth).rows
    unused = 9 if name == "residual" else 0
    total = sum(weight.numel() for weight in model.parameters())
    assert sum(row["parameters"] for row in rows) == total - unused


def test_shapes_follow_the_rows():
    rows = GraphDisplay.from_model(*NETS["inception"]).rows
    shapes = {row["name"] or row["kind"]: row["shape"] for row in rows}
    assert shapes["input"] == "n × 3 × 6 × 6"
    assert shapes["cat"] == "n × 11 × 6 × 6"
    assert shapes["head"] == shapes["output"] == "n × 2"

    class Folds(nn.Module):
        def forward(self, x):
            return x.reshape(-1, 4).sum()

    rows = GraphDisplay.from_model(Folds(), torch.ones(3, 5, 4)).rows
    assert [row["shape"] for row in rows] == ["n × 5 × 4", "5n × 4", "1", "1"]


def test_pictures_of_all_kinds():
    display = GraphDisplay.from_model(*NETS["residual"])
    picture = display.svg()
    ElementTree.fromstring(picture)
    assert picture == display._repr_html_()
    assert picture.count("<rect") == len(display.rows) + 1  # and the card
    source = display.dot()
    assert source.count(" -> ") == len(edges(display))
    assert r"Conv2d\none\nn × 4 × 6 × 6\n148 parameters" in source


def test_matplotlib_draws_boxes_and_lines():
    plt = pytest.importorskip("matplotlib.pyplot")
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    display = GraphDisplay.from_model(*NETS["residual"])
    assert display.plot() is display
    patches = display.ax_.patches
    assert sum(isinstance(patch, FancyBboxPatch) for patch in patches) == len(display.rows)
    assert sum(isinstance(patch, FancyArrowPatch) for patch in patches) == len(edges(display))
    assert {"Conv2d", "one", "148"} <= {text.get_text() for text in display.ax_.texts}
    figure, (left, right) = plt.subplots(1, 2)
    assert display.plot(right).ax_ is right
    assert display.figure_ is figure
    assert not left.patches
    figure.canvas.draw()  # texts stay inside their boxes
    boxes = [p.get_window_extent() for p in right.patches if isinstance(p, FancyBboxPatch)]
    for text in (text.get_window_extent() for text in right.texts if text.get_text()):
        assert any(text.y0 > box.y0 and text.y1 < box.y1 for box in boxes)
        assert any(text.x0 > box.x0 and text.x1 < box.x1 for box in boxes)
    plt.close("all")


def test_without_matplotlib_there_is_still_a_picture(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python marks what is not there
    display = GraphDisplay.from_model(*NETS["mlp"])
    assert display.svg()
    with pytest.raises(MissingExtra, match=r"manumatic\[plot\]"):
        display.plot()


# --- summary -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_every_weight_is_counted_once(name):
    model, X = NETS[name]
    found = summary(model, X)
    weights = list(model.parameters())
    assert found.parameters == sum(weight.numel() for weight in weights)
    assert sum(layer.parameters for layer in found.layers) == found.parameters
    held = [*weights, *model.buffers()]
    assert found.bytes == sum(tensor.numel() * tensor.element_size() for tensor in held)


def test_rows_are_the_layers_in_the_order_of_the_calls():
    model = nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 2)))
    layers = summary(model, torch.ones(3, 4)).layers
    assert [(layer.name, layer.kind, layer.depth) for layer in layers] == [
        *(("0", "Linear", 1), ("1", "Sequential", 1), ("1.0", "ReLU", 2), ("1.1", "Linear", 2)),
    ]
    assert (layers[0].in_shape, layers[0].out_shape) == (("n", 4), ("n", 8))
    assert [layer.parameters for layer in layers] == [40, 0, 0, 18]


def test_a_layer_alone_is_a_row():
    [layer] = summary(nn.Linear(2, 3), torch.ones(3, 2)).layers
    assert (layer.kind, layer.parameters, layer.depth) == ("Linear", 9, 0)


def test_shared_layers_are_counted_once():
    found = summary(*NETS["twice"])
    assert [(layer.name, layer.parameters) for layer in found.layers] == [
        ("shared", 20),
        ("tied", 4),  # its bias
    ]


def test_layers_that_are_not_called_come_last():
    found = summary(*NETS["residual"])
    assert found.layers[-1] == ("spare", "Linear", (), (), 9, 9, 1)
    assert "the layer itself is not called" in str(found)
    assert found.layers[0][:2] == ("", "Residual")  # for the weight that it owns
    assert found.layers[0].parameters == 1


def test_what_attention_reads_itself_is_its_own():
    layers = {layer.name: layer for layer in summary(*NETS["encoder"]).layers}
    total = sum(w.numel() for w in nn.MultiheadAttention(8, 2).parameters())
    assert layers["self_attn"].parameters == total
    assert "self_attn.out_proj" not in layers

    class Alone(nn.MultiheadAttention):
        def forward(self, x):
            return super().forward(x, x, x)

    Alone.__module__ = "torch.nn"
    [alone] = summary(Alone(8, 2, batch_first=True), torch.ones(3, 5, 8)).layers
    assert alone.parameters == total


def test_frozen_weights_are_told():
    model = MLP(4, 1, 8)
    model[0].weight.requires_grad_(False)
    found = summary(model, torch.ones(3, 4))
    assert (found.parameters, found.trainable) == (49, 17)
    assert found.layers[0].trainable == 8
    assert "49 parameters, 196 bytes; 32 of them frozen" in str(found)


def test_functions_are_noted():
    assert summary(*NETS["residual"]).functions == {"mul": 1, "add": 1, "relu": 1}
    assert "functions outside of layers: mul, add, relu" in str(summary(*NETS["residual"]))


def test_the_table_is_aligned_and_nested():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 80), nn.Flatten()), nn.Linear(80, 1))
    head, rule, *lines = str(summary(model, torch.ones(3, 4))).splitlines()
    assert head.split() == ["layer", "kind", "input", "output", "parameters"]
    assert [line.split()[0] for line in lines[:4]] == ["0", "0", "1", "1"]
    assert [len(line) - len(line.lstrip()) for line in lines[:4]] == [0, 2, 2, 0]
    assert [len(head), len(lines[1]), len(lines[3])] == 3 * [len(rule)]
    assert str(summary(model, torch.ones(3, 4))) == repr(summary(model, torch.ones(3, 4)))


def test_the_frame_has_a_row_a_layer():
    found = summary(*NETS["mlp"])
    assert list(found.frame.columns) == list(found.layers[0]._fields)
    assert found.frame["parameters"].sum() == found.parameters


# --- of what -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=40), "b": rng.choice(["x", "y"], 40)})
    net = mm.Classifier("mlp", loop=mm.Loop(epochs=1), random_state=0)
    return net.fit(X, (X["a"] > 0).astype(int)), X


def test_a_fitted_estimator_reads_rows_as_predict_does(fitted):
    net, X = fitted
    found = summary(net, X)
    assert found.parameters == sum(weight.numel() for weight in net.model_.parameters())
    assert found.layers[0].in_shape == (
        "n",
        *net._preparation.numbers(net._read(X, False)).shape[1:],
    )
    assert GraphDisplay.from_estimator(net, X).rows[-1]["kind"] == "output"


def test_a_fitted_estimator_needs_no_rows(fitted):
    net, X = fitted
    assert str(summary(net)) == str(summary(net, X))
    assert GraphDisplay.from_estimator(net).rows == GraphDisplay.from_estimator(net, X).rows


def test_a_training_has_rows_of_its_own(fitted):
    net, X = fitted
    training = mm.Classifier("mlp", random_state=0).manual(X, (X["a"] > 0).astype(int))
    assert str(summary(training)) == str(summary(net, X))


def test_an_unfitted_estimator_and_a_module_without_rows_are_errors():
    with pytest.raises(NotFittedError):
        summary(mm.Classifier("mlp"), [[1, 2]])
    with pytest.raises(DataError, match="Linear takes rows of a shape that only you know"):
        summary(nn.Linear(2, 1))


@pytest.mark.parametrize("rows", [1, 2, 3, 50])
def test_any_number_of_rows_will_do(rows):
    X = np.ones((rows, 4))
    for given in (X, X.tolist(), pd.DataFrame(X), torch.ones(rows, 4, dtype=torch.float64)):
        assert summary(MLP(4, 1), given).layers[0].in_shape == ("n", 4)


def test_several_arguments_and_whole_numbers():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.mix = nn.Bilinear(4, 3, 2)

        def forward(self, word, x):
            return {"out": self.mix(self.embed(word), x)}

    X = torch.tensor([1, 2, 3]), torch.ones(3, 3)
    rows = GraphDisplay.from_model(Pair(), X).rows
    assert [row["kind"] for row in rows] == ["input", "input", "Embedding", "Bilinear", "output"]
    assert rows[3]["inputs"] == [1, 2]
    assert rows[4]["shape"] == "n × 2"
