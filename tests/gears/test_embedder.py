"""mm.Embedder against forwards written by hand in PyTorch with the same weights; hooks gone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from nets_of_users import Coder, Normed, Plain
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import manumatic as mm
from manumatic.nets.crossed import CrossedNet
from manumatic.nets.layer import Layer

FEW = mm.Loop(epochs=2)
N = 40
X, Y = (part[::3] for part in load_iris(return_X_y=True))
DIGITS, LABELS = load_digits().images[:N], load_digits().target[:N] % 2
WORDS = ["good tea", "bad", "no tea at all", "a very good black tea again"] * 10


def ragged():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, 3)) for length in rng.integers(2, 9, N)]


def fitted(kind, model, rows, y=None, **more):
    return kind(model, loop=FEW, random_state=0, **more).fit(rows, y)


def prepared(net, rows):
    return net._preparation.numbers(net._read(rows, reset=False))


def embedded(net, rows, layer=None, **more):
    return mm.Embedder(FrozenEstimator(net), layer, **more).fit(rows).transform(rows)


def hooks(model):
    return sum(len(p._forward_hooks) + len(p._forward_pre_hooks) for p in model.modules())


# --- the same as by hand -----------------------------------------------------------------------


def plain_by_hand(model, x):
    return torch.relu(model.first(x))


def normed_by_hand(model, x):
    return torch.relu(model.norm(model.first(x)))


def members_by_hand(model, x):
    x = model.read(x)
    for layer, bend in zip(model.layers, model.bends, strict=True):
        x = bend(layer(x))
    return x.mean(1)


def maps_by_hand(model, x):
    """After the second of three blocks, (n, channels, 2, 2)."""
    return model.features[:8](x).mean((2, 3))


def last_maps(model, x):
    return model.features(x).mean((2, 3))


def before_head(model, x):
    return model.head[:-1](model.features(x))


def states_by_hand(model, x):
    """Row by row, so that no padding is there at all."""
    found = []
    for row in x:
        steps = row[~row[:, 0].isnan()]
        found.append(model.recurrent(steps.unsqueeze(0))[0][0].mean(0))
    return torch.stack(found)


def convolved_by_hand(model, x):
    """The last convolution says (n, hidden, steps); its mean over the steps that are there."""
    there = ~x[..., 0].isnan()
    said = []
    handle = model.blocks[2].register_forward_hook(lambda *all: said.append(all[2]))
    model(x)
    handle.remove()
    return torch.stack([row[:, t].mean(1) for row, t in zip(said[0], there, strict=True)])


def words_by_hand(model, ids):
    return torch.stack([model.words(row[row != 0]).mean(0) for row in ids])


def pooled_words(model, ids):
    """What TextBag's head reads: mean and maximum of the vectors of words and of pairs."""
    found = []
    for row in ids:
        row = row[row != 0]
        pairs = (row[:-1] * 1_000_003 + row[1:]) % (model.pairs.num_embeddings - 1) + 1
        vectors = torch.cat([model.words(row), model.pairs(pairs)])
        found.append(torch.cat([vectors.mean(0), vectors.amax(0)]))
    return torch.stack(found)


CASES = {
    "input of the last": (mm.Classifier, Plain, X, Y, None, plain_by_hand),
    "named": (mm.Regressor, Plain, X, Y, "first", lambda m, x: m.first(x)),
    "all of it": (mm.Regressor, Plain, X, Y, "", lambda m, x: m(x)),
    "batch norm and dropout": (mm.Classifier, Normed, X, Y, None, normed_by_hand),
    "members": (mm.Classifier, "table", X, Y, None, members_by_hand),
    "maps": (mm.Classifier, "cnn", DIGITS, LABELS, "features.7", maps_by_hand),
    "a container": (mm.Classifier, "cnn", DIGITS, LABELS, "features", last_maps),
    "images": (mm.Classifier, "cnn", DIGITS, LABELS, None, before_head),
    "states": (mm.Classifier, "gru", ragged(), LABELS, "recurrent", states_by_hand),
    "channels first": (mm.Classifier, "conv", ragged(), LABELS, "blocks.2", convolved_by_hand),
    "words": (mm.Classifier, "bag", WORDS, LABELS, "words", words_by_hand),
    "texts": (mm.Classifier, "bag", WORDS, LABELS, None, pooled_words),
    "codes": (mm.Autoencoder, Coder, X, None, None, lambda m, x: m.encoder(x)),
    "inside a coder": (mm.Autoencoder, "auto", X, None, "encoder.0", lambda m, x: m.encoder[0](x)),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_a_forward_by_hand_gives(name):
    kind, model, rows, y, layer, by_hand = CASES[name]
    net = fitted(kind, model, rows, y)
    before = {key: value.clone() for key, value in net.model_.state_dict().items()}
    found = embedded(net, rows, layer)
    with torch.no_grad():
        wanted = by_hand(net.model_, prepared(net, rows)).flatten(1)
    assert found.dtype == np.float32
    assert found.shape == tuple(wanted.shape)
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-5, atol=1e-6)
    assert hooks(net.model_) == 0
    assert not net.model_.training
    assert all(torch.equal(before[key], v) for key, v in net.model_.state_dict().items())
    trained = mm.Embedder(kind(model, loop=FEW, random_state=0), layer).fit(rows, y)
    assert np.array_equal(trained.transform(rows), found), "fit trains as the net alone does"


