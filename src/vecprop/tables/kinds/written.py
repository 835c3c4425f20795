"""Numbers and dates that are written as text: the form of a column, found once, and the value of a text by it."""

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

MONTHS = ["january", "february", "march", "april", "may", "june"]
MONTHS += ["july", "august", "september", "october", "november", "december"]
_YEAR, _SHORT = r"(?P<year>[1-9]\d{3})", r"(?P<year>[1-9]\d{3}|\d\d)"
_MONTH, _DAY, _NAME = r"(?P<month>\d{1,2})", r"(?P<day>\d{1,2})", r"(?P<month>[a-z]{3,9})\.?"
ONE_MEANING = {
    **{f"year{sign}month{sign}day": f"{_YEAR}[{sign}]{_MONTH}[{sign}]{_DAY}" for sign in "-/."},
    "year年month月day日": f"{_YEAR}年{_MONTH}月{_DAY}日",
    "year-month-name-day": rf"{_YEAR}[-/. ]{_NAME}[-/. ]{_DAY}",
    "day month-name year": rf"(?:[a-z]{{3,9}},? )?{_DAY}(?:st|nd|rd|th)?[-/. ]*{_NAME}[-/., ]*{_SHORT}",
    "month-name day, year": rf"(?:[a-z]{{3,9}},? )?{_NAME}[- ]{_DAY}(?:st|nd|rd|th)?,?[- ]{_YEAR}",
}
"""Forms that can be read in one way only, so that they are read in any column of dates."""
_EXCHANGED = [[f"day{sign}month{sign}year", f"month{sign}day{sign}year"] for sign in "-/."]
_SIGNS = {"-": "-", "/": "/", ".": r"\. ?"}
FORMS = {
    **ONE_MEANING,
    **{first: _SIGNS[first[3]].join((_DAY, _MONTH, _SHORT)) for first, _ in _EXCHANGED},
    **{second: _SIGNS[second[5]].join((_MONTH, _DAY, _SHORT)) for _, second in _EXCHANGED},
    "year-month": r"(?P<year>(?:19|20)\d\d)[-/](?P<month>\d{1,2})",
    "month/year": r"(?P<month>\d{1,2})[-/.](?P<year>(?:19|20)\d\d)",
    "month-name year": f"{_NAME}[- ]{_YEAR}",
    "year month-name": f"{_YEAR}[- ]{_NAME}",
    "month-name short year": rf"{_NAME}[- ]'?(?P<year>\d\d)",
    "yearmonthday": r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)",
}
"""The regular expression of each form of a date, in small letters."""
_FAMILIES = [*([form] for form in FORMS if not any(form in pair for pair in _EXCHANGED)), *_EXCHANGED]
TIME = (
    r"(?:(?:t|,? )(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:[.,]\d+)?))?(?: ?(?P<half>[ap])\.?m\.?)?)?"
    r"(?: ?(?P<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?))?"
)
"""The regular expression of a time of the day, which may follow a date, and of its zone."""
EXCEL = "excel"
"""The name of the format of Excel's serial dates, which are days since 30 December 1899."""
_NO_DATES = re.compile(r"\d{1,2}-\d{1,2}-\d\d|(?!\d\d\.\d\d\.\d\d)\d{1,2}\.\d{1,2}\.\d\d|[a-z]{3,9}\.?[- ]'?\d\d")
"""What may be a date of two digits for the year, but rather is the number of a part or of a version, or a day."""


@dataclass(frozen=True)
class DateReading:
    """How the text of a column of dates is read.

    Examples
    --------
    >>> reading = DateReading.of(["31.12.2023", "01.02.2023"])
    >>> reading, reading.days("2.1.1970 12:00"), reading.days("12/31/2023")
    (DateReading(forms=('day.month.year',), format=None), 1.5, None)
    """

    forms: Sequence[str] = ()
    format: str | None = None

    def __post_init__(self) -> None:
        if not set(self.forms) <= FORMS.keys():
            raise ValueError(f"{self.forms} are no forms of dates")

    @classmethod
    def of(cls, texts: Iterable[str], day_first: bool | None = None) -> "DateReading | None":
        """Return the forms that dates have, or None if less than nine of ten texts are dates.

        Numbers beyond 12 tell whether the day comes before the month; if there are none, what is given, and at last
        points do.
        """
        return Evidence.of(texts).reading(day_first)

    def days(self, text: str) -> float | None:
        """Return the days since 1970 of a text, with the time as their fraction, or None if it is no such date."""
        return _known_days_of(text, tuple(self.forms), self.format)

    def __str__(self) -> str:
        if self.format:
            return f"dates, {'serial numbers of Excel' if self.format == EXCEL else f'format {self.format!r}'}"
        return f"dates, {' or '.join(self.forms)}"


