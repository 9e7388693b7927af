"""Checks of model and loss: each with a case that it names and a near-miss that it lets pass."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from manumatic.doctor.case import Case, examine
from manumatic.doctor.checks import DEEP, FIRST
from manumatic.doctor.model import (
    double_softmax,
    far_first_loss,
    mixed_rows,
    restless_predictions,
    stretched_target,
    tiny_batches,
)
from manumatic.doctor.stability import too_fast
from manumatic.doctor.trial import (
    drawn_elsewhere,
    not_learned_by_heart,
    unfindable_class,
    wrong_device,
)
from manumatic.doctor.weights import untrained_weights

G = torch.Generator().manual_seed(0)
X = torch.randn(64, 4, generator=G)
CLASSES = (X[:, 0] > 0).long() + (X[:, 1] > 1).long()
YES = (X[:, :1] > 0).float()
NUMBERS = 66 + 2 * X[:, :1]
CE, MSE, BCE = nn.CrossEntropyLoss(), nn.MSELoss(), nn.BCEWithLogitsLoss()


@pytest.fixture(autouse=True)
def same_weights():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


def linear(outputs: int = 3) -> nn.Linear:
    return nn.Linear(4, outputs)


def mlp(outputs: int = 3, hidden: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def found(check, model, y=CLASSES, loss=CE, rows=X, **more):
    """The finding of one check, or None."""
    said = examine(Case(model, rows, y, loss, **more), [check])
    assert len(said) <= 1
    return said[0] if said else None


# --- MM201 ---------------------------------------------------------------------------------------


def test_a_flat_target_beside_a_column_of_outputs():
    said = found(stretched_target, linear(1), NUMBERS[:, 0], MSE)
    assert said.code == "MM201"
    assert "the model returns (64, 1) and y is (64,)" in said.message
    assert "all 64 × 64 pairs" in said.message
    assert f"the mean of y, {NUMBERS.mean():.4g}" in said.message
    assert said.fix == "y = y.view(-1, 1)"
    assert found(stretched_target, linear(1), NUMBERS, MSE) is None


def test_what_it_says_is_what_would_happen():
    """On all pairs, the best linear model is the mean of y, and its loss is var(y)."""
    hours, score = torch.tensor([[1.0], [2], [3], [4], [5]]), torch.tensor([52.0, 59, 66, 73, 80])
    said = found(stretched_target, nn.Linear(1, 1), score, MSE, hours)
    assert "5 × 5 pairs, and the model learns the mean of y, 66." in said.message
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.weight)
    nn.init.constant_(model.bias, 66.0)
    pairs = F.mse_loss(model(hours).expand(5, 5), score.expand(5, 5))
    assert pairs.item() == pytest.approx(98.0)
    slopes = torch.autograd.grad(pairs, list(model.parameters()))
    assert all(slope.abs().max() < 1e-4 for slope in slopes)  # convex: this is the minimum


def test_a_column_of_targets_beside_flat_outputs():
    flat = nn.Sequential(linear(1), nn.Flatten(0))
    said = found(stretched_target, flat, NUMBERS, nn.L1Loss(), batch_size=16)
    assert "all 16 × 16 pairs" in said.message
    assert f"the median of y, {NUMBERS.median():.4g}" in said.message
    assert said.fix == "y = y.view(-1)"
    assert "needs the same shape" in found(stretched_target, flat, YES, BCE).message


def test_a_loss_of_ones_own_is_judged_by_its_values():
    def careful(prediction, target):
        return F.mse_loss(prediction.view_as(target), target)

    def careless(prediction, target):
        return ((prediction - target) ** 2).mean()

    assert found(stretched_target, linear(1), NUMBERS[:, 0], careful) is None
    assert found(stretched_target, linear(1), NUMBERS[:, 0], careless).code == "MM201"
    assert found(stretched_target, linear(3), CLASSES, CE) is None


# --- MM202 ---------------------------------------------------------------------------------------


def test_softmax_before_cross_entropy():
    model = nn.Sequential(linear(), nn.Softmax(dim=1))
    said = found(double_softmax, model)
    assert said.code == "MM202"
    assert "with 3 classes the loss cannot fall below 0.551" in said.message
    assert f"(it is {CE(model(X), CLASSES):.3f} now)" in said.message
    assert said.fix.startswith("model = model[:-1]")
    perfect = F.one_hot(CLASSES, 3).float()  # the best that a softmax can return
    assert math.floor(1000 * CE(perfect, CLASSES).item()) / 1000 == 0.551
    assert found(double_softmax, model[:-1]) is None
    assert found(double_softmax, nn.Sequential(linear(), nn.LogSoftmax(1))) is None  # idempotent


class OwnSoftmax(nn.Linear):
    def forward(self, x):
        raw = super().forward(x).exp()
        return raw / raw.sum(1, keepdim=True)


def test_softmax_by_hand_is_seen_by_its_values():
    assert "0.551" in found(double_softmax, OwnSoftmax(4, 3)).message


def test_sigmoid_before_its_loss():
    model = nn.Sequential(linear(1), nn.Sigmoid())
    said = found(double_softmax, model, YES, BCE)
    least = BCE(YES, YES).item()  # of outputs that are exactly right
    assert said.code == "MM202"
    assert f"the loss cannot fall below {math.floor(1000 * least) / 1000}" in said.message
    assert found(double_softmax, linear(1), YES, BCE) is None
    assert found(double_softmax, model, YES, nn.BCELoss()) is None


def test_probabilities_where_the_loss_counts_on_them():
    said = found(double_softmax, linear(), CLASSES, nn.NLLLoss())
    assert "the loss falls without end" in said.message
    assert said.fix == "loss = nn.CrossEntropyLoss()"
    assert (
        found(double_softmax, nn.Sequential(linear(), nn.LogSoftmax(1)), loss=nn.NLLLoss()) is None
    )
    assert (
        "BCELoss takes probabilities" in found(double_softmax, linear(1), YES, nn.BCELoss()).message
    )


# --- MM203 ---------------------------------------------------------------------------------------


class InList(nn.Module):
    def __init__(self, box: type = list) -> None:
        super().__init__()
        layers = [nn.Linear(4, 8), nn.Linear(8, 3)]
        self.layers = dict(zip("ab", layers, strict=True)) if box is dict else box(layers)

    def forward(self, x):
        layers = list(self.layers.values() if isinstance(self.layers, dict) else self.layers)
        return layers[1](layers[0](x).relu())


@pytest.mark.parametrize(
    ("box", "word", "fix"),
    [(list, "list", "ModuleList"), (tuple, "tuple", "ModuleList"), (dict, "dict", "ModuleDict")],
)
def test_layers_in_python_boxes(box, word, fix):
    said = found(untrained_weights, InList(box))
    assert said.code == "MM203"
    assert f"self.layers is a Python {word}" in said.message
    assert "2 layers (67 weights)" in said.message
    assert said.fix == f"self.layers = nn.{fix}(self.layers)"


def test_layers_that_pytorch_sees():
    assert found(untrained_weights, InList(nn.ModuleList)) is None
    model = mlp()
    model.by_name = [model[0], model[2]]  # known already
    model.activations = [nn.ReLU()]  # nothing to train
    model.teacher = [mlp().requires_grad_(False)]  # frozen, so it is meant
    assert found(untrained_weights, model) is None


def test_a_box_deep_inside_and_plain_tensors():
    outer = nn.Sequential(linear(4), InList())
    assert "self.1.layers" in found(untrained_weights, outer).message
    model = mlp()
    model.shift = torch.zeros(3, requires_grad=True)
    said = found(untrained_weights, model)
    assert "self.shift is a plain tensor: PyTorch does not see its 3 weights" in said.message
    assert found(
        untrained_weights, model, optimizer=torch.optim.SGD([*model.parameters(), model.shift])
    ) is None  # fmt: skip


class Branches(nn.Module):
    def __init__(self, which: str) -> None:
        super().__init__()
        self.a, self.b, self.which = nn.Linear(4, 3), nn.Linear(4, 3), which

    def forward(self, x):
        if self.which == "training" and self.training:
            return self.a(x) + self.b(x)
        if self.which == "cut":
            return (self.a(x) + self.b(x)).detach()
        if self.which == "rare":  # an expert that few rows ask
            asked = (torch.arange(len(x)) > 20).float().unsqueeze(1)
            return self.a(x) + (asked * self.b(x) if asked.any() else 0)
        return self.a(x)


def test_weights_that_the_loss_does_not_depend_on():
    said = found(untrained_weights, Branches("one"))
    assert "'b.weight' and 'b.bias' get no gradient" in said.message
    assert "self.b(" in said.fix
    assert "none of the 4 weight tensors" in found(untrained_weights, Branches("cut")).message
    assert found(untrained_weights, Branches("training")) is None
    assert found(untrained_weights, Branches("rare")) is None


def test_frozen_weights_are_meant():
    model = Branches("one")
    model.b.requires_grad_(False)
    assert found(untrained_weights, model) is None


def test_an_optimizer_of_another_model():
    model = mlp()
    said = found(untrained_weights, model, optimizer=torch.optim.SGD(mlp().parameters(), lr=0.1))
    assert "SGD holds none of the model's 4 weight tensors" in said.message
    assert said.fix == "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)"
    head = torch.optim.SGD(model[2].parameters(), lr=0.1)
    assert found(untrained_weights, model, optimizer=head) is None  # fine-tuning


# --- MM204 ---------------------------------------------------------------------------------------


class Across(nn.Module):
    """A softmax over the rows, or the classes."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear, self.dim = nn.Linear(4, 3), dim

    def forward(self, x):
        return self.linear(x).softmax(self.dim)


