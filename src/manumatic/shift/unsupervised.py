"""PCA, KMeans, GaussianMixture and NMF: rows that are their own targets."""

__all__ = ["centres", "linear_autoencoder", "mixture", "nonnegative"]

from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA
from sklearn.mixture import GaussianMixture
from torch import Tensor

from manumatic.errors import ComponentError
from manumatic.gears.autoencoder import Autoencoder
from manumatic.nets.autoencoder import LinearAutoencoder
from manumatic.nets.clusters import Centres, Mixture, NegativeLogLikelihood, SquaredDistance
from manumatic.nets.nonnegative import NonNegative
from manumatic.parts.components import Data, Loop, Loss, Model, Optimizer
from manumatic.shift.registry import Shift, refuse, shifts, starts

ADAM = Optimizer("adam", lr=0.05, schedule="cosine")
NEWTON = Optimizer("lbfgs", lr=1.0, line_search_fn="strong_wolfe", history_size=20)
WHOLE = ("all rows in one batch, as they are", "fit sees all rows at once")


@shifts(PCA)
def linear_autoencoder(estimator: Any) -> Shift:
    """Σ squared errors of a reconstruction from a few linear combinations."""
    fitted = starts(estimator, "components_")
    if fitted:
        model: Any = _principal(estimator)
        code = "the components, its code is that of transform"
    else:
        refuse(estimator, whiten=False)
        number = _number(estimator, "n_components")
        model = Model(LinearAutoencoder, code=number)
        code = "its code spans the components' space, rotated and stretched"
    roles = {
        "data": WHOLE,
        "model": (f"a linear layer to {estimator.n_components} numbers and one back", code),
        "loss": ("squared error", "the variance that the components leave over"),
        "optimizer": ("Adam, lr 0.05 falling to 0", "the singular value decomposition"),
        "loop": ("2,000 epochs", "directions of like variance come apart last"),
    }
    return Shift(_net(estimator, model, "mse", ADAM, 2000), roles)


@shifts(KMeans)
def centres(estimator: Any) -> Shift:
    """Σ squared distances to the nearest of the centres."""
    number, start = int(estimator.n_clusters), None
    if starts(estimator, "cluster_centers_"):
        start = estimator.cluster_centers_
    elif not isinstance(estimator.init, str):
        start = estimator.init
    else:
        refuse(estimator, init="k-means++")
        if estimator.n_init not in ("auto", 1):
            refuse(estimator, n_init=1)
    model: Any = Model(Centres, code=number)
    if start is not None:
        given = _tensor(start)
        if given.shape[:1] != (number,) or given.ndim != 2:
            raise ComponentError(
                f"init has the shape {tuple(given.shape)}; {number} clusters start from {number} "
                "rows"
            )
        model = Centres(given.shape[1], number)
        model.start_at(given)
    roles = {
        "data": WHOLE,
        "model": (
            f"{number} centres; a row is given back as the nearest one",
            "transform gives the distances, their argmin is what predict says",
        ),
        "loss": ("squared distance", "the inertia, divided by the rows"),
        "optimizer": (
            "gradient descent, lr 0.5",
            "Lloyd's algorithm: a step moves each centre to the mean of its rows",
        ),
        "loop": ("300 epochs", f"max_iter={estimator.max_iter}"),
    }
    optimizer = Optimizer("sgd", lr=0.5)
    return Shift(_net(estimator, model, Loss(SquaredDistance), optimizer, 300), roles)


