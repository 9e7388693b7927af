"""mm.Autoencoder: a transformer, PCA when it is linear, both gears, and the way back."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from agreement import run_script
from nets_of_users import Coder, NormedCoder, Plain
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from test_agree import same
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import manumatic as mm
from manumatic.parts.undo import undo

FEW = mm.Loop(epochs=4)
PLAIN = mm.Data(preprocess=None)


def iris():
    return load_iris().data


def table():
    frame = pd.DataFrame(iris(), columns=["a", "b", "c", "d"])
    frame.loc[::7, "a"] = np.nan
    return frame


def with_words():
    return table().assign(city=np.resize(["Ulm", "Bonn", "Köln"], 150))


# --- what it learns ----------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_a_linear_one_reaches_the_error_of_pca(load):
    X = load().data
    Z = StandardScaler().fit_transform(X)
    pca = PCA(2).fit(Z)
    wanted = np.mean((pca.inverse_transform(pca.transform(Z)) - Z) ** 2)
    data = mm.Data(preprocess=StandardScaler())
    net = mm.Autoencoder("linear", data=data, random_state=0).fit(X)
    assert wanted * 0.9999 < -net.score(X) < wanted * 1.01
    back = net.inverse_transform(net.transform(X))
    assert np.mean(((back - X) / X.std(axis=0)) ** 2) == pytest.approx(-net.score(X), rel=1e-4)


def test_bends_hold_more_than_planes():
    turn = np.linspace(0, 3, 300)
    X = np.column_stack([np.cos(turn), np.sin(turn), turn % 1])
    net = mm.Autoencoder(mm.Model("autoencoder", code=2), data=PLAIN, random_state=0).fit(X)
    pca = PCA(2).fit(X)
    assert -net.score(X) < np.mean((pca.inverse_transform(pca.transform(X)) - X) ** 2)


def test_noise_in_training_takes_noise_out():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 10))
    noisy = clean + 0.5 * rng.normal(size=clean.shape)
    model = mm.Model("autoencoder", code=10, hidden=64, noise=0.5)
    net = mm.Autoencoder(model, data=PLAIN, loop=mm.Loop(150), random_state=0).fit(clean)
    cleaned = net.inverse_transform(net.transform(noisy))
    assert np.mean((cleaned - clean) ** 2) < 0.5 * np.mean((noisy - clean) ** 2)


def test_codes_of_a_variational_one_are_near_a_standard_normal():
    X = StandardScaler().fit_transform(iris())
    net = mm.Autoencoder("variational", data=PLAIN, random_state=0).fit(X)
    assert "ELBO" in str(net.logbook_)
    mean, log_variance = net.model_.encoder(torch.tensor(X, dtype=torch.float32)).chunk(2, dim=1)
    second_moment = (mean.square() + log_variance.exp()).mean(dim=0).detach()
    assert torch.allclose(second_moment, torch.ones(2), atol=0.35)
    sharper = mm.Autoencoder("variational", data=PLAIN, loss=mm.Loss("elbo", beta=0.01))
    assert sharper.set_params(random_state=0).fit(X).score(X) > net.score(X)


def test_images():
    X = load_digits().images[:300]
    net = mm.Autoencoder(mm.Model("autoencoder", code=16), loop=mm.Loop(60), random_state=0).fit(X)
    back = net.inverse_transform(net.transform(X))
    assert back.shape == X.shape
    assert np.mean((back - X) ** 2) < 0.5 * X.var()


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(1, 3, 4, stride=4)
        self.decoder = nn.ConvTranspose2d(3, 1, 4, stride=4)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def test_codes_of_any_shape_are_rows_outside():
    X = load_digits().images[:50]
    net = mm.Autoencoder(Convolutional, loop=FEW, random_state=0).fit(X)
    code = net.transform(X)
    assert code.shape == (50, 12)
    inside = net.model_(torch.tensor((X - X.mean()) / X.std(), dtype=torch.float32)[:, None])
    wanted = inside[:, 0].detach().numpy() * X.std() + X.mean()
    assert np.allclose(net.inverse_transform(code), wanted, atol=1e-3)


# --- scikit-learn ------------------------------------------------------------------------------


def test_in_a_pipeline_before_kmeans():
    X, y = load_iris(return_X_y=True)
    kmeans = KMeans(3, n_init=10, random_state=0)
    pipe = make_pipeline(mm.Autoencoder(random_state=0), kmeans)
    assert adjusted_rand_score(y, pipe.fit_predict(X)) > 0.5
    frame = pipe[:-1].set_output(transform="pandas").transform(X)
    assert list(frame.columns) == ["autoencoder0", "autoencoder1"]


def test_a_search_over_the_length_of_the_code():
    net = mm.Autoencoder(mm.Model("linear", code=1), loop=mm.Loop(400), random_state=0)
    search = GridSearchCV(net, {"model__code": [1, 2, 3]}, cv=3).fit(iris())
    assert search.best_params_ == {"model__code": 3}
    pickled = pickle.loads(pickle.dumps(search.best_estimator_))  # noqa: S301 - made here
    assert np.array_equal(pickled.transform(iris()), search.best_estimator_.transform(iris()))


def test_a_search_on_the_stack_finds_the_same():
    from manumatic.model_selection import GridSearchCV as Stacked

    optimizers = [mm.Optimizer("adam", lr=0.01), mm.Optimizer("adam", lr=0.1)]
    for kind in ("linear", "autoencoder", "variational"):
        net = mm.Autoencoder(mm.Model(kind, code=2), loop=FEW, random_state=0)
        alone, stacked = (
            search(net, {"optimizer": optimizers}, cv=2).fit(iris()).cv_results_
            for search in (GridSearchCV, Stacked)
        )
        assert np.allclose(alone["mean_test_score"], stacked["mean_test_score"], rtol=1e-4)


def test_float32_stays_float32():
    X = iris().astype(np.float32)
    net = mm.Autoencoder(loop=FEW, random_state=0).fit(X)
    assert net.transform(X).dtype == np.float32
    assert net.transform(X.astype(float)).dtype == np.float64


def test_a_row_has_the_code_that_it_has_among_others():
    X = iris()
    net = mm.Autoencoder(loop=FEW, random_state=0).fit(X)
    alone = np.concatenate([net.transform(row[None]) for row in X[:20]])
    assert np.array_equal(alone, net.transform(X)[:20])


def test_more_epochs_on_more_rows():
    net = mm.Autoencoder("linear", data=PLAIN, random_state=0)
    for _ in range(3):
        net.partial_fit(iris())
    before = net.score(iris())
    assert net.partial_fit(iris()[:100]).score(iris()) > before


def test_tensors_as_they_are():
    X = torch.tensor(iris(), dtype=torch.float32)
    net = mm.Autoencoder("linear", data=PLAIN, loop=FEW, random_state=0)
    one = clone(net).fit(X).transform(X)
    assert np.array_equal(one, net.fit(TensorDataset(X)).transform(X))
    with pytest.raises(mm.DataError, match="X is a DataLoader"):
        net.fit(DataLoader(TensorDataset(X, X)))


# --- two gears and a script --------------------------------------------------------------------

GEARS = {
    "linear, few rows": (mm.Autoencoder("linear", data=PLAIN, loop=FEW), iris()[:10]),
    "auto": (mm.Autoencoder(loop=FEW), iris()),
    "noise, best weights": (
        mm.Autoencoder(
            mm.Model("autoencoder", noise=0.3, hidden=[8, 4]),
            data=mm.Data(batch_size=32),
            optimizer=mm.Optimizer("adam", lr=0.1),
            loop=mm.Loop(12, patience=3),
        ),
        iris(),
    ),
    "variational": (mm.Autoencoder("variational", loop=FEW), iris()),
    "of the user": (mm.Autoencoder(NormedCoder, data=mm.Data(batch_size=32), loop=FEW), iris()),
    "table": (mm.Autoencoder(loop=mm.Loop(4, keep="best")), with_words()),
    "images": (mm.Autoencoder(loop=FEW), load_digits().images[:80]),
    "text": (mm.Autoencoder(loop=FEW), [f"tea {i % 7} {'good' * (i % 2)}" for i in range(60)]),
    "accumulate": (
        mm.Autoencoder(Coder, data=mm.Data(batch_size=16), loop=mm.Loop(3, accumulate=3)),
        iris(),
    ),
}


@pytest.mark.parametrize("name", GEARS)
def test_three_ways_to_the_same_autoencoder(name, tmp_path):
    net, X = GEARS[name]
    outside = torch.get_rng_state()
    net.set_params(random_state=42).fit(X)
    training = net.manual(X)
    for step in training:
        assert step.loss.isfinite()
    same(net.model_.state_dict(), training.model.state_dict())
    assert np.array_equal(training.automatic().transform(X), net.transform(X))
    assert torch.equal(outside, torch.get_rng_state()), "the global random state was touched"
    script = net.eject(tmp_path / "train.py", X)
    assert "manumatic" not in script.split('"""', 2)[2]
    same(net.model_.state_dict(), run_script(tmp_path / "train.py"))


