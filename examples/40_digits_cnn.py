"""Handwritten digits: a network that reads images beside models that read pixels."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

import manumatic as mm

digits = load_digits()
split = train_test_split(
    digits.images, digits.target, test_size=0.4, random_state=0, stratify=digits.target
)
images, images_test, labels, labels_test = split  # (n, 8, 8)
print(f"{len(images)} images to learn from, {len(images_test)} to be tested on")


def flat(images: np.ndarray) -> np.ndarray:
    """A row of 64 pixels, for models that know no neighbours."""
    return images.reshape(len(images), -1)


logistic = LogisticRegression(max_iter=2000).fit(flat(images), labels)
kernel = SVC().fit(flat(images), labels)
net = mm.Classifier(random_state=0).fit(images, labels)

print(f"logistic regression: {logistic.score(flat(images_test), labels_test):.3f}")
print(f"SVC:                 {kernel.score(flat(images_test), labels_test):.3f}")
print(f"mm.Classifier:       {net.score(images_test, labels_test):.3f}")
print(net.logbook_)

said = net.predict(images_test)
sure = net.predict_proba(images_test).max(axis=1)
print(f"read wrongly: {(said != labels_test).sum()} of {len(said)}")

figure, places = plt.subplots(2, 5, figsize=(8, 4), layout="constrained")
for place, number in zip(places.flat, sure.argsort()[:10], strict=True):
    place.imshow(images_test[number], cmap="gray")
    place.set_title(f"{labels_test[number]} read as {said[number]}\n{sure[number]:.0%} sure")
    place.set_axis_off()
figure.suptitle("The ten digits that the network is least sure of")
figure.savefig("digits.png", dpi=150)
