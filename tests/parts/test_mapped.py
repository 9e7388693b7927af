"""Memory-mapped arrays: the batches of rows in memory, without a copy of the array."""

import numpy as np
import pytest
import torch

import manumatic as mm
from manumatic.gears import beyond
from manumatic.parts.data import Batches
from manumatic.parts.mapped import Mapped


@pytest.fixture
def array(tmp_path):
    rng = np.random.default_rng(0)
    X = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=(500, 6))
    X[:] = rng.normal(size=X.shape)
    return X, X @ np.arange(6.0, dtype=np.float32)


def mapped(X, y, **changed):
    cpu = torch.device("cpu")
    settings = {"X": X, "y": y, "index": np.arange(len(X)), "numbers": torch.from_numpy, "seed": 5}
    return Mapped(None, cpu, torch.from_numpy, 32, **(settings | changed))


def test_batches_are_those_of_rows_in_memory(array):
    X, y = array
    inside = Batches((torch.from_numpy(np.array(X)), torch.from_numpy(y)), 32, seed=5)
    for epoch in (0, 1):
        pairs = zip(inside.batches(epoch), mapped(X, y).batches(epoch), strict=True)
        for (number, *wanted), (found, *batch) in pairs:
            assert number == found
            assert torch.equal(wanted[0], batch[0])
            assert torch.equal(wanted[1], batch[1])


def test_shares_and_what_is_left_of_an_epoch(array):
    X, y = array
    whole = list(mapped(X, y).batches(0))
    assert torch.equal(next(mapped(X, y, skip=3).batches(0))[1], whole[3][1])
    parts = [list(mapped(X, y).share(rank, 3).batches(0)) for rank in range(3)]
    for number, X_whole, _ in whole:
        assert torch.equal(torch.cat([part[number][1] for part in parts]), X_whole)


def test_a_fit_gathers_rows_and_predicts_in_blocks(array, monkeypatch):
    monkeypatch.setattr(beyond, "LARGE", 100)
    X, y = array
    net = mm.Regressor(
        "linear", data=mm.Data(batch_size=50), loop=mm.Loop(40, patience=10), random_state=0
    )
    net.fit(X, y)
    assert "prepared as" in str(net.logbook_)
    assert net.score(X, y) > 0.9
    np.testing.assert_array_equal(net.predict(X), net.predict(np.array(X)))
    labels = np.where(y > 0, "up", "down")
    classifier = mm.Classifier("linear", loop=mm.Loop(80), random_state=0).fit(X, labels)
    assert classifier.score(X, labels) > 0.9
    with pytest.raises(mm.DataError, match="X has 500 rows and y 499"):
        net.fit(X, y[1:])
    with pytest.raises(mm.ComponentError, match="sample_weight cannot be used"):
        net.fit(X, y, sample_weight=np.ones(500))


@pytest.mark.slow
def test_a_large_array_is_never_copied(tmp_path):
    """A file with a hole: 2 GB that a disk does not hold; a copy as float32 would be four times."""
    import tracemalloc

    X = np.memmap(tmp_path / "X", dtype=np.int8, mode="w+", shape=(2_000_000, 1000))
    y = np.arange(len(X)) % 7.0
    data = mm.Data(batch_size=4096, preprocess=None)
    training = mm.Regressor("linear", data=data, loop=mm.Loop(1), random_state=0).manual(X, y)
    tracemalloc.start()
    for _ in range(5):
        training.step()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 0.2e9