def test_rows_that_see_each_other():
    model = Across(0)
    said = found(mixed_rows, model)
    rows = X[:4].clone().requires_grad_()
    (model(rows)[0] * torch.linspace(1, 2, 3)).sum().backward()  # all alike would cancel
    assert said.code == "MM204"
    assert f"largest gradient {rows.grad[1:].abs().max():.2g}" in said.message
    assert found(mixed_rows, Across(1)) is None
    layer = nn.Softmax(dim=0)
    assert found(mixed_rows, nn.Sequential(linear(), layer)).fix == "nn.Softmax(dim=1)"
    hidden = found(mixed_rows, nn.Sequential(linear(), layer, nn.Softmax(dim=1)))
    assert float(hidden.message.partition("gradient ")[2].partition(")")[0]) > 1e-5


def test_sequences_with_time_first():
    rows = torch.randn(16, 5, 4, generator=G)
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    fix = found(mixed_rows, layer, rows=rows).fix
    assert fix == "nn.TransformerEncoderLayer(..., batch_first=True)"
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    assert found(mixed_rows, layer, rows=rows) is None


def test_batch_norm_keeps_rows_apart_in_eval_mode():
    assert found(mixed_rows, nn.Sequential(linear(), nn.BatchNorm1d(3))) is None
    forgetful = nn.Sequential(linear(), nn.BatchNorm1d(3, track_running_stats=False))
    assert "track_running_stats=True" in found(mixed_rows, forgetful).fix


