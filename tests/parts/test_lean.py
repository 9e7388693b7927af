"""The lean optimizers are torch's own with ``fused=True``, to the bit, whatever happens to them."""

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook

from manumatic.parts.lean import LeanAdam, LeanAdamW, LeanSGD, lean

CLASSES = (SGD, Adam, AdamW)
SHAPES = ((4, 3), (4,), (2, 4), (2,), ())


def weights(dtype: torch.dtype = torch.float32, seed: int = 0) -> list[nn.Parameter]:
    """A few parameters of many shapes, the same for the same seed."""
    draw = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=draw, dtype=dtype)) for shape in SHAPES]


def set_gradients(parameters: list[nn.Parameter], seed: int, skip: set[int] | None = None) -> None:
    """New gradients, none for the skipped."""
    draw = torch.Generator().manual_seed(seed)
    for number, weight in enumerate(parameters):
        gradient = torch.randn(weight.shape, generator=draw, dtype=weight.dtype)
        weight.grad = None if number in (skip or set()) else gradient


def pair(
    kind: type[Optimizer], groups: Callable[[list[nn.Parameter]], Any] = list, **options: Any
) -> tuple[list[list[nn.Parameter]], list[Optimizer]]:
    """The same weights twice: under torch's optimizer with fused=True, and under the lean one."""
    sets = [weights(), weights()]
    theirs = kind(groups(sets[0]), fused=True, **options)
    return sets, [theirs, lean(kind)(groups(sets[1]), **options)]


def together(sets: list[list[nn.Parameter]], optimizers: list[Optimizer], seeds: range) -> None:
    """The same steps for each."""
    for seed in seeds:
        for parameters, optimizer in zip(sets, optimizers, strict=True):
            set_gradients(parameters, seed)
            optimizer.step()


def assert_equal(sets: list[list[nn.Parameter]]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(*sets, strict=True))


def assert_same_state(a: Any, b: Any) -> None:
    """Nested dicts and lists of tensors, equal to the bit and of one type and device."""
    if isinstance(a, Tensor):
        assert torch.equal(a, b)
        assert (a.dtype, a.device, a.stride()) == (b.dtype, b.device, b.stride())
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_state(a[key], b[key])
    elif isinstance(a, list | tuple):
        for one, other in zip(a, b, strict=True):
            assert_same_state(one, other)
    else:
        assert a == b


# --- the numbers -------------------------------------------------------------------------------

rates = st.floats(0, 1)
sgd = st.fixed_dictionaries(
    {
        "lr": rates,
        "momentum": st.sampled_from([0, 0.5, 0.9]),
        "dampening": st.sampled_from([0, 0.3]),
        "weight_decay": st.sampled_from([0, 0.1]),
        "maximize": st.booleans(),
    }
)
nesterov = st.fixed_dictionaries(
    {"lr": rates, "momentum": st.floats(0.1, 0.99), "nesterov": st.just(True)}
)
adam = st.fixed_dictionaries(
    {
        "lr": rates,
        "betas": st.tuples(st.floats(0, 0.99), st.floats(0, 0.999)),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "weight_decay": st.sampled_from([0, 0.1]),
        "amsgrad": st.booleans(),
        "maximize": st.booleans(),
    }
)
cases = st.one_of(
    st.tuples(st.just(SGD), st.one_of(sgd, nesterov)),
    st.tuples(st.sampled_from([Adam, AdamW]), adam),
)
without_gradient = st.lists(st.sets(st.integers(0, 4), max_size=5), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(cases, without_gradient, st.sampled_from([torch.float32, torch.float64]))
def test_equal_to_torch_to_the_bit(
    case: tuple[type[Optimizer], dict[str, Any]], skips: list[set[int]], dtype: torch.dtype
) -> None:
    """Any options, any parameters without a gradient in any step."""
    kind, options = case
    if options.get("momentum"):
        # torch's fused SGD fails when a parameter's first gradient comes after the others'
        skips = [skips[0]] * len(skips)
    theirs, ours = weights(dtype), weights(dtype)
    optimizers = kind(theirs, fused=True, **options), lean(kind)(ours, **options)
    for seed, skip in enumerate(skips):
        for parameters, optimizer in zip((theirs, ours), optimizers, strict=True):
            set_gradients(parameters, seed, skip)
            optimizer.step()
    assert_equal([theirs, ours])
    assert_same_state(optimizers[0].state_dict()["state"], optimizers[1].state_dict()["state"])


@pytest.mark.parametrize("kind", CLASSES)
def test_training_a_network_is_equal(kind: type[Optimizer]) -> None:
    draw = torch.Generator().manual_seed(0)
    X, y = torch.randn(64, 1, 8, 8, generator=draw), torch.arange(64) % 3
    trained = []
    for form, options in ((kind, {"fused": True}), (lean(kind), {})):
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            model = nn.Sequential(
                *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()),
                nn.Linear(144, 3),
            ).to(memory_format=torch.channels_last)  # strides that are not the usual ones
        optimizer = form(model.parameters(), lr=0.01, **options)
        for rows in torch.arange(64).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
        trained.append(list(model.parameters()))
    assert_equal(trained)


