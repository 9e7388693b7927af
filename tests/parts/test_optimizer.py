"""Optimizers and schedules against torch's own, and clear words for what they cannot take."""

import functools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

import manumatic as mm
from manumatic.errors import ComponentError
from manumatic.parts.components import Optimizer
from manumatic.parts.optimizer import (
    OPTIMIZERS,
    as_optimizer,
    build_optimizer,
    build_schedule,
    recipe_of,
    wants_closure,
)

X = np.random.default_rng(0).normal(size=(12, 3))
Y = X @ [1.0, 2.0, -1.0]


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def steps(optimizer, model, n=5):
    rows, target = torch.tensor(X).float(), torch.tensor(Y).float()[:, None]

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(rows), target)
        loss.backward()
        return loss

    for _ in range(n):
        optimizer.step(closure)
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


# --- names, classes, partials --------------------------------------------------------------------

ARGUMENTS = {"lbfgs": {"max_iter": 3}, "adamw": {"weight_decay": 0.1}, "sgd": {"momentum": 0.9}}


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"sparseadam", "muon"}))
def test_every_optimizer_of_torch_by_name(name):
    arguments = {"lr": 0.01} | ARGUMENTS.get(name, {})
    ours, theirs = net(), net()
    found = steps(build_optimizer(Optimizer(name, **arguments), ours), ours)
    expected = steps(OPTIMIZERS[name](theirs.parameters(), **arguments), theirs)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)
    start = net()
    assert not torch.equal(found, steps(torch.optim.SGD(start.parameters()), start, 0))


@pytest.mark.parametrize(
    "spec",
    [
        "sgd",
        "SGD",
        torch.optim.SGD,
        functools.partial(torch.optim.SGD),
        mm.Optimizer("sgd"),
        mm.Optimizer(torch.optim.SGD),
        mm.Optimizer(lambda weights: torch.optim.SGD(weights)),
    ],
)
def test_every_way_to_say_sgd(spec):
    ours, theirs = net(), net()
    found = steps(build_optimizer(as_optimizer(spec), ours), ours)
    assert torch.allclose(found, steps(torch.optim.SGD(theirs.parameters()), theirs), atol=1e-7)


def test_what_is_given_beside_a_partial_wins():
    spec = Optimizer(functools.partial(torch.optim.SGD, lr=9.0, momentum=0.5), lr=0.1)
    [group] = build_optimizer(spec, net()).param_groups
    assert (group["lr"], group["momentum"]) == (0.1, 0.5)


def test_muon_takes_matrices():
    model = nn.Linear(3, 2, bias=False)
    build_optimizer(Optimizer("muon", lr=0.1), model)
    with pytest.raises(ComponentError, match="2D parameters"):
        build_optimizer(Optimizer("muon"), nn.Linear(3, 2))


# --- the fused path ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad"])
def test_fused_where_it_exists(name):
    assert build_optimizer(Optimizer(name), net()).param_groups[0]["fused"]


@pytest.mark.parametrize(
    "spec",
    [
        Optimizer("adam", foreach=True),
        Optimizer("adam", fused=False),
        Optimizer(functools.partial(torch.optim.SGD, foreach=True)),
        Optimizer(functools.partial(torch.optim.Adam, fused=False)),
        Optimizer("sgd", differentiable=True),
    ],
)
def test_a_path_of_your_own_is_left_alone(spec):
    assert not build_optimizer(spec, net()).param_groups[0]["fused"]


# --- groups --------------------------------------------------------------------------------------


def test_groups_by_name_the_first_match_counts():
    model = net()
    groups = [("2.*", {"lr": 0.5}), ("*.bias", {"weight_decay": 0.0})]
    made = build_optimizer(Optimizer("adamw", lr=0.1, weight_decay=0.3, groups=groups), model)
    named = {weight: name for name, weight in model.named_parameters()}
    found = [
        ([named[weight] for weight in group["params"]], group["lr"], group["weight_decay"])
        for group in made.param_groups
    ]
    assert found == [
        (["2.weight", "2.bias"], 0.5, 0.3),
        (["0.bias"], 0.1, 0.0),
        (["0.weight"], 0.1, 0.3),
    ]


@pytest.mark.parametrize("schedule", [None, "cosine", "linear"])
def test_a_rate_of_0_freezes(schedule):
    optimizer = mm.Optimizer("adam", lr=0.1, groups=[("0.*", {"lr": 0.0})], schedule=schedule)
    model = net()
    fitted = mm.Regressor(model, optimizer=optimizer, loop=mm.Loop(3)).fit(X, Y)
    assert torch.equal(fitted.model_[0].weight, model[0].weight)
    assert not torch.equal(fitted.model_[2].weight, model[2].weight)


# --- LBFGS ---------------------------------------------------------------------------------------


def test_only_lbfgs_and_fista_ask_for_the_loss_themselves():
    asking = {
        name
        for name in set(OPTIMIZERS) - {"muon"}
        if wants_closure(build_optimizer(Optimizer(name), nn.Linear(1, 1)))
    }
    assert asking == {"fista", "lbfgs"}


def test_lbfgs_is_least_squares():
    optimizer = mm.Optimizer("lbfgs", max_iter=100, line_search_fn="strong_wolfe")
    data = mm.Data(batch_size=None, preprocess=None)
    fitted = mm.Regressor("linear", optimizer=optimizer, data=data, loop=mm.Loop(3)).fit(X, Y)
    assert np.allclose(fitted.model_.weight.detach(), [[1.0, 2.0, -1.0]], atol=1e-4)