def test_without_pooling_all_numbers_stand_side_by_side():
    net = fitted(mm.Classifier, "cnn", DIGITS, LABELS)
    with torch.no_grad():
        wanted = net.model_.features[:8](prepared(net, DIGITS)).flatten(1)
    found = embedded(net, DIGITS, "features.7", pool=None)
    assert found.shape[1] == 4 * net.model_.features[4].out_channels, "2 x 2 positions"
    assert np.allclose(found, wanted.numpy(), atol=1e-6)
    net = fitted(mm.Classifier, "table", X, Y)
    assert embedded(net, X, pool=None).shape == (50, net.model_.head.weight[:, :, 0].numel())


def test_members_with_weights_of_their_own_stand_side_by_side():
    """The third number of one says nothing that the third of another says."""
    net = mm.Classifier(random_state=0, loop=mm.Loop(1, keep="best")).fit(X, Y)
    assert isinstance(net.model_, CrossedNet)
    net.model_.eval()
    with torch.no_grad():
        x = net.model_.read(prepared(net, X))
        for layer, bend in zip(net.model_.layers, net.model_.bends, strict=True):
            x = bend(layer(x))
    found = embedded(net, X)
    assert found.shape == (len(X), 16 * 32)
    assert np.allclose(found, x.flatten(1).numpy(), atol=1e-6)


def test_padding_and_company_change_nothing():
    rows = ragged()
    net = fitted(mm.Classifier, "gru", rows, LABELS)
    embedder = mm.Embedder(FrozenEstimator(net), "recurrent").fit(rows)
    alone = np.vstack([embedder.transform([row]) for row in rows])
    assert np.allclose(embedder.transform(rows), alone, atol=1e-6)
    flat = mm.Embedder(FrozenEstimator(net), "recurrent", pool=None).fit(rows)
    with pytest.raises(mm.DataError, match="embeddings of 128 numbers, those of fit had 512"):
        flat.transform([np.zeros((2, 3))])


def test_threads_do_not_read_what_another_one_said():
    net = fitted(mm.Classifier, "mlp", X, Y)
    embedder = mm.Embedder(FrozenEstimator(net)).fit(X)
    rows = [X[[i]] for i in range(50)]
    alone = [embedder.transform(row) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(embedder.transform, rows * 4))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 4, together, strict=True))


def test_a_layer_in_the_middle_of_many_dimensions():
    """(n, tokens, numbers) of what is no sequence: the mean over the tokens."""
    net = nn.Sequential(nn.Unflatten(1, (4, 16)), nn.LayerNorm(16), nn.Flatten(), nn.Linear(64, 2))
    x = torch.rand(5, 64)
    assert torch.equal(Layer(net, "1")(x), net[:2](x).mean(1))
    convolved = nn.Sequential(nn.Unflatten(1, (4, 16)), nn.Conv1d(4, 3, 1), nn.Flatten())
    assert torch.equal(Layer(convolved, "1")(x), convolved[:2](x).mean(2))
    twice = nn.Sequential(net[3], nn.Linear(2, 64), net[3])
    assert torch.equal(Layer(twice, "0")(x), twice(x)), "of several calls the last"


# --- a network of torch ------------------------------------------------------------------------


