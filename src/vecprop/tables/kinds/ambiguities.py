"""User settings of the kinds and formats of columns, and notes on columns with ambiguous values."""

import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import partial
from itertools import chain, combinations
from unicodedata import normalize

import numpy as np
from numpy import ndarray

from ...system.suggestions import suggestion
from ..error import Note, TableError, pandas, with_encoding
from .formats import (
    EXCEL,
    DateReading,
    Evidence,
    NumberReading,
    one_of_each,
    small_letters,
)
from .values import texts_of

_SHORT_YEARS = re.compile(r"(\d\d)([-/.])(\d\d?)\2(\d\d)(?!\d).*")
_MONTH = (
    "(?i:jan|ene|gen|f[eé][bv]|m[aä]r|a[bpv]r|ma[igy]|ju[ilnñ]|giu|lug"
    "|ago|ao[uû]|aug|se[pt]|o[ckt]t|nov|d[eéi][cz])"
)
"""The beginning of a month name in English, French, German, Italian or Spanish."""
_PLACES = (
    r".*?(?<!\d)\d{1,2}(?!\d).*?(?<!\d)\d{1,2}(?!\d).*",  # two more numbers
    r"\d{1,2}\S{0,2} (?:of |de )?[^\W\d]+\.? (?:de )?\d{4}",  # a day and a month name
    r"[^\W\d]{3,9}[-/]\d{1,2}[-/]\d{4}",
    # quarters, weeks, halves and fiscal years
    r"\d{4}[- ]?[QWH]\d{1,2}|(?:[QHT][1-4]|KW ?\d\d?|FY)[- /]?\d{4}",
    rf"{_MONTH}[^\W\d]{{0,7}}\.?[- ]\d{{4}}",
    r"(?i:spring|summer|autumn|fall|winter) \d{4}",
    r"\d{4} ?[-/] ?\d\d",  # seasons and fiscal years of two calendar years
)
_SHORT_DATES = (
    # a day and a month name
    rf"\d{{1,2}}[-/]{_MONTH}(?:[-/]\d\d(?: [\d.:]{{4,}}.*)?)?",
    r"[QT][1-4](?:/| ?')\d\d|KW ?\d\d?/\d\d|/Date\(-?\d{9,}\S*",
)
_UNKNOWN_DATE = re.compile(
    rf"(?=.*(?<!\d)(?:19|20)\d\d(?!\d))(?=.{{6,40}}$)(?:{'|'.join(_PLACES)})|{'|'.join(_SHORT_DATES)}"
)
"""Text that contains a year from 1900 to 2099 and other parts of a date, or is a
short date.
"""
_LETTER = re.compile(r"[^\W\d_]")
LATE = 21915
"""The first day of 2030: two-digit years that are read as 2030 or later may belong
to the previous century.
"""
_SAMPLE = 1000
"""The number of distinct texts that are searched for ambiguities."""
_FEW_TEXTS = 100
"""The number of distinct texts that are searched for dates, which takes longer."""
_SPELL = "spell them the same way if they mean the same"
_RARE = 0.1
"""A class is rare if it has at most this fraction of the rows of another class."""
_PARTS = re.compile(r"(\d{1,2})[.,](\d\d)(?: ?[^\W\d]+\.?)?")
"""A number with two decimals, and possibly a unit."""
_POWER = re.compile(r"\d+[eE]\d+")
_DECIMAL = re.compile(r"\d{1,3}\.\d{1,3}")
_DIGITS = {
    "%Y%m": 6,
    "%d%m%Y": 8,
    "%m%d%Y": 8,
    "%y%m%d": 6,
    "%Y%j": 7,
    "%Y%m%d%H%M": 12,
    "%Y%m%d%H%M%S": 14,
}
"""The number of digits of integer-like date formats. Values may lack leading zeros."""
_MIN_DATES = 10
"""The minimum number of distinct integers to recognize as dates. Fewer integers may
resemble dates by chance.
"""
_MIN_TIMES = 30
"""The minimum number of distinct integers to recognize as times. Fewer integers may
resemble times by chance.
"""
_NUMBER = r"[+-]?(?:\d+(?:[.,]\d+)*|[.,]\d+)"
_AMOUNT = rf"[$€£¥]? ?{_NUMBER} ?%?"
_IN_WORDS = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_UNREAD = {
    r"(?:[+-]?\d+ )?\d{1,3}(?:[.,]\d+)? ?(?:/|:|of|out of) ?\d{1,3}": (
        "a fraction: write it as a number"
    ),
    rf"(?!(?:\d{{3}}|\d{{5}})-\d{{4}}$){_AMOUNT} ?(?:-|–|—|to|~|\.\.+) ?{_AMOUNT}": (
        "a range: write its midpoint"
    ),
    rf"\({_NUMBER}, ?{_NUMBER}\]|\[{_NUMBER}, ?{_NUMBER}\)": (
        "a range: write its midpoint"
    ),
    rf"{_NUMBER} ?(?:±|\+/-|\+-) ?{_NUMBER}.*|{_NUMBER}\(\d+\).*": (
        "a number with an uncertainty: write the number"
    ),
    rf"(?i:{_IN_WORDS})": "a number: write it with digits",
    rf"{_NUMBER} ?[x×*] ?{_NUMBER}(?: ?[x×*] ?{_NUMBER})?": (
        "several numbers: split them into columns"
    ),
    r"0[xX][0-9a-fA-F]+": "a hexadecimal number: write it as a decimal number",
    rf"\(?{_NUMBER}[,;] ?{_NUMBER}(?:[,;] ?{_NUMBER})*\)?": (
        "several numbers: split them into columns"
    ),
    rf"\[{_NUMBER}(?:, ?{_NUMBER})*\]": "several numbers: split them into columns",
    rf"\(?{_NUMBER}[+-]{_NUMBER}j\)?": "a complex number: split it into two columns",
    r"\{.*:.*\}|\[\(.*\)\]": "an object: split its fields into columns",
}
"""Patterns of text that looks like numbers but is not read as numbers, with the
meaning and advice.
"""
_FIGURE = re.compile(r"[\d.,']*\d")
_QUANTITY = re.compile(
    r"(?:(?:approx|about|around|circa|ca|over|under|up to|less than|more than|at"
    r" least|at most|max|min|between|from|"
    r"week|day|month|year|grade|level|aged?|stage|rank|size|Rs)\b\.?|(?:Fr|Ft|lei|c|no|nr|KW)(?=[."
    r" ])\.?|"
    r"[Ø₿<>≤≥=~≈±+([$€£¥₹-])*\s*(?:#|[½¼¾⅓⅔⅛⅜⅝⅞])",
    re.IGNORECASE,
)
"""The beginning of a quantity whose figures are replaced by #."""
_CODE = re.compile(
    r"# ?(?![KMB]$)[A-Z]|# (?:[A-Z][a-z]+\.? ?){2,}|[+(]?#\)?(?:[ ./:-]#)*|#-[A-Za-z]+"
)
"""An address, a telephone number, a version or an identifier whose figures are
replaced by #.
"""
_PUNCTUATION = re.compile(
    r"(?<!\d)[ .,;:_'\"]+|["
    r" .,;:_'\"]+(?!\d)|(?<=[^\W\d])-(?=[^\W\d])|[\u0300-\u036f]|^0+(?=\d)|(?<=\d)\.0+$"
)
"""Punctuation that does not separate digits, accents, and zeros that do not change a
number.
"""
_NO_CLASS = re.compile(
    r"(?i:[-–—.?]+|#N/A|#.*[!?]|\(?(?:n\.?/?[ak]\.?|nan|null|nil|tbd|missing|unknown|"
    r"not (?:available|known|specified|reported)|no (?:answer|data|response)|don'?t"
    r" know|"
    r"k\.? ?a\.?|keine angaben?|unbekannt|inconnu|desconocido|s/d|"
    r"undefined|unspecified)\)?)"
)
"""Classes that often represent missing values."""
_MAX_SHAPES = 6
"""The largest number of different forms of quantities in a column."""
_ROMAN = re.compile("(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_NINES = re.compile(
    r"-?(9{2,}|8{3,}|7{3,})(\.9+)?|-[189]|-?32767|-32768|-?2147483647|-2147483648"
)
"""Numbers that often represent missing values."""
_MISSING_DAYS = {
    "0001-01-01",
    "1899-12-30",
    "1900-01-01",
    "1970-01-01",
    "2099-12-31",
    "2999-12-31",
    "9999-12-31",
}
_MONTHS_OF_YEAR = set(range(1, 13))
_DAYS_OF_MONTH = set(range(1, 32))
_WRITE_DATES = "write dates like 2024-01-31"
_EPOCHS = {"seconds": 1, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
_NAMES_OF_CODES = re.compile(
    r"(?:^|[^a-z])(?:zip|plz|postal|postcode|fips|icd|sic|naics|code|id|nr|class|type|category|group|cluster|region|"
    r"district|branch|store|shop|dept|department|status|account|model|phone|tel|telephone|mobile|fax|isbn|ean|upc|iban|ssn)s?(?:[^a-z]|$)"
)
"""Names of columns that contain codes rather than amounts."""
_NAMES_OF_AMOUNTS = re.compile(
    r"(?:^|[^a-z])(?:amount|balance|bonus|cost|count|credit|debt|deposit|discount|fee|gain|income|loan|loss|number|num|"
    r"pay|payment|profit|rain|rent|revenue|salary|sales|savings|tax|wage)s?(?:[^a-z]|$)"
)
"""Names of columns with ordinary zeros."""


def note_on_names(
    series, texts: list[str], *, is_unread: ndarray, numbers: int, name: str
) -> str:
    """Return a note if texts may be dates or numbers, and "" otherwise.

    Examples
    --------
    >>> texts = ["3/8", "5/8"]
    >>> series = pandas().Series(texts)
    >>> is_unread = np.array([True, True])
    >>> note_on_names(series, texts, is_unread=is_unread, numbers=0, name="width")
    "'3/8' may be a fraction: write it as a number, or set columns={'width': 'category'} (--categories)"
    """
    texts = [text for text in texts[:_SAMPLE] if text]
    note = _note_on_dates(texts, name)
    if note:
        return note
    unread = series[is_unread]
    words = list(map(str, unread.unique()[:_SAMPLE]))
    # such as "n.a." for missing values
    has_words = numbers > 0 and not any(map(_FIGURE.search, words))
    if has_words and (numbers > len(unread) or len(words) <= 0.1 * len(texts)):
        return (
            f"{numbers} values are numbers and {len(unread)}, such as"
            f" {unread.iloc[0]!r}, are not: if these are missing values, set"
            f" columns={{{name!r}: 'number'}} (--numbers)"
        )
    meaning = _meaning(texts)
    if meaning and len(texts) > 1:
        return (
            f"{texts[0]!r} may be {meaning}, or set columns={{{name!r}: 'category'}}"
            " (--categories)"
        )
    if meaning or has_words:
        return ""
    return note_on_amounts(texts, name)


def _meaning(texts: list[str]) -> str:
    """Return the meaning of texts that look like numbers, with advice, or ""."""
    if "II" in texts and _most_are(_ROMAN.fullmatch, texts):
        return "a Roman numeral: write it as a number"
    for form, meaning in _UNREAD.items():
        if _most_are(re.compile(form).fullmatch, texts):
            return meaning
    return ""


def _note_on_dates(texts: list[str], name: str) -> str:
    """Return a note if texts may be dates, and "" otherwise."""
    evidence = Evidence.from_texts(texts[:_FEW_TEXTS], is_declared=True)
    reading = evidence.reading(share=0.5)
    if reading is not None:
        dates = [text for text in texts if reading.days(text) is not None]
        unknown_dates = filter(_UNKNOWN_DATE.fullmatch, set(texts).difference(dates))
        if not any(map(_LETTER.search, unknown_dates)):
            return (
                f"{dates[0]!r} may be a date: set columns={{{name!r}: 'date'}}"
                " (--dates)"
            )
    if not _most_are(_UNKNOWN_DATE.fullmatch, texts):
        return ""
    form = _format_of(texts)
    setting = _WRITE_DATES
    if form:
        setting = (
            f"set its format with columns={{{name!r}: 'date {form}'}} (--dates,"
            " --date-format)"
        )
    return f"{texts[0]!r} may be a date: {setting}"


def note_on_spelling(texts: Iterable[str]) -> str:
    """Return a note if two names differ only in case, spaces or punctuation, and "" otherwise.

    Examples
    --------
    >>> note_on_spelling(["yes", "Yes", "no"])
    "'yes' and 'Yes' differ only in case or spaces: spell them the same way if they mean the same"
    >>> note_on_spelling([">50K", ">50K."])[:44]
    "'>50K' and '>50K.' differ only in punctuatio"
    """
    names: dict[str, str] = {}
    for text in dict.fromkeys(text.strip() for text in texts):
        words = small_letters(normalize("NFKD", text))
        first = names.setdefault(_PUNCTUATION.sub("", words) or words, text)
        if first != text:
            is_exact = small_letters(first) == small_letters(text)
            difference = (
                "case or spaces" if is_exact else "punctuation, zeros or accents"
            )
            return f"{first!r} and {text!r} differ only in {difference}: {_SPELL}"
    return ""


def note_on_typos(texts: list[str], counts: ndarray) -> str:
    """Return a note if a rare class differs from a frequent one by a letter in a word, and "" otherwise.

    Examples
    --------
    >>> note_on_typos(["setosa", "setossa"], np.array([50, 2]))[:67]
    "'setossa' (2 rows) and 'setosa' (50 rows) differ by a letter: spell"
    """
    order = np.argsort(counts, kind="stable")[:_FEW_TEXTS]
    for rare, frequent in combinations(order, 2):
        if counts[rare] > _RARE * counts[frequent]:
            continue
        if _differ_by_a_letter(texts[rare], texts[frequent]):
            return (
                f"{texts[rare]!r} ({counts[rare]} rows) and {texts[frequent]!r}"
                f" ({counts[frequent]} rows) differ by a letter: {_SPELL}"
            )
    return ""


def _differ_by_a_letter(text: str, similar: str) -> bool:
    """Return whether texts differ by one letter in a word of at least four letters."""
    matches = SequenceMatcher(None, text, similar).get_opcodes()
    changes = [change for change in matches if change[0] != "equal"]
    if len(changes) > 1:
        return False
    _, start, end, similar_start, similar_end = changes[0]
    removed = text[start:end]
    inserted = similar[similar_start:similar_end]
    if max(len(removed), len(inserted)) > 1:
        return False
    word = re.findall(r"[^\W\d_]*$", text[:start])[0]
    word += re.findall(r"^[^\W\d_]*", text[end:])[0]
    return (removed + inserted).isalpha() and len(word) >= 3


def note_on_numbers(x: ndarray, name: str) -> str:
    """Return a note if numbers may be times or codes, or represent missing values, and "" otherwise.

    Examples
    --------
    >>> note_on_numbers(np.array([3.0, 1.0, 5.0, -999.0, -999.0, 2.0, 8.0]), "dose")
    "-999 in 2 rows may stand for missing values: leave these empty, or set columns={'dose': 'number'} (--numbers)"
    """
    setting = f"set columns={{{name!r}: 'number'}} (--numbers)"
    marker = note_on_missing(x, name)
    if marker:
        return Note(f"{marker}, or {setting}", marker.kind)
    values = np.unique(x[np.isfinite(x)])
    if len(values) < 3 or values[0] < 0:
        return ""
    low = values[0]
    high = values[-1]
    words = _words(name)
    if len(values) >= _MIN_DATES:
        for unit, per_second in _EPOCHS.items():
            # 1990 to 2039
            if 6.3e8 * per_second <= low and high <= 2.2e9 * per_second:
                return (
                    f"{low:.0f} may be {unit} since 1970: {_WRITE_DATES}, or {setting}"
                )
        if re.search("date|datum|day", words) and low >= 20_000 and high <= 60_000:
            return (
                f"{low:.0f} may be a date of Excel: set columns={{{name!r}: 'date"
                " excel'} (--dates)"
            )
    if (values % 1).any():
        return ""
    is_time = 1000 <= high < 2400 and (values % 100).max() < 60
    if len(values) >= _MIN_TIMES and is_time:
        hour, minute = divmod(int(high), 100)
        return f"{high:.0f} may be a time: write it as {hour}:{minute:02}, or {setting}"
    if _NAMES_OF_CODES.search(words) or _are_labels(values, len(x)):
        return (
            f"integers such as {low:.0f} may be codes: set columns={{{name!r}:"
            " 'code'} (--codes)"
        )
    return ""


def _are_labels(values: ndarray, rows: int) -> bool:
    """Return whether few integers recur, with equally many digits but unequal gaps."""
    digits = {len(f"{value:.0f}") for value in values[:_SAMPLE]}
    if len(digits) > 1 or min(digits) < 3:
        return False
    gaps = np.diff(values)
    is_few = 4 <= len(values) <= 20 and rows >= 5 * len(values)
    return is_few and bool(np.ptp(gaps) > gaps.mean())


def note_on_missing(x: ndarray, name: str) -> Note:
    """Return a note if a number may represent missing values, and "" otherwise."""
    values, counts = np.unique(x[np.isfinite(x)], return_counts=True)

    def is_marker(value: float) -> bool:
        return _NINES.fullmatch(f"{value:.10g}") is not None

    index = _missing(values, counts, is_marker)
    is_amount = _NAMES_OF_AMOUNTS.search(_words(name))
    if index or (_is_apart(values, counts) and not is_amount):
        return _marker(f"{values[index]:.10g}", counts[index])
    return Note("")


def _words(name: str) -> str:
    """Return a name in lower case, with an underscore between words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _marker(value: str, count: int) -> Note:
    """Return the note on a value that may represent missing values."""
    return Note(
        f"{value} in {count} rows may stand for missing values: leave these empty",
        "missing values",
    )


def note_on_class_markers(classes: ndarray, counts: ndarray) -> str:
    """Return a note if a class may represent missing values, and "" otherwise.

    Examples
    --------
    >>> note_on_class_markers(np.array([-1, 0, 1]), np.array([3, 50, 60]))
    '-1 in 3 rows may stand for missing values: leave these empty'
    """
    if len(classes) < 3:
        return ""
    for name, count in zip(classes.tolist(), counts, strict=True):
        if _NO_CLASS.fullmatch(str(name)):
            return _marker(repr(name), count)
    if classes.dtype.kind not in "iuf":
        return ""
    lowest = f"{classes[0]:.10g}"
    highest = f"{classes[-1]:.10g}"
    if classes[0] < 0 <= classes[1] and _NINES.fullmatch(lowest):
        return _marker(lowest, counts[0])
    if classes[-1] > 10 * abs(classes[-2]) + 10 and _NINES.fullmatch(highest):
        return _marker(highest, counts[-1])
    return ""


def note_on_times(texts: list[str], name: str) -> str:
    """Return a note if some times have one colon and others two, and "" otherwise.

    Examples
    --------
    >>> note_on_times(["59:12", "1:02:13"], "run")
    "'59:12' is read as hours and minutes: write 0:59:12 for minutes, or set columns={'run': 'number'} (--numbers)"
    >>> note_on_times(["9:30", "23:59"], "start")
    ''
    """
    short = [text for text in texts if text.count(":") == 1]
    if not short or all(text.count(":") != 2 for text in texts):
        return ""
    return (
        f"{short[0]!r} is read as hours and minutes: write 0:{short[0]} for minutes, or"
        f" set columns={{{name!r}: 'number'}} (--numbers)"
    )


def note_on_days(days: ndarray, name: str) -> str:
    """Return a note if some dates may represent missing values, and "" otherwise."""
    values, counts = np.unique(days[np.isfinite(days)], return_counts=True)
    index = _missing(values, counts, lambda day: _date_text(day) in _MISSING_DAYS)
    if not index:
        return ""
    marker = _marker(_date_text(values[index]), counts[index])
    return Note(f"{marker}, or set columns={{{name!r}: 'date'}} (--dates)", marker.kind)


def _date_text(day: float) -> str:
    """Return a day since 1970 as text, such as 2024-01-31."""
    return str(np.datetime64(int(day), "D"))


def _missing(
    values: ndarray, counts: ndarray, is_marker: Callable[[float], bool]
) -> int:
    """Return the negative index of a marker of missing values, or 0 without one.

    A marker is the first or last value, occurs several times and is far from all other
    values, very frequent, or the only negative value.
    """
    if len(values) < 5:
        return 0
    for index, remaining in ((-1, values[:-1]), (-len(values), values[1:])):
        value = values[index]
        count = counts[index]
        if count < 2:
            continue
        if abs(value) / 1e9 > np.abs(remaining).max():
            return index
        halves = remaining / 2  # differences of huge numbers overflow
        may_be_marker = np.abs(value / 2 - halves).min() > np.ptp(halves)
        if count <= counts.sum() / 2:
            is_frequent = count >= max(3, 5 * counts.mean())
            may_be_marker |= is_frequent or value < 0 <= remaining[0]
        if may_be_marker and is_marker(value):
            return index
    return 0


def _is_apart(values: ndarray, counts: ndarray) -> bool:
    """Return whether 0 occurs several times, but rarely, and is far below all other numbers, as in blood pressures.

    Frequent zeros, and zeros below numbers that spread down to them, are usual in
    counts, balances and amounts.
    """
    if len(values) < 5 or values[0] != 0 or counts[0] < 2:
        return False
    quarter, median = np.quantile(np.repeat(values[1:], counts[1:]), [0.25, 0.5])
    spreads = median / max(median - quarter, 1e-9 * median)
    share = counts[0] / counts.sum()
    if values[1] > 0.8 * median and spreads > 20:  # such as years
        return bool(share < 0.5)
    is_far = len(values) >= _MIN_DATES and values[1] > median / 4
    return bool(is_far and spreads > 4 and share <= 0.1)


def _format_of(texts: list[str]) -> str:
    """Return a format that parses most of the dates, or "" if no format does.

    Examples
    --------
    >>> _format_of(["31|12|2023", "1|2|2024"]), _format_of(["3 mars 2021"])
    ('%d|%m|%Y', '')
    """
    numbers = re.findall(r"\d+", texts[0])
    forms = ["%a %b %d %H:%M:%S %Y", "%d of %B %Y", "%G-W%V-%u"]
    if sorted(map(len, numbers))[2:] == [4]:  # three numbers, including a year
        year = [len(number) for number in numbers].index(4)
        for form in (["%d", "%m"], ["%m", "%d"]):
            form.insert(year, "%Y")
            separators = re.split(r"\d+", texts[0].replace("%", "%%"))
            forms.append(
                "".join(chain.from_iterable(zip(separators, [*form, ""], strict=True)))
            )
    for form in forms:
        if _most_are(partial(_parsed, form=form), texts):
            return form
    return ""


def _most_are(match: Callable[[str], object], texts: list[str]) -> bool:
    """Return whether at least 90 % of the texts match."""
    matches = [text for text in texts if match(text) is not None]
    return bool(texts) and len(matches) >= 0.9 * len(texts)


def _parsed(text: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, form)
    except ValueError:
        return None


def note_on_amounts(texts: list[str], name: str = "") -> str:
    """Return a note if texts are numbers in different formats or quantities in a few forms, and "" otherwise.

    Codes and names with digits have no note. ``name`` is the name of a column that can
    be declared.

    Examples
    --------
    >>> note_on_amounts(["$1", "€2"])
    "its numbers have different formats or units, such as '$1': write all in the same format"
    >>> note_on_amounts(["3 years", "8 months", "10+ years"], "age")[:62]
    "most values contain digits, such as '3 years': write numbers i"
    >>> note_on_amounts(["T1", "T2", "AA123"]), note_on_amounts(["1.2.3", "1.2.4", "2.0.1"])
    ('', '')
    """
    texts = texts[:_SAMPLE]
    unread = 0
    for text in texts:
        reading = NumberReading.from_texts([text])
        if reading.spellings or reading.value(text) is None:
            unread += 1
    if texts and unread <= 0.1 * len(texts):
        return (
            f"its numbers have different formats or units, such as {texts[0]!r}: write"
            " all in the same format"
        )
    shapes = Counter(_FIGURE.sub("#", one_of_each(text)) for text in texts)
    common = dict(shapes.most_common(_MAX_SHAPES))
    has_few_shapes = sum(common.values()) >= 0.9 * len(texts)
    if not has_few_shapes or not all(map(_QUANTITY.match, common)):
        return ""
    common.pop("#", None)
    if not common or any(map(_CODE.fullmatch, common)):
        return ""
    if len(texts) < (3 if name else 5):
        return ""
    # such as 2WD and 4WD
    if len(texts) < 5 and any(re.match("#[A-Z]", shape) for shape in common):
        return ""
    example = next(text for text in texts if _FIGURE.sub("#", text) != "#")
    note = f"most values contain digits, such as {example!r}: write numbers in one unit"
    if name:
        note += f", or set columns={{{name!r}: 'category'}} (--categories)"
    return note


def note_on_digits(series, x: ndarray, name: str) -> str:
    """Return a note if integers may be dates, or have more digits than floats can store, and "" otherwise.

    Examples
    --------
    >>> months = [202301, 202302, 202303, 202304, 202305, 202306, 202307, 202308, 202309, 202310]
    >>> note_on_digits(pandas().Series(months), np.array(months, float), "month")
    "202301 may be a date: set columns={'month': 'date %Y%m'} (--dates, --date-format)"
    """
    x = np.unique(x[np.isfinite(x)])
    if not len(x) or x[0] < 0 or (x % 1).any():
        return ""
    if x[-1] >= 2**51:  # beyond microseconds since 1970
        is_integer = pandas().api.types.is_integer_dtype(series.dtype)
        texts = [str(series.max())] if is_integer else texts_of(series)
        integers = filter(str.isdecimal, map(str.strip, texts))
        longest = max(integers, key=len, default="")
        if len(longest) > 15:
            return (
                f"{longest} has more than 15 digits: if it is a code, set"
                f" columns={{{name!r}: 'code'}} (--codes)"
            )
    if len(x) < _MIN_DATES:
        return ""
    texts = [f"{value:.0f}" for value in x[:: len(x) // 100 + 1]]
    for form, digits in _DIGITS.items():
        if all(_is_recent_date(text.zfill(digits), form) for text in texts):
            setting = _WRITE_DATES
            if min(map(len, texts)) == digits:
                setting = (
                    f"set columns={{{name!r}: 'date {form}'}} (--dates, --date-format)"
                )
            return f"{texts[0]} may be a date: {setting}"
    return ""


def _is_recent_date(text: str, form: str) -> bool:
    """Return whether a text is a date from 1900 to 2099 in a format."""
    date = _parsed(text, form)
    return date is not None and 1900 <= date.year < 2100


def note_on_codes(texts: list[str], name: str) -> str:
    """Return a note if numbers may be codes, such as version or part numbers, and "" otherwise.

    Examples
    --------
    >>> note_on_codes(["1.9", "1.1", "1.10"], "version")
    "'1.10' is read as 1.1: if these are codes, set columns={'version': 'code'} (--codes)"
    """
    texts = texts[:_SAMPLE]
    setting = f"if these are codes, set columns={{{name!r}: 'code'}} (--codes)"
    for power in filter(_POWER.fullmatch, texts):
        return f"{power!r} is read as {float(power):g}: {setting}"
    decimals = set(filter(_DECIMAL.fullmatch, texts))
    for text in texts:
        if text.endswith("0") and text[:-1] in decimals:
            return f"{text!r} is read as {text[:-1]}: {setting}"
    return ""


def note_on_parts(texts: list[str], name: str) -> str:
    """Return a note if decimals may be the minutes of a time or the month of a day, and "" otherwise.

    Examples
    --------
    >>> note_on_parts([f"{day}.{day % 12 + 1:02}" for day in range(1, 31)], "day")
    "'1.02' may be a day and a month: write dates like 2024-01-31, or set columns={'day': 'number'} (--numbers)"
    """
    matches = list(map(_PARTS.fullmatch, texts[:_SAMPLE]))
    if len(matches) < _MIN_TIMES or not all(matches):
        return ""
    numbers = {int(match[1]) for match in matches if match}
    decimals = {int(match[2]) for match in matches if match}
    setting = f"set columns={{{name!r}: 'number'}} (--numbers)"
    has_months = len(decimals) > 5 and decimals <= _MONTHS_OF_YEAR
    if has_months and numbers <= _DAYS_OF_MONTH:
        return f"{texts[0]!r} may be a day and a month: {_WRITE_DATES}, or {setting}"
    is_time = len(decimals) >= _MIN_DATES and max(decimals) < 60
    if is_time and max(numbers) < 24:
        return f"{texts[0]!r} may be a time: write times like 14:30, or {setting}"
    return ""


def note_on_order(texts: list[str], reading: DateReading) -> str:
    """Return a note on dates whose day and month can be exchanged."""
    orders = ["month first", "day first"]
    if any(re.match("day[-/.]", form) for form in reading.forms):
        orders.reverse()
    return (
        f"dates such as {texts[0]!r} are ambiguous and read {orders[0]}: set"
        f" date_format={orders[0]!r} or {orders[1]!r} (--date-format)"
    )


def note_on_short_years(texts: list[str], reading: DateReading) -> str:
    """Return a note if two-digit years may come first or belong to another century, and "" otherwise."""
    texts = [text for text in texts[:_SAMPLE] if not re.search(r"\d{4}", text)]
    matches = list(filter(None, map(_SHORT_YEARS.fullmatch, texts)))
    years = {match[1] for match in matches}
    months = {int(match[3]) for match in matches}
    days = {int(match[4]) for match in matches}
    has_valid_dates = months <= _MONTHS_OF_YEAR and days <= _DAYS_OF_MONTH
    if has_valid_dates and len(years) < len(days):
        form = matches[0][2].join(("%y", "%m", "%d"))
        return (
            f"the year of {texts[0]!r} may come first: set date_format={form!r}"
            " (--date-format)"
        )
    texts_by_day = {reading.days(text) or 0: text for text in texts}
    latest = max(texts_by_day, default=0)
    if latest < LATE:
        return ""
    year = 1970 + int(latest / 365.2425)
    return (
        f"{texts_by_day[latest]!r} is read as a date in {year}: write years with four"
        " digits if the century is wrong"
    )


KINDS = ["number", "category", "code", "date", "text", "tags", "ignore"]
"""The kinds of columns that users can set, see `encoding.encoder`."""
ORDERS = {"day first": True, "month first": False}
"""The orders of day and month, and whether the day comes first."""


@dataclass(frozen=True)
class ColumnOptions:
    """User settings for the columns of a table. Other kinds and formats are inferred from the values.

    Parameters
    ----------
    columns : dict of str to str
        The kind of each column, one of `KINDS`, optionally followed by a space and a
        decimal separator or date format.
    date_format : str, optional
        The default format of date columns, as in ``datetime.strptime``, or "day first",
        "month first", or "excel" for Excel's serial dates.

    Examples
    --------
    >>> options = ColumnOptions({"price": "number ,", "sold": "date day first"})
    >>> options.kind("price"), options.decimal_of("price"), options.format_of("sold"), options.kind("town")
    ('number', ',', 'day first', None)
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    date_format: str | None = None

    def __post_init__(self):
        for name in self.columns:
            kind = self.kind(name)
            setting = self._setting(name)
            if kind not in KINDS:
                raise ValueError(
                    f"Column {name!r} has the unknown kind {kind!r}: use one of"
                    f" {', '.join(KINDS)}."
                )
            is_valid = not setting
            if kind == "number":
                is_valid = setting in ("", ".", ",")
            elif kind == "date":
                is_valid = _is_format(setting)
            if not is_valid:
                raise ValueError(
                    f"Column {name!r} has the invalid setting {self.columns[name]!r}:"
                    " 'number' can be followed by a decimal separator, and 'date' by a"
                    " format such as %d.%m.%Y, 'day first', 'month first' or 'excel'."
                )
        if self.decimal not in (None, ".", ","):
            raise ValueError(
                f"{self.decimal!r} is not a decimal separator: use '.' or ','."
            )
        if not _is_format(self.date_format or ""):
            raise ValueError(
                f"{self.date_format!r} is not a date format: use a format such as"
                " %d.%m.%Y, or 'day first', 'month first' or 'excel'."
            )

    def kind(self, name: str) -> str | None:
        """Return the kind of a column, or None if it is not set."""
        if name not in self.columns:
            return None
        return str(self.columns[name]).partition(" ")[0]

    def _setting(self, name: str) -> str:
        return str(self.columns.get(name, "")).partition(" ")[2].strip()

    def decimal_of(self, name: str) -> str | None:
        """Return the decimal separator of a numeric column, or None if it is not set."""
        setting = self._setting(name) if self.kind(name) == "number" else ""
        return setting or self.decimal

    def format_of(self, name: str) -> str | None:
        """Return the format of a date column, or None if it is not set."""
        setting = self._setting(name) if self.kind(name) == "date" else ""
        return setting or self.date_format

    def require(self, names: Iterable[str], notes: Iterable[str] = ()) -> None:
        """Raise an error if the settings name a column that does not exist."""
        names = set(names)
        for name, setting in self.columns.items():
            if not isinstance(name, str):
                raise TableError(
                    f"columns has the key {name!r}: column names are text, such as"
                    f" {str(name)!r}."
                )
            if name not in names:
                advice = suggestion(name, names) or "."
                message = (
                    f"The table has no column {name!r}, which is set to"
                    f" {setting!r}{advice}"
                )
                raise TableError(with_encoding(message, notes))


def _is_format(text: str) -> bool:
    return "%" in text or text in ("", EXCEL, *ORDERS)


NO_OPTIONS = ColumnOptions()
"""Default settings."""