@dataclass(frozen=True)
class Evidence:
    """What texts tell of the forms of dates.

    Parameters
    ----------
    forms : dict of str to int
        The number of texts of each form. Dates in which day and month can be exchanged count for neither form.
    """

    texts: int
    forms: "Counter[str]"
    exchangeable: "Counter[str]"

    @classmethod
    def of(cls, texts: Iterable[str], are_declared: bool = False) -> "Evidence":
        """Return what texts tell; if the first twenty are no dates and none is declared, others are not looked at.

        What may rather be the number of a part or of a version is a date only if it is declared.
        """
        count, forms, exchangeable, last = 0, Counter[str](), Counter[str](), _FAMILIES[0]
        are_seasons = True
        for count, text in enumerate(map(small_letters, texts), 1):
            own: list[str] = []
            for family in (last, *_FAMILIES) if are_declared or not _NO_DATES.fullmatch(text) else ():
                matches = ((form, re.fullmatch(FORMS[form] + TIME, text)) for form in family)
                own = [form for form, match in matches if match and moment_of(match.groupdict()) is not None]
                if own:
                    last = family
                    break
            if len(own) > 1:
                exchangeable[own[0]] += 1
            elif own:
                forms[own[0]] += 1
                are_seasons &= own == ["year-month"] and int(text[5:7]) == (int(text[:4]) + 1) % 100
            if count == 20 and not forms and not exchangeable and not are_declared:
                break
        return cls(count, Counter() if are_seasons else forms, exchangeable)

    def reading(self, day_first: bool | None = None, share: float = 0.9) -> DateReading | None:
        """Return the reading of dates, or None if less than nine of ten texts, or another share, are some."""
        forms = [form for form in FORMS if self.forms[form]]
        dates = self.forms.total() + self.exchangeable.total()
        for pair in _EXCHANGED:
            if self.exchangeable[pair[0]] or self.forms[pair[0]] or self.forms[pair[1]]:
                days, months = (self.forms[form] for form in pair)
                is_day_first = (days > months if days != months else "." in pair[0]) if day_first is None else day_first
                right, wrong = pair if is_day_first else pair[::-1]
                dates -= self.forms[wrong]
                forms = [form for form in forms if form != wrong and form != right] + [right]
        return DateReading(tuple(forms)) if dates and dates >= share * self.texts else None

    @property
    def is_unclear(self) -> bool:
        """Whether there are dates in which day and month can be exchanged, and none of the same sign tells."""
        return any(self.exchangeable[a] and not self.forms[a] + self.forms[b] for a, b in _EXCHANGED)


def small_letters(text: str) -> str:
    """Return a text in small letters with single spaces."""
    return " ".join(text.lower().split())


def days_of(text: str, forms: Sequence[str], form: str | None = None) -> float | None:
    """Return the days since 1970 of a text by a column's forms or its one format, or None if it is no such date.

    Examples
    --------
    >>> days_of("Jan 2, 1970", []), days_of("02/01/1970", ["day/month/year"]), days_of("25570", [], "excel")
    (1.0, 1.0, 1.0)
    """
    if form == "excel":
        return float(text) - 25569 if re.fullmatch(r"\s*\d{1,7}(\.\d*)?\s*", text) else None
    if form is not None:
        try:
            moment = datetime.datetime.strptime(text.strip(), form)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp() / 86_400
    text = small_letters(text)
    found = (re.fullmatch(FORMS[name] + TIME, text) for name in (*forms, *ONE_MEANING))
    match = next(filter(None, found), None)
    return None if match is None else moment_of(match.groupdict())


