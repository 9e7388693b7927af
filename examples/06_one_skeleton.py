"""Question 3: why does one skeleton serve a linear model, a CNN and a transformer?

Eject all three and compare the scripts: what differs is the model.
"""

import difflib
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import manumatic as mm


class Linear(nn.Module):
    """One weight a pixel and class."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


class CNN(nn.Module):
    """Looks for the same small patterns everywhere."""

    def __init__(self, in_channels: int, out_features: int) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(in_channels, 16, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(16 * 3 * 3, out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.look(x).flatten(1))


class Transformer(nn.Module):
    """Reads an image line by line, as a sentence of eight words."""

    def __init__(self, in_shape: tuple[int, ...], out_features: int, width: int = 32) -> None:
        super().__init__()
        _, lines, pixels = in_shape
        self.embed = nn.Linear(pixels, width)
        self.place = nn.Parameter(torch.zeros(lines, width))
        self.encoder = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True)
        self.head = nn.Linear(width, out_features)

    def forward(self, x: Tensor) -> Tensor:
        words = self.embed(x.squeeze(1)) + self.place
        return self.head(self.encoder(words).mean(dim=1))


def section(line: str, script: list[str]) -> str:
    """The comment that heads the part of the script in which a line stands."""
    above = script[: script.index(line) + 1]
    return next((text for text in reversed(above) if text.startswith("# ")), "imports")


X, y = load_digits(return_X_y=True)
X = X.reshape(-1, 8, 8)
scripts = {}
with tempfile.TemporaryDirectory() as folder:
    for model in (Linear, CNN, Transformer):
        net = mm.Classifier(
            model,
            data=mm.Data(batch_size=64),
            optimizer=mm.Optimizer("adam", lr=3e-3),
            loop=mm.Loop(epochs=5),
            random_state=0,
        )
        # one name for all, so that the file with the rows has one name, too
        scripts[model.__name__] = net.eject(Path(folder) / "train.py", X, y).splitlines()
        print(f"{model.__name__}: {net.fit(X, y).score(X, y):.3f} of the digits are right")

first, *others = scripts
for other in others:
    lines = difflib.ndiff(scripts[first], scripts[other])
    new = [line[2:] for line in lines if line.startswith("+ ") and line[2:].strip()]
    print(f"\n{other} differs from {first} in {len(new)} lines:")
    for line in new:
        print(f"  {section(line, scripts[other])[:30]:<30} {line}")
