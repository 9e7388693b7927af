"""Fashion-MNIST, all 60,000 images, with no option set: ten minutes of one core."""

import gzip
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

import manumatic as mm

FOLDER = Path("/usr/share/datasets/fashion-mnist")
NAMES = ["T-shirt", "trousers", "pullover", "dress", "coat"]
NAMES += ["sandal", "shirt", "sneaker", "bag", "boot"]

if not FOLDER.exists():
    sys.exit(f"{FOLDER} is not there: apt install dataset-fashion-mnist")


def read(name: str, start: int) -> np.ndarray:
    """The bytes of a file in the IDX format, behind its head."""
    content = gzip.decompress((FOLDER / f"{name}-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=start)


images, labels = read("train-images-idx3", 16).reshape(-1, 28, 28), read("train-labels-idx1", 8)
images_test = read("t10k-images-idx3", 16).reshape(-1, 28, 28)
names, names_test = np.array(NAMES)[labels], np.array(NAMES)[read("t10k-labels-idx1", 8)]

begin = time.process_time()
net = mm.Classifier(random_state=0, verbose=1).fit(images, names)
minutes = (time.process_time() - begin) / 60
print(net.logbook_)
print(f"right on {net.score(images_test, names_test):.4f} of {len(images_test)} test images")
print(f"trained in {minutes:.1f} CPU minutes")

said = net.predict(images_test)
figure, place = plt.subplots(figsize=(8, 7), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    names_test, said, labels=NAMES, ax=place, xticks_rotation=45, colorbar=False, cmap="Blues"
)
place.set_title(f"What {len(images_test)} test images were taken for")
figure.savefig("fashion.png", dpi=150)