_known_days_of = lru_cache(2**14)(days_of)  # the parts of a table have the same days again and again


def moment_of(part: dict[str, str | None]) -> float | None:
    """Return the days since 1970 of the parts of a date, or None if there is no such day or time."""
    name, year = part["month"] or "", int(part["year"] or 0)
    named = [number for number, month in enumerate(MONTHS, 1) if month == name or month[: max(len(name), 3)] == name]
    if name.isalpha() and len(named) != 1:
        return None
    month = named[0] if name.isalpha() else int(name)
    year += 0 if year > 99 else 2000 if year < 69 else 1900
    hour, minute, second = (float((part[unit] or "0").replace(",", ".")) for unit in ("hour", "minute", "second"))
    if part["half"]:
        hour = hour % 12 + 12 * (part["half"] == "p")
    digits = re.sub("[^0-9]", "", part["zone"] or "")
    away = (int(digits[:2] or 0) * 60 + int(digits[2:] or 0)) * (-1 if "-" in (part["zone"] or "") else 1)
    if hour > 23 or minute > 59 or second >= 60:
        return None
    try:
        day = datetime.date(year, month, int(part.get("day") or 1)).toordinal() - 719163  # of the first of January 1970
    except ValueError:
        return None
    return (day * 86_400_000 + round(((hour * 60 + minute - away) * 60 + second) * 1000)) / 86_400_000


WORDS = {"true": 1.0, "false": 0.0, "none": float("nan")}
"""The values of words among numbers: truth values, and a word for what is missing."""

_UNIT = (
    r"(?:US|CA?|AU?|NZ|HK|NT|MX|R|S)?\$|[€£¥₹₩₽₺₴₫₱฿%]|Rs\.?|kr\.?|zł|Kč|"
    "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR"
)
_NUMERAL = re.compile(rf"[+-]?\s*({_UNIT})?\s*[+-]?((?:\d[\d.,' ]*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*({_UNIT})?")
_FOLLOWED = re.compile(rf"[<>≤≥~]?\s*(?:{_UNIT})?\s*[+-]?\d[\d.,' ]*?\s*([^\d.,' ][^\d]*)")
SECONDS = "seconds"
"""The unit of a column of times of the day and durations."""
CLOCK = r"([+-]?)(?:(\d+) days?,? )?(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:[.,]\d+)?))?(?: ?([ap])\.?m\.?)?"
"""The regular expression of a time of the day or a duration, in small letters."""
SPELLED = r"(\d+(?:[.,]\d+)?) ?(w(?:eeks?)?|d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)(?![a-z])"
"""The regular expression of a number and its unit of time; a duration has one or more."""
MOST_UNITS = 3
"""Numbers may be followed by this many units, such as K and M, to be taken for numbers."""


@dataclass(frozen=True)
class NumberReading:
    """How the text of a column of numbers is read.

    Examples
    --------
    >>> reading = NumberReading.of(["1.234,5", "1.234", "2.000"])
    >>> reading, reading.value("6.733"), reading.value("1,234.5")
    (NumberReading(decimal=',', thousands='.', unit=''), 6733.0, None)
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if self.decimal not in (".", ",") or self.thousands not in ("", ",", ".", " ", "'"):
            raise ValueError(f"{self.decimal!r} and {self.thousands!r} are no signs of numbers")

    @classmethod
    def of(cls, texts: Iterable[str], decimal: str | None = None) -> "NumberReading":
        """Return the signs that most of some texts have; a decimal sign is taken as given."""
        texts = list(texts)
        if are_times(texts):
            return cls(unit=SECONDS)
        parts = [match.groups() for text in texts if (match := _NUMERAL.fullmatch(one_of_each(text)))]
        bodies = [body for _, body, _ in parts]
        decimal = decimal or _told(bodies).removeprefix("?") or "."
        between = Counter(sign for body in bodies for sign in {",", ".", " ", "'"} - {decimal} if sign in body.strip())
        units = Counter(unit for before, _, after in parts for unit in (before, after) if unit)
        # The most frequent ones; of equals, the same one whatever their order.
        thousands, unit = (max(of, key=lambda text, of=of: (of[text], text), default="") for of in (between, units))
        return cls(decimal, thousands, unit)

    def value(self, text: str) -> float | None:
        """Return the number that a text is, nan for a word that says there is none, and None for other text."""
        if self.unit == SECONDS:
            return seconds_of(text)
        return number_of(text, self.decimal, self.thousands, self.unit)

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as Python writes them, except for signs between thousands and currencies."""
        return self.decimal == "." and self.unit not in ("%", SECONDS)

    def __str__(self) -> str:
        if self.unit == SECONDS:
            return "times in seconds"
        decimal = "" if self.decimal == "." and not self.thousands else f"decimal sign {self.decimal!r}"
        thousands = f"{self.thousands!r} between thousands" if self.thousands else ""
        return ", ".join(filter(None, ["numbers", decimal, thousands, self.unit]))


