"""A training loop as people write it, with the books that the doctor reads."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.history import History

HOURS = torch.tensor([[1.0], [2], [3], [4], [5]])
SCORE = torch.tensor([[52.0], [59], [66], [73], [80]])


def drive(
    model: nn.Module,
    X: Tensor,
    y: Tensor,
    loss: Any,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int = 0,
    valid: tuple[Tensor, Tensor] | None = None,
) -> History:
    """Train with fresh batches each epoch; stop where the loss is no number any more."""
    history, step = History(), 0
    for epoch in range(epochs):
        model.train()
        losses = []
        for rows in torch.randperm(len(X)).split(batch_size or len(X)):
            value = loss(model(X[rows]), y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
            step += 1
        history.add(epoch, step, "train", "loss", sum(losses) / len(losses))
        if not torch.isfinite(value):
            break
        if valid is not None:
            model.eval()
            with torch.no_grad():
                history.add(epoch, step, "valid", "loss", loss(model(valid[0]), valid[1]).item())
    return history


@functools.cache
def study_hours(lr: float, epochs: int, y: Tensor = SCORE) -> History:
    """The tutorial's run: one linear layer, SGD, all five rows a step."""
    torch.manual_seed(42)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return drive(model, HOURS, y, nn.MSELoss(), optimizer, epochs)


def mlp(columns: int, outputs: int, hidden: int = 64) -> nn.Sequential:
    """Two hidden layers of ReLU."""
    return nn.Sequential(
        nn.Linear(columns, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )
