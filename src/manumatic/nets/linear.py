"""One linear layer: linear regression, or logistic regression when the loss is cross entropy."""

__all__ = ["Linear", "level_line", "level_logits"]

from torch import nn

Linear = nn.Linear


def level_line(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """A linear layer that starts at zero, as scikit-learn's solvers do."""
    line = nn.Linear(in_features, out_features, bias)
    for weight in line.parameters():
        nn.init.zeros_(weight)
    return line


def level_logits(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """One output a class, one alone for two classes; it starts at zero."""
    return level_line(in_features, out_features if out_features > 2 else 1, bias)
