"""Any network: class, function, instance or name, built to fit the task, and never changed."""

import copy
import functools

import numpy as np
import pytest
import torch
from torch import nn

import manumatic as mm
from manumatic.errors import ComponentError
from manumatic.logbook import Logbook
from manumatic.parts.components import Model
from manumatic.parts.model import as_model, build_model, copy_weights, is_lazy, probe, resolve_model
from manumatic.task import Task

TABLE = Task("multiclass", np.array([0, 1, 2]), 1, True, (4,))
IMAGE = Task("binary", np.array([0, 1]), 1, True, (3, 8, 8))


class Asks(nn.Module):
    """A class with every name that the data can fill in."""

    def __init__(self, in_features, out_features, in_channels, in_shape, hidden=5):
        super().__init__()
        self.told = (in_features, out_features, in_channels, in_shape, hidden)
        self.layer = nn.Linear(in_features, out_features)


class AsksNothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x)


def built(net, task=TABLE, **arguments):
    return build_model(resolve_model(Model(net, **arguments), task, Logbook()))


# --- what can be given ---------------------------------------------------------------------------


def test_what_the_data_can_tell_is_filled_in():
    assert built(Asks, IMAGE).told == (192, 2, 3, (3, 8, 8), 5)
    assert built(Asks, hidden=9, out_features=7).told == (4, 7, 4, (4,), 9)


def test_a_class_that_asks_nothing_gets_nothing():
    assert isinstance(built(AsksNothing), AsksNothing)


@pytest.mark.parametrize(
    "net",
    [
        functools.partial(nn.Linear, 4, bias=False),
        lambda out_features: nn.Linear(4, out_features),
        functools.partial(lambda width, out_features: nn.Linear(width, out_features), 4),
    ],
)
def test_functions_and_partials(net):
    assert built(net)(torch.zeros(2, 4)).shape == (2, 3)


@pytest.mark.parametrize("name", ["linear", "mlp", "table"])
def test_ready_nets_by_name(name):
    assert built(name).eval()(torch.zeros(2, 4)).shape == (2, 3)


def test_auto_goes_by_the_shape_of_a_row():
    book = Logbook()
    image = build_model(resolve_model(Model("auto"), IMAGE, book))
    assert image(torch.zeros(2, 3, 8, 8)).shape == (2, 2)
    assert [row.part for row in book] == ["model", "model"]
    assert built("auto").eval()(torch.zeros(2, 4)).shape == (2, 3)


def test_an_instance_is_copied_and_its_weights_are_the_start():
    net = AsksNothing()
    before = copy.deepcopy(net.state_dict())
    made = built(net)
    assert made is not net
    assert all(torch.equal(made.state_dict()[name], net.state_dict()[name]) for name in before)
    made.layer.weight.data.zero_()
    assert torch.equal(net.layer.weight, before["layer.weight"])


def test_the_start_is_that_of_torch_with_the_same_seed():
    X, y = np.eye(4), [0, 1, 2, 0]
    training = mm.Classifier(nn.Linear, random_state=11).manual(X, y)
    torch.manual_seed(11)
    assert torch.equal(training.model.weight, nn.Linear(4, 3).weight)


# --- what cannot ---------------------------------------------------------------------------------

