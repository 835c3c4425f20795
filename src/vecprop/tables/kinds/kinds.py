"""The kind of a column and the format of its text, found from all values or set by the user; tasks."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..error import pandas
from .ambiguities import (
    ORDERS,
    Asked,
    doubt_on_amounts,
    doubt_on_codes,
    doubt_on_days,
    doubt_on_digits,
    doubt_on_names,
    doubt_on_numbers,
    doubt_on_order,
    doubt_on_short_years,
    doubt_on_spelling,
    doubt_on_times,
)
from .values import as_numbers, read_days, read_numbers, texts_of
from .written import EXCEL, SECONDS, DateReading, Evidence, NumberReading, days_of, decimal_sign

FIRST_DAY, LAST_DAY = 1900_01_01, 2099_12_31
"""Whole numbers between these may be dates that are written without signs."""
_WORD = r"[^\s,;|/]+"
_MONTH_OF_YEAR = re.compile(r"(0?[1-9]|1[0-2])\.(?:19|20)\d\d")
CATEGORIES = 64
"""So many categories, the most frequent ones, have an input of their own in any table."""
FEW = 20
"""Fewer distinct numbers than this may have three decimals each."""


@dataclass(frozen=True)
class Kind:
    """The kind of a column, and how its text is read."""

    name: str
    reading: NumberReading | DateReading | None = None
    doubt: str = ""


def kind_of(series: Any, name: str, asked: Asked, decimal: Callable[[], str] = lambda: ".") -> Kind:
    """Return the kind of a column that has values.

    Examples
    --------
    >>> pd = pandas()
    >>> kind_of(pd.Series(["1,5", "2,25"]), "x", Asked())
    Kind(name='number', reading=NumberReading(decimal=',', thousands='', unit=''), doubt='')
    >>> kind_of(pd.Series(["01001", "02002"]), "zip", Asked()).name
    'code'
    """
    kind, texts = asked.kind(name), texts_of(series)
    plain = read_numbers(series, NumberReading())
    if kind == "number":
        return Kind(kind, *_number(texts, not plain[1].any(), asked.decimal_of(name), decimal))
    if kind == "date":
        if date := _date(series, texts, asked.format_of(name), are_declared=True):
            return date
        digits = DateReading(("yearmonthday",))
        return Kind("date", digits if _are_eight_digits(plain[0]) else DateReading(format=EXCEL))
    if kind or isinstance(series.dtype, pandas().CategoricalDtype):
        return Kind(kind or ("text" if are_texts(series) else "category"))
    if are_codes(texts):
        return Kind("code")
    reading, doubt = _number(texts, not plain[1].any(), asked.decimal_of(name), decimal)
    x, is_unread = plain if reading == NumberReading() else read_numbers(series, reading)
    if is_unread.sum() <= 0.1 * (is_unread | ~np.isnan(x)).sum():
        if _are_eight_digits(x):
            return Kind("date", DateReading(("yearmonthday",)))
        if all(map(_MONTH_OF_YEAR.fullmatch, texts)) and len({text.split(".")[0] for text in texts}) > 2:
            return Kind("date", DateReading(("month/year",)))
        if reading.unit == SECONDS:
            return Kind("number", reading, doubt_on_times(texts, name))
        doubt = doubt or doubt_on_digits(series, x, name) or doubt_on_codes(texts, name) or doubt_on_numbers(x, name)
        return Kind("number", reading, doubt)
    if date := _date(series, texts, asked.format_of(name)):
        assert isinstance(date.reading, DateReading)
        doubts = date.doubt, doubt_on_days(read_days(series, date.reading)[0], name)
        return replace(date, doubt="; ".join(filter(None, doubts)))
    if tag_separator(texts):
        return Kind("tags")
    doubt = doubt_on_names(series, texts, is_unread, int((~np.isnan(x)).sum()), name)
    doubt = f"read as names, but {doubt}" if doubt else ""
    if are_texts(series):
        return Kind("text", doubt=doubt)
    return Kind("category", doubt="; ".join(filter(None, (doubt, doubt_on_spelling(texts)))))


def _number(
    texts: list[str], are_plain: bool, given: str | None, decimal: Callable[[], str]
) -> tuple[NumberReading, str]:
    """Return how numbers are read, whose texts may all be plain ones, and a doubt."""
    with_points = [text for text in texts if "." in text] if are_plain else texts
    is_told_by_one = are_plain and any(decimal_sign([text]) == "." for text in with_points)
    sign = "." if is_told_by_one else decimal_sign(with_points)
    if not sign.startswith("?") or given:
        return NumberReading() if are_plain and not given else NumberReading.of(texts, given), ""
    of_others = decimal()
    reading = NumberReading.of(texts, of_others)
    example = next(text for text in texts if decimal_sign([text]).startswith("?"))
    if reading == NumberReading() and not any(text.lstrip("+-").isdecimal() for text in texts):
        are_all = len(texts) >= FEW and all(decimal_sign([text]) == "?." for text in texts)
        if not are_all:  # points before three digits may be between thousands in all of many texts
            return reading, ""
    other = "," if of_others == "." else "."
    either = NumberReading.of([example], other).value(example)
    doubt = f"{example!r} is read as {reading.value(example):g}, but may be {either:g} too"
    return reading, f"{doubt}: settle it with decimal={of_others!r} or {other!r} (--decimal)"


def target_reading(y: Any, name: str, frame: Any, asked: Asked) -> tuple[NumberReading, str]:
    """Return how a target of numbers is read, in doubt with the sign of the table's columns; and a note on it."""
    texts = texts_of(y)
    are_plain = not read_numbers(y, NumberReading())[1].any()
    reading, doubt = _number(texts, are_plain, asked.decimal_of(name), lambda: common_decimal(frame, asked))
    note = f"is read as {reading}" if reading != NumberReading() else ""
    return reading, "; ".join(filter(None, (note, doubt)))


