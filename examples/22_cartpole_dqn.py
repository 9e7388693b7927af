"""Reinforcement learning II: DQN (Mnih et al. 2015), with double estimates (van Hasselt 2016)."""

import copy
import itertools

import gymnasium as gym
import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

import manumatic as mm


class Worth(nn.Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        hidden = nn.Linear(in_features, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()
        self.quick = nn.Sequential(*hidden, nn.Linear(128, out_features))
        self.slow = copy.deepcopy(self.quick).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.quick(x)


def bellman(model, loss_fn, optimizer, X, action, over, after):
    with torch.no_grad():
        best = model(after).argmax(dim=1, keepdim=True)
        target = 1 + 0.99 * (1 - over) * model.slow(after).gather(1, best)
    loss = loss_fn(model(X).gather(1, action.long()), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for slow, quick in zip(model.slow.parameters(), model.quick.parameters(), strict=True):
        slow.lerp_(quick.detach(), 0.01)
    return loss


class Memory:  # an epoch: 32 more steps of 8 games, then 64 batches of all that happened so far
    def __init__(self, model: nn.Module) -> None:
        self.model, self.rows, self.old = model, torch.empty(0, 10), np.zeros(8, bool)
        self.env = gym.make_vec("CartPole-v1", 8, vectorization_mode="vector_entry_point")
        self.seen, _ = self.env.reset(seed=0)

    def __len__(self) -> int:
        return 64

    def batches(self, epoch: int):
        for _ in range(32):
            X, explores = torch.tensor(self.seen), torch.rand(()) < 0.95**epoch + 0.05
            action = (torch.rand(8, 2) if explores else self.model(X)).argmax(dim=1)
            self.seen, _, fell, late, _ = self.env.step(action.numpy())
            new = torch.column_stack((X, action, torch.tensor(fell), torch.tensor(self.seen)))
            self.rows = torch.cat([self.rows, new[~self.old]])  # not the step that only starts anew
            self.old = fell | late
        for number in range(len(self)):
            yield number, *self.rows[torch.randint(len(self.rows), (128,))].split((4, 1, 1, 4), 1)


def play(model: nn.Module, seed: int) -> np.ndarray:  # the steps of 100 games without exploring
    env = gym.make_vec("CartPole-v1", 100, vectorization_mode="vector_entry_point")
    (seen, _), steps, alive = env.reset(seed=seed), np.zeros(100), np.ones(100, bool)
    while alive.any():
        steps += alive
        seen, _, fell, late, _ = env.step(model(torch.tensor(seen)).argmax(dim=1).numpy())
        alive &= ~(fell | late)
    return steps


loss, adam = nn.functional.smooth_l1_loss, mm.Optimizer("adam", lr=2e-3)
loop, data = mm.Loop(epochs=400, step=bellman), mm.Data(preprocess=None)
net = mm.Classifier(Worth, data=data, loss=loss, optimizer=adam, loop=loop, random_state=0)
training = net.manual(np.zeros((2, 4), np.float32), [0, 1])  # what rows look like; two actions
training.data = Memory(training.model)
played = (play(training.model, seed=1) for step in training if step.last)
curve = list(itertools.takewhile(lambda steps: steps.min() < 500, played))  # until solved
curve.append(lasted := play(training.model, seed=123_456))
print(f"epoch {training.state.epoch}: mean return {lasted.mean():.1f}, least {lasted.min():.0f}")
plt.subplot(xlabel="epoch", ylabel="mean steps of 100 games").plot(np.mean(curve, axis=1))
plt.savefig("dqn.png")
