"""Numbers that are written as text: the signs of a column, found once, and the value of a text by them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WORDS = {"true": 1.0, "false": 0.0, "none": float("nan")}
"""The values of words among numbers: truth values, and a word for what is missing."""

_UNIT = (
    r"(?:US|CA?|AU?|NZ|HK|NT|MX|R|S)?\$|[€£¥₹₩₽₺₴₫₱฿%]|Rs\.?|kr\.?|zł|Kč|"
    "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR"
)
_NUMERAL = re.compile(
    rf"[+-]?\s*({_UNIT})?\s*[+-]?((?:\d[\d.,' ]*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*({_UNIT})?",
)
_FOLLOWED = re.compile(rf"[<>≤≥~]?\s*(?:{_UNIT})?\s*[+-]?\d[\d.,' ]*?\s*([^\d.,' ][^\d]*)")
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
        parts = [match.groups() for text in texts if (match := _NUMERAL.fullmatch(one_of_each(text)))]
        bodies = [body for _, body, _ in parts]
        decimal = decimal or _told(bodies).removeprefix("?") or "."
        between = Counter(sign for body in bodies for sign in {",", ".", " ", "'"} - {decimal} if sign in body.strip())
        units = Counter(unit for before, _, after in parts for unit in (before, after) if unit)
        return cls(decimal, _most(between), _most(units))

    def value(self, text: str) -> float | None:
        """Return the number that a text is, nan for a word that says there is none, and None for other text."""
        return number_of(text, self.decimal, self.thousands, self.unit)

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as Python writes them, except for signs between thousands and currencies."""
        return self.decimal == "." and self.unit != "%"

    def __str__(self) -> str:
        signs = ["" if self.decimal == "." and not self.thousands else f"decimal sign {self.decimal!r}"]
        signs += [f"{self.thousands!r} between thousands" if self.thousands else "", self.unit]
        return ", ".join(["numbers", *filter(None, signs)])


def _most(counts: "Counter[str]") -> str:
    """Return the most frequent of some texts, of equals the same one whatever their order; empty if there are none."""
    return max(counts, key=lambda text: (counts[text], text), default="")


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
        return "," if body.rindex(",") > body.rindex(".") else "."
    if comma + point > 1:
        return "." if comma else ","
    if comma + point == 0:
        return ""
    sign = "," if comma else "."
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
    if (text.endswith(")") and "(" in text) or text.endswith("-"):  # an accountant's minus
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
