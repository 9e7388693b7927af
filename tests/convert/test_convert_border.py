"""Rows of any kind become the same numbers, and what cannot be read is an error that says where."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    LabelEncoder,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from manumatic.convert.border import Border, Column, Handed
from manumatic.convert.module import to_torch
from manumatic.errors import ConvertError, DataError

FLATS = pd.DataFrame(
    {
        "size": [50.0, 80.0, np.nan, 110.0, 65.0, 72.0],
        "town": ["Bonn", "Ulm", "Ulm", None, "Bonn", "Kiel"],
        "rooms": [2, 3, 3, 5, 2, 3],
        "lift": [True, False, True, True, False, False],
    }
)
RENT = np.array([500.0, 800.0, 700.0, 1100.0, 640.0, 690.0])
IGNORE = OneHotEncoder(handle_unknown="ignore")


def fitted(frame=FLATS, encoder=IGNORE, target=RENT):
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_pipeline(
        make_column_transformer((numbers, ["size", "rooms"]), (encoder, ["town", "lift"])), Ridge()
    ).fit(frame, target)


def agree(model, rows, expected=None):
    expected = model.predict(rows) if expected is None else expected
    np.testing.assert_allclose(to_torch(model).predict(rows), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["str", "object", "category"])
def test_words_of_every_pandas_type(kind):
    agree(fitted(), FLATS.astype({"town": kind}))


def test_numbers_of_every_pandas_type():
    frame = FLATS.astype({"size": "Float64", "rooms": "Int64", "lift": "boolean"})
    frame.loc[1, "rooms"] = pd.NA
    agree(fitted(frame), frame)
    model = fitted()
    mixed = frame.astype({"rooms": "category", "size": "object"})  # scikit-learn refuses these
    agree(model, mixed, model.predict(frame.astype({"rooms": "float", "size": "float"})))


def test_nullable_strings_are_missing_where_scikit_learn_would_not_read_them():
    model = fitted()
    frame = FLATS.astype({"town": "string"})
    np.testing.assert_allclose(to_torch(model).predict(frame), model.predict(FLATS))


def test_columns_in_another_order_and_more_of_them():
    model = fitted()
    agree(model, FLATS.assign(other="x")[["lift", "other", "town", "size", "rooms"]])


def test_a_column_that_is_missing_is_named():
    with pytest.raises(DataError, match=r"lacks the column 'town'.*'twon'"):
        to_torch(fitted()).predict(FLATS.rename(columns={"town": "twon"}))


def test_rows_without_names_are_taken_in_order():
    model = fitted()
    np.testing.assert_allclose(
        to_torch(model).predict(FLATS.astype(object).to_numpy()), model.predict(FLATS)
    )
    np.testing.assert_allclose(
        to_torch(model).predict(FLATS.to_numpy().tolist()), model.predict(FLATS)
    )
    with pytest.raises(DataError, match=r"3 features.*fitted on 4"):
        to_torch(model).predict(FLATS.to_numpy()[:, :3])


def test_rows_as_dicts_in_any_order():
    model = fitted()
    rows = [dict(reversed(row.items())) for row in FLATS.to_dict("records")]
    np.testing.assert_allclose(to_torch(model).predict(rows), model.predict(FLATS))


def test_polars_as_scikit_learn_reads_it():
    frame = pl.from_pandas(FLATS.assign(size=FLATS["size"].fillna(70)))
    model = fitted(frame)  # its missing town is None, and that is a category
    assert None in model[0].transformers_[1][1].categories_[0]
    agree(model, frame)


def test_sparse_rows():
    X = np.random.default_rng(0).poisson(0.5, (30, 5)).astype(float)
    model = LinearRegression().fit(X, X @ np.arange(5.0))
    agree(model, sparse.csr_array(X))
    agree(model, sparse.csc_matrix(X))


@pytest.mark.parametrize("X", [[[1, 2], [3, None]], [[1.5, 2], [3, np.nan]], ((1, 2), (3, 4))])
def test_lists_of_numbers(X):
    model = SimpleImputer().fit([[1.0, 2.0], [3.0, 5.0]])
    np.testing.assert_array_equal(to_torch(model).transform(X), model.transform(X))


def test_strings_of_numbers_are_numbers():
    model = StandardScaler().fit([[1.0], [3.0]])
    rows = pd.DataFrame({"a": ["2", "5.5"]}, dtype=object)
    np.testing.assert_array_equal(to_torch(model).transform(rows), [[0.0], [3.5]])


def test_a_word_among_numbers_is_named_with_its_column_and_row():
    with pytest.raises(DataError, match="'size' must hold numbers, and row 2 of it is 'large'"):
        to_torch(fitted()).predict(FLATS.astype({"size": object}).replace({np.nan: "large"}))
    scaler = to_torch(StandardScaler().fit([[1.0], [3.0]]))
    with pytest.raises(DataError, match="'0' must hold numbers, and row 1 of it is 'x'"):
        scaler.transform([[1], ["x"]])


def test_none_is_a_word_and_nan_is_missing_as_in_scikit_learn():
    frame = pd.DataFrame({"a": pd.Series(["x", None, np.nan, "y"], dtype=object)})
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame)
    assert len(encoder.categories_[0]) == 4
    np.testing.assert_array_equal(to_torch(encoder).transform(frame), encoder.transform(frame))
    without_none = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame.iloc[2:])
    np.testing.assert_array_equal(
        to_torch(without_none).transform(frame), without_none.transform(frame)
    )


def test_categories_that_are_numbers_in_a_column_of_objects():
    frame = pd.DataFrame({"a": pd.Series([1, 2.5, True, np.nan, 7], dtype=object)})
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(
        frame.iloc[:4]
    )
    np.testing.assert_array_equal(to_torch(encoder).transform(frame), encoder.transform(frame))


def test_two_encoders_share_the_codes_of_a_column():
    model = make_pipeline(
        make_column_transformer(
            (IGNORE, ["town"]),
            (TargetEncoder(cv=2, target_type="continuous"), ["town"]),
            (
                make_pipeline(SimpleImputer(strategy="constant", fill_value="Rom"), IGNORE),
                ["town"],
            ),
        ),
        Ridge(),
    ).fit(FLATS, RENT)
    agree(model, FLATS.assign(town=["Rom", "Jena", None, "Ulm", "Bonn", "Kiel"]))


def test_a_column_as_number_and_as_word_is_refused():
    frame = pd.DataFrame({"a": pd.Series([1, None, 3], dtype=object)})
    union = make_union(SimpleImputer(), OneHotEncoder()).fit(frame)
    with pytest.raises(ConvertError, match="takes the column 'a' as a word, an earlier step as a"):
        to_torch(union)


def test_text_and_word_are_two_readings():
    column = Column("a")
    Handed(column, text=True).codes(["1"], "words")
    with pytest.raises(ConvertError, match="as a word, an earlier step as a text"):
        column.codes([1], "OneHotEncoder")


def test_an_unknown_word_raises_at_the_border_and_says_where():
    model = fitted(encoder=OneHotEncoder())
    agree(model, FLATS)
    module = to_torch(model)
    with pytest.raises(ValueError, match=r"unknown categories \['Jena'\] in column 'town', row 3"):
        module.encode(FLATS.assign(town=["Bonn", "Ulm", "Ulm", "Jena", "Jena", "Kiel"]))
    with pytest.raises(ValueError, match="unknown categories"):
        model.predict(FLATS.assign(town="Jena"))


def test_an_unknown_number_raises_too():
    X = np.array([[1.0, 5.0], [2.0, 6.0], [2.0, np.nan]])
    for encoder in (OneHotEncoder(), OrdinalEncoder()):
        module = to_torch(encoder.fit(X))
        for wrong in ([[3.0, 5.0]], [[np.nan, 5.0]]):
            with pytest.raises(ValueError, match="unknown categories"):
                encoder.transform(wrong)
            with pytest.raises(ValueError, match="unknown categories"):
                module.transform(wrong)
        assert module.transform([[1.0, np.nan]]).shape[0] == 1


def test_what_an_imputer_fills_in_is_not_unknown():
    filled = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False)
    ).fit(FLATS[["town"]])
    rows = pd.DataFrame({"town": ["Ulm", np.nan]})
    np.testing.assert_array_equal(to_torch(filled).transform(rows), filled.transform(rows))
    constant = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(sparse_output=False)
    ).fit(FLATS[["town"]].dropna())
    for transform in (constant.transform, to_torch(constant).transform):
        with pytest.raises(ValueError, match="unknown categories"):
            transform(rows)


def test_an_unknown_value_that_the_border_cannot_see_raises_later():
    model = make_pipeline(StandardScaler(with_std=False), OneHotEncoder()).fit([[1.0], [3.0]])
    module = to_torch(model)
    np.testing.assert_array_equal(module.transform([[3.0]]), [[0.0, 1.0]])
    with pytest.raises(DataError, match=r"unknown categories \[3\] in column 0, row 1"):
        module.transform([[1.0], [5.0]])


def test_an_unknown_value_is_nan_where_nobody_can_raise():
    module = to_torch(OneHotEncoder().fit([[1.0], [3.0]]))
    found = module(module.like.new_tensor([[1.0], [2.0]]))
    assert found[0].tolist() == [1.0, 0.0]
    assert found[1].isnan().all()


def test_selectors_pick_columns_of_words():
    numbers = make_pipeline(OrdinalEncoder(), SelectKBest(f_regression, k=1))
    model = make_pipeline(numbers, LinearRegression()).fit(
        FLATS[["town", "lift"]].dropna(), RENT[[0, 1, 2, 4, 5]]
    )
    agree(model, FLATS[["town", "lift"]].dropna())


def test_words_that_come_out_are_refused():
    with pytest.raises(ConvertError, match="gives the words of 'town' as they are"):
        to_torch(SimpleImputer(strategy="most_frequent").fit(FLATS[["town"]]))


def test_text_and_labels_say_why_they_stay_outside():
    texts = ["good tea", "stale tea"]
    with pytest.raises(ConvertError, match=r"CountVectorizer has no converter.*strings or dicts"):
        to_torch(CountVectorizer().fit(texts))
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, [0, 1])
    with pytest.raises(ConvertError, match=r"to_torch\(pipeline\[1:\]\)"):
        to_torch(model)
    counts = model[0].transform(texts)
    np.testing.assert_array_equal(to_torch(model[1:]).predict(counts), model.predict(texts))
    with pytest.raises(ConvertError, match="labels"):
        to_torch(LabelEncoder().fit(["a", "b"]))


def test_dates_and_lengths_of_time():
    date, length = Column("date"), Column("length")
    date.read_as_date("dates", "%d.%m.%Y")
    length.read_as_date("seconds", "seconds")
    rows = pd.DataFrame({"date": ["02.01.1970", None], "length": pd.to_timedelta(["3 min", None])})
    np.testing.assert_array_equal(
        Border([date, length]).transform(rows), [[86400.0, 180.0], [np.nan, np.nan]]
    )
    with pytest.raises(ConvertError, match="reads the dates of the column 'date' as 'ISO8601'"):
        date.read_as_date("other", "ISO8601")


def test_a_missing_value_is_refused_where_scikit_learn_refuses_it():
    X = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]
    for model, takes in ((Ridge(), False), (HistGradientBoostingRegressor(), True)):
        module = to_torch(model.fit(X, [1.0, 2.0, 3.0]))
        if takes:
            row = [[0.0, np.nan]]
            np.testing.assert_allclose(module.predict(row), model.predict(row))
            continue
        for rows in (np.array([[0.0, np.nan]]), pd.DataFrame({"a": [1.0], "b": [np.nan]})):
            with pytest.raises(DataError, match="NaN: row 0 of the column '1', and Ridge takes no"):
                module.predict(rows)
