"""Columns of text as inputs: what words a row has, told by a few directions in the space of all words."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from ...system.threads import with_single_threaded_blas
from ..kinds.kinds import Kind
from ..kinds.values import as_texts
from .column import Column

TOKEN = r"(?u)\b\w{1,64}\b"
"""A word: letters and digits. More of them are data; an array of words has the room of the longest one for each."""
FEWEST_ROWS = 2
"""Words of fewer rows than this say nothing of other rows, and are not kept."""
MOST_WORDS = 10_000
"""The largest number of words and pairs of words, the most frequent ones: with 256 directions they take 10 MB."""
MOST_DIRECTIONS = 256
"""The largest number of inputs of a column of text; twice as many gave hardly more, at twice the time."""
MOST_FOR_TREES = 16
"""The largest number of inputs of a column of text that trees take."""
NEGLIGIBLE = 1e-5
"""Singular values and lengths of this share of the largest ones are rounding."""
MOST_ROWS = 20_000
"""Of more rows than this a random sample tells the words and directions, which bounds the time that they take."""


@dataclass(frozen=True, eq=False)
class LatentTexts(Column):
    """Text by latent semantic analysis (Deerwester et al., 1990).

    Words and pairs of words have the weights ``(1 + ln n) idf``, where n is how often a row has the word, and
    ``idf = 1 + ln((1 + N) / (1 + N_w))``, where N_w of the N rows of training have it. These weights of a row are
    scaled to length 1, projected on the directions that rows of training have most of, and scaled to length 1 again.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.Series(["a red hat", "a blue hat", "the red car", "the blue car", None])
    >>> texts = LatentTexts.of(series)
    >>> texts.width, texts(series).shape, float((texts(series)[0] ** 2).sum().round(6)), float(texts(series)[4].sum())
    (3, (5, 3), 1.0, 0.0)
    """

    words: np.ndarray
    idf: np.ndarray
    directions: np.ndarray

    kind = "text"

    @classmethod
    def learned(cls, series: Any, kind: Kind, pieces: int, categories: int, is_asked: bool) -> "LatentTexts | str":
        known = series.dropna().astype(str)
        are_same = known.nunique() + (len(known) < len(series)) == 1
        return "all values are the same" if are_same else cls.of(series)

    @classmethod
    def of(cls, series: Any) -> "LatentTexts | str":
        """Return how a column of text becomes inputs, or the reason why it cannot."""
        texts = as_texts(series)
        texts = texts[np.random.default_rng(0).permutation(len(texts))[:MOST_ROWS]]
        vectorizer = _vectorizer(min_df=FEWEST_ROWS, max_features=MOST_WORDS)
        try:
            weights: Any = vectorizer.fit_transform(texts)
        except ValueError:  # as scikit-learn says that no word is left
            return "no two rows have a word in common"
        width = min(MOST_DIRECTIONS, *weights.shape)
        # With one thread of BLAS, since the number of threads would change the last bits.
        _, sizes, directions = with_single_threaded_blas(lambda: randomized_svd(weights, width, random_state=0))
        directions = directions[sizes > NEGLIGIBLE * sizes[0]]
        words = np.array(vectorizer.get_feature_names_out(), str)
        return cls(words, vectorizer.idf_, np.ascontiguousarray(directions.T, np.float32))

    def read(self, series: Any) -> np.ndarray:
        return as_texts(series)

    @property
    def width(self) -> int:
        return self.directions.shape[1]

    @cached_property
    def _weights(self) -> TfidfVectorizer:
        vectorizer = _vectorizer(vocabulary={str(word): place for place, word in enumerate(self.words)})
        vectorizer.idf_ = self.idf
        return vectorizer

    def of_values(self, texts: np.ndarray) -> np.ndarray:
        weights: Any = self._weights.transform(texts)
        inputs = weights.astype(np.float32) @ self.directions
        lengths = np.linalg.norm(inputs, axis=1, keepdims=True)
        return np.where(lengths > NEGLIGIBLE, inputs / np.maximum(lengths, NEGLIGIBLE), 0)

    def for_trees(self, series: Any) -> np.ndarray:
        """Return the directions that rows have most of: trees fit noise in all."""
        return self(series)[:, :MOST_FOR_TREES]

    def is_consistent(self) -> bool:
        words, idf, directions = self.words, self.idf, self.directions
        return (
            words.dtype.kind == "U"
            and len(set(words.tolist())) == len(words) > 0
            and (words.shape, idf.dtype.kind, directions.dtype) == (idf.shape, "f", np.float32)
            and directions.ndim == 2
            and directions.shape[0] == len(words)
            and directions.shape[1] > 0
            and bool(np.isfinite(idf).all() and np.isfinite(directions).all())
        )


def _vectorizer(**settings: Any) -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), token_pattern=TOKEN, sublinear_tf=True, **settings)