@shifts(GaussianMixture)
def mixture(estimator: Any) -> Shift:
    """Σ log likelihood of a mixture of Gaussians."""
    kind, number = estimator.covariance_type, int(estimator.n_components)
    if starts(estimator, "precisions_cholesky_"):
        model: Any = Mixture(estimator.means_.shape[1], number, kind, float(estimator.reg_covar))
        means, shares = torch.tensor(estimator.means_), torch.tensor(estimator.weights_)
        model.start_at(means, _covariances(estimator), shares)
    else:
        refuse(estimator, init_params="kmeans", n_init=1)
        refuse(estimator, weights_init=None, means_init=None, precisions_init=None)
        floor = float(estimator.reg_covar)
        model = Model(Mixture, code=number, covariance=kind, floor=floor)
    roles = {
        "data": WHOLE,
        "model": (
            f"{number} Gaussians: means, {kind} precisions as Cholesky factors, log shares",
            "transform gives what predict_proba says",
        ),
        "loss": ("negative log likelihood", "the lower bound that EM raises, times -1"),
        "optimizer": ("LBFGS with a line search", "expectation and maximisation in turn"),
        "loop": ("up to 1,000 steps in 50 epochs", f"max_iter={estimator.max_iter}"),
    }
    return Shift(_net(estimator, model, Loss(NegativeLogLikelihood), NEWTON, 50), roles)


@shifts(NMF)
def nonnegative(estimator: Any) -> Shift:
    """Σ squared errors of sums of parts, neither parts nor amounts below 0."""
    refuse(estimator, beta_loss="frobenius", alpha_W=0.0)
    if estimator.alpha_H != "same":
        refuse(estimator, alpha_H=0.0)
    if starts(estimator, "components_"):
        start = _tensor(estimator.components_)
        model: Any = NonNegative(start.shape[1], len(start))
        model.start_at(start)
    else:
        if estimator.init not in (None, "nndsvd", "nndsvda"):
            refuse(estimator, init=None)
        model = Model(NonNegative, code=_number(estimator, "n_components"))
    roles = {
        "data": WHOLE,
        "model": (
            "parts that are squares of the weights; the encoder finds the best amounts of them",
            "transform gives the amounts",
        ),
        "loss": ("squared error", "the Frobenius norm, squared, by the number of cells"),
        "optimizer": ("LBFGS with a line search", "coordinate descent on the parts"),
        "loop": ("up to 1,000 steps in 50 epochs", f"max_iter={estimator.max_iter}"),
    }
    return Shift(_net(estimator, model, "mse", NEWTON, 50), roles)


def _net(estimator: Any, model: Any, loss: Any, optimizer: Optimizer, epochs: int) -> Autoencoder:
    return Autoencoder(
        model,
        data=Data(batch_size=None, validation=None, preprocess=None),
        loss=loss,
        optimizer=optimizer,
        loop=Loop(epochs),
        random_state=estimator.random_state,
    )


def _number(estimator: Any, name: str) -> int:
    """A parameter that counts; "auto" and shares of a variance need the rows first."""
    value = getattr(estimator, name)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        kind = type(estimator).__name__
        raise ComponentError(
            f"{kind}({name}={value!r}) depends on the rows; give a whole number, or fit it first"
        )
    return int(value)


def _tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _principal(estimator: Any) -> LinearAutoencoder:
    """The autoencoder that a fitted PCA is."""
    towards = _tensor(estimator.components_)
    model = LinearAutoencoder(towards.shape[1], len(towards))
    size = torch.ones(len(towards))
    if estimator.whiten:
        size = _tensor(estimator.explained_variance_).clamp(min=1e-30).sqrt()
    mean = _tensor(estimator.mean_)
    with torch.no_grad():
        model.encoder.weight.copy_(towards / size.unsqueeze(1))
        model.encoder.bias.copy_(-model.encoder.weight @ mean)
        model.decoder.weight.copy_(towards.T * size)
        model.decoder.bias.copy_(mean)
    return model


def _covariances(estimator: Any) -> Tensor:
    """Those of a fitted GaussianMixture as matrices, (n_components, d, d), of any kind."""
    found, columns = estimator.covariances_, estimator.means_.shape[1]
    if estimator.covariance_type == "spherical":
        found = found[:, None, None] * np.eye(columns)
    elif estimator.covariance_type == "diag":
        found = found[:, :, None] * np.eye(columns)
    return torch.tensor(found, dtype=torch.float64).expand(len(estimator.means_), -1, -1)
