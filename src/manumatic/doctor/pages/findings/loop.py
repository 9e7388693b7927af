"""Findings about how the loop goes over the rows and when it ends (MM304 to 306, 309, 311)."""

__all__ = ["LOOP"]

from manumatic.doctor.pages.findings.page import FindingPage

LOOP: dict[str, FindingPage] = {
    "MM304": FindingPage(
        meaning="""
Each step follows the rows of its batch alone. In a table that is sorted by class, or by y, a
batch holds one class, and the network learns to say that class, then the next; what it saw last
wins. There is no error, and with small steps it may even pass unnoticed. On digits sorted by
class, batches in the order of the rows end with 10% right (every row is called a 9), shuffled
ones with 99%.
""",
        seen="""
Before the first step, with batches that are not shuffled and 50 rows or more: neighbouring rows
have the same class far more often than chance would have it (0.9 of the way from chance to
always), or numbers whose ranks correlate by more than 0.9. `manumatic doctor` sees a DataLoader
for training without shuffle=True.
""",
        automatic="It shuffles, in a new order each epoch that (random_state, epoch) alone decide.",
        fix="""
data=mm.Data(shuffle=True)  # or DataLoader(..., shuffle=True)
""",
        ignoring="When the order is the content, as in a curriculum or a stream in time.",
        code="""
import torch
from sklearn.datasets import load_digits
from torch import nn

X, y = load_digits(return_X_y=True)
order = y.argsort(kind="stable")  # a table that somebody sorted by class
X, y = torch.tensor(X[order] / 16).float(), torch.tensor(y[order])


def train(shuffle):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(10):
        rows = torch.randperm(len(X), generator=generator) if shuffle else torch.arange(len(X))
        for batch in rows.split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()
            optimizer.step()
    answers = model(X).argmax(1)
    right, nines = ((answers == wanted).float().mean() for wanted in (y, 9))
    return f"{right:.0%} right, {nines:.0%} called a 9"


print(train(shuffle=False))  # 10% right, 100% called a 9
print(train(shuffle=True))  # 99% right, 10% called a 9
""",
    ),
    "MM305": FindingPage(
        meaning="""
A network with more weights than rows goes on to learn the noise. The training loss keeps falling,
the loss on rows that it has not seen turns and rises, and a loop that keeps the last weights
keeps the worst of both. On 150 patients of the diabetes table the loss on the others is lowest
in epoch 5, at 0.53; after 200 epochs it is 0.96, nearly that of answering the mean, and
the training loss is 0.02.
""",
        seen="""
After the last step, when the last weights are kept and rows were held out: the validation loss,
averaged over a tenth of the epochs, ended 10% or more above its lowest average, and the training
loss fell on. A rise of less than 2% of a constant answer's loss is none.
""",
        automatic="""
From 200 rows on it holds out a tenth, stops when they have not improved for a while, and keeps
the best weights.
""",
        fix="""
loop=mm.Loop(epochs=200, patience=20, keep="best")
""",
        ignoring="When you want the curve itself, or judge by another measure than the loss.",
        code="""
import copy

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn

X, y = load_diabetes(return_X_y=True)
X, y = torch.tensor(scale(X)).float(), torch.tensor(scale(y)).float()[:, None]
X, y, X_valid, y_valid = X[:150], y[:150], X[150:], y[150:]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
best, kept = float("inf"), None
for epoch in range(200):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(X), y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        valid = nn.functional.mse_loss(model(X_valid), y_valid).item()
    if valid < best:
        best, best_epoch, kept = valid, epoch, copy.deepcopy(model.state_dict())

print(f"last: training {loss.item():.2f}, valid {valid:.2f}")  # last: training 0.02, valid 0.96
model.load_state_dict(kept)
valid = nn.functional.mse_loss(model(X_valid), y_valid).item()
print(f"best, after epoch {best_epoch}: {valid:.2f}")  # best, after epoch 5: 0.53
""",
    ),
    "MM306": FindingPage(
        meaning="""
to(device) moves parameters and buffers. A tensor that forward makes itself, or that `__init__`
keeps as a plain attribute, stays on the CPU, and the model works until the day it meets a GPU;
then it stops with an error about two devices. The device "meta", which has shapes and no numbers,
shows it without a GPU.
""",
        seen="""
When `mm.diagnose` is asked: a copy of the model runs on the device "meta". The message names the
line of your file that makes or holds the tensor.
""",
        automatic="It moves the model and each batch; what forward makes itself is yours.",
        fix="""
start = torch.zeros(len(X), 2, device=X.device)  # in forward
self.register_buffer("shift", torch.ones(2))     # in __init__
""",
        ignoring="When the model will only ever run on the CPU.",
        code="""
import torch
from torch import nn


class Wrong(nn.Linear):
    def forward(self, X):
        return super().forward(X) + torch.zeros(len(X), 2)


class Right(nn.Linear):
    def forward(self, X):
        return super().forward(X) + torch.zeros(len(X), 2, device=X.device)


def attempt(kind):
    model, X = kind(3, 2).to("meta"), torch.ones(4, 3, device="meta")
    try:
        return model(X).device
    except RuntimeError:
        return "two devices"


print(Wrong(3, 2)(torch.ones(4, 3)).shape)  # torch.Size([4, 2]): on the CPU all is well
print(attempt(Wrong))  # two devices
print(attempt(Right))  # meta
""",
    ),
    "MM309": FindingPage(
        meaning="""
Batch norm scales by the mean and spread of the batch while training, and by running averages of
them when predicting. From two rows a spread is mostly chance, so that the network trains with
noise and predicts with averages that were never true. One row alone is an error ("Expected more
than 1 value per channel"), two are not. On digits, one epoch with batches of 2 ends at 78% right
with batch norm and at 93% with layer norm; with batches of 32 batch norm gets 94%.
""",
        seen="""
Before the first step: the model has a batch norm, and its batches have fewer than 8 rows, or the
last one of an epoch is left with 3 or fewer.
""",
        automatic="""
It never leaves one row alone in a last batch: the batches grow until none is that short.
""",
        fix="""
data=mm.Data(batch_size=32)  # or nn.LayerNorm, nn.GroupNorm, which look at one row
""",
        ignoring="When the batch norm is frozen (eval mode) and only uses its averages.",
        code="""
import torch
from sklearn.datasets import load_digits
from torch import nn

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16).float(), torch.tensor(y)


def train(norm, batch_size):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), norm(32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for rows in torch.randperm(len(X), generator=generator)[:1792].split(batch_size):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
        optimizer.step()
    model.eval()
    return f"{(model(X).argmax(1) == y).float().mean():.0%} right"


print(train(nn.BatchNorm1d, 2))  # 78% right
print(train(nn.LayerNorm, 2))  # 93% right
print(train(nn.BatchNorm1d, 32))  # 94% right
""",
    ),
    "MM311": FindingPage(
        meaning="""
The best epoch is chosen where the loss on the rows held out is lowest. With ten rows that is
decided by which ten: on the diabetes table, 24 choices of ten rows name epochs from 2 to 149 as
the best of one and the same run, with losses from 0.12 to 0.75. All 242 rows together name epoch
26, at 0.52. The lowest loss is also too good, because it was picked for being low.
""",
        seen="""
After the last step: the epoch that was kept is among the first 2% (or the first two), fewer than
200 rows chose it, and the training loss fell by 20% or more afterwards.
""",
        automatic="Below 200 rows it holds none out and does not stop early.",
        fix="""
data=mm.Data(validation=0.2)  # more rows; or a fixed number of epochs, chosen by cross-validation
""",
        ignoring="When rows are scarce and any stop is better than none.",
        code="""
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn

X, y = load_diabetes(return_X_y=True)
X, y = torch.tensor(scale(X)).float(), torch.tensor(scale(y)).float()[:, None]

torch.manual_seed(0)
model, errors = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1)), []
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(150):
    optimizer.zero_grad()
    nn.functional.mse_loss(model(X[:200]), y[:200]).backward()
    optimizer.step()
    with torch.no_grad():
        errors.append((model(X[200:]) - y[200:]).square()[:, 0])
errors = torch.stack(errors)  # epochs x 242 rows held out

few = errors[:, :240].reshape(150, 24, 10).mean(dim=2)  # 24 times ten rows
epochs, losses = few.argmin(dim=0), few.min(dim=0).values
print(f"{epochs.min()} to {epochs.max()}")  # 2 to 149
print(f"{losses.min():.2f} to {losses.max():.2f}")  # 0.12 to 0.75
every = errors.mean(dim=1)
print(f"epoch {every.argmin()}, loss {every.min():.2f}")  # epoch 26, loss 0.52
""",
    ),
}