def decimal_sign(texts: Iterable[str]) -> str:
    """Return the decimal sign that some texts tell; with "?" before it if they can be read in two ways, or "" for none.

    One sign with three digits behind it may be decimal or stand between thousands. A comma is then assumed to stand
    between thousands, and a point to be decimal.

    Examples
    --------
    >>> [decimal_sign(texts) for texts in (["1,5", "1,234"], ["1,234", "5,678"], ["1.234"], ["7", "many"])]
    [',', '?.', '?.', '']
    """
    return _told(match[2] for text in texts if (match := _NUMERAL.fullmatch(one_of_each(text))))


def _told(bodies: Iterable[str]) -> str:
    """Return what most of some numbers without units tell, see `decimal_sign`."""
    counts = Counter(map(_told_by_one, bodies))
    if counts[","] or counts["."]:
        return "," if counts[","] > counts["."] else "."
    return "?." if counts["?"] else ""


def _told_by_one(body: str) -> str:
    """Return the decimal sign that a number tells, "?" if it can be read in two ways, or "" if it has no sign."""
    comma, point = body.count(","), body.count(".")
    if comma and point:
        return max(",.", key=body.rindex)
    if comma + point == 0:
        return ""
    sign, other = ",." if comma else ".,"
    if comma + point > 1:
        return other
    head, tail = body.strip().split(sign)
    may_be_thousands = len(tail) == 3 and tail.isdigit() and len(head) <= 3 and head[:1] not in ("", "0")
    return "?" if may_be_thousands else sign


def units_of(texts: Sequence[str]) -> list[str]:
    """Return the texts that follow the numbers in nine of ten texts, such as units that are not known; else none.

    There are at most `MOST_UNITS`; more than one only if the texts are more than twenty.

    Examples
    --------
    >>> units_of(["1.5 kg", "12 kg"]), units_of(["1.5 kg", "12 m"]), units_of(["1", "2"])
    (['kg'], [], [])
    """
    after = Counter(match[1] for text in texts if (match := _FOLLOWED.fullmatch(one_of_each(text))))
    units = sorted(after, key=lambda unit: (-after[unit], unit))[: MOST_UNITS if len(texts) > 20 else 1]
    return units if sum(after[unit] for unit in units) >= 0.9 * len(texts) else []


def are_times(texts: Sequence[str]) -> bool:
    """Return whether nine of ten texts are times of the day or durations, and not all are numbers with one unit.

    The unit "m" may also be meters or months: it means minutes only in columns with hours or seconds.

    Examples
    --------
    >>> are_times(["1h 20min", "45 min"]), are_times(["9:30", "23:59"]), are_times(["5 m", "12 m"])
    (True, True, False)
    """
    if not any(re.search(r"\d", text) and seconds_of(text) is not None for text in texts[:20]):
        return False
    units = {unit[:3] if unit.startswith("min") else unit[0] for text in texts for _, unit in units_of_time(text)}
    have_units = len(units) > 1 and ("m" not in units or not units.isdisjoint("hs"))
    are_clear = have_units or any(text.strip().lower().startswith(("p", "-p")) or ":" in text for text in texts)
    return are_clear and sum(seconds_of(text) is not None for text in texts) >= 0.9 * len(texts)


