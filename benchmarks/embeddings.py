"""Clusters and neighbours of digits: pixels, principal components, codes, layers of networks.

python benchmarks/embeddings.py              # four minutes
python benchmarks/embeddings.py --write      # and refresh docs/embeddings.md
"""

__all__ = ["WITHOUT_LABELS", "WITH_LABELS", "judged"]

import argparse
import os
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from table import environment, markdown, refresh

import manumatic as mm

PAGE = Path(__file__).parents[1] / "docs" / "embeddings.md"
SEEDS = (0, 1, 2)
AS_IT_IS = mm.Data(preprocess=None)
HEADER = ("what k-means and the neighbours see", "numbers", "ARI", "NMI", "nearest neighbour")


def coder(model: str, loss: mm.Loss | str = "auto", **more: object) -> mm.Autoencoder:
    """An autoencoder with 16 numbers a code."""
    return mm.Autoencoder(mm.Model(model, code=16, **more), data=AS_IT_IS, loss=loss)


DENOISING = coder("autoencoder", hidden=[256, 64], noise=0.2)
PIXELS = FunctionTransformer()
WITHOUT_LABELS = {
    "pixels": PIXELS,
    "`PCA(16)`": PCA(16),
    "`Autoencoder`, linear": coder("linear"),
    "`Autoencoder`": coder("autoencoder", hidden=[256, 64]),
    "`Autoencoder`, denoising (noise 0.2)": DENOISING,
    "`Autoencoder`, variational (beta 0.01)": coder("variational", mm.Loss("elbo", beta=0.01)),
    "`TSNE` of the pixels": TSNE(),
    "`TSNE` of the denoising code": make_pipeline(DENOISING, TSNE()),
}
WITH_LABELS = {
    "pixels": PIXELS,
    "`Embedder` of an MLP (128, 64)": mm.Classifier(mm.Model("mlp", hidden=[128, 64])),
    "`Embedder` of the table net": mm.Classifier("table"),
    "`Embedder` of the CNN": mm.Classifier("cnn"),
}


def judged(rows: np.ndarray, digits: np.ndarray, seed: int) -> tuple[float, float, float]:
    """ARI and NMI of k-means with as many clusters as digits; 1-NN accuracy, five folds."""
    count = len(np.unique(digits))
    found = KMeans(count, n_init=10, random_state=seed).fit_predict(rows)
    near = cross_val_score(KNeighborsClassifier(1), rows, digits, cv=5).mean()
    information = normalized_mutual_info_score(digits, found)
    return adjusted_rand_score(digits, found), information, near


def seeded(step: object, seed: int) -> object:
    """A clone whose random parts all have the seed."""
    step = clone(step)
    names = [name for name in step.get_params() if name.endswith("random_state")]
    return step.set_params(**dict.fromkeys(names, seed))


def table(ways: dict, learned: np.ndarray | None, judge: np.ndarray) -> str:
    """One line a way: means over the seeds, with the range of the ARI."""
    X, digits = load_digits(return_X_y=True)
    X, lines = X / 16, []
    for name, way in ways.items():
        found = []
        for seed in SEEDS:
            step = seeded(way, seed)
            if isinstance(step, mm.Classifier):
                rows = X.reshape(-1, 8, 8) if step.model == "cnn" else X
                step = mm.Embedder(step).fit(rows[learned], digits[learned])
                codes = step.transform(rows[judge])
            else:
                codes = step.fit_transform(X[judge])
            found.append(judged(codes, digits[judge], seed))
        rand, information, near = np.transpose(found)
        spread = f"{rand.mean():.2f} ({rand.min():.2f} to {rand.max():.2f})"
        numbers = f"{information.mean():.2f}", f"{near.mean():.3f}"
        lines.append((name, str(codes.shape[1]), spread, *numbers))
        print(*lines[-1], flush=True)
    return markdown(HEADER, lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="refresh docs/embeddings.md")
    options = parser.parse_args()
    digits = load_digits().target
    even = np.arange(len(digits)) % 2 == 0
    about = environment(["manumatic", "torch", "scikit-learn"])
    parts = {
        "without": table(WITHOUT_LABELS, None, np.full(len(digits), True)),
        "rows": table(WITH_LABELS, even, ~even),
        "classes": table(WITH_LABELS, digits < 5, digits >= 5),
    }
    for name, text in parts.items():
        print(text)
        if options.write:
            refresh(PAGE, name, f"{about}; means of {len(SEEDS)} seeds.\n\n{text}")


if __name__ == "__main__":
    main()