def test_whole_numbers_are_exchanged():
    tokens = torch.randint(0, 9, (16, 5), generator=G)
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 3))
    assert found(mixed_rows, model, rows=tokens) is None
    said = found(mixed_rows, nn.Sequential(model, nn.Softmax(0)), rows=tokens)
    assert "largest change" in said.message


# --- MM205 ---------------------------------------------------------------------------------------


def test_a_first_loss_far_above_guessing():
    said = found(far_first_loss, mlp(), rows=1000 * X)
    assert said.code == "MM205"
    assert "where guessing gives 1.1" in said.message  # log 3
    assert f"X reaches {1000 * X.abs().max():,.0f}" in said.message
    assert found(far_first_loss, mlp()) is None


def test_weights_that_start_too_large():
    model = mlp()
    nn.init.normal_(model[2].weight, std=30)
    said = found(far_first_loss, model)
    assert f"the first loss is {CE(model(X[::4]), CLASSES[::4]):.3g}" in said.message
    exec(said.fix, {"nn": nn, "model": model})
    assert found(far_first_loss, model) is None


def test_yes_and_no_from_a_pair_of_losses():
    model = mlp(1)
    nn.init.normal_(model[2].weight, std=30)
    assert "guessing gives 0.693" in found(far_first_loss, model, YES, BCE).message
    assert found(far_first_loss, mlp(1), YES, BCE) is None
    assert found(far_first_loss, mlp(1), YES, nn.BCEWithLogitsLoss(pos_weight=YES[0] + 9)) is None


def test_batch_norm_that_scales_in_training_is_enough():
    model = nn.Sequential(nn.BatchNorm1d(4), mlp())
    assert found(far_first_loss, model, rows=1000 * X) is None


def test_unscaled_numbers_are_for_mm101():
    assert found(far_first_loss, mlp(1), 1000 * NUMBERS, MSE) is None


# --- MM309 ---------------------------------------------------------------------------------------


