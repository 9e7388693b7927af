"""Cross-validation by hand: model, optimizer and scaler are made in each fold."""

import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import nn

X, y = load_wine(return_X_y=True)
folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=0)


def make_model():
    return nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))


def train(model, X, y, epochs=20):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(epochs):
        optimizer.zero_grad()
        loss_fn(model(X), y).backward()
        optimizer.step()


scores = []
for fold, (train_index, test_index) in enumerate(folds.split(X, y)):
    torch.manual_seed(fold)
    scaler = StandardScaler().fit(X[train_index])
    X_train = torch.tensor(scaler.transform(X[train_index]), dtype=torch.float32)
    X_test = torch.tensor(scaler.transform(X[test_index]), dtype=torch.float32)
    model = make_model()
    train(model, X_train, torch.tensor(y[train_index]))
    model.eval()
    with torch.no_grad():
        accuracy = (model(X_test).argmax(dim=1).numpy() == y[test_index]).mean()
    scores.append(accuracy)
print(np.mean(scores))
