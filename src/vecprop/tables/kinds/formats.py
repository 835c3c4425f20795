"""Infer the format of numbers and dates in text, and parse them."""

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

MONTHS = ["january", "february", "march", "april", "may", "june"]
MONTHS += ["july", "august", "september", "october", "november", "december"]
_YEAR = r"(?P<year>[1-9]\d{3})"
_SHORT_YEAR = r"(?P<year>[1-9]\d{3}|\d\d)"
_MONTH = r"(?P<month>\d{1,2})"
_DAY = r"(?P<day>\d{1,2})"
_NAME = r"(?P<month>[a-z]{3,9})\.?"
ONE_MEANING = {
    "year-month-day": f"{_YEAR}[-]{_MONTH}[-]{_DAY}",
    "year/month/day": f"{_YEAR}[/]{_MONTH}[/]{_DAY}",
    "year.month.day": f"{_YEAR}[.]{_MONTH}[.]{_DAY}",
    "year年month月day日": f"{_YEAR}年{_MONTH}月{_DAY}日",
    "year-month-name-day": rf"{_YEAR}[-/. ]{_NAME}[-/. ]{_DAY}",
    "day month-name year": rf"(?:[a-z]{{3,9}},? )?{_DAY}(?:st|nd|rd|th)?[-/. ]*"
    rf"{_NAME}[-/., ]*{_SHORT_YEAR}",
    "month-name day, year": rf"(?:[a-z]{{3,9}},? )?{_NAME}[- ]{_DAY}"
    rf"(?:st|nd|rd|th)?,?[- ]{_YEAR}",
}
"""Unambiguous date forms, which are accepted in any date column."""
_EXCHANGED = [
    ["day-month-year", "month-day-year"],
    ["day/month/year", "month/day/year"],
    ["day.month.year", "month.day.year"],
]
"""The forms whose day and month can be exchanged."""
_PARTIAL = {
    "year-month": r"(?P<year>(?:19|20)\d\d)[-/](?P<month>\d{1,2})",
    "month/year": r"(?P<month>\d{1,2})[-/.](?P<year>(?:19|20)\d\d)",
    "month-name year": f"{_NAME}[- ]{_YEAR}",
    "year month-name": f"{_YEAR}[- ]{_NAME}",
    "month-name short year": rf"{_NAME}[- ]'?(?P<year>\d\d)",
    "yearmonthday": r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)",
}
"""Forms that may be numbers or lack the day."""
FORMS = {
    **ONE_MEANING,
    "day-month-year": f"{_DAY}-{_MONTH}-{_SHORT_YEAR}",
    "day/month/year": f"{_DAY}/{_MONTH}/{_SHORT_YEAR}",
    "day.month.year": rf"{_DAY}\. ?{_MONTH}\. ?{_SHORT_YEAR}",
    "month-day-year": f"{_MONTH}-{_DAY}-{_SHORT_YEAR}",
    "month/day/year": f"{_MONTH}/{_DAY}/{_SHORT_YEAR}",
    "month.day.year": rf"{_MONTH}\. ?{_DAY}\. ?{_SHORT_YEAR}",
    **_PARTIAL,
}
"""The regular expression of each date form, in lower case."""
_SINGLE = [*ONE_MEANING, *_PARTIAL]
_FAMILIES = [*([form] for form in _SINGLE), *_EXCHANGED]
TIME = (
    r"(?:(?:t|,?"
    r" )(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:[.,]\d+)?))?(?:"
    r" ?(?P<half>[ap])\.?m\.?)?)?"
    r"(?: ?(?P<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?))?"
)
"""The regular expression of an optional time of day and time zone after a date."""
EXCEL = "excel"
"""The format name of Excel's serial dates, which count days since 30 December 1899."""
_NO_DATES = re.compile(
    r"\d{1,2}-\d{1,2}-\d\d|(?!\d\d\.\d\d\.\d\d)\d{1,2}\.\d{1,2}\.\d\d|[a-z]{3,9}\.?[-"
    r" ]'?\d\d"
)
"""Text that looks like a date with a two-digit year, but usually is a part number or
version.
"""