REFUSED = {
    "None": (None, "model must be a name .*; got None"),
    "a number": (3, "got 3"),
    "a net for images": ("cnn", "no ready net 'cnn' for tables; there are linear, mlp, table"),
    "a deep net for images": ("resnet", "no ready net 'resnet' for tables"),
    "an unknown name": ("mpl", "no ready net 'mpl' for tables; .* Did you mean 'mlp'"),
    "a needed argument": (
        lambda width: nn.Linear(width, 3),
        "missing a required argument: 'width'",
    ),
    "an unknown argument": (Model("mlp", hiden=3), "'hiden'.*Did you mean 'hidden'"),
    "arguments for an instance": (Model(nn.Linear(4, 3), bias=False), r"finished Linear .*'bias'"),
    "no network": (lambda: 3, "returned a int; it must return an nn.Module"),
    "too few inputs": (nn.Linear(3, 3), r"Linear cannot take rows of shape \(4,\)"),
    "other numbers": (nn.Linear(4, 3).bfloat16(), "must have the same dtype"),
    "too few outputs": (nn.Linear(4, 2), r"shape \(3, 2\) for 3 rows, but y has 3 classes"),
    "a tuple": (nn.LSTM(4, 3), "returned a tuple; it must return one tensor"),
    "no rows": (nn.Sequential(nn.Linear(4, 3), nn.Flatten(0)), "first dimension must be the rows"),
    "frozen": (nn.Linear(4, 3).requires_grad_(False), "all are frozen"),
    "no weights": (nn.AdaptiveAvgPool1d(3), "has no weights to train"),
    "layers in a list": (lambda: Listed(), "nn.ModuleList"),
}


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 3)]

    def forward(self, x):
        return self.layers[0](x)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_model_is_said_before_the_first_step(name):
    model, words = REFUSED[name]
    net = mm.Classifier(model, data=mm.Data(preprocess=None))
    with pytest.raises(ComponentError, match=words) as told:
        net.fit(np.eye(4)[:3], [0, 1, 2])
    assert str(told.value).count(". ") <= 1, "two sentences at most"
    assert not hasattr(net, "model_")


class Squeezed(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.layer = nn.Linear(in_features, out_features)

    def forward(self, x):
        return self.layer(x).squeeze()


@pytest.mark.parametrize("kind", [mm.Classifier, mm.Regressor])
def test_squeeze_is_found_before_a_batch_of_one_row_does(kind):
    with pytest.raises(ComponentError, match=r"squeeze\(-1\)"):
        kind(Squeezed).fit(np.eye(3), [0, 1, 0])


def test_squeeze_of_the_last_dimension_is_fine():
    class Flat(Squeezed):
        def forward(self, x):
            return self.layer(x).squeeze(-1)

    X, y = np.arange(9.0).reshape(-1, 1), np.arange(9.0)
    data = mm.Data(batch_size=4)
    flat = mm.Regressor(Flat, data=data, random_state=0, loop=mm.Loop(3)).fit(X, y)
    column = mm.Regressor(nn.Linear, data=data, random_state=0, loop=mm.Loop(3)).fit(X, y)
    assert np.array_equal(flat.predict(X), column.predict(X))
    assert flat.predict(X[:1]).shape == (1,)


# --- a look at the outputs -----------------------------------------------------------------------


def test_the_look_teaches_nothing():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    before = copy_weights(net)
    torch.manual_seed(0)
    outside = torch.get_rng_state()
    probe(net, torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    assert net.training
    assert torch.equal(outside, torch.get_rng_state())
    assert all(torch.equal(before[name], weight) for name, weight in net.state_dict().items())


def test_lazy_layers_take_their_shapes_from_the_rows():
    net = nn.Sequential(nn.LazyLinear(3))
    assert is_lazy(net)
    probe(net, torch.zeros(2, 4))
    assert not is_lazy(net)
    assert net[0].weight.shape == (3, 4)


def test_lazy_layers_start_from_the_seed_wherever_they_come_in():
    X, y = np.eye(4), [0, 1, 2, 0]
    lazy = Model(lambda out_features: nn.Sequential(nn.LazyLinear(out_features)))
    first = mm.Classifier(lazy, random_state=5).manual(X, y)
    torch.manual_seed(99)
    swapped = mm.Classifier("linear", random_state=5).manual(X, y)
    swapped.model = lazy
    assert torch.equal(first.model[0].weight, swapped.model[0].weight)


def test_copies_of_weights_are_copies():
    net = nn.Linear(2, 1)
    kept = copy_weights(net)
    net.weight.data.add_(1)
    assert not torch.equal(kept["weight"], net.weight)


def test_a_component_stays_as_it_is():
    spec = Model("mlp", hidden=3)
    assert as_model(spec) is spec
    resolve_model(spec, TABLE, Logbook())
    assert spec.get_params() == {"net": "mlp", "hidden": 3}