def test_a_weight_of_two_is_a_row_given_twice():
    X, weight = iris(), np.resize([1, 2, 1], 150)
    net = mm.Autoencoder(NormedCoder, loop=FEW, random_state=0)
    weighted = clone(net).fit(X, sample_weight=weight).model_.state_dict()
    same(weighted, net.fit(np.repeat(X, weight, axis=0)).model_.state_dict())


def test_other_weights_multiply_the_loss():
    X, weight = iris(), np.linspace(0.1, 2, 150)
    for model in ("linear", "variational"):
        net = mm.Autoencoder(model, data=PLAIN, loop=FEW, random_state=0)
        assert net.fit(X, sample_weight=weight).history_ != clone(net).fit(X).history_


def test_validation_rows_of_ones_own():
    X = iris()
    data = mm.Data(validation=(X[100:], None))
    net = mm.Autoencoder(data=data, loop=FEW, random_state=0).fit(X[:100])
    assert len(net.history_.curve("loss", "valid")) == 4


# --- the way back ------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [iris(), table(), load_wine().data], ids=["array", "table", "wine"])
def test_what_preprocessing_did_is_undone(X):
    net = mm.Autoencoder(mm.Model("linear", code=4), loop=FEW, random_state=0).fit(X)
    prepared = net.preprocess_.transform(X)
    found, wanted = undo(net.preprocess_, prepared), np.asarray(X)
    known = ~np.isnan(wanted)
    assert np.allclose(found[known], wanted[known], rtol=1e-4)
    assert net.inverse_transform(net.transform(X)).shape == X.shape