@dataclass(frozen=True)
class DateReading:
    """The format of a date column.

    Examples
    --------
    >>> reading = DateReading.from_texts(["31.12.2023", "01.02.2023"])
    >>> reading, reading.days("2.1.1970 12:00"), reading.days("12/31/2023")
    (DateReading(forms=('day.month.year',), format=None), 1.5, None)
    """

    forms: Sequence[str] = ()
    format: str | None = None

    def __post_init__(self):
        if not set(self.forms) <= FORMS.keys():
            raise ValueError(f"unknown date forms: {self.forms}")

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], day_first: bool | None = None
    ) -> "DateReading | None":
        """Infer the forms of dates, or return None if under 90 % of the texts are dates.

        Numbers above 12 determine the order of day and month. Without them,
        ``day_first`` or the separator does.
        """
        return Evidence.from_texts(texts).reading(day_first)

    def days(self, text: str) -> float | None:
        """Return the days since 1970 (times are fractions), or None for other text."""
        return _cached_days_of(text, tuple(self.forms), self.format)

    def __str__(self) -> str:
        if self.format == EXCEL:
            return "dates, serial numbers of Excel"
        if self.format:
            return f"dates, format {self.format!r}"
        return f"dates, {' or '.join(self.forms)}"


@dataclass(frozen=True)
class Evidence:
    """The number of texts of each date form.

    Parameters
    ----------
    forms : dict of str to int
        The number of texts of each form, without dates whose day and month can be
        exchanged.
    """

    texts: int
    forms: "Counter[str]"
    exchangeable: "Counter[str]"

    @classmethod
    def from_texts(cls, texts: Iterable[str], is_declared: bool = False) -> "Evidence":
        """Count the forms of texts. Stop early if the first twenty are not dates.

        Possible part numbers or versions are dates only if the user declares them.
        Declared dates are counted to the end.
        """
        count = 0
        forms = Counter[str]()
        exchangeable = Counter[str]()
        families = _FAMILIES
        is_only_seasons = True
        for count, text in enumerate(map(small_letters, texts), 1):
            is_excluded = not is_declared and _NO_DATES.fullmatch(text)
            for family in () if is_excluded else families:
                matches = [
                    form for form in family if days_of_form(text, form) is not None
                ]
                if not matches:
                    continue
                # the next text probably has the same form
                families = [family, *_FAMILIES]
                form = matches[0]
                if len(matches) > 1:
                    exchangeable[form] += 1
                else:
                    forms[form] += 1
                    is_only_seasons = is_only_seasons and _is_season(text, form)
                break
            if count == 20 and not (forms or exchangeable or is_declared):
                break
        return cls(count, Counter() if is_only_seasons else forms, exchangeable)

    def reading(
        self, day_first: bool | None = None, share: float = 0.9
    ) -> DateReading | None:
        """Return the format of dates, or None if too few texts are dates."""
        forms = [form for form in _SINGLE if self.forms[form]]
        dates = self.forms.total() + self.exchangeable.total()
        for days, months in _EXCHANGED:
            if not (self.exchangeable[days] or self.forms[days] or self.forms[months]):
                continue
            is_day_first = day_first
            if day_first is None:
                lead = self.forms[days] - self.forms[months]
                is_day_first = lead > 0 or (lead == 0 and "." in days)
            if is_day_first:
                forms.append(days)
                dates -= self.forms[months]
            else:
                forms.append(months)
                dates -= self.forms[days]
        if not dates or dates < share * self.texts:
            return None
        return DateReading(tuple(forms))

    @property
    def is_unclear(self) -> bool:
        """Whether the order of day and month is ambiguous for some separator."""
        return any(
            self.exchangeable[days] and not self.forms[days] + self.forms[months]
            for days, months in _EXCHANGED
        )


def _is_season(text: str, form: str) -> bool:
    """Return whether a year and a month may be two successive years, as in 2023-24."""
    return form == "year-month" and int(text[5:7]) == (int(text[:4]) + 1) % 100


def small_letters(text: str) -> str:
    """Return a text in lower case with single spaces."""
    return " ".join(text.lower().split())


