"""Kernel ridge regression and Gaussian processes: weighted likeness to the rows seen."""

__all__ = ["GaussianProcess", "Laplace", "OneOnOne", "RestOrOne", "Weighted"]

from typing import Any

import numpy as np
import torch
from scipy.linalg import solve_triangular
from sklearn import gaussian_process, kernel_ridge
from torch import Tensor, nn

from manumatic.convert.gaussian_kernels import Covariance, covariance
from manumatic.convert.kernels import dense, pairwise_kernel
from manumatic.convert.pieces import Classifier, Piece, Regressor
from manumatic.convert.registry import Build, converts

# Williams & Barber, Bayesian Classification with Gaussian Processes (1998): the logistic function
# as a sum of five error functions, with the numbers of scikit-learn
LAMBDAS = (0.41, 0.4, 0.37, 0.44, 0.39)
COEFS = (-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654)


class Weighted(nn.Module):
    """kernel(x, rows) · weights: a column for each target.

    Parameters
    ----------
    kernel : nn.Module
    rows : Tensor (m, features)
    weights : nn.Parameter (m, targets)
    """

    rows: Tensor

    def __init__(self, kernel: nn.Module, rows: Tensor, weights: nn.Parameter) -> None:
        super().__init__()
        self.kernel, self.weights = kernel, weights
        self.register_buffer("rows", rows)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        return self.kernel(x, self.rows) @ self.weights


class GaussianProcess(Regressor):
    """The mean of the process, back in the units of the target.

    Parameters
    ----------
    body : Weighted
    mean, scale : Tensor () or (targets,)
        Of the target.
    flat : bool
        ``predict`` gives (n,).
    """

    body: Weighted
    mean: Tensor
    scale: Tensor

    def __init__(self, body: Weighted, mean: Tensor, scale: Tensor, *, flat: bool) -> None:
        super().__init__(body, flat=flat)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        # a scalar beside a matrix product, onnxruntime would round to float32
        likeness = self.body.kernel(x, self.body.rows)
        return likeness @ (self.body.weights * self.scale) + self.mean


class Laplace(nn.Module):
    """One of two classes: the latent mean and variance, and what they make of a logistic curve.

    Parameters
    ----------
    kernel : Covariance
    rows : Tensor (m, features)
    weights : nn.Parameter (m,)
        y − π at the rows.
    shrink : Tensor (m, m)
        L⁻¹ √W, which takes away the variance that the rows explain.
    """

    rows: Tensor
    shrink: Tensor
    lambdas: Tensor
    coefs: Tensor

    def __init__(
        self, kernel: Covariance, rows: Tensor, weights: nn.Parameter, shrink: Tensor
    ) -> None:
        super().__init__()
        self.kernel, self.weights = kernel, weights
        self.register_buffer("rows", rows)
        self.register_buffer("shrink", shrink)
        self.register_buffer("lambdas", shrink.new_tensor(LAMBDAS))
        self.register_buffer("coefs", shrink.new_tensor(COEFS))

    def forward(self, x: Tensor) -> Tensor:
        """Latent means (n,)."""
        return self.kernel(x, self.rows) @ self.weights

    def likely(self, x: Tensor) -> Tensor:
        """Probabilities of the second class (n,)."""
        likeness = self.kernel(x, self.rows)
        mean = (likeness @ self.weights)[:, None]
        explained = ((likeness @ self.shrink.T) ** 2).sum(1)
        alpha = 1 / (2 * (self.kernel.variance(x) - explained))[:, None]
        reach = (alpha / (alpha + self.lambdas**2)).sqrt()
        bent = torch.erf(self.lambdas * mean * reach) / 2
        return (self.coefs * bent).sum(1) + 0.5 * self.coefs.sum()


