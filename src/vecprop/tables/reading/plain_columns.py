"""Infer the type of a text column chunk by chunk, with the same result as `reading.plain_values` for a whole column."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ..error import pandas

Type = Literal["bool", "int64", "uint64", "float64", "text"]

MAX_WRONG = 0.1
ENOUGH = 1000
"""A column is text, and is not examined further, if the share and number of
nonnumeric values exceed these limits.
"""


@dataclass
class PlainColumn:
    """The values of a column that were examined so far.

    Parameters
    ----------
    traits : list of str
        The results of `_traits` for all chunks.
    wrong : int
        The number of values that are not plain numbers, or -1 if the count has stopped
        because the column is text.

    Examples
    --------
    >>> column = PlainColumn()
    >>> column.add(pandas().Series(["1", "2"]), "a.csv, line {}".format)
    >>> column.type
    'int64'
    >>> column.add(pandas().Series(["3", None]), str)
    >>> column.type
    'float64'
    """

    values: int = 0
    missing: int = 0
    traits: list[str] = field(default_factory=list)
    wrong: int = 0
    example: str = ""
    location: str = ""

    def add(self, series, named) -> None:
        """Examine the values of the next chunk; ``named`` returns the location of a line."""
        if self.wrong < 0:
            return
        series = _without_none(series)
        texts = series.dropna()  # Arrow strings match patterns fast
        numbers = pandas().to_numeric(texts.astype(object), errors="coerce")
        is_wrong = numbers.isna().to_numpy()
        self.values += len(series)
        self.missing += len(series) - len(texts)
        self.traits = sorted({*self.traits, *_traits(texts, numbers)})
        self.wrong += int(is_wrong.sum())
        if is_wrong.any() and not self.example:
            first = is_wrong.argmax()
            self.example = str(texts.iloc[first])
            self.location = named(texts.index[first])
        has_many = self.wrong > max(ENOUGH, MAX_WRONG * (self.values - self.missing))
        if "not Boolean" in self.traits and (has_many or "leading zero" in self.traits):
            self.wrong = -1

    @property
    def type(self) -> Type:
        """The type of the values that have been examined so far."""
        if "not Boolean" not in self.traits and not self.missing and self.values:
            return "bool"
        is_float = (
            self.missing > 0
            or "f" in self.traits
            or {"u", "negative"} <= set(self.traits)
        )
        if (
            self.wrong
            or "leading zero" in self.traits
            or (is_float and "long" in self.traits)
        ):
            return "text"
        if is_float:
            return "float64"
        return "uint64" if "u" in self.traits else "int64"

    @property
    def is_nearly_numbers(self) -> bool:
        """Whether all values except a few are numbers."""
        return (
            0 < self.wrong <= MAX_WRONG * (self.values - self.missing)
            and "not Boolean" in self.traits
        )


def _traits(texts, numbers) -> Iterator[str]:
    """Yield the traits of text that determine its type, and for numbers, their kind and whether some are negative."""
    if not texts.str.lower().isin(["true", "false"]).all():
        yield "not Boolean"
    if texts.str.match(r"[+-]?0\d").any():
        yield "leading zero"
    if texts.str.fullmatch(r"[+-]?\d{16,}").any():
        yield "long"
    if len(texts) and numbers.notna().all():
        yield numbers.dtype.kind
        if (numbers < 0).any():
            yield "negative"


def as_type(series, type: Type):
    """Convert text to a type."""
    if type == "text":
        return series
    series = _without_none(series)
    if type == "bool":
        return series.str.lower() == "true"
    return pandas().to_numeric(series, errors="coerce").astype(type)


def _without_none(series):
    return series.mask(series == "None")
