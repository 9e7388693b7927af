"""Estimators as data: what comes back predicts the same, to the bit."""

import collections
import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from sklearn import (
    cluster,
    compose,
    decomposition,
    ensemble,
    feature_selection,
    gaussian_process,
    impute,
    isotonic,
    linear_model,
    mixture,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.gaussian_process import kernels
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils import all_estimators
from torch import nn

import manumatic as mm
from manumatic.deliver.rebuild import unpack
from manumatic.deliver.state import Packed, pack
from manumatic.errors import ComponentError, DataError

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
labels = np.where(X[:, 0] + 0.3 * X[:, 1] > 0, "yes", "no")
y = X @ [1.0, -2.0, 0.5]
frame = pd.DataFrame(
    {
        "size": np.where(np.arange(60) % 7, X[:, 0], np.nan),
        "city": np.array(["Ulm", "Bonn", "Kiel"], object)[np.arange(60) % 3],
        "day": pd.date_range("2024-01-01", periods=60),
    }
)
QUICK = mm.Loop(epochs=2)


def weights_of(packed: Packed) -> bytes:
    return bytes(safetensors.torch.save(packed.tensors))


def again(estimator: Any, *classes: Any) -> Any:
    """There and back."""
    packed = pack(estimator)
    return unpack(packed.tree, weights_of(packed), packed.parts, packed.histories, classes)


def assert_same(estimator: Any, other: Any, rows: Any) -> None:
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(estimator, method):
            wanted, found = getattr(estimator, method)(rows), getattr(other, method)(rows)
            if hasattr(wanted, "toarray"):
                wanted, found = wanted.toarray(), found.toarray()
            np.testing.assert_array_equal(wanted, found)


# --- nets ----------------------------------------------------------------------------------------


class Net(nn.Module):
    """Of a user: weights used twice, a function as an attribute, batch norm, and a buffer."""

    def __init__(self, in_features: int, out_features: int, hidden: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.tied = self.middle
        self.norm = nn.BatchNorm1d(hidden)
        self.memory = nn.GRU(hidden, hidden, batch_first=True)
        self.last = nn.Linear(hidden, out_features)
        self.act = nn.functional.gelu
        self.settings = {"scale": (1.0, float("inf")), 2: torch.float32}
        self.register_buffer("shift", torch.full((hidden,), 0.5))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Rows (n, features) → (n, outputs)."""
        hidden = self.norm(self.tied(self.middle(self.act(self.first(X))))) + self.shift
        hidden, _ = self.memory(hidden[:, None])
        return self.last(hidden[:, 0])


def cubic(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A loss of the user."""
    return (prediction - target).abs().pow(3).mean()


NETS = {
    "classifier": (mm.Classifier("mlp", loop=QUICK, random_state=0), X, labels),
    "regressor": (mm.Regressor("table", loop=QUICK, random_state=0), X, y),
    "table": (mm.Classifier("linear", loop=QUICK, random_state=0), frame, labels),
    "instance": (
        mm.Regressor(
            nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.1), nn.PReLU(), nn.Linear(4, 1)),
            loss=nn.HuberLoss(delta=0.5),
            optimizer=functools.partial(torch.optim.SGD, momentum=0.9),
            loop=QUICK,
        ),
        X,
        y,
    ),
    "several": (mm.Regressor("linear", loop=QUICK), X, np.stack([y, -y], 1)),
    "multilabel": (mm.Classifier("linear", loop=QUICK), X, (X > 0).astype(int)),
    "images": (mm.Classifier("cnn", loop=QUICK), rng.random((20, 8, 8)), [0, 1] * 10),
    "texts": (
        mm.Classifier("linear", loop=QUICK),
        ["good tea", "bad tea", "very good", "very bad"] * 3,
        [1, 0, 1, 0] * 3,
    ),
    "pipeline": (
        pipeline.make_pipeline(preprocessing.StandardScaler(), mm.Classifier(loop=QUICK)),
        X,
        labels,
    ),
    "ensemble": (mm.Ensemble(mm.Regressor("mlp", loop=QUICK), members=2), X, y),
    "search": (
        mm.model_selection.GridSearchCV(
            mm.Regressor("linear", loop=QUICK), {"optimizer": ["sgd", "adam"]}, cv=2
        ),
        X,
        y,
    ),
    "shifted": (mm.shift(linear_model.LogisticRegression()), X, labels),
    "autoencoder": (mm.Autoencoder(loop=QUICK), X, None),
    "voting": (
        ensemble.VotingClassifier(
            [
                ("net", mm.Classifier("mlp", loop=QUICK)),
                ("tree", tree.DecisionTreeClassifier(max_depth=2)),
            ],
            voting="soft",
        ),
        X,
        labels,
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_nets_come_back_the_same(name: str) -> None:
    estimator, rows, target = NETS[name]
    estimator = estimator.fit(rows, target)
    packed = pack(estimator)
    assert not packed.needs
    assert_same(estimator, again(estimator), rows)


def test_all_of_a_net_comes_back() -> None:
    net = mm.Classifier("mlp", loop=mm.Loop(epochs=3), random_state=0).fit(frame, labels)
    other = again(net)
    assert other.history_ == net.history_
    assert type(other.history_) is type(net.history_)
    assert str(other.logbook_) == str(net.logbook_)
    assert other.findings_ == net.findings_
    assert other.feature_names_in_.tolist() == ["size", "city", "day"]
    assert str(other.get_params()) == str(net.get_params())
    assert other._reader.task is other._task, "what was one thing is one thing"
    with pytest.raises(ValueError, match="feature names"):
        other.predict(frame[["size"]])
    np.testing.assert_array_equal(  # fine-tuning goes on from these weights
        other.set_params(warm_start=True).fit(frame, labels).predict_proba(frame),
        net.set_params(warm_start=True).fit(frame, labels).predict_proba(frame),
    )


def test_classes_of_the_user_are_passed_never_imported() -> None:
    net = mm.Regressor(Net, loss=cubic, loop=QUICK, random_state=0).fit(X, y)
    packed = pack(net)
    assert sorted(packed.needs) == [f"{__name__}:Net", f"{__name__}:cubic"]
    other = again(net, Net, cubic)
    assert_same(net, other, X)
    assert other.model_.tied is other.model_.middle
    assert other.model_.settings == {"scale": (1.0, float("inf")), 2: torch.float32}
    with pytest.raises(DataError, match=r"needs Net, which was defined in test_state.*\[Net\]"):
        again(net, cubic)
    with pytest.raises(DataError, match=r"needs cubic, .* load\(path, classes=\[cubic\]\)"):
        again(net, Net)


def test_a_class_of_a_notebook_is_found_by_its_name() -> None:
    """There it was __main__.Net; here it is another module's."""
    net = mm.Regressor(Net, loop=QUICK).fit(X, y)
    packed = pack(net)
    told = str(packed.tree).replace(f"{__name__}:Net", "__main__:Net")
    tree_then = eval(told, {"__builtins__": {}})  # noqa: S307 - our own text, plain values
    other = unpack(tree_then, weights_of(packed), packed.parts, packed.histories, [Net])
    assert_same(net, other, X)


def test_weights_have_the_names_that_state_dict_has() -> None:
    net = mm.Regressor(Net, loop=QUICK).fit(X, y)
    names = {name.removeprefix("model_.") for name in pack(net).tensors if "model_." in name}
    own = {name for name in net.model_.state_dict() if not name.startswith("tied")}
    assert own <= names


def test_frozen_weights_stay_frozen() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    model[0].weight.requires_grad_(False)
    other = again(mm.Regressor(model, loop=QUICK).fit(X, y)).model_
    assert [w.requires_grad for w in other.parameters()] == [False, True, True, True]


# --- what has no form as data --------------------------------------------------------------------


class Peculiar(nn.Module):
    """A linear net that also holds something."""

    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.thing = thing

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Rows (n, 3) → (n, 1)."""
        return self.linear(X)


def within() -> Any:
    """A function that nobody else can find."""

    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (lambda x: x, r"model_\.thing is <lambda>, which has no name"),
        (within(), r"model_\.thing is within\.<locals>\.inner, which has no name"),
        ([1].append, r"model_\.thing is .*append.*"),
        (torch.eye(2).to_sparse(), r"model_\.thing is a Tensor \(torch\.sparse_coo\)"),
        (np.zeros(2, complex), r"model_\.thing is an array of complex128"),
        (range(3), r"model_\.thing is a range, which is more than its attributes"),
        (collections.Counter("ab"), r"model_\.thing is a Counter, which is more"),
        (b"bytes", r"model_\.thing is a bytes, which is more"),
    ],
)
def test_what_cannot_be_written_is_named(thing: Any, reason: str) -> None:
    with pytest.raises(ComponentError, match=reason):
        pack({"model_": Peculiar(thing)})


def test_a_lambda_in_scikit_learn_is_named() -> None:
    pipe = pipeline.make_pipeline(
        preprocessing.FunctionTransformer(lambda X: X), linear_model.Ridge()
    ).fit(X, y)
    with pytest.raises(ComponentError, match=r"holds test_state\.<lambda>, which cannot be found"):
        pack(pipe)


# --- scikit-learn --------------------------------------------------------------------------------


def doubled(X: Any) -> Any:
    """A transformation of the user."""
    return X * 2


class Offset(BaseEstimator):
    """A transformer of the user."""

    def fit(self, X: Any, y: Any = None) -> "Offset":
        """Learn the mean."""
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X: Any) -> Any:
        """Take it off."""
        return X - self.mean_


FITTED = {
    "hist": ensemble.HistGradientBoostingClassifier(max_iter=3),
    "forest": ensemble.RandomForestClassifier(3),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=3),
    "tree": tree.DecisionTreeClassifier(),
    "neighbours": neighbors.KNeighborsClassifier(),
    "manhattan": neighbors.KNeighborsClassifier(metric="manhattan", algorithm="ball_tree"),
    "svc": svm.SVC(),
    "bayes": naive_bayes.GaussianNB(),
    "mlp": neural_network.MLPClassifier((4,), max_iter=2000),
    "sgd mlp": neural_network.MLPClassifier((2,), solver="sgd", max_iter=2000),
    "calibrated": CalibratedClassifierCV(linear_model.LogisticRegression()),
    "isotonic": CalibratedClassifierCV(linear_model.LogisticRegression(), method="isotonic"),
    "process": gaussian_process.GaussianProcessClassifier(1.0 * kernels.RBF() + 0.1),
    "search": GridSearchCV(linear_model.LogisticRegression(), {"C": [0.1, 1]}, cv=KFold(2)),
    "chosen": pipeline.make_pipeline(
        feature_selection.SelectKBest(k=2), linear_model.LogisticRegression()
    ),
    "splines": pipeline.make_pipeline(
        preprocessing.SplineTransformer(), linear_model.LogisticRegression()
    ),
    "mixture": mixture.GaussianMixture(2),
    "k-means": cluster.KMeans(2, n_init=1),
    "pca": decomposition.PCA(2),
    "stack": ensemble.StackingClassifier([("ridge", linear_model.RidgeClassifier())], cv=2),
    "isolation": ensemble.IsolationForest(n_estimators=5),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FITTED)
def test_scikit_learn_comes_back_the_same(name: str) -> None:
    estimator = FITTED[name].fit(X, labels)
    packed = pack(estimator)
    assert not packed.needs, "the list in allowed.py knows all that is in it"
    assert_same(estimator, again(estimator), X)


def test_a_table_with_words_and_missing_cells_comes_back_the_same() -> None:
    numbers = pipeline.make_pipeline(
        impute.SimpleImputer(add_indicator=True), preprocessing.StandardScaler()
    )
    words = preprocessing.OneHotEncoder(handle_unknown="ignore")
    columns = compose.make_column_transformer((numbers, ["size"]), (words, ["city"]))
    estimator = pipeline.make_pipeline(columns, linear_model.LogisticRegression())
    estimator.fit(frame[["size", "city"]], labels)
    rows = pd.DataFrame({"size": [1.0, None, 2.0], "city": ["Ulm", "Mars", None]})
    other = again(estimator)
    assert_same(estimator, other, rows)
    assert other.feature_names_in_.tolist() == ["size", "city"]
    isotone = isotonic.IsotonicRegression().fit(X[:, 0], y)
    np.testing.assert_array_equal(again(isotone).predict(X[:, 1]), isotone.predict(X[:, 1]))


def test_functions_and_transformers_of_the_user_are_passed() -> None:
    estimator = pipeline.make_pipeline(
        preprocessing.FunctionTransformer(doubled), Offset(), linear_model.Ridge()
    ).fit(X, y)
    assert sorted(pack(estimator).needs) == [f"{__name__}:Offset", f"{__name__}:doubled"]
    assert_same(estimator, again(estimator, doubled, Offset), X)
    with pytest.raises(DataError, match=r"needs Offset, .* load\(path, classes=\[Offset\]\)"):
        again(estimator, doubled)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_list_knows_what_is_in_every_estimator() -> None:
    """Fitted on numbers: all of scikit-learn that fits, but what skops itself cannot write."""
    unknown, tried = {}, 0
    for name, kind in all_estimators():
        try:
            estimator = kind().fit(np.abs(X), (X[:, 0] > 0).astype(int))
        except (TypeError, ValueError, AttributeError):
            continue  # it needs other rows, or another estimator
        tried += 1
        try:
            needs = pack(estimator).needs
        except ComponentError as error:
            needs = {str(error): None}
        if needs:
            unknown[name] = sorted(needs)
    assert tried > 120
    assert set(unknown) <= {"Birch"}, unknown