@pytest.mark.parametrize("kind", CLASSES)
def test_groups_have_options_of_their_own(kind: type[Optimizer]) -> None:
    def groups(parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
        return [{"params": parameters[:2], "lr": 0.3}, {"params": parameters[2:]}]

    sets, optimizers = pair(kind, groups, lr=0.01, weight_decay=0.1)
    together(sets, optimizers, range(4))
    assert_equal(sets)


@pytest.mark.parametrize("kind", CLASSES)
def test_schedules_change_lr(kind: type[Optimizer]) -> None:
    sets, optimizers = pair(kind, lr=0.1)
    schedules = [lr_scheduler.CosineAnnealingLR(optimizer, 5) for optimizer in optimizers]
    for seed in range(5):
        together(sets, optimizers, range(seed, seed + 1))
        for schedule in schedules:
            schedule.step()
    assert_equal(sets)
    assert optimizers[1].param_groups[0]["lr"] == optimizers[0].param_groups[0]["lr"] < 1e-6


# --- the memory layout -------------------------------------------------------------------------


ROWS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
LAYOUTS = {
    "transposed gradient": (lambda: torch.ones(4, 3), ROWS.reshape(3, 4).t()),
    "transposed weight": (lambda: torch.ones(3, 4).t(), ROWS),
    "expanded gradient": (lambda: torch.ones(4, 3), torch.arange(3.0).expand(4, 3)),
    "weight with gaps": (lambda: torch.ones(4, 6)[:, :3], ROWS),
}


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("name", LAYOUTS)
def test_strides_are_respected(name: str, kind: type[Optimizer]) -> None:
    """torch 2.13's fused CPU kernels ignore strides; its plain step does not."""
    make, gradient = LAYOUTS[name]
    sets = [[nn.Parameter(make())] for _ in range(2)]
    plain, fused = {"lr": 0.1, "foreach": False}, {"lr": 0.1, "fused": True}
    optimizers = kind(sets[0], **plain), lean(kind)(sets[1], **fused)
    for _ in range(3):
        for [weight], optimizer in zip(sets, optimizers, strict=True):
            weight.grad = gradient
            optimizer.step()
    torch.testing.assert_close(*sets)


# --- copies, checkpoints -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES)
def test_states_travel_both_ways(kind: type[Optimizer]) -> None:
    """A state saved by one is loaded by the other, and both go on alike."""
    options = {"momentum": 0.9} if kind is SGD else {"amsgrad": True}
    sets, optimizers = pair(kind, lr=0.1, **options)
    together(sets, optimizers, range(2))
    file = io.BytesIO()
    torch.save([optimizer.state_dict() for optimizer in optimizers], file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    for optimizer, state in zip(optimizers, reversed(saved), strict=True):
        optimizer.load_state_dict(state)
    together(sets, optimizers, range(2, 5))
    assert_equal(sets)
    assert optimizers[1].param_groups[0]["fused"] is True


@pytest.mark.parametrize("kind", CLASSES)
def test_copies_and_pickles_go_on_alone(kind: type[Optimizer]) -> None:
    sets, optimizers = pair(kind, lr=0.1)
    together(sets, optimizers, range(2))
    before = [weight.detach().clone() for weight in sets[1]]
    ways = (copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing)))  # noqa: S301 - our own
    for way in ways:
        parameters, optimizer = way((sets[1], optimizers[1]))
        assert type(optimizer) is lean(kind)
        together([parameters], [optimizer], range(2, 4))
        assert not torch.equal(parameters[0], before[0])
        assert all(torch.equal(a, b) for a, b in zip(sets[1], before, strict=True))
        reference, theirs = copy.deepcopy((sets[0], optimizers[0]))
        together([reference], [theirs], range(2, 4))
        assert_equal([reference, parameters])


