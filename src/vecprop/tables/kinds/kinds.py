"""Infer the kind of a column, the format of its text and the task of a target."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from .formats import (
    EXCEL,
    SECONDS,
    DateReading,
    Evidence,
    NumberReading,
    days_of_form,
    decimal_sign,
)
from .values import as_numbers, read_days, read_numbers, texts_of

FIRST_DAY = 1900_01_01
LAST_DAY = 2099_12_31
"""Integers between these limits may be dates without separators."""
_WORD = r"[^\s,;|/]+"
_LEADING_ZERO = re.compile(r"0\d")
_DECIMAL = re.compile(r"\d[.,]\d")
_MONTH_OF_YEAR = re.compile(r"(0?[1-9]|1[0-2])\.(?:19|20)\d\d")
CATEGORIES = 64
"""The most frequent categories, up to this number, always get separate inputs."""
FEW = 20
"""Fewer than this number of distinct numbers may all have three decimals by
coincidence.
"""
FEW_NAMES = 5
"""Fewer than this number of distinct quantities may be names, such as 2WD and 4WD or
<=50K and >50K.
"""


@dataclass(frozen=True)
class Kind:
    """The kind of a column, the format of its text, and a note if they are ambiguous."""

    name: str
    reading: NumberReading | DateReading | None = None
    note: str = ""


def kind_of(
    series, name: str, options: ColumnOptions, decimal: Callable[[], str] = lambda: "."
) -> Kind:
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
    date_format = options.format_of(name)
    if kind == "date":
        return _declared_date(series, texts, date_format)
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
    if reading.spellings:
        is_few = len(texts) < FEW_NAMES and reading.spellings[0][0].isupper()
        have_zeros = any(map(_LEADING_ZERO.match, texts))
        # such as 4WD, 007x and 3 March
        if is_few or have_zeros or _date(series, texts, date_format):
            reading = NumberReading()
    x, is_unread = read_numbers(series, reading)
    numbers = int((~np.isnan(x)).sum())
    if is_unread.sum() <= 0.1 * (is_unread.sum() + numbers):
        return _kind_of_numbers(series, texts, x, name=name, reading=reading, note=note)
    date = _date(series, texts, date_format)
    if date is not None:
        assert isinstance(date.reading, DateReading)
        days, _ = read_days(series, date.reading)
        return replace(date, note=joined_notes([date.note, note_on_days(days, name)]))
    if tag_separator(texts):
        return Kind("tags")
    note = note_on_names(series, texts, is_unread=is_unread, numbers=numbers, name=name)
    if note:
        note = f"read as text, but {note}"
    if are_texts(series):
        return Kind("text", note=note)
    return Kind("category", note=joined_notes([note, note_on_spelling(texts)]))


def _kind_of_numbers(
    series,
    texts: list[str],
    x: np.ndarray,
    *,
    name: str,
    reading: NumberReading,
    note: str,
) -> Kind:
    """Return the kind of a column of numbers, times, or dates without separators."""
    if reading.spellings:
        return Kind("number", reading, note or note_on_parts(texts, name))
    if _are_eight_digits(x):
        return Kind("date", DateReading(("yearmonthday",)))
    months = {text.partition(".")[0] for text in texts}
    if len(months) > 2 and all(map(_MONTH_OF_YEAR.fullmatch, texts)):
        return Kind("date", DateReading(("month/year",)))
    if reading.unit == SECONDS:
        return Kind("number", reading, note_on_times(texts, name))
    if not note:
        note = (
            note_on_digits(series, x, name)
            or note_on_codes(texts, name)
            or note_on_parts(texts, name)
        )
    return Kind("number", reading, note or note_on_numbers(x, name))


def _declared_date(series, texts: list[str], date_format: str | None) -> Kind:
    """Return the format of a column that the user declared as dates."""
    date = _date(series, texts, date_format, is_declared=True)
    if date is not None:
        return date
    x, _ = read_numbers(series, NumberReading())
    if _are_eight_digits(x, least=1):
        return Kind("date", DateReading(("yearmonthday",)))
    return Kind("date", DateReading(format=EXCEL))


def _number(
    series, texts: list[str], sign: str | None, decimal: Callable[[], str]
) -> tuple[NumberReading, str]:
    """Infer the format of numbers, and return a note if the separator is ambiguous."""
    if sign is not None:
        return NumberReading.from_texts(texts, sign), ""
    plain = NumberReading()
    _, is_unread = read_numbers(series, plain)
    signs = [decimal_sign([text]) for text in texts]
    if is_unread.any():
        if not decimal_sign(texts).startswith("?"):
            return NumberReading.from_texts(texts), ""
    elif "." in signs or not decimal_sign(text for text in texts if "." in text):
        return plain, ""
    sign = decimal()
    reading = NumberReading.from_texts(texts, sign)
    example = ""
    for text, sign_of_text in zip(texts, signs, strict=True):
        if sign_of_text == "?." and reading.value(text):  # other texts have other units
            example = text
            break
    if not example:
        return reading, ""
    may_be_plain = len(texts) < FEW or set(signs) != {"?."}
    have_integers = any(text.lstrip("+-").isdecimal() for text in texts)
    if reading == plain and may_be_plain and not have_integers:
        return reading, ""
    opposite = "," if sign == "." else "."
    value = reading.value(example)
    opposite_value = NumberReading.from_texts([example], opposite).value(example)
    note = (
        f"{example!r} is read as {value:g}, but may also be {opposite_value:g}: set"
        f" decimal={sign!r} or {opposite!r} (--decimal)"
    )
    return reading, note


def target_reading(
    y, name: str, frame, options: ColumnOptions
) -> tuple[NumberReading, str]:
    """Infer the format of a numeric target, and return a note on it.

    If the decimal separator is ambiguous, the most frequent sign of the table's columns
    is used.
    """
    reading, note = _number(
        y, texts_of(y), options.decimal_of(name), lambda: common_decimal(frame, options)
    )
    if reading == NumberReading():
        return reading, note
    return reading, joined_notes([f"is read as {reading}", note])


def note_on_classes(y) -> str:
    """Return a note if classes may be numbers with units or different formats."""
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
    signs = [
        decimal_sign(texts_of(frame[name]))
        for name in frame.columns
        if not options.kind(name)
    ]
    return "," if signs.count(",") > signs.count(".") else "."


def _date(
    series, texts: list[str], date_format: str | None, is_declared: bool = False
) -> Kind | None:
    """Infer the format of dates, or return None if the values are not dates."""
    dtype = pandas().api.types.infer_dtype(series.dropna())
    if dtype in ("datetime64", "datetime", "date"):
        return Kind("date", DateReading())
    day_first = ORDERS.get(date_format or "")
    if date_format and day_first is None:
        reading = DateReading(format=date_format)
        if is_declared or read_days(series, reading)[1].mean() <= 0.1:
            return Kind("date", reading)
    evidence = Evidence.from_texts(texts, is_declared)
    reading = evidence.reading(day_first, share=0.0 if is_declared else 0.9)
    if reading is None:
        return None
    notes = [note_on_short_years(texts, reading)]
    if day_first is None and evidence.is_unclear:
        notes.insert(0, note_on_order(texts, reading))
    return Kind("date", reading, joined_notes(notes))


def _are_eight_digits(x: np.ndarray, least: int = 3) -> bool:
    """Return whether all numbers, with ``least`` distinct ones, are dates like 20240131."""
    values = np.unique(x[~np.isnan(x)])
    if len(values) < least or values[0] < FIRST_DAY or values[-1] > LAST_DAY:
        return False
    if np.any(values % 1):
        return False
    days = [days_of_form(f"{value:.0f}", "yearmonthday") for value in values]
    return None not in days


def are_codes(texts: list[str]) -> bool:
    """Return whether digits are codes rather than numbers.

    Codes have leading zeros in at least 5 % of the values, or in any value if all
    values have the same length.

    Examples
    --------
    >>> are_codes(["01001", "98101", "X4"]), are_codes(["7", "12"]), are_codes(["01", "0.5"])
    (True, False, False)
    """
    digits = list(filter(str.isdecimal, texts))
    with_zero = list(filter(_LEADING_ZERO.match, digits))
    if not with_zero or any(map(_DECIMAL.search, texts)):
        return False
    return len(set(map(len, digits))) == 1 or len(with_zero) >= 0.05 * len(digits)


def tag_separator(texts: list[str]) -> str:
    """Return the separator of texts that contain tags, or "" for other text.

    Tags recur in different combinations: there are fewer distinct tags than texts, and
    a tag occurs twice on average.

    Examples
    --------
    >>> tag_separator(["red;big", "red", "big;old", "old;red", "old"]), tag_separator(["Rome, Italy", "Oslo, Norway"])
    (';', '')
    """
    texts = texts[:1000]
    if len(texts) <= 4:
        return ""
    for separator in ";|,":
        tags = Counter[str]()
        texts_with_several = 0
        for text in texts:
            tags_of_text = {name.strip() for name in text.split(separator)} - {""}
            tags.update(tags_of_text)
            if len(tags_of_text) > 1:
                texts_with_several += 1
        have_few_tags = len(tags) < len(texts) and 2 * len(tags) <= tags.total()
        if not have_few_tags or texts_with_several < 0.3 * len(texts):
            continue
        if all(name.count(" ") < 4 for name in tags):
            counts = {text.count(separator) for text in texts}
            # otherwise these are lists of numbers
            if len(counts) > 1 or not all(name[:1].isdigit() for name in tags):
                return separator
    return ""


def are_texts(series) -> bool:
    """Return whether a column contains text rather than categories.

    Text has a mean of at least two words per row if most values are distinct, or four
    if more than 64 are distinct. Hyphens and periods do not separate words, so an
    identifier is one word.

    Examples
    --------
    >>> pd = pandas()
    >>> are_texts(pd.Series(["a red hat", "a blue hat"])), are_texts(pd.Series(["red", "red", "blue"]))
    (True, False)
    >>> are_texts(pd.Series(["id-0001-a", "id-0002-b"]))
    False
    """
    # counting words in each row is thirty times slower
    counts = series.dropna().astype(str).value_counts()
    rows = counts.sum()
    words = (counts.index.str.count(_WORD) * counts).sum() / rows
    if len(counts) > CATEGORIES and words >= 4:
        return True
    return bool(len(counts) > rows / 2 and words >= 2)


DATES = "replace them by numbers, such as the days since a date"
"""The advice for a target of dates."""
MAX_CLASSES = 20
"""Integers with more than this number of distinct values are amounts rather than
classes.
"""


def as_whole(y) -> Any:
    """Convert floats to integers if all are integral.

    pandas stores integers with missing values as floats.

    Examples
    --------
    >>> as_whole(pandas().Series([1.0, 0.0])).tolist(), as_whole(pandas().Series([0.5])).tolist()
    ([1, 0], [0.5])
    """
    if y.dtype.kind != "f":
        return y
    numbers = y.to_numpy(float, na_value=np.nan)
    is_whole = (numbers % 1 == 0) & (np.abs(numbers) < 2**53)
    return y.astype(np.int64) if is_whole.all() else y


def guess_task(y: Any) -> Literal["classification", "regression"]:
    """Infer the task from a target.

    Text, dates, categories, Booleans and digits with leading zeros are classes. Other
    numbers in text count as numbers. Integers are classes if they have at most two
    distinct values, or at most 20 distinct values with 10 rows each on average. If
    there are more than 20 distinct numbers, text in at most 10 % of the rows is
    ignored.

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
    if (
        isinstance(series.dtype, pd.CategoricalDtype)
        or series.dtype == bool
        or are_codes(texts_of(series))
    ):
        return "classification"
    numbers, unread = as_numbers(series)
    numbers = numbers[~np.isnan(numbers)]
    count = len(np.unique(numbers))
    if unread:
        is_amount = count > MAX_CLASSES and unread <= 0.1 * len(series)
    elif np.any(numbers != np.floor(numbers)):
        is_amount = True
    else:
        is_amount = count > 2 and (count > MAX_CLASSES or len(numbers) < 10 * count)
    return "regression" if is_amount else "classification"
