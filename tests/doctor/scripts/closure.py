"""LBFGS: the optimizer calls the closure, which sets the gradients back itself."""

import torch
from torch import nn

torch.manual_seed(0)
X = torch.linspace(-1, 1, 50).unsqueeze(1)
y = X**3

model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=10)


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(X), y)
    loss.backward()
    return loss


for _ in range(10):
    print(optimizer.step(closure).item())

print(model(X[:3]))
