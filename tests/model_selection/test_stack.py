"""Each member of a stack equals the same training alone, or goes alone and says why."""

import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import manumatic as mm
from manumatic.model_selection.gathered import Gathered
from manumatic.model_selection.likeness import likeness
from manumatic.model_selection.loop import Stack
from manumatic.model_selection.members import why_alone
from manumatic.model_selection.room import CACHE, most_members
from manumatic.model_selection.stack import train_together
from manumatic.model_selection.trial import try_together
from manumatic.parts.data import Batches
from manumatic.parts.optimizer import OPTIMIZERS

TOLERANCE = 1e-10  # in float64, relative where numbers are larger than 1
rng = np.random.default_rng(0)
X = rng.normal(size=(61, 5)).astype(np.float32)
Y = (X @ rng.normal(size=5) + np.sin(3 * X[:, 0])).astype(np.float32)
WEIGHTS = rng.uniform(0.5, 1.7, 61)

# Folds of different length, rates, and seeds: what a search would bring together.
MEMBERS = [
    {"lr": lr, "seed": seed, "rows": rows}
    for lr, seed, rows in [
        (0.01, 0, 61),
        (0.003, 1, 60),
        (0.02, 2, 61),
        (0.01, 3, 59),
        (0.03, 0, 60),
    ]
]
PAIRS = [{"rows": rows, "seed": seed} for seed, rows in enumerate((61, 61, 60, 60))]
EQUAL = [member | {"rows": 61} for member in [*MEMBERS, {"lr": 0.02, "seed": 5}]]


# --- trainings, and how two are compared -------------------------------------------------------


def in_double(training):
    training.model.double()
    for rows in (training.data, training.valid):
        if rows is not None:
            rows.tensors = tuple(t.double() if t.is_floating_point() else t for t in rows.tensors)
    training.optimizer = training.facts.optimizer
    return training


def training(
    net=None,
    *,
    lr=0.01,
    seed=0,
    rows=61,
    batch=16,
    epochs=5,
    patience=None,
    weighted=False,
    dropout=0.0,
    optimizer="adamw",
    loss="auto",
    double=True,
    watch=None,
    schedule=None,
    groups=None,
    loop=None,
    **options,
):
    net = mm.Regressor(
        mm.Model("mlp", hidden=(7, 6), dropout=dropout) if net is None else net,
        data=mm.Data(batch, preprocess=None, validation=0.2 if patience else None),
        loss=loss,
        optimizer=mm.Optimizer(optimizer, lr=lr, schedule=schedule, groups=groups, **options),
        loop=mm.Loop(**({"epochs": epochs, "patience": patience} | (loop or {}))),
        random_state=seed,
        watch=watch,
    )
    made = net.manual(X[:rows], Y[:rows], WEIGHTS[:rows] if weighted else None)
    return in_double(made) if double else made


def run_alone(trainings):
    errors = []
    for one in trainings:
        try:
            one.run()
            errors.append(None)
        except mm.DivergedError as error:
            errors.append(error)
    return errors


def gap(one, other):
    """The largest difference, relative to numbers above 1."""
    one, other = torch.as_tensor(one).double(), torch.as_tensor(other).double()
    assert one.shape == other.shape
    return float(((one - other).abs() / (1 + other.abs())).max()) if one.numel() else 0.0


