"""Kernel ridge and Gaussian processes."""

__all__ = ["CASES"]

from sklearn import gaussian_process, kernel_ridge
from sklearn.gaussian_process import kernels
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from suite import Case

NUMBERS = ("regression", "targets")


def scaled(model):
    """On columns of one scale: rows are near to each other."""
    return make_pipeline(StandardScaler(), model)


def process(kernel=None, **given):
    """With noise enough that the matrix is far from singular."""
    given = {"alpha": 0.1, "optimizer": None, **given}
    return scaled(gaussian_process.GaussianProcessRegressor(kernel, **given))


COVARIANCES = {
    "rational": kernels.RationalQuadratic(1.3, 0.7),
    "matern 0.5": kernels.Matern(2.0, nu=0.5),
    "matern 1.5": kernels.Matern(2.0, nu=1.5),
    "matern 2.5": kernels.Matern(2.0, nu=2.5),
    "matern 3.5": kernels.Matern(2.0, nu=3.5),
    "matern inf": kernels.Matern(2.0, nu=float("inf")),
    "dot": kernels.DotProduct(0.5) + kernels.WhiteKernel(0.3),
    "constant": kernels.ConstantKernel(2.0) * kernels.RBF(1.5) + 0.1,
    "pairwise": kernels.PairwiseKernel(gamma=0.2, metric="laplacian"),
}
CASES = [
    Case(kernel_ridge.KernelRidge(), NUMBERS),
    Case(scaled(kernel_ridge.KernelRidge(kernel="rbf")), NUMBERS, "rbf"),
    Case(
        scaled(kernel_ridge.KernelRidge(kernel="poly", degree=2, gamma=0.1)),
        NUMBERS,
        "poly",
        single=1e-2,
    ),
    *[
        Case(kernel_ridge.KernelRidge(kernel=kernel, gamma=0.01), NUMBERS, kernel)
        for kernel in ("laplacian", "sigmoid", "cosine")
    ],
    Case(kernel_ridge.KernelRidge(kernel="additive_chi2"), ("counts",), "additive chi2"),
    Case(kernel_ridge.KernelRidge(kernel="chi2", gamma=0.1), ("counts",), "chi2"),
    Case(process(), NUMBERS),
    Case(process(normalize_y=True), NUMBERS, "normalize"),
    Case(
        make_pipeline(
            StandardScaler(),
            gaussian_process.GaussianProcessRegressor(
                kernels.RBF(2.0) + kernels.WhiteKernel(1.0), normalize_y=True, random_state=0
            ),
        ),
        ("regression",),
        "optimised",
    ),
    *[Case(process(kernel), NUMBERS, note) for note, kernel in COVARIANCES.items()],
    # in several columns the kernel is not positive definite; the noise hides it
    Case(process(kernels.ExpSineSquared(1.2, 3.0), alpha=200.0), NUMBERS, "periodic"),
    Case(process(kernels.DotProduct(0.5) ** 2), NUMBERS, "power", single=1e-2),
    *[
        Case(
            scaled(gaussian_process.GaussianProcessClassifier(kernel, random_state=0, **given)),
            ("binary", "multiclass"),
            note,
            single=1e-2,  # the five error functions have factors of 3,500
        )
        for note, kernel, given in [
            ("optimised", kernels.RBF(5.0), {}),
            ("a sum", 2.0 * kernels.RBF(3.0) + kernels.DotProduct(), {"optimizer": None}),
            (
                "one against one",
                kernels.Matern(3.0),
                {"multi_class": "one_vs_one", "optimizer": None},
            ),
        ]
    ],
]