def units_of_time(text: str) -> list[tuple[str, str]]:
    """Return the numbers of a duration, each with its unit.

    Examples
    --------
    >>> units_of_time("1h 20min"), units_of_time("P1DT2H"), units_of_time("2 of 3 days")
    ([('1', 'h'), ('20', 'min')], [('1', 'd'), ('2', 'h')], [])
    """
    text = text.strip().lower().lstrip("+-").replace(" and ", " ")
    text = re.sub("p(.*)t", r"\1", text) if re.match(r"p[\d.,wd]*t", text) else re.sub(r"^p(\d+[wd])", r"\1", text)
    return re.findall(SPELLED, text) if re.fullmatch(rf"(?:{SPELLED}[., ]*)+", text) else []


def seconds_of(text: str) -> float | None:
    """Return the seconds of a duration, or since midnight of a time of the day; None if it is neither.

    Examples
    --------
    >>> seconds_of("1h 20min"), seconds_of("PT1H20M"), seconds_of("1:20 pm"), seconds_of("2 days 00:00:01.5")
    (4800.0, 4800.0, 48000.0, 172801.5)
    """
    if match := re.fullmatch(CLOCK, text.strip().lower()):
        sign, days, hours, minutes, seconds, half = match.groups()
        hour = int(hours) % 12 + 12 * (half == "p") if half else int(hours)
        value = (int(days or 0) * 24 + hour) * 3600 + int(minutes) * 60 + float((seconds or "0").replace(",", "."))
        return -value if sign == "-" else value
    each = units_of_time(text)
    value = sum(
        float(number.replace(",", ".")) * {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}[unit[0]]
        for number, unit in each
    )
    return None if not each else -value if text.strip().startswith("-") else value


def one_of_each(text: str) -> str:
    """Return a text with one kind of space, minus and apostrophe, and zeros for the dash of a price without cents.

    Examples
    --------
    >>> one_of_each("($1’000)"), one_of_each("5 -"), one_of_each("1.250,-")
    ("-$1'000", '-5', '1.250,00')
    """
    text = " ".join(text.split()).replace("−", "-").replace("–", "-").replace("’", "'")
    if text.endswith("-") and (price := text.rstrip("-")).endswith((",", ".")):  # without cents
        return price + "00"
    before, bracket, _ = text.partition("(")
    if text.endswith("-") or (bracket and text.endswith(")") and not any(map(str.isdigit, before))):  # in accounts
        text = "-" + text.removesuffix("-").replace("(", "").replace(")", "").strip()
    return text[0] + text[2:] if text.startswith(("- ", "+ ")) else text


def number_of(text: str, decimal: str, thousands: str, unit: str) -> float | None:
    """Return the number that a text is by a column's signs, nan for a word that says there is none, else None.

    Examples
    --------
    >>> number_of("$1,234.50", ".", ",", "$"), number_of("45 %", ".", "", "%"), number_of("1,5", ".", ",", "")
    (1234.5, 45.0, None)
    """
    text = one_of_each(text)
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if unit:
        sign = text[:1] if text[:1] in ("+", "-") else ""
        marked = text.removeprefix(sign).strip()
        bare = marked.removeprefix(unit).removesuffix(unit).strip()
        if unit == "%" and bare == marked:
            return None
        text = sign + bare
    whole, point, rest = text.partition(decimal)
    if thousands and thousands in whole:
        first, *groups = whole.lstrip("+-").split(thousands)
        size = 2 if thousands == "," and len(groups[0]) == 2 else 3  # 12,34,567 is 1234567 in India
        sizes = [*[size] * (len(groups) - 1), 3]
        are_digits = "".join(groups).isdigit() and 0 < len(first) <= size and first[0] != "0"
        if not are_digits or [len(group) for group in groups] != sizes:
            return None
        whole = whole.replace(thousands, "")
    if "_" in text or "." in whole + rest:
        return None
    try:
        return float(f"{whole}.{rest}" if point else whole)
    except ValueError:
        return None
