"""Optimizers in plain torch, against closed forms."""

import copy

import numpy as np
import pytest
import torch

from manumatic.parts.proximal import FISTA, ConjugateGradients, PenalisedLBFGS, TruncatedSGD

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)) * [1, 3, 1, 0.3, 1]
Y = X @ [2.0, 0.0, -1.0, 4.0, 0.5] + RNG.normal(size=40)


def problem(kind, **settings):
    """Half the sum of squared errors of a line through the origin."""
    weight = torch.nn.Parameter(torch.zeros(5, 1))
    rows, target = (torch.tensor(a, dtype=torch.float32) for a in (X, Y.reshape(-1, 1)))
    optimizer = kind([weight], **settings)

    def closure():
        optimizer.zero_grad()
        loss = (rows @ weight - target).square().sum() / 2
        loss.backward()
        return loss

    return weight, optimizer, closure


def near(weight, wanted):
    return np.abs(weight.detach().numpy()[:, 0] - wanted).max() <= 1e-3


@pytest.mark.parametrize("kind", [FISTA, PenalisedLBFGS])
@pytest.mark.parametrize("l2", [0.0, 3.0, 100.0])
def test_an_l2_penalty_is_ridge_regression(kind, l2):
    weight, optimizer, closure = problem(kind, l2=l2)
    for _ in range(10):
        optimizer.step(closure)
    assert near(weight, np.linalg.solve(X.T @ X + l2 * np.eye(5), X.T @ Y))


def test_fista_ends_where_the_lasso_is_optimal():
    """The gradient is -l1 · sign of a weight, and smaller where the weight is zero."""
    weight, optimizer, closure = problem(FISTA, l1=20.0)
    for _ in range(10):
        optimizer.step(closure)
    found = weight.detach().numpy()[:, 0].astype(float)
    gradient = X.T @ (X @ found - Y)
    zero = found == 0
    assert 0 < zero.sum() < 5
    assert (np.abs(gradient[zero]) < 20).all()
    assert np.allclose(gradient[~zero], -20 * np.sign(found[~zero]), atol=1e-2)


def test_fista_keeps_weights_from_falling_below_zero():
    weight, optimizer, closure = problem(FISTA, positive=True)
    for _ in range(10):
        optimizer.step(closure)
    found = weight.detach().numpy()[:, 0].astype(float)
    gradient = X.T @ (X @ found - Y)
    assert (found >= 0).all()
    assert (found == 0).any()
    assert (gradient[found == 0] > -1e-2).all()
    assert np.allclose(gradient[found > 0], 0, atol=1e-2)


def test_five_conjugate_gradients_solve_five_equations():
    weight, optimizer, closure = problem(ConjugateGradients)
    for _ in range(5):
        optimizer.step(closure)
    assert near(weight, np.linalg.solve(X.T @ X, X.T @ Y))


@pytest.mark.parametrize("kind", [FISTA, ConjugateGradients])
def test_a_state_that_was_saved_goes_on_alike(kind):
    settings = {"max_iter": 3, "l1": 1.0} if kind is FISTA else {}
    weight, optimizer, closure = problem(kind, **settings)
    optimizer.step(closure)
    saved = copy.deepcopy((weight.detach(), optimizer.state_dict()))
    optimizer.step(closure)
    again, resumed, its_closure = problem(kind, **settings)
    with torch.no_grad():
        again.copy_(saved[0])
    resumed.load_state_dict(saved[1])
    resumed.step(its_closure)
    assert torch.equal(again, weight)


def test_without_penalties_the_truncated_one_is_sgd():
    weight, optimizer, closure = problem(TruncatedSGD, lr=1e-3, l2=0.5)
    plain, sgd, its_closure = problem(torch.optim.SGD, lr=1e-3, weight_decay=0.5)
    for _ in range(3):
        optimizer.step(closure)
        sgd.step(its_closure)
    assert torch.allclose(weight, plain, atol=1e-6)
