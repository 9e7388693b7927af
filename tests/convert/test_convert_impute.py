"""Imputers and selectors with every parameter, and the traps that they hold."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (it brings the class)
from sklearn.feature_selection import RFE, SelectFromModel, VarianceThreshold
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics.pairwise import nan_euclidean_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.errors import ConvertError

quick = settings(max_examples=25, deadline=None)
pytestmark = pytest.mark.filterwarnings("ignore:Skipping features without any observed values")


def holed(seed, n=40):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).round(1)
    X[rng.random(X.shape) < 0.3] = np.nan
    return X


@quick
@given(
    st.integers(0, 99),
    st.sampled_from(["mean", "median", "most_frequent", "constant"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_simple(seed, strategy, flags, keep, empty):
    X, rows = holed(seed), holed(seed + 1000)
    if empty:
        X[:, 2] = np.nan
        rows[:, 2] = np.nan  # else scikit-learn mixes up the columns on the way back
    imputer = SimpleImputer(strategy=strategy, add_indicator=flags, keep_empty_features=keep)
    fitted = imputer.fit(X)
    methods = ("transform",) if empty else ("transform", "inverse_transform")
    parity(fitted, to_torch(fitted), rows, 0, methods).require()


def test_a_mark_instead_of_nan_and_whole_numbers():
    X = np.array([[1, 5], [-9, 6], [2, -9], [4, 6]])
    for strategy in ("most_frequent", "constant"):
        fitted = SimpleImputer(missing_values=-9, strategy=strategy, fill_value=3).fit(X)
        parity(fitted, to_torch(fitted), X, 0, ("transform",)).require()


def test_words_with_marks_of_their_own():
    frame = pd.DataFrame({"town": ["Bonn", "?", "Ulm", "Ulm"]}, dtype=object)
    nothing = frame.replace({"?": None})
    for mark, rows in (("?", frame), (None, nothing)):
        for strategy in ("most_frequent", "constant"):
            model = make_pipeline(
                SimpleImputer(missing_values=mark, strategy=strategy, add_indicator=True),
                OneHotEncoder(handle_unknown="ignore"),
            ).fit(rows)
            parity(model, to_torch(model), rows, 0).require()


def test_flags_of_words_and_numbers():
    frame = pd.DataFrame({"town": ["Bonn", np.nan, "Ulm"], "size": [1.0, np.nan, 3.0]})
    for fitted in (
        MissingIndicator().fit(frame),
        MissingIndicator(features="all").fit(frame),
        MissingIndicator(missing_values="Ulm").fit(frame[["town"]].dropna()),
    ):
        rows = (
            frame[list(fitted.feature_names_in_)].dropna() if len(fitted.features_) < 2 else frame
        )
        parity(fitted, to_torch(fitted), rows, 0).require()


@quick
@given(
    st.integers(0, 99),
    st.sampled_from([1, 2, 5, 60]),
    st.sampled_from(["uniform", "distance"]),
    st.booleans(),
    st.booleans(),
)
def test_neighbours(seed, count, weights, flags, keep):
    rng = np.random.default_rng(seed)
    X, rows = holed(seed), holed(seed + 1000)
    X, rows = X + rng.normal(size=X.shape), rows + rng.normal(size=rows.shape)  # without ties
    rows[0], rows[1] = np.nan, X[3]
    X[:, 1] = np.nan if keep else X[:, 1]
    fitted = KNNImputer(
        n_neighbors=count, weights=weights, add_indicator=flags, keep_empty_features=keep
    ).fit(X)
    parity(fitted, to_torch(fitted), rows).require()


def test_a_training_row_with_a_hole_is_its_own_neighbour():
    X = np.arange(40.0).reshape(10, 4) ** 2
    rows = X.copy()
    rows[np.arange(10), np.arange(10) % 4] = np.nan
    fitted = KNNImputer(weights="distance").fit(X)
    np.testing.assert_array_equal(fitted.transform(rows), X)
    parity(fitted, to_torch(fitted), rows).require()


def test_neighbours_that_are_refused():
    X = holed(0)
    with pytest.raises(ConvertError, match=r"metric=<function"):
        to_torch(KNNImputer(metric=lambda x, y, **_: abs(x[0] - y[0])).fit(X))
    with pytest.raises(ConvertError, match=r"weights=<function"):
        to_torch(KNNImputer(weights=lambda d: d).fit(X))
    assert nan_euclidean_distances(X[:1], X[:1]) == 0


@quick
@given(
    st.integers(0, 99),
    st.sampled_from(["ascending", "descending", "roman", "arabic", "random"]),
    st.sampled_from([None, 2]),
    st.booleans(),
    st.booleans(),
)
@pytest.mark.filterwarnings("ignore:.*Early stopping criterion not reached")
def test_rounds(seed, order, nearest, flags, keep):
    X, rows = holed(seed), holed(seed + 1000)
    X[:, 1] = np.nan if keep else X[:, 1]
    fitted = IterativeImputer(
        Ridge(),
        max_iter=3,
        imputation_order=order,
        n_nearest_features=nearest,
        add_indicator=flags,
        keep_empty_features=keep,
        min_value=-1.5,
        max_value=[1.0, 1.2, 1.4, 1.6] if keep else 1.2,
        random_state=seed,
    ).fit(X)
    parity(fitted, to_torch(fitted), rows).require()


def test_no_rounds_and_random_ones():
    X = holed(0)
    fitted = IterativeImputer(max_iter=0).fit(X)
    parity(fitted, to_torch(fitted), X).require()
    with pytest.raises(ConvertError, match="sample_posterior=True"):
        to_torch(IterativeImputer(sample_posterior=True, max_iter=1, tol=1e9).fit(X))


def test_a_model_on_chosen_columns_and_its_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = np.where(X[:, 3] + 0.1 * rng.normal(size=60) > 0, "yes", "no")
    fitted = RFE(LogisticRegression(), n_features_to_select=2).fit(X, y)
    module = to_torch(fitted)
    parity(fitted, module, X).require()
    assert module.classes_.tolist() == ["no", "yes"]
    assert module.predict(X[:3]).tolist() == fitted.predict(X[:3]).tolist()


@pytest.mark.filterwarnings("ignore:No features were selected")
def test_no_column_and_all_columns():
    X = np.random.default_rng(0).normal(size=(20, 3))
    some = SelectFromModel(Ridge().fit(X, X[:, 0]), prefit=True, threshold=-np.inf).fit(X)
    parity(some, to_torch(some), X, 0).require()
    none = SelectFromModel(Ridge(), threshold=1e9).fit(X, X[:, 0])
    assert to_torch(none).transform(X).shape == (20, 0)


def test_selected_words_go_on_to_an_encoder():
    frame = pd.DataFrame({"town": ["Bonn", "Ulm"] * 20, "size": np.arange(40) % 3})
    encoder = OneHotEncoder(sparse_output=False)
    model = make_pipeline(encoder, VarianceThreshold(0.23), ExtraTreesRegressor(3, random_state=0))
    model.fit(frame, np.arange(40.0))
    selected = to_torch(model[:2])
    np.testing.assert_array_equal(selected.transform(frame), model[:2].transform(frame))
