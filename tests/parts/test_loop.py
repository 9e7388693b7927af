"""The loop against plain PyTorch written out; in float64, so that rounding hides nothing."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from manumatic.parts.data import Batches
from manumatic.parts.loop import Best, Step, closure_loop, evaluate, in_order, loop, shuffled
from manumatic.parts.loop import validated as watch
from manumatic.parts.loss import Weighted

CLOSE = 1e-12


def rows(n=23, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, d, generator=generator, dtype=torch.float64)
    y = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return X, y


def net(d=4, seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(d, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def flat(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def train(model, tensors, size, *, lr=0.1, epochs=1, loss=F.mse_loss, shuffle=False, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    data = Batches(tensors, size, shuffle)
    return list(loop(model, data, loss, optimizer, epochs=epochs, **options))


# --- one step is what a textbook writes ----------------------------------------------------------


def test_an_epoch_is_the_textbook_loop():
    X, y = rows()
    ours, theirs = net(), net()
    steps = train(ours, (X, y), 7, epochs=2)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        for first in range(0, 23, 7):
            loss = F.mse_loss(theirs(X[first : first + 7]), y[first : first + 7])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert torch.equal(flat(ours), flat(theirs))
    assert [step.loss.item() for step in steps] == losses
    assert [(s.epoch, s.batch) for s in steps] == [(e, b) for e in range(2) for b in range(4)]
    assert [s.last for s in steps] == [False, False, False, True] * 2
    assert not any(step.loss.requires_grad for step in steps)


def test_the_gradients_of_a_step_stay_until_the_next():
    X, y = rows()
    model, same = net(), net()
    steps = loop(
        model, Batches((X, y), 23), F.mse_loss, torch.optim.SGD(model.parameters()), epochs=2
    )
    next(steps)
    F.mse_loss(same(X), y).backward()
    for ours, theirs in zip(model.parameters(), same.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_nothing_runs_before_it_is_asked_for():
    X, y = rows()
    model = net()
    before = flat(model)
    loop(model, Batches((X, y), 5), F.mse_loss, torch.optim.SGD(model.parameters(), lr=1), epochs=3)
    assert torch.equal(before, flat(model))


@given(n=st.integers(1, 30), size=st.integers(1, 12), windows=st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_accumulation_is_the_big_batch(n, size, windows):
    """Also where the last window, or the last batch in it, is short."""
    X, y = rows(n)
    small, big = net(), net()
    steps = train(small, (X, y), size, accumulate=windows, epochs=2)
    train(big, (X, y), size * windows, epochs=2)
    assert torch.allclose(flat(small), flat(big), rtol=0, atol=CLOSE)
    assert len(steps) == 2 * math.ceil(n / (size * windows))
    assert steps[-1].last


def test_accumulating_means_of_batches_would_be_wrong():
    """The comparison above can fail: a mean of means is off where the last batch is short."""
    X, y = rows(5)
    naive, big = net(), net()
    (F.mse_loss(naive(X[:4]), y[:4]) / 2 + F.mse_loss(naive(X[4:]), y[4:]) / 2).backward()
    torch.optim.SGD(naive.parameters(), lr=0.1).step()
    train(big, (X, y), 8)
    assert not torch.allclose(flat(naive), flat(big), rtol=0, atol=1e-4)


@given(n=st.integers(1, 30), size=st.integers(1, 12), windows=st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_accumulation_of_weighted_rows_is_the_big_batch(n, size, windows):
    X, y = rows(n)
    weight = torch.linspace(0.1, 2.0, n, dtype=torch.float64)
    loss = Weighted(nn.MSELoss(reduction="none"))
    small, big = net(), net()
    train(small, (X, y, weight), size, accumulate=windows, loss=loss, epochs=2)
    train(big, (X, y, weight), size * windows, loss=loss, epochs=2)
    assert torch.allclose(flat(small), flat(big), rtol=0, atol=CLOSE)


# --- clipping, schedule, average, guard ----------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_step_is_no_longer_than_the_clip(accumulate):
    X, y = rows()
    model = net()
    before = flat(model)
    size = 23 if accumulate == 1 else 8
    [step] = train(model, (X, y * 100), size, lr=1.0, accumulate=accumulate, clip_norm=0.25)
    assert torch.linalg.vector_norm(flat(model) - before) == pytest.approx(0.25, abs=1e-5)
    assert step.last


def test_clipping_leaves_short_gradients_alone():
    X, y = rows()
    clipped, free = net(), net()
    train(clipped, (X, y), 8, clip_norm=1e6)
    train(free, (X, y), 8)
    assert torch.equal(flat(clipped), flat(free))


@pytest.mark.parametrize(("accumulate", "steps_an_epoch"), [(1, 4), (3, 2)])
def test_the_schedule_is_stepped_once_a_step(accumulate, steps_an_epoch):
    X, y = rows()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    halves = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    data = Batches((X, y), 6, shuffle=False)
    steps = loop(
        model, data, F.mse_loss, optimizer, epochs=2, schedule=halves, accumulate=accumulate
    )
    assert len(list(steps)) == 2 * steps_an_epoch
    assert optimizer.param_groups[0]["lr"] == 0.5 ** (2 * steps_an_epoch)


def test_the_average_follows_its_formula():
    X, y = rows()
    model = net()
    decay = 0.7
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = None
    data = Batches((X, y), 6, shuffle=False)
    for _ in loop(model, data, F.mse_loss, optimizer, epochs=2, average=average):
        now = flat(model)
        expected = now if expected is None else decay * expected + (1 - decay) * now
    assert torch.allclose(flat(average.module), expected, rtol=0, atol=CLOSE)


def test_the_guard_stops_before_the_weights_are_touched():
    X, y = rows()
    y[9] = math.inf
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps = loop(
        model, Batches((X, y), 4, shuffle=False), F.mse_loss, optimizer, epochs=1, guard=True
    )
    done = list(itertools.islice(steps, 2))
    kept = flat(model)
    with pytest.raises(FloatingPointError) as stop:
        next(steps)
    assert stop.value.args == (0, 2, math.inf)
    assert [step.batch for step in done] == [0, 1]
    assert torch.equal(kept, flat(model))


# --- an optimizer that asks for the loss itself --------------------------------------------------


def test_lbfgs_solves_least_squares():
    X, y = rows(40, 3)
    model = nn.Linear(3, 1).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(), tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    steps = list(closure_loop(model, Batches((X, y), 40), F.mse_loss, optimizer, epochs=3))
    design = np.column_stack([X.numpy(), np.ones(40)])
    best, *_ = np.linalg.lstsq(design, y.numpy()[:, 0], rcond=None)
    assert np.allclose(flat(model).numpy(), best, atol=1e-6)
    assert [step.last for step in steps] == [True] * 3


# --- validation ----------------------------------------------------------------------------------


@given(n=st.integers(1, 40), size=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_evaluate_is_the_mean_over_rows_whatever_the_batches(n, size):
    X, y = rows(n)
    model = nn.Sequential(net(), nn.Dropout(0.5))
    model.train()
    found = evaluate(model, F.mse_loss, Batches((X, y), size, shuffle=False))
    assert found == pytest.approx(F.mse_loss(model[0](X), y).item(), abs=CLOSE)
    assert not model.training


def scripted(losses):
    """Steps, a model whose one weight is the epoch, and data on which it does as scripted."""
    model = nn.Linear(1, 1, bias=False).double()

    def steps():
        for epoch in range(len(losses)):
            model.weight.data.fill_(epoch)
            yield Step(epoch, 0, torch.tensor(0.0), False)
            yield Step(epoch, 1, torch.tensor(0.0), True)

    values = torch.tensor(losses, dtype=torch.float64)
    data = Batches((torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1)), 1)
    return model, steps(), lambda prediction, _: values[int(prediction)], data


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "kept"),
    [
        ([5, 4, 3, 2], 2, 4, 3),  # gains to the end
        ([5, 4, 6, 7, 1], 2, 4, 1),  # two epochs without gain; the fifth is never seen
        ([5, 4, 6, 3, 7, 8, 9], 2, 6, 3),  # a gain in time
        ([5, 5, 5, 5], 2, 3, 0),  # equal is no gain: the earliest is kept
        ([5, 4, 6, 7, 1], None, 5, 4),  # without patience: to the end, and the best of all
        ([1, 2, 3], 1, 2, 0),
        ([math.nan, 3, math.nan, math.nan], 2, 4, 1),  # not a number is never best
    ],
)
def test_patience_and_the_best_weights(losses, patience, epochs, kept):
    model, steps, loss, data = scripted([float(value) for value in losses])
    best = Best()
    seen = [step for step in watch(steps, model, loss, data, best, patience) if step.last]
    assert len(seen) == epochs
    assert best.epoch == kept
    assert model.weight.item() == kept
    assert [step.valid_loss for step in seen] == pytest.approx(losses[:epochs], nan_ok=True)


def test_only_the_last_step_of_an_epoch_is_judged():
    model, steps, loss, data = scripted([2.0, 1.0])
    found = [step.valid_loss for step in watch(steps, model, loss, data, Best())]
    assert found == [None, 2.0, None, 1.0]


# --- the order of rows ---------------------------------------------------------------------------


@given(
    n=st.integers(1, 60),
    size=st.integers(1, 70),
    width=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_every_row_comes_once_in_an_order_of_seed_and_epoch(n, size, width, seed, epoch):
    y = torch.arange(n)
    X = y.reshape(-1, 1).repeat(1, width).float()
    torch.manual_seed(0)
    outside = torch.get_rng_state()
    batches = list(shuffled((X, y), size, seed, epoch))
    assert torch.equal(outside, torch.get_rng_state())
    assert [number for number, *_ in batches] == list(range(math.ceil(n / size)))
    assert [len(part) for _, part, _ in batches[:-1]] == [size] * (len(batches) - 1)
    order = torch.cat([part for _, _, part in batches])
    assert sorted(order.tolist()) == list(range(n))
    assert all(torch.equal(x[:, 0], t.float()) for _, x, t in batches)
    torch.manual_seed(1)
    again = torch.cat([part for _, _, part in shuffled((X, y), size, seed, epoch)])
    assert torch.equal(order, again)


@pytest.mark.parametrize(
    ("size", "chunk"), [(1, 1), (1, 7), (6, 1), (6, 3), (7, 2), (7, 7), (8, 6), (25, 2), (50, 1)]
)
def test_chunks_change_nothing(size, chunk):
    """Rows so wide that only so many batches are gathered at once give the order of narrow ones."""
    width = -(-(2**22) // (size * chunk))
    y = torch.arange(50)
    wide = torch.zeros(50, 1).expand(50, width)  # no memory behind it until it is gathered
    narrow = [part.tolist() for _, _, part in shuffled((torch.zeros(50, 1), y), size, 3, 1)]
    found = [(number, part.tolist()) for number, _, part in shuffled((wide, y), size, 3, 1)]
    assert found == list(enumerate(narrow))


def test_epochs_and_seeds_have_orders_of_their_own():
    y = torch.arange(100)
    orders = {
        tuple(torch.cat([p for _, _, p in shuffled((y, y), 7, seed, epoch)]).tolist())
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_in_order_is_in_order():
    y = torch.arange(10)
    parts = [part.tolist() for _, part in in_order((y,), 4)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_batches_skip_what_was_seen_and_turn_to_the_next_epoch():
    y = torch.arange(10)
    data = Batches((y, y), 3, seed=5)
    whole = [(number, part.tolist()) for number, part, _ in data.batches(0)]
    data.skip = 2
    assert [(number, part.tolist()) for number, part, _ in data.batches(0)] == whole[2:]
    assert [(number, part.tolist()) for number, part, _ in data.batches(0)] == whole
    first = [part.tolist() for part, _ in data]
    second = [part.tolist() for part, _ in data]
    assert first == [part for _, part in whole]
    assert second == [part.tolist() for _, part, _ in data.batches(1)] != first


def test_a_copy_of_the_data_is_not_needed():
    """Full batch is a view of the rows, not a copy."""
    X, y = rows()
    [(_, first, _)] = Batches((X, y), 23).batches(0)
    assert first.data_ptr() == X.data_ptr()
    assert copy.copy(Batches((X, y), 23)).n_rows == 23
