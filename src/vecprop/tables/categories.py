"""Columns of categories: an input for each that is frequent enough, and shared ones for all others."""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from .error import pandas

LARGEST = 64
"""How many categories have an input of their own at most."""
BUCKETS = 32
"""How many inputs the others share where there are more than that."""
FEWEST = 2
"""How many rows a category needs to have an input of its own."""

MISSING = "\0missing"


@dataclass(frozen=True, eq=False)
class Categories:
    """How a column of categories becomes inputs of 0 and 1.

    Parameters
    ----------
    names : ndarray of str (C,)
        The categories with an input of their own; missing values are one where there are enough of them.
    buckets : int
        How many inputs all others share, those included that training has not seen; a category's bucket is its
        checksum (CRC-32) modulo their number.

    Examples
    --------
    >>> pd = pandas()
    >>> categories = Categories.of(pd.Series(["red", "blue", "red", "blue", "green"]))
    >>> categories.names.tolist(), categories(pd.Series(["red", "pink"])).tolist()
    (['blue', 'red'], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """

    names: np.ndarray
    buckets: int

    kind = "categories"

    @classmethod
    def of(cls, series: Any) -> "Categories":
        """Return the inputs of a column."""
        names, counts = np.unique(as_names(series), return_counts=True)
        frequent = np.flatnonzero(counts >= FEWEST)
        frequent = frequent[np.argsort(-counts[frequent], kind="stable")][:LARGEST]
        others = len(names) - len(frequent)
        return cls(names[np.sort(frequent)], BUCKETS if others > LARGEST else 1)

    @property
    def width(self) -> int:
        """How many inputs there are."""
        return len(self.names) + self.buckets

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        codes, names = pandas().factorize(as_names(series))
        names = names.astype(str)
        places = np.searchsorted(self.names, names)
        is_known = np.zeros(len(names), bool)
        if len(self.names):
            is_known = self.names[np.minimum(places, len(self.names) - 1)] == names
        shared = [len(self.names) + crc32(name.encode()) % self.buckets for name in names]
        column = np.where(is_known, places, shared)[codes]
        return (column[:, None] == np.arange(self.width)).astype(float)

    def missed(self, series: Any) -> str | None:
        """Return which categories training has not seen often enough to tell them apart."""
        if self.buckets > 1:
            return None
        others = np.setdiff1d(as_names(series), self.names)
        if not len(others):
            return None
        shown = ", ".join("missing" if name == MISSING else repr(str(name)) for name in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        return f"{shown}{more}: too few rows of training have these; they count as one category"


def as_names(series: Any) -> np.ndarray:
    r"""Return the names of a column's categories, (N,): whole numbers are written without a point.

    Examples
    --------
    >>> as_names(pandas().Series([1.0, None, "a "], dtype=object)).tolist()
    ['1', '\x00missing', 'a']
    """
    pd = pandas()
    series = series.astype(object)
    if pd.api.types.infer_dtype(series) != "string":  # 1 and True are equal, but have two names
        series = series.map(_name, na_action="ignore")
    codes, values = pd.factorize(series)
    names = np.array([*map(_name, values), MISSING], dtype=object)
    return names[codes].astype(str)


def _name(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()
