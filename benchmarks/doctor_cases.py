"""A mistake for each code of the doctor: how it is made, and the check that looks at it.

Each entry prepares the mistake and returns the look: what is called and timed.
"""

__all__ = ["MISTAKES", "Look"]

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

import manumatic as mm
from manumatic.doctor import after, data, driving, model, stability, trial, weights
from manumatic.doctor.case import Case, examine
from manumatic.doctor.course import Course
from manumatic.doctor.finding import Finding
from manumatic.doctor.listen import listen
from manumatic.doctor.script import read_script
from manumatic.history import History, Record

Look = Callable[[], Iterable[Finding]]

HOURS = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
SCORE = torch.tensor([[52.0], [59.0], [66.0], [73.0], [80.0]])
WINE, KINDS = (torch.from_numpy(array) for array in load_wine(return_X_y=True))
ROWS = torch.from_numpy(StandardScaler().fit_transform(WINE)).float()


def mlp(*ends: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3), *ends)


def before(check: Any, case: Case) -> Look:
    return functools.partial(examine, case, [check])


def wine(net: nn.Module, X: Tensor = ROWS, y: Tensor = KINDS, **given: Any) -> Case:
    return Case(net, X, y, nn.CrossEntropyLoss(), **given)


def hours(lr: float = 0.01, y: Tensor = SCORE) -> Case:
    line = nn.Linear(1, 1)
    return Case(
        line, HOURS, y, nn.MSELoss(), torch.optim.SGD(line.parameters(), lr=lr), batch_size=5
    )


def fitted(**given: Any) -> Any:
    settings: dict[str, Any] = {
        "data": mm.Data(batch_size=None, preprocess=None),
        "optimizer": mm.Optimizer("sgd", lr=0.01),
        "loop": mm.Loop(epochs=1000),
    }
    net = mm.Regressor("linear", random_state=42, **(settings | given))
    return net.fit(HOURS.numpy(), SCORE.numpy().ravel())


def course(train: list[float], valid: list[float] | None = None, **given: Any) -> Course:
    rows = [Record(epoch, epoch + 1, "train", "loss", v) for epoch, v in enumerate(train)]
    rows += [Record(epoch, epoch + 1, "valid", "loss", v) for epoch, v in enumerate(valid or [])]
    return Course(
        History(rows), len(train), **({"n_train": 500, "lr": 0.01, "final_lr": 0.01} | given)
    )


def script(*lines: str) -> Look:
    return functools.partial(read_script, "\n".join(lines))


# --- the models that are wrong -------------------------------------------------------------------


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(13, 32), nn.Linear(32, 13)]
        self.head = nn.Linear(13, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(x)


class Mixed(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.softmax(dim=0))


class Constant(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.zeros(len(x), 13, device="cpu")) + super().forward(x)


class Blind(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.zeros_like(x))


class Always(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5))


def drawn() -> nn.Module:
    net = nn.Linear(13, 3)
    net.weight.data = torch.from_numpy(np.random.normal(size=(3, 13))).float()
    return net


def dead() -> nn.Module:
    net = mlp()
    net[0].bias.data[:30] = -100.0
    return net


def far() -> nn.Module:
    net = mlp()
    net[2].weight.data *= 300
    return net


def forgotten() -> Look:
    """Two steps without zero_grad, listened to."""

    def look() -> Iterator[Finding]:
        torch.manual_seed(42)
        line, loss = nn.Linear(1, 1), nn.MSELoss()
        optimizer = torch.optim.SGD(line.parameters(), lr=0.01)
        with listen(line, loss, optimizer) as listener:
            for _ in range(3):
                loss(line(HOURS), SCORE).backward()
                optimizer.step()
        yield from listener.findings

    return look


def leaping() -> Look:
    net = mlp()
    old = [weight.detach().clone() for weight in net.parameters()]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.5)
    nn.functional.cross_entropy(net(ROWS), KINDS).backward()
    optimizer.step()
    names = [name for name, _ in net.named_parameters()]
    now = [weight.detach() for weight in net.parameters()]
    return lambda: driving.update_ratios(old, now, names, 0.5)


def folded() -> Look:
    keys = after.row_keys(ROWS)
    first, second = (keys[train] for train, _ in list(KFold(5).split(keys))[:2])
    return lambda: after.seen_before(first, second)


