"""Listening to plain loops: what it hears, what it lets pass, and that it changes nothing."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from plain_loop import HOURS, SCORE
from torch import Tensor, nn

import manumatic as mm
from manumatic.doctor.listen import listen


def line(lr: float = 0.01, **keywords: Any) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(42)
    model = nn.Linear(1, 1)
    return model, nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=lr, **keywords)


def hooks(model: nn.Module) -> int:
    """How many hang on a model and on its weights."""
    on_weights = [len(weight._backward_hooks or ()) for weight in model.parameters()]
    return sum(on_weights) + sum(len(layer._forward_hooks) for layer in model.modules())


# --- MM303 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_that_pile_up(fused: bool) -> None:
    """Study hours, step 2: own gradient (-307.1, -96.1), used with step 1's."""
    model, loss, optimizer = line(fused=fused)
    losses = []
    with listen(model, loss, optimizer) as listener:
        for _ in range(40):
            value = loss(model(HOURS), SCORE)
            losses.append(value.item())
            value.backward()
            optimizer.step()
    [finding] = listener.findings
    assert finding.code == "MM303"
    assert finding.message == (
        "the gradient of backward() number 2 was added to one that a step had used already: own "
        "norm 321.8, used 743.2."
    )
    assert finding.fix.startswith("optimizer.zero_grad()")
    assert min(losses) < 250 < 4000 < max(losses[5:])  # the loss swings


def test_two_steps_are_enough_to_hear_it() -> None:
    model, loss, optimizer = line()
    with listen(model, loss) as listener:
        for _ in range(2):
            loss(model(HOURS), SCORE).backward()
            optimizer.step()
    assert listener.findings.codes == ["MM303"]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("way", ["top", "bottom", "zeros", "model", "none", "accumulate"])
def test_loops_that_clear_their_gradients(kind: Any, way: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer, loss = kind(model.parameters(), lr=1e-3, fused=True), nn.MSELoss()
    clear: dict[str, Callable[[], Any]] = {
        "zeros": lambda: optimizer.zero_grad(set_to_none=False),
        "model": model.zero_grad,
        "none": lambda: [setattr(weight, "grad", None) for weight in model.parameters()],
    }
    with listen(model, loss, optimizer) as listener:
        for step in range(30):
            if way != "bottom" and (way != "accumulate" or step % 4 == 0):
                clear.get(way, optimizer.zero_grad)()
            loss(model(HOURS), SCORE).backward()
            if way != "accumulate" or step % 4 == 3:
                optimizer.step()
            if way == "bottom":
                optimizer.zero_grad()
    assert listener.findings.codes == []


def test_accumulation_that_never_clears_is_heard() -> None:
    model, loss, optimizer = line()
    with listen(model, loss, optimizer) as listener:
        for step in range(12):
            (loss(model(HOURS), SCORE) / 4).backward()
            if step % 4 == 3:
                optimizer.step()
    assert listener.findings.codes == ["MM303"]


@pytest.mark.parametrize("to_none", [True, False])
def test_two_optimizers_may_leave_gradients_to_each_other(to_none: bool) -> None:
    """As in a GAN: the generator's backward goes through the other net, which clears before use."""
    torch.manual_seed(0)
    maker, judge = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    first = torch.optim.Adam(maker.parameters())
    second = torch.optim.Adam(judge.parameters())
    loss = nn.BCEWithLogitsLoss()
    with listen(judge, loss, second) as of_judge, listen(maker, loss, first) as of_maker:
        for _ in range(20):
            second.zero_grad(set_to_none=to_none)
            made = maker(torch.randn(16, 2))
            both = judge(torch.cat([torch.randn(16, 2) + 2, made.detach()]))
            loss(both, torch.arange(32).view(-1, 1).lt(16).float()).backward()
            second.step()
            first.zero_grad(set_to_none=to_none)
            loss(judge(made), torch.ones(16, 1)).backward()
            first.step()
    assert of_judge.findings.codes == of_maker.findings.codes == []


def test_one_model_with_two_optimizers() -> None:
    torch.manual_seed(0)
    model, loss = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)), nn.MSELoss()
    body = torch.optim.SGD(model[0].parameters(), lr=1e-3)
    head = torch.optim.Adam(model[2].parameters())
    for clears in (True, False):
        with listen(model, loss, head) as listener:
            for _ in range(5):
                loss(model(HOURS), SCORE).backward()
                body.step()
                head.step()
                if clears:
                    body.zero_grad()
                    head.zero_grad()
        assert listener.findings.codes == ([] if clears else ["MM303"])


