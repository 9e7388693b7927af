"""Networks that squeeze a row into a short code and give it back."""

__all__ = ["Autoencoder", "ELBO", "LinearAutoencoder", "VariationalAutoencoder"]

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class LinearAutoencoder(nn.Module):
    """A linear layer to the code and one back: trained on squared errors, it finds PCA's subspace.

    Its code is a rotation and stretching of the principal components (Baldi & Hornik 1989).

    Parameters
    ----------
    in_features : int
        Numbers a row.
    code : int
        Numbers a code.

    Examples
    --------
    >>> net = LinearAutoencoder(5, code=2)
    >>> net.encode(torch.zeros(3, 5)).shape, net(torch.zeros(3, 5)).shape
    (torch.Size([3, 2]), torch.Size([3, 5]))
    """

    def __init__(self, in_features: int, code: int = 2) -> None:
        super().__init__()
        self.in_features = in_features
        self.code = code
        self.encoder = nn.Linear(in_features, code)
        self.decoder = nn.Linear(code, in_features)

    def encode(self, x: Tensor) -> Tensor:
        """(n, ...) → (n, code)."""
        return self.encoder(x.flatten(1))

    def decode(self, code: Tensor) -> Tensor:
        """(n, code) → (n, in_features)."""
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, in the shape of x."""
        return self.decode(self.encode(x)).reshape(x.shape)


class Autoencoder(nn.Module):
    """An MLP to the code and its mirror image back; with ``noise`` it learns to remove noise.

    Parameters
    ----------
    in_features : int
        Numbers a row.
    code : int
        Numbers a code.
    hidden : int or sequence of int
        Width of each hidden layer of the encoder; the decoder has them in reverse.
    noise : float
        Standard deviation of the noise that is added to x in training, while the target stays
        clean (denoising autoencoder, Vincent et al. 2010).

    Examples
    --------
    >>> Autoencoder(5, code=2, hidden=[16, 8]).encode(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        in_features: int,
        code: int = 2,
        hidden: int | Sequence[int] = 64,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [hidden] if isinstance(hidden, int) else [*hidden]
        self.in_features = in_features
        self.code = code
        self.hidden = hidden
        self.noise = noise
        self.encoder = _layers(in_features, *widths, code)
        self.decoder = _layers(code, *widths[::-1], in_features)

    def encode(self, x: Tensor) -> Tensor:
        """(n, ...) → (n, code)."""
        return self.encoder(x.flatten(1))

    def decode(self, code: Tensor) -> Tensor:
        """(n, code) → (n, in_features)."""
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, in the shape of x."""
        seen = x + self.noise * torch.randn_like(x) if self.training and self.noise else x
        return self.decode(self.encode(seen)).reshape(x.shape)


class VariationalAutoencoder(nn.Module):
    """An autoencoder whose codes are spread like a standard normal: draw one, decode it, get a row.

    The encoder gives a mean and a variance for each code, and in training the code is drawn from
    them. How far each is from the standard normal, in nats, is left on the reconstruction as
    ``divergence`` (n,), where the loss :class:`ELBO` finds it.

    Parameters
    ----------
    in_features : int
        Numbers a row.
    code : int
        Numbers a code.
    hidden : int or sequence of int
        Width of each hidden layer of the encoder; the decoder has them in reverse.

    References
    ----------
    Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv 1312.6114; the divergence is its
    appendix B.

    Examples
    --------
    >>> VariationalAutoencoder(5, code=2)(torch.zeros(3, 5)).divergence.shape
    torch.Size([3])
    """

    def __init__(self, in_features: int, code: int = 2, hidden: int | Sequence[int] = 64) -> None:
        super().__init__()
        widths = [hidden] if isinstance(hidden, int) else [*hidden]
        self.in_features = in_features
        self.code = code
        self.hidden = hidden
        self.encoder = _layers(in_features, *widths, 2 * code)
        self.decoder = _layers(code, *widths[::-1], in_features)

    def encode(self, x: Tensor) -> Tensor:
        """(n, ...) → the mean of the code, (n, code)."""
        return self.encoder(x.flatten(1))[:, : self.code]

    def decode(self, code: Tensor) -> Tensor:
        """(n, code) → (n, in_features)."""
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, in the shape of x, with its ``divergence`` (n,)."""
        mean, log_variance = self.encoder(x.flatten(1)).chunk(2, dim=1)
        code = mean
        if self.training:
            code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        reconstruction = self.decode(code).reshape(x.shape)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
        reconstruction.divergence = divergence  # type: ignore[attr-defined] # it rides on the tensor
        return reconstruction


def _layers(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class ELBO(nn.Module):
    """Squared error a number, plus 2 · beta · divergence a number.

    For beta = 1 it is the negative evidence lower bound of a decoder with unit variance, less a
    constant, times 2 / numbers a row: on standardised rows it starts near 1.

    Parameters
    ----------
    beta : float
        Less gives sharper reconstructions, more gives codes closer to a standard normal (Higgins
        et al. 2017, beta-VAE).
    reduction : "mean" or "none"
        One number, or one a row.

    Examples
    --------
    >>> reconstruction = torch.zeros(2, 4)
    >>> reconstruction.divergence = torch.tensor([0.0, 4.0])
    >>> ELBO(reduction="none")(reconstruction, torch.ones(2, 4))
    tensor([1., 3.])
    """

    def __init__(self, beta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        self.beta = beta
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The prediction must have the ``divergence`` (n,) of its rows on it."""
        divergence: Tensor = prediction.divergence  # type: ignore[attr-defined] # it rides on the tensor
        errors = (prediction - target).square().flatten(1)
        rows = errors.mean(dim=1) + 2 * self.beta * divergence / errors.shape[1]
        return rows.mean() if self.reduction == "mean" else rows