class RestOrOne(Classifier):
    """Two classes, or each against the rest.

    Parameters
    ----------
    classes : ndarray (k,)
    parts : list of Laplace
        One, or one a class.
    """

    parts: nn.ModuleList

    def __init__(self, classes: Any, parts: list[Laplace]) -> None:
        super().__init__(classes, has=("predict", "predict_proba"))
        self.parts = nn.ModuleList(parts)

    def _likely(self, x: Tensor) -> Tensor:
        return torch.stack([part.likely(x) for part in self.parts], 1)  # type: ignore[operator] # a ModuleList forgets kinds

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the probabilities (n, k); (0, their difference) of two."""
        tiny = x.new_tensor(torch.finfo(x.dtype).tiny)
        logs = self.predict_proba(x).clamp_min(tiny).log()
        return logs - logs[:, :1] if logs.shape[1] == 2 else logs

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,): the sign of the latent mean decides between two."""
        if len(self.parts) == 1:
            return (self.parts[0](x) > 0).to(torch.int64)
        return self._likely(x).argmax(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        found = self._likely(x)
        if len(self.parts) == 1:
            return torch.cat([1 - found, found], 1)
        total = found.sum(1, keepdim=True)
        return found / torch.where(total == 0, 1.0, total)


class OneOnOne(Classifier):
    """Each class against each other: votes, and how clear they were; no probabilities.

    Parameters
    ----------
    classes : ndarray (k,)
    parts : list of Laplace
        One a pair.
    """

    def __init__(self, classes: Any, parts: list[Laplace]) -> None:
        super().__init__(classes, has=("predict",))
        self.without = ("predict_proba",)  # refused by scikit-learn itself
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Votes and less than half a vote (n, k)."""
        k = len(self.classes)
        votes = [torch.zeros_like(x[:, 0]) for _ in range(k)]
        clear = [torch.zeros_like(x[:, 0]) for _ in range(k)]
        pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
        for (i, j), part in zip(pairs, self.parts, strict=True):
            likely, won = part.likely(x), (part(x) > 0).to(x.dtype)  # type: ignore[operator] # as above
            votes[i], votes[j] = votes[i] + 1 - won, votes[j] + won
            clear[i], clear[j] = clear[i] - likely, clear[j] + likely
        sums = torch.stack(clear, 1)
        return torch.stack(votes, 1) + sums / (3 * (sums.abs() + 1))


@converts(kernel_ridge.KernelRidge)
def ridge(estimator: Any, build: Build) -> Piece:
    """The dual coefficients on the kernel."""
    kernel = pairwise_kernel(
        estimator.kernel,
        "KernelRidge",
        estimator.n_features_in_,
        gamma=estimator.gamma,
        coef0=estimator.coef0,
        degree=estimator.degree,
    )
    coef = np.asarray(estimator.dual_coef_)
    weights = build.weight(coef.reshape(len(coef), -1))
    rows = build.tensor(dense(estimator.X_fit_))
    return Regressor(Weighted(kernel, rows, weights), flat=coef.ndim == 1)


@converts(gaussian_process.GaussianProcessRegressor)
def process(estimator: Any, build: Build) -> Piece:
    """The posterior mean."""
    alpha = np.asarray(estimator.alpha_)
    columns = alpha.reshape(len(alpha), -1)
    kernel = covariance(estimator.kernel_, build, estimator.X_train_.shape[1])
    body = Weighted(kernel, build.tensor(estimator.X_train_), build.weight(columns))
    mean, scale = (build.tensor(v) for v in (estimator._y_train_mean, estimator._y_train_std))
    return GaussianProcess(body, mean, scale, flat=columns.shape[1] == 1)


@converts(gaussian_process.GaussianProcessClassifier)
def process_classifier(estimator: Any, build: Build) -> Piece:
    """Laplace's approximation, once or for each class or pair."""
    base = estimator.base_estimator_
    parts = [_laplace(each, build) for each in getattr(base, "estimators_", [base])]
    if len(parts) > 1 and estimator.multi_class == "one_vs_one":
        return OneOnOne(estimator.classes_, parts)
    return RestOrOne(estimator.classes_, parts)


def _laplace(estimator: Any, build: Build) -> Laplace:
    rows = estimator.X_train_
    shrink = solve_triangular(estimator.L_, np.diag(estimator.W_sr_), lower=True)
    return Laplace(
        covariance(estimator.kernel_, build, rows.shape[1]),
        build.tensor(rows),
        build.weight(estimator.y_train_ - estimator.pi_),
        build.tensor(shrink),
    )
