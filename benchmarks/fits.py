"""The same training by hand, by this library and by its peers; what loop.py measures.

Everybody gets one thread, float32, Adam with lr 0.001 and the same number of steps.  The script
that imports this sets the numbers of threads in the environment first.
"""

__all__ = ["CASES", "FITS", "HAND", "Case", "Fitted", "manumatic_net", "network"]

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import Tensor, nn

import manumatic as mm

HAND = ("by hand, DataLoader", "by hand, index", "by hand, views")

warnings.filterwarnings("ignore")  # each peer warns about the small data in its own way
torch.set_num_threads(1)


# --- what is learned ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One task: rows, targets, an architecture (widths of an mlp, none for the cnn), how long."""

    name: str
    X: np.ndarray
    y: np.ndarray
    widths: tuple[int, ...] | None
    batch: int
    epochs: int

    @property
    def classes(self) -> int:
        """0 for a regression."""
        return 0 if self.y.dtype.kind == "f" else int(self.y.max()) + 1

    @property
    def steps(self) -> int:
        """Steps of the optimizer that everybody must make."""
        return self.epochs * -(-len(self.X) // self.batch)

    def network(self) -> nn.Module:
        """The untrained network, the same weights each time."""
        return network(self.widths)

    def loss(self) -> nn.Module:
        """On raw outputs."""
        return nn.CrossEntropyLoss() if self.classes else nn.MSELoss()

    def tensors(self) -> tuple[Tensor, Tensor]:
        """X and y as the losses of torch want them."""
        y = torch.from_numpy(self.y)
        return torch.from_numpy(self.X), y if self.classes else y[:, None]

    def final_loss(self, outputs: np.ndarray) -> float:
        """Mean squared error of numbers, or log loss of probabilities, over the training rows."""
        if not self.classes:
            return float(np.mean((outputs.reshape(-1) - self.y) ** 2))
        right = outputs[np.arange(len(self.y)), self.y]
        return float(-np.log(np.maximum(right, 1e-12)).mean())


def network(widths: tuple[int, ...] | None) -> nn.Module:
    """An mlp of these widths, or the small cnn."""
    torch.manual_seed(0)
    if widths is None:
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 4)),
        )
    layers: list[nn.Module] = []
    for inside, outside in itertools.pairwise(widths):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cases() -> list[Case]:
    """The five tasks."""
    draw = np.random.default_rng(0)
    X = draw.standard_normal((506, 13), dtype=np.float32)
    y = np.tanh(X[:, 0] * X[:, 1]) + X[:, 2] + 0.1 * draw.standard_normal(506)
    houses = Case("506×13 full batch", X, y.astype(np.float32), (13, 50, 1), 506, 100)
    rows = draw.standard_normal((20_000, 30), dtype=np.float32)
    label = np.digitize(rows[:, 0] * rows[:, 1] + rows[:, 2], [-0.5, 0.5])
    digits, digit = load_digits(return_X_y=True)
    side = draw.integers(4, size=1_000)
    images = 0.3 * draw.standard_normal((1_000, 1, 28, 28), dtype=np.float32)
    for image, where in zip(images, side, strict=True):
        image[0, 7 * where : 7 * where + 3] += 1  # a bright bar at one of four heights
    return [
        houses,
        replace(houses, name="506×13 batch 32", batch=32, epochs=40),
        Case("20,000×30 batch 256", rows, label, (30, 128, 128, 3), 256, 4),
        Case("digits batch 64", np.float32(digits / 16), digit, (64, 100, 10), 64, 20),
        Case("28×28 cnn batch 64", images, side, None, 64, 3),
    ]


CASES = {case.name: case for case in cases()}


# --- who learns it: each takes a case and returns what is timed, which returns a Fitted --------


class Fitted(NamedTuple):
    """What a run leaves: its outputs for the training rows, and its steps if it counts them."""

    outputs: Callable[[], np.ndarray]
    steps: int | None = None


Fit = Callable[[Case], Callable[[], Fitted] | None]


def raw_outputs(case: Case, model: nn.Module) -> np.ndarray:
    """Numbers, or probabilities."""
    with torch.inference_mode():
        found = model.eval()(case.tensors()[0])
    return (found.softmax(1) if case.classes else found).numpy()


def loader_loop(case: Case) -> Callable[[], Fitted]:
    """What tutorials show."""

    def fit() -> Fitted:
        model, loss_fn = case.network(), case.loss()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        rows = torch.utils.data.TensorDataset(*case.tensors())
        loader = torch.utils.data.DataLoader(rows, batch_size=case.batch, shuffle=True)
        for _ in range(case.epochs):
            for X, y in loader:
                optimizer.zero_grad()
                loss_fn(model(X), y).backward()
                optimizer.step()
        return Fitted(lambda: raw_outputs(case, model))

    return fit


