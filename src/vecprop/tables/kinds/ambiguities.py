"""The settings of a column's kind and format, and notes on columns that could be read in several ways."""

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..error import TableError, nearest, pandas
from .written import EXCEL, DateReading, Evidence, NumberReading, units_of

_SHORT_YEARS = re.compile(r"(\d\d)([-/.])(\d\d?)\2(\d\d)(?!\d).*")
_PLACES = (
    r".*?(?<!\d)\d{1,2}(?!\d).*?(?<!\d)\d{1,2}(?!\d).*",  # two more numbers
    r"\d{1,2}\S{0,2} (?:of |de )?[^\W\d]+\.? (?:de )?\d{4}",  # a day and a name of a month
    r"[^\W\d]{3,9}[-/]\d{1,2}[-/]\d{4}",
    r"\d{4}[- ]?[QWH]\d{1,2}|(?:[QH][1-4]|FY)[- /]?\d{4}",  # quarters, weeks, halves and fiscal years
    r"(?i:spring|summer|autumn|fall|winter) \d{4}",
    r"\d{4} ?[-/] ?\d\d",  # seasons and fiscal years of two calendar years
)
_UNKNOWN_DATE = re.compile(rf"(?=.*(?<!\d)(?:19|20)\d\d(?!\d))(?=.{{6,40}}$)(?:{'|'.join(_PLACES)})")
"""Text with a year from 1900 on and what else a date has."""
_LETTER = re.compile(r"[^\W\d_]")
LATE = 21915
"""A year of two digits that is read as 2030, which begins on this day, or later, may be of the century before."""
_SAMPLE = 1000
"""Doubts about names are looked for in this number of distinct texts."""
_FEW_TEXTS = 100
"""Forms of dates, which take longer, are looked for in fewer."""
_POWER = re.compile(r"\d+[eE]\d+")
_DECIMAL = re.compile(r"\d{1,3}\.\d{1,3}")
_DIGITS = {"%Y%m": 6, "%d%m%Y": 8, "%m%d%Y": 8, "%y%m%d": 6, "%Y%j": 7, "%Y%m%d%H%M%S": 14}
"""Formats of dates that are whole numbers, and their digits; zeros at the beginning may be lost."""
_FEWEST_DATES = 10
"""Fewer distinct whole numbers than this may be dates by chance."""
_FEWEST_TIMES = 30
"""Fewer distinct whole numbers than this may be times by chance."""
_NUMBER = r"[+-]?(?:\d+(?:[.,]\d+)*|[.,]\d+)"
_AMOUNT = rf"[$€£¥]? ?{_NUMBER} ?%?"
_IN_WORDS = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_UNREAD = {
    r"(?:[+-]?\d+ )?\d{1,3} ?/ ?\d{1,3}|\d{1,3} ?(?::|of|out of) ?\d{1,3}": "a fraction: write it as a number",
    rf"{_AMOUNT} ?(?:-|–|—|to|~|\.\.+) ?{_AMOUNT}": "a range: give its middle",
    rf"(?:[<>≤≥~≈]=?|(?:approx|about|ca|circa|over|under)\.?) ?{_AMOUNT}": "a number: write only digits",
    rf"\({_NUMBER}, ?{_NUMBER}\]|\[{_NUMBER}, ?{_NUMBER}\)": "a range: give its middle",
    rf"{_NUMBER} ?(?:±|\+/-|\+-) ?{_NUMBER}.*|{_NUMBER}\(\d+\).*": "a number with an uncertainty: leave that out",
    rf"{_NUMBER} ?[x×·*] ?10\^?[+-]?\d+": "a number: write only digits",
    rf"(?i:{_IN_WORDS})": "a number: write it with digits",
    rf"{_NUMBER} ?[x×*] ?{_NUMBER}(?: ?[x×*] ?{_NUMBER})?": "several numbers: give each of them a column",
    r"0[xX][0-9a-fA-F]+": "a hexadecimal number: write it as a decimal one",
    rf"\(?{_NUMBER}[,;] ?{_NUMBER}(?:[,;] ?{_NUMBER})*\)?": "several numbers: give each of them a column",
    rf"\[{_NUMBER}(?:, ?{_NUMBER})*\]": "several numbers: give each of them a column",
    rf"\(?{_NUMBER}[+-]{_NUMBER}j\)?": "a complex number: give each of its parts a column",
    r"\{.*:.*\}|\[\(.*\)\]": "an object: give each of its fields a column",
    rf"{_NUMBER} ?['′] ?{_NUMBER} ?[\"″]?|{_NUMBER} ?°.*\d.*": "a number: write only digits",
    rf"{_NUMBER} ?[^\W\d_]+,? ?(?:and )?{_NUMBER} ?[^\W\d_]+.*": "a number: write only digits",
}
"""The forms of text that look like numbers but are not read as numbers, with their meaning and the advice."""
_ROMAN = re.compile("(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_NINES = re.compile(r"-?(9{2,}|8{3,}|7{3,})(\.9+)?|-[189]|-?32767|-32768|-?2147483647|-2147483648")
"""Numbers that often stand for missing values."""
_MISSING_DAYS = frozenset(
    (datetime.date.fromisoformat(day) - datetime.date(1970, 1, 1)).days
    for day in ("0001-01-01", "1899-12-30", "1900-01-01", "1970-01-01", "2099-12-31", "2999-12-31", "9999-12-31")
)
_EPOCHS = {"seconds": 1, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
_NAMES_OF_CODES = re.compile(
    r"(?:^|[^a-z])(?:zip|plz|postal|postcode|fips|icd|sic|naics|code|id|nr|class|type|category|group|cluster|region|"
    r"district|branch|store|shop|dept|department|status|account|model)s?(?:[^a-z]|$)"
)
"""The names of columns whose integers are codes rather than amounts."""


def doubt_on_names(series: Any, texts: list[str], is_unread: np.ndarray, numbers: int, name: str) -> str:
    """Return the end of a sentence on names that may be dates or numbers; some of them can be read as numbers.

    Examples
    --------
    >>> texts = ["3/8", "5/8"]
    >>> doubt_on_names(pandas().Series(texts), texts, np.array([True, True]), 0, "width")
    "'3/8' may be a fraction: write it as a number, or settle it with columns={'width': 'category'} (--categories)"
    """
    texts = [text for text in texts[:_SAMPLE] if text]
    dates = Evidence.of(texts[:_FEW_TEXTS], are_declared=True).reading(share=0.5)
    unread = [] if dates is None else [text for text in texts if dates.days(text) is None]
    if dates is not None and not any(_UNKNOWN_DATE.fullmatch(text) and _LETTER.search(text) for text in unread):
        date = next(text for text in texts if dates.days(text) is not None)
        return f"{date!r} may be a date: settle it with columns={{{name!r}: 'date'}} (--dates)"
    if _most_are(_UNKNOWN_DATE.fullmatch, texts):
        form = _format_of(texts)
        settled = f"give its format, as in columns={{{name!r}: 'date {form}'}} (--dates, --date-format)"
        return f"{texts[0]!r} may be a date: {settled if form else 'write it as 2024-01-31 is'}"
    if numbers > is_unread.sum():
        unread = f"{is_unread.sum()}, such as {series[is_unread].iloc[0]!r}, are not"
        settled = f"if these are missing values, say so with columns={{{name!r}: 'number'}} (--numbers)"
        return f"{numbers} values are numbers and {unread}: {settled}"
    if doubt := doubt_on_amounts(texts):
        return doubt
    forms = (what for form, what in _UNREAD.items() if _most_are(re.compile(form).fullmatch, texts))
    is_roman = "II" in texts and _most_are(_ROMAN.fullmatch, texts)
    what = next(forms, "a Roman numeral: write it as a number" if is_roman else "")
    settled = f"settle it with columns={{{name!r}: 'category'}} (--categories)"
    return f"{texts[0]!r} may be {what}, or {settled}" if what and len(texts) > 1 else ""


def doubt_on_spelling(texts: Iterable[str]) -> str:
    """Return a sentence's end on names that differ only in case or spaces.

    Examples
    --------
    >>> doubt_on_spelling(["yes", "Yes", "no"])
    "'yes' and 'Yes' differ only in case or spaces, and count as different: write them in one way"
    """
    known: dict[str, str] = {}
    for text in dict.fromkeys(text.strip() for text in texts):
        first = known.setdefault(" ".join(text.casefold().split()), text)
        if first != text:
            return (
                f"{first!r} and {text!r} differ only in case or spaces, and count as different: write them in one way"
            )
    return ""


def doubt_on_numbers(x: np.ndarray, name: str) -> str:
    """Return the end of a sentence on numbers that may be times, codes, or stand for missing values.

    Examples
    --------
    >>> doubt_on_numbers(np.array([3.0, 1.0, 5.0, -999.0, -999.0, 2.0, 8.0]), "dose")
    "-999 in 2 rows may stand for missing values: leave these empty, or say columns={'dose': 'number'} (--numbers)"
    """
    values, counts = np.unique(x[np.isfinite(x)], return_counts=True)
    settled = f"say columns={{{name!r}: 'number'}} (--numbers)"
    place = _missing(values, counts, lambda value: bool(_NINES.fullmatch(f"{value:.10g}")))
    if place or _is_apart(values, counts):
        what = f"{values[place]:.10g} in {counts[place]} rows may stand for missing values"
        return f"{what}: leave these empty, or {settled}"
    if len(values) < 3 or values[0] < 0:
        return ""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    if len(values) >= _FEWEST_DATES:
        for unit, per_second in _EPOCHS.items():
            if 6.3e8 * per_second <= values[0] and values[-1] <= 2.2e9 * per_second:  # 1990 to 2039
                return f"{values[0]:.0f} may be {unit} since 1970: write it as 2024-01-31 is, or {settled}"
        if re.search("date|datum|day", words) and values[0] >= 20_000 and values[-1] <= 60_000:
            return (
                f"{values[0]:.0f} may be a date of Excel: settle it with columns={{{name!r}: 'date excel'}} (--dates)"
            )
    if (values % 1).any():
        return ""
    if len(values) >= _FEWEST_TIMES and 1000 <= values[-1] < 2400 and (values % 100).max() < 60:
        hour, minute = divmod(int(values[-1]), 100)
        return f"{values[-1]:.0f} may be a time: write it as {hour}:{minute:02}, or {settled}"
    digits = {len(f"{value:.0f}") for value in values[:_SAMPLE]}
    gaps = np.diff(values)
    are_labels = len(digits) == 1 and min(digits) >= 3 and len(values) <= 20 <= 4 * len(x) / len(values)
    if _NAMES_OF_CODES.search(words) or (are_labels and len(values) >= 4 and np.ptp(gaps) > gaps.mean()):
        return (
            f"whole numbers such as {values[0]:.0f} may be names: settle it with columns={{{name!r}: 'code'}} (--codes)"
        )
    return ""


def doubt_on_times(texts: list[str], name: str) -> str:
    """Return the end of a sentence on times with one colon among times with two.

    Examples
    --------
    >>> doubt_on_times(["59:12", "1:02:13"], "run")
    "'59:12' is read as hours and minutes: write 0:59:12 for minutes, or say columns={'run': 'number'} (--numbers)"
    >>> doubt_on_times(["9:30", "23:59"], "start")
    ''
    """
    short = next((text for text in texts if text.count(":") == 1), "")
    if not short or not any(text.count(":") == 2 for text in texts):
        return ""
    settled = f"say columns={{{name!r}: 'number'}} (--numbers)"
    return f"{short!r} is read as hours and minutes: write 0:{short} for minutes, or {settled}"


def doubt_on_days(days: np.ndarray, name: str) -> str:
    """Return the end of a sentence on dates that may stand for missing values."""
    values, counts = np.unique(days[np.isfinite(days)], return_counts=True)
    if not (place := _missing(values, counts, lambda day: int(day) in _MISSING_DAYS)):
        return ""
    what = f"{np.datetime64(int(values[place]), 'D')} in {counts[place]} rows may stand for missing values"
    return f"{what}: leave these empty, or say columns={{{name!r}: 'date'}} (--dates)"


def _missing(values: np.ndarray, counts: np.ndarray, is_meant: Callable[[float], bool]) -> int:
    """Return the place, -1 or -len(values), of a value that is far from all others and occurs several times; else 0."""
    if len(values) < 5:
        return 0
    for place, rest, next_to in ((-1, values[:-1], values[-2]), (-len(values), values[1:], values[1])):
        far = abs(values[place] - next_to) > np.ptp(rest)
        often = counts[place] >= max(3, 5 * counts.mean())
        is_negative = place < -1 and values[0] < 0 <= values[1]
        is_other = abs(values[place]) / 1e9 > np.abs(rest).max()
        is_known = (far or often or is_negative) and is_meant(float(values[place]))
        if counts[place] > 1 and (is_known or is_other):
            return place
    return 0


def _is_apart(values: np.ndarray, counts: np.ndarray) -> bool:
    """Return whether 0 occurs several times, far below numbers of one magnitude: a blood pressure of 0, say."""
    if len(values) < _FEWEST_DATES or values[0] != 0 or counts[0] < 2:
        return False
    return bool(values[1] > max(np.median(values) / 5, 10 * np.median(np.diff(values))))


def _format_of(texts: list[str]) -> str:
    """Return a format that reads most of some dates, with the separators of the first; empty if there is none.

    Examples
    --------
    >>> _format_of(["31|12|2023", "1|2|2024"]), _format_of(["3 mars 2021"])
    ('%d|%m|%Y', '')
    """
    parts = re.split(r"(\d+)", texts[0].replace("%", "%%"))
    forms = ["%a %b %d %H:%M:%S %Y", "%d of %B %Y", "%G-W%V-%u"]
    if sorted(map(len, parts[1::2]))[2:] == [4]:  # three numbers, one of which is a year
        for order in (["%d", "%m"], ["%m", "%d"]):
            signs = iter(order)
            parts[1::2] = ["%Y" if len(number) == 4 else next(signs) for number in re.findall(r"\d+", texts[0])]
            forms.append("".join(parts))
    return next((form for form in forms if _most_are(lambda text, form=form: _moment(text, form), texts)), "")


def _most_are(what: Callable[[str], object], texts: list[str]) -> bool:
    """Return whether something is found in nine of ten texts."""
    return bool(texts) and sum(what(text) is not None for text in texts) >= 0.9 * len(texts)


def _moment(text: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, form)
    except ValueError:
        return None


def doubt_on_amounts(texts: list[str]) -> str:
    """Return the end of a sentence on names that are numbers with several signs, or with units.

    Examples
    --------
    >>> doubt_on_amounts(["1.5 kg", "12 kg"]), doubt_on_amounts(["low", "high"])
    ("'1.5 kg' may be a number: without 'kg' it will be read as one", '')
    """
    texts = texts[:_SAMPLE]
    if _most_are(lambda text: NumberReading.of([text]).value(text), texts):  # each by its own signs
        return f"they are numbers with several signs or units, such as {texts[0]!r}: write all of them in one way"
    if units := units_of(texts):
        several = ", all in one unit," if len(units) > 1 else ""
        return f"{texts[0]!r} may be a number: without {' and '.join(map(repr, units))}{several} it will be read as one"
    return ""


def doubt_on_digits(series: Any, x: np.ndarray, name: str) -> str:
    """Return the end of a sentence on whole numbers that may be dates, or names of more digits than numbers keep.

    Examples
    --------
    >>> months = [202301, 202302, 202303, 202304, 202305, 202306, 202307, 202308, 202309, 202310]
    >>> doubt_on_digits(pandas().Series(months), np.array(months, float), "month")
    "202301 may be a date: settle it with columns={'month': 'date %Y%m'} (--dates, --date-format)"
    """
    x = x[np.isfinite(x)]
    if (x != np.floor(x)).any() or not len(x := np.unique(x)) or x[0] < 0:
        return ""
    if x[-1] >= 2**53:
        long = [value for value in series.dropna().unique() if isinstance(value, str) and value.strip().isdecimal()]
        long = [str(series.max())] if pandas().api.types.is_integer_dtype(series.dtype) else long  # and not 1e20
        if len(long := max(long, key=len, default="")) > 15:
            settled = f"if it is a name, say so with columns={{{name!r}: 'code'}} (--codes)"
            return f"{long} has more digits than numbers keep: {settled}"
    if len(x) < _FEWEST_DATES:
        return ""
    texts = [f"{value:.0f}" for value in x[:: len(x) // 100 + 1]]

    def are_dates(form: str) -> bool:
        count, digits = _DIGITS[form], (text.zfill(_DIGITS[form]) for text in texts)
        return all(len(text) == count and (of := _moment(text, form)) and 1900 <= of.year < 2100 for text in digits)

    form = next(filter(are_dates, _DIGITS), "")
    if not form or min(map(len, texts)) < _DIGITS[form]:
        return f"{texts[0]} may be a date: write it as 2024-01-31 is" if form else ""
    return f"{texts[0]} may be a date: settle it with columns={{{name!r}: 'date {form}'}} (--dates, --date-format)"


def doubt_on_codes(texts: list[str], name: str) -> str:
    """Return the end of a sentence on numbers that may be names, such as numbers of versions and of parts.

    Examples
    --------
    >>> doubt_on_codes(["1.9", "1.1", "1.10"], "version")
    "'1.10' is read as '1.1' is: if these are names, say so with columns={'version': 'code'} (--codes)"
    """
    texts = texts[:_SAMPLE]
    settled = f"if these are names, say so with columns={{{name!r}: 'code'}} (--codes)"
    if power := next(filter(_POWER.fullmatch, texts), ""):
        return f"{power!r} is read as {float(power):g}: {settled}"
    decimals = set(filter(_DECIMAL.fullmatch, texts))
    twin = next((text for text in texts if text[-1:] == "0" and text[:-1] in decimals), "")
    return f"{twin!r} is read as {twin[:-1]!r} is: {settled}" if twin else ""


def doubt_on_order(texts: list[str], reading: DateReading) -> str:
    """Return a sentence's end on dates in which day and month can be exchanged."""
    order = "day first" if any(form.startswith("day") and form[3] in "-/." for form in reading.forms) else "month first"
    other = "month first" if order == "day first" else "day first"
    settled = f"settle it with date_format={order!r} or {other!r} (--date-format)"
    return f"no date such as {texts[0]!r} tells day from month, and they are read {order}: {settled}"


def doubt_on_short_years(texts: list[str], reading: DateReading) -> str:
    """Return a sentence's end on years of two digits that may stand first, or be of another century."""
    texts = [text for text in texts[:_SAMPLE] if not re.search(r"\d{4}", text)]
    parts = [match.groups() for text in texts if (match := _SHORT_YEARS.fullmatch(text))]
    if parts and all(0 < int(month) <= 12 and 0 < int(last) <= 31 for _, _, month, last in parts):
        firsts, lasts = {first for first, *_ in parts}, {last for *_, last in parts}
        if len(firsts) < len(lasts):
            form = parts[0][1].join(("%y", "%m", "%d"))
            return f"the year of {texts[0]!r} may stand first: settle it with date_format={form!r} (--date-format)"
    days = {text: reading.days(text) or 0 for text in texts}
    latest = max(days, key=lambda text: days[text], default="")
    if not latest or days[latest] < LATE:
        return ""
    year = 1970 + int(days[latest] / 365.2425)
    return f"{latest!r} is read as of the year {year}: write years with four digits if it is of another century"


KINDS = ["number", "category", "code", "date", "text", "tags", "ignore"]
"""The kinds that a column can be called, see `encoding.encoder`."""
ORDERS = {"day first": True, "month first": False}
"""The names of the orders of day and month, and whether the day comes first."""


@dataclass(frozen=True)
class Asked:
    """What is said of a table's columns; what is not said is found from their values.

    Parameters
    ----------
    columns : dict of str to str
        The kind of a column, one of `KINDS`; after a space its decimal sign or the format of its dates.
    date_format : str, optional
        The format of all columns of dates for which none is given, as in ``datetime.strptime``; or "day first",
        "month first", or "excel" for Excel's serial dates.

    Examples
    --------
    >>> asked = Asked({"price": "number ,", "sold": "date day first"})
    >>> asked.kind("price"), asked.decimal_of("price"), asked.format_of("sold"), asked.kind("town")
    ('number', ',', 'day first', None)
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    date_format: str | None = None

    def __post_init__(self) -> None:
        for name in self.columns:
            kind, how = self.kind(name), self._how(name)
            if kind not in KINDS:
                raise ValueError(f"Column {name!r} cannot be of the kind {kind!r}: the kinds are {', '.join(KINDS)}.")
            if how and not (kind == "number" and how in (".", ",")) and not (kind == "date" and _is_format(how)):
                raise ValueError(
                    f"Column {name!r} cannot be read as {self.columns[name]!r}: after 'number' stands a decimal sign, "
                    "and after 'date' a format such as %d.%m.%Y, 'day first', 'month first' or 'excel'."
                )
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"{self.decimal!r} is no decimal sign: give '.' or ','.")
        if self.date_format and not _is_format(self.date_format):
            formats = "one such as %d.%m.%Y, or 'day first', 'month first' or 'excel'"
            raise ValueError(f"{self.date_format!r} is no format of dates: give {formats}.")

    def kind(self, name: str) -> str | None:
        """Return the kind of a column, or None if it is not given."""
        return str(self.columns[name]).partition(" ")[0] if name in self.columns else None

    def _how(self, name: str) -> str:
        return str(self.columns.get(name, "")).partition(" ")[2].strip()

    def decimal_of(self, name: str) -> str | None:
        """Return the decimal sign of a column of numbers, or None if it is not given."""
        return (self._how(name) if self.kind(name) == "number" else "") or self.decimal

    def format_of(self, name: str) -> str | None:
        """Return the format of a column of dates, or None if it is not given."""
        return (self._how(name) if self.kind(name) == "date" else "") or self.date_format

    def require(self, names: Iterable[str]) -> None:
        """Refuse the names of columns that are not among those of a table."""
        known = set(names)
        if unknown := [name for name in self.columns if name not in known]:
            name = unknown[0]
            said = f"which is to be read as {self.columns[name]!r}{nearest(name, known) or '.'}"
            raise TableError(f"The table has no column {name!r}, {said}")


def _is_format(text: str) -> bool:
    return "%" in text or text == EXCEL or text in ORDERS


NOTHING = Asked()
"""Nothing is said of the columns."""
