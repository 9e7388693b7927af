"""The border: whatever X and y come as, the same rows are trained on; and what cannot be read."""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import manumatic as mm
from manumatic.errors import ComponentError, DataError
from manumatic.parts.data import Batches, Stream, split_rows, split_settings
from manumatic.parts.loop import LINE
from manumatic.parts.rows import count_rows, kind_of, read_rows

GRID = [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]


def linear(kind=mm.Regressor, **changes):
    given = {"model": "linear", "loop": mm.Loop(2), "random_state": 0} | changes
    return kind(**given)


# --- X of any kind -------------------------------------------------------------------------------

NUMBERS = {
    "lists": GRID,
    "tuples": tuple(map(tuple, GRID)),
    "whole numbers": [[1, 2], [3, 4], [5, 7]],
    "float64": np.array(GRID),
    "float32": np.array(GRID, dtype=np.float32),
    "float16": np.array(GRID, dtype=np.float16),
    "int8": np.array(GRID, dtype=np.int8),
    "uint64": np.array(GRID, dtype=np.uint64),
    "objects": np.array(GRID, dtype=object),
    "digits": np.array([["1", "2"], ["3", "4"], ["5", "7.0"]]),
    "columns first": np.asfortranarray(GRID),
    "every other": np.repeat(GRID, 2, axis=0)[::2],
    "backwards": np.array(GRID[::-1])[::-1],
    "read only": np.frombuffer(np.array(GRID).tobytes()).reshape(3, 2),
    "csr": sparse.csr_matrix(GRID),
    "csc array": sparse.csc_array(GRID),
    "coo": sparse.coo_matrix(GRID),
    "tensor": torch.tensor(GRID),
    "tensor with a graph": torch.tensor(GRID, requires_grad=True) * 1,
    "tensor of whole numbers": torch.tensor(GRID).long(),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_any_kind_are_the_same_rows(name):
    found = read_rows(NUMBERS[name])
    assert kind_of(found) == "table"
    assert isinstance(found, np.ndarray)
    assert found.dtype.kind == "f"
    assert found.tolist() == GRID


@pytest.mark.parametrize("dtype", [bool, np.bool_, object])
def test_truth_values_are_0_and_1(dtype):
    assert read_rows(np.array([[True, False], [False, False]], dtype=dtype)).tolist() == [
        [1, 0],
        [0, 0],
    ]


FRAMES = {
    "pandas": pd.DataFrame({"a": [1.0, 3.0, 5.0], "b": [2, 4, 7]}),
    "nullable": pd.DataFrame({"a": [1, 3, 5], "b": [2, 4, 7]}).convert_dtypes(),
    "arrow": pd.DataFrame({"a": [1, 3, 5], "b": [2, 4, 7]}).convert_dtypes(dtype_backend="pyarrow"),
    "sparse columns": pd.DataFrame({"a": [1.0, 3.0, 5.0], "b": [2.0, 4, 7]}).astype(
        pd.SparseDtype(float, 0.0)
    ),
    "polars": pl.DataFrame({"a": [1.0, 3.0, 5.0], "b": [2, 4, 7]}),
}


@pytest.mark.parametrize("preprocess", ["auto", None])
@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_numbers_train_like_each_other(name, preprocess):
    data = mm.Data(preprocess=preprocess)
    X = FRAMES[name]
    net = linear(data=data).fit(X, [1.0, 2.0, 4.0])
    assert list(net.feature_names_in_) == ["a", "b"]
    plain = linear(data=data).fit(FRAMES["pandas"], [1.0, 2.0, 4.0])
    assert np.array_equal(net.predict(X), plain.predict(FRAMES["pandas"]))


def mixed(n=40):
    days = pd.date_range("2024-02-27", periods=n, freq="7h")
    return pd.DataFrame(
        {
            "int": pd.array([1, None, 3, 4] * (n // 4), dtype="Int64"),
            "float": np.where(np.arange(n) % 3 == 0, np.nan, np.arange(n) / 7),
            "bool": pd.array([True, None, False, True] * (n // 4), dtype="boolean"),
            "words": ["red", None, "blue", "red"] * (n // 4),
            "category": pd.Categorical(
                ["S", "M", "L", None] * (n // 4), categories=["S", "M", "L"]
            ),
            "numbered": pd.Categorical([3, 1, 2, 3] * (n // 4)),
            "date": days,
            "zone": days.tz_localize("Europe/Berlin", nonexistent="NaT", ambiguous="NaT"),
            "span": days - days[0],
            "all missing": [None] * n,
            "one value": "same",
        }
    )


def test_a_frame_of_every_kind_of_column():
    X, y = mixed(), np.arange(40.0)
    net = linear().fit(X, y)
    assert np.isfinite(net.predict(X)).all()
    strange = X.assign(words="green", category=None, float=np.nan, date=pd.NaT, int=pd.NA)
    assert np.isfinite(net.predict(strange)).all(), "unseen and missing values may come later"


def test_columns_are_taken_by_name_and_checked():
    X = pd.DataFrame({"a": [1.0, 2, 3], "b": [5.0, 1, 2]})
    net = linear().fit(X, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="same order"):
        net.predict(X[["b", "a"]])
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        net.predict(X.rename(columns={"a": "c"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = net.predict(X.to_numpy())
    assert np.array_equal(found, net.predict(X))
    nameless = linear().fit(X.to_numpy(), [1.0, 2.0, 3.0])
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        nameless.predict(X)


WORDS = ["good tea", "bad tea", "", "tea, good!"]
TEXTS = {
    "list": WORDS,
    "tuple": tuple(WORDS),
    "array": np.array(WORDS),
    "objects": np.array(WORDS, dtype=object),
    "series": pd.Series(WORDS),
    "objects of pandas": pd.Series(WORDS, dtype=object),
    "strings of pandas": pd.Series(WORDS, dtype="string"),
    "category": pd.Series(WORDS, dtype="category"),
    "polars": pl.Series(WORDS),
    "None": [*WORDS[:2], None, WORDS[3]],
    "NaN": pd.Series([*WORDS[:2], np.nan, WORDS[3]]),
    "NA": pd.Series([*WORDS[:2], pd.NA, WORDS[3]], dtype="string"),
    "polars null": pl.Series([*WORDS[:2], None, WORDS[3]]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_any_kind_are_the_same_rows(name):
    found = read_rows(TEXTS[name])
    assert kind_of(found) == "text"
    assert found.tolist() == WORDS


TABLES_WITH_WORDS = {
    "lists": [["a", 1.0], ["b", 2.0]],
    "objects": np.array([["a", 1.0], ["b", 2.0]], dtype=object),
    "the first word is missing": np.array([[None, 1.0], ["b", 2.0]], dtype=object),
    "strings": np.array([["a", "1.0"], ["b", "2.0"]]),
}


@pytest.mark.parametrize("name", TABLES_WITH_WORDS)
def test_arrays_with_words_are_tables(name):
    assert kind_of(read_rows(TABLES_WITH_WORDS[name])) == "frame"


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, bool])
def test_image_stacks(dtype):
    grey = (np.arange(2 * 4 * 5).reshape(2, 4, 5) % 2).astype(dtype)
    for images in (grey, torch.from_numpy(grey), grey[:, np.newaxis].repeat(3, axis=1)):
        found = read_rows(images)
        assert kind_of(found) == ("image" if dtype == np.uint8 or found.ndim == 4 else "sequence")
        assert found.dtype == (np.uint8 if dtype == np.uint8 else np.float32)
        assert np.array_equal(found, np.asarray(images).astype(np.float32))


UNREADABLE = {
    "no rows": (np.empty((0, 3)), "0 sample"),
    "no columns": (np.empty((3, 0)), "0 feature"),
    "no rows in a frame": (pd.DataFrame({"a": []}), "0 sample"),
    "one dimension": ([1.0, 2.0, 3.0], "Expected 2D array, got 1D array instead"),
    "one number": (3.0, "Expected 2D array, got scalar array"),
    "ragged": ([[1.0, 2.0], [3.0]], "from 1 to 2 values"),
    "complex": (np.array([[1j]]), "Complex data not supported"),
    "infinity": ([[np.inf]], "infinity"),
    "infinity in a frame": (pd.DataFrame({"a": [1.0, -np.inf]}), "infinity in column 'a'"),
    "a name twice": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns named 'a'"),
    "too large": (sparse.csr_matrix((10**6, 10**4)), "1.0e\\+10 cells"),
    "a dictionary": (np.array([[{}]], dtype=object), "string or a real number"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_said_at_once(name):
    X, words = UNREADABLE[name]
    with pytest.raises((ValueError, TypeError), match=words):
        read_rows(X)


def test_missing_values_pass_only_where_something_fills_them():
    X, y = np.array([[1.0], [np.nan], [3.0]]), [1.0, 2.0, 3.0]
    assert np.isfinite(linear().fit(X, y).predict(X)).all()
    raw = linear(data=mm.Data(preprocess=None))
    with pytest.raises(ValueError, match="contains NaN"):
        raw.fit(X, y)
    with pytest.raises(DataError, match="NaN in column 'a'"):
        raw.fit(pd.DataFrame(X, columns=["a"]), y)
    with pytest.raises(ValueError, match="contains NaN"):
        raw.fit(X[:1], y[:1]).predict(X)


def test_a_number_too_large_for_float32_is_said_before_the_first_step():
    raw = linear(data=mm.Data(preprocess=None))
    with pytest.raises(DataError, match="row 1 of X holds inf"):
        raw.fit([[1.0], [1e300]], [1.0, 2.0])
    with pytest.raises(DataError, match=r"y holds 1e\+300"):
        raw.fit([[1.0], [2.0]], [1.0, 1e300])


# --- y of any kind -------------------------------------------------------------------------------

LABELS = {
    "list": ["no", "yes", "no", "yes"],
    "array": np.array(["no", "yes", "no", "yes"]),
    "objects": np.array(["no", "yes", "no", "yes"], dtype=object),
    "series": pd.Series(["no", "yes", "no", "yes"], index=[7, 3, 9, 1]),
    "category": pd.Series(["no", "yes", "no", "yes"], dtype="category"),
    "string": pd.Series(["no", "yes", "no", "yes"], dtype="string"),
    "polars": pl.Series(["no", "yes", "no", "yes"]),
    "bool": [False, True, False, True],
    "nullable bool": pd.Series([False, True, False, True], dtype="boolean"),
    "int8": np.array([0, 1, 0, 1], dtype=np.int8),
    "nullable int": pd.Series([1, 2, 1, 2], dtype="Int64"),
    "-1 and 1": [-1, 1, -1, 1],
    "1 and 2": [1, 2, 1, 2],
    "0 and 7": [0, 7, 0, 7],
    "float": [0.0, 1.0, 0.0, 1.0],
    "tensor": torch.tensor([0, 1, 0, 1]),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_any_kind_come_back_as_they_were(name):
    X, y = [[-1.0], [1.0], [-2.0], [2.0]], LABELS[name]
    net = linear(mm.Classifier, loop=mm.Loop(100)).fit(X, y)
    low, high = np.asarray(y)[:2]
    assert net.classes_.tolist() == [low, high]
    assert net.predict(X).tolist() == [low, high, low, high]
    assert net.predict_proba(X).shape == (4, 2)


def test_labels_as_a_column_warn_as_in_scikit_learn():
    from sklearn.exceptions import DataConversionWarning

    with pytest.warns(DataConversionWarning):
        net = linear(mm.Classifier).fit([[1.0], [2.0]], [[0], [1]])
    assert net.predict([[1.0]]).shape == (1,)


TARGETS = {
    "list": [1, 2, 3],
    "int32": np.array([1, 2, 3], dtype=np.int32),
    "float32": np.array([1, 2, 3], dtype=np.float32),
    "objects": np.array([1, 2, 3], dtype=object),
    "series": pd.Series([1, 2, 3], index=[3, 1, 2]),
    "nullable": pd.Series([1, 2, 3], dtype="Float64"),
    "polars": pl.Series([1, 2, 3]),
    "tensor": torch.tensor([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_of_any_kind_train_alike(name):
    X = [[1.0], [2.0], [4.0]]
    expected = linear().fit(X, [1.0, 2.0, 3.0]).predict(X)
    assert np.array_equal(linear().fit(X, TARGETS[name]).predict(X), expected)


def test_several_targets_keep_their_columns():
    X = np.arange(6.0).reshape(-1, 1)
    for y in (np.column_stack([X, -X]), pd.DataFrame({"a": X[:, 0], "b": -X[:, 0]})):
        net = linear(loop=mm.Loop(300), optimizer=mm.Optimizer("adam", lr=0.1)).fit(X, y)
        assert np.allclose(net.predict(X), np.asarray(y), atol=0.5)


BAD_TARGETS = {
    "NaN": (mm.Regressor, [1.0, np.nan, 2.0], "Input y contains NaN"),
    "infinity": (mm.Regressor, [1.0, np.inf, 2.0], "Input y contains infinity"),
    "words for numbers": (mm.Regressor, ["a", "b", "c"], "y holds 'a', which is no number"),
    "no target": (mm.Regressor, None, "requires y to be passed"),
    "too short": (mm.Regressor, [1.0, 2.0], r"inconsistent numbers of samples: \[3, 2\]"),
    "one class": (mm.Classifier, ["a", "a", "a"], "y holds one class only, 'a'"),
    "numbers for classes": (mm.Classifier, [0.5, 1.7, 2.2], "Unknown label type: continuous"),
    "None": (mm.Classifier, ["a", None, "b"], "row 1 has no label"),
    "NaN label": (mm.Classifier, [0.0, 1.0, np.nan], "row 2 has no label"),
    "columns of classes": (mm.Classifier, [[1, 2], [2, 1], [3, 2]], "y has 2 columns"),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_a_target_that_cannot_be_learned_is_said_before_the_first_step(name):
    kind, y, words = BAD_TARGETS[name]
    net = linear(kind)
    with pytest.raises(ValueError, match=words):
        net.fit([[1.0], [2.0], [3.0]], y)
    assert not hasattr(net, "model_")


# --- Datasets and DataLoaders --------------------------------------------------------------------


def study():
    X = torch.arange(40.0).reshape(20, 2) / 10
    return X, X @ torch.tensor([1.0, -2.0]) + 3


class Pairs(Dataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, row):
        return self.X[row], self.y[row]


class Flow(IterableDataset):
    def __iter__(self):
        yield from zip(*study(), strict=True)


STREAMS = {
    "DataLoader": lambda: DataLoader(TensorDataset(*study()), 8),
    "Dataset": lambda: Pairs(*study()),
    "Dataset of NumPy": lambda: Pairs(*(part.numpy() for part in study())),
    "IterableDataset": Flow,
    "DataLoader of a flow": lambda: DataLoader(Flow(), 8),
    "TensorDataset": lambda: TensorDataset(*study()),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_learn_what_arrays_do(name):
    """Targets (n,) meet outputs (n, 1) row by row; broadcast, they would teach the mean."""
    net = linear(
        optimizer=mm.Optimizer("adam", lr=0.1), loop=mm.Loop(300), data=mm.Data(batch_size=8)
    ).fit(STREAMS[name]())
    X, y = study()
    assert net.score(X, y) > 0.99
    assert net.predict(STREAMS[name]()).shape == (20,)


def test_a_stream_in_order_is_the_textbook_loop():
    X, y = study()
    net = linear(optimizer="sgd", loop=mm.Loop(3)).fit(DataLoader(TensorDataset(X, y), 8))
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters())
    for _ in range(3):
        for first in (0, 8, 16):
            optimizer.zero_grad()
            prediction = model(X[first : first + 8])[:, 0]
            torch.nn.functional.mse_loss(prediction, y[first : first + 8]).backward()
            optimizer.step()
    assert torch.allclose(net.model_.weight, model.weight, rtol=1e-6)


@pytest.mark.parametrize("loop", [mm.Loop(2), mm.Loop(2, keep="best")])
def test_labels_of_a_dataset_may_be_words(loop):
    X, y = study()
    words = np.where(y.numpy() > y.mean().item(), "high", "low")
    net = linear(mm.Classifier, loop=loop).fit(Pairs(X, words))
    assert net.classes_.tolist() == ["high", "low"]
    assert set(net.predict(X)) <= {"high", "low"}
    assert copy.deepcopy(net).predict(X).tolist() == net.predict(X).tolist()


def test_the_last_batch_of_a_stream_without_length_is_known():
    stream = Stream(Flow(), torch.device("cpu"), torch.as_tensor, batch_size=8)
    ends = [number + 1 == len(stream) for number, *_ in stream.batches(0)]
    assert ends == [False, False, True]


def test_a_stream_accumulates_like_its_rows_in_memory():
    X, y = study()
    streamed = linear(
        data=mm.Data(batch_size=3), loop=mm.Loop(2, accumulate=3), optimizer="sgd"
    ).fit(Flow())
    data = mm.Data(batch_size=9, shuffle=False, preprocess=None)
    whole = linear(data=data, optimizer="sgd").fit(X, y)
    assert torch.allclose(streamed.model_.weight, whole.model_.weight, atol=1e-6)


BAD_STREAMS = {
    "weights": (lambda net: net.fit(Pairs(*study()), sample_weight=[1] * 20), "sample_weight"),
    "class weights": (
        lambda net: net.set_params(loss=mm.Loss(class_weight="balanced")).fit(Pairs(*study())),
        "class_weight='balanced'",
    ),
    "one tensor": (lambda net: net.fit(TensorDataset(study()[0])), "1 tensor"),
    "three tensors": (lambda net: net.fit(TensorDataset(*study(), study()[1])), "3 tensor"),
    "nothing": (lambda net: net.fit(DataLoader([])), "X is a DataLoader without any row"),
    "no pairs": (lambda net: net.fit(DataLoader(study()[0])), "must be a pair"),
    "nothing to hold out": (
        lambda net: net.set_params(loop=mm.Loop(2, patience=1)).fit(DataLoader(Flow())),
        "cannot be split",
    ),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_what_a_stream_cannot_do_is_said(name):
    act, words = BAD_STREAMS[name]
    with pytest.raises((DataError, ComponentError), match=words):
        act(linear())


# --- which rows count how often ------------------------------------------------------------------


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)), min_size=1),
    shuffle=st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_a_weight_of_two_is_the_row_given_twice(rows, shuffle):
    """Counting rows gives the same sequence for weights, for repeats, and for any order of them."""
    if not any(weight for *_, weight in rows):
        rows = [(0, 0, 1)]
    X = np.array([[a] for a, _, _ in rows], dtype=float)
    y = np.array([b for _, b, _ in rows], dtype=float)
    weight = np.array([w for *_, w in rows], dtype=float)
    index, rest = count_rows(X, y, weight)
    assert rest is None
    repeated = [(a, b) for a, b, w in rows for _ in range(w)]
    shuffle.shuffle(repeated)
    X2, y2 = np.array([[a] for a, _ in repeated], float), np.array([b for _, b in repeated], float)
    index2, rest2 = count_rows(X2, y2, None)
    assert rest2 is None
    if index2 is None:  # all different: as they came, which is the same set
        assert sorted(zip(X[index, 0], y[index], strict=True)) == sorted(repeated)
    else:
        assert np.array_equal(X[index], X2[index2])
        assert np.array_equal(y[index], y2[index2])


def test_weights_that_are_no_whole_numbers_multiply_the_loss():
    index, weight = count_rows(np.ones((4, 1)), np.ones(4), np.array([0.5, 0.0, 1.5, 1.0]))
    assert index.tolist() == [0, 2, 3]
    assert weight.tolist() == [0.5, 1.5, 1.0]


def test_rows_that_must_stay_in_order_do():
    """Equal rows are sorted together for the sake of weights, but not where order was asked for."""
    X, y = [[3.0], [1.0], [2.0], [1.0]], [3.0, 1.0, 2.0, 1.0]
    data = mm.Data(shuffle=False, preprocess=None)
    assert linear(data=data).manual(X, y).data.X.tolist() == X


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ([1, 1], r"sample_weight.shape == \(2,\), expected \(3,\)"),
        ([1, -1, 1], "the least is -1"),
        ([0, 0, 0], "the largest 0"),
        ([1, np.nan, 1], "sample_weight contains NaN"),
    ],
)
def test_weights_that_make_no_sense(weight, words):
    with pytest.raises(ValueError, match=words):
        linear().fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], sample_weight=weight)


# --- rows held out -------------------------------------------------------------------------------


@given(n=st.integers(4, 80), share=st.floats(0.05, 0.9), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_every_row_is_on_one_side(n, share, seed):
    assume(np.ceil(share * n) < n)
    labels = np.arange(n) % 2
    train, valid = split_rows(n, share, labels, seed)
    assert sorted([*train, *valid]) == list(range(n))
    assert len(valid) == int(np.ceil(share * n))
    if split_settings(n, share, labels)[1]:
        assert abs(labels[valid].mean() - 0.5) * len(valid) <= 1
    assert np.array_equal(valid, split_rows(n, share, labels, seed)[1])


def test_rare_classes_are_not_a_reason_to_stop():
    labels = np.array([0] * 20 + [1])
    train, valid = split_rows(21, 0.2, labels, 0)
    assert len(train) + len(valid) == 21


@pytest.mark.parametrize("validation", [0.0, 1.0, -0.1, 0, 10, 500, "some", [1.0], True])
def test_a_share_that_leaves_nothing_is_an_error(validation):
    net = linear(data=mm.Data(validation=validation), loop=mm.Loop(2, keep="best"))
    with pytest.raises(ComponentError, match="validation"):
        net.fit(np.arange(10.0).reshape(-1, 1), np.arange(10.0))


def test_targets_of_one_column_in_batches_are_no_reason_to_warn():
    X, y = torch.arange(6.0).reshape(-1, 1), torch.arange(6.0).reshape(-1, 1)
    for rows in (TensorDataset(X, y), DataLoader(TensorDataset(X, y), 2)):
        assert linear(loop=mm.Loop(1)).fit(rows).predict(rows).shape == (6,)


def test_rows_are_held_out_only_when_they_are_used():
    X, y = np.arange(50.0).reshape(-1, 1), np.arange(50.0)
    assert linear().manual(X, y).data.n_rows == 50
    held = linear(loop=mm.Loop(2, keep="best")).manual(X, y)
    assert (held.data.n_rows, held.valid.n_rows) == (45, 5)
    everything = linear(loop=mm.Loop(2, keep="best"), data=mm.Data(validation=None)).manual(X, y)
    assert everything.data.n_rows == 50
    assert everything.valid is None
    assert "all 2 epochs, the last weights kept" in str(everything.facts.logbook)
    assert "the last weights" not in str(held.facts.logbook)


def test_validation_rows_of_your_own():
    X, y = np.arange(20.0).reshape(-1, 1), np.arange(20.0)
    loop = mm.Loop(3, keep="best")
    training = linear(loop=loop, data=mm.Data(validation=(X[:4], y[:4]))).manual(X, y)
    assert (training.data.n_rows, training.valid.n_rows) == (20, 4)
    missing = mm.Data(validation=([[np.nan]], [1.0]), preprocess=None)
    with pytest.raises(ValueError, match="contains NaN"):
        linear(loop=loop, data=missing).fit(X, y)
    with pytest.raises(ValueError, match="2 features"):
        linear(loop=loop, data=mm.Data(validation=([[1.0, 2.0]], [1.0]))).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent"):
        linear(loop=loop, data=mm.Data(validation=([[1.0]], [1.0, 2.0]))).fit(X, y)


def test_the_preprocessing_never_sees_the_rows_held_out():
    X, y = np.arange(40.0).reshape(-1, 1), np.arange(40.0)
    y[::7] += 1000
    from sklearn.preprocessing import StandardScaler

    data = mm.Data(preprocess=StandardScaler(), validation=0.5)
    training = linear(loop=mm.Loop(2, keep="best"), data=data).manual(X, y)
    scaler = training.facts.preparation.preprocess
    rows = scaler.inverse_transform(training.data.X)
    assert scaler.mean_[0] == pytest.approx(rows.mean(), rel=1e-6)
    assert scaler.mean_[0] != pytest.approx(X.mean())


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, "32", "big"])
def test_a_batch_size_that_makes_no_sense(batch_size):
    with pytest.raises(ComponentError, match="batch_size must be"):
        linear(data=mm.Data(batch_size=batch_size)).fit([[1.0], [2.0]], [1.0, 2.0])


@pytest.mark.parametrize("name", ["preprocess", "target"])
@pytest.mark.parametrize("value", ["standard", 3, object, pd.DataFrame])
def test_a_preprocessing_that_is_none(name, value):
    with pytest.raises(ComponentError, match=f"{name} must be"):
        linear(data=mm.Data(**{name: value})).fit([[1.0], [2.0]], [1.0, 2.0])


# --- where numbers lie ----------------------------------------------------------------------------


@given(rows=st.integers(1, 90), columns=st.integers(1, 5), size=st.integers(1, 100), off=...)
@settings(deadline=None, max_examples=50)
def test_batches_are_the_rows_of_a_plain_script_and_begin_where_its_do(
    rows: int, columns: int, size: int, off: bool
) -> None:
    """On some CPUs a row elsewhere in a line of the cache is added up to another last bit."""
    X = torch.rand(rows * columns + 1)[off:][: rows * columns].reshape(rows, columns)
    y = torch.arange(rows)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(1_000_003 * 3 + 2))
    parts = order.split(size) if size < rows else [torch.arange(rows)]
    batches = [*Batches((X, y), size, seed=3).batches(2)]
    assert len(batches) == len(parts)
    for (_, *batch), part in zip(batches, parts, strict=True):
        for ours, theirs in zip(batch, (X[part], y[part]), strict=True):
            assert torch.equal(ours, theirs)
            assert ours.data_ptr() % LINE == 0
    held = Batches((X, y), 1024, shuffle=False)
    assert torch.equal(held.X, X)
    assert held.X.data_ptr() % LINE == 0
