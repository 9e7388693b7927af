"""A frozen backbone with a new head for each fold; the backbone is made once, on purpose."""

import torch
from sklearn.model_selection import KFold
from torch import nn

torch.manual_seed(0)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU())

    def forward(self, x):
        return self.features(x)


backbone = Backbone()
for parameter in backbone.parameters():
    parameter.requires_grad = False
backbone.eval()

X = torch.randn(90, 6)
y = (X[:, 0] > 0).float()
with torch.no_grad():
    features = backbone(X)

scores = []
for train_rows, test_rows in KFold(n_splits=3, shuffle=True, random_state=0).split(X):
    head = nn.Linear(12, 1)
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, head.parameters()), lr=0.1)
    loss_fn = nn.BCEWithLogitsLoss()
    for _ in range(20):
        optimizer.zero_grad()
        logits = head(backbone(X[train_rows])).squeeze(1)
        loss = loss_fn(logits, y[train_rows])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        chance = torch.sigmoid(head(features[test_rows])).squeeze(1)
    scores.append(((chance > 0.5).float() == y[test_rows]).float().mean().item())
print(sum(scores) / len(scores))
