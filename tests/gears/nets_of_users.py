"""Networks as users write them, in a module that other processes can import."""

import torch
from torch import nn


class Plain(nn.Module):
    """Nothing but layers."""

    def __init__(self, in_features, out_features, hidden=16):
        super().__init__()
        self.first = nn.Linear(in_features, hidden)
        self.last = nn.Linear(hidden, out_features)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


class Normed(nn.Module):
    """Random in training, and with state of its own."""

    def __init__(self, in_features, out_features, hidden=16):
        super().__init__()
        self.first = nn.Linear(in_features, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(0.1)
        self.last = nn.Linear(hidden, out_features)

    def forward(self, x):
        return self.last(self.dropout(torch.relu(self.norm(self.first(x)))))


class Coder(nn.Module):
    """An autoencoder of a user: parts called encoder and decoder."""

    def __init__(self, in_features, code=2):
        super().__init__()
        self.encoder = nn.Linear(in_features, code)
        self.decoder = nn.Linear(code, in_features)

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)))


class NormedCoder(nn.Module):
    """Random in training, and with state of its own; methods in place of parts."""

    def __init__(self, in_features, code=2):
        super().__init__()
        self.norm = nn.BatchNorm1d(in_features)
        self.dropout = nn.Dropout(0.1)
        self.first = nn.Linear(in_features, code)
        self.last = nn.Linear(code, in_features)

    def encode(self, x):
        return self.first(self.dropout(self.norm(x)))

    def decode(self, code):
        return self.last(code)

    def forward(self, x):
        return self.decode(self.encode(x))
