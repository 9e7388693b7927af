"""Networks whose weights are groups of rows: centres, or a mixture of Gaussians."""

__all__ = ["Centres", "Mixture", "NegativeLogLikelihood", "SquaredDistance", "spread_centres"]

import math

import torch
from torch import Tensor, nn

LLOYD = 30  # passes over the first batch that bring a mixture's centres to rest


class Centres(nn.Module):
    """Each row is given back as its nearest centre (vector quantisation).

    The mean squared distance of rows and reconstructions, times the rows, is the inertia of
    k-means. Its gradient pulls each centre towards the mean of its rows; here it is divided by the
    share of rows that the centre has, which makes it Newton's step (Bottou & Bengio 1995): on all
    rows at once, gradient descent with lr 0.5 is Lloyd's algorithm, with less it is Lloyd's in
    small steps. Where no centres are given, the first batch of the training is where they start:
    rows far apart (:func:`spread_centres`).

    Parameters
    ----------
    in_features : int
        Numbers a row.
    code : int
        How many centres.

    Examples
    --------
    >>> net = Centres(2, code=3)
    >>> net.encode(torch.zeros(5, 2)).shape, net(torch.zeros(5, 2)).shape
    (torch.Size([5, 3]), torch.Size([5, 2]))
    """

    started: Tensor

    def __init__(self, in_features: int, code: int = 8) -> None:
        super().__init__()
        self.in_features = in_features
        self.code = code
        self.centres = nn.Parameter(torch.randn(code, in_features))
        self.register_buffer("started", torch.tensor(False))

    def encode(self, x: Tensor) -> Tensor:
        """(n, ...) → distances to the centres, (n, code)."""
        return torch.cdist(x.flatten(1), self.centres, compute_mode="donot_use_mm_for_euclid_dist")

    def decode(self, code: Tensor) -> Tensor:
        """Distances (n, code) → the nearest centre, (n, in_features)."""
        return self.centres[code.argmin(dim=1)]

    def forward(self, x: Tensor) -> Tensor:
        """The nearest centre, in the shape of x."""
        if self.training and not self.started:
            self.start_at(spread_centres(x.detach().flatten(1), self.code))
        with torch.no_grad():  # which centre is nearest has no gradient
            distances = self.encode(x)
        found = self.decode(distances)
        sizes = torch.bincount(distances.argmin(dim=1), minlength=self.code)
        heavier = (len(x) / sizes.clamp(min=1)).to(found)[distances.argmin(dim=1)].unsqueeze(1)
        # the value is the centre's, the gradient as much heavier as the centre has fewer rows
        return (found.detach() + heavier * (found - found.detach())).reshape(x.shape)

    @torch.no_grad()
    def start_at(self, centres: Tensor) -> None:
        """Take centres (code, in_features) as they are."""
        self.centres.copy_(centres)
        self.started.fill_(True)


def spread_centres(rows: Tensor, number: int) -> Tensor:
    """Draw rows that lie far apart: greedy k-means++ (Arthur & Vassilvitskii 2007).

    Parameters
    ----------
    rows : Tensor (n, d)
    number : int
        How many to draw, by torch's generator.

    Returns
    -------
    Tensor (number, d)
    """
    trials = 2 + int(math.log(number))
    chosen = [rows[torch.randint(len(rows), (1,), device=rows.device)]]
    nearest = (rows - chosen[0]).square().sum(dim=1)
    while len(chosen) < number:
        chances = nearest if nearest.sum() > 0 else torch.ones_like(nearest)
        candidates = rows[torch.multinomial(chances, trials, replacement=True)]
        squares = (rows - candidates.unsqueeze(1)).square().sum(dim=2).minimum(nearest)
        best = squares.sum(dim=1).argmin()
        nearest = squares[best]
        chosen.append(candidates[best].unsqueeze(0))
    return torch.cat(chosen)


class SquaredDistance(nn.Module):
    """The squared distance of prediction and target; times the rows, it is k-means' inertia.

    Parameters
    ----------
    reduction : "mean" or "none"
        One number, or one a row.

    Examples
    --------
    >>> SquaredDistance()(torch.zeros(2, 3), torch.ones(2, 3))
    tensor(3.)
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(n, ...) and (n, ...) → one number, or (n,)."""
        rows = (prediction - target).square().flatten(1).sum(dim=1)
        return rows.mean() if self.reduction == "mean" else rows


