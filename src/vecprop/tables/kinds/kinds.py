"""Infer the kind of a column, the format of its text and the task of a target."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

import numpy as np

from ..error import joined_notes, pandas
from .ambiguities import (
    ORDERS,
    ColumnOptions,
    note_on_amounts,
    note_on_codes,
    note_on_days,
    note_on_digits,
    note_on_names,
    note_on_numbers,
    note_on_order,
    note_on_parts,
    note_on_short_years,
    note_on_spelling,
    note_on_times,
)
from .formats import EXCEL, SECONDS, DateReading, Evidence, NumberReading, days_of, decimal_sign
from .values import as_numbers, read_days, read_numbers, texts_of

FIRST_DAY, LAST_DAY = 1900_01_01, 2099_12_31
"""Integers between these limits may be dates without separators."""
_WORD = r"[^\s,;|/]+"
_MONTH_OF_YEAR = re.compile(r"(0?[1-9]|1[0-2])\.(?:19|20)\d\d")
CATEGORIES = 64
"""The most frequent categories, up to this number, always get separate inputs."""
FEW = 20
"""Fewer than this number of distinct numbers may all have three decimals by coincidence."""
FEW_NAMES = 5
"""Fewer than this number of distinct quantities may be names, such as 2WD and 4WD or <=50K and >50K."""


@dataclass(frozen=True)
class Kind:
    """The kind of a column, the format of its text, and a note if they are ambiguous."""

    name: str
    reading: NumberReading | DateReading | None = None
    note: str = ""


def kind_of(series, name: str, options: ColumnOptions, decimal: Callable[[], str] = lambda: ".") -> Kind:
    """Infer the kind of a column with at least one value.

    Examples
    --------
    >>> pd = pandas()
    >>> kind_of(pd.Series(["1,5", "2,25"]), "x", ColumnOptions())
    Kind(name='number', reading=NumberReading(decimal=',', thousands='', unit='', spellings=()), note='')
    >>> kind_of(pd.Series(["01001", "02002"]), "zip", ColumnOptions()).name
    'code'
    """
    kind = options.kind(name)
    texts = texts_of(series)
    if kind == "date":
        return _declared_date(series, texts, options.format_of(name))
    if kind is None:
        if isinstance(series.dtype, pandas().CategoricalDtype):
            return Kind("text" if are_texts(series) else "category")
        if are_codes(texts):
            return Kind("code")
    elif kind != "number":
        return Kind(kind)
    reading, note = _number(series, texts, options.decimal_of(name), decimal)
    if kind == "number":
        if reading.spellings:  # numbers without the unit are valid, too
            reading = replace(reading, spellings=(*reading.spellings, ""))
        return Kind(kind, reading, note)
    date_format = options.format_of(name)
    if reading.spellings:
        are_few = len(texts) < FEW_NAMES and reading.spellings[0][0].isupper()
        have_zeros = any(re.match(r"0\d", text) for text in texts)
        if are_few or have_zeros or _date(series, texts, date_format):  # such as 4WD, 007x and 3 March
            reading = NumberReading()
    x, is_unread = read_numbers(series, reading)
    if is_unread.sum() <= 0.1 * (is_unread | ~np.isnan(x)).sum():
        return _kind_of_numbers(series, texts, x, name=name, reading=reading, note=note)
    date = _date(series, texts, date_format)
    if date is not None:
        assert isinstance(date.reading, DateReading)
        days, _ = read_days(series, date.reading)
        return replace(date, note=joined_notes([date.note, note_on_days(days, name)]))
    if tag_separator(texts):
        return Kind("tags")
    note = note_on_names(series, texts, is_unread, int((~np.isnan(x)).sum()), name)
    if note:
        note = f"read as text, but {note}"
    if are_texts(series):
        return Kind("text", note=note)
    return Kind("category", note=joined_notes([note, note_on_spelling(texts)]))


def _kind_of_numbers(series, texts: list[str], x: np.ndarray, *, name: str, reading: NumberReading, note: str) -> Kind:
    """Return the kind of a column of numbers: numbers, times, or dates without separators."""
    if reading.spellings:
        return Kind("number", reading, note or note_on_parts(texts, name))
    if _are_eight_digits(x):
        return Kind("date", DateReading(("yearmonthday",)))
    if all(map(_MONTH_OF_YEAR.fullmatch, texts)) and len({text.split(".")[0] for text in texts}) > 2:
        return Kind("date", DateReading(("month/year",)))
    if reading.unit == SECONDS:
        return Kind("number", reading, note_on_times(texts, name))
    note = note or note_on_digits(series, x, name) or note_on_codes(texts, name) or note_on_parts(texts, name)
    return Kind("number", reading, note or note_on_numbers(x, name))


def _declared_date(series, texts: list[str], date_format: str | None) -> Kind:
    """Return the format of a column that the user declared as dates."""
    date = _date(series, texts, date_format, are_declared=True)
    if date is not None:
        return date
    x, _ = read_numbers(series, NumberReading())
    reading = DateReading(("yearmonthday",)) if _are_eight_digits(x, least=1) else DateReading(format=EXCEL)
    return Kind("date", reading)


def _number(series, texts: list[str], sign: str | None, decimal: Callable[[], str]) -> tuple[NumberReading, str]:
    """Infer the format of numbers, given a declared decimal separator, and return a note if it is ambiguous."""
    if sign is not None:
        return NumberReading.of(texts, sign), ""
    plain = NumberReading()
    _, is_unread = read_numbers(series, plain)
    if is_unread.any():
        if not decimal_sign(texts).startswith("?"):
            return NumberReading.of(texts), ""
    elif any(decimal_sign([text]) == "." for text in texts) or not decimal_sign(filter(_has_point, texts)):
        return plain, ""
    sign = decimal()
    reading = NumberReading.of(texts, sign)
    # Values that cannot be read have other units.
    examples = [text for text in texts if reading.value(text) and decimal_sign([text]).startswith("?")]
    if not examples:
        return reading, ""
    if reading == plain and not any(text.lstrip("+-").isdecimal() for text in texts):
        may_be_thousands = len(texts) >= FEW and all(decimal_sign([text]) == "?." for text in texts)
        if not may_be_thousands:
            return reading, ""
    other = "," if sign == "." else "."
    value = reading.value(examples[0])
    other_value = NumberReading.of(examples[:1], other).value(examples[0])
    note = f"{examples[0]!r} is read as {value:g}, but may also be {other_value:g}"
    return reading, f"{note}: set decimal={sign!r} or {other!r} (--decimal)"


def _has_point(text: str) -> bool:
    return "." in text


def target_reading(y, name: str, frame, options: ColumnOptions) -> tuple[NumberReading, str]:
    """Infer the format of a numeric target, and return a note on it.

    If the decimal separator is ambiguous, the most frequent sign of the table's columns is used.
    """
    reading, note = _number(y, texts_of(y), options.decimal_of(name), lambda: common_decimal(frame, options))
    if reading == NumberReading():
        return reading, note
    return reading, joined_notes([f"is read as {reading}", note])


def note_on_classes(y) -> str:
    """Return a note if a target with classes may consist of numbers with units or different formats."""
    if not as_numbers(y)[1]:
        return ""
    note = note_on_amounts(texts_of(y))
    return f"is read as classes, but {note}" if note else ""


def common_decimal(frame, options: ColumnOptions) -> str:
    """Return the most frequent decimal separator of the columns whose sign is unambiguous.

    Examples
    --------
    >>> common_decimal(pandas().DataFrame({"a": ["1,234"], "b": ["1,5"], "c": ["x"]}), ColumnOptions())
    ','
    """
    signs = [decimal_sign(texts_of(frame[name])) for name in frame.columns if not options.kind(name)]
    return "," if signs.count(",") > signs.count(".") else "."


def _date(series, texts: list[str], given: str | None, are_declared: bool = False) -> Kind | None:
    """Infer the format of dates, or return None if the values are not dates."""
    if pandas().api.types.infer_dtype(series.dropna()) in ("datetime64", "datetime", "date"):
        return Kind("date", DateReading())
    if given and given not in ORDERS:
        reading = DateReading(format=given)
        if are_declared or read_days(series, reading)[1].mean() <= 0.1:
            return Kind("date", reading)
    evidence = Evidence.of(texts, are_declared)
    reading = evidence.reading(ORDERS.get(given or ""), share=0.0 if are_declared else 0.9)
    if reading is None:
        return None
    order = note_on_order(texts, reading) if evidence.is_unclear and given not in ORDERS else ""
    return Kind("date", reading, joined_notes([order, note_on_short_years(texts, reading)]))


def _are_eight_digits(x: np.ndarray, least: int = 3) -> bool:
    """Return whether all numbers are dates without separators, such as 20240131, with ``least`` distinct ones."""
    x = x[~np.isnan(x)]
    if not len(x) or x.min() < FIRST_DAY or x.max() > LAST_DAY or np.any(x % 1):
        return False
    distinct = np.unique(x)
    return len(distinct) >= least and all(days_of(f"{value:.0f}", ["yearmonthday"]) is not None for value in distinct)


def are_codes(texts: list[str]) -> bool:
    """Return whether digits are codes rather than numbers.

    Codes have leading zeros in at least 5 % of the values, or in any value if all values have the same length.

    Examples
    --------
    >>> are_codes(["01001", "98101", "X4"]), are_codes(["7", "12"]), are_codes(["01", "0.5"])
    (True, False, False)
    """
    digits = [text for text in texts if text.isdecimal()]
    zeros = sum(len(text) > 1 and text[0] == "0" for text in digits)
    if not zeros or any(re.search(r"\d[.,]\d", text) for text in texts):
        return False
    return len(set(map(len, digits))) == 1 or zeros >= 0.05 * len(digits)


def tag_separator(texts: list[str]) -> str:
    """Return the separator of texts that contain tags, or "" for other text.

    Tags recur in different combinations: there are fewer distinct tags than texts, and a tag occurs twice on average.

    Examples
    --------
    >>> tag_separator(["red;big", "red", "big;old", "old;red", "old"]), tag_separator(["Rome, Italy", "Oslo, Norway"])
    (';', '')
    """
    texts = texts[:1000]
    for separator in ";|,":
        rows = [{name.strip() for name in text.split(separator)} - {""} for text in texts]
        counts = Counter(chain.from_iterable(rows))
        recur = len(texts) > 4 and 2 * len(counts) <= counts.total() and len(counts) < len(texts)
        are_long = any(name.count(" ") >= 4 for name in counts)
        several = sum(len(row) > 1 for row in rows)
        if recur and not are_long and several >= 0.3 * len(texts) and not _are_numbers(texts, separator):
            return separator
    return ""


def _are_numbers(texts: list[str], separator: str) -> bool:
    """Return whether all texts contain equally many names that start with digits."""
    rows = [text.split(separator) for text in texts]
    are_equal = len({len(row) for row in rows}) == 1
    return are_equal and all(name.strip()[:1].isdigit() for row in rows for name in row)


def are_texts(series) -> bool:
    """Return whether a column contains text rather than categories.

    Text has a mean of at least two words per row if most values are distinct, or four if more than 64 are distinct.
    Hyphens and periods do not separate words, so an identifier is one word.

    Examples
    --------
    >>> pd = pandas()
    >>> are_texts(pd.Series(["a red hat", "a blue hat"])), are_texts(pd.Series(["red", "red", "blue"]))
    (True, False)
    >>> are_texts(pd.Series(["id-0001-a", "id-0002-b"]))
    False
    """
    rows_of = series.dropna().astype(str).value_counts()  # counting words in each row is thirty times slower
    rows, distinct = rows_of.sum(), len(rows_of)
    words = (rows_of.index.str.count(_WORD) * rows_of).sum() / rows
    return bool((distinct > rows / 2 and words >= 2) or (distinct > CATEGORIES and words >= 4))


DATES = "replace them by numbers, such as the days since a date"
"""The advice for a target of dates."""
MAX_CLASSES = 20
"""Integers with more than this number of distinct values are amounts rather than classes."""


def as_whole(y) -> Any:
    """Convert floats to integers if all are integral, because pandas stores integers with missing values as floats.

    Examples
    --------
    >>> as_whole(pandas().Series([1.0, 0.0])).tolist(), as_whole(pandas().Series([0.5])).tolist()
    ([1, 0], [0.5])
    """
    numbers = y.to_numpy(float, na_value=np.nan) if y.dtype.kind == "f" else np.array([np.nan])
    is_whole = bool(((numbers % 1 == 0) & (np.abs(numbers) < 2**53)).all())
    return y.astype(np.int64) if is_whole else y


def guess_task(y: Any) -> Literal["classification", "regression"]:
    """Infer the task from a target.

    Text, dates, categories, Booleans and digits with leading zeros are classes. Other numbers in text count as
    numbers. Integers are classes if they have at most two distinct values, or at most 20 distinct values with 10 rows
    each on average. If there are more than 20 distinct numbers, text in at most 10 % of the rows is ignored.

    Parameters
    ----------
    y : array or Series (N,)
        The target. Missing values are ignored.

    Returns
    -------
    {"classification", "regression"}

    Examples
    --------
    >>> guess_task(["yes", "no", "yes"]), guess_task([1.5, 2.25, 3.0]), guess_task([0, 1, 1])
    ('classification', 'regression', 'classification')
    """
    pd = pandas()
    series = pd.Series(y).dropna()
    if isinstance(series.dtype, pd.CategoricalDtype) or series.dtype == bool or are_codes(texts_of(series)):
        return "classification"
    numbers, unread = as_numbers(series)
    numbers = numbers[~np.isnan(numbers)]
    distinct = np.unique(numbers)
    if unread:
        return "regression" if len(distinct) > MAX_CLASSES and unread <= 0.1 * len(series) else "classification"
    is_whole = bool(np.all(numbers == np.floor(numbers)))
    are_few = len(distinct) <= MAX_CLASSES and len(numbers) >= 10 * len(distinct)
    return "classification" if is_whole and (are_few or len(distinct) <= 2) else "regression"