# --- MM201, MM202 --------------------------------------------------------------------------------


def test_a_target_that_is_broadcast() -> None:
    model, loss, optimizer = line()
    with warnings.catch_warnings(), listen(model, loss, optimizer) as listener:
        warnings.simplefilter("ignore")
        loss(model(HOURS), SCORE.view(-1)).backward()
    [finding] = listener.findings
    assert finding.code == "MM201"
    assert "(5, 1) and y is (5,)" in finding.message
    assert "all 5 × 5 pairs, and the model learns the mean of y, 66" in finding.message
    assert finding.fix == "y = y.view(-1, 1)"


def test_softmax_twice() -> None:
    torch.manual_seed(0)
    model, loss = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1)), nn.CrossEntropyLoss()
    X, y = torch.randn(30, 4), torch.arange(30) % 3
    with listen(model, loss) as listener:
        loss(model(X), y).backward()
    [finding] = listener.findings
    assert finding.code == "MM202"
    assert "with 3 classes the loss cannot fall below 0.551" in finding.message
    with listen(model[0], loss) as listener:
        loss(model[0](X), y).backward()
    assert listener.findings.codes == []


# --- MM301 ---------------------------------------------------------------------------------------


def ride(lr: float, steps: int, **keywords: Any) -> list[Any]:
    model, loss, optimizer = line(lr)
    with listen(model, loss, optimizer, **keywords) as listener:
        for _ in range(steps):
            value = loss(model(HOURS), SCORE)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return listener.findings


def test_a_loss_that_grows() -> None:
    [finding] = ride(0.1, 100)
    assert finding.code == "MM301"
    assert finding.message.startswith("lr=0.1 makes the loss grow: a median of ")
    assert "over calls 51 to 100, more than 10 times that." in finding.message
    assert finding.fix == "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)"


def test_a_loss_that_is_no_number() -> None:
    model, loss, optimizer = line(0.1)
    losses = []
    with listen(model, loss) as listener:
        listener.divergence.best = 1e30  # so that growth alone does not speak first
        listener.divergence.first, listener.divergence.seen = 1e38, 1
        for _ in range(140):
            value = loss(model(HOURS), SCORE)
            losses.append(value.item())
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    [finding] = listener.findings
    assert losses.index(float("inf")) == 127
    assert finding.message.startswith("the loss is inf in call 128: the learning rate is too high")
    assert finding.fix == 'optimizer.param_groups[0]["lr"] /= 10'


def test_losses_that_fall_or_swing_below_the_limit() -> None:
    assert ride(0.01, 300) == []
    assert ride(0.084, 300) == []


