"""Lamps for sale: numbers, a label, a text and a photo in one row, and what each is worth."""

import matplotlib.pyplot as plt
import numpy as np

import manumatic as mm
from manumatic.datasets import load_adverts

adverts = load_adverts()
X, y = adverts.data, np.log(adverts.target)  # an error of 0.1 is one of 10 %
train, test = slice(0, 700), slice(1000, None)


def error(columns: list[str]) -> tuple[mm.Regressor, float]:
    """A net that reads these columns, and its error on adverts that it has not seen."""
    net = mm.Regressor("mixed", random_state=0, loop=mm.Loop(epochs=30))
    net.fit(X[columns][train], y[train])
    missed = net.predict(X[columns][test]) - y[test]
    return net, float(np.sqrt(np.mean(missed**2)))


net, whole = error(["height", "age", "city", "text", "photo"])
print(f"all columns:        {whole:.2f}")
print(f"without the photo:  {error(['height', 'age', 'city', 'text'])[1]:.2f}")
print(f"without the text:   {error(['height', 'age', 'city', 'photo'])[1]:.2f}")
print(net.logbook_)

prices = np.exp(net.predict(X[test]))
figure, axes = plt.subplots(2, 4, figsize=(7, 4), layout="constrained")
shown = X[test].index[X["photo"][test].notna()][:8]
for place, axis in zip(shown, axes.flat, strict=True):
    axis.imshow(X.loc[place, "photo"])
    axis.set(xticks=[], yticks=[])
    guess = prices[place - 1000]
    axis.set_xlabel(f"{guess:.0f} € (asked: {adverts.target[place]:.0f} €)", fontsize=8)
figure.savefig("adverts.png", transparent=True)
print("adverts.png: eight lamps, what the net expects and what was asked")
