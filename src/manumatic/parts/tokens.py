"""Texts → numbers of their words, in the order in which they stand."""

__all__ = ["Tokenizer", "told", "words_of"]

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from manumatic.parts.cells import sentences

MOST_STEPS = 512  # words of a text that are read, unless more are asked for


def words_of(text: str) -> list[str]:
    """Words in lower case, runs of punctuation, single East Asian signs.

    Examples
    --------
    >>> words_of("Don't buy!!")
    ['don', "'", 't', 'buy', '!!']
    """
    return re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]|\w+|[^\w\s]+", text.lower())


class Tokenizer(TransformerMixin, BaseEstimator):
    """Texts (n,) → numbers of their words (n, length): 0 is padding, 1 a word not known.

    The words are those of the training rows, the most frequent first; a tokenizer that has numbers
    of its own keeps them, two higher.

    Parameters
    ----------
    most : int
        Numbers in all, 0 and 1 among them; rarer words are not known.
    longest : int or None
        Words of a text that are read, from its start. None reads 19 of 20 training texts to their
        end, and at most 512 words.
    split : callable, object with ``encode`` or None
        A text → its words; or a tokenizer of Hugging Face. None is :func:`words_of`.

    Attributes
    ----------
    words_ : dict
        Word → number; empty where the tokenizer has numbers of its own.
    longest_ : int
        Words of a text that are read.
    n_words_ : int
        How many numbers there are: the ``vocabulary`` of a network.

    Examples
    --------
    >>> reviews = ["good tea", "not good", "good!"]
    >>> Tokenizer().fit(reviews).transform(["not good tea", "bad tea"])
    array([[4, 2],
           [1, 5]])
    """

    def __init__(self, most: int = 20_000, longest: int | None = None, split: Any = None) -> None:
        self.most = most
        self.longest = longest
        self.split = split

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the words.

        Parameters
        ----------
        X : strings (n,), or one column (n, 1) of them
        """
        texts = self._split(X)
        lengths = [len(words) for words in texts]
        usual = int(np.ceil(np.quantile(lengths, 0.95)))
        self.longest_ = self.longest or max(1, min(usual, MOST_STEPS))
        if hasattr(self.split, "encode"):
            self.words_: dict[Any, int] = {}
            size = getattr(self.split, "get_vocab_size", self.split.__len__)
            self.n_words_ = int(size()) + 2
            return self
        counts = Counter(itertools.chain.from_iterable(texts))
        ordered = sorted(counts, key=lambda word: (-counts[word], word))[: self.most - 2]
        self.words_ = {word: number for number, word in enumerate(ordered, 2)}
        self.n_words_ = len(ordered) + 2
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Numbers of the words (n, longest_) of int64."""
        check_is_fitted(self)
        texts = self._split(X)
        found = np.zeros((len(texts), self.longest_), np.int64)
        for row, words in zip(found, texts, strict=True):
            some = words[: self.longest_]
            own = hasattr(self.split, "encode")
            row[: len(some)] = [word + 2 if own else self.words_.get(word, 1) for word in some]
        return found

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the numbers: word0, word1, ..."""
        check_is_fitted(self)
        return np.array([f"word{place}" for place in range(self.longest_)], dtype=object)

    def _split(self, X: Any) -> list[Sequence[Any]]:
        """Each text as its words, or as numbers of them."""
        if hasattr(self.split, "encode"):
            codes = [self.split.encode(text) for text in sentences(X)]
            return [getattr(code, "ids", code) for code in codes]
        split = self.split or words_of
        return [split(text) for text in sentences(X)]


def told(tokenizer: Tokenizer) -> tuple[str, str]:
    """What a fitted tokenizer does, and why, for the logbook."""
    known = f"{tokenizer.n_words_ - 2} words known"
    why = "the most frequent of the training rows" if tokenizer.words_ else "the tokenizer's own"
    length = f"the first {tokenizer.longest_} words of a text are read"
    usual = "" if tokenizer.longest else ", which 19 of 20 do not exceed"
    if not tokenizer.longest and tokenizer.longest_ == MOST_STEPS:
        usual = "; Tokenizer(longest=...) reads more"
    return f"{known}; {length}", why + usual