def test_batch_norm_with_tiny_batches():
    model = nn.Sequential(linear(8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    said = found(tiny_batches, model, batch_size=4)
    assert said.code == "MM309"
    assert "from the 4 rows of a step" in said.message
    assert "the last batch of each epoch leaves BatchNorm1d 2 rows" in (
        found(tiny_batches, model, batch_size=31).message  # 64 = 31 + 31 + 2
    )
    assert found(tiny_batches, model, batch_size=8) is None
    assert found(tiny_batches, model, batch_size=30) is None  # 4 are left
    assert found(tiny_batches, model, batch_size=0) is None  # nobody said
    assert found(tiny_batches, mlp(), batch_size=4) is None


# --- MM402 ---------------------------------------------------------------------------------------


class Dropping(nn.Module):
    def __init__(self, careful: bool) -> None:
        super().__init__()
        self.linear, self.careful = nn.Linear(4, 3), careful

    def forward(self, x):
        return F.dropout(self.linear(x), 0.5, training=self.training or not self.careful)


def test_dropout_that_never_rests():
    model = Dropping(careful=False)
    torch.manual_seed(1)
    said = found(restless_predictions, model)
    torch.manual_seed(1)
    apart = (model(X[:4]) - model(X[:4])).abs().max()
    assert said.code == "MM402"
    assert f"differ by up to {apart:.3g}" in said.message
    assert found(restless_predictions, Dropping(careful=True)) is None
    assert found(restless_predictions, nn.Sequential(linear(), nn.Dropout())) is None


# --- MM206 ---------------------------------------------------------------------------------------


def dead(model: nn.Module) -> nn.Module:
    for weight in model.parameters():
        nn.init.zeros_(weight)
    return model


def test_a_net_that_cannot_learn_by_heart():
    said = found(not_learned_by_heart, dead(mlp()))
    assert said.code == "MM206"
    assert "12 rows cannot be learned by heart" in said.message  # 259 weights have room for 12
    assert "after 100 steps of Adam their loss is 0.6" in said.message
    assert found(not_learned_by_heart, mlp()) is None


def test_it_learns_numbers_of_any_size():
    for y in (NUMBERS, X[:, 1:2].square() / 1000):
        assert found(not_learned_by_heart, dead(mlp(1)), y, MSE).code == "MM206"
        assert found(not_learned_by_heart, mlp(1), y, MSE) is None


def test_it_asks_nothing_impossible():
    noise = torch.randint(0, 3, (64,), generator=G)
    many, line = torch.randn(64, 120, generator=G), nn.Linear(2, 120)  # 2 columns
    assert found(not_learned_by_heart, line, many, MSE, X[:, :2]) is None
    assert found(not_learned_by_heart, mlp(), noise, rows=X[:4].repeat(16, 1)) is None  # alike
    assert found(not_learned_by_heart, mlp(), noise) is None  # noise can be learned by heart
    assert found(not_learned_by_heart, dead(mlp()), 0 * noise) is None  # one class


# --- MM306 ---------------------------------------------------------------------------------------


class Making(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.linear, self.how = nn.Linear(4, 3), how
        shift = torch.ones(3)
        if how == "buffer":
            self.register_buffer("shift", shift)
        else:
            self.shift = shift

    def forward(self, x):
        if self.how == "made":
            zeros = torch.zeros(len(x), 3)  # the line that is named
            return torch.cat([self.linear(x), zeros], dim=1)
        if self.how == "careful":
            return self.linear(x) + torch.zeros(len(x), 3, device=x.device)
        if self.how == "otherwise":
            return self.linear(x) * int(x.sum() > 0)  # impossible on "meta", and no fault
        return self.linear(x) + self.shift


def test_tensors_on_the_wrong_device():
    said = found(wrong_device, Making("made"))
    assert said.code == "MM306"
    assert "makes a tensor on the CPU" in said.message
    assert "`zeros = torch.zeros(len(x), 3)  # the line that is named`" in said.message
    assert said.fix == "torch.zeros(..., device=x.device)"
    said = found(wrong_device, Making("attribute"))
    assert "`return self.linear(x) + self.shift`" in said.message
    assert 'self.register_buffer("shift", shift)' in said.fix


@pytest.mark.parametrize("how", ["buffer", "careful", "otherwise"])
def test_tensors_that_move_along(how):
    assert found(wrong_device, Making(how)) is None


# --- MM104, MM501 --------------------------------------------------------------------------------


class Drawn(nn.Module):
    def __init__(self, by: str) -> None:
        super().__init__()
        draw = {
            "numpy": lambda: np.random.randn(4),
            "python": lambda: [random.random() for _ in range(4)],
            "torch": lambda: torch.randn(4).tolist(),
        }
        self.weight = nn.Parameter(torch.tensor(draw[by]()))


@pytest.mark.parametrize("by", ["numpy", "python"])
def test_weights_from_another_generator(by):
    [said] = drawn_elsewhere(lambda: Drawn(by))
    assert said.code == "MM104"
    assert "'weight' differs by up to " in said.message
    assert list(drawn_elsewhere(lambda: Drawn("torch"))) == []


def test_classes_that_nobody_finds():
    class Inside(nn.Linear):
        pass

    said = found(unfindable_class, nn.Sequential(Inside(4, 3)))
    assert said.code == "MM501"
    assert said.severity == "tip"
    assert "Inside is defined inside the function test_classes_that_nobody_finds" in said.message
    assert found(unfindable_class, mlp()) is None
    kind = type("Shown", (nn.Linear,), {"__module__": "__main__"})
    assert "script or notebook" in found(unfindable_class, kind(4, 3)).message


# --- nothing is wrong, and nothing changes -------------------------------------------------------


class Reading(nn.Module):
    """A small transformer over the lines of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2
        )
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x.flatten(1, -2))).mean(dim=1))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 16), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.embed(x).mean(dim=1))


class Memory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.GRU(8, 24, batch_first=True), nn.Linear(24, 10)

    def forward(self, x):
        return self.head(self.memory(x)[0][:, -1])


def tensors(load):
    rows, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(rows))[:256]
    rows = StandardScaler().fit_transform(rows)[order]
    return torch.tensor(rows, dtype=torch.float32), torch.tensor(y[order])


IRIS, DIGITS, DIABETES = (tensors(load) for load in (load_iris, load_digits, load_diabetes))
SCALED = ((DIABETES[1] - DIABETES[1].mean()) / DIABETES[1].std()).float().unsqueeze(1)
LINES, TOKENS = DIGITS[0].reshape(-1, 8, 8), torch.randint(0, 50, (128, 12), generator=G)
HEALTHY = {
    "mlp": (mlp, *IRIS, CE),
    "deep": (lambda: nn.Sequential(mlp(32), nn.Tanh(), nn.Linear(32, 3)), *IRIS, CE),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)
        ),
        LINES.unsqueeze(1),
        DIGITS[1],
        CE,
    ),
    "linear": (lambda: nn.Linear(10, 1), DIABETES[0], SCALED, MSE),
    "regression": (
        lambda: nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0)),
        DIABETES[0],
        SCALED[:, 0],
        nn.HuberLoss(),
    ),
    "embedding": (Words, TOKENS, (TOKENS == 3).any(1).long(), CE),
    "transformer": (Reading, LINES, DIGITS[1], CE),
    "memory": (Memory, LINES, DIGITS[1], CE),
    "batch norm": (
        lambda: nn.Sequential(
            nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 3)
        ),
        *IRIS,
        CE,
    ),
    "log softmax": (lambda: nn.Sequential(mlp(), nn.LogSoftmax(1)), *IRIS, nn.NLLLoss()),
    "sigmoid": (
        lambda: nn.Sequential(mlp(1), nn.Sigmoid()),
        IRIS[0],
        (IRIS[1] == 0).float().unsqueeze(1),
        nn.BCELoss(),
    ),
    "labels": (lambda: mlp(2), X, (X[:, :2] > 0.5).float(), BCE),
}


def case_named(name: str) -> Case:
    make, rows, y, loss = HEALTHY[name]
    model = make()
    return Case(model, rows, y, loss, torch.optim.Adam(model.parameters()), batch_size=32)


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_said_of_healthy_cases(name):
    assert examine(case_named(name), (*FIRST, too_fast, *DEEP)) == []


@pytest.mark.parametrize("name", ["batch norm", "memory", "embedding"])
def test_looking_changes_nothing(name):
    case = case_named(name)
    case.model.train()
    next(case.model.children()).eval()  # a part that the user froze
    case.loss(case.model(case.X), case.y).backward()
    weights = copy.deepcopy(case.model.state_dict())
    slopes = [weight.grad.clone() for weight in case.model.parameters()]
    modes, rows = [m.training for m in case.model.modules()], case.X.clone()
    drawn = torch.get_rng_state()
    examine(case, (*FIRST, too_fast, *DEEP))
    assert torch.equal(drawn, torch.get_rng_state())
    after = case.model.state_dict()
    assert all(torch.equal(weights[key], after[key]) for key in weights)
    assert all(map(torch.equal, slopes, (weight.grad for weight in case.model.parameters())))
    assert modes == [m.training for m in case.model.modules()]
    assert torch.equal(rows, case.X)
    assert not case.X.requires_grad
    assert not case.optimizer.state
