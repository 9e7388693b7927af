"""Digits without labels: an autoencoder and k-means in one pipeline; each centre is a digit."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline

import manumatic as mm

X, digit = load_digits(return_X_y=True)  # the digits are looked at to compare, not to learn
X = X / 16
kmeans = KMeans(10, n_init=10, random_state=0)
net = mm.Autoencoder(
    mm.Model("autoencoder", code=16, hidden=[256, 64], noise=0.2),
    data=mm.Data(preprocess=None),
    random_state=0,
)
ways = {
    "64 pixels": make_pipeline(kmeans),
    "16 principal components": make_pipeline(PCA(16, random_state=0), kmeans),
    "16 numbers of the autoencoder": make_pipeline(net, kmeans),
}
for name, pipeline in ways.items():
    found = pipeline.fit_predict(X)
    print(f"{name:<31}adjusted Rand index {adjusted_rand_score(digit, found):.2f}")

net, kmeans = ways["16 numbers of the autoencoder"]
codes = net.transform(X)
centres = net.inverse_transform(kmeans.cluster_centers_).reshape(10, 8, 8)
heaps = [digit[found == cluster] for cluster in range(10)]
names = [int(np.bincount(heap).argmax()) for heap in heaps]
share = np.mean(np.concatenate([heap == name for heap, name in zip(heaps, names, strict=True)]))
print(f"{share:.0%} of the rows lie on a heap that their digit rules; the heaps are {names}")

where = "mmmmm;mmmmm;mmmmm;01234;56789"
figure, axes = plt.subplot_mosaic(where, figsize=(7, 9), layout="constrained")
places = TSNE(init="pca", random_state=0).fit_transform(codes)
axes["m"].scatter(*places.T, c=found, cmap="tab10", s=6)
axes["m"].set_title("codes, coloured by cluster; below, the centres decoded")
axes["m"].set_axis_off()
for cluster in range(10):
    axes[str(cluster)].imshow(centres[cluster], cmap="gray_r")
    axes[str(cluster)].set(xticks=[], yticks=[])
    for edge in axes[str(cluster)].spines.values():
        edge.set(visible=True, color=plt.get_cmap("tab10")(cluster), linewidth=3)
figure.savefig("autoencoder_clusters.png")
