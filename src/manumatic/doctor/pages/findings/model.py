"""Findings about model and loss (MM2xx)."""

__all__ = ["MODEL"]

from manumatic.doctor.pages.findings.page import FindingPage

MODEL: dict[str, FindingPage] = {
    "MM201": FindingPage(
        meaning="""
A network with one output returns (n, 1), a column of a table is (n,). Subtracting them broadcasts
to (n, n): MSELoss compares every prediction with every target, and the best answer to that
question is the mean of y for everybody. PyTorch warns once and goes on; a warnings filter
silences it, and NumPy says nothing at all.

On study hours the training converges, smoothly, to weight 0.001, bias 66.00 and a loss of 98.00:
the mean and the variance of y. With the target in the right shape it finds 7 and 45.
""",
        seen="""
Before the first step: outputs and targets of a few rows have the same number of values in another
shape, under a loss of torch for numbers or yes and no; a loss of your own is asked for both
shapes, and named when the answers differ. `mm.listen` sees it in a loop of your own, `manumatic
doctor` where a script makes both. MM310 sees what comes of it.
""",
        automatic="It brings the target into the shape of the outputs before the first step.",
        fix="""
y = y.view(-1, 1)  # or loss_fn(model(X).squeeze(1), y)
""",
        ignoring="When a loss of your own compares all pairs on purpose.",
        code="""
import warnings

import numpy as np
import torch
from torch import nn

X = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
y = torch.tensor([52.0, 59.0, 66.0, 73.0, 80.0])


def train(target):
    torch.manual_seed(42)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(3000):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), target)
        loss.backward()
        optimizer.step()
    return f"loss {loss.item():.2f}, weight {model.weight.item():.3f}, bias {model.bias.item():.2f}"


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # all that PyTorch says is a UserWarning
    print(train(y))  # loss 98.00, weight 0.001, bias 66.00: the mean of y
print(train(y.view(-1, 1)))  # loss 0.00, weight 7.000, bias 45.00

# the same with NumPy, where a metric is wrong without any warning
prediction, truth = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 3.0])
print(f"{((prediction - truth) ** 2).mean():.2f}")  # 1.33: all three were right
print(f"{((prediction[:, 0] - truth) ** 2).mean():.2f}")  # 0.00
""",
    ),
    "MM202": FindingPage(
        meaning="""
CrossEntropyLoss applies the softmax itself. A network that ends in one is squashed twice: the
second softmax sees numbers between 0 and 1 only, cannot be sure of anything, and with K classes
the loss cannot fall below log(1 + (K-1)/e), 0.551 for three. It trains all the same, slowly and
with probabilities that mean nothing. On wine the loss stops at 0.5516; without the last layer
it is 0.0003. The same holds for Sigmoid before BCEWithLogitsLoss.
""",
        seen="""
Before the first step: under cross entropy the outputs of a few rows are 0 or more and sum to 1,
or come out of a sigmoid; under BCEWithLogitsLoss they come out of a sigmoid or softmax. The other
way round too: NLLLoss without log-softmax, BCELoss with outputs outside 0 to 1. `mm.listen` and
`manumatic doctor` look for the first.
""",
        automatic="""
It refuses such a model before the first step, in one sentence. predict_proba applies the softmax
by itself.
""",
        fix="""
model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))  # no Softmax at the end
""",
        ignoring="When the loss is one of your own that wants probabilities.",
        code="""
import math

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import nn

X, y = load_wine(return_X_y=True)
X, y = torch.tensor(scale(X)).float(), torch.tensor(y)


def train(*last):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3), *last)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(500):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
    return f"{loss.item():.4f}"


print(f"{math.log(1 + 2 / math.e):.4f}")  # 0.5514: the floor with three classes
print(train(nn.Softmax(dim=1)))  # 0.5516
print(train())  # 0.0003
""",
    ),
    "MM203": FindingPage(
        meaning="""
PyTorch finds the weights of a module by its attributes. Layers in a plain Python list or dict are
not found: parameters() leaves them out, no optimizer moves them, to(device) leaves them behind
and state_dict() does not save them. If there are others, training runs and these stay as they
were drawn. A layer that forward never calls, or that stands before a detach(), is registered but
gets no gradient: the same result.
""",
        seen="""
Before the first step: a list, tuple, dict or plain attribute of the model holds weights that
neither parameters() nor the optimizer knows; the optimizer holds none of the model's weights; or
the loss of up to 256 rows has no gradient for one of them. Weights with requires_grad=False are
meant, and nothing is said. `manumatic doctor` sees layers in plain lists.
""",
        automatic="It trains what parameters() returns; your module is yours.",
        fix="""
self.layers = nn.ModuleList([nn.Linear(4, 8), nn.Linear(8, 1)])
""",
        ignoring="When the weights are meant to stay: fixed features, a part for another task.",
        code="""
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, keep):
        super().__init__()
        self.hidden = keep([nn.Linear(4, 8), nn.Linear(8, 8)])
        self.last = nn.Linear(8, 1)

    def forward(self, X):
        for layer in self.hidden:
            X = layer(X).relu()
        return self.last(X)


def moved(keep):
    torch.manual_seed(0)
    model, X = Net(keep), torch.randn(16, 4)
    before = model.hidden[0].weight.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    (model(X) - 1).square().mean().backward()
    optimizer.step()
    numbers = sum(weight.numel() for weight in model.parameters())
    return numbers, not torch.equal(before, model.hidden[0].weight)


print(moved(list))  # (9, False): 9 numbers are trained, the hidden layers are not among them
print(moved(nn.ModuleList))  # (121, True)
""",
    ),
    "MM204": FindingPage(
        meaning="""
A prediction for a row should depend on that row alone. A softmax or a mean over dim=0, a view
where a permute was meant, and batch statistics at the wrong place mix the rows of a batch. The
shapes are right and training runs, even well: each row is told something about the others. A row
that comes alone then gets another answer: in the program below 0.06 instead of 0.18.
""",
        seen="""
Before the first step, in eval mode: the gradient of the prediction for row 0 with respect to the
other rows of 8 is not 0. Where X holds whole numbers, the other rows are exchanged instead.
""",
        automatic="It only tells, before the first step: it cannot know what you meant.",
        fix="""
weights = scores.softmax(dim=-1)  # over the features; dim=0 is over the rows
""",
        ignoring="When rows are meant to see each other, as in attention between rows.",
        code="""
import torch
from torch import nn


class Attend(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.scores, self.head, self.dim = nn.Linear(4, 4), nn.Linear(4, 1), dim

    def forward(self, X):
        return self.head(X * self.scores(X).softmax(self.dim))


def look(dim, row=3):
    torch.manual_seed(0)
    X, model = torch.randn(16, 4, requires_grad=True), Attend(dim)
    prediction = model(X)
    (gradient,) = torch.autograd.grad(prediction[row].sum(), X)
    others = torch.cat([gradient[:row], gradient[row + 1 :]]).abs().max().item()
    return f"{others > 0} {prediction[row].item():.2f} {model(X[row : row + 1]).item():.2f}"


print(look(0))  # True 0.18 0.06: other rows count; in a batch, and alone
print(look(1))  # False 0.12 0.12
""",
    ),
    "MM205": FindingPage(
        meaning="""
A network that knows nothing should begin at the loss of a guess: log(K) for cross entropy with K
balanced classes, 2.3 for ten. A first loss far above means that it is sure of answers it cannot
know: inputs that are not scaled, weights that were drawn too large, or a label that does not fit
its output. The first epochs are spent on taking that back. On digits, weights drawn with a
standard deviation of 1 begin at 28.0 and are right in 28% of the rows after five epochs;
PyTorch's own draw begins at 2.3 and is right in 90%.
""",
        seen="""
Before the first step, for classifiers: the loss of 64 rows is more than 3 times that of outputs
that are all equal, log(K) for K classes.
""",
        automatic="It scales inputs and targets, and draws its own networks' weights small enough.",
        fix="""
nn.init.xavier_uniform_(layer.weight)  # and scale X
""",
        ignoring="When you start from weights that were trained for something else.",
        code="""
import math

import torch
from sklearn.datasets import load_digits
from torch import nn

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16).float(), torch.tensor(y)


def train(spread=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    if spread is not None:
        for weight in model.parameters():
            nn.init.normal_(weight, std=spread)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    first = nn.functional.cross_entropy(model(X), y).item()
    generator = torch.Generator().manual_seed(0)
    for epoch in range(5):
        for rows in torch.randperm(len(X), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
    right = (model(X).argmax(1) == y).float().mean()
    return f"first loss {first:.1f}, then {right:.0%} right"


print(f"{math.log(10):.1f}")  # 2.3: a guess
print(train(spread=1.0))  # first loss 28.0, then 28% right
print(train())  # first loss 2.3, then 90% right
""",
    ),
    "MM206": FindingPage(
        meaning="""
A network that cannot learn sixteen rows by heart will not learn a thousand. If many steps on one
small batch leave the loss where it was, the fault is in the model or the loss, not in the data: a
ReLU behind the last layer, a detach(), a sign, an output that never sees the input. In the
program below the target goes below zero, a ReLU at the end cannot follow, and the loss stops at
0.98 where the same network without it reaches 0.0001.
""",
        seen="""
When `mm.diagnose` is asked: a copy of the network, without dropout, gets 200 steps of Adam on up
to 16 rows that differ, at lr 0.01 and, if need be, 0.001. It is said when the loss stays above
half of that of the best constant. Linear models, and rows beyond what the weights have room for,
are left out, and so is a network that would need more than 0.3 seconds.
""",
        automatic="Nothing: the check takes a while, and is made when you ask for it.",
        fix="""
model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))  # and no ReLU behind
""",
        ignoring="When the model is noisy on purpose, so that nothing is learned by heart.",
        code="""
import torch
from torch import nn

generator = torch.Generator().manual_seed(0)
X = torch.randn(16, 4, generator=generator)
y = X.sum(1, keepdim=True)


def by_heart(*last):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1), *last)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(200):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), y)
        loss.backward()
        optimizer.step()
    return f"{loss.item():.4f}"


print(f"{y.var(correction=0).item():.2f}")  # 3.78: the loss of the mean
print(by_heart(nn.ReLU()))  # 0.9814
print(by_heart())  # 0.0001
""",
    ),
}
