"""Fits that one process and several must agree on; a script for torchrun, and functions to call.

python -m torch.distributed.run --nproc-per-node 2 tests/gears/together.py OUT DEVICE FOLDER
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import manumatic as mm
from manumatic.parts.mapped import Mapped


def rows(n=101):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    return X, (X @ [1.0, -2.0, 0.5, 0.0, 3.0] + rng.normal(size=n)).astype(np.float32)


class Half(nn.Module):
    """One of its weights is never used."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.line = nn.Linear(in_features, out_features)
        self.idle = nn.Linear(3, 3)

    def forward(self, X):
        return self.line(X)


def regressor(device, model="mlp", batch_size=16, **loop):
    return mm.Regressor(
        model,
        data=mm.Data(batch_size=batch_size),
        optimizer=mm.Optimizer("adamw", lr=0.01, schedule="cosine"),
        loop=mm.Loop(**({"epochs": 3} | loop)),
        random_state=7,
        device=device,
    )


def linear(device, folder):
    return regressor(device, "linear").fit(*rows())


def mlp(device, folder):
    return regressor(device, clip_norm=1.0).fit(*rows())


def one_row_left(device, folder):
    return regressor(device).fit(*rows(97))


def accumulate(device, folder):
    return regressor(device, accumulate=2).fit(*rows())


def patience(device, folder):
    return regressor(device, epochs=40, patience=1).fit(*rows())


def normed(device, folder):
    return regressor(device, nn.Sequential(nn.LayerNorm(5), start(nn.Linear(5, 1)))).fit(*rows())


def classes(device, folder):
    X, y = rows()
    net = mm.Classifier(
        "mlp",
        data=mm.Data(batch_size=16),
        loss=mm.Loss("cross_entropy", class_weight="balanced"),
        loop=mm.Loop(epochs=3),
        random_state=7,
        device=device,
    )
    return net.fit(X, np.where(y > 1, "a", "b"))


def loader(device, folder):
    X, y = map(torch.from_numpy, rows())
    return regressor(device, "linear").fit(DataLoader(TensorDataset(X, y), 16))


def files(device, folder):
    table = mm.Parquet(folder, target="y", buffer=64, streams=4)
    return regressor(device, "linear", epochs=2, keep="best").fit(table)


def mapped(device, folder):
    X, y = rows()
    training = regressor(device, "linear").manual(X, y)
    data = training.data
    place = torch.device("cpu")
    training.data = Mapped(
        None,
        place,
        lambda values: torch.from_numpy(values),
        16,
        seed=data.seed,
        X=data.X.numpy(),
        y=data.y.numpy(),
        index=np.arange(len(data.X)),
    )
    training.data.encode = torch.from_numpy
    return training.run().automatic()


def start(layer):
    """The same weights in every process."""
    with torch.no_grad():
        for weight in layer.parameters():
            weight.fill_(0.1)
    return layer


def idle(device, folder):
    return regressor(device, Half).fit(*rows())


def averaged(device, folder):
    return regressor(device, ema=0.9).fit(*rows())


def begun(device, folder):
    """Eleven steps of thirty-five, and a checkpoint there."""
    training = regressor(device, epochs=5, keep="best").manual(*rows())
    for _ in range(11):
        training.step()
    training.save(Path(folder).with_name(f"begun-{device}-{world()}.pt"))
    return training.run().automatic()


def resumed(device, folder, world=1, where="auto"):
    """From the checkpoint of other processes to the end."""
    training = regressor(device, epochs=5, keep="best").manual(*rows())
    training.load(Path(folder).with_name(f"begun-{where}-{world}.pt"))
    return training.run().automatic()


def world():
    return int(os.environ.get("WORLD_SIZE", "1"))


CASES = (linear, mlp, one_row_left, accumulate, patience, normed, classes, loader, files, mapped)
COPIES = (idle, averaged)  # what each process needs all weights for
STOPPED = (begun, resumed)


def learned(net):
    """Weights and losses."""
    losses = {f"{row.name}/{row.part}/{row.epoch}": row.value for row in net.history_}
    return {
        "weights": dict(net.model_.state_dict()),
        "losses": losses,
        "seed": net.seed_,
        "epochs": net.n_iter_,
    }


def main(out, device, folder):
    cases = [*CASES, *STOPPED, *(COPIES if device == "auto" else ())]
    found = {case.__name__: learned(case(device, folder)) for case in cases}
    unseeded = regressor(device, "linear").set_params(random_state=None).fit(*rows())
    found["unseeded"] = learned(unseeded)
    torch.save(found, f"{out}.{os.environ['RANK']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
