"""Texts in both gears: the same weights, the same words, clear errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
from agreement import gears_agree, same
from sklearn.base import clone
from torch import nn

import manumatic as mm
from manumatic.errors import ComponentError, DataError

GOOD, BAD = ("good", "great", "tasty", "lovely"), ("bad", "awful", "stale", "bitter")
PLAIN = ("the", "tea", "coffee", "box", "was", "it", "very", "again")


def texts(count, seed=0):
    """Texts of 3 to 12 words, two of them say whether it is good."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    found = []
    for label in y:
        words = [*rng.choice(GOOD if label else BAD, 2), *rng.choice(PLAIN, rng.integers(1, 11))]
        found.append(" ".join(rng.permutation(words)))
    return found, y


X, Y = texts(160)


def net(model="bag", **settings):
    settings = {"loop": mm.Loop(epochs=6), "data": mm.Data(batch_size=32)} | settings
    return mm.Classifier(model, random_state=0, **settings)


@pytest.mark.parametrize("loop", [mm.Loop(epochs=2), mm.Loop(epochs=3, patience=2)])
def test_the_gears_agree(loop, tmp_path):
    model = mm.Model("gru", hidden=8, width=8) if loop.patience else mm.Model("bag", pairs=64)
    text = gears_agree(net(model, loop=loop), X, Y, tmp_path)
    assert "manumatic" not in text.partition("\n")[2]


@pytest.mark.parametrize("model", ["bag", "gru"])
def test_it_learns_and_nothing_is_found_wrong(model):
    fitted = net(model, loop=mm.Loop(epochs=20), optimizer=mm.Optimizer("adamw", lr=5e-3)).fit(X, Y)
    others, labels = texts(100, seed=1)
    assert fitted.score(others, labels) > 0.9
    assert not fitted.findings_


def test_a_text_says_the_same_alone_and_beside_longer_ones():
    fitted = net("lstm").fit(X, Y)
    together = fitted.predict_proba(X)
    for place in (0, 5, 9):
        np.testing.assert_allclose(fitted.predict_proba([X[place]])[0], together[place], atol=1e-6)


def test_stopping_and_going_on_equals_not_stopping(tmp_path):
    whole = net(loop=mm.Loop(epochs=3)).manual(X, Y).run()
    half = net(loop=mm.Loop(epochs=3)).manual(X, Y)
    for _ in range(7):  # in the middle of the second epoch
        half.step()
    half.save(tmp_path / "run.pt")
    again = net(loop=mm.Loop(epochs=3)).manual(X, Y).load(tmp_path / "run.pt").run()
    assert same(whole.model, again.model)


def test_unknown_words_empty_texts_and_columns_are_taken():
    fitted = net().fit(X, Y)
    assert np.isfinite(fitted.predict_proba(["never seen words", "", None])).all()
    column = pd.DataFrame({"review": X})
    again = net().fit(column, Y)
    assert same(fitted.model_, again.model_)
    assert np.array_equal(again.predict(column[:5]), fitted.predict(X[:5]))
    assert np.array_equal(fitted.predict(pd.Series(X)), fitted.predict(np.array(X)))


def test_few_texts_are_counted_and_many_are_read():
    told = mm.Classifier(loop=mm.Loop(epochs=1), random_state=0).fit(X, Y).logbook_
    assert any("topics" in row.did for row in told)
    many, labels = texts(1000)
    fitted = mm.Classifier(loop=mm.Loop(epochs=1), random_state=0).fit(many, labels)
    assert type(fitted.model_).__name__ == "TextBag"
    assert any("1000 texts are enough" in row.why for row in fitted.logbook_)
    assert any("the first 12 words of a text are read" in row.did for row in fitted.logbook_)


class Own(nn.Module):
    """A user's network, which asks for the number of words."""

    def __init__(self, vocabulary, out_features):
        super().__init__()
        self.words = nn.EmbeddingBag(vocabulary, 8, padding_idx=0)
        self.last = nn.Linear(8, out_features)

    def forward(self, ids):
        return self.last(self.words(ids))


def test_a_network_of_ones_own_reads_words_where_it_asks_for_them():
    fitted = net(Own).fit(X, Y)
    assert fitted.model_.words.num_embeddings == fitted.preprocess_.n_words_
    explicit = net(Own, data=mm.Data(batch_size=32, preprocess=mm.Tokenizer(longest=5))).fit(X, Y)
    assert explicit.preprocess_.longest_ == 5


def test_bundles_pickles_and_clones(tmp_path):
    fitted = net().fit(X, Y)
    saved = mm.save(fitted, tmp_path / "texts.mm", X)
    assert saved.tiers == [2]
    assert any("the rows are texts" in note for note in saved.notes)
    for again in (mm.load(tmp_path / "texts.mm"), pickle.loads(pickle.dumps(fitted))):  # noqa: S301 (our own bytes)
        assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert same(clone(fitted).fit(X, Y).model_, fitted.model_)


def test_a_search_trains_them_one_by_one_and_says_so():
    from manumatic.model_selection import cross_val_score

    scores = cross_val_score(net(loop=mm.Loop(epochs=1)), X, Y, cv=2)
    assert scores.shape == (2,)


@pytest.mark.parametrize(
    ("model", "rows", "error", "said"),
    [
        (
            "bag",
            np.zeros((4, 2)),
            ComponentError,
            r"model='bag' reads texts \(n,\), and X is tables",
        ),
        ("gru", pd.DataFrame({"a": [1] * 4, "b": "x"}), ComponentError, "a table with 2 columns"),
        ("bag", ["same"] * 4, DataError, "all texts are alike, 'same'"),
        ("bagg", X, ComponentError, "no ready net 'bagg'"),
    ],
)
def test_one_clear_error(model, rows, error, said):
    with pytest.raises(error, match=said):
        mm.Classifier(model).fit(rows, np.arange(len(rows)) % 2)
