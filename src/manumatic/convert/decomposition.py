"""Decompositions that are one matrix: principal axes, independent components, factors, kernels."""

__all__ = ["Axes", "Centred", "Density", "KernelAxes", "Mapped", "ThereAndBack", "Threshold"]

from math import log, pi
from typing import Any

import numpy as np
import torch
from sklearn import decomposition
from sklearn.utils.extmath import fast_logdet
from torch import Tensor, nn

from manumatic.convert.kernels import Kernel, dense, pairwise_kernel
from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import exact
from manumatic.errors import ConvertError

BOTH = ("transform", "inverse_transform")


class Density(nn.Module):
    """log density of a Gaussian, given gaps to its mean.

    Parameters
    ----------
    precision : Tensor (features, features)
    volume : float
        log|precision|.
    """

    precision: Tensor
    size: Tensor

    def __init__(self, precision: Tensor, volume: float) -> None:
        super().__init__()
        self.register_buffer("precision", precision)
        exact(self, size=len(precision) * log(2 * pi) - volume)

    def forward(self, gap: Tensor) -> Tensor:
        """log density (n,)."""
        square = (gap * (gap @ self.precision)).sum(1)
        return -0.5 * square - 0.5 * self.size


class Centred(Transformer):
    """Rows around a mean; how likely they are, where the model says so.

    Parameters
    ----------
    mean : Tensor (features,)
    density : Density, optional
    """

    mean: Tensor

    def __init__(self, mean: Tensor, density: Density | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.density = density
        if density is not None:
            self.methods = (*self.methods, "score_samples")

    def score_samples(self, x: Tensor) -> Tensor:
        """log density (n,)."""
        if self.density is None:
            raise ConvertError("this decomposition has no density: score_samples is missing")
        found: Tensor = self.density(x - self.mean)
        return found


class Axes(Centred):
    """Onto axes and back: (x − mean) · axesᵀ / scale.

    Parameters
    ----------
    axes : nn.Parameter (outputs, features)
    mean : Tensor (features,)
    scale, back : Tensor (outputs,)
        What is divided by on the way there, and multiplied with on the way back.
    density : Density, optional
    """

    methods = BOTH
    scale: Tensor
    back: Tensor

    def __init__(
        self,
        axes: nn.Parameter,
        mean: Tensor,
        scale: Tensor,
        back: Tensor,
        density: Density | None = None,
    ) -> None:
        super().__init__(mean, density)
        self.axes = axes
        self.register_buffer("scale", scale[:, None])
        self.register_buffer("back", back[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates (n, outputs)."""
        # a scalar beside a matrix product, onnxruntime would round to float32
        return (x - self.mean) @ (self.axes / self.scale).T

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Rows (n, features)."""
        return x @ (self.back * self.axes) + self.mean


class Mapped(Centred):
    """One matrix there: (x − mean) · there.

    Parameters
    ----------
    mean : Tensor (features,)
    there : nn.Parameter (features, outputs)
    density : Density, optional
    """

    def __init__(self, mean: Tensor, there: nn.Parameter, density: Density | None = None) -> None:
        super().__init__(mean, density)
        self.there = there

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates (n, outputs)."""
        return (x - self.mean) @ self.there


class ThereAndBack(Mapped):
    """One matrix there, another back: x · back + mean.

    Parameters
    ----------
    mean : Tensor (features,)
    there : nn.Parameter (features, outputs)
    back : nn.Parameter (outputs, features)
    """

    methods = BOTH

    def __init__(self, mean: Tensor, there: nn.Parameter, back: nn.Parameter) -> None:
        super().__init__(mean, there)
        self.back = back

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Rows (n, features)."""
        return x @ self.back + self.mean


class KernelAxes(Transformer):
    """Kernels with the rows seen, centred, onto axes.

    Parameters
    ----------
    kernel : nn.Module
    rows : Tensor (m, features)
    means : Tensor (m,)
        Of the kernel's columns.
    mean : Tensor ()
        Of the whole kernel.
    axes : nn.Parameter (m, outputs)
    """

    rows: Tensor
    means: Tensor
    mean: Tensor
    seen: Tensor

    def __init__(
        self, kernel: nn.Module, rows: Tensor, means: Tensor, mean: Tensor, axes: nn.Parameter
    ) -> None:
        super().__init__()
        self.kernel, self.axes = kernel, axes
        self.register_buffer("rows", rows)
        self.register_buffer("means", means)
        self.register_buffer("mean", mean)

    def give_back(self, seen: Tensor, rows: nn.Parameter) -> None:
        """Learn the way back: coordinates (m, outputs) and the weights of their rows."""
        self.methods = BOTH
        self.register_buffer("seen", seen)
        self.back = rows

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates (n, outputs)."""
        likeness = self.kernel(x, self.rows)
        middle = likeness.mean(1, keepdim=True)
        return (likeness - self.means - middle + self.mean) @ self.axes

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Rows (n, features)."""
        return self.kernel(x, self.seen) @ self.back


class Threshold(Transformer):
    """What of the likeness to each atom is above a threshold.

    Parameters
    ----------
    atoms : nn.Parameter (atoms, features)
    alpha : float
        The threshold.
    split, positive : bool
        Positive and negative parts side by side; nothing below 0.
    """

    methods = BOTH
    alpha: Tensor

    def __init__(self, atoms: nn.Parameter, alpha: float, *, split: bool, positive: bool) -> None:
        super().__init__()
        self.atoms, self.split, self.positive = atoms, split, positive
        exact(self, alpha=alpha)

    def forward(self, x: Tensor) -> Tensor:
        """Codes (n, atoms), or (n, 2 · atoms)."""
        likeness = x @ self.atoms.T
        code = likeness.sign() * (likeness.abs() - self.alpha).clamp_min(0.0)
        code = code.clamp_min(0.0) if self.positive else code
        return torch.cat([code.clamp_min(0.0), -code.clamp_max(0.0)], 1) if self.split else code

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Rows (n, features)."""
        if self.split:
            half = x.shape[1] // 2
            x = x[:, :half] - x[:, half:]
        return x @ self.atoms


@converts(decomposition.PCA, decomposition.IncrementalPCA)
def principal(estimator: Any, build: Build) -> Piece:
    """Principal axes."""
    scale = np.sqrt(estimator.explained_variance_)
    there = np.maximum(scale, np.finfo(scale.dtype).eps)
    if not estimator.whiten:
        there = scale = np.ones_like(scale)
    given = build.tensor(estimator.mean_), build.tensor(there), build.tensor(scale)
    density = _density(estimator, build) if hasattr(estimator, "score_samples") else None
    return Axes(build.weight(estimator.components_), *given, density)


def _density(estimator: Any, build: Build) -> Density | None:
    """The Gaussian that the axes describe; None where its covariance has no inverse."""
    try:
        precision = estimator.get_precision()
    except np.linalg.LinAlgError:
        return None  # scikit-learn's score_samples stops there, too
    return Density(build.tensor(precision), float(fast_logdet(precision)))


@converts(decomposition.TruncatedSVD)
def truncated(estimator: Any, build: Build) -> Piece:
    """Singular vectors."""
    axes = build.weight(estimator.components_)
    ones = torch.ones_like(axes[:, 0].detach())
    return Axes(axes, torch.zeros_like(axes[0].detach()), ones, ones.clone())


@converts(decomposition.FastICA)
def independent(estimator: Any, build: Build) -> Piece:
    """The unmixing matrix, and the mixing matrix back."""
    mean = estimator.mean_ if estimator.whiten else np.zeros(estimator.components_.shape[1])
    weights = build.weight(estimator.components_.T), build.weight(estimator.mixing_.T)
    return ThereAndBack(build.tensor(mean), *weights)


@converts(decomposition.FactorAnalysis)
def factors(estimator: Any, build: Build) -> Piece:
    """The posterior mean of the factors."""
    weighted = estimator.components_ / estimator.noise_variance_
    inner = np.eye(len(weighted)) + weighted @ estimator.components_.T
    there = build.weight(weighted.T @ np.linalg.inv(inner))
    return Mapped(build.tensor(estimator.mean_), there, _density(estimator, build))


@converts(decomposition.SparsePCA, decomposition.MiniBatchSparsePCA)
def sparse_axes(estimator: Any, build: Build) -> Piece:
    """Ridge regression on the components, solved once."""
    axes = estimator.components_
    inner = axes @ axes.T + estimator.ridge_alpha * np.eye(len(axes))
    there = np.linalg.solve(inner, axes).T
    return ThereAndBack(build.tensor(estimator.mean_), build.weight(there), build.weight(axes))


@converts(decomposition.KernelPCA)
def kernel_axes(estimator: Any, build: Build) -> Piece:
    """Axes in the space of the kernel."""
    rows = dense(estimator.X_fit_)
    kernel: Kernel = pairwise_kernel(
        estimator.kernel,
        "KernelPCA",
        estimator.n_features_in_,
        gamma=estimator.gamma_,
        coef0=estimator.coef0,
        degree=estimator.degree,
    )
    centre, some = estimator._centerer, estimator.eigenvalues_ != 0
    scale = np.sqrt(np.where(some, estimator.eigenvalues_, 1.0))
    axes = np.where(some, estimator.eigenvectors_ / scale, 0.0)
    means, mean = build.tensor(centre.K_fit_rows_), build.tensor(centre.K_fit_all_)
    made = KernelAxes(kernel, build.tensor(rows), means, mean, build.weight(axes))
    if estimator.fit_inverse_transform:
        seen = build.tensor(estimator.X_transformed_fit_)
        made.give_back(seen, build.weight(estimator.dual_coef_))
    return made


@converts(
    decomposition.SparseCoder,
    decomposition.DictionaryLearning,
    decomposition.MiniBatchDictionaryLearning,
)
def sparse_code(estimator: Any, build: Build) -> Piece:
    """Codes that have a closed form."""
    if estimator.transform_algorithm != "threshold":
        raise ConvertError(
            f"{type(estimator).__name__} codes with "
            f"transform_algorithm={estimator.transform_algorithm!r}, a search of its own for each "
            "row; only 'threshold' has a formula"
        )
    atoms = getattr(estimator, "components_", None)
    atoms = estimator.dictionary if atoms is None else atoms
    alpha = estimator.transform_alpha
    alpha = getattr(estimator, "alpha", 1.0) if alpha is None else alpha
    return Threshold(
        build.weight(atoms),
        alpha,
        split=estimator.split_sign,
        positive=estimator.positive_code,
    )
