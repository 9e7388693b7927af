"""XGBoost, LightGBM and CatBoost, where they are installed."""

import warnings

import numpy as np
import pandas as pd
import pytest

from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.errors import ConvertError

pytestmark = pytest.mark.filterwarnings("ignore")  # of theirs, on scikit-learn's newest
TEN = {"n_estimators": 10, "random_state": 0, "n_jobs": 1}


def _rows(seed=0, holes=0.1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 4)).round(2)
    X[rng.random(X.shape) < holes] = np.nan
    filled = np.nan_to_num(X)
    kinds = (filled[:, 0] > 0).astype(int) + (filled[:, 1] * filled[:, 2] > 0.2)
    return X, kinds, np.exp(filled[:, 0]) + filled[:, 1] ** 2


def _target(task):
    _, kinds, numbers = _rows()
    words = np.array(["a", "b", "c"])
    return {
        "binary": np.array(["no", "yes"])[np.minimum(kinds, 1)],
        "multiclass": words[kinds],
        "codes": kinds,
        "two": np.minimum(kinds, 1),
        "regression": numbers,
        "targets": np.stack([numbers, kinds], 1),
    }[task]


def _agrees(estimator, task, allowed=1e-9):
    X, new = _rows()[0], _rows(seed=1)[0]
    estimator.fit(X, _target(task))
    parity(estimator, to_torch(estimator), new, allowed).require()
    parity(estimator, to_torch(estimator).float(), new, 1e-4).require()


@pytest.mark.parametrize(
    ("name", "task", "given"),
    [
        ("XGBClassifier", "two", {}),
        ("XGBClassifier", "codes", {"num_parallel_tree": 2}),
        ("XGBRFClassifier", "two", {}),
        ("XGBRegressor", "regression", {}),
        ("XGBRegressor", "targets", {}),
        ("XGBRegressor", "regression", {"objective": "count:poisson"}),
        ("XGBRegressor", "regression", {"objective": "reg:absoluteerror"}),
        ("XGBRegressor", "regression", {"grow_policy": "lossguide", "max_leaves": 5}),
        ("XGBRFRegressor", "regression", {}),
    ],
)
def test_xgboost(name, task, given):
    xgboost = pytest.importorskip("xgboost")
    _agrees(getattr(xgboost, name)(**TEN, **given), task, allowed=2e-6)  # it sums in float32


def test_xgboost_stops_where_early_stopping_says():
    xgboost = pytest.importorskip("xgboost")
    X, _, y = _rows()
    model = xgboost.XGBRegressor(n_estimators=60, early_stopping_rounds=2, learning_rate=0.9)
    model.fit(X, y, eval_set=[(_rows(seed=1)[0], _rows(seed=2)[2])], verbose=False)
    assert model.best_iteration < 50
    parity(model, to_torch(model), X, 2e-6).require()


@pytest.mark.parametrize(
    "given",
    [
        {"booster": "gblinear"},
        {"booster": "dart"},
        {"objective": "reg:logistic", "base_score": 0.5},
        {"missing": -1.0},
        {"multi_strategy": "multi_output_tree", "tree_method": "hist"},
    ],
)
def test_xgboost_refuses_by_name(given):
    xgboost = pytest.importorskip("xgboost")
    X, kinds, y = _rows()
    y = np.stack([y, kinds], 1) if "multi_strategy" in given else kinds / 2
    model = xgboost.XGBRegressor(n_estimators=3, **given).fit(X, y)
    with pytest.raises(ConvertError, match=next(iter(given))):
        to_torch(model)


@pytest.mark.parametrize(
    ("name", "task", "given"),
    [
        ("LGBMClassifier", "binary", {}),
        ("LGBMClassifier", "multiclass", {}),
        ("LGBMRegressor", "regression", {}),
        ("LGBMRegressor", "regression", {"objective": "poisson"}),
        ("LGBMRegressor", "regression", {"objective": "quantile", "boosting_type": "dart"}),
    ],
)
def test_lightgbm(name, task, given):
    lightgbm = pytest.importorskip("lightgbm")
    _agrees(getattr(lightgbm, name)(**TEN, verbose=-1, **given), task)


