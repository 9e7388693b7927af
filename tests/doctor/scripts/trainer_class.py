"""A class whose methods share the work: zero_grad, backward and step are far apart."""

import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.names = ["first", "second"]
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        for layer in self.layers:
            x = x + self.drop(torch.relu(layer(self.norm(x))))
        return x


class Attention(nn.Module):
    """Returns weights: its softmax is not what the loss gets."""

    def __init__(self, width):
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, x):
        return torch.softmax(self.score(x), dim=0)


class Classifier(nn.Module):
    def __init__(self, width=8, classes=3):
        super().__init__()
        self.body = nn.Sequential(Block(width), Block(width))
        self.attention = Attention(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.body(x)
        return self.head(x * self.attention(x))

    def predict_proba(self, x):
        return torch.softmax(self(x), dim=1)


class Trainer:
    def __init__(self, model, loader, valid):
        self.model, self.loader, self.valid = model, loader, valid
        self.optimizer = torch.optim.AdamW(model.parameters())
        self.loss_fn = nn.CrossEntropyLoss()
        self.best, self.kept = float("inf"), None

    def fit(self, epochs):
        for _ in range(epochs):
            self.train_epoch()
            loss = self.evaluate()
            if loss < self.best:
                self.best, self.kept = loss, copy.deepcopy(self.model.state_dict())
        self.model.load_state_dict(self.kept)

    def train_epoch(self):
        self.set_mode(training=True)
        for batch in self.loader:
            self.step(self.compute_loss(batch))

    def step(self, loss):
        self.reset()
        loss.backward()
        self.optimizer.step()

    def reset(self):
        self.optimizer.zero_grad()

    def compute_loss(self, batch):
        x, y = batch
        return self.loss_fn(self.model(x), y)

    @torch.no_grad()
    def evaluate(self):
        self.set_mode(training=False)
        return sum(self.compute_loss(batch).item() for batch in self.valid)

    def set_mode(self, training):
        self.model.train(training)


if __name__ == "__main__":
    torch.manual_seed(0)
    X, y = torch.randn(120, 8), torch.randint(0, 3, (120,))
    train = DataLoader(TensorDataset(X[:90], y[:90]), batch_size=16, shuffle=True)
    trainer = Trainer(Classifier(), train, DataLoader(TensorDataset(X[90:], y[90:]), batch_size=30))
    trainer.fit(epochs=3)
    print(trainer.best, trainer.model.predict_proba(X[:2]))
