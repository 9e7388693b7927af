# %% [markdown]
# # Exam scores
# %%
import numpy as np
import torch

rng = np.random.default_rng(0)
hours = rng.uniform(0, 10, size=(100, 1)).astype(np.float32)
score = (45 + 7 * hours + rng.normal(size=(100, 1))).astype(np.float32)

# %%
X = torch.from_numpy(hours)
y = torch.from_numpy(score)
mean, std = X[:80].mean(), X[:80].std()
X = (X - mean) / std

# %% by hand, without an optimizer
w = torch.zeros(1, 1, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
losses = []
for _ in range(100):
    loss = ((X[:80] @ w + b - y[:80]) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        b -= 0.1 * b.grad
    w.grad.zero_()
    b.grad = None
    losses.append(loss.item())

# %% the same with one
model = torch.nn.Linear(1, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(100):
    for p in model.parameters():
        p.grad = None
    loss = torch.nn.functional.mse_loss(model(X[:80]), y[:80])
    loss.backward()
    opt.step()

# %%
print(losses[-1], loss.item())
print(torch.nn.functional.mse_loss(model(X[80:]), y[80:]).item())
