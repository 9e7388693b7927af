"""The table net against its formulas, written once more with numpy, a row and member at a time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import manumatic as mm
from manumatic.nets.crossed import CrossedNet, Unseen
from manumatic.nets.table import EachMember, Numbers, TableNet

ROWS = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
TARGET = ROWS[:, 0] * ROWS[:, 1] + ROWS[:, 2]


def seeded(*arguments, crossed=False, **keywords):
    torch.manual_seed(3)
    return (CrossedNet if crossed else TableNet)(*arguments, **keywords)


def read(numbers, x):
    """(row, columns) → what Numbers gives, with numpy's own interpolation for the bins."""
    weights = {name: w.detach().double().numpy() for name, w in numbers.named_parameters()}
    edges = numbers.edges.double().numpy()
    waves, steps = [], []
    for column, value in enumerate(x):
        angles = 2 * np.pi * weights["frequencies"][column] * value + weights["phases"][column]
        waves += list(np.cos(angles) @ weights["periodic"][column] + weights["shift"][column])
        bins = [
            np.interp(value, [low, high], [0, 1]) if high - low >= 1e-6 else 0.0
            for low, high in zip(edges[column], edges[column][1:], strict=False)
        ]
        steps += list(bins @ weights["piecewise"][column])
    return np.array([*x, *waves, *steps])


def by_hand(net, row):
    """The answer of each member to one row, (members, outputs)."""
    weights = {name: w.detach().double().numpy() for name, w in net.named_parameters()}
    row = row.double().numpy()
    x = np.concatenate([row[net.flags], read(net.numbers, row[net.numeric])]) * weights["scale"]
    answers = []
    for member in range(len(net.head.weight)):
        h = x
        for place in range(len(net.layers)):
            layer = {
                name: weights[f"layers.{place}.{name}"] for name in ("weight", "scale", "bias")
            }
            if isinstance(net, CrossedNet):  # weights of its own
                layer["weight"] = layer["weight"][member]
            z = layer["weight"] @ (layer["scale"][member] * h) + layer["bias"][member]
            silu = z / (1 + np.exp(-z))
            h = z + weights[f"bends.{place}.bend"] * (silu - z)
        answers.append(h @ weights["head.weight"][member] + weights["head.bias"][member])
    return np.array(answers)


@pytest.mark.parametrize("numeric", [None, (0, 2), ()], ids=["numbers", "mixed", "flags"])
@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("apart", [True, False])
def test_the_net_is_its_formulas(numeric, shown, apart):
    options = {"numeric": numeric, "dropout": 0.0, "crossed": apart}
    net = seeded(5, 3, hidden=7, depth=2, members=3, **options)
    if shown:
        net.initialise(ROWS)
    for weight in net.parameters():  # no two numbers alike, and none at its start
        weight.data += 0.1 * torch.randn_like(weight)
    apart, together = net(ROWS[:4]), net.eval()(ROWS[:4])
    expected = np.stack([by_hand(net, row) for row in ROWS[:4]])
    np.testing.assert_allclose(apart.detach().numpy(), expected, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(
        together.detach().numpy(), expected.mean(axis=1), rtol=2e-4, atol=2e-5
    )


@pytest.mark.parametrize("apart", [True, False])
def test_it_begins_with_outputs_of_spread_one(apart):
    """Pre-activations and answers have the standard deviation 1 over rows and members.

    Where members have weights of their own, over the rows of each.
    """
    net = seeded(5, 2, hidden=16, members=4, dropout=0.0, crossed=apart)
    net.initialise(ROWS * torch.tensor([1.0, 100.0, 1e-3, 5.0, 1.0]))
    x = net.read(ROWS * torch.tensor([1.0, 100.0, 1e-3, 5.0, 1.0]))
    for layer, bend in zip(net.layers, net.bends, strict=True):
        x = layer(x)
        spread = (x if apart else x.flatten(0, 1)).std(dim=0)
        torch.testing.assert_close(spread, torch.ones_like(spread), rtol=1e-3, atol=1e-3)
        x = bend(x)
    torch.testing.assert_close(
        net.head(x).flatten(0, 1).std(dim=0), torch.ones(2), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("apart", [True, False])
def test_kinks_lie_among_the_rows(apart):
    """Minus the bias is within the outputs that a unit gives to the rows."""
    net = seeded(5, 2, hidden=16, members=4, crossed=apart)
    net.initialise(ROWS)
    layer = net.layers[0]
    bare = layer(net.read(ROWS)) - layer.bias
    for member, bias in enumerate(-layer.bias):
        among = bare[:, member] if apart else bare.flatten(0, 1)
        assert (among.amin(dim=0) <= bias).all()
        assert (bias <= among.amax(dim=0)).all()


def test_bins_end_at_quantiles():
    numbers = Numbers(5, 4, 8, 0.1)
    numbers.initialise(ROWS)
    expected = np.quantile(ROWS.numpy(), np.linspace(0, 1, 9), axis=0).T
    np.testing.assert_allclose(numbers.edges.numpy(), expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from([0.0, 1e-9, 1.0, 3.0]), min_size=12, max_size=40),
    st.floats(-1e6, 1e6, width=32),
)
def test_columns_with_few_values_never_explode(values, far):
    """Bins without width weigh nothing: what a far row reads is as small as what is known."""
    numbers = Numbers(1, 4, 8, 0.1)
    numbers.initialise(torch.tensor(values).unsqueeze(1))
    found = numbers(torch.tensor([[far]]))[0, 1:]
    assert found.isfinite().all()
    assert found.abs().max() <= 8 + 1


def test_predictions_stay_between_the_targets():
    net = seeded(5, 1, members=2)
    net.initialise(ROWS, TARGET)
    far = net.eval()(1000 * ROWS)
    assert far.min() >= TARGET.min()
    assert far.max() <= TARGET.max()
    assert net.train()(1000 * ROWS).abs().max() > TARGET.abs().max()  # in training it may err


@pytest.mark.parametrize(
    ("loss", "target"),
    [(nn.MSELoss(), torch.randn(6, 3)), (nn.CrossEntropyLoss(), torch.arange(6) % 3)],
)
def test_each_member_has_its_own_loss(loss, target):
    answers = torch.randn(6, 4, 3)
    expected = sum(loss(answers[:, member], target) for member in range(4)) / 4
    torch.testing.assert_close(EachMember(loss)(answers, target), expected)
    torch.testing.assert_close(EachMember(loss)(answers[:, 0], target), loss(answers[:, 0], target))
    apart = type(loss)(reduction="none")
    rows = EachMember(apart)(answers, target)
    assert len(rows) == 6
    torch.testing.assert_close(rows.mean(), expected)


def learners(net, x):
    """(n, members): whether a member learns from a row, by the gradient of its own bias."""
    found = torch.zeros(len(x), len(net.head.bias), dtype=torch.bool)
    for row in range(len(x)):
        [slope] = torch.autograd.grad(net.train()(x)[row].sum(), net.head.bias)
        found[row] = slope.abs().sum(dim=1) > 0
    return found


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 20), st.booleans())
def test_each_row_is_left_out_by_one_member_in_eight(seed, members, flags):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(12, 20, generator=generator)
    x = (x > 0).float() if flags else x
    net = seeded(20, 2, hidden=4, members=members, crossed=True, dropout=0.0)
    learns = learners(net, x)
    part = torch.arange(members) % min(8, members)
    for row in learns:
        left = part[~row].unique()
        assert len(left) == 1, "one part leaves it out"
        assert torch.equal(row, part != left), "all of that part, and nobody else"
    order = torch.randperm(12, generator=generator)
    assert torch.equal(learners(net, x[order][:5]), learns[order][:5]), "whatever is beside it"
    answers = net.eval()(x, unseen=True)
    members_say = torch.stack([torch.from_numpy(by_hand(net, row)) for row in x])
    expected = (members_say * ~learns.unsqueeze(2)).sum(dim=1) / (~learns).sum(dim=1, keepdim=True)
    torch.testing.assert_close(answers, expected.float(), rtol=2e-4, atol=2e-5)
    torch.testing.assert_close(Unseen(net)(x), answers)
    torch.testing.assert_close(net(x, unseen=True, whole=True), answers)
    assert not torch.allclose(answers, net(x), atol=1e-4)


