"""The target at the door: what is no number or no label is told with its value, before step 1."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch

from manumatic.errors import DataError
from manumatic.task import read_target

DAYS = pd.date_range("2024-01-01", periods=3)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([1.0, 2.0, np.nan], "contains NaN: row 2 is nan; leave such rows out"),
        ([[1.0, 2.0], [3.0, -np.inf]], "contains infinity: row 1 is -inf"),
        (pd.Series([1, None, 3], dtype="Int64"), "contains NaN: row 1 is nan"),
        (["a", "b", "a"], "y holds 'a', which is no number"),
        (np.array([1.0, "2"], dtype=object), "y holds '2', which is no number"),
        (pd.Series(["a", "b"], dtype="category"), "y holds 'a', which is no number"),
        (pd.DataFrame({"price": [1.0, 2.0], "town": ["Ulm", "Bonn"]}), "y holds 'Ulm'"),
        (pd.Series(DAYS), "y holds '2024-01-01"),
        (pd.Series(DAYS.tz_localize("UTC")), "y holds '2024-01-01"),
        (pd.Series(DAYS - DAYS[0]), "y holds '0"),
        ([datetime.date(2024, 1, 1)], "y holds '2024-01-01'"),
    ],
)
def test_what_a_regressor_cannot_learn(y, words):
    with pytest.raises(DataError) as told:
        read_target(y, classification=False)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([1, "a", 1], "type int and str, such as 1"),  # what scikit-learn shows is the whole array
        (np.array(["a", 1, 1], dtype=object), "type int and str, such as 'a'"),
        ([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)], "of the type date"),
        ([{1, 2}, {1}], r"several labels a row, such as {1, 2}; sklearn.preprocessing.MultiLabel"),
        ([[1, 2], [1]], r"several labels a row, such as [1, 2]"),
        (np.array([[1, 0], [np.nan, 1]]), "row 1 has no label"),
    ],
)
def test_what_a_classifier_cannot_learn(y, words):
    if isinstance(y, list) and isinstance(y[0], int):
        y = np.array(y, dtype=object)
    with pytest.raises(DataError) as told:
        read_target(y, classification=True)
    assert words in str(told.value)


@pytest.mark.parametrize("kind", [int, bool])
def test_labels_in_an_array_of_objects_are_what_they_are(kind):
    labels = np.array([0, 1, 1], dtype=kind)
    task, numbers = read_target(pd.Series(labels, dtype=object), classification=True)
    assert task.classes.dtype == labels.dtype
    assert numbers.tolist() == [0, 1, 1]


@pytest.mark.parametrize("classification", [False, True])
def test_a_tensor_that_asks_for_gradients_is_a_target(classification):
    y = torch.tensor([0.0, 1.0], requires_grad=True)
    assert read_target(y, classification=classification)[1].tolist() == [0, 1]


def test_one_column_of_a_tensor_is_one_target_and_no_warning():
    task, values = read_target(torch.tensor([[1.0], [2.0]]), classification=False)
    assert task.flat
    assert values.tolist() == [1, 2]
