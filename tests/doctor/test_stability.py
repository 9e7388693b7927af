"""The curvature against the whole Hessian, and its limit against what SGD really does."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from manumatic.doctor.case import Case, examine
from manumatic.doctor.stability import at_most, sharpness, stability_limit, too_fast
from manumatic.parts.loss import Weighted
from manumatic.task import Task


def hours():
    X = torch.arange(1.0, 6).reshape(5, 1)
    return X, 45 + 7 * X


def table(n=60, d=4, outputs=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, d, generator=generator) * torch.tensor([1.0, 3.0, 0.2, 5.0])[:d] + 2
    return X, torch.randn(n, outputs, generator=generator)


def whole_hessian(model, X, y, loss, *weight):
    """By torch.autograd.functional, in float64."""
    model = copy.deepcopy(model).double()
    names = [name for name, value in model.named_parameters() if value.requires_grad]
    parts = [model.get_parameter(name) for name in names]
    sizes = [part.numel() for part in parts]

    def flat_loss(flat):
        pieces = zip(names, flat.split(sizes), parts, strict=True)
        weights = {name: piece.view_as(part) for name, piece, part in pieces}
        X64, *rest = (t.double() if t.is_floating_point() else t for t in (X, y, *weight))
        return loss(functional_call(model, weights, X64), *rest)

    start = torch.cat([part.detach().flatten() for part in parts])
    with sdpa_kernel(SDPBackend.MATH):
        return torch.autograd.functional.hessian(flat_loss, start)


def largest(*arguments):
    return torch.linalg.eigvalsh(whole_hessian(*arguments))[-1].item()


class Line(nn.Module):
    """How a tutorial writes it."""

    def __init__(self):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def forward(self, X):
        return self.w * X + self.b


class Wrapped(nn.Module):
    def __init__(self, d=4, outputs=1):
        super().__init__()
        self.only = nn.Linear(d, outputs)

    def forward(self, X):
        return self.only(X.flatten(1))


def case_of(model, X, y, lr=0.1, kind=torch.optim.SGD, loss=None, weight=None, **settings):
    optimizer = kind(model.parameters(), lr=lr, **settings)
    return Case(model, X, y, loss or nn.MSELoss(), optimizer, weight, batch_size=len(X))


# --- the curvature -------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("shape", [(60, 4), (3, 4)])
def test_one_linear_layer_has_it_in_closed_form(outputs, shape):
    X, y = table(shape[0], shape[1], outputs)
    model = nn.Sequential(nn.Flatten(), nn.Linear(shape[1], outputs))
    assert sharpness(model, X, y, nn.MSELoss()) == pytest.approx(
        largest(model, X, y, nn.MSELoss()), rel=1e-9
    )


def test_many_wide_rows_cost_no_gram_matrix():
    """Above a billion products the same eigenvalue comes from products with vectors."""
    X = torch.rand(1500, 900, generator=torch.Generator().manual_seed(0))
    weight = torch.linspace(0.5, 1.5, 1500)
    A = torch.cat([X, torch.ones(1500, 1)], dim=1).double() * weight.double().sqrt()[:, None]
    wanted = 2 / 3000 * torch.linalg.matrix_norm(A, 2).item() ** 2
    loss = Weighted(nn.MSELoss(reduction="none"))
    found = sharpness(nn.Linear(900, 2), X, torch.zeros(1500, 2), loss, weight)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_it_knows_the_study_hours():
    """2/λmax by hand: the Gram matrix [[55, 15], [15, 5]]·2/5."""
    curvature = (60 + np.sqrt(50**2 + 30**2)) / 5
    assert sharpness(nn.Linear(1, 1), *hours(), nn.MSELoss()) == pytest.approx(curvature, rel=1e-12)
    assert 2 / curvature == pytest.approx(0.08452405, abs=1e-8)


def test_frozen_weights_weighted_rows_and_sums_count_as_they_are():
    X, y = table()
    model = nn.Linear(4, 1)
    model.bias.requires_grad_(False)
    assert sharpness(model, X, y, nn.MSELoss()) == pytest.approx(
        largest(model, X, y, nn.MSELoss()), rel=1e-9
    )
    weight, loss = torch.linspace(0.1, 2, 60), Weighted(nn.MSELoss(reduction="none"))
    model = nn.Linear(4, 1)
    assert sharpness(model, X, y, loss, weight) == pytest.approx(
        largest(model, X, y, loss, weight), rel=1e-6
    )
    total = nn.MSELoss(reduction="sum")
    assert sharpness(model, X, y, total) == pytest.approx(largest(model, X, y, total), rel=1e-5)


def test_lanczos_agrees_for_a_softmax_regression():
    X, _ = table()
    y, model = torch.arange(60) % 3, nn.Linear(4, 3)
    assert sharpness(model, X, y, nn.CrossEntropyLoss()) == pytest.approx(
        largest(model, X, y, nn.CrossEntropyLoss()), rel=1e-5
    )


def test_of_a_bent_loss_the_largest_positive_not_the_largest():
    """A plain power iteration would return the one of largest size, which is negative here."""
    X, y = table(20, 2, seed=3)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1, bias=False))
    loss = lambda p, t: -nn.functional.mse_loss(p, t)  # noqa: E731
    values = torch.linalg.eigvalsh(whole_hessian(model, X, y, loss))
    assert -values[0] > 2 * values[-1] > 0
    assert sharpness(model, X, y, loss) == pytest.approx(values[-1].item(), rel=1e-4)


def test_where_nothing_curves_upwards_it_is_zero():
    X, y = table()
    assert sharpness(nn.Linear(4, 1), X, y, lambda p, t: p.mean()) == 0.0
    assert sharpness(nn.Linear(4, 1), X, y, lambda p, t: -((p - t) ** 2).mean()) == 0.0


def test_attention_and_unused_weights_are_no_obstacle():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 1))
    model.register_parameter("unused", nn.Parameter(torch.ones(2)))
    X, y = torch.randn(6, 3, 4), torch.randn(6, 1)
    assert sharpness(model, X, y, nn.MSELoss()) == pytest.approx(
        largest(model, X, y, nn.MSELoss()), rel=1e-3
    )


def test_looking_leaves_everything_as_it_was():
    X, y = table()
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    before = copy.deepcopy(model.state_dict())
    model(X).sum().backward()
    before |= {name: value.clone() for name, value in model.named_buffers()}
    gradients = [weight.grad.clone() for weight in model.parameters()]
    plain = case_of(nn.Sequential(nn.Linear(4, 1)), X, y)
    state = torch.get_rng_state()
    with torch.no_grad():
        assert sharpness(model, X, y, nn.MSELoss()) > 0
        assert stability_limit(case_of(model, X, y)) is None
        assert stability_limit(plain) is not None
    assert torch.equal(torch.get_rng_state(), state)
    assert all(layer.training for layer in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(map(torch.equal, (w.grad for w in model.parameters()), gradients))


# --- the limit -----------------------------------------------------------------------------------


def loss_after(model, X, y, lr, steps, **settings):
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **settings)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), y)
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.9}, {"momentum": 0.5, "weight_decay": 1.0}]
)
def test_sgd_converges_below_the_limit_and_diverges_above(settings):
    torch.manual_seed(0)
    model, (X, y) = nn.Linear(1, 1), hours()
    limit = stability_limit(case_of(model, X, y, **settings))
    start = nn.functional.mse_loss(model(X), y).item()
    assert loss_after(model, X, y, 0.99 * limit, 2000, **settings) < start
    assert not loss_after(model, X, y, 1.01 * limit, 2000, **settings) < 1e6 * start


@pytest.mark.parametrize("model", [nn.Linear(1, 1), Line(), Wrapped(1)])
@pytest.mark.parametrize("loss", [nn.MSELoss(), lambda p, t: ((p - t) ** 2).mean()])
def test_it_makes_no_difference_how_model_and_loss_are_written(model, loss):
    assert stability_limit(case_of(model, *hours(), loss=loss)) == pytest.approx(
        0.08452405, rel=1e-6
    )


def test_a_standardised_column_has_the_limit_one():
    X, y = hours()
    X = (X - X.mean()) / X.std(correction=0)
    assert stability_limit(case_of(nn.Linear(1, 1), X, y)) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(4, 1), nn.Tanh()),
        nn.Sequential(nn.Linear(4, 1), nn.ReLU()),
        nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 1)),
        nn.Sequential(nn.BatchNorm1d(4, affine=False), nn.Linear(4, 1)),
    ],
    ids=str,
)
def test_other_models_have_no_known_limit(model):
    assert stability_limit(case_of(model, *table())) is None


@pytest.mark.parametrize(
    "loss",
    [nn.L1Loss(), nn.HuberLoss(delta=0.5), nn.MSELoss(reduction="sum"), nn.SmoothL1Loss()],
    ids=str,
)
def test_other_losses_have_no_known_limit(loss):
    assert stability_limit(case_of(nn.Linear(4, 1), *table(), loss=loss)) is None


def test_targets_of_the_wrong_shape_and_classes_have_no_limit():
    X, y = table()
    assert stability_limit(case_of(nn.Linear(4, 1), X, y[:, 0])) is None
    labels = torch.arange(60) % 3
    found = stability_limit(case_of(nn.Linear(4, 3), X, labels, loss=nn.CrossEntropyLoss()))
    assert found is None


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.RMSprop, {}),
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.1}),
        (torch.optim.SGD, {"maximize": True}),
    ],
)
def test_other_optimizers_have_no_known_limit(kind, settings):
    case = case_of(nn.Linear(4, 1), *table(), kind=kind, lr=100.0, **settings)
    assert stability_limit(case) is None
    assert examine(case, [too_fast]) == []


def test_an_optimizer_of_some_weights_or_of_groups_has_no_known_limit():
    model, (X, y) = nn.Linear(4, 1), table()
    groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.5}]
    for weights in ([model.weight], groups):
        case = Case(model, X, y, nn.MSELoss(), torch.optim.SGD(weights, lr=0.1))
        assert stability_limit(case) is None


# --- the finding ---------------------------------------------------------------------------------


def test_the_finding_has_the_numbers_of_the_tutorial():
    [finding] = examine(case_of(nn.Linear(1, 1), *hours(), lr=0.1), [too_fast])
    assert finding.code == "MM301"
    assert finding.message == (
        "lr 0.1 is above 0.084, the stability limit 2/λmax of this loss: every step overshoots and "
        "the loss grows. With X standardised the limit is 1.0."
    )
    assert finding.fix == "optimizer = torch.optim.SGD(model.parameters(), lr=0.042)"


def test_an_estimator_gets_the_fix_in_its_own_words():
    task = Task("regression", None, 1, flat=True)
    case = case_of(nn.Linear(1, 1), *hours(), lr=0.2, momentum=0.9, weight_decay=0.01)
    [finding] = examine(Case(**(vars(case) | {"task": task})), [too_fast])
    assert "the stability limit 2(1 + momentum)/(λmax + weight_decay) of" in finding.message
    assert finding.fix == 'optimizer=mm.Optimizer("sgd", lr=0.08, momentum=0.9, weight_decay=0.01)'


def test_a_rate_just_below_the_limit_is_left_alone():
    model = nn.Linear(1, 1)
    assert examine(case_of(model, *hours(), lr=0.084), [too_fast]) == []
    assert len(examine(case_of(model, *hours(), lr=0.085), [too_fast])) == 1


def test_with_minibatches_only_twice_the_limit_is_too_fast():
    model, (X, y) = nn.Linear(1, 1), hours()
    for lr, found in ((0.16, 0), (0.18, 1)):
        case = Case(**(vars(case_of(model, X, y, lr=lr)) | {"batch_size": 2}))
        findings = examine(case, [too_fast])
        assert len(findings) == found
    assert findings[0].message.startswith(
        "lr 0.18 is more than twice 0.084, the stability limit 2/λmax of this loss over all rows, "
        "and batches of 2 vary: steps overshoot and the loss grows."
    )


def test_rows_that_are_a_sample_need_twice_the_limit_too():
    model, (X, y) = nn.Linear(1, 1), hours()
    for lr, found in ((0.16, 0), (0.18, 1)):
        case = Case(**(vars(case_of(model, X, y, lr=lr)) | {"batch_size": 500}))
        findings = examine(case, [too_fast])
        assert len(findings) == found
    assert "of this loss over 5 rows: steps overshoot" in findings[0].message


def test_where_nobody_said_how_many_rows_a_step_sees_these_are_all():
    case = case_of(nn.Linear(1, 1), *hours(), lr=0.09)
    assert len(examine(Case(**(vars(case) | {"batch_size": 0})), [too_fast])) == 1


def test_scaling_is_only_mentioned_where_it_helps():
    X, y = hours()
    X = (X - X.mean()) / X.std(correction=0)
    assert examine(case_of(nn.Linear(1, 1), X, y, lr=1.0), [too_fast]) == []
    [finding] = examine(case_of(nn.Linear(1, 1), X, y, lr=1.1), [too_fast])
    assert "standardised" not in finding.message
    assert finding.fix.endswith("lr=0.5)")


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.08459, "0.084"), (0.99999999, "1.0"), (0.996, "0.99"), (1234.0, "1200"), (9.96, "9.9")],
)
def test_limits_are_rounded_down(value, said):
    assert at_most(value) == said