@pytest.mark.parametrize("kind", ["numbers", "flags", "two numbers"])
def test_parts_are_of_like_size(kind):
    """Each of eight parts of 4,000 rows is within five standard deviations of 500."""
    x = torch.randn(4000, 14, generator=torch.Generator().manual_seed(2))
    x = {"numbers": x, "flags": (x > 0).float(), "two numbers": x[:, :2]}[kind].unique(dim=0)
    net = CrossedNet(x.shape[1], 1, hidden=2, members=8)
    sizes = net.left_out(x).squeeze(2).sum(dim=0)
    assert (sizes - len(x) / 8).abs().max() < 5 * math.sqrt(len(x) * 7 / 64)


def test_who_left_a_row_out_knows_nothing_of_it():
    """A target of pure noise cannot be foretold: unseen rows cost what the mean would, or more."""
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(4))
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(5))
    noise = (noise - noise.mean()) / noise.std()
    net = seeded(6, 1, hidden=32, members=16, crossed=True, dropout=0.0)
    net.initialise(x, noise)
    optimizer, loss = torch.optim.Adam(net.parameters(), lr=0.01), EachMember(nn.MSELoss())
    for _ in range(150):
        optimizer.zero_grad()
        loss(net.train()(x), noise).backward()
        optimizer.step()
    with torch.no_grad():
        assert loss(net.eval()(x), noise) < 0.1, "learned by heart"
        assert loss(net(x, unseen=True), noise) > 0.95


def test_members_learn_more_than_the_mean():
    """A target (n,) beside answers (n · members, 1) would be broadcast, and R² stay near 0."""
    net = mm.Regressor("table", random_state=0, loop=mm.Loop(epochs=40))
    assert net.fit(ROWS.numpy(), TARGET.numpy()).score(ROWS.numpy(), TARGET.numpy()) > 0.9


def test_members_differ_and_their_mean_is_better():
    net = mm.Regressor("table", random_state=0, loop=mm.Loop(epochs=40))
    model = net.fit(ROWS[:200].numpy(), TARGET[:200].numpy()).model_
    rows = torch.from_numpy(net.preprocess_.transform(ROWS[200:].numpy())).float()
    target = torch.from_numpy(net._preparation.target.transform(TARGET[200:].numpy()[:, None]))
    with torch.no_grad():
        together = F.mse_loss(model(rows), target.float()).item()
        model.train()
        model.dropout.eval()
        answers = model(rows)
        model.eval()
    assert answers.std(dim=1).mean() > 0.01
    assert together < F.mse_loss(answers, target.float().unsqueeze(1).expand_as(answers)).item()


def test_weighted_rows_and_several_outputs():
    weight = np.linspace(0.5, 2, len(ROWS))
    target = np.stack([TARGET.numpy(), -TARGET.numpy()], axis=1)
    net = mm.Regressor("table", random_state=0, loop=mm.Loop(epochs=3))
    assert net.fit(ROWS.numpy(), target, sample_weight=weight).predict(ROWS).shape == (300, 2)
    assert math.isfinite(net.history_.frame["value"].sum())
