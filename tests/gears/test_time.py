"""A time budget: epochs that fit, schedules that end with them, and the best weights."""

import time

import numpy as np
import pytest
import torch

import manumatic as mm

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 8))
Y = X[:, 0] * X[:, 1] + 0.1 * RNG.normal(size=2000)


def net(loop, **changes):
    given = {"optimizer": mm.Optimizer("adam", lr=0.01, schedule="cosine"), "random_state": 0}
    return mm.Regressor(mm.Model("mlp", hidden=32), loop=loop, **(given | changes))


def test_it_is_kept_and_used():
    begin = time.perf_counter()
    fitted = net(mm.Loop(epochs=100_000, time=2)).fit(X, Y)
    assert time.perf_counter() - begin < 4  # other programs run here, too
    assert 1 < fitted.n_iter_ < 100_000
    [row] = [row for row in fitted.logbook_ if "in 2 seconds" in row.did]
    assert row.part == "loop"


def test_the_schedule_ends_where_the_time_does():
    training = net(mm.Loop(epochs=100_000, time=1)).manual(X, Y)
    epochs = training.loop.epochs
    assert epochs < 100_000
    steps = epochs * len(training.data)
    training.step()
    assert training.state.schedule.T_max == steps


def test_enough_time_changes_nothing():
    """The trial uses up no random number: the run is the one without a limit."""
    plain = net(mm.Loop(epochs=4, keep="best")).fit(X, Y)
    timed = net(mm.Loop(epochs=4, time=50)).fit(X, Y)
    for one, two in zip(plain.model_.parameters(), timed.model_.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_slower_machine_than_in_the_trial():
    """The limit itself holds, too, and the best weights so far are kept."""
    training = net(mm.Loop(epochs=30, keep="best", time=50)).manual(X, Y)
    assert training.loop.epochs == 30
    slow = training.data.batches

    def batches(epoch):
        time.sleep(0.1)
        return slow(epoch)

    training.data.batches = batches
    training.loop.time = 0.5
    training.run()
    assert training.state.ended
    assert training.state.next_epoch < 20
    best = training.state.best
    assert best.epoch >= 0
    assert all(torch.equal(w, best.weights[n]) for n, w in training.model.state_dict().items())


def test_the_script_has_the_epochs_that_ran(tmp_path):
    fitted = net(mm.Loop(epochs=100_000, time=1)).fit(X, Y)
    text = fitted.eject(tmp_path / "train.py", X, Y)
    assert f"for epoch in range({fitted.loop_.epochs}):" in text


@pytest.mark.parametrize(
    "loop", [mm.Loop(epochs=3, time=50), mm.Loop(epochs=3, time=50, patience=2)]
)
def test_weights_of_the_best_epoch(loop):
    training = net(loop).manual(X, Y).run()
    assert training.loop.uses_validation
    assert training.state.best.epoch >= 0
