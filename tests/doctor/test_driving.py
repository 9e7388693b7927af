"""While driving: each finding on a real small training that earns it, and a near miss."""

import functools
import warnings
from typing import Any

import pytest
import torch
from plain_loop import HOURS, SCORE, drive, mlp, study_hours
from sklearn.datasets import load_diabetes, load_digits, make_moons
from torch import Tensor, nn
from torch.nn import functional as F

from manumatic.doctor.course import Course, chance
from manumatic.doctor.driving import Divergence, dead_units, diverging, plateau, update_ratios
from manumatic.doctor.finding import Finding
from manumatic.history import History

FLAT = SCORE.view(-1)
LIMIT = 0.08452405  # 2/λmax of study hours


def scaled(load: Any, rows: int) -> tuple[Tensor, Tensor]:
    X, y = (torch.tensor(values[:rows]).float() for values in load(return_X_y=True))
    return (X - X.mean(0)) / (X.std(0) + 1e-6), y


# --- MM301 ---------------------------------------------------------------------------------------


def found_divergence(lr: float, limit: float | None = LIMIT, epochs: int = 1000) -> list[Finding]:
    history = study_hours(lr, epochs)
    ended = "epochs" if len(history) == epochs else "diverged"
    return list(diverging(Course(history, epochs, ended, lr=lr, limit=limit)))


def test_a_loss_that_grows_is_noticed_after_ten_times_the_best() -> None:
    [finding] = found_divergence(0.1)
    assert finding.code == "MM301"
    assert finding.message == (
        "lr=0.1 makes the loss grow: it was 4,031 at its best and is 552,270 in epoch 8, more "
        "than 10 times that for 5 epochs. The stability limit of this loss is 0.084."
    )
    assert finding.fix == 'optimizer=mm.Optimizer("sgd", lr=0.042)'


def test_a_loss_that_is_no_number_is_named_with_its_epoch() -> None:
    [finding] = found_divergence(1e8, None)
    assert "lr=1e+08 threw the weights away: the loss is no number in epoch 2" in finding.message
    assert finding.fix == 'optimizer=mm.Optimizer("sgd", lr=1e+07)'


def test_a_run_that_stopped_before_the_books_were_written() -> None:
    [finding] = diverging(Course(study_hours(0.1, 2), 100, "diverged", lr=0.1))
    assert "no number in epoch 2 after 4,031 in the first" in finding.message


def test_a_rate_that_is_not_known_is_left_open() -> None:
    [finding] = diverging(Course(study_hours(0.1, 2), 100, "diverged"))
    assert finding.fix == 'optimizer=mm.Optimizer("sgd", lr=...)'


def test_just_below_the_limit_the_loss_swings_and_falls() -> None:
    assert found_divergence(0.084) == []


def test_what_jumps_about_near_zero_has_been_learned() -> None:
    """Adam with a large rate, on a line without noise: epochs 10 times the best, in a row."""
    torch.manual_seed(1)
    X = torch.randn(64, 3)
    y = X.sum(1, keepdim=True)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    history = drive(model, X, y, nn.MSELoss(), optimizer, 100, 8)
    losses = [row.value for row in history]
    assert any(min(losses[i : i + 5]) > 10 * min(losses[:i]) for i in range(1, 95))
    assert list(diverging(Course(history, 100, lr=0.3))) == []


def test_divergence_counts_losses_in_a_row() -> None:
    watch = Divergence(patience=2)
    assert [watch.saw(loss) for loss in (1.0, 20.0, 0.5, 6.0, 7.0, 0.1)] == [False] * 4 + [True] * 2
    assert (watch.first, watch.best, watch.last, watch.seen) == (1.0, 0.5, 7.0, 5)


# --- MM310 ---------------------------------------------------------------------------------------


