"""Short pages on what a user of PyTorch meets and a user of scikit-learn does not; each runs."""

__all__ = ["TOPICS", "Topic"]

from typing import NamedTuple


class Topic(NamedTuple):
    """A title, a few sentences, and a program that shows them."""

    title: str
    text: str
    code: str


TOPICS: dict[str, Topic] = {
    "fit": Topic(
        "What does fit hide?",
        """
scikit-learn's fit is three different things under one name. Some models have a formula: fit
computes it (LinearRegression, GaussianNB, PCA). Some store or search: fit keeps the rows
(KNeighborsClassifier) or asks greedy questions (trees). The others take many small steps: a
model makes predictions, a loss says how wrong they are, an optimizer changes the weights a
little, a loop does it again (MLPClassifier, SGDRegressor, and every network in PyTorch).

The third kind cannot do without loss and optimizer: without a loss there is no number to
improve and nothing to call backward on; without an optimizer the gradients are there and no
weight moves. A formula needs neither, because its minimum is known. explain(LinearRegression),
or any other class, says which kind it is; a fitted manumatic estimator says in logbook_ what it
chose.
""",
        """
import numpy as np
import torch

X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), np.array([52.0, 59.0, 66.0, 73.0, 80.0])

# a formula
A = np.column_stack([X, np.ones(5)])
weight, bias = np.linalg.lstsq(A, y, rcond=None)[0]
print(f"formula      {weight:.2f} {bias:.2f}")  # 7.00 45.00

# many small steps
torch.manual_seed(42)
rows, target = torch.tensor(X).float(), torch.tensor(y).float()[:, None]  # data
model = torch.nn.Linear(1, 1)  # model
loss_fn = torch.nn.MSELoss()  # loss
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)  # optimizer
for epoch in range(1000):  # loop
    optimizer.zero_grad()
    loss_fn(model(rows), target).backward()
    optimizer.step()
print(f"1000 steps   {model.weight.item():.2f} {model.bias.item():.2f}")  # 7.37 43.67, on the way
""",
    ),
    "tensors": Topic(
        "Tensors: arrays that know their device and where they came from",
        """
A tensor is numpy's array with two things more: it lives on a device (CPU, GPU), and it can
remember the operations that made it, so that gradients can be computed. Three habits avoid most
accidents. Use float32: networks are made of it, numpy's default is float64. Give predictions
and targets the same shape: (n, 1) minus (n,) is an (n, n) table, and a mean over it trains to
nonsense without an error. Know what is shared: from_numpy, views and slices change together;
torch.tensor copies.
""",
        """
import numpy as np
import torch

rows = np.array([[1.0], [2.0], [3.0]])
shared, copied = torch.from_numpy(rows), torch.tensor(rows, dtype=torch.float32)
rows[0, 0] = 100.0
print(shared[0].item(), copied[0].item())  # 100.0 1.0
print(shared.dtype, copied.dtype)  # torch.float64 torch.float32

prediction, target = torch.zeros(5, 1), torch.arange(5.0)
print((prediction - target).shape)  # torch.Size([5, 5]): five rows became twenty-five
print((prediction - target[:, None]).shape)  # torch.Size([5, 1])
""",
    ),
    "autograd": Topic(
        "Autograd: who computes the gradients",
        """
While a model computes, PyTorch notes each operation. backward() walks that record from the loss
to the weights and leaves in weight.grad how the loss would change if the weight grew a little:
the chain rule, nothing else. Gradients add up until they are cleared, so a loop clears them
each step. Where no gradient is wanted (validation, prediction) torch.no_grad() or
torch.inference_mode() saves the record. scikit-learn has no autograd: where it uses gradients,
somebody wrote the derivative by hand.
""",
        """
import torch

torch.manual_seed(42)
X = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
y = torch.tensor([[52.0], [59.0], [66.0], [73.0], [80.0]])
model = torch.nn.Linear(1, 1)
loss = torch.nn.functional.mse_loss(model(X), y)
loss.backward()
print(f"{loss.item():.4f}")  # 4031.2007
print(f"{model.weight.grad.item():.2f} {model.bias.grad.item():.2f}")  # -402.20 -125.75

by_hand = (2 * (model(X) - y) * X).mean()  # the chain rule
print(torch.isclose(by_hand, model.weight.grad).item())  # True

torch.nn.functional.mse_loss(model(X), y).backward()  # without zero_grad
print(f"{model.weight.grad.item():.2f}")  # -804.40: added, not replaced
""",
    ),
    "module": Topic(
        "nn.Module: what a PyTorch model is",
        """
A model is a class with two parts: layers made in __init__, and forward, which says how a batch
goes through them. Everything else comes with it: parameters() for the optimizer, state_dict()
to save, to(device), and train()/eval(), which switch dropout and batch norm. Two accidents:
layers in a plain Python list are invisible (use nn.ModuleList), and predictions without eval()
are random under dropout. Return raw outputs; the losses for classes expect them before the
softmax.
""",
        """
import torch
from torch import nn

class Hidden(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers
        self.dropout = nn.Dropout(0.5)

    def forward(self, X):
        for layer in self.layers:
            X = layer(X)
        return self.dropout(X)

layers = [nn.Linear(2, 3), nn.Linear(3, 1)]
print(len(list(Hidden(layers).parameters())))  # 0: a list hides them from the optimizer
model = Hidden(nn.ModuleList(layers))
print(len(list(model.parameters())))  # 4: two weights, two biases

X = torch.ones(1, 2)
print(len({model(X).item() for _ in range(20)}) > 1)  # True: dropout draws each time
model.eval()
print(len({model(X).item() for _ in range(20)}))  # 1
""",
    ),
    "data": Topic(
        "Data: batches, order, and what may be learned from which rows",
        """
A network sees its rows in batches, in a new order each epoch; the order comes from a generator
with a seed, so that a run can be repeated. Columns are brought to a similar scale first, with
means and deviations of the training rows alone: what is computed from the rows held out makes
their score too good. A DataLoader does it for data that do not fit into memory; for a table, a
permuted index does the same without fetching row by row, and several times as fast. manumatic
does it that way, in mm.Data.
""",
        """
import torch

X = torch.arange(10.0)[:, None]
train, valid = X[:8], X[8:]
mean, deviation = train.mean(0), train.std(0)  # of the training rows only
train, valid = (train - mean) / deviation, (valid - mean) / deviation

def batches(rows, size, seed, epoch):
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1000 * seed + epoch))
    return rows[order].split(size)

first, again = (torch.cat(batches(train, 3, seed=0, epoch=0)) for _ in range(2))
print(torch.equal(first, again))  # True: the same seed and epoch, the same order
print([len(batch) for batch in batches(train, 3, seed=0, epoch=1)])  # [3, 3, 2]
print(torch.equal(first.sort(0).values, train))  # True: each row once an epoch
""",
    ),
    "debug": Topic(
        "Debugging: a network does not fail, it learns badly",
        """
There is rarely an error message, so ask in this order. Is the loss at the start what a guess
would give: log(number of classes) for cross entropy? Can the network learn a handful of rows by
heart? If not, the fault is in model, loss or loop, not in the data. Do all weights get a
gradient that is not None, not zero, not NaN? Do the labels fit the outputs: shapes, order, no
softmax before cross entropy? In manumatic, net.manual(X, y) and training.step() stop after each
step with the gradients in place.
""",
        """
import math

import torch
from torch import nn

torch.manual_seed(0)
X, y = torch.randn(8, 4), torch.arange(8) % 3
model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

start = loss_fn(model(X), y).item()
print(abs(start - math.log(3)) < 0.3)  # True: it begins with a guess

for _ in range(200):
    optimizer.zero_grad()
    loss = loss_fn(model(X), y)
    loss.backward()
    optimizer.step()
print(loss.item() < 0.01)  # True: eight rows learned by heart

print([name for name, weight in model.named_parameters() if weight.grad is None])  # []
print(all(weight.grad.isfinite().all() for weight in model.parameters()))  # True
""",
    ),
    "stability": Topic(
        "Stability: how large may a step be, and when to stop",
        """
Gradient descent on a squared loss converges when the learning rate is below 2 divided by the
largest curvature, and flies apart above. Columns on different scales make that limit small;
standardising them raises it, which is why networks want scaled inputs. When the loss rises or
becomes NaN: lower lr first, then scale the columns, then clip the gradients. Stop by rows held
out (patience), not by the training loss, and compare on the same folds. manumatic stops with
DivergedError at the first loss that is not finite and keeps the last finite weights.
""",
        """
import torch

x, y = torch.arange(1.0, 6.0), torch.tensor([52.0, 59.0, 66.0, 73.0, 80.0])

def limit(x):
    A = torch.stack([x, torch.ones(5)], dim=1)
    return 2 / torch.linalg.eigvalsh(2 * A.T @ A / 5).max().item()

def descend(x, lr, steps=100):
    weight = torch.zeros(2, requires_grad=True)
    for _ in range(steps):
        loss = ((weight[0] * x + weight[1] - y) ** 2).mean()
        (gradient,) = torch.autograd.grad(loss, weight)
        weight = (weight - lr * gradient).detach().requires_grad_()
    return loss.item()

print(f"{limit(x):.4f}")  # 0.0845
print(descend(x, 0.08) < 200, descend(x, 0.09) > 1e6)  # True True: below and above the limit
scaled = (x - x.mean()) / x.std(correction=0)
print(f"{limit(scaled):.2f}")  # 1.00
print(f"{descend(scaled, 0.5, steps=2):.4f}")  # 0.0000: exact after one step
""",
    ),
}
