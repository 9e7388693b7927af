"""Dense layers that start, and are penalised, as scikit-learn's neural network is."""

__all__ = ["Dense", "layered", "layered_logits"]

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


class Dense(nn.Linear):
    """A linear layer whose weights decay by ``decay`` / rows of the batch.

    The penalty is in the gradient, not in the loss that is told: it depends on the batch, and only
    the layer sees how long that is.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    decay : float
        scikit-learn's ``alpha``.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, decay: float = 0.0
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.decay = decay

    def forward(self, input: Tensor) -> Tensor:
        """X W + b."""
        weight: Tensor = self.weight
        if self.decay and self.training and torch.is_grad_enabled():
            weight = weight.view_as(weight)
            share = self.decay / len(input)
            weight.register_hook(lambda gradient: gradient + share * self.weight.detach())
        return functional.linear(input, weight, self.bias)


def layered(
    in_features: int,
    out_features: int,
    hidden: Sequence[int] = (100,),
    activation: str = "relu",
    decay: float = 0.0,
) -> nn.Sequential:
    """Dense layers with an activation between them, as they start in scikit-learn.

    Weights and biases are uniform, up to the bound of Glorot and Bengio (2010).
    """
    sizes, layers = [in_features, *hidden, out_features], []
    for before, after in itertools.pairwise(sizes):
        dense = Dense(before, after, decay=decay)
        bound = math.sqrt((2 if activation == "logistic" else 6) / (before + after))
        for weight in dense.parameters():
            nn.init.uniform_(weight, -bound, bound)
        layers += [dense, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def layered_logits(
    in_features: int,
    out_features: int,
    hidden: Sequence[int] = (100,),
    activation: str = "relu",
    decay: float = 0.0,
) -> nn.Sequential:
    """One output a class, one alone for two classes."""
    outputs = out_features if out_features > 2 else 1
    return layered(in_features, outputs, hidden, activation, decay)