def test_lightgbm_takes_missing_for_zero_where_training_had_none():
    lightgbm = pytest.importorskip("lightgbm")
    X, kinds, _ = _rows(holes=0)
    model = lightgbm.LGBMClassifier(**TEN, verbose=-1).fit(X, kinds)
    parity(model, to_torch(model), _rows(seed=1)[0]).require()


def _towns(seed=0):
    rng = np.random.default_rng(seed)
    X, _, y = _rows(seed)
    frame = pd.DataFrame(X[:, :2], columns=["size", "age"])
    frame["town"] = pd.Categorical(rng.choice(["Bonn", "Ulm", "Kiel"], len(X)))
    frame.insert(0, "rooms", pd.Categorical(rng.choice([3, 5, 9], len(X))))
    return frame, y + (frame["town"] == "Ulm") * 3 + (frame["rooms"] == 5) * 2.0


def test_lightgbm_with_categories():
    lightgbm = pytest.importorskip("lightgbm")
    given = {"verbose": -1, "min_data_per_group": 5, "cat_smooth": 1}
    model = lightgbm.LGBMRegressor(**TEN, **given).fit(*_towns())
    new = _towns(seed=1)[0]
    new["town"] = new["town"].cat.add_categories("Rome")
    new.loc[:30, "town"] = "Rome"
    module = to_torch(model)
    assert "table" in [name.rpartition(".")[2] for name, _ in module.named_buffers()]
    parity(model, module, new).require()


def test_lightgbm_with_codes_in_an_array():
    lightgbm = pytest.importorskip("lightgbm")
    X, _, y = _rows()
    X[:, 0] = np.random.default_rng(0).integers(0, 6, len(X))
    given = {"verbose": -1, "min_data_per_group": 5, "cat_smooth": 1}
    model = lightgbm.LGBMRegressor(**TEN, **given)
    model.fit(X, y + (X[:, 0] == 3) * 4, categorical_feature=[0])
    X[:9, 0] = [7, 9, -1, np.nan, 3.5, -0.5, 2, 100, 1]
    parity(model, to_torch(model), X).require()


@pytest.mark.parametrize(
    "given",
    [
        {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1},
        {"objective": "cross_entropy"},
        {"linear_tree": True},
        {"zero_as_missing": True},
    ],
)
def test_lightgbm_refuses_by_name(given):
    lightgbm = pytest.importorskip("lightgbm")
    X, kinds, _ = _rows()
    model = lightgbm.LGBMRegressor(**TEN, verbose=-1, **given).fit(X, kinds / 2)
    with pytest.raises(ConvertError, match=next(iter(given))):
        to_torch(model)


@pytest.mark.parametrize(
    ("name", "task", "given"),
    [
        ("CatBoostClassifier", "binary", {}),
        ("CatBoostClassifier", "multiclass", {}),
        ("CatBoostClassifier", "multiclass", {"grow_policy": "Depthwise"}),
        ("CatBoostRegressor", "regression", {"nan_mode": "Max"}),
        ("CatBoostRegressor", "regression", {"loss_function": "Poisson"}),
        ("CatBoostRegressor", "regression", {"grow_policy": "Lossguide"}),
        ("CatBoostRegressor", "targets", {"loss_function": "MultiRMSE"}),
    ],
)
def test_catboost(name, task, given):
    catboost = pytest.importorskip("catboost")
    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "iterations": 10}
    _agrees(getattr(catboost, name)(**quiet, **given), task)


def test_catboost_refuses_by_name():
    catboost = pytest.importorskip("catboost")
    X, kinds, y = _rows(holes=0)
    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "iterations": 5}
    frame = pd.DataFrame(X).assign(town=np.array(["Bonn", "Ulm", "Kiel"])[kinds])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = catboost.CatBoostRegressor(**quiet, cat_features=["town"]).fit(frame, y)
    with pytest.raises(ConvertError, match="cat_features"):
        to_torch(model)
    model = catboost.CatBoostRegressor(**quiet, loss_function="RMSEWithUncertainty").fit(X, y)
    with pytest.raises(ConvertError, match="loss_function='RMSEWithUncertainty'"):
        to_torch(model)
