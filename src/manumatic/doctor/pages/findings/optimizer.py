"""Findings about steps that are too long, too short or go nowhere (MM301 to 303, 307, 308, 310)."""

__all__ = ["OPTIMIZER"]

from manumatic.doctor.pages.findings.page import FindingPage

OPTIMIZER: dict[str, FindingPage] = {
    "MM301": FindingPage(
        meaning="""
Gradient descent steps downhill by lr times the slope. Where the loss curves more strongly than
2/lr, the step ends higher on the other side than it began, and the next one is longer still: the
loss grows until it is inf. For a linear model under the mean squared error the limit is known
before training: 2 divided by the largest curvature, 0.0845 for study hours. lr 0.08 converges
there, 0.1 is inf in epoch 127, counted from 0. Standardised hours raise the limit to 1.0, and lr
0.5 is exact after one step.
""",
        seen="""
Before the first step, where it can be computed: plain SGD (momentum and weight decay count too),
a model that is linear in its weights, the mean squared error. A lr above 2(1 + momentum)/(λmax +
weight_decay) is named; with minibatches only one above twice that. While driving, for any model:
the loss is not finite, or 5 epochs in a row above 10 times its best and a tenth of the first;
`mm.listen` takes medians of 50 losses for that.
""",
        automatic="""
It scales X and the target, and takes AdamW with lr 0.002 to 0.005 falling along a cosine. A loss
that is not finite stops the run with epoch and batch, the last finite weights kept.
""",
        fix="""
optimizer = torch.optim.SGD(model.parameters(), lr=0.04)  # half the limit; or scale X first
""",
        ignoring="When a schedule warms up from far below, or the gradients are clipped.",
        code="""
import torch
from torch import nn

hours = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
score = torch.tensor([[52.0], [59.0], [66.0], [73.0], [80.0]])


def limit(X):
    A = torch.cat([X, torch.ones(5, 1)], dim=1)
    return f"{2 / torch.linalg.eigvalsh(2 * A.T @ A / 5).max().item():.4f}"


def train(X, lr, epochs=1000):
    torch.manual_seed(42)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in range(epochs):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), score)
        if not loss.isfinite():
            return f"{loss.item()} in epoch {epoch}"
        loss.backward()
        optimizer.step()
    return f"{loss.item():.4f}"


print(limit(hours))  # 0.0845
print(train(hours, 0.1))  # inf in epoch 127: counted from 0
print(train(hours, 0.08))  # 0.0000
scaled = (hours - hours.mean()) / hours.std(correction=0)
print(limit(scaled))  # 1.0000
print(train(scaled, 0.5, epochs=2))  # 0.0000: exact after one step
""",
    ),
    "MM302": FindingPage(
        meaning="""
A loop of a fixed number of epochs ends where it ends. If the loss is still falling then, the
answer is a way station: study hours with SGD at 0.01 say 87.88 for 6 hours after 1,000 epochs,
where the line says 87. Nothing is wrong with the code, so nothing is reported. The loss fell by
half over the last 100 epochs and needs 514 more to get below 0.01. With standardised hours two
epochs do.
""",
        seen="""
After the last epoch, unless patience or a schedule ended the run: the loss (that of the
validation rows, where there are some) fell by more than 10% in the last tenth of the epochs while
it is above 30% of what a constant answer gives; in regression also by more than 30% while it is
above 0.1% of that. Without validation rows and with more weights than rows, by 25% in the last
epoch.
""",
        automatic="""
It chooses epochs for about 3,000 steps, lets the learning rate fall to 0, and stops early only by
rows held out.
""",
        fix="""
training.run(epochs=1000)  # go on from here; or scale X, or a larger lr
""",
        ignoring="When stopping early is how you keep the model simple, or the budget is spent.",
        code="""
import torch
from torch import nn

hours = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
score = torch.tensor([[52.0], [59.0], [66.0], [73.0], [80.0]])


def train(X, epochs, lr):
    torch.manual_seed(42)
    model, losses = nn.Linear(1, 1), []
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in range(epochs):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), score)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


six = torch.tensor([[6.0]])
model, losses = train(hours, epochs=1000, lr=0.01)
print(f"{losses[-101]:.2f} {losses[-1]:.2f} {model(six).item():.2f}")  # 0.64 0.33 87.88
_, losses = train(hours, epochs=2000, lr=0.01)
print(next(epoch for epoch, loss in enumerate(losses) if loss < 0.01))  # 1514
mean, spread = hours.mean(), hours.std(correction=0)
model, losses = train((hours - mean) / spread, epochs=2, lr=0.5)
print(f"{losses[-1]:.2f} {model((six - mean) / spread).item():.2f}")  # 0.00 87.00
""",
    ),
    "MM303": FindingPage(
        meaning="""
backward() adds to weight.grad. Without zero_grad() each step uses the sum of all gradients so
far, so that the model runs on past its goal like a ball without friction. There is no error, and
the loss does fall at times. On study hours the second step has a gradient of length 321.8 and
uses 743.2; the loss comes back up to 4264, above the 4031 that it began with, and ends at 1059,
where the same loop with zero_grad() ends at 0.3.
""",
        seen="""
With `mm.listen` around your loop: a backward() adds to a gradient that a step has already used.
`manumatic doctor` sees a loop with backward() and step() and no zero_grad().
""",
        automatic="It calls zero_grad() before each backward().",
        fix="""
optimizer.zero_grad()  # before loss.backward(), in each step
""",
        ignoring="""
When a step is meant to use old gradients again. Accumulating over several batches, with
zero_grad() after the step, is not mistaken for it; mm.Loop(accumulate=4) does that.
""",
        code="""
import torch
from torch import nn

X = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
y = torch.tensor([[52.0], [59.0], [66.0], [73.0], [80.0]])


def train(forgotten):
    torch.manual_seed(42)
    model, losses, lengths = nn.Linear(1, 1), [], []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(1000):
        if not forgotten:
            optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        lengths.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm())
    return f"gradient {lengths[1]:.1f}, losses up to {max(losses[1:]):.0f}, last {losses[-1]:.1f}"


print(train(forgotten=False))  # gradient 321.8, losses up to 2465, last 0.3
print(train(forgotten=True))  # gradient 743.2, losses up to 4264, last 1059.2
""",
    ),
    "MM307": FindingPage(
        meaning="""
A ReLU passes nothing on below zero, in neither direction. One step that is too long can push a
unit below zero for every row; from then on its gradient is exactly 0 and no optimizer moves it
again. A network with many such units is a smaller network, with all of them it answers the same
to everything. On digits lr 0.1 leaves 1 of 32 units dead and gets 97% right, lr 3 kills all 32
and gets 10%.
""",
        seen="""
After the last step: more than 60% of the units of a ReLU layer are 0 for all of 256 rows (32
images). Each nn.ReLU and F.relu is looked at by itself.
""",
        automatic="""
Its learning rate is small enough and its inputs are scaled; it tells when units die all the same.
""",
        fix="""
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # smaller; or nn.LeakyReLU, nn.SiLU
""",
        ignoring="When sparse activity is the aim, or the network is far too wide anyway.",
        code="""
import torch
from sklearn.datasets import load_digits
from torch import nn

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16).float(), torch.tensor(y)


def train(lr):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(30):
        for rows in torch.randperm(len(X), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    dead = (model[:2](X) == 0).all(dim=0).sum().item()
    right = (model(X).argmax(1) == y).float().mean()
    return f"{dead} of 32 units dead, {right:.0%} right"


print(train(lr=3.0))  # 32 of 32 units dead, 10% right
print(train(lr=0.1))  # 1 of 32 units dead, 97% right
""",
    ),
    "MM308": FindingPage(
        meaning="""
The length of a step means something only beside the length of the weights. A first step of a
hundredth of it is usual; at a millionth a network gets nowhere in a lifetime of epochs, and where
the first step is nearly as long as the weights, nothing is left of how they were drawn. In both
cases the loss looks calm. On digits Adam at 1e-7 first moves no layer by more than 1.1e-06 of its
length and is right in 4% of the rows after 20 epochs; at 1e-3 it is 0.012 and 95%, at 0.3 it is
0.96 and 20%.
""",
        seen="""
After the first step of a run: no weight matrix was changed by more than 1e-5 of its length, or
each of several by more than 0.4 of it, or one 100,000 times as much as another. Only the
first step tells; with Adam the ratio falls later at any rate.
""",
        automatic="AdamW with lr 0.005 for its own networks and 0.002 for yours, falling to 0.",
        fix="""
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
""",
        ignoring="When you tune a trained model gently, or a schedule begins at almost 0.",
        code="""
import torch
from sklearn.datasets import load_digits
from torch import nn

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16).float(), torch.tensor(y)


def train(lr):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    layers, ratios = (model[0], model[2]), []
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(20):
        for rows in torch.randperm(len(X), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            old = [layer.weight.detach().clone() for layer in layers]
            optimizer.step()
            new = [layer.weight.detach() for layer in layers]
            ratios += [(b - a).norm() / max(a.norm(), b.norm()) for a, b in zip(old, new)]
    right = (model(X).argmax(1) == y).float().mean()
    return f"{max(ratios[:2]):.2g} of the weights in the first step, then {right:.0%} right"


print(train(lr=1e-7))  # 1.1e-06 of the weights in the first step, then 4% right
print(train(lr=1e-3))  # 0.012 of the weights in the first step, then 95% right
print(train(lr=0.3))  # 0.96 of the weights in the first step, then 20% right
""",
    ),
    "MM310": FindingPage(
        meaning="""
The variance of y is the loss of a model that answers the mean to everybody. Training that stops
there has learned the bias of the last layer and nothing about X: the units before it are dead or
saturated, or a shape is wrong (MM201). The curve looks like success: it falls and settles. On
the houses table as it is, sigmoid units are saturated from the start: the loss settles at 42.66,
the variance of the prices, and all predictions are the same to four digits. With standardised
columns the same network reaches 9.27.
""",
        seen="""
After the last step of 20 epochs or more: over the second half of them the loss stayed within 1%
of the best constant's, which is the variance of y for squared errors and the entropy of the
shares for classes.
""",
        automatic="It scales X and the target and shapes the target, and tells all the same.",
        fix="""
X = (X - X.mean(0)) / X.std(0)  # and y.view(-1, 1), and a smaller lr
""",
        ignoring="When the mean is the best there is: X says nothing about y.",
        code="""
import torch
from torch import nn

import manumatic as mm

X, y = mm.datasets.load_houses(return_X_y=True)
X, y = torch.tensor(X).float(), torch.tensor(y).float()[:, None]


def train(X):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(13, 16), nn.Sigmoid(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(300):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), y)
        loss.backward()
        optimizer.step()
    return f"loss {loss.item():.2f}, predictions differ by {model(X).std().item():.4f}"


print(f"{y.var(correction=0).item():.2f}")  # 42.66
print(train(X))  # loss 42.66, predictions differ by 0.0000
print(train((X - X.mean(0)) / X.std(0)))  # loss 9.27, predictions differ by 5.6379
""",
    ),
}
