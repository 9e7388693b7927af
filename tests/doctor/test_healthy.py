"""Trainings in which nothing is wrong: the doctor keeps quiet, whatever the kind of network."""

import numpy as np
import pytest
import torch
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_moons,
    make_multilabel_classification,
    make_regression,
)
from torch import Tensor, nn
from torch.utils.data import Subset, TensorDataset

import manumatic as mm
from manumatic.datasets import load_flats


class Words(nn.Module):
    """Means of embeddings, as for short texts."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(50, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x))


class Transformer(nn.Module):
    """Reads an image line by line."""

    def __init__(self, in_shape: tuple[int, ...], out_features: int) -> None:
        super().__init__()
        self.embed = nn.Linear(in_shape[2], 32)
        self.place = nn.Parameter(torch.zeros(in_shape[1], 32))
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x.squeeze(1)) + self.place).mean(dim=1))


class Normed(nn.Sequential):
    """Batch norm and dropout."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(
            nn.Linear(in_features, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(32, out_features),
        )


def images():
    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 8, 8)[:600], y[:600]


def words():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    X = rng.integers(0, 25, (400, 8)) + 25 * (rng.random((400, 8)) < 0.2 + 0.6 * y[:, None])
    rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    return Subset(rows, range(400)), None


def texts():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    tone = [["bad", "poor", "slow", "dull"], ["good", "fine", "fast", "bright"]]
    X = [" ".join(["it", "was", "a", *rng.choice(tone[kind], 3), "day"]) for kind in y]
    return X, y


def flats():
    found = load_flats()
    return found.data[:600], found.target[:600]


def moons():
    return make_moons(400, noise=0.2, random_state=0)


ADAM = mm.Optimizer("adam", lr=1e-2)
TRAININGS = {
    "iris, all automatic": (mm.Classifier(), load_iris),
    "flats with texts and gaps, all automatic": (mm.Regressor(), flats),
    "texts, all automatic": (mm.Classifier(), texts),
    "digits, CNN": (mm.Classifier("cnn", loop=mm.Loop(8)), images),
    "digits, transformer": (mm.Classifier(Transformer, loop=mm.Loop(25)), images),
    "diabetes, linear": (mm.Regressor("linear"), load_diabetes),
    "cancer, batch norm and dropout": (
        mm.Classifier(Normed, optimizer=ADAM, data=mm.Data(batch_size=32), loop=mm.Loop(30)),
        load_breast_cancer,
    ),
    "wine, stops early": (
        mm.Classifier(
            "mlp",
            data=mm.Data(validation=0.3),
            optimizer=ADAM,
            loop=mm.Loop(200, patience=10),
        ),
        load_wine,
    ),
    "regression, LBFGS": (
        mm.Regressor("linear", optimizer=mm.Optimizer("lbfgs"), loop=mm.Loop(20)),
        lambda: make_regression(200, 5, noise=5.0, random_state=0),
    ),
    "moons, SGD with momentum": (
        mm.Classifier(
            mm.Model("mlp", hidden=32),
            optimizer=mm.Optimizer("sgd", lr=0.1, momentum=0.9),
            data=mm.Data(batch_size=32),
            loop=mm.Loop(60),
        ),
        moons,
    ),
    "several labels": (
        mm.Classifier("mlp", loop=mm.Loop(100)),
        lambda: make_multilabel_classification(300, 12, n_classes=3, random_state=0),
    ),
    "embeddings from a Dataset": (
        mm.Classifier(Words, optimizer=ADAM, loop=mm.Loop(12)),
        words,
    ),
    "weights of the classes, average of the weights": (
        mm.Classifier(
            "mlp",
            loss=mm.Loss("cross_entropy", class_weight="balanced"),
            optimizer=ADAM,
            data=mm.Data(batch_size=64),
            loop=mm.Loop(40, ema=0.9),
        ),
        load_breast_cancer,
    ),
    "huber, one cycle": (
        mm.Regressor(
            "mlp",
            loss="huber",
            optimizer=mm.Optimizer("adamw", lr=1e-2, schedule="one_cycle"),
            data=mm.Data(batch_size=64),
            loop=mm.Loop(40),
        ),
        load_diabetes,
    ),
}


@pytest.mark.parametrize("kind", TRAININGS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_healthy_training_has_no_findings(kind: str, seed: int) -> None:
    net, load = TRAININGS[kind]
    rows = load(return_X_y=True) if load.__module__.startswith("sklearn") else load()
    net = net.set_params(random_state=seed).fit(*rows)
    assert str(net.findings_) == "no findings"


def test_the_ten_are_not_blind() -> None:
    """One of them with one thing wrong."""
    X, y = load_wine(return_X_y=True)
    net = mm.Classifier("mlp", data=mm.Data(preprocess=None), loop=mm.Loop(20), random_state=0)
    assert "MM101" in net.fit(X, y).findings_.codes
