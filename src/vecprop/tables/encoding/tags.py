"""The encoder of columns that contain several tags per row."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..error import pandas
from ..kinds.kinds import Kind, tag_separator
from ..kinds.values import as_texts, texts_of
from . import helper_sources as helpers
from .column import Column, Misfit
from .columns import MAX_CATEGORIES, MIN_ROWS


@dataclass(frozen=True, eq=False)
class Tags(Column):
    """Encoder of tags: one indicator for each frequent tag, and one for all other tags.

    The last input is 1 if a row contains a tag that is rare or unseen in training. Missing values have no tags.

    Examples
    --------
    >>> pd = pandas()
    >>> tags = Tags.of(pd.Series(["red;big", "red", "big", "red;old"]), ";")
    >>> tags.names.tolist(), tags(pd.Series(["big; red", "old", None])).tolist()
    (['big', 'red'], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    """

    names: np.ndarray
    separator: str

    kind = "tags"

    @classmethod
    def learned(cls, series: Any, kind: Kind, pieces: int, categories: int, is_declared: bool) -> "Tags | str":
        tags = cls.of(series, tag_separator(texts_of(series)) or ";", categories)
        return "all values are the same" if series.nunique(dropna=False) == 1 else tags

    @classmethod
    def of(cls, series: Any, separator: str, most: int = MAX_CATEGORIES) -> "Tags":
        """Fit an encoder to the ``most`` most frequent tags."""
        rows = series.dropna().astype(str).value_counts()
        counts = Counter[str]()
        for text, count in rows.items():
            counts.update(dict.fromkeys(tags_of(str(text), separator), int(count)))
        names = sorted(counts, key=lambda name: (-counts[name], name))[:most]
        return cls(np.array(sorted(name for name in names if counts[name] >= MIN_ROWS), str), separator)

    @property
    def reading(self) -> str:
        """The format of the text."""
        return f"tags separated by {self.separator!r}"

    @property
    def has_unusual_format(self) -> bool:
        return True

    @property
    def width(self) -> int:
        return len(self.names) + 1

    def read(self, series: Any) -> np.ndarray:
        return as_texts(series)

    def of_values(self, texts: np.ndarray) -> np.ndarray:
        places = {name: place for place, name in enumerate(self.names.tolist())}
        codes, distinct = pandas().factorize(texts)
        inputs = np.zeros((len(distinct), self.width))
        for row, text in enumerate(distinct):
            inputs[row, [places.get(name, len(places)) for name in tags_of(text, self.separator)]] = 1
        return inputs[codes]

    def misfit(self, series: Any) -> Misfit | None:
        names = {name for text in texts_of(series) for name in tags_of(text, self.separator)}
        unknown = tuple(map(repr, sorted(names.difference(self.names.tolist()))[:4]))
        what = "fewer than 2 training rows contain these; they share an input"
        count = int(self(series)[:, -1].sum())
        return Misfit(what, count, names=unknown) if unknown else None

    def to_source(self, name: str, source: Any) -> str:
        source.helper("tags", helpers.TAGS)
        source.formulas.function(tags_of)
        return f"tags(table[{name!r}], {self.names.tolist()!r}, {self.separator!r})"

    def is_consistent(self) -> bool:
        names = self.names
        is_sorted = names.ndim == 1 and names.dtype.kind == "U" and bool(np.all(names[1:] > names[:-1]))
        return is_sorted and bool(self.separator)


def tags_of(text: str, separator: str) -> list[str]:
    """Return the distinct tags in a text.

    Examples
    --------
    >>> tags_of("red; big;;red", ";")
    ['red', 'big']
    """
    return list(dict.fromkeys(name.strip() for name in text.split(separator) if name.strip()))
