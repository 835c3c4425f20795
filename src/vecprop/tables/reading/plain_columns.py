"""Infer the type of a text column chunk by chunk, with the same result as `reading.plain_values` for a whole column."""

from dataclasses import dataclass, replace
from typing import Literal

from ..error import pandas

Type = Literal["bool", "int64", "uint64", "float64", "text"]

MAX_WRONG, ENOUGH = 0.1, 1000
"""A column is text, and is not examined further, if the share and number of nonnumeric values exceed these limits."""


@dataclass(frozen=True)
class PlainColumn:
    """The common type of all values of a column that were examined so far.

    Parameters
    ----------
    is_unsigned, is_signed, is_float : bool
        Whether there is an integer beyond int64, a negative integer, or a number that is not an integer.
    wrong : int
        The number of values that are not plain numbers, or -1 if the count has stopped because the column is text.

    Examples
    --------
    >>> column = PlainColumn().seen(pandas().Series(["1", "2"]), "a.csv, line {}".format)
    >>> column.type, column.seen(pandas().Series(["3", None]), str).type, column.seen(pandas().Series(["x"]), str).type
    ('int64', 'float64', 'text')
    """

    values: int = 0
    missing: int = 0
    are_truths: bool = True
    are_digits: bool = True
    is_unsigned: bool = False
    is_signed: bool = False
    is_float: bool = False
    is_long: bool = False
    wrong: int = 0
    example: str = ""
    place: str = ""

    def seen(self, series, named) -> "PlainColumn":
        """Return the type updated with the values of the next chunk."""
        if self.wrong < 0:
            return self
        series = _without_none(series)
        known = series.dropna()  # Arrow strings match patterns fast
        numbers = pandas().to_numeric(known.astype(object), errors="coerce")
        is_wrong = numbers.isna()
        kind = numbers.dtype.kind if len(known) and not is_wrong.any() else ""
        found = replace(
            self,
            values=self.values + len(series),
            missing=self.missing + len(series) - len(known),
            are_truths=self.are_truths and bool(known.str.lower().isin(["true", "false"]).all()),
            are_digits=self.are_digits and not known.str.match(r"[+-]?0\d").any(),
            is_unsigned=self.is_unsigned or kind == "u",
            is_signed=self.is_signed or bool(kind == "i" and (numbers < 0).any()),
            is_float=self.is_float or kind == "f",
            is_long=self.is_long or bool(known.str.fullmatch(r"[+-]?\d{16,}").any()),
            wrong=self.wrong + int(is_wrong.sum()),
        )
        if is_wrong.any() and not self.example:
            first = known.index[is_wrong.to_numpy().argmax()]
            found = replace(found, example=str(known[is_wrong].iloc[0]), place=named(first))
        many = max(ENOUGH, MAX_WRONG * (found.values - found.missing))
        is_text = not found.are_truths and (not found.are_digits or found.wrong > many)
        return replace(found, wrong=-1) if is_text else found

    @property
    def type(self) -> Type:
        """The type of the values that have been examined so far."""
        if self.are_truths and not self.missing and self.values:
            return "bool"
        is_float = self.is_float or self.missing > 0 or (self.is_unsigned and self.is_signed)
        if self.wrong or not self.are_digits or (is_float and self.is_long):
            return "text"
        return "float64" if is_float else "uint64" if self.is_unsigned else "int64"

    @property
    def is_nearly_numbers(self) -> bool:
        """Whether all values except a few are numbers."""
        return 0 < self.wrong <= MAX_WRONG * (self.values - self.missing) and not self.are_truths


def as_type(series, of: Type):
    """Convert text to a type."""
    if of == "text":
        return series
    series = _without_none(series)
    if of == "bool":
        return series.str.lower() == "true"
    return pandas().to_numeric(series, errors="coerce").astype(of)


def _without_none(series):
    return series.mask(series == "None")
