"""A GAN (Goodfellow et al. 2014): two optimizers, a step of one's own, fit(X) without labels.

A generator is the half of an autoencoder that decodes: inverse_transform(noise) draws rows.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

import manumatic as mm


class GAN(nn.Module):
    def __init__(self, in_features: int, noise: int = 4, hidden: int = 64) -> None:
        super().__init__()
        self.noise = noise
        self.generator, self.critic = (
            nn.Sequential(
                *(nn.Linear(size, hidden), nn.LeakyReLU(0.2)),
                *(nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, out)),
            )
            for size, out in ((noise, in_features), (in_features, 1))
        )

    def decode(self, code: Tensor) -> Tensor:
        return self.generator(code)


def gan_step(model, loss_fn, optimizer, X, _):
    made = model.decode(torch.randn(len(X), model.noise))
    real, false = model.critic(X), model.critic(made.detach())
    loss = loss_fn(real, torch.ones_like(real)) + loss_fn(false, torch.zeros_like(false))
    optimizer["critic"].zero_grad()
    loss.backward()
    optimizer["critic"].step()
    optimizer["generator"].zero_grad()
    loss_fn(model.critic(made), torch.ones_like(real)).backward()
    optimizer["generator"].step()
    return loss


rng = np.random.default_rng(0)
angle = 2 * np.pi * rng.integers(8, size=2048) / 8
centres = 200 + 50 * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # eight heaps on a ring
X = centres + 4 * rng.normal(size=centres.shape)
adam = mm.Optimizer("adam", lr=1e-3, betas=(0.5, 0.999), schedule="linear")
data, loop = mm.Data(batch_size=128), mm.Loop(epochs=200, step=gan_step, ema=0.99)
loss, optimizer = nn.BCEWithLogitsLoss(), {"generator": adam, "critic": adam}
net = mm.Autoencoder(GAN, data=data, loss=loss, optimizer=optimizer, loop=loop, random_state=0)
drawn = net.fit(X).inverse_transform(rng.normal(size=(1000, 4)))
distance = np.linalg.norm(drawn[:, None] - np.unique(centres.round(6), axis=0), axis=2)
near = distance.min(axis=1) < 12
heaps = np.bincount(distance.argmin(axis=1)[near], minlength=8)
print(f"{near.mean():.0%} of the rows drawn lie on a heap; rows on each: {sorted(heaps.tolist())}")
figure, axes = plt.subplots(1, 2, sharex=True, sharey=True, figsize=(8, 4))
for ax, rows, title in zip(axes, (X, drawn), ("real", "drawn"), strict=True):
    ax.set(title=title, aspect="equal")
    ax.scatter(*rows.T, s=3)
figure.savefig("gan.png")
