"""scikit-learn's networks are ordinary layers, which go on learning."""

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from torch import nn

from manumatic.convert.module import to_torch
from manumatic.errors import ConvertError

X, Y = datasets.load_iris(return_X_y=True)
QUICK = {"max_iter": 5, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # it stops after 5 rounds


def _lowers(module, loss, target):
    """The loss before and after twenty steps."""
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    rows, losses = torch.tensor(X), []
    for _ in range(20):
        found = loss(module(rows), target)
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        losses.append(found.item())
    return losses[0], losses[-1]


def test_the_layers_are_torch_s_own():
    fitted = MLPClassifier((7, 3), activation="tanh", **QUICK).fit(X, Y)
    net = to_torch(fitted).net.body
    assert isinstance(net, nn.Sequential)
    kinds = [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [type(layer) for layer in net] == kinds
    np.testing.assert_array_equal(net[2].weight.detach(), fitted.coefs_[1].T)


def test_a_few_steps_lower_the_loss_of_classes():
    module = to_torch(MLPClassifier(8, **QUICK).fit(X, Y))
    before, after = _lowers(module, nn.functional.cross_entropy, torch.tensor(Y))
    assert after < 0.8 * before


def test_a_few_steps_lower_the_loss_of_numbers():
    target = torch.tensor(X[:, 3:])
    module = to_torch(MLPRegressor(hidden_layer_sizes=8, **QUICK).fit(X, X[:, 3]))
    before, after = _lowers(module, nn.functional.mse_loss, target)
    assert after < 0.8 * before


def test_a_few_steps_lower_the_loss_of_labels():
    labels = np.column_stack([Y == 0, Y > 0, X[:, 0] > 5]).astype(int)
    module = to_torch(MLPClassifier(8, **QUICK).fit(X, labels))
    loss = nn.functional.binary_cross_entropy_with_logits
    before, after = _lowers(module, loss, torch.tensor(labels, dtype=torch.float64))
    assert after < 0.9 * before


def test_frozen_layers_stay():
    module = to_torch(MLPClassifier(8, **QUICK).fit(X, Y), freeze="net.body.0.*")
    first = module.net.body[0].weight.clone()
    _lowers(module, nn.functional.cross_entropy, torch.tensor(Y))
    assert torch.equal(module.net.body[0].weight, first)


def test_one_class_is_refused():
    fitted = MLPClassifier(2, **QUICK).fit(X, np.full(len(X), "only"))
    with pytest.raises(ConvertError, match=r"one class only: \['only'\]"):
        to_torch(fitted)


def test_what_chance_decides_is_not_there():
    module = to_torch(BernoulliRBM(2, n_iter=1, random_state=0).fit(X.mean(0) < X))
    assert hasattr(module, "transform")
    assert not hasattr(module, "score_samples")