def test_a_network_of_torch_is_used_as_it_is():
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)).train()
    embedder = mm.Embedder(net).fit(X)
    assert net.training
    assert hooks(net) == 0
    with torch.no_grad():
        wanted = net.eval()[:3](torch.tensor(X, dtype=torch.float32)).numpy()
    assert np.array_equal(embedder.transform(X), wanted)
    scaled = mm.Embedder(net, preprocess=StandardScaler()).fit(X)
    assert np.array_equal(
        scaled.transform(X), embedder.transform(StandardScaler().fit_transform(X))
    )
    cnn = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    assert mm.Embedder(cnn, preprocess="auto").fit(DIGITS).transform(DIGITS).shape == (N, 144)


def test_datasets_and_loaders():
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 2))
    images = torch.rand(20, 1, 8, 8)
    wanted = mm.Embedder(net, "1").fit(images).transform(images)
    data = TensorDataset(images, torch.zeros(20))
    embedder = mm.Embedder(net, "1").fit(data)
    assert np.array_equal(embedder.transform(data), wanted)
    assert np.allclose(embedder.transform(DataLoader(data, batch_size=7)), wanted, atol=1e-6)
    assert np.array_equal(embedder.transform(images), wanted)


def test_numbers_of_films_and_users_arrive_as_they_are():
    """A number of a row in a table is a float32 on the way, which is exact to 2 ** 24."""

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.vectors = nn.Embedding(120_000, 2)
            self.last = nn.Linear(2, 1)

        def forward(self, x):
            return self.last(self.vectors(x.long().squeeze(1)))

    net, ids = Table(), np.array([[0], [99_999], [100_001], [119_999]])
    found = mm.Embedder(net, "vectors").fit(ids).transform(ids)
    assert np.array_equal(found, net.vectors.weight[ids.ravel()].detach().numpy())


# --- in scikit-learn ---------------------------------------------------------------------------


def test_names_and_frames():
    frame = pd.DataFrame(X, columns=list("abcd"), index=range(100, 150))
    net = mm.Classifier(mm.Model(Plain, hidden=3), loop=FEW, random_state=0)
    embedder = mm.Embedder(net).set_output(transform="pandas").fit(frame, Y)
    found = embedder.transform(frame)
    assert list(found.columns) == ["embedder0", "embedder1", "embedder2"]
    assert list(found.index) == list(frame.index)
    assert list(embedder.feature_names_in_) == list("abcd")
    assert embedder.n_features_in_ == 4
    embedder.fit(X, Y)
    assert not hasattr(embedder, "feature_names_in_")


def test_columns_of_words_and_weights_of_rows():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(city=np.resize(["Ulm", "Bonn"], 50))
    net = mm.Classifier("mlp", loop=FEW, random_state=0)
    weight = np.resize([1, 2, 1], 50)
    found = mm.Embedder(net).fit(frame, Y, sample_weight=weight).transform(frame)
    twice = mm.Embedder(net).fit(frame.loc[frame.index.repeat(weight)], np.repeat(Y, weight))
    assert found.shape == (50, 64)
    assert np.array_equal(twice.transform(frame), found)


def test_in_front_of_what_knows_no_networks():
    net = mm.Classifier("mlp", random_state=0)
    clusters = make_pipeline(mm.Embedder(net), KMeans(3, n_init=3, random_state=0)).fit(X, Y)
    assert adjusted_rand_score(Y, clusters.predict(X)) > 0.8
    ready = mm.Embedder(FrozenEstimator(clusters[0].net_))
    few = make_pipeline(ready, LogisticRegression()).fit(X[::5], Y[::5])
    assert few.score(X, Y) > 0.9
    assert make_pipeline(ready, TSNE(perplexity=5, max_iter=250)).fit_transform(X).shape == (50, 2)
    near = NearestNeighbors(n_neighbors=2).fit(ready.fit_transform(X))
    assert np.array_equal(near.kneighbors(ready.transform(X))[1][:, 0], np.arange(50))


@pytest.mark.parametrize("search", [GridSearchCV, mm.model_selection.GridSearchCV])
def test_a_search_over_the_net_and_the_layer(search):
    net = mm.Classifier("mlp", optimizer=mm.Optimizer("adam"), loop=FEW, random_state=0)
    grid = {"embedder__net__optimizer__lr": [1e-6, 0.01], "embedder__layer": [None, "0"]}
    pipe = make_pipeline(mm.Embedder(net), LogisticRegression(max_iter=1000))
    found = search(pipe, grid, cv=2).fit(X, Y)
    assert len(found.cv_results_["params"]) == 4
    chosen = found.best_params_
    again = pipe.set_params(**chosen).fit(X, Y).predict_proba(X)
    assert np.array_equal(found.predict_proba(X), again)