def days_of(text: str, forms: Sequence[str], form: str | None = None) -> float | None:
    """Parse a date with the forms or the format of a column, as days since 1970 or as None if it is invalid.

    Examples
    --------
    >>> days_of("Jan 2, 1970", []), days_of("02/01/1970", ["day/month/year"]), days_of("25570", [], "excel")
    (1.0, 1.0, 1.0)
    """
    if form == "excel":
        if re.fullmatch(r"\s*\d{1,7}(\.\d*)?\s*", text):
            return float(text) - 25569
        return None
    if form is not None:
        try:
            parsed = datetime.datetime.strptime(text.strip(), form)
        except ValueError:
            return None
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=datetime.UTC)
        return parsed.timestamp() / 86_400
    text = small_letters(text)
    for name in (*forms, *ONE_MEANING):
        match = re.fullmatch(FORMS[name] + TIME, text)
        if match:
            return days_of_parts(match.groupdict())
    return None


def days_of_form(text: str, form: str) -> float | None:
    """Parse a date in lower case with one form, as days since 1970 or as None if it is invalid."""
    match = re.fullmatch(FORMS[form] + TIME, text)
    return None if match is None else days_of_parts(match.groupdict())


# the same days recur in many chunks of a table
_cached_days_of = lru_cache(2**14)(days_of)


def days_of_parts(part: dict[str, str | None]) -> float | None:
    """Convert the parts of a date to days since 1970, or return None if the date or time is invalid."""
    month = part["month"] or ""
    if month.isalpha():
        names = [name[: max(len(month), 3)] for name in MONTHS]
        if names.count(month) != 1:
            return None
        month = 1 + names.index(month)
    year = int(part["year"] or 0)
    if year < 100:
        year += 2000 if year < 69 else 1900
    hour = int(part["hour"] or 0)
    if part["half"]:
        hour = hour % 12
    if part["half"] == "p":
        hour += 12
    zone = part["zone"] or ""
    digits = re.sub("[^0-9]", "", zone)
    offset = datetime.timedelta(
        hours=int(digits[:2] or 0), minutes=int(digits[2:] or 0)
    )
    second = float((part["second"] or "0").replace(",", "."))
    try:
        local = datetime.datetime(
            year, int(month), int(part.get("day") or 1), hour, int(part["minute"] or 0)
        )
        since_1970 = (
            local
            - datetime.datetime(1970, 1, 1)
            + datetime.timedelta(milliseconds=round(1000 * second))
        )
    except ValueError:
        return None
    if second >= 60:
        return None
    since_1970 += offset if "-" in zone else -offset
    return since_1970 / datetime.timedelta(days=1)


WORDS = {"true": 1.0, "false": 0.0, "none": float("nan")}
"""The values of words in numeric columns: Booleans, and "none" for a missing value."""

_UNIT = (
    r"(?:US|CA?|AU?|NZ|HK|NT|MX|R|S)?\$|[€£¥₹₩₽₺₴₫₱฿%]|Rs\.?|kr\.?|zł|Kč|"
    "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|AED|"
    "ARS|CLP|COP|EGP|HKD|IDR|ILS|KES|KRW|MYR|NGN|PEN|PHP|PKR|RON|RUB|SAR|SGD|THB|TRY|TWD|UAH|VND"
)
_OTHER_UNIT = (
    r"(?!(?:st|nd|rd|th|j)\b)(?:[^\W\d_½¼¾⅓⅔⅛⅜⅝⅞]|[°\"″′‰%€$£¥₹]|/(?=[^\W_]))"
    r"[^\d½¼¾⅓⅔⅛⅜⅝⅞]{0,24}"
    r"(?:/ ?\d+ ?[^\W\d_]+|(?<=[a-zA-Z])[23])?"
)
"""A unit after a number that is neither a currency nor a percent sign, such as "kg",
"mg/dL", "m2" or "l/100km".
"""
_NUMERAL = re.compile(
    rf"[+-]?\s*(?P<before>{_UNIT})?\s*[+-]?"
    r"(?P<digits>(?:\d[\d.,' ]*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*"
    rf"(?:(?P<after>{_UNIT})|(?P<other>{_OTHER_UNIT}))?"
)
_SIGNS = {",", ".", " ", "'"}
"""The signs that may separate thousands."""
_PLURALS = ("", "s", "es", "e", "en", "n")
"""Endings that distinguish spellings of a unit."""
SECONDS = "seconds"
"""The unit of columns that contain times of day or durations."""
CLOCK = (
    r"([+-]?)(?:(\d+) days?,? )?(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:[.,]\d+)?))?(?:"
    r" ?([ap])\.?m\.?)?"
)
"""The regular expression of a time of day or a duration with colons, in lower case."""
SECONDS_OF_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
SPELLED = (
    r"(\d+(?:[.,]\d+)?)"
    r" ?(w(?:eeks?)?|d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)"
    r"(?![a-z])"
)
"""The regular expression of a number with a unit of time, which occurs at least once
in durations.
"""


