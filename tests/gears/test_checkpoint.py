"""A run that is killed anywhere and goes on is the run that was never killed, to the last bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from nets_of_users import Normed

import manumatic as mm
from manumatic.errors import ComponentError, DataError

HERE = Path(__file__).parent
X = np.random.default_rng(0).normal(size=(90, 4))
Y = X @ [1.0, -2.0, 0.5, 3.0]


def net(path=None, **changes):
    given = {
        "data": mm.Data(batch_size=16),
        "optimizer": mm.Optimizer("adam", lr=0.01, schedule="cosine"),
        "loop": mm.Loop(
            6, keep="best", ema=0.9, checkpoint=path and mm.Checkpoint(path, 0, resume=True)
        ),
    }
    return mm.Regressor(Normed, random_state=4, **(given | changes))


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# --- killed --------------------------------------------------------------------------------------

# A process of its own that draws each breath slowly, so that a kill lands between and within steps.
RUN = """
import sys, time
sys.path.insert(0, {here!r})
import torch
import nets_of_users, test_checkpoint as this

forward = nets_of_users.Normed.forward

def slow(self, x):
    if self.training:
        time.sleep(0.01)
    return forward(self, x)

nets_of_users.Normed.forward = slow
fitted = this.net({path!r}).fit(this.X, this.Y)
torch.save(fitted.model_.state_dict(), {out!r})
"""


@pytest.mark.slow
def test_killed_again_and_again(tmp_path):
    """kill -9 of a real process, at moments that are not chosen."""
    whole = net().fit(X, Y)
    path, out = str(tmp_path / "run.pt"), tmp_path / "weights.pt"
    code = RUN.format(here=str(HERE), path=path, out=str(out))
    kills = 0
    for pause in (0.05, 0.12, 0.09, 60):
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        before = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        while process.poll() is None and (
            not os.path.exists(path) or os.stat(path).st_mtime_ns == before
        ):
            time.sleep(0.002)  # until it has come further
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills == 3
    assert process.returncode == 0
    assert same(torch.load(out), whole.model_.state_dict())


@pytest.mark.parametrize("steps", [1, 5, 6, 7, 17, 36])
def test_stopped_after_any_step(steps, tmp_path):
    """In the middle of an epoch, at its end, at the very end."""
    path = tmp_path / "run.pt"
    whole = net().fit(X, Y)
    training = net(path).manual(X, Y)
    for _ in range(steps):
        training.step()
    torch.manual_seed(steps)  # what happens outside has no say
    again = net(path).fit(X, Y)
    assert same(again.model_.state_dict(), whole.model_.state_dict())
    assert again.history_ == whole.history_
    assert again.n_iter_ == whole.n_iter_ == 6


def test_forgetting_the_random_state_would_be_noticed(tmp_path):
    """The comparison above can fail."""
    path = tmp_path / "run.pt"
    training = net(path).manual(X, Y)
    for _ in range(5):
        training.step()
    content = torch.load(path)
    content["rng"][0] = torch.Generator().manual_seed(0).get_state()
    torch.save(content, path)
    assert not same(net(path).fit(X, Y).model_.state_dict(), net().fit(X, Y).model_.state_dict())


def test_what_is_finished_is_not_trained_again(tmp_path):
    path = tmp_path / "run.pt"
    first = net(path).fit(X, Y)
    started = net(path).manual(X, Y)
    assert started.step() is None
    assert same(net(path).fit(X, Y).model_.state_dict(), first.model_.state_dict())


def test_a_file_is_written_no_more_often_than_asked(tmp_path):
    path = tmp_path / "run.pt"
    rare = mm.Loop(6, checkpoint=mm.Checkpoint(path, every=3600))
    training = net(loop=rare).manual(X, Y)
    training.run(epochs=5)
    assert not path.exists()
    training.run()
    assert path.exists(), "the end is always written"


def test_without_resume_a_run_starts_afresh(tmp_path):
    path = tmp_path / "deep" / "run.pt"
    once = mm.Loop(6, keep="best", ema=0.9, checkpoint=mm.Checkpoint(path, every=0))
    first = net(loop=once).fit(X, Y)
    assert path.exists(), "its folder is made"
    assert same(net(loop=once).fit(X, Y).model_.state_dict(), first.model_.state_dict())
    assert net(loop=once).fit(X, Y).history_[0] == first.history_[0]


# --- a file that cannot be used ------------------------------------------------------------------


def saved(tmp_path, steps=3):
    path = tmp_path / "run.pt"
    training = net(path).manual(X, Y)
    for _ in range(steps):
        training.step()
    return path


class Trap:
    """Unpickled, it would leave a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-200],
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"not a checkpoint",
        lambda content: os.urandom(2000),
        lambda content: b"\x80\x02]q\x00" + os.urandom(50),
    ],
    ids=["end cut", "cut in half", "empty", "text", "noise", "half a pickle"],
)
def test_a_damaged_file(damage, tmp_path):
    path = saved(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"run.pt cannot be read as a checkpoint: .") as told:
        net(path).fit(X, Y)
    assert len(str(told.value)) < 600


def test_no_code_of_the_file_is_run(tmp_path):
    path = saved(tmp_path)
    torch.save({"identity": Trap(tmp_path / "trap")}, path)
    with pytest.raises(DataError, match="cannot be read"):
        net(path).fit(X, Y)
    assert not (tmp_path / "trap").exists()


def test_another_kind_of_file(tmp_path):
    path = saved(tmp_path)
    for content in ({"weights": torch.zeros(1)}, [1, 2], torch.zeros(3)):
        torch.save(content, path)
        with pytest.raises(DataError, match="cannot be read"):
            net(path).fit(X, Y)


OTHERS = {
    "seed": lambda path: (net(path).set_params(random_state=5), X, Y),
    "epochs": lambda path: (net(path).set_params(loop__epochs=9), X, Y),
    "optimizer": lambda path: (net(path).set_params(optimizer__name="sgd"), X, Y),
    "weights": lambda path: (net(path).set_params(model=mm.Model(Normed, hidden=3)), X, Y),
    "batches an epoch": lambda path: (net(path), X[:40], Y[:40]),
    "first rows": lambda path: (net(path), X + np.arange(90)[:, None] ** 2, Y),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_file_of_another_run(name, tmp_path):
    path = saved(tmp_path)
    before = path.read_bytes()
    other, inputs, target = OTHERS[name](path)
    with pytest.raises(DataError, match=f"belongs to another run: {name} was"):
        other.fit(inputs, target)
    assert path.read_bytes() == before


def test_saving_by_hand(tmp_path):
    training = net().manual(X, Y)
    training.run(epochs=2)
    training.save(tmp_path / "run.pt")
    going_on = net().manual(X, Y).load(tmp_path / "run.pt").run()
    assert same(going_on.model.state_dict(), net().fit(X, Y).model_.state_dict())
    assert going_on.state.history == net().fit(X, Y).history_


def test_seconds_between_checkpoints_that_make_no_sense(tmp_path):
    never = mm.Loop(6, checkpoint=mm.Checkpoint(tmp_path / "run.pt", every=-1))
    with pytest.raises(ComponentError, match=r"every=.* must be .*-1"):
        net(loop=never).fit(X, Y)