def compare(together, alone):
    """All that a training leaves behind; returns the largest gap between two numbers."""
    gaps = [
        gap(w, alone.model.state_dict()[name]) for name, w in together.model.state_dict().items()
    ]
    ours, theirs = together.state, alone.state
    assert [row[:4] for row in ours.history] == [row[:4] for row in theirs.history]
    gaps += [gap(a.value, b.value) for a, b in zip(ours.history, theirs.history, strict=True)]
    for name in ("epoch", "batch", "steps", "epoch_done", "ended"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.best.epoch == theirs.best.epoch
    if theirs.best.weights is not None:
        gaps += [gap(w, theirs.best.weights[name]) for name, w in ours.best.weights.items()]
    if theirs.average is not None:
        wanted = theirs.average.state_dict()  # the number of steps in it, too
        gaps += [gap(w, wanted[name]) for name, w in ours.average.state_dict().items()]
    assert torch.equal(ours.rng.state[0], theirs.rng.state[0])
    assert together.model.training == alone.model.training
    assert together.findings.codes == alone.findings.codes
    pairs = zip(together.model.parameters(), alone.model.parameters(), strict=True)
    for ours_w, theirs_w in pairs:
        kept, wanted = together.optimizer.state[ours_w], alone.optimizer.state[theirs_w]
        assert kept.keys() == wanted.keys()
        gaps += [gap(kept[key], value) for key, value in wanted.items() if torch.is_tensor(value)]
    groups = zip(together.optimizer.param_groups, alone.optimizer.param_groups, strict=True)
    for a, b in groups:
        gaps += [gap(a.get(name, 0), b.get(name, 0)) for name in ("lr", "weight_decay")]
    return max(gaps)


def reasons(trainings):
    return [r.why for t in trainings for r in t.facts.logbook if r.did == "trained alone"]


def stacked(members=MEMBERS, tolerance=TOLERANCE, **common):
    """Train members in a stack and each alone; the trainings of the stack."""
    together, alone = ([training(**(common | m)) for m in members] for _ in range(2))
    errors, wanted = train_together(together), run_alone(alone)
    assert [str(error) for error in errors] == [str(error) for error in wanted]
    assert reasons(together) == []
    assert max(map(compare, together, alone)) < tolerance
    return together


def gone_alone(members=MEMBERS, **common):
    """The one reason why all go alone; they are as ever, to the bit."""
    together, alone = ([training(**(common | m)) for m in members] for _ in range(2))
    train_together(together)
    run_alone(alone)
    assert max(map(compare, together, alone)) == 0
    found = reasons(together)
    assert len(found) == len(members)
    [reason] = set(found)
    return reason


# --- equality ----------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("patience", [None, 2], ids=["to the end", "patience"])
@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["no dropout", "dropout"])
@pytest.mark.parametrize("batch", [None, 16], ids=["full batch", "mini-batch"])
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("sgd", {"momentum": 0.9}), ("adam", {"weight_decay": 0.05}), ("adamw", {})],
    ids=["sgd", "adam", "adamw"],
)
def test_each_member_equals_itself_alone(optimizer, options, batch, dropout, patience, weighted):
    found = stacked(
        optimizer=optimizer,
        batch=batch,
        dropout=dropout,
        patience=patience,
        weighted=weighted,
        epochs=14,
        **options,
    )
    if patience and optimizer == "sgd" and batch:
        assert len({t.state.epoch for t in found}) > 1, "nobody stopped early"


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_float32_differs_by_no_more_than_float32_does(optimizer):
    """The floor: how far the same training alone is from itself in float64."""
    common = {"optimizer": optimizer, "dropout": 0.0, "epochs": 10, "double": False}
    members = [{**m, "lr": m["lr"] / 2} for m in MEMBERS]
    together, alone = ([training(**(common | m)) for m in members] for _ in range(2))
    exact = [training(**(common | m | {"double": True})) for m in members]
    train_together(together)
    for one in (*alone, *exact):
        one.run()
    assert reasons(together) == []

    def apart(some, others):
        pairs = zip(some, others, strict=True)
        return max(
            gap(w, b.model.state_dict()[name])
            for a, b in pairs
            for name, w in a.model.state_dict().items()
        )

    floor, found = apart(alone, exact), apart(together, alone)
    print(f"{optimizer}: {found:.1e} from alone; alone is {floor:.1e} from float64")
    assert found <= 4 * floor


