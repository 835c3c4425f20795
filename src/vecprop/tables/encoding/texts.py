"""The encoder of text: TF-IDF weights projected on a few directions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from ...system.threads import with_single_threaded_blas
from ..kinds.values import as_texts
from .column import Column

TOKEN = r"(?u)\b\w{1,64}\b"
"""The pattern of a word: at most 64 letters and digits, since the longest word
determines the size of the array.
"""
MIN_ROWS = 2
"""A word must occur in this number of rows, because a word of a single row says
nothing about other rows.
"""
MAX_WORDS = 10_000
"""The largest number of words and pairs of words, which take 10 MB with 256
directions.
"""
MAX_DIRECTIONS = 256
"""The largest number of inputs of a text column. Models with 512 are hardly more
accurate and take twice the time.
"""
MAX_FOR_TREES = 16
"""The largest number of inputs of a text column for trees."""
NEGLIGIBLE = 1e-5
"""Lengths below this number, and singular values below this fraction of the largest
one, are rounding errors.
"""
MAX_ROWS = 20_000
"""Above this number of rows, a random sample determines the words and directions,
which bounds the running time.
"""


@dataclass(frozen=True, eq=False)
class LatentTexts(Column):
    """Encoder of text by latent semantic analysis (Deerwester et al., 1990).

    Words and pairs of words have the weights ``(1 + ln n) idf``. Here n is the number
    of occurrences in a row, and ``idf = 1 + ln((1 + N) / (1 + N_w))``, where N_w of the
    N training rows contain the word. The weights of a row are scaled to unit length,
    projected on the leading singular vectors of the training rows, and scaled again.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.Series(["a red hat", "a blue hat", "the red car", "the blue car", None])
    >>> texts = LatentTexts.of(series)
    >>> texts.width, texts(series).shape, float((texts(series)[0] ** 2).sum().round(6)), float(texts(series)[4].sum())
    (3, (5, 3), 1.0, 0.0)
    """

    words: ndarray
    idf: ndarray
    directions: ndarray

    kind = "text"

    @classmethod
    def learned(cls, series, kind, pieces, categories, is_declared):
        values = series.dropna().astype(str)
        if values.nunique() == 1 and len(values) == len(series):
            return "all values are the same"
        return cls.of(series)

    @classmethod
    def of(cls, series) -> "LatentTexts | str":
        """Return an encoder fitted to texts, or the reason why they cannot be used."""
        texts = as_texts(series)
        texts = texts[np.random.default_rng(0).permutation(len(texts))[:MAX_ROWS]]
        vectorizer = _vectorizer(min_df=MIN_ROWS, max_features=MAX_WORDS)
        try:
            weights: Any = vectorizer.fit_transform(texts)
        except ValueError:  # scikit-learn raises it if no word remains
            return "no two rows have a word in common"
        width = min(MAX_DIRECTIONS, *weights.shape)
        # Use one BLAS thread, because the number of threads changes the last bits.
        _, sizes, directions = with_single_threaded_blas(
            lambda: randomized_svd(weights, width, random_state=0)
        )
        directions = directions[sizes > NEGLIGIBLE * sizes[0]]
        words = np.array(vectorizer.get_feature_names_out(), str)
        directions = np.ascontiguousarray(directions.T, np.float32)
        return cls(words, vectorizer.idf_, directions)

    def read(self, series):
        return as_texts(series)

    @property
    def width(self):
        return self.directions.shape[1]

    @cached_property
    def _weights(self) -> TfidfVectorizer:
        indices = {str(word): index for index, word in enumerate(self.words)}
        vectorizer = _vectorizer(vocabulary=indices)
        vectorizer.idf_ = self.idf
        return vectorizer

    def of_values(self, texts):
        weights: Any = self._weights.transform(texts)
        inputs = weights.astype(np.float32) @ self.directions
        lengths = np.linalg.norm(inputs, axis=1, keepdims=True)
        scaled = inputs / np.maximum(lengths, NEGLIGIBLE)
        return np.where(lengths > NEGLIGIBLE, scaled, 0)

    def simulated(self, count, rng):
        """Return inputs of one word, drawn by the share of rows with this word."""
        shares = np.exp(1 - self.idf)
        words = rng.choice(self.words, count, p=shares / shares.sum())
        return self.of_values(words.astype(object))

    def for_trees(self, series):
        """Return the leading directions. Trees would fit noise in the others."""
        return self(series)[:, :MAX_FOR_TREES]

    def is_consistent(self):
        count = len(set(self.words.tolist()))
        return (
            self.words.dtype.kind == "U"
            and self.idf.dtype.kind == "f"
            and self.directions.dtype == np.float32
            and self.words.shape == self.idf.shape == (count,)
            and self.directions.ndim == 2
            and len(self.directions) == count
            and self.directions.size > 0
            and bool(np.isfinite(self.idf).all() and np.isfinite(self.directions).all())
        )


def _vectorizer(**settings) -> TfidfVectorizer:
    return TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=TOKEN, sublinear_tf=True, **settings
    )
