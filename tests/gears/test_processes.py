"""Two processes on one machine train as one does; plain gloo, started by torchrun."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import together
import torch
from torch import nn

import manumatic as mm
from manumatic.gears.swap import begin
from manumatic.parts.processes import Processes, Share, is_first, join, refuse_apart
from manumatic.parts.shards import Shards

PATIENCE = 300  # seconds; a process that waits for another that is gone must not wait for ever


def torchrun(*command, processes=2):
    """Start processes that meet on a free port; their output, and an error if one fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    run += ["--master-addr=127.0.0.1", f"--master-port={port}", *map(str, command)]
    given: dict = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    given["env"] = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(run, **given) as started:
        try:
            out, error = started.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            started.terminate()  # and torchrun ends its children, who wait for each other
            raise
    return subprocess.CompletedProcess(run, started.returncode, out, error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows in two files of several row groups; checkpoints go beside it."""
    place = tmp_path_factory.mktemp("together") / "rows"
    place.mkdir()
    X, y = together.rows(300)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(y=y)
    frame[:170].to_parquet(place / "0.parquet", row_group_size=40)
    frame[170:].to_parquet(place / "1.parquet", row_group_size=25)
    return place


@pytest.fixture(scope="module")
def alone(folder):
    """What one process learns."""
    cases = (*together.CASES, *together.COPIES, *together.STOPPED)
    return {case.__name__: together.learned(case("auto", folder)) for case in cases}


@pytest.fixture(scope="module", params=["auto", "fsdp"])
def both(request, folder, alone):
    """What each of two processes learns, with copies of the weights and with parts of them."""
    out = folder.with_name(request.param)
    done = torchrun(Path(__file__).with_name("together.py"), out, request.param, folder)
    assert done.returncode == 0, done.stderr[-4000:]
    found = [torch.load(f"{out}.{rank}", weights_only=True) for rank in (0, 1)]
    return request.param, found


def assert_alike(found, wanted):
    assert found["losses"].keys() == wanted["losses"].keys()
    for name, loss in wanted["losses"].items():
        assert found["losses"][name] == pytest.approx(loss, rel=1e-6, abs=1e-6), name
    for name, weight in wanted["weights"].items():
        torch.testing.assert_close(found["weights"][name], weight, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(both, alone):
    device, found = both
    assert len(found[0]) >= len(together.CASES) + 2
    for name, wanted in alone.items():
        if device == "auto" or name in {case.__name__ for case in together.CASES}:
            for process in found:
                assert_alike(process[name], wanted)
    assert alone["patience"]["epochs"] < 40  # it did stop early, and in the same epoch


@pytest.mark.slow
def test_all_draw_the_seed_that_the_first_one_draws(both):
    seeds = {process["unseeded"]["seed"] for process in both[1]}
    assert len(seeds) == 1


@pytest.mark.slow
def test_two_go_on_where_one_stopped_and_one_where_two_did(both, alone, folder):
    device, found = both
    for process in found:
        assert_alike(process["resumed"], alone["begun"])
    net = together.resumed("auto", folder, world=2, where=device)
    assert_alike(together.learned(net), alone["begun"])


@pytest.mark.slow
def test_the_command_line_writes_one_bundle(folder, tmp_path):
    out = tmp_path / "rows.mm"
    command = ["-m", "manumatic.cli", "fit", folder, "-t", "y", "-o", out, "--epochs", "2"]
    done = torchrun(*command, "--model", "linear")
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines() == [str(out)]
    assert "2 processes, a share of each batch for each" in done.stderr
    rows = pd.DataFrame(together.rows()[0], columns=list("abcde"))
    assert mm.load(out).predict(rows).shape == (101,)


@pytest.mark.slow
def test_other_rows_in_a_process_are_an_error_in_all(tmp_path):
    script = tmp_path / "apart.py"
    script.write_text(
        "import os, manumatic as mm\n"
        "X = [[float(i ** (1 + int(os.environ['RANK'])))] for i in range(20)]\n"
        "mm.Regressor('linear', random_state=0).fit(X, range(20))\n"
    )
    done = torchrun(script)
    assert done.returncode != 0
    assert "was given other rows than the first" in done.stderr


@pytest.mark.parametrize("world", [2, 3, 7])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_parts_of_a_loss_have_its_gradient_as_their_mean(world, reduction):
    """Of 7 processes some have no row of a batch of 5."""
    torch.manual_seed(0)
    net, X, y = nn.Linear(3, 1), torch.randn(5, 3), torch.randn(5, 1)
    loss = nn.MSELoss(reduction=reduction)
    whole = torch.autograd.grad(loss(net(X), y), net.weight)[0]
    parts = []
    for rank in range(world):
        processes = Processes(rank, world)
        share = processes.share(OneBatch(X, y))
        for _, mine, target in share.batches(0):
            part = processes.loss(loss, share)(net(mine), target)
            parts.append(torch.autograd.grad(part, net.weight)[0])
            assert processes.count(share)(mine) == 5
    torch.testing.assert_close(torch.stack(parts).mean(dim=0), whole)


class OneBatch:
    def __init__(self, *batch):
        self.batch = batch

    def __len__(self):
        return 1

    def batches(self, epoch):
        yield 0, *self.batch


def test_shares_are_disjoint_and_leave_no_row_out():
    rows = torch.arange(11).reshape(-1, 1)
    found = [
        batch[1] for rank in range(3) for batch in Share(OneBatch(rows, rows), rank, 3).batches(0)
    ]
    assert torch.equal(torch.cat(found), rows)


def test_alone_nothing_is_wrapped():
    processes, device = join("cpu")
    assert processes.alone
    assert is_first()
    assert device == torch.device("cpu")
    model, loss, data = nn.Linear(1, 1), nn.MSELoss(), OneBatch()
    assert processes.wrap(model, torch.zeros(1, 1)) is model
    assert processes.loss(loss, data) is loss
    assert processes.share(data) is data
    assert processes.count(data) is len
    assert processes.same(3) == 3
    assert processes.agree(3)
    assert Shards().split(model) is model


def test_one_process_holds_all_weights_where_they_were_to_be_shared():
    net = mm.Regressor("linear", device="fsdp", loop=mm.Loop(epochs=1), random_state=0)
    net.fit(*together.rows())
    assert "one process holds all weights" in str(net.logbook_)


def test_what_several_processes_cannot_do_together_is_refused():
    with pytest.raises(mm.ComponentError, match=r"CrossEntropyLoss\(weight=...\) divides"):
        refuse_apart(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])))
    refuse_apart(nn.CrossEntropyLoss())
    net = mm.Regressor("linear", optimizer="lbfgs", random_state=0)
    training = net.manual(*together.rows())
    training.facts.processes = Processes(0, 2)
    with pytest.raises(mm.ComponentError, match="LBFGS decides when the loss is evaluated"):
        begin(training)