class Mixture(nn.Module):
    """Gaussians with means, shapes and shares that are weights.

    A row's code is its share in each Gaussian, its reconstruction their mean by those shares. The
    log likelihood of each row is left on the reconstruction as ``log_likelihood`` (n,), where the
    loss :class:`NegativeLogLikelihood` finds it. Where no start is given, the first batch of the
    training gives it: k-means, and the covariances of its clusters.

    The weights are in units in which all rows together have the covariance of a standard normal:
    gradients then run as evenly in any units of the rows, as EM does.

    Parameters
    ----------
    in_features : int
        Numbers a row.
    code : int
        How many Gaussians.
    covariance : "full", "tied", "diag" or "spherical"
        A matrix each, one for all, a variance each column, or one number each.
    floor : float
        Added to the variances where the training starts.

    Examples
    --------
    >>> net = Mixture(2, code=3)
    >>> net.encode(torch.zeros(5, 2)).shape, net(torch.zeros(5, 2)).log_likelihood.shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    started: Tensor
    centre: Tensor
    unit: Tensor

    def __init__(
        self, in_features: int, code: int = 1, covariance: str = "full", floor: float = 1e-6
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.code = code
        self.covariance = covariance
        self.floor = floor
        scales = {"tied": (1, in_features), "spherical": (code, 1)}
        self.means = nn.Parameter(torch.randn(code, in_features))
        self.logits = nn.Parameter(torch.zeros(code))
        # the factor U of each precision U U^T: logarithms of its diagonal, and what is above it
        self.log_scales = nn.Parameter(torch.zeros(scales.get(covariance, (code, in_features))))
        above = torch.zeros(1 if covariance == "tied" else code, in_features, in_features)
        self.above = nn.Parameter(above) if covariance in ("full", "tied") else None
        self.register_buffer("centre", torch.zeros(in_features))
        self.register_buffer("unit", torch.eye(in_features))  # lower triangular
        self.register_buffer("started", torch.tensor(False))

    def joint(self, x: Tensor) -> Tensor:
        """Log density of each Gaussian times its share, (n, code)."""
        rows = torch.linalg.solve_triangular(self.unit, (x.flatten(1) - self.centre).T, upper=False)
        apart = rows.T.unsqueeze(1) - self.means  # n, code, in_features
        scaled = apart * self.log_scales.exp()
        if self.above is not None:
            above = self.above.triu(1).expand(self.code, -1, -1)
            scaled = scaled + torch.einsum("nki,kij->nkj", apart, above)
        volume = self.log_scales.expand(self.code, self.in_features).sum(dim=1)
        volume = volume - self.unit.diagonal().log().sum()
        square = scaled.square().sum(dim=2) + self.in_features * math.log(2 * math.pi)
        return volume - square / 2 + self.logits.log_softmax(dim=0)

    def encode(self, x: Tensor) -> Tensor:
        """(n, ...) → shares of the Gaussians in each row, (n, code)."""
        return self.joint(x).softmax(dim=1)

    def decode(self, code: Tensor) -> Tensor:
        """Shares (n, code) → the mean of the means, (n, in_features)."""
        return code @ (self.means @ self.unit.T + self.centre)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, in the shape of x, with its ``log_likelihood`` (n,)."""
        if self.training and not self.started:
            self.start_from(x.detach().flatten(1))
        joint = self.joint(x)
        reconstruction = self.decode(joint.softmax(dim=1)).reshape(x.shape)
        reconstruction.log_likelihood = joint.logsumexp(dim=1)  # type: ignore[attr-defined] # numbers that ride on the tensor
        return reconstruction

    @torch.no_grad()
    def start_from(self, rows: Tensor) -> None:
        """Take means, shapes and shares of the clusters that k-means finds in rows (n, d)."""
        centres = spread_centres(rows, self.code)
        for _ in range(LLOYD):
            member = nn.functional.one_hot(torch.cdist(rows, centres).argmin(dim=1), self.code)
            member = member.to(rows)
            sizes = member.sum(dim=0).clamp(min=1)
            centres = member.T @ rows / sizes.unsqueeze(1)
        apart = (rows.unsqueeze(1) - centres) * member.unsqueeze(2)
        covariances = torch.einsum("nki,nkj->kij", apart, apart) / sizes[:, None, None]
        covariances = covariances + self.floor * torch.eye(self.in_features).to(rows)
        self.start_at(centres, covariances, sizes / sizes.sum())

    @torch.no_grad()
    def start_at(self, means: Tensor, covariances: Tensor, shares: Tensor) -> None:
        """Take means (code, d), covariances (code, d, d) and shares (code,) in units of the rows.

        Of the covariances that is taken which the mixture can have: their mean, or diagonals.
        """
        centre = shares @ means
        around = means - centre
        spread = covariances + around.unsqueeze(2) * around.unsqueeze(1)
        total = torch.einsum("k,kij->ij", shares, spread)
        if self.above is None:  # other directions than the columns' would mix them
            total = total.diagonal()
            total = total.mean().expand_as(total) if self.covariance == "spherical" else total
            total = total.diag()
        unit = torch.linalg.cholesky(total)
        inverse = torch.linalg.inv(unit)
        self.centre.copy_(centre)
        self.unit.copy_(unit)
        self.means.copy_(around @ inverse.T)
        self.logits.copy_(shares.log())
        inside = inverse @ covariances @ inverse.T
        if self.above is None:
            variances = inside.diagonal(dim1=1, dim2=2)
            if self.covariance == "spherical":
                variances = variances.mean(dim=1, keepdim=True)
            self.log_scales.copy_(-variances.log() / 2)
        else:
            if self.covariance == "tied":
                inside = torch.einsum("k,kij->ij", shares, inside).unsqueeze(0)
            eye = torch.eye(self.in_features).to(inside)
            factor = torch.linalg.inv(torch.linalg.cholesky(inside)).mT
            self.above.copy_((factor * (1 - eye)).triu())
            self.log_scales.copy_(factor.diagonal(dim1=1, dim2=2).log())
        self.started.fill_(True)


class NegativeLogLikelihood(nn.Module):
    """Minus the log likelihood of rows under a :class:`Mixture`; what EM makes small.

    Parameters
    ----------
    reduction : "mean" or "none"
        One number, or one a row.

    Examples
    --------
    >>> x = torch.zeros(2, 3)
    >>> NegativeLogLikelihood(reduction="none")(Mixture(3)(x), x).shape
    torch.Size([2])
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The prediction must have the ``log_likelihood`` (n,) of its rows on it."""
        rows: Tensor = -prediction.log_likelihood  # type: ignore[attr-defined] # numbers that ride on the tensor
        return rows.mean() if self.reduction == "mean" else rows