@dataclass(frozen=True)
class NumberReading:
    """The format of a numeric column.

    Parameters
    ----------
    unit : str
        A currency, a percent sign, or `SECONDS`. Numbers may lack a currency.
    spellings : tuple of str
        The spellings of any other unit, the longest first. Each number must have it.

    Examples
    --------
    >>> reading = NumberReading.from_texts(["1.234,5", "1.234", "2.000"])
    >>> reading.decimal, reading.thousands, reading.value("6.733"), reading.value("1,234.5")
    (',', '.', 6733.0, None)
    >>> reading = NumberReading.from_texts(["1 year", "7 years"])
    >>> reading.spellings, reading.value("5 years"), reading.value("8 months"), reading.value("8")
    (('years', 'year'), 5.0, None, None)
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    spellings: Sequence[str] = ()

    def __post_init__(self):
        if self.decimal not in (".", ",") or self.thousands not in _SIGNS | {""}:
            raise ValueError(
                f"invalid decimal separator {self.decimal!r} or thousands separator"
                f" {self.thousands!r}"
            )

    @classmethod
    def from_texts(
        cls, texts: Sequence[str], decimal: str | None = None
    ) -> "NumberReading":
        """Infer the signs, unless the decimal separator is known, and the unit."""
        if are_times(texts):
            return cls(unit=SECONDS)
        numerals = _numerals(texts)
        decimal = decimal or _decimal_sign(numerals).removeprefix("?") or "."
        thousands = Counter[str]()
        currencies = Counter[str]()
        units = Counter[str]()
        for numeral in numerals:
            thousands.update((_SIGNS - {decimal}) & set(numeral["digits"].strip()))
            currencies.update(filter(None, (numeral["before"], numeral["after"])))
            units[numeral["other"] or ""] += 1
        return cls(
            decimal,
            thousands=_most_frequent(thousands),
            unit=_most_frequent(currencies),
            spellings=_spellings(_most_frequent(units), units),
        )

    def value(self, text: str) -> float | None:
        """Return the number in a text, nan for "none", and None for invalid text."""
        if self.unit == SECONDS:
            return seconds_of(text)
        if self.spellings:
            return number_before(
                text, self.decimal, self.thousands, self.unit, self.spellings
            )
        return number_of(text, self.decimal, self.thousands, self.unit)

    @property
    def is_plain(self) -> bool:
        """Whether numbers are as in Python, apart from currencies and thousands signs."""
        if self.unit in ("%", SECONDS):
            return False
        return self.decimal == "." and not self.spellings

    def __str__(self) -> str:
        if self.unit == SECONDS:
            return "times in seconds"
        parts = ["numbers"]
        if self.decimal != "." or self.thousands:
            parts.append(f"decimal separator {self.decimal!r}")
        if self.thousands:
            parts.append(f"{self.thousands!r} between thousands")
        if self.unit:
            parts.append(self.unit)
        parts += filter(None, self.spellings[:1])
        return ", ".join(parts)


def _most_frequent(counts: "Counter[str]") -> str:
    """Return the most frequent text, or "". Of equal ones, it is the last by name."""
    return max(sorted(counts, reverse=True), key=counts.__getitem__, default="")


def _spellings(unit: str, units: Iterable[str]) -> tuple[str, ...]:
    """Return the spellings of a unit, the longest first, or none if it is empty."""
    if not unit:
        return ()
    spellings = {spelling for spelling in units if _are_one_unit(unit, spelling)}
    if len(unit) > 2:
        spellings.add(unit.removesuffix("s"))
    return tuple(sorted(spellings, key=lambda spelling: (-len(spelling), spelling)))


def _are_one_unit(unit: str, spelling: str) -> bool:
    """Return whether two units differ only in case, a final period or a plural ending.

    Case matters in "m", "M", "mW" and "MW".
    """
    if len(unit) <= 2 and len(spelling) <= 2 and {unit[0], spelling[:1]} == {"m", "M"}:
        return False
    units = [unit.casefold().rstrip("."), spelling.casefold().rstrip(".")]
    short, long = sorted(units, key=len)
    ending = long.removeprefix(short)
    if not ending or ending == long:
        return short == long
    return ending in _PLURALS and len(short) >= (2 if ending == "s" else 3)


def _numerals(texts: Iterable[str]) -> list[re.Match[str]]:
    """Return the matches of the texts that are numbers, with or without units."""
    return list(filter(None, map(_NUMERAL.fullmatch, map(one_of_each, texts))))


def decimal_sign(texts: Iterable[str]) -> str:
    """Infer the decimal separator of texts, with the prefix "?" if it is ambiguous.

    Without signs, the result is "". A single sign before three digits is ambiguous. A
    comma is then read as a thousands separator, and a point as the decimal separator.

    Examples
    --------
    >>> decimal_sign(["1,5", "1,234"]), decimal_sign(["1,234", "5,678"])
    (',', '?.')
    >>> decimal_sign(["1.234"]), decimal_sign(["7", "many"])
    ('?.', '')
    """
    return _decimal_sign(_numerals(texts))


def _decimal_sign(numerals: Iterable[re.Match[str]]) -> str:
    """Infer the decimal separator of numbers, see `decimal_sign`."""
    counts = Counter(_sign_of_one(numeral["digits"]) for numeral in numerals)
    if counts[","] > counts["."]:
        return ","
    if counts["."]:
        return "."
    return "?." if counts["?"] else ""


def _sign_of_one(digits: str) -> str:
    """Return a number's decimal separator, "?" if it is ambiguous, or "" without one."""
    signs = re.findall("[,.]", digits)
    if not signs:
        return ""
    if len(set(signs)) == 2:
        return max(",.", key=digits.rindex)
    if len(signs) > 1:
        return "." if "," in signs else ","
    is_unclear = re.fullmatch(r"[^0,.][^,.]{0,2}[,.]\d{3}", digits.strip())
    return "?" if is_unclear else signs[0]


