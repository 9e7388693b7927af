"""Reinforcement learning I: a policy learns to balance a pole from its own games.

A policy is a classifier of actions, and REINFORCE (Williams 1992) is cross entropy with a weight
on each row: how much better the rest of the game went than the other games at the same moment.
The rows are made on the fly: ``training.data`` plays 32 games a step with the model as it is.
"""

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

import manumatic as mm


class Games:
    """Each epoch is a step, and each step learns from games that are played for it."""

    def __init__(self, model: nn.Module, games: int = 32, seed: int = 0) -> None:
        self.model, self.games, self.seed = model, games, seed
        self.env = gym.make_vec("CartPole-v1", games, vectorization_mode="vector_entry_point")

    def __len__(self) -> int:
        return 1

    def batches(self, epoch: int) -> Iterator[tuple[int | Tensor, ...]]:
        seen, _ = self.env.reset(seed=self.seed + self.games * epoch)
        alive, rows = np.ones(self.games, bool), []
        while alive.any():
            X = torch.tensor(seen)
            with torch.no_grad():
                action = self.model(X).softmax(dim=1).multinomial(1).squeeze(1)
            rows.append((X, action, torch.tensor(alive)))
            seen, _, fell, late, _ = self.env.step(action.numpy())
            alive &= ~(fell | late)
        X, action, played = (torch.stack(column) for column in zip(*rows, strict=True))
        still = played.float().flip(0).cumsum(0).flip(0)  # the return: steps that the game went on
        mean = (still * played).sum(1, keepdim=True) / played.sum(1, keepdim=True)
        advantage = (still - mean)[played]
        self.lasted = played.sum() / self.games
        yield 0, X[played], action[played], advantage / (advantage.std() + 1e-6)


def policy_gradient(logits: Tensor, action: Tensor, advantage: Tensor | float = 1.0) -> Tensor:
    rows = nn.functional.cross_entropy(logits, action, reduction="none")
    return (advantage * rows).mean()


def play(net: mm.Classifier, games: int = 100) -> np.ndarray:
    """The steps of each of so many games, with the action that the policy likes best."""
    env = gym.make_vec("CartPole-v1", games, vectorization_mode="vector_entry_point")
    seen, _ = env.reset(seed=123_456)
    steps, alive = np.zeros(games), np.ones(games, bool)
    while alive.any():
        steps += alive
        seen, _, fell, late, _ = env.step(net.predict(seen))
        alive &= ~(fell | late)
    return steps


model, data, loss = mm.Model("mlp", hidden=64), mm.Data(preprocess=None), policy_gradient
adam, loop = mm.Optimizer("adam", lr=1e-2, schedule="linear"), mm.Loop(epochs=100)
net = mm.Classifier(model, data=data, loss=loss, optimizer=adam, loop=loop, random_state=0)
rows = np.zeros((2, 4), np.float32), [0, 1]  # what a row and its target look like
training = net.manual(*rows)
training.data = Games(training.model)
curve = []
for step in training:
    curve.append(training.data.lasted)
    if step.epoch % 20 == 0:
        print(f"step {step.epoch}: games last {training.data.lasted:.0f} steps")
returns = play(training.automatic())
print(f"mean return over {len(returns)} games: {returns.mean():.1f}, least {returns.min():.0f}")
plt.subplot(xlabel="step", ylabel="steps that a game lasts").plot(curve)
plt.savefig("reinforce.png")
