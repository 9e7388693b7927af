"""Mixtures of Gaussians."""

__all__ = ["CASES"]

from sklearn import mixture
from suite import Case

# float32: one matrix for all means that pixels which never change have a variance of 1e-6
KINDS = {"full": 1e-3, "tied": 1.0, "diag": 1e-3, "spherical": 1e-3}
CASES = [
    *[
        Case(
            mixture.GaussianMixture(3, covariance_type=kind, random_state=0),
            ("multiclass", "regression"),
            kind,
            single=single,
        )
        for kind, single in KINDS.items()
    ],
    *[
        Case(
            mixture.BayesianGaussianMixture(n_components=3, covariance_type=kind, random_state=0),
            ("multiclass", "regression"),
            kind,
            single=single,
        )
        for kind, single in KINDS.items()
    ],
    Case(
        mixture.BayesianGaussianMixture(
            n_components=3, weight_concentration_prior_type="dirichlet_distribution", random_state=0
        ),
        ("multiclass",),
        "dirichlet",
    ),
]