def target_doubt(y: Any) -> str:
    """Return a note on a target of classes that may be numbers: these have units, or signs that do not go together."""
    if not as_numbers(y)[1]:
        return ""
    doubt = doubt_on_amounts(texts_of(y))
    return f"is read as classes, but {doubt}" if doubt else ""


def common_decimal(frame: Any, asked: Asked) -> str:
    """Return the decimal sign that most columns tell whose numbers can be read in one way only.

    Examples
    --------
    >>> common_decimal(pandas().DataFrame({"a": ["1,234"], "b": ["1,5"], "c": ["x"]}), Asked())
    ','
    """
    signs = [decimal_sign(texts_of(frame[name])) for name in frame.columns if not asked.kind(name)]
    return "," if signs.count(",") > signs.count(".") else "."


def _date(series: Any, texts: list[str], given: str | None, are_declared: bool = False) -> Kind | None:
    """Return how dates are read, or None if a column holds none."""
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
    order = doubt_on_order(texts, reading) if evidence.is_unclear and given not in ORDERS else ""
    return Kind("date", reading, "; ".join(filter(None, (order, doubt_on_short_years(texts, reading)))))


def _are_eight_digits(x: np.ndarray) -> bool:
    """Return whether numbers are dates that are written without signs, such as 20240131: three or more, and all."""
    x = x[~np.isnan(x)]
    if not len(x) or x.min() < FIRST_DAY or x.max() > LAST_DAY or np.any(x % 1):
        return False
    distinct = np.unique(x)
    return len(distinct) > 2 and all(days_of(f"{value:.0f}", ["yearmonthday"]) is not None for value in distinct)


def are_codes(texts: list[str]) -> bool:
    """Return whether digits are names rather than numbers: some begin with 0, as numbers do not.

    They all have the same length then, or one of twenty or more begins so.

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
    """Return the sign between the names in texts that contain several, such as tags; empty for other text.

    Names recur in other combinations: they are fewer than the texts, and two texts have each of them on average.

    Examples
    --------
    >>> tag_separator(["red;big", "red", "big;old", "old;red", "old"]), tag_separator(["Rome, Italy", "Oslo, Norway"])
    (';', '')
    """
    for separator in ";|,":
        rows = [text.split(separator) for text in texts[:1000]]
        tags = [{name.strip() for name in row} - {""} for row in rows]
        names, several = set().union(*tags), [row for row in tags if len(row) > 1]
        are_numbers = len(set(map(len, rows))) == 1 and all(name[:1].isdigit() for name in names)
        are_short = max((name.count(" ") for name in names), default=0) < 4
        recur = len(rows) > 4 and 2 * len(names) <= sum(map(len, tags)) and len(names) < len(rows)
        if recur and are_short and not are_numbers and len(several) >= 0.3 * len(rows):
            return separator
    return ""


def are_texts(series: Any) -> bool:
    """Return whether a column holds text rather than categories, by the number of words of a value on average.

    They are two if most values differ, and four if more than 64 values differ.
    Words are separated by spaces, commas and the like, not by hyphens or points, so that an identifier is one word.

    Examples
    --------
    >>> pd = pandas()
    >>> are_texts(pd.Series(["a red hat", "a blue hat"])), are_texts(pd.Series(["red", "red", "blue"]))
    (True, False)
    >>> are_texts(pd.Series(["id-0001-a", "id-0002-b"]))
    False
    """
    rows_of = series.dropna().astype(str).value_counts()  # since words of each row take thirty times as long
    rows, distinct = rows_of.sum(), len(rows_of)
    words = (rows_of.index.str.count(_WORD) * rows_of).sum() / rows
    return bool((distinct > rows / 2 and words >= 2) or (distinct > CATEGORIES and words >= 4))


MOST_CLASSES = 20
"""Whole numbers with more distinct values than this are rather amounts than classes."""


def as_whole(y: Any) -> Any:
    """Return floating-point numbers as integers if all are whole: missing values, now left out, have made them floats.

    Examples
    --------
    >>> as_whole(pandas().Series([1.0, 0.0])).tolist(), as_whole(pandas().Series([0.5])).tolist()
    ([1, 0], [0.5])
    """
    numbers = y.to_numpy(float, na_value=np.nan) if y.dtype.kind == "f" else np.array([np.nan])
    is_whole = bool(((numbers % 1 == 0) & (np.abs(numbers) < 2**53)).all())
    return y.astype(np.int64) if is_whole else y


def guess_task(y: Any) -> Literal["classification", "regression"]:
    """Return the task that a target asks for.

    Text, categories, truth values, and digits that begin with 0 are classes. Numbers are classes if they are whole and
    have at most two distinct values, or at most 20 that occur in 10 rows each on average. Text among more than 20
    distinct numbers is taken for a mistake if it is in at most one of ten rows.

    Parameters
    ----------
    y : array or Series (N,)
        The target; missing values do not count.

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
        return "regression" if len(distinct) > MOST_CLASSES and unread <= 0.1 * len(series) else "classification"
    is_whole = bool(np.all(numbers == np.floor(numbers)))
    few = len(distinct) <= 2 or (len(distinct) <= MOST_CLASSES and len(numbers) >= 10 * len(distinct))
    return "classification" if is_whole and few else "regression"