@pytest.mark.slow
def test_a_pipeline_is_saved(tmp_path):
    """A finished net in scikit-learn's FrozenEstimator, and one that was trained inside."""
    net = fitted(mm.Classifier, "mlp", X, Y)
    first, second = mm.Embedder(FrozenEstimator(net), "0"), mm.Embedder(mm.Autoencoder(loop=FEW))
    pipe = make_pipeline(first, second, KMeans(3, n_init=1, random_state=0)).fit(X, Y)
    saved = mm.save(pipe, tmp_path / "pipe.mm", X)
    assert saved.tiers == [1, 2]
    again = mm.load(tmp_path / "pipe.mm")
    assert np.array_equal(again.transform(X), pipe.transform(X))
    assert again[0].layer == "0"


@pytest.mark.parametrize(
    "embedder",
    [
        mm.Embedder(mm.Classifier("table", loop=FEW)),
        mm.Embedder(mm.Autoencoder(loop=FEW)),
        mm.Embedder(mm.Regressor("mlp", loop=FEW), "0"),
        mm.Embedder(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))),
    ],
)
def test_a_module_gives_the_same_embeddings(embedder):
    embedder.fit(X, Y)
    module = mm.to_torch(embedder)
    assert np.array_equal(module.transform(X), embedder.transform(X))
    pipe = make_pipeline(embedder, LogisticRegression()).fit(X, Y)
    found = mm.to_torch(pipe, dtype=torch.float32).predict_proba(X)
    assert np.allclose(found, pipe.predict_proba(X), atol=1e-5)


# --- what cannot be used -----------------------------------------------------------------------


class Broken(nn.Module):
    """Fails when it is told to; and has a layer that it never calls."""

    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.Linear(4, 3), nn.Linear(4, 3)
        self.register_buffer("broken", torch.tensor(False))

    def forward(self, x):
        x = self.used(x)
        if self.broken:
            raise RuntimeError("told to")
        return x.relu()


def test_hooks_are_gone_after_an_error():
    embedder = mm.Embedder(Broken(), "used").fit(X)
    network = embedder.net_.model_
    network.broken.fill_(True)
    with pytest.raises(RuntimeError, match="told to"):
        embedder.transform(X)
    assert hooks(network) == 0


MLP = mm.Classifier("mlp", loop=FEW)


@pytest.mark.parametrize(
    ("embedder", "words"),
    [
        (mm.Embedder(MLP, "3"), r"MLP has no layer '3'; its layers are 0, 1, 2"),
        (mm.Embedder(Broken(), "usd"), r"no layer 'usd'; .* used, idle\. Did you mean 'used'\?"),
        (mm.Embedder(Broken(), "idle"), "Broken calls no layer 'idle'; its layers are used, idle"),
        (mm.Embedder(nn.PReLU()), "PReLU calls no linear layer"),
        (mm.Embedder(nn.Flatten()), "Flatten has no weights"),
        (mm.Embedder(MLP, pool="sum"), "pool must be \"mean\" or None; got 'sum'"),
        (mm.Embedder(MLP, preprocess="auto"), "preprocess='auto' is for a network of torch"),
        (mm.Embedder(LogisticRegression()), r"net must be .* got LogisticRegression\(\)"),
        (mm.Embedder(FrozenEstimator(LogisticRegression())), "net must be"),
        (
            mm.Embedder(nn.Sequential(nn.Flatten(0), nn.Linear(8, 3)), "1"),
            r"gives \(3,\) for 2 rows",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(embedder, words):
    with pytest.raises(mm.ComponentError, match=words):
        embedder.fit(X, Y)


def test_a_wrong_name_is_told_before_anything_is_trained():
    stopped = mm.Classifier("mlp", loop=mm.Loop(epochs=10**6, patience=None))
    with pytest.raises(mm.ComponentError, match="no layer 'head'"):
        mm.Embedder(stopped, "head").fit(X, Y)


def test_nothing_is_transformed_before_fit():
    with pytest.raises(NotFittedError, match="This Embedder instance is not fitted yet"):
        mm.Embedder(MLP).transform(X)
    with pytest.raises(NotFittedError, match="Classifier instance is not fitted yet"):
        mm.Embedder(FrozenEstimator(MLP)).fit(X)