def are_times(texts: Sequence[str]) -> bool:
    """Return whether at least 90 % of the texts are times of day or durations.

    Numbers that all have the same unit are not durations. The unit "m" is ambiguous, so
    it means minutes only in columns that also contain hours or seconds.

    Examples
    --------
    >>> are_times(["1h 20min", "45 min"]), are_times(["9:30", "23:59"]), are_times(["5 m", "12 m"])
    (True, True, False)
    """
    if not any(seconds_of(text) is not None for text in texts[:20]):
        return False
    units = set()
    for text in texts:
        for _, unit in units_of_time(text):
            units.add("min" if unit.startswith("min") else unit[0])
    have_units = len(units) > 1 and ("m" not in units or not units.isdisjoint("hs"))
    if not have_units and not any(
        re.match(r"\s*-?p|.*:", text, re.IGNORECASE | re.DOTALL) for text in texts
    ):
        return False
    return sum(seconds_of(text) is not None for text in texts) >= 0.9 * len(texts)


def units_of_time(text: str) -> list[tuple[str, str]]:
    """Split a duration into numbers and their units.

    Examples
    --------
    >>> units_of_time("1h 20min"), units_of_time("P1DT2H"), units_of_time("2 of 3 days")
    ([('1', 'h'), ('20', 'min')], [('1', 'd'), ('2', 'h')], [])
    """
    text = text.strip().lower().lstrip("+-").replace(" and ", " ")
    if re.match(r"p[\d.,wd]*t", text):
        text = re.sub("p(.*)t", r"\1", text)
    text = re.sub(r"^p(\d+[wd])", r"\1", text)
    if re.fullmatch(rf"(?:{SPELLED}[., ]*)+", text):
        return re.findall(SPELLED, text)
    return []


