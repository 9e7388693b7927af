"""Approximations of kernels, and random projections."""

__all__ = ["CASES"]

from sklearn import kernel_approximation, random_projection
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from suite import Case

X = ("multiclass", "regression")
CASES = [
    Case(kernel_approximation.Nystroem(gamma=0.01, n_components=9, random_state=0), X),
    *[
        Case(
            kernel_approximation.Nystroem(kernel, n_components=9, random_state=0, **given),
            ("counts",),
            kernel,
            single=0.2,  # over the root of an eigenvalue of 1e-10
        )
        for kernel, given in {
            "laplacian": {"gamma": 0.01},
            "poly": {"gamma": 0.01, "degree": 2, "coef0": 1.0},
            "sigmoid": {"gamma": 1e-4},
            "cosine": {},
            "chi2": {},
        }.items()
    ],
    Case(
        kernel_approximation.RBFSampler(n_components=9, random_state=0),
        X,
        single=0.005,  # cosines of angles up to 25,000: float32 knows those to 0.002
    ),
    Case(kernel_approximation.RBFSampler(gamma="scale", random_state=0), X, "scale"),
    Case(kernel_approximation.SkewedChi2Sampler(n_components=9, random_state=0), ("counts",)),
    Case(kernel_approximation.AdditiveChi2Sampler(), ("counts",)),
    Case(kernel_approximation.AdditiveChi2Sampler(sample_steps=3), ("counts",), "three"),
    Case(
        kernel_approximation.AdditiveChi2Sampler(sample_steps=4, sample_interval=0.3),
        ("counts",),
        "four",
    ),
    *[
        Case(
            make_pipeline(
                StandardScaler(),
                kernel_approximation.PolynomialCountSketch(random_state=0, **given),
            ),
            X,
            note,
        )
        for note, given in {
            "sketch": {"n_components": 11},
            "cubic sketch": {"degree": 3, "gamma": 0.01, "coef0": 1, "n_components": 8},
        }.items()
    ],
    Case(random_projection.GaussianRandomProjection(2, random_state=0), X),
    Case(
        random_projection.GaussianRandomProjection(
            2, compute_inverse_components=True, random_state=0
        ),
        ("regression",),
        "inverse",
    ),
    Case(random_projection.SparseRandomProjection(2, random_state=0), X),
    Case(
        random_projection.SparseRandomProjection(
            2, density=0.5, dense_output=True, compute_inverse_components=True, random_state=0
        ),
        ("regression",),
        "dense",
    ),
]