def test_columns_without_a_value_come_back_missing():
    X = np.column_stack([iris(), np.full(150, np.nan)])
    net = mm.Autoencoder("linear", loop=FEW, random_state=0).fit(X)
    back = net.inverse_transform(net.transform(X))
    assert np.isnan(back[:, 4]).all()
    assert np.isfinite(back[:, :4]).all()


def test_a_transformer_of_ones_own_goes_its_own_way_back():
    frame = with_words().dropna()
    columns = ColumnTransformer(
        [
            ("words", OneHotEncoder(sparse_output=False), ["city"]),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b"]),
            ("as it is", "passthrough", ["d"]),
        ]
    )
    columns.fit(frame)
    back = undo(columns, columns.transform(frame))
    assert list(back[:, 4]) == list(frame["city"])
    assert np.allclose(back[:, [0, 1, 3]].astype(float), frame[["a", "b", "d"]])
    assert pd.isna(back[:, 2]).all()


@pytest.mark.parametrize(
    ("X", "data", "words"),
    [
        (with_words(), "auto", r"'categories' \(columns city\)"),
        (["good tea", "bad tea", "no tea"] * 4, "auto", "'sentences'"),
        (iris(), mm.Data(preprocess=FunctionTransformer(np.log)), "'log'"),
    ],
    ids=["one-hot", "text", "function"],
)
def test_what_has_no_way_back_says_so(X, data, words):
    net = mm.Autoencoder("linear", data=data, loop=FEW, random_state=0).fit(X)
    code = net.transform(X)
    with pytest.raises(mm.DataError, match=f"no way back from {words}"):
        net.inverse_transform(code)


def test_codes_of_another_length_are_refused():
    net = mm.Autoencoder("linear", loop=FEW, random_state=0).fit(iris())
    with pytest.raises(mm.DataError, match="codes of 3 numbers; this Autoencoder's codes have 2"):
        net.inverse_transform(np.zeros((1, 3)))


# --- what cannot be used -----------------------------------------------------------------------


class Losing(Coder):
    def forward(self, x):
        return super().forward(x)[:, :2]


class Unsure(Coder):
    def encode(self, x):
        return self.encoder(x).mean()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": nn.Linear(4, 4)}, "Linear has no 'encode'"),
        ({"model": Plain}, "Plain has no 'encode'"),
        (
            {"model": Losing},
            r"shape \(4, 2\) .* rows have the shape \(4,\): it must return \(4, 4\)",
        ),
        ({"model": Unsure}, r"Unsure encodes 4 rows as \(\)"),
        (
            {"model": "mlp"},
            "no ready net 'mlp' for tables; there are autoencoder, linear, variational",
        ),
        ({"loss": "cross_entropy"}, "CrossEntropyLoss tells classes apart"),
        ({"loss": "elbo"}, "ELBO cannot compare .* 'divergence'"),
    ],
)
def test_what_is_no_autoencoder_is_refused(change, words):
    with pytest.raises(mm.ComponentError, match=words):
        mm.Autoencoder(**change, random_state=0).fit(iris())


def test_a_model_that_is_exchanged_must_be_one_too():
    training = mm.Autoencoder("linear", data=PLAIN, loop=FEW, random_state=0).manual(iris())
    training.model = mm.Model("linear", code=3)
    assert training.run().automatic().transform(iris()).shape == (150, 3)
    training.model = nn.Linear(4, 4)
    with pytest.raises(mm.ComponentError, match="Linear has no 'encode'"):
        training.run().automatic()