def seconds_of(text: str) -> float | None:
    """Convert a duration, or a time of day since midnight, to seconds. Return None for other text.

    Examples
    --------
    >>> seconds_of("1h 20min"), seconds_of("PT1H20M"), seconds_of("1:20 pm"), seconds_of("2 days 00:00:01.5")
    (4800.0, 4800.0, 48000.0, 172801.5)
    """
    match = re.fullmatch(CLOCK, text.strip().lower())
    if match:
        sign, days, hours, minutes, seconds, half = match.groups()
        hour = int(hours)
        if half:
            hour = hour % 12
        if half == "p":
            hour += 12
        value = (
            (int(days or 0) * 24 + hour) * 3600
            + int(minutes) * 60
            + float((seconds or "0").replace(",", "."))
        )
        return -value if sign == "-" else value
    quantities = units_of_time(text)
    if not quantities:
        return None
    value = sum(
        float(number.replace(",", ".")) * SECONDS_OF_UNITS[unit[0]]
        for number, unit in quantities
    )
    return -value if text.strip().startswith("-") else value


def one_of_each(text: str) -> str:
    """Normalize spaces, minus signs, apostrophes, and the dash in prices without cents.

    Examples
    --------
    >>> one_of_each("($1’000)"), one_of_each("5 -"), one_of_each("1.250,-")
    ("-$1'000", '-5', '1.250,00')
    """
    text = " ".join(text.split()).replace("−", "-").replace("–", "-").replace("’", "'")
    # without cents
    if text.endswith("-") and (price := text.rstrip("-")).endswith((",", ".")):
        return price + "00"
    before, bracket, _ = text.partition("(")
    # in accounts
    if text.endswith("-") or (
        bracket and text.endswith(")") and not any(map(str.isdigit, before))
    ):
        text = "-" + text.removesuffix("-").replace("(", "").replace(")", "").strip()
    return text[0] + text[2:] if text.startswith(("- ", "+ ")) else text


def number_of(text: str, decimal: str, thousands: str, unit: str) -> float | None:
    """Parse a number with the signs and unit of a column; return nan for "none" and None for invalid text.

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
        with_unit = text.removeprefix(sign).strip()
        without_unit = with_unit.removeprefix(unit).removesuffix(unit).strip()
        if unit == "%" and without_unit == with_unit:
            return None
        text = sign + without_unit
    whole, point, decimals = text.partition(decimal)
    if thousands and thousands in whole:
        digits = whole.replace(thousands, ",")
        # 12,34,567 for 1234567
        is_indian = thousands == "," and re.fullmatch(
            r"[+-]?[1-9]\d?(,\d\d)*,\d{3}", digits
        )
        if not is_indian and not re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+", digits):
            return None
        whole = whole.replace(thousands, "")
    if "_" in text or "." in whole + decimals:
        return None
    try:
        return float(f"{whole}.{decimals}" if point else whole)
    except ValueError:
        return None


def number_before(
    text: str, decimal: str, thousands: str, unit: str, spellings: Sequence[str]
) -> float | None:
    """Parse a number with one of the spellings of a unit; return nan for "none" and None for other text.

    Examples
    --------
    >>> number_before("5 kg", ".", "", "", ["kg"]), number_before("5 lb", ".", "", "", ["kg"])
    (5.0, None)
    """
    text = one_of_each(text)
    spelling = next(filter(text.endswith, spellings), None)
    if spelling is None:
        return WORDS.get(text.lower())
    return number_of(text.removesuffix(spelling), decimal, thousands, unit)