def trapped() -> History:
    """Outputs (5, 1) beside targets (5,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's only word on it
        return study_hours(0.01, 2500, FLAT)


def test_a_flat_target_beside_a_column_of_outputs_learns_the_mean() -> None:
    history = trapped()
    assert history[-1].value == pytest.approx(98.0, abs=0.01)
    course = Course(history, 2500, chance=chance(nn.MSELoss(), SCORE.view(-1)))
    [finding] = plateau(course)
    assert finding.code == "MM310"
    assert "stayed at 98 for 1250 epochs; the same answer for every row gives 98" in finding.message
    assert finding.fix.startswith("y = y.view(-1, 1)")


def test_the_same_with_batches_and_a_network() -> None:
    X, y = scaled(load_diabetes, 200)
    y = (y - y.mean()) / y.std()
    torch.manual_seed(0)
    model = mlp(10, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = drive(model, X, y, nn.MSELoss(), optimizer, 20, 32)
    course = Course(history, 20, chance=chance(nn.MSELoss(), y), n_train=200, batch_size=32)
    assert [finding.code for finding in plateau(course)] == ["MM310"]


def test_a_network_through_which_no_gradient_gets_learns_the_shares() -> None:
    X, y = load_digits(return_X_y=True)
    torch.manual_seed(0)
    X, y = torch.tensor(X[:300]).float() / 16, torch.tensor(y[:300])
    layers = [layer for _ in range(6) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    history = drive(model, X, y, nn.CrossEntropyLoss(), optimizer, 20, 32)
    course = Course(history, 20, chance=chance(nn.CrossEntropyLoss(), y), kind="multiclass")
    [finding] = plateau(course)
    assert "the shares of the classes gives 2.30" in finding.message


def test_a_loss_5_percent_below_chance_is_no_plateau() -> None:
    """X says a little about y: a correlation of 0.22 is 5 % of the variance."""
    torch.manual_seed(0)
    X = torch.randn(400, 1)
    noise = torch.randn(400, 1)
    noise -= X * (X * noise).mean() / X.square().mean()  # so that the share is exact
    y = 0.05**0.5 * X / X.std() + 0.95**0.5 * noise / noise.std()
    model = nn.Linear(1, 1)
    history = drive(model, X, y, nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=0.1), 60)
    guess = chance(nn.MSELoss(), y)
    assert guess is not None
    assert history[-1].value == pytest.approx(0.95 * guess, rel=2e-3)
    assert list(plateau(Course(history, 60, chance=guess))) == []


def test_a_short_run_or_one_without_chance_says_nothing() -> None:
    history = trapped()
    assert len(list(plateau(Course(history[-20:], 20, chance=98.0)))) == 1
    assert list(plateau(Course(history[-19:], 19, chance=98.0))) == []
    assert list(plateau(Course(history[-20:], 20))) == []


# --- MM307 ---------------------------------------------------------------------------------------


class Functional(nn.Module):
    """ReLUs that are no modules; the first layer is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 1)

    def forward(self, X: Tensor) -> Tensor:
        hidden = F.relu(self.first(X)) + self.first(-X).relu()
        return self.head(torch.relu(self.second(hidden)))


def moons() -> tuple[Tensor, Tensor]:
    X, y = make_moons(300, noise=0.2, random_state=0)
    return torch.tensor(X).float(), torch.tensor(y)


def test_steps_that_are_too_long_kill_units() -> None:
    X, y = moons()
    torch.manual_seed(0)
    model = mlp(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
    drive(model, X, y, nn.CrossEntropyLoss(), optimizer, 3, 32)
    [finding] = dead_units(model, X)
    assert finding.code == "MM307"
    dead = int((model[:4](X[:256]) <= 0).all(dim=0).sum())
    assert dead > 38
    assert f"{dead} of the 64 units of '3' are 0 for all of 256 rows" in finding.message


def test_a_trained_network_has_few_dead_units() -> None:
    X, y = moons()
    torch.manual_seed(0)
    model = mlp(2, 2)
    drive(model, X, y, nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters()), 10, 32)
    dead = (model[:4](X) <= 0).all(dim=0).float().mean()
    assert 0 < dead < 0.6
    assert list(dead_units(model, X)) == []


def test_functional_relus_are_seen_and_named_by_the_layer_before() -> None:
    X, _ = moons()
    torch.manual_seed(0)
    model = Functional()
    assert list(dead_units(model, X)) == []
    with torch.no_grad():
        model.second.weight.abs_().neg_()
        model.second.bias.fill_(-0.1)
    [finding] = dead_units(model, X)
    assert "16 of the 16 units of 'second' are 0 for all of 256 rows" in finding.message


def test_a_call_that_revives_a_layer_counts() -> None:
    """Rows of one sign: after the first call its units are 0, after the second they are not."""
    model = Functional()
    with torch.no_grad():
        model.first.weight.fill_(-1.0)
        model.first.bias.zero_()
        model.second.weight.fill_(1.0)
        model.second.bias.zero_()
    assert list(dead_units(model, torch.rand(50, 2) + 1)) == []


def test_channels_of_an_image_are_the_units() -> None:
    """A border that is 0 everywhere kills no unit; a channel that is does."""
    X = torch.zeros(20, 1, 8, 8)
    X[:, :, 3:5, 3:5] = torch.rand(20, 1, 2, 2)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight.abs_()
    assert (model(X) == 0).float().mean() > 0.6
    assert list(dead_units(model, X)) == []
    with torch.no_grad():
        model[0].weight[1:].neg_()
    [finding] = dead_units(model, X)
    assert "3 of the 4 units of '1'" in finding.message


