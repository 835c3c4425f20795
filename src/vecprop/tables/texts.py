"""Columns of short text: words and pairs of words, each counted in an input that its hash says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

HASHES = 256
_WORD = r"[^\s,;|/]+"


@dataclass(frozen=True, eq=False)
class Texts:
    """How a column of text becomes inputs, without any vocabulary.

    Parameters
    ----------
    hashes : int, default 256
        How many inputs words and pairs of words are counted in; a row's counts have the length 1, or 0 where there is
        no text.

    Examples
    --------
    >>> from vecprop.tables.error import pandas
    >>> inputs = Texts(16)(pandas().Series(["a short text", None]))
    >>> inputs.shape, float((inputs[0] ** 2).sum().round(6)), float(inputs[1].sum())
    ((2, 16), 1.0, 0.0)
    """

    hashes: int = HASHES

    kind = "text"

    @property
    def width(self) -> int:
        """How many inputs there are."""
        return self.hashes

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, hashes)."""
        vectorizer = HashingVectorizer(n_features=self.hashes, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
        counts: Any = vectorizer.transform(series.astype(object).where(series.notna(), "").astype(str))
        return counts.toarray()

    def missed(self, series: Any) -> None:
        """Return None: any text is taken."""


def are_texts(series: Any) -> bool:
    """Return whether a column holds text rather than categories: most values differ, of two words or more on average.

    Words stand apart here by spaces, commas and the like, not by hyphens or points: identifiers and addresses are one.

    Examples
    --------
    >>> from vecprop.tables.error import pandas
    >>> pd = pandas()
    >>> are_texts(pd.Series(["a red hat", "a blue hat"])), are_texts(pd.Series(["red", "red", "blue"]))
    (True, False)
    >>> are_texts(pd.Series(["id-0001-a", "id-0002-b"]))
    False
    """
    known = series.dropna().astype(str)
    return bool(known.nunique() > len(known) / 2 and known.str.count(_WORD).mean() >= 2)
