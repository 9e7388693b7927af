"""Factorisations whose transform is a search."""

__all__ = ["CASES"]

from sklearn import decomposition
from sklearn.kernel_approximation import RBFSampler
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from suite import Case

GIVEN = {"n_components": 3, "max_iter": 60, "random_state": 0}
CASES = [
    Case(decomposition.NMF(**GIVEN), ("counts",)),
    Case(decomposition.NMF(**GIVEN, alpha_W=0.01, l1_ratio=0.5), ("counts",), "penalty"),
    Case(decomposition.NMF(**GIVEN, tol=0.1), ("counts",), "coarse"),
    Case(decomposition.NMF(**GIVEN, init="nndsvda"), ("counts",), "nndsvda"),
    *[
        Case(decomposition.NMF(**GIVEN, solver="mu", beta_loss=beta), ("counts",), f"mu {beta}")
        for beta in ("frobenius", "kullback-leibler", 1.5, 2.5, 0.5)
    ],
    Case(
        decomposition.NMF(3, solver="mu", max_iter=37, tol=0, random_state=0, alpha_W=0.01),
        ("counts",),
        "mu, 37 steps",
    ),
    Case(  # of nothing that is 0
        make_pipeline(
            RBFSampler(gamma=1e-4, n_components=6, random_state=0),
            MinMaxScaler((1.0, 2.0), clip=True),
            decomposition.NMF(2, solver="mu", beta_loss="itakura-saito", random_state=0),
        ),
        ("counts",),
        "itakura-saito",
    ),
    *[
        Case(decomposition.MiniBatchNMF(**GIVEN, beta_loss=beta), ("counts",), str(beta))
        for beta in ("frobenius", "kullback-leibler", 0.5, 2.5)
    ],
    Case(decomposition.LatentDirichletAllocation(3, max_iter=3, random_state=0), ("counts",)),
    Case(
        decomposition.LatentDirichletAllocation(
            3, doc_topic_prior=0.05, max_doc_update_iter=7, max_iter=3, random_state=0
        ),
        ("counts",),
        "seven steps",
    ),
]
