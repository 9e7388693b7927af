"""Words and their numbers; rows of several lengths as one array."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import StandardScaler

from manumatic.errors import DataError
from manumatic.parts.columns import TOKEN
from manumatic.parts.lengths import by_length, lengths_of
from manumatic.parts.loop import shuffled
from manumatic.parts.sequences import Sequences, are_images, are_sequences, padded
from manumatic.parts.tokens import Tokenizer, words_of

TEXTS = ["Good tea, good price!", "Not good.", "", "Tea 茶道 is GOOD!!", "bad bad price"]


def test_words_and_their_frequencies_are_those_of_scikit_learn():
    counter = CountVectorizer(token_pattern=TOKEN).fit(TEXTS)
    counts = dict(
        zip(
            counter.get_feature_names_out(),
            np.asarray(counter.transform(TEXTS).sum(axis=0)).ravel().tolist(),
            strict=True,
        )
    )
    tokenizer = Tokenizer().fit(TEXTS)
    assert set(tokenizer.words_) == set(counts)
    ordered = sorted(tokenizer.words_, key=tokenizer.words_.__getitem__)
    assert [counts[word] for word in ordered] == sorted(counts.values(), reverse=True)
    assert tokenizer.n_words_ == len(counts) + 2


def test_numbers_lead_back_to_the_words():
    tokenizer = Tokenizer(longest=10).fit(TEXTS)
    names = {number: word for word, number in tokenizer.words_.items()}
    for text, row in zip(TEXTS, tokenizer.transform(TEXTS), strict=True):
        assert [names[number] for number in row.tolist() if number] == words_of(text)


def test_unknown_words_long_texts_empty_texts_and_missing_ones():
    tokenizer = Tokenizer(most=4, longest=3).fit(TEXTS)
    assert tokenizer.n_words_ == 4
    found = tokenizer.transform(["xyz good", "good " * 9, "", None])
    good = tokenizer.words_["good"]
    assert found.tolist() == [[1, good, 0], [good] * 3, [0, 0, 0], [0, 0, 0]]
    assert found.dtype == np.int64


def test_nineteen_of_twenty_texts_are_read_to_their_end():
    texts = ["word " * length for length in range(1, 101)]
    longest = Tokenizer().fit(texts).longest_
    assert longest == 96  # 95 % of the way from 1 to 100, rounded up
    assert Tokenizer().fit(["word " * 2000] * 3).longest_ == 512


def test_a_function_or_a_tokenizer_of_ones_own():
    assert Tokenizer(split=str.split).fit(["a b", "b"]).words_ == {"b": 2, "a": 3}

    class Letters:  # as those of Hugging Face: encode, and how many numbers there are
        def encode(self, text):
            return [ord(letter) - 97 for letter in text]

        def __len__(self):
            return 26

    tokenizer = Tokenizer(split=Letters()).fit(["ab", "z"])
    assert tokenizer.n_words_ == 28
    assert tokenizer.transform(["az"]).tolist() == [[2, 27]]


def test_a_tokenizer_is_cloned_pickled_and_takes_a_column():
    tokenizer = Tokenizer(most=5).fit(TEXTS)
    again = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301 (our own bytes)
    expected = tokenizer.transform(TEXTS)
    assert np.array_equal(again.transform(pd.DataFrame({"text": TEXTS})), expected)
    assert np.array_equal(again.transform(pd.Series(TEXTS)), expected)
    assert clone(tokenizer).most == 5
    assert not hasattr(clone(tokenizer), "words_")


# --- sequences -----------------------------------------------------------------------------------


def test_lists_of_several_lengths_become_one_array():
    rows = [np.ones((2, 3)), torch.zeros(4, 3), [[1.0, 2.0, 3.0]], np.ones((0, 3))]
    assert are_sequences(rows)
    found = padded(rows)
    assert found.shape == (4, 4, 3)
    assert (~np.isnan(found)).all(axis=2).sum(axis=1).tolist() == [2, 4, 1, 0]
    assert not are_sequences([[1.0, 2.0], [3.0]])  # a table with a cell missing is a mistake
    assert are_sequences([[1.0, 2.0], [3.0]], flat=True)
    assert not are_sequences(["a", "b"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([np.ones((2, 3)), np.ones((4, 2))], "row 1 of X has 2 features a step, and row 0 has 3"),
        ([np.ones((2, 3)), np.full((1, 3), np.inf)], "row 1 of X contains infinity"),
        ([np.ones((2, 3)), [["a", "b", "c"]]], "row 1 of X is no array"),
        ([np.ones((0, 3)), np.ones((0, 3))], "none of the 2 rows"),
    ],
)
def test_one_clear_error_for_rows_that_do_not_fit(rows, said):
    with pytest.raises(DataError, match=said):
        padded(rows)


def test_each_feature_is_scaled_over_the_steps_that_are_there():
    rng = np.random.default_rng(0)
    rows = [rng.normal(5, 3, (length, 2)) for length in (4, 9, 1)]
    found = Sequences().fit_transform(padded(rows))
    expected = StandardScaler().fit_transform(np.concatenate(rows))
    np.testing.assert_allclose(found[~np.isnan(found).any(axis=2)], expected, atol=1e-6)
    assert np.isnan(found[2, 1:]).all()


def test_what_is_taken_for_an_image():
    assert are_images(np.zeros((2, 3, 8, 8)))
    assert are_images(np.zeros((2, 5, 3), np.uint8))
    assert are_images(np.zeros((2, 8, 8)))
    assert not are_images(np.zeros((2, 7, 7)))
    assert not are_images(np.full((2, 8, 8), np.nan))


def test_batches_by_length_hold_every_row_once_and_are_cut():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 40, (203,), generator=generator)
    X = (torch.arange(40) < lengths[:, None]).long() * 5
    assert torch.equal(lengths_of(X), lengths)
    y = torch.arange(203)
    batches = list(by_length((X, y), lengths, 16, seed=3, epoch=1))
    assert [number for number, *_ in batches] == list(range(13))
    assert sorted(torch.cat([rows for *_, rows in batches]).tolist()) == y.tolist()
    assert all(cut.shape[1] == lengths[rows].max() for _, cut, rows in batches)
    cells = sum(cut.numel() for _, cut, _ in batches)
    usual = list(shuffled((X, y), 16, 3, 1))
    apart = sum(len(rows) * int(lengths[rows].max()) for *_, rows in usual)
    assert cells < 0.8 * apart  # like lengths met
    again = list(by_length((X, y), lengths, 16, seed=3, epoch=1))
    assert all(torch.equal(a[2], b[2]) for a, b in zip(batches, again, strict=True))
    other = list(by_length((X, y), lengths, 16, seed=3, epoch=2))
    assert Counter(map(tuple, (rows.tolist() for *_, rows in other))) != Counter(
        map(tuple, (rows.tolist() for *_, rows in batches))
    )


def test_the_steps_of_numbers_end_at_the_last_one_there():
    X = torch.ones(3, 5, 2)
    X[0, 3:], X[1], X[2, 1:4] = torch.nan, torch.nan, torch.nan
    assert lengths_of(X).tolist() == [3, 1, 5]