def test_a_reset_state_starts_again() -> None:
    sets, optimizers = pair(Adam, lr=0.1)
    together(sets, optimizers, range(2))
    for optimizer in optimizers:
        optimizer.state.clear()
    together(sets, optimizers, range(2, 4))
    assert_equal(sets)


# --- torch's own way ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES)
def test_a_closure_is_called_with_gradients_on(kind: type[Optimizer]) -> None:
    sets, optimizers = pair(kind, lr=0.1)

    def closure(parameters: list[nn.Parameter], optimizer: Optimizer) -> Tensor:
        optimizer.zero_grad()
        loss = torch.stack([(weight**2).sum() for weight in parameters]).sum()
        loss.backward()
        return loss

    losses = [
        optimizer.step(lambda p=parameters, o=optimizer: closure(p, o))
        for parameters, optimizer in zip(sets, optimizers, strict=True)
    ]
    assert torch.equal(*losses)
    assert_equal(sets)


@pytest.mark.parametrize("kind", CLASSES)
def test_hooks_run_once_a_step_and_change_nothing(kind: type[Optimizer]) -> None:
    sets, optimizers = pair(kind, lr=0.1)
    seen: list[str] = []
    optimizers[1].register_step_pre_hook(lambda *_: seen.append("before"))
    optimizers[1].register_step_post_hook(lambda *_: seen.append("after"))
    together(sets, optimizers, range(2))
    assert seen == ["before", "after"] * 2
    everywhere = register_optimizer_step_post_hook(lambda *_: seen.append("everywhere"))
    try:
        together(sets, optimizers, range(2, 3))
    finally:
        everywhere.remove()
    assert seen[4:] == ["everywhere", "before", "after", "everywhere"]
    assert_equal(sets)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_gradient_scaler_skips_infinite_gradients(kind: type[Optimizer]) -> None:
    for options in ({}, {"fused": True}):
        parameters = weights()
        before = [weight.detach().clone() for weight in parameters]
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
        optimizer = lean(kind)(parameters, lr=0.1, **options)
        loss = torch.stack([(weight**2).sum() for weight in parameters]).sum()
        scaler.scale(loss * float("inf")).backward()
        scaler.step(optimizer)
        scaler.update()
        assert all(torch.equal(a, b) for a, b in zip(parameters, before, strict=True))
        optimizer.zero_grad()
        loss = torch.stack([(weight**2).sum() for weight in parameters]).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        assert not torch.equal(parameters[0], before[0])


@pytest.mark.parametrize(
    "options",
    [{"foreach": True}, {"fused": False}, {"lr": torch.tensor(0.1)}],
    ids=str,
)
def test_asking_for_another_way_gets_it(options: dict[str, Any]) -> None:
    theirs, ours = weights(), weights()
    for parameters, form in ((theirs, Adam), (ours, LeanAdam)):
        optimizer = form(parameters, **{"lr": 0.1, **options})
        together([parameters], [optimizer], range(3))
        assert not optimizer.param_groups[0]["fused"]
    assert_equal([theirs, ours])


