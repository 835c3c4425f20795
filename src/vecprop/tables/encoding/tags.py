"""The encoder of columns that contain several tags per row."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from ..error import pandas
from ..kinds.kinds import tag_separator
from ..kinds.values import as_texts, texts_of
from . import helper_sources as helpers
from .column import Column, Misfit
from .columns import MAX_CATEGORIES, MIN_ROWS, are_sorted


@dataclass(frozen=True, eq=False)
class Tags(Column):
    """Encoder of tags: one indicator for each frequent tag, and one for all other tags.

    The last input is 1 if a row contains a tag that is rare or unseen in training.
    Missing values have no tags.

    Examples
    --------
    >>> pd = pandas()
    >>> tags = Tags.of(pd.Series(["red;big", "red", "big", "red;old"]), ";")
    >>> tags.names.tolist(), tags(pd.Series(["big; red", "old", None])).tolist()
    (['big', 'red'], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    """

    names: ndarray
    separator: str

    kind = "tags"

    @classmethod
    def learned(cls, series, kind, pieces, categories, is_declared):
        if series.nunique(dropna=False) == 1:
            return "all values are the same"
        return cls.of(series, tag_separator(texts_of(series)) or ";", categories)

    @classmethod
    def of(cls, series, separator: str, limit: int = MAX_CATEGORIES) -> "Tags":
        """Fit an encoder to the ``limit`` most frequent tags."""
        rows = series.dropna().astype(str).value_counts()
        counts = Counter[str]()
        for text, count in rows.items():
            counts.update(dict.fromkeys(tags_of(str(text), separator), int(count)))
        names = [name for name in sorted(counts) if counts[name] >= MIN_ROWS]
        frequent = sorted(names, key=counts.__getitem__, reverse=True)[:limit]
        return cls(np.array(sorted(frequent), str), separator)

    @property
    def reading(self) -> str:
        """The format of the text."""
        return f"tags separated by {self.separator!r}"

    @property
    def has_unusual_format(self):
        return True

    @property
    def width(self):
        return len(self.names) + 1

    @property
    def input_names(self):
        return [*self.names.tolist(), "other"]

    def read(self, series):
        return as_texts(series)

    def of_values(self, texts):
        indices = {name: index for index, name in enumerate(self.names.tolist())}
        codes, distinct = pandas().factorize(texts)
        inputs = np.zeros((len(distinct), self.width))
        for row, text in enumerate(distinct):
            for name in tags_of(text, self.separator):
                inputs[row, indices.get(name, -1)] = 1
        return inputs[codes]

    def misfit(self, series):
        names = set()
        for text in texts_of(series):
            names.update(tags_of(text, self.separator))
        unknown = sorted(names.difference(self.names.tolist()))
        if not unknown:
            return None
        message = "fewer than 2 training rows contain these; they share an input"
        return Misfit(
            message, int(self(series)[:, -1].sum()), names=tuple(map(repr, unknown[:4]))
        )

    def to_source(self, name, source):
        source.helper("tags", helpers.TAGS)
        source.formulas.function(tags_of)
        return f"tags(table[{name!r}], {self.names.tolist()!r}, {self.separator!r})"

    def is_consistent(self):
        return are_sorted(self.names) and bool(self.separator)


def tags_of(text: str, separator: str) -> list[str]:
    """Return the distinct tags in a text.

    Examples
    --------
    >>> tags_of("red; big;;red", ";")
    ['red', 'big']
    """
    tags = dict.fromkeys(map(str.strip, text.split(separator)))
    tags.pop("", None)
    return list(tags)
