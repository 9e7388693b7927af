"""Manifolds."""

__all__ = ["CASES"]

from sklearn import manifold
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection
from suite import Case

X = ("multiclass", "regression")
CASES = [
    *[
        # turned, so that no two rows are equally far: see cases_neighbors.py
        Case(make_pipeline(GaussianRandomProjection(4, random_state=0), isomap), X, note)
        for note, isomap in {
            "isomap": manifold.Isomap(),
            "isomap, manhattan": manifold.Isomap(n_neighbors=8, n_components=3, p=1),
        }.items()
    ],
    *[
        Case(
            manifold.LocallyLinearEmbedding(
                n_neighbors=9, method=method, eigen_solver="dense", random_state=0
            ),
            ("regression",),
            method,
        )
        for method in ("standard", "modified", "hessian", "ltsa")
    ],
]