@pytest.mark.parametrize(
    "change",
    [{"lr": 0.01 * (1 + 1e-6)}, {"seed": 7}, {"rows": 58}, {"epochs": 13}, {"dropout": 0.31}],
    ids=lambda change: next(iter(change)),
)
def test_the_comparison_sees_one_member_that_is_another(change):
    together = [training(dropout=0.3, **m) for m in MEMBERS]
    alone = [training(dropout=0.3, **m) for m in MEMBERS[1:]]
    alone.insert(0, training(**({"dropout": 0.3} | MEMBERS[0] | change)))
    train_together(together)
    run_alone(alone)
    assert max(map(compare, together[1:], alone[1:])) < TOLERANCE

    def same():
        assert compare(together[0], alone[0]) < TOLERANCE

    with pytest.raises(AssertionError):
        same()


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("sgd", {"weight_decay": 0.1}),
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("sgd", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
        ("adam", {"weight_decay": 0.1, "betas": (0.7, 0.9), "eps": 1e-4}),
        ("adam", {"amsgrad": True}),
        ("adamw", {"weight_decay": 0.3}),
        ("nadam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
        ("radam", {"weight_decay": 0.1}),
        ("rmsprop", {"momentum": 0.5, "weight_decay": 0.1}),
        ("rmsprop", {"centered": True}),
        ("adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
        ("adamax", {"weight_decay": 0.1}),
        ("adadelta", {"weight_decay": 0.1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_optimizers(optimizer, options):
    stacked(optimizer=optimizer, epochs=4, **options)


def test_weight_decay_and_gradient_length_may_differ():
    varied = [{"weight_decay": decay} for decay in (0.0, 0.01, 0.1, 0.5)]
    stacked([a | b for a, b in zip(MEMBERS, varied, strict=False)])
    lengths = [{"loop": {"clip_norm": length}} for length in (0.1, 0.5, None, 1)]
    stacked([a | b for a, b in zip(MEMBERS, lengths, strict=False)])


@pytest.mark.parametrize(
    "schedule",
    [
        "cosine",
        "linear",
        "one_cycle",
        "waves",  # it moves the decay, too
        functools.partial(torch.optim.lr_scheduler.StepLR, step_size=5),
    ],
    ids=["cosine", "linear", "one_cycle", "waves", "StepLR"],
)
def test_schedules(schedule):
    decays = (0.0, 0.01, 0.1, 0.5, 0.01)
    stacked(
        [m | {"weight_decay": d} for m, d in zip(MEMBERS, decays, strict=True)], schedule=schedule
    )
    if schedule == "one_cycle":  # it moves the momentum, too
        stacked(schedule=schedule, optimizer="sgd")


def test_a_dropout_that_falls():
    net = mm.Model("table", hidden=8, members=2, dropout=(0.6, 0.1))
    members = [{"seed": seed, "lr": lr} for seed, lr in enumerate((0.01, 0.02, 0.03) * 2)]
    for one in stacked(members, net=net, schedule="waves", weight_decay=0.3):
        assert one.model.dropout.p == 0.1
    again = training(net=net, schedule="waves")
    again.run()
    again.optimizer = mm.Optimizer("adam", lr=0.01)
    assert again.model.dropout.p == 0.6


def test_groups_of_parameters():
    groups = [("0.*", {"lr": 0.1, "weight_decay": 0.3}), ("2.*", {"lr": 0.0, "betas": (0.5, 0.5)})]
    stacked(groups=groups, schedule="cosine")


def test_members_may_end_one_after_the_other():
    found = stacked([{"epochs": epochs} for epochs in (3, 5, 9, 1, 5)], dropout=0.2)
    assert [t.state.next_epoch for t in found] == [3, 5, 9, 1, 5]


def test_the_best_weights_are_kept_without_patience():
    found = stacked(
        [{"lr": lr} for lr in (0.1, 0.2, 0.3, 0.05)],
        patience=1,
        loop={"epochs": 12, "patience": None, "keep": "best"},
    )
    assert any(t.state.best.epoch < 11 for t in found)


@pytest.mark.parametrize("patience", [None, 2], ids=["to the end", "patience"])
def test_a_moving_average_is_judged_and_kept(patience):
    common = {"net": BatchNormed, "optimizer": "sgd", "watch": mm.Watch(metrics="r2")}
    for one in stacked(EQUAL, **common, patience=patience, loop={"ema": 0.8, "epochs": 9}):
        last = one.state.average.module.state_dict()
        kept = one.state.best.weights if patience else last
        assert all(torch.equal(w, kept[name]) for name, w in one.model.state_dict().items())


def test_averages_of_other_lengths_are_stacks_of_their_own():
    lengths = [{"loop": {"ema": ema}, "seed": n} for n, ema in enumerate([0.5, 0.9, None] * 4)]
    stacked([m | {"epochs": 3} for m in lengths])


@pytest.mark.parametrize(
    "loss", ["mae", "huber", lambda p, t: (p - t).square().mean()], ids=["mae", "huber", "own"]
)
def test_losses_that_are_means_over_rows(loss):
    stacked(loss=loss, epochs=3)


def error_length(prediction, target):
    return (prediction - target).square().mean().sqrt()


@pytest.mark.parametrize("loss", [error_length, nn.MSELoss(reduction="sum")], ids=["root", "sum"])
def test_other_losses_need_as_many_rows(loss):
    stacked(EQUAL, loss=loss, epochs=3, optimizer="adam")
    assert "have as many rows, which it mixes" in gone_alone(PAIRS, loss=loss, epochs=2)


@pytest.mark.parametrize(
    "loss",
    [mm.Loss("cross_entropy", label_smoothing=0.1), mm.Loss(class_weight="balanced"), "bce", "mse"],
    ids=["smoothing", "class_weight", "bce", "mse"],
)
def test_classifiers(loss):
    labels = np.digitize(Y, [-1.0, 1.0])
    net = mm.Classifier(
        mm.Model("mlp", hidden=5),
        data=mm.Data(16, preprocess=None, validation=0.2),
        loss=loss,
        loop=mm.Loop(4, patience=2),
    )

    def trainings():
        rows = (61, 60, 61, 59, 60)
        return [
            in_double(net.set_params(random_state=seed).manual(X[:n], labels[:n]))
            for seed, n in enumerate(rows)
        ]

    together, alone = trainings(), trainings()
    train_together(together)
    run_alone(alone)
    assert reasons(together) == []
    assert max(map(compare, together, alone)) < TOLERANCE


# --- networks ----------------------------------------------------------------------------------


class Net(nn.Module):
    """Two layers; those below change what stands between them."""

    def __init__(self, in_features, out_features, hidden=6):
        super().__init__()
        self.first = nn.Linear(in_features, hidden)
        self.last = nn.Linear(hidden, out_features)

    def forward(self, x):
        return self.last(self.between(self.first(x)))

    def between(self, h):
        return torch.relu(h)


class Functional(Net):
    def between(self, h):
        return F.dropout(torch.relu(h), 0.3, self.training) + 0.1 * torch.sin(h)


class Partly(Net):
    """A weight that is frozen, and one that is never used."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.first.bias.requires_grad_(False)
        self.idle = nn.Linear(2, 2)


class Tied(Net):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.inner, self.again = nn.Linear(6, 6), nn.Linear(6, 6)
        self.again.weight = self.inner.weight

    def between(self, h):
        return torch.tanh(self.again(torch.tanh(self.inner(torch.tanh(h)))))


class LayerNormed(Net):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.norm = nn.LayerNorm(6)
        self.scale = nn.Parameter(torch.rand(6))
        self.register_buffer("shift", torch.rand(()))

    def between(self, h):
        return (F.silu(self.norm(h)) * self.scale + self.shift).unsqueeze(-1).flatten(1)


class BatchNormed(Net):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.norm, self.dropout = nn.BatchNorm1d(6), nn.Dropout(0.2)

    def between(self, h):
        return self.dropout(torch.relu(self.norm(h)))


class Centred(Net):
    def between(self, h):
        return torch.tanh(h - h.mean(dim=0))


class Viewed(Net):
    """Nothing that a stack of plain tensors could take: dimensions by number."""

    def between(self, h):
        return torch.relu(h.t().contiguous().t().reshape(len(h), 2, 3).sum(dim=1).repeat(1, 2))


class Convolved(nn.Module):
    def __init__(self, out_features):
        super().__init__()
        self.filter, self.drop = nn.Conv1d(1, 4, 3, padding=1), nn.Dropout1d(0.3)
        self.last = nn.Linear(4, out_features)

    def forward(self, x):
        return self.last(self.drop(torch.relu(self.filter(x.unsqueeze(1)))).mean(dim=2))


class Recurrent(Net):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.cell = nn.LSTM(6, 6, batch_first=True)

    def between(self, h):
        return self.cell(h.unsqueeze(1))[0].squeeze(1)


class Deciding(Net):
    def between(self, h):
        return torch.relu(h) if h.sum() > 0 else torch.tanh(h)


class Reading(Net):
    def between(self, h):
        return torch.relu(h) * (1 + 0 * h.mean().item())


class Leaving(Net):
    def between(self, h):
        return torch.relu(h + torch.from_numpy(0 * h.detach().numpy()))


class Noisy(Net):
    def between(self, h):
        return torch.relu(h + 0.1 * torch.randn_like(h) * self.training)


class Judged(Net):
    """Of one kind while it learns, of another when it is judged."""

    def between(self, h):
        if self.training:
            return torch.relu(h)
        return torch.relu(h).view(len(h), -1) if h.sum() > 0 else torch.relu(h)


class Counting(Net):
    calls = 0

    def between(self, h):
        self.calls += 1
        return torch.relu(h)


def is_plain(net):
    return try_together([training(net), training(net, seed=1)]).network.plain


@pytest.mark.parametrize("net", [Functional, Partly, Tied, LayerNormed])
def test_networks_whose_rows_stay_apart(net):
    assert is_plain(net)
    stacked(net=net, epochs=3, optimizer="sgd")


@pytest.mark.parametrize("net", [Viewed, Convolved, "table"])
def test_networks_that_torch_func_calls(net):
    assert not is_plain(net)
    stacked(MEMBERS + MEMBERS[:1], net=net, epochs=3, optimizer="adam")


@pytest.mark.parametrize("net", [BatchNormed, Centred])
def test_networks_that_mix_rows_need_as_many(net):
    found = stacked(EQUAL, net=net, epochs=3, optimizer="sgd")
    for one in found if net is BatchNormed else ():
        assert one.model.norm.num_batches_tracked == one.state.steps
    why = gone_alone(PAIRS, net=net, epochs=2)
    assert (
        why
        == "a stack pays from 6 trainings on; 2 are like it and have as many rows, which it mixes"
    )


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (Recurrent, "Recurrent cannot be stacked: torch has no stacked form of lstm"),
        (Deciding, "Deciding cannot be stacked: it decides by the values of a tensor (if, while)"),
        (Reading, "Reading cannot be stacked: it reads a number out of a tensor (.item())"),
        (Leaving, "Leaving cannot be stacked: it leaves torch for numpy"),
        (Noisy, "Noisy cannot be stacked: it draws random numbers of its own"),
        (Counting, "the forward of Counting changes its own attributes"),
    ],
)
def test_networks_that_go_alone_say_why(net, why):
    assert gone_alone(EQUAL, net=net, epochs=2) == why


def test_what_only_happens_when_it_is_judged_counts_where_it_is_judged():
    stacked(EQUAL, net=Judged, epochs=2)
    why = gone_alone(EQUAL, net=Judged, epochs=2, patience=1)
    assert why == "Judged cannot be stacked: it decides by the values of a tensor (if, while)"


def test_one_net_that_carries_a_hook_goes_alone():
    trainings = [training(Net, **m) for m in MEMBERS]
    calls = []
    trainings[2].model.first.register_forward_hook(lambda *_: calls.append(1))
    train_together(trainings)
    assert reasons(trainings) == ["its Linear layer carries hooks"]
    assert calls


@pytest.mark.parametrize(
    ("common", "why"),
    [
        ({"optimizer": "lbfgs"}, "LBFGS evaluates the loss itself"),
        ({"optimizer": "rprop"}, "the step of Rprop is not the learning rate times a direction"),
        ({"maximize": True, "lr": 1e-6}, "AdamW was given maximize=True"),
        ({"loop": {"accumulate": 2}}, "accumulate=2 of its loop"),
        ({"loop": {"precision": "bfloat16"}, "double": False}, "precision='bfloat16' of its loop"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_options_that_go_alone_say_why(common, why):
    members = [{"seed": seed} for seed in range(4)]
    assert gone_alone(members, epochs=2, **common) == why


def test_too_few_go_alone():
    assert "a stack pays from 4 trainings on; 3 are" in gone_alone(MEMBERS[:3], epochs=2)


def test_two_shapes_are_two_stacks_and_a_single_training_needs_no_reason():
    widths = [mm.Model("mlp", hidden=width) for width in (4, 6, 4, 6, 4, 6, 4, 6)]
    stacked([{"net": net, "seed": seed} for seed, net in enumerate(widths)], epochs=2)
    one = training(epochs=2)
    assert train_together([one]) == [None]
    assert reasons([one]) == []


# --- divergence and interruption ---------------------------------------------------------------


@pytest.mark.parametrize("patience", [None, 3])
def test_a_member_that_diverges_leaves_and_harms_nobody(patience):
    members = [*MEMBERS[:2], {"lr": 10.0}, {"lr": 1e30}, *MEMBERS[2:], {"lr": 0.4}]
    found = stacked(members, net=Net, optimizer="sgd", epochs=40, patience=patience)
    diverged = [one for one in found if "MM301" in one.findings.codes]
    assert found[2] in diverged
    assert found[3] in diverged
    for one in found:
        assert all(torch.isfinite(w).all() for w in one.model.parameters())


def test_all_may_diverge():
    members = [{"lr": lr} for lr in (10.0, 20.0, 30.0, 40.0)]
    found = stacked(members, net=Net, optimizer="sgd", epochs=40)
    assert not any(one.state.ended for one in found)


class Bounded(Net):
    """Its loss stays finite while its weights grow and grow."""

    def forward(self, x):
        return torch.tanh(super().forward(x))


def test_weights_that_overflow_go_back_to_the_last_that_were_finite():
    wild = {"lr": 10.0, "weight_decay": 10.0}  # each step times -99
    found = stacked(
        [wild, *MEMBERS[:3], wild | {"seed": 4}], net=Bounded, optimizer="sgd", epochs=60
    )
    kept = [one.state.safe["first.weight"].abs().max() for one in (found[0], found[4])]
    assert all(1e100 < largest < math.inf for largest in kept)


class Stop:
    """A metric that somebody interrupts."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, y_true, y_pred):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return 0.0


@pytest.mark.parametrize("schedule", [None, "cosine"])
@pytest.mark.parametrize(("optimizer", "ema"), [("sgd", None), ("adam", None), ("adam", 0.9)])
def test_an_interrupt_keeps_what_is_finished_and_the_rest_can_go_on(optimizer, ema, schedule):
    common = {"optimizer": optimizer, "dropout": 0.2, "schedule": schedule}
    lengths = [2, 2, 6, 6, 6] if schedule is None else [6] * 5
    loops = [{"epochs": n, "ema": ema} for n in lengths]
    members = [m | {"loop": loop} for m, loop in zip(MEMBERS, loops, strict=True)]
    stop = Stop(at=4)
    together = [training(**common, **m) for m in members[:-1]]
    together.append(training(**common, **members[-1], watch=mm.Watch(metrics={"stop": stop})))
    alone = [training(**common, **m) for m in members[:-1]]
    alone.append(training(**common, **members[-1], watch=mm.Watch(metrics={"stop": Stop(at=99)})))
    with pytest.raises(KeyboardInterrupt):
        train_together(together)
    assert [one.state.ended for one in together] == [n == 2 for n in lengths]
    assert [one.state.next_epoch for one in together] == [min(n, 4) for n in lengths]
    for one in together:
        one.watcher.metrics.clear()
        if not one.state.ended:
            one.run()
    run_alone(alone)
    assert max(map(compare, together[:-1], alone[:-1])) < TOLERANCE
    assert (
        gap(together[-1].model[0].weight.detach(), alone[-1].model[0].weight.detach()) < TOLERANCE
    )


@pytest.mark.parametrize("schedule", [None, "one_cycle"])
def test_an_interrupt_within_an_epoch_loses_nothing(schedule):
    armed = []

    def loss(prediction, target):
        armed.append(0)
        if armed[0] and len(armed) == armed[0]:
            raise KeyboardInterrupt
        return (prediction - target).square().mean()

    def trainings():
        common = {"loss": loss, "batch": None, "schedule": schedule, "optimizer": "adam"}
        made = [training(**common, **m) for m in EQUAL]
        for one in made:
            one.data.batch_size = 16
        return made

    armed[:] = [0]
    together, alone = trainings(), trainings()
    armed[:] = [0]
    train_together(trainings())
    calls = len(armed)
    armed[:] = [calls // 2]
    with pytest.raises(KeyboardInterrupt):
        train_together(together)
    armed[:] = [0]
    assert not any(one.state.epoch_done for one in together)
    for one in together:
        one.run()
    run_alone(alone)
    assert max(map(compare, together, alone)) < TOLERANCE


def test_metrics_and_tracked_weights_see_the_weights_of_their_moment():
    watch = mm.Watch(metrics="r2", track="0.bias", every=2)
    found = stacked(watch=watch, epochs=5, patience=4)
    assert found[0].state.history.curve("r2", "valid")


# --- pieces ------------------------------------------------------------------------------------


def test_rows_that_members_share_lie_in_memory_once():
    folds = [torch.randn(n, 3) for n in (8, 7)]
    members = [
        Batches((fold.clone(), fold[:, :1].clone()), 4, seed=s) for fold in folds for s in (0, 1)
    ]
    rows = Gathered(members)
    assert len(rows.tensors[0]) == 15
    rows.begin(3)
    for number in range(2):
        batch = rows.batch(number)
        wanted = [list(member.batches(3))[number] for member in members]
        for place, (_, inputs, targets) in enumerate(wanted):
            real = batch.rows[place]
            assert torch.equal(batch.tensors[0][place, :real], inputs)
            assert torch.equal(batch.tensors[1][place, :real], targets)
            if batch.share is not None:
                assert batch.share[place].sum() == pytest.approx(1)
                assert (batch.share[place, :real] == 1 / real).all()


def test_gradients_come_without_gaps_in_memory():
    """The fused kernels walk the memory from its start: with others they change wrong weights."""
    weight, gradient = torch.zeros(2, 3), torch.arange(6.0).view(3, 2).t()
    options = {"lr": 1.0, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}
    torch._fused_sgd_([weight], [gradient], [], maximize=False, is_first_step=False, **options)
    trap = not torch.equal(weight, -gradient)
    for net in (Net, Viewed):
        trainings = [training(net, seed=seed) for seed in range(6)]
        network = try_together(trainings).network
        stack = Stack(trainings, network)
        stack.rows.begin(0)
        _, found = network.gradients(stack.weights.now, [], stack.rows.batch(0))
        assert all(one.is_contiguous() for one in found.values())
    if not trap:
        pytest.fail("torch's fused kernels heed strides now: the copies could go")


def test_a_stack_of_small_nets_runs_in_one_thread():
    seen = []

    def loss(prediction, target):
        seen.append(torch.get_num_threads())
        return (prediction - target).square().mean()

    trainings = [training(loss=loss, batch=None, epochs=2, seed=seed) for seed in range(8)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen.clear()
        train_together(trainings)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert reasons(trainings) == []
    assert set(seen[-2:]) == {1}


def test_a_stack_is_no_larger_than_memory_and_cache():
    one = training()
    assert most_members(one, saved=CACHE // 100) == 100
    assert most_members(one, saved=CACHE) == 16
    assert most_members(one, saved=2**60) == 1


def test_nothing_of_a_training_is_changed_by_the_trial():
    trainings = [training(Noisy, seed=seed) for seed in range(2)]
    before = [one.model.state_dict() for one in trainings]
    before = [{name: w.clone() for name, w in state.items()} for state in before]
    state = torch.get_rng_state()
    assert try_together(trainings).network is None
    assert torch.equal(torch.get_rng_state(), state)
    for one, wanted in zip(trainings, before, strict=True):
        assert all(torch.equal(w, wanted[name]) for name, w in one.model.state_dict().items())
        assert one.state.steps == 0


def test_likeness_tells_settings_apart_and_weights_not():
    def key(net):
        return likeness(net, contents=False)

    assert key(nn.Linear(2, 3)) == key(nn.Linear(2, 3))
    assert key(nn.Dropout(0.1)) != key(nn.Dropout(0.2))
    assert key(nn.Sequential(nn.ReLU())) != key(nn.Sequential(nn.Tanh()))
    assert key(nn.Linear(2, 2)) != key(nn.Linear(2, 2).requires_grad_(False))
    assert key(Tied(3, 1)) == key(Tied(3, 1))
    loose = Tied(3, 1)
    loose.again.weight = nn.Parameter(loose.inner.weight.detach().clone())
    assert key(loose) != key(Tied(3, 1))
    two, three = (nn.CrossEntropyLoss(torch.tensor([1.0, n])) for n in (2, 3))
    assert likeness(two) != likeness(three)
    assert likeness(torch.zeros(2)) == likeness(torch.zeros(2)) != likeness(torch.ones(2))

    def scaled(by):
        return lambda x: x * by

    assert likeness(scaled(2)) == likeness(scaled(2)) != likeness(scaled(3))
    assert likeness(functools.partial(math.pow, 2)) != likeness(functools.partial(math.pow, 3))
    assert likeness(object()) != likeness(object())


def test_every_optimizer_of_torch_is_stacked_or_has_a_reason():
    for name in set(OPTIMIZERS) - {"muon", "sparseadam"}:
        one = training(optimizer=name, epochs=1)
        assert why_alone(one) == "" or OPTIMIZERS[name].__name__ in why_alone(one)