def test_complex_weights_go_torchs_way() -> None:
    sets = [[nn.Parameter(torch.ones(2, dtype=torch.complex64))] for _ in range(2)]
    for parameters, form in zip(sets, (Adam, LeanAdam), strict=True):
        optimizer = form(parameters, lr=0.1)
        parameters[0].grad = torch.tensor([1 + 1j, 2 - 1j])
        optimizer.step()
    assert_equal(sets)


def test_two_types_in_a_group_go_torchs_way() -> None:
    sets = [weights()[:1] + weights(torch.float64)[1:] for _ in range(2)]
    optimizers = [Adam(sets[0], lr=0.1), LeanAdam(sets[1], lr=0.1)]
    together(sets, optimizers, range(3))
    assert_equal(sets)


def test_sparse_gradients_of_embeddings_work_with_sgd() -> None:
    """With ``fused=True`` torch refuses them."""
    tables = [nn.Embedding(5, 2, sparse=True) for _ in range(2)]
    tables[1].load_state_dict(tables[0].state_dict())
    for table, form in zip(tables, (SGD, LeanSGD), strict=True):
        optimizer = form(table.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            table(torch.tensor([1, 3, 3])).sum().backward()
            optimizer.step()
    assert_equal([list(table.parameters()) for table in tables])


def test_a_parameter_may_join_later() -> None:
    """Unfreezing: torch's fused SGD raises TypeError here, its plain step has the same rule."""
    sets = [weights(), weights()]
    options = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}
    optimizers = SGD(sets[0], foreach=False, **options), LeanSGD(sets[1], **options)
    for seed, skip in enumerate([{0, 1}, {0, 1}, set(), set()]):
        for parameters, optimizer in zip(sets, optimizers, strict=True):
            set_gradients(parameters, seed, skip)
            optimizer.step()
    torch.testing.assert_close(*sets)


# --- the rest ----------------------------------------------------------------------------------


def test_no_gradient_at_all_changes_nothing() -> None:
    parameters = weights()
    for form in (LeanSGD, LeanAdam, LeanAdamW):
        form(parameters, lr=0.1).step()
    assert_equal([parameters, weights()])


def test_zero_grad() -> None:
    parameters = weights()
    optimizer = LeanAdam(parameters)
    set_gradients(parameters, 0)
    optimizer.zero_grad(set_to_none=False)
    assert all(weight.grad is not None and not weight.grad.any() for weight in parameters)
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in parameters)


def test_classes_without_a_lean_form_stay() -> None:
    class Mine(Adam):
        """A user's own rule."""

    assert lean(RMSprop) is RMSprop
    assert lean(Mine) is Mine
    assert [lean(kind) for kind in CLASSES] == [LeanSGD, LeanAdam, LeanAdamW]


def test_the_compiler_is_not_imported() -> None:
    """torch.optim's own classes import torch._dynamo, which costs a second."""
    code = """
import sys, torch
from manumatic.parts.lean import LeanAdamW
model = torch.nn.Linear(2, 1)
optimizer = LeanAdamW(model.parameters())
for _ in range(2):
    optimizer.zero_grad()
    model(torch.ones(3, 2)).sum().backward()
    optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", CLASSES)
def test_equal_on_a_gpu(kind: type[Optimizer]) -> None:
    sets = [[nn.Parameter(w.detach().cuda()) for w in weights()] for _ in range(2)]
    optimizers = kind(sets[0], fused=True, lr=0.1), lean(kind)(sets[1], lr=0.1)
    for _ in range(3):
        for parameters, optimizer in zip(sets, optimizers, strict=True):
            for weight in parameters:
                weight.grad = torch.full_like(weight, 0.5)
            optimizer.step()
    assert_equal(sets)
