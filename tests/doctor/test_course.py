"""What guessing costs: the loss of the best constant, against scikit-learn's dummies."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from torch import nn

from manumatic.doctor.course import chance
from manumatic.parts.loss import Weighted

RANDOM = np.random.RandomState(0)
NUMBERS = RANDOM.gamma(2.0, 3.0, 60)
LABELS = RANDOM.choice(3, 60, p=[0.6, 0.3, 0.1])
WEIGHT = RANDOM.uniform(0.1, 2.0, 60)
X = np.zeros((60, 1))


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64 if values.dtype.kind == "i" else torch.float32)


def test_squared_error_is_the_variance() -> None:
    dummy = DummyRegressor().fit(X, NUMBERS).predict(X)
    expected = mean_squared_error(NUMBERS, dummy)
    assert chance(nn.MSELoss(), tensor(NUMBERS)) == pytest.approx(expected, rel=1e-5)
    assert chance(nn.MSELoss(), tensor(NUMBERS).view(-1, 1)) == pytest.approx(expected, rel=1e-5)


def test_absolute_error_is_the_distance_from_the_median() -> None:
    dummy = DummyRegressor(strategy="median").fit(X, NUMBERS).predict(X)
    expected = mean_absolute_error(NUMBERS, dummy)
    assert chance(nn.L1Loss(), tensor(NUMBERS)) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_is_the_entropy_of_the_shares() -> None:
    dummy = DummyClassifier(strategy="prior").fit(X, LABELS).predict_proba(X)
    expected = log_loss(LABELS, dummy)
    assert chance(nn.CrossEntropyLoss(), tensor(LABELS)) == pytest.approx(expected, rel=1e-5)


def test_smoothing_and_class_weights_change_the_constant() -> None:
    """Against the constant that a minimiser finds."""
    for loss in (
        nn.CrossEntropyLoss(label_smoothing=0.2),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 5.0])),
    ):
        found = chance(loss, tensor(LABELS))
        assert found == pytest.approx(least(loss, tensor(LABELS), 3), rel=1e-5)


def test_targets_that_are_shares_themselves() -> None:
    y = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    loss = nn.CrossEntropyLoss()
    assert chance(loss, y) == pytest.approx(least(loss, y, 3), rel=1e-5)


def least(loss: nn.Module, y: torch.Tensor, outputs: int) -> float:
    exact, targets = copy.deepcopy(loss).double(), y.double() if y.is_floating_point() else y

    def value(constant: np.ndarray) -> float:
        return exact(torch.tensor(constant).expand(len(y), outputs), targets).item()

    return float(minimize(value, np.zeros(outputs), tol=1e-10).fun)


def test_binary_cross_entropy_counts_each_output() -> None:
    y = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    shares = torch.tensor([0.25, 0.5])
    entropy = -(shares * shares.log() + (1 - shares) * (1 - shares).log()).mean().item()
    assert chance(nn.BCEWithLogitsLoss(), y) == pytest.approx(entropy)
    heavy = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0, 0.5]))
    assert chance(heavy, y) == pytest.approx(least(heavy, y, 2), rel=1e-5)


def test_an_output_that_is_always_0_costs_nothing() -> None:
    assert chance(nn.BCEWithLogitsLoss(), torch.zeros(4, 1)) == pytest.approx(0.0)


def test_rows_with_weights() -> None:
    y, weight = tensor(NUMBERS), tensor(WEIGHT / WEIGHT.mean())
    dummy = DummyRegressor().fit(X, NUMBERS, WEIGHT).predict(X)
    expected = mean_squared_error(NUMBERS, dummy, sample_weight=WEIGHT)
    assert chance(Weighted(nn.MSELoss(reduction="none")), y, weight) == pytest.approx(expected)
    dummy = DummyClassifier(strategy="prior").fit(X, LABELS, WEIGHT).predict_proba(X)
    expected = log_loss(LABELS, dummy, sample_weight=WEIGHT)
    loss = Weighted(nn.CrossEntropyLoss(reduction="none"))
    assert chance(loss, tensor(LABELS), weight) == pytest.approx(expected, rel=1e-5)


def test_other_rows_are_judged_by_the_constant_of_these() -> None:
    dummy = DummyRegressor().fit(X[:40], NUMBERS[:40]).predict(X[40:])
    expected = mean_squared_error(NUMBERS[40:], dummy)
    y = tensor(NUMBERS)
    assert chance(nn.MSELoss(), y[:40], on=(y[40:],)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        nn.HuberLoss(),
        nn.MSELoss(reduction="sum"),
        lambda prediction, y: (prediction - y).abs().mean(),
        nn.CrossEntropyLoss(label_smoothing=0.1, weight=torch.ones(3)),
    ],
)
def test_without_a_formula_there_is_no_number(loss: object) -> None:
    assert chance(nn.CrossEntropyLoss(), torch.zeros(4, 5, dtype=torch.int64)) is None  # a map
    y = tensor(LABELS) if isinstance(loss, nn.CrossEntropyLoss) else tensor(NUMBERS)
    assert chance(loss, y) is None