def test_looking_for_dead_units_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(0.5))
    model.train()
    before = [value.clone() for value in model.state_dict().values()]
    state = torch.get_rng_state()
    list(dead_units(model, torch.randn(40, 2, generator=torch.Generator())))
    assert all(map(torch.equal, before, model.state_dict().values()))
    assert torch.equal(state, torch.get_rng_state())
    assert all(layer.training for layer in model.modules())
    assert not any(layer._forward_pre_hooks for layer in model.modules())


# --- MM308 ---------------------------------------------------------------------------------------


def first_step(model: nn.Module, X: Tensor, y: Tensor, loss: Any, make: Any) -> list[Finding]:
    optimizer = make(model.parameters())
    names, weights = zip(*model.named_parameters(), strict=True)
    before = [weight.detach().clone() for weight in weights]
    loss(model(X), y).backward()
    optimizer.step()
    return list(update_ratios(before, weights, names, optimizer.param_groups[0]["lr"]))


def digits() -> tuple[Tensor, Tensor]:
    X, y = load_digits(return_X_y=True)
    return torch.tensor(X[:64]).float() / 16, torch.tensor(y[:64])


SGD = functools.partial(torch.optim.SGD, momentum=0.9)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (functools.partial(SGD, lr=1e-5), "lr=1e-05 is far too small"),
        (functools.partial(torch.optim.Adam, lr=1e-7), "lr=1e-07 is far too small"),
        (functools.partial(torch.optim.Adam, lr=0.1), "lr=0.1 is far too large"),
        (functools.partial(torch.optim.Adam, lr=1.0), "lr=1 is far too large"),
    ],
)
def test_the_first_step_tells_a_wrong_size(make: Any, said: str) -> None:
    torch.manual_seed(0)
    [finding] = first_step(mlp(64, 10), *digits(), nn.CrossEntropyLoss(), make)
    assert finding.code == "MM308"
    assert finding.message.startswith(said)


def test_what_a_too_large_step_says() -> None:
    torch.manual_seed(0)
    make = functools.partial(torch.optim.Adam, lr=0.1)
    [finding] = first_step(mlp(64, 10), *digits(), nn.CrossEntropyLoss(), make)
    assert "every weight matrix by 75 % of its length or more" in finding.message
    assert finding.fix == "optimizer=mm.Optimizer(..., lr=0.0063)"


@pytest.mark.parametrize(
    "make",
    [
        functools.partial(SGD, lr=1e-3),
        functools.partial(SGD, lr=0.1),
        functools.partial(torch.optim.Adam, lr=1e-5),
        functools.partial(torch.optim.Adam, lr=3e-2),
        functools.partial(torch.optim.AdamW, lr=5e-3),
    ],
)
def test_learning_rates_that_work_are_left_alone(make: Any) -> None:
    torch.manual_seed(0)
    assert first_step(mlp(64, 10), *digits(), nn.CrossEntropyLoss(), make) == []


def test_weights_near_zero_and_a_single_layer_may_move_far() -> None:
    """Study hours: the first step takes the weight from 0.76 to 4.79, and the run is fine."""
    torch.manual_seed(42)
    model = nn.Linear(1, 1)
    make = functools.partial(torch.optim.SGD, lr=0.01)
    assert first_step(model, HOURS, SCORE, nn.MSELoss(), make) == []
    torch.manual_seed(0)
    model = mlp(64, 10)
    nn.init.zeros_(model[-1].weight)
    make = functools.partial(torch.optim.Adam, lr=1e-2)
    assert first_step(model, *digits(), nn.CrossEntropyLoss(), make) == []


def test_a_gradient_that_fades_is_told_from_one_that_gets_smaller() -> None:
    X, y = digits()
    make = functools.partial(torch.optim.SGD, lr=0.05)
    found = []
    for depth in (3, 6):
        torch.manual_seed(0)
        layers = [layer for _ in range(depth) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
        model = nn.Sequential(*layers, nn.Linear(64, 10))
        found.append(first_step(model, X, y, nn.CrossEntropyLoss(), make))
    assert found[0] == []
    assert "the gradient fades on its way back: the first step changed '12.weight'" in (
        found[1][0].message
    )


def test_frozen_weights_do_not_count() -> None:
    torch.manual_seed(0)
    model = mlp(64, 10)
    model[0].weight.requires_grad_(False)

    def make(weights: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam([w for w in weights if w.requires_grad], lr=0.1)

    [finding] = first_step(model, *digits(), nn.CrossEntropyLoss(), make)
    assert "too large" in finding.message