def indexed(X: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches by a permuted index, gathered one at a time."""
    for rows in torch.randperm(len(X)).split(size):
        yield X[rows], y[rows]


def viewed(X: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches as views of an epoch gathered once; a full batch needs no order."""
    order = slice(None) if size >= len(X) else torch.randperm(len(X))
    yield from zip(X[order].split(size), y[order].split(size), strict=True)


def tensor_loop(batches: Callable[[Tensor, Tensor, int], Any]) -> Fit:
    """What somebody writes who wants it fast: tensors in memory, the fused optimizer."""

    def prepared(case: Case) -> Callable[[], Fitted]:
        def fit() -> Fitted:
            model, loss_fn = case.network(), case.loss()
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
            tensors = case.tensors()
            for _ in range(case.epochs):
                for X, y in batches(*tensors, case.batch):
                    optimizer.zero_grad()
                    loss_fn(model(X), y).backward()
                    optimizer.step()
            return Fitted(lambda: raw_outputs(case, model))

        return fit

    return prepared


def manumatic_net(case: Case, **data: Any) -> Any:
    """The estimator, told everything that the others are told."""
    kind = mm.Classifier if case.classes else mm.Regressor
    as_it_is = {"batch_size": case.batch, "validation": None, "preprocess": None, "target": None}
    return kind(
        mm.Model(network, widths=case.widths),
        data=mm.Data(**(as_it_is | data)),
        loss="cross_entropy" if case.classes else "mse",
        optimizer=mm.Optimizer("adam", lr=1e-3),
        loop=mm.Loop(epochs=case.epochs),
        device="cpu",
        random_state=0,
    )


def estimator_outputs(case: Case, net: Any) -> np.ndarray:
    """Numbers, or probabilities."""
    return net.predict_proba(case.X) if case.classes else net.predict(case.X)


def manumatic(case: Case) -> Callable[[], Fitted]:
    """This library."""

    def fit() -> Fitted:
        net = manumatic_net(case).fit(case.X, case.y)
        return Fitted(lambda: estimator_outputs(case, net))

    return fit


def scikit_learn(case: Case) -> Callable[[], Fitted] | None:
    """Its mlp; it has no cnn. Its Adam has the same defaults; no weight decay, no early stop."""
    if case.widths is None:
        return None
    kind = MLPClassifier if case.classes else MLPRegressor

    def fit() -> Fitted:
        net = kind(
            hidden_layer_sizes=case.widths[1:-1],
            alpha=0.0,
            batch_size=case.batch,
            max_iter=case.epochs,
            tol=0.0,
            n_iter_no_change=case.epochs + 1,
            random_state=0,
        ).fit(case.X, case.y)
        return Fitted(lambda: estimator_outputs(case, net), net._optimizer.t)

    return fit


def skorch(case: Case) -> Callable[[], Fitted]:
    """Its callbacks disabled, no validation split, fused optimizer."""
    from skorch import NeuralNetClassifier, NeuralNetRegressor

    kind = NeuralNetClassifier if case.classes else NeuralNetRegressor
    y = case.y if case.classes else case.y[:, None]

    def fit() -> Fitted:
        net = kind(
            network,
            module__widths=case.widths,
            criterion=type(case.loss()),
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            lr=1e-3,
            batch_size=case.batch,
            max_epochs=case.epochs,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks="disable",
            verbose=0,
        ).fit(case.X, y)
        return Fitted(lambda: estimator_outputs(case, net))

    return fit


def lightning(case: Case) -> Callable[[], Fitted]:
    """``barebones``: no logger, checkpoint, bar, summary or sanity check; fused optimizer."""
    import lightning.pytorch as pl

    for part in ("fabric", "pytorch"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.ERROR)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.loss_fn = case.network(), case.loss()

        def training_step(self, batch: Any, _: int) -> Tensor:
            return self.loss_fn(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3, fused=True)

    def fit() -> Fitted:
        model = Module()
        rows = torch.utils.data.TensorDataset(*case.tensors())
        loader = torch.utils.data.DataLoader(rows, batch_size=case.batch, shuffle=True)
        pl.Trainer(max_epochs=case.epochs, accelerator="cpu", barebones=True).fit(model, loader)
        return Fitted(lambda: raw_outputs(case, model.network))

    return fit


def keras(case: Case) -> Callable[[], Fitted]:
    """Keras 3 on its torch backend, not compiled: compiling takes longer than these fits."""
    import keras
    from keras import layers

    def layout() -> list[Any]:
        if case.widths is not None:
            *hidden, last = case.widths[1:]
            return [layers.Dense(n, activation="relu") for n in hidden] + [layers.Dense(last)]
        first = {"activation": "relu", "data_format": "channels_first"}
        pool = [layers.MaxPooling2D(2, data_format="channels_first") for _ in range(2)]
        conv = [layers.Conv2D(n, 3, **first) for n in (8, 16)]
        return [conv[0], pool[0], conv[1], pool[1], layers.Flatten(), layers.Dense(4)]

    def fit() -> Fitted:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input(case.X.shape[1:]), *layout()])
        logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        loss = logits if case.classes else "mean_squared_error"
        model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
        model.fit(case.X, case.y, batch_size=case.batch, epochs=case.epochs, verbose=0)

        def outputs() -> np.ndarray:
            found = torch.as_tensor(model.predict(case.X, verbose=0))
            return (found.softmax(1) if case.classes else found).numpy()

        return Fitted(outputs, int(model.optimizer.iterations))

    return fit


FITS: dict[str, Fit] = {
    HAND[0]: loader_loop,
    HAND[1]: tensor_loop(indexed),
    HAND[2]: tensor_loop(viewed),
    "manumatic": manumatic,
    "scikit-learn MLP": scikit_learn,
    "skorch": skorch,
    "Lightning": lightning,
    "Keras": keras,
}