def test_losses_of_single_rows_scatter() -> None:
    torch.manual_seed(0)
    X = torch.randn(300, 1)
    y = X + torch.randn(300, 1)
    model, loss = nn.Linear(1, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with listen(model, loss, optimizer) as listener:
        for row in range(300):
            value = loss(model(X[row : row + 1]), y[row : row + 1])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    assert listener.findings.codes == []


# --- MM402 ---------------------------------------------------------------------------------------


class Keywords(nn.Module):
    """Takes its input by keyword, and has dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.drop, self.head = nn.Linear(4, 64), nn.Dropout(0.5), nn.Linear(64, 1)

    def forward(self, *, rows: Tensor) -> Tensor:
        return self.head(self.drop(self.body(rows)))


def test_predicting_with_dropout_at_work() -> None:
    torch.manual_seed(0)
    model, X = Keywords(), torch.randn(50, 4)
    with listen(model) as listener, torch.no_grad():
        restless = model(rows=X)
        assert model.training
        apart = (restless - model.eval()(rows=X)).abs().max().item()
    [finding] = listener.findings
    assert finding.code == "MM402"
    assert finding.message == (
        f"the model predicts with Dropout (drop) at work: outputs differ by up to {apart:.3g} "
        "from those in eval mode."
    )
    assert finding.fix.startswith("model.eval()")


def test_predicting_with_batch_norm_at_work() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    with listen(model) as listener, torch.inference_mode():
        model(torch.randn(50, 4))
    assert "BatchNorm1d (1) at work" in listener.findings[0].message


def test_predicting_in_eval_mode_or_training_in_train_mode() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    with listen(model) as listener:
        model(torch.randn(50, 4)).sum().backward()
        with torch.no_grad():
            model.eval()(torch.randn(50, 4))
            nn.Sequential(nn.Linear(4, 1), nn.Dropout(0.0))(torch.randn(50, 4))
    assert listener.findings.codes == []


# --- what it leaves behind -----------------------------------------------------------------------


def weights_after(listening: bool, clears: bool = True) -> tuple[list[Tensor], Tensor]:
    """A loop with all that could be disturbed, and predictions with dropout on."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1)
    )
    loss, optimizer = nn.MSELoss(), torch.optim.AdamW(model.parameters(), lr=1e-2)
    X, y = torch.randn(64, 3), torch.randn(64, 1)
    listener = listen(model, loss, optimizer)
    if listening:
        listener.__enter__()
    for _ in range(60):
        value = loss(model(X), y)
        if clears:
            optimizer.zero_grad()
        value.backward()
        optimizer.step()
        with torch.no_grad():
            model(X)
    listener.close()
    listener.close()
    assert hooks(model) == 0 == len(loss._forward_hooks)
    assert listener.findings.codes == (
        [] if not listening else ["MM402"] if clears else ["MM402", "MM303"]
    )
    return [*model.state_dict().values()], torch.get_rng_state()


@pytest.mark.parametrize("clears", [True, False])
def test_listening_changes_no_weight_and_no_random_number(clears: bool) -> None:
    heard, state_heard = weights_after(True, clears)
    alone, state_alone = weights_after(False, clears)
    assert all(map(torch.equal, heard, alone))
    assert torch.equal(state_heard, state_alone)


def test_hooks_are_gone_after_an_exception_which_goes_on() -> None:
    model, loss, _ = line()

    def broken() -> None:
        with listen(model, loss):
            assert hooks(model) == 3
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        broken()
    assert hooks(model) == 0 == len(loss._forward_hooks)


def test_a_listener_can_be_used_again() -> None:
    model, loss, optimizer = line()
    listener = listen(model, loss, optimizer)
    for _ in range(2):
        with listener:
            loss(model(HOURS), SCORE).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert listener.findings.codes == []
    assert hooks(model) == 0


def test_copies_of_the_model_are_not_heard() -> None:
    """As of a moving average, made and used inside the block."""
    model, loss = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1)), nn.MSELoss()
    with listen(model, loss) as listener:
        twin = copy.deepcopy(model)
        with torch.no_grad():
            twin(HOURS)
        optimizer = torch.optim.SGD(twin.parameters(), lr=1e-3)
        for _ in range(3):
            nn.functional.mse_loss(twin(HOURS), SCORE).backward()
            optimizer.step()
    assert listener.findings.codes == []


def test_frozen_unused_and_sparse_weights() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {
            "words": nn.EmbeddingBag(20, 4, sparse=True),
            "frozen": nn.Linear(4, 4).requires_grad_(False),
            "head": nn.Linear(4, 1),
            "unused": nn.Linear(3, 3),
        }
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    words = torch.randint(0, 20, (8, 5))
    with listen(model, nn.MSELoss()) as listener:
        for _ in range(4):
            output = model["head"](model["frozen"](model["words"](words)))
            output.square().mean().backward()
            optimizer.step()
    assert listener.findings.codes == ["MM303"]


def test_the_manual_gear_can_be_listened_to() -> None:
    net = mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=0.01),
        loop=mm.Loop(epochs=1000),
        random_state=42,
    )
    training = net.manual(HOURS.numpy(), SCORE.view(-1).numpy())
    with listen(training.model, training.loss, training.optimizer) as listener:
        training.run(20)
        assert listener.findings.codes == []
        for X, y in [*training.data] * 3:
            training.loss(training.model(X), y).backward()
            training.optimizer.step()
    assert listener.findings.codes == ["MM303"]
    training.automatic()  # the gear listens, too, until then
    assert hooks(training.model) == 0