@pytest.mark.parametrize(
    "loop", [{"accumulate": 2}, {"clip_norm": 1.0}, {"ema": 0.9}, {"precision": "bfloat16"}]
)
def test_what_lbfgs_cannot_have(loop):
    [(name, value)] = loop.items()
    with pytest.raises(ComponentError, match=f"{name}={value!r} does not go with .*LBFGS"):
        mm.Regressor("linear", optimizer="lbfgs", loop=mm.Loop(2, **loop)).fit(X, Y)


# --- schedules -----------------------------------------------------------------------------------


def rates(schedule, n=10, lr=0.1, **options):
    optimizer = torch.optim.SGD(net().parameters(), lr=lr, **options)
    made = build_schedule(schedule, optimizer, n)
    found = []
    for _ in range(n):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return found, optimizer.param_groups[0]["lr"]


def test_cosine_and_linear_fall_to_0():
    found, end = rates("cosine")
    assert np.allclose(found, [0.05 * (1 + math.cos(math.pi * t / 10)) for t in range(10)])
    assert end == pytest.approx(0, abs=1e-12)
    found, end = rates("linear")
    assert np.allclose(found, [0.1 * (1 - t / 10) for t in range(10)])
    assert end == pytest.approx(0, abs=1e-12)


def test_one_cycle_is_that_of_torch():
    found, _ = rates("one_cycle", 20)
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1)
    made = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=20)
    expected = []
    for _ in range(19):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    assert found[:19] == expected
    assert max(found) == pytest.approx(0.1, rel=1e-2)


def test_classes_partials_and_functions():
    halves = functools.partial(lr_scheduler.ExponentialLR, gamma=0.5)
    assert rates(halves, 3)[0] == [0.1, 0.05, 0.025]
    assert rates(lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)), 3)[0] == [
        0.1,
        0.05,
        pytest.approx(0.1 / 3),
    ]
    assert build_schedule(None, torch.optim.SGD(net().parameters()), 3) is None


@pytest.mark.parametrize("schedule", ["cosine", "linear", "one_cycle"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_last_step_of_a_fit_ends_the_schedule(schedule, accumulate):
    training = mm.Regressor(
        "linear",
        data=mm.Data(batch_size=5),
        optimizer=mm.Optimizer("sgd", lr=0.1, schedule=schedule),
        loop=mm.Loop(4, accumulate=accumulate),
    ).manual(X, Y)
    used, now = [], training.optimizer.param_groups[0]
    while True:
        before = now["lr"]
        if training.step() is None:
            break
        used.append(before if used else None)  # the schedule begins with the first step
    assert len(used) == 4 * (3 if accumulate == 1 else 2)
    falling = used[-3:]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.02


# --- what is refused -----------------------------------------------------------------------------

REFUSED = {
    "an unknown name": ("admw", "no optimizer 'admw' .* Did you mean 'adamw'"),
    "None": (None, "got None"),
    "a number": (3, "got 3"),
    "a function": (lambda weights: torch.optim.SGD(weights), "optimizer must be a name"),
    "a finished one": (torch.optim.SGD([torch.zeros(1)]), "the SGD given belongs to other weights"),
    "no optimizer": (nn.Linear, "Linear.* cannot be built"),
    "something else": (mm.Optimizer(lambda weights: 3), "made a int"),
    "a rate below 0": (mm.Optimizer("sgd", lr=-1), r"SGD\(lr=-1, .*Invalid learning rate: -1"),
    "a rate in words": (mm.Optimizer("sgd", lr="fast"), r"SGD\(lr='fast'"),
    "an unknown argument": (mm.Optimizer("sgd", nesterof=True), "nesterof"),
    "fused and foreach": (mm.Optimizer("sgd", fused=True, foreach=True), "cannot be built"),
    "no such weight": (
        mm.Optimizer(groups=[("hed.*", {})]),
        r"'hed\.\*' matches no weight of weight",
    ),
    "groups as a dict": (mm.Optimizer(groups={"weight": {}}), "groups must be a list of"),
    "an unknown setting": (
        mm.Optimizer(groups=[("weight", {"lrr": 1})]),
        "'lrr'.*Did you mean 'lr'",
    ),
    "no schedule": (
        mm.Optimizer(schedule="cosin"),
        "no schedule 'cosin'; .* Did you mean 'cosine'",
    ),
    "half a schedule": (
        mm.Optimizer(schedule=lr_scheduler.StepLR),
        "StepLR cannot be built.*step_size",
    ),
    "a number as schedule": (mm.Optimizer(schedule=3), "schedule 3 cannot be built"),
    "a plateau": (
        mm.Optimizer(schedule=lr_scheduler.ReduceLROnPlateau),
        "cannot be stepped once a step",
    ),
    "no momentum to cycle": (
        mm.Optimizer("adagrad", schedule="one_cycle"),
        "'one_cycle' cannot be built",
    ),
    "rates beside one cycle": (
        mm.Optimizer("sgd", lr=0.1, groups=[("weight", {"lr": 0.0})], schedule="one_cycle"),
        "groups have rates of their own",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_an_optimizer_is_said_before_the_first_step(name):
    optimizer, words = REFUSED[name]
    model = mm.Regressor("linear", optimizer=optimizer, loop=mm.Loop(2))
    with pytest.raises(ComponentError, match=words) as told:
        model.fit(X, Y)
    assert str(told.value).count(". ") <= 1, "two sentences at most"
    assert len(str(told.value)) < 350
    assert not hasattr(model, "model_")


# --- and back ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9),
        lambda w: torch.optim.AdamW(w, weight_decay=0.2, betas=(0.8, 0.9)),
        lambda w: torch.optim.RMSprop(w, alpha=0.5),
    ],
)
def test_the_recipe_of_an_optimizer_makes_one_like_it(made):
    model, again = net(), net()
    optimizer = made(model.parameters())
    recipe = recipe_of(optimizer)
    assert torch.allclose(steps(optimizer, model), steps(build_optimizer(recipe, again), again))
