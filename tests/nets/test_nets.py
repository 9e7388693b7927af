"""Ready networks: their formulas, their shapes, and that they learn what they are for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

import manumatic as mm
from manumatic.nets.image import CNN
from manumatic.nets.linear import Linear
from manumatic.nets.table import MLP, TableNet
from manumatic.parts.model import NETS


def seeded(net, *arguments, **keywords):
    torch.manual_seed(0)
    return net(*arguments, **keywords)


@given(n=st.integers(1, 5), d=st.integers(1, 6), k=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("net", [Linear, MLP, TableNet])
def test_rows_in_outputs_out(net, n, d, k):
    model = net(d, k).eval()
    rows = torch.randn(n, d)
    found = model(rows)
    assert found.shape == (n, k)
    alone = torch.cat([model(row[None]) for row in rows])
    assert torch.allclose(found, alone, atol=1e-5), "no row knows of another"
    found.sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@given(n=st.integers(1, 3), c=st.integers(1, 3), h=st.integers(1, 17), w=st.integers(1, 17))
@settings(max_examples=25, deadline=None)
def test_images_of_any_size(n, c, h, w):
    assert CNN(c, 5).eval()(torch.randn(n, c, h, w)).shape == (n, 5)


def test_linear_is_that_of_torch():
    assert Linear is nn.Linear


@pytest.mark.parametrize(
    ("hidden", "widths"), [(5, [3, 5, 2]), ((4, 6), [3, 4, 6, 2]), ([], [3, 2])]
)
def test_mlp_layers(hidden, widths):
    layers = [layer for layer in MLP(3, 2, hidden=hidden) if isinstance(layer, nn.Linear)]
    assert [layer.in_features for layer in layers] + [2] == widths
    assert len(MLP(3, 2, hidden=hidden, dropout=0.5)) == 3 * len(widths) - 5


def test_mlp_is_its_formula():
    model = seeded(MLP, 3, 2, hidden=4)
    rows = torch.randn(5, 3)
    expected = model[2](torch.relu(rows @ model[0].weight.T + model[0].bias))
    assert torch.allclose(model(rows), expected)


@pytest.mark.parametrize("name", NETS)
def test_dropout_is_for_training_only(name):
    rows = torch.randn(4, 3, 8, 8) if name in ("cnn", "resnet") else torch.randn(4, 6)
    size = {"dropout": 0.5} if name != "linear" else {}
    shape = (3, 8, 8) if name == "resnet" else rows.shape[1]
    model = seeded(NETS[name], shape, 2, **size).eval()
    assert torch.equal(model(rows), model(rows))
    if size:
        model.train()
        assert not torch.equal(model(rows), model(rows))


@pytest.mark.parametrize("name", NETS)
def test_weights_come_from_the_seed(name):
    shape = (3, 8, 8) if name == "resnet" else 3
    one, two = (seeded(NETS[name], shape, 2).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_table_net_sees_a_wave_that_an_mlp_learns_late():
    x = np.linspace(0, 10, 400)[:, None]
    y = np.sin(2 * x[:, 0])
    options = {"loop": mm.Loop(150), "random_state": 0, "data": mm.Data(batch_size=100)}
    table = mm.Regressor("table", **options).fit(x, y).score(x, y)
    mlp = mm.Regressor("mlp", **options).fit(x, y).score(x, y)
    assert table > 0.9 > mlp


@pytest.mark.slow
def test_the_image_net_reads_digits():
    digits = load_digits()
    images, labels = digits.images, digits.target
    net = mm.Classifier(random_state=0, loop=mm.Loop(8)).fit(images[:1200], labels[:1200])
    assert isinstance(net.model_, CNN)
    assert net.score(images[1200:], labels[1200:]) > 0.93
