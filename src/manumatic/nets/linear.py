"""One linear layer: linear regression, or logistic regression when the loss is cross entropy."""

__all__ = ["Linear"]

from torch import nn

Linear = nn.Linear