def sorted_thirds() -> Look:
    labels = load_iris().target
    folds = list(KFold(3).split(labels))
    return lambda: after.sorted_folds(labels, folds)


LINE = fitted()
FALL = [0.7, 0.6] + [0.55 * 0.97**epoch for epoch in range(98)]
RISE = [0.7, 0.6] + [0.5 + 0.003 * epoch for epoch in range(98)]
BLIND = Blind(*mlp())

MISTAKES: dict[str, tuple[str, Look]] = {
    "MM001": ("`load_boston` in a script", script("from sklearn.datasets import load_boston")),
    "MM101": ("wine, unscaled", before(data.unscaled, wine(mlp(), WINE.float()))),
    "MM102": ("float64 rows", before(data.wrong_types, wine(mlp(), ROWS.double()))),
    "MM103": ("labels 1, 2, 3", before(data.wrong_labels, wine(mlp(), y=KINDS + 1))),
    "MM104": ("weights from `np.random`", lambda: trial.drawn_elsewhere(drawn)),
    "MM105": (
        "a NaN in each 50th row",
        before(
            data.missing,
            wine(mlp(), torch.where(torch.arange(178)[:, None] % 50 == 0, torch.nan, ROWS)),
        ),
    ),
    "MM201": (
        "study hours, y of shape (5,)",
        before(model.stretched_target, hours(y=SCORE.view(-1))),
    ),
    "MM202": ("`nn.Softmax` at the end", before(model.double_softmax, wine(mlp(nn.Softmax(1))))),
    "MM203": ("layers in a Python list", before(weights.untrained_weights, wine(Listed()))),
    "MM204": ("softmax over dim 0", before(model.mixed_rows, wine(Mixed(13, 3)))),
    "MM205": ("last layer 300 times too large", before(model.far_first_loss, wine(far()))),
    "MM206": ("a net that never sees its rows", before(trial.not_learned_by_heart, wine(BLIND))),
    "MM301": ("study hours, SGD, lr 0.1", before(stability.too_fast, hours(0.1))),
    "MM302": (
        "study hours, 1,000 epochs",
        functools.partial(
            after.unfinished,
            Course(
                LINE.history_, 1000, n_train=5, n_weights=2, lr=0.01, final_lr=0.01, chance=98.0
            ),
        ),
    ),
    "MM303": ("study hours by hand", forgotten()),
    "MM304": (
        "wine, `shuffle=False`, batches of 16",
        functools.partial(after.sorted_batches, KINDS.numpy(), 16, False),
    ),
    "MM305": (
        "validation loss rises from epoch 2 on",
        functools.partial(after.overfitted, course(FALL, RISE, n_valid=100)),
    ),
    "MM306": ('`device="cpu"` in forward', before(trial.wrong_device, wine(Constant(13, 3)))),
    "MM307": ("30 of 32 units start at −100", functools.partial(driving.dead_units, dead(), ROWS)),
    "MM308": ("Adam, lr 0.5", leaping()),
    "MM309": (
        "batches of 4",
        before(model.tiny_batches, wine(nn.Sequential(nn.BatchNorm1d(13), mlp()), batch_size=4)),
    ),
    "MM310": (
        "loss stays at var(y)",
        functools.partial(driving.plateau, course([98.0] * 40, chance=98.0)),
    ),
    "MM311": (
        "best in epoch 0 of 100, 44 rows",
        functools.partial(
            after.fluke,
            course(FALL, [0.4, *RISE[1:]], n_valid=44, keep="best", best_epoch=0),
        ),
    ),
    "MM401": ("fold 2 with fold 1's weights", folded()),
    "MM402": ("`F.dropout(x)` in forward", before(model.restless_predictions, wine(Always(13, 3)))),
    "MM403": (
        "wine, scaled as a whole",
        functools.partial(after.scaled_before_split, ROWS.numpy()),
    ),
    "MM404": ("iris, `KFold(3)`", sorted_thirds()),
    "MM405": (
        "training loss 97.9 of 98",
        functools.partial(after.worse_than_chance, course([120.0, 97.9], chance=98.0)),
    ),
    "MM501": (
        "a class made in a function",
        before(
            trial.unfindable_class, wine(type("Net", (Mixed,), {"__module__": "__main__"})(13, 3))
        ),
    ),
}
