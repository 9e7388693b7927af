"""The tables: as scikit-learn's loaders return theirs, the same everywhere, worth learning from."""

import hashlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

from manumatic import datasets
from manumatic.datasets import (
    load_adverts,
    load_churn,
    load_flats,
    load_houses,
    load_study_hours,
)
from manumatic.datasets.draws import Draws
from manumatic.parts.columns import Table

LOADERS = [load_adverts, load_churn, load_flats, load_houses, load_study_hours]
each_loader = pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)


@each_loader
def test_a_bunch_is_what_scikit_learn_returns(load: Callable[..., Any]) -> None:
    found, model = load(as_frame=True), load_diabetes(as_frame=True)
    assert set(found) <= set(model) | {"target_names"}
    assert found.frame.columns.tolist() == [*found.feature_names, found.target.name]
    pd.testing.assert_frame_equal(found.data, found.frame[found.feature_names])
    pd.testing.assert_series_equal(found.target, found.frame[found.target.name])
    X, y = load(as_frame=True, return_X_y=True)
    pd.testing.assert_frame_equal(X, found.data)
    pd.testing.assert_series_equal(y, found.target)
    arrays = load(as_frame=False)
    assert arrays.frame is None
    assert (type(arrays.data), type(arrays.target)) == (np.ndarray, np.ndarray)
    assert arrays.data.shape == found.data.shape
    assert not found.target.isna().any()


@each_loader
def test_the_description_explains_every_column(load: Callable[..., Any]) -> None:
    found = load(as_frame=True)
    assert [
        name
        for name in found.frame
        if name.replace("_", " ") not in found.DESCR.replace("_", " ").lower()
    ] == []


@pytest.mark.parametrize(
    ("load", "shape", "digest"),
    [
        (load_study_hours, (5, 2), "65cb427f9f806f79"),
        (load_houses, (506, 14), "5847c99613986571"),
        (load_flats, (2000, 16), "aed3da7f79872bff"),
        (load_churn, (3000, 14), "5ea2afb08bc90210"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_numbers_never_change(load: Callable[..., Any], shape: Any, digest: str) -> None:
    """Of the text of the table, so that neither the platform nor versions of pandas matter."""
    frame = load(as_frame=True).frame
    assert frame.shape == shape
    text = frame.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


def test_the_photos_never_change() -> None:
    frame = load_adverts().frame
    assert frame.shape == (1500, 6)
    pixels = np.stack([photo for photo in frame.pop("photo") if photo is not None])
    assert pixels.shape[1:] == (24, 24, 3)
    text = frame.to_csv(index=False, lineterminator="\n").encode()
    assert hashlib.sha256(text + pixels.tobytes()).hexdigest()[:16] == "fce207548cac87b9"


@each_loader
def test_loading_leaves_the_global_generator_alone_and_returns_copies(
    load: Callable[..., Any],
) -> None:
    before = np.random.get_state()[1]
    first = load(as_frame=True).frame
    first.iloc[:, -1] = first.iloc[0, -1]
    assert not load(as_frame=True).frame.equals(first)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_the_loaders_are_the_public_names() -> None:
    assert datasets.__all__ == dir(datasets) == [load.__name__ for load in LOADERS]
    for load in LOADERS:
        parameters = inspect.signature(load).parameters.values()
        assert {p.name for p in parameters} == {"return_X_y", "as_frame"}
        assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(AttributeError, match=r"no attribute 'load_iris'"):
        datasets.load_iris  # noqa: B018 - the look-up is the test


def test_loading_needs_no_torch() -> None:
    code = (
        "import sys; from manumatic import datasets\n"
        "for name in datasets.__all__: getattr(datasets, name)()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- what is in them -----------------------------------------------------------------------------


def test_study_hours_lie_on_their_line() -> None:
    X, y = load_study_hours(return_X_y=True)
    line = LinearRegression().fit(X, y)
    np.testing.assert_allclose([line.intercept_, *line.coef_], [45, 7])
    np.testing.assert_allclose(line.predict([[6.0]]), 87)


def test_houses_are_numbers_that_a_line_explains_in_part() -> None:
    X, y = load_houses(return_X_y=True)
    assert X.dtype == y.dtype == np.float64
    assert np.isfinite(X).all()
    assert 0.7 < cross_val_score(RidgeCV(), Table().fit_transform(X), y, cv=5).mean() < 0.85


def test_flats_have_a_column_of_each_kind() -> None:
    frame = load_flats().frame
    types = {name: frame[name].dtype.kind for name in ("listed", "area", "rooms", "lift")}
    assert types == {"listed": "M", "area": "f", "rooms": "i", "lift": "b"}
    gaps = frame.columns[frame.isna().any()].tolist()
    assert gaps == ["floor", "year_built", "energy", "note"]
    assert frame["listing"].is_unique
    assert frame["street"].nunique() == 240
    assert (frame.groupby("street")["district"].nunique() == 1).all()


def test_what_matters_for_flats_can_be_found() -> None:
    X, y = load_flats(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = make_pipeline(Table(classification=False), RidgeCV()).fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.78
    found = permutation_importance(model, X_test, y_test, n_repeats=3, random_state=0)
    weight = dict(zip(X, found.importances_mean, strict=True))
    assert max(weight, key=weight.__getitem__) == "area"
    assert min(weight["district"], weight["street"], weight["note"], weight["listed"]) > 0.005
    assert weight["listing"] == 0


def test_churn_has_one_leaver_in_five_and_can_be_foreseen_in_part() -> None:
    X, y = load_churn(return_X_y=True)
    assert (y == "yes").sum() == 600
    assert load_churn().target_names == ["no", "yes"]
    model = make_pipeline(Table(), LogisticRegression(max_iter=500))
    assert 0.72 < cross_val_score(model, X, y, cv=3, scoring="roc_auc").mean() < 0.85
    leavers = (y == "yes").groupby(X["support_calls"]).mean()
    assert leavers[3] > 1.4 * leavers[2]


# --- draws ---------------------------------------------------------------------------------------


def test_draws_are_the_uniform_stream_of_pcg64() -> None:
    stream = np.random.Generator(np.random.PCG64(3))
    draws = Draws(seed=3, n=5)
    np.testing.assert_array_equal(draws.uniform(), stream.random(5))
    np.testing.assert_array_equal(draws.uniform(2, 4), 2 + 2 * stream.random(5))
    np.testing.assert_array_equal(draws.chance(0.3), stream.random(5) < 0.3)


def test_draws_follow_their_distributions() -> None:
    draws = Draws(seed=0, n=100_000)
    normal = draws.normal(5, 2)
    np.testing.assert_allclose([normal.mean(), normal.std()], [5, 2], atol=0.02)
    inside = [np.mean(np.abs(normal - 5) < 2 * k) for k in (1, 2)]
    np.testing.assert_allclose(inside, [0.683, 0.954], atol=0.01)
    shares = np.bincount(draws.pick([5, 3, 2])) / draws.n
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.01)
