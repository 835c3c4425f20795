"""Estimates with intervals, and compared numbers as text with equal decimals."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import floor, isfinite, isnan, log10
from statistics import median_low
from typing import NamedTuple, Self

NEGLIGIBLE = 0.05
"""Estimates below this fraction of the typical size in a comparison do not require
more decimals.
"""
MAX_DIGITS = 10
"""The maximum number of significant digits. Numbers whose difference is smaller
count as equal.
"""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Parameters
    ----------
    low, high : float
        The 95 % interval from 1,000 bootstrap samples, or from fewer (at least 200) if
        there are many rows. Groups are sampled as a whole. Both are nan if there is
        only one row or group, which has no variance.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def __str__(self) -> str:
        return str(compared([self])[0])

    def widened(self, factor: float) -> "Estimate":
        """Return the estimate with an interval that is ``factor`` times as wide."""
        low = self.value + factor * (self.low - self.value)
        high = self.value + factor * (self.high - self.value)
        return Estimate(self.value, low, high)

    @property
    def numbers(self) -> list[float]:
        """The value and the ends of the interval, unless they are undefined."""
        return list(filter(isfinite, (self.value, self.low, self.high)))

    @property
    def size(self) -> float:
        """The largest absolute number."""
        return max(map(abs, self.numbers), default=0.0)

    @property
    def is_uncertain(self) -> bool:
        """Whether the interval is wider than rounding errors."""
        return self.high - self.low > 1e-9 * self.size


class Text(NamedTuple):
    """An estimate as text; without an interval, both ends are empty."""

    value: str
    low: str = ""
    high: str = ""

    def __str__(self) -> str:
        if self.low:
            return f"{self.value} ({self.low} to {self.high})"
        return self.value


def compared(
    estimates: Sequence[Estimate], margins: Sequence[Estimate] = ()
) -> list[Text]:
    """Return compared estimates as text, then their differences from the first one.

    All numbers have equal decimals, and enough of them to show which number is larger.
    The text of a difference is the difference of the printed numbers.

    Examples
    --------
    >>> print(*compared([Estimate(0.4506), Estimate(0.4516)], [Estimate(0.001, 0.0004, 0.0013)]))
    0.4506 0.4516 0.0010 (0.0004 to 0.0013)
    >>> print(*compared([Estimate(40596.1, 37403.2, 43887.9)]))
    40,600 (37,400 to 43,900)
    >>> print(*compared([Estimate(2e15, 1e15, 3e15), Estimate(float("nan"))]))
    2e+15 (1e+15 to 3e+15) undefined
    >>> print(*compared([Estimate(4.03e-10), Estimate(1.206e-9)]))
    4.03e-10 12.06e-10
    """
    form = NumberFormat.of(estimates, margins)
    texts = [form.text(estimate) for estimate in estimates]
    first = estimates[0].value
    for number, margin in enumerate(margins, start=1):
        difference = form.difference(estimates[number].value, first)
        texts.append(form.text(margin)._replace(value=difference))
    return texts


@dataclass(frozen=True)
class NumberFormat:
    """The format of compared numbers: their decimals, after division by a power of ten."""

    decimals: int
    power: int = 0

    @classmethod
    def of(
        cls, estimates: Sequence[Estimate], margins: Sequence[Estimate] = ()
    ) -> Self:
        """Return the format of estimates and of differences from the first one."""
        sizes = [estimate.size for estimate in estimates if estimate.size]
        if not sizes:
            return cls(0)
        largest = max(sizes)
        negligible = NEGLIGIBLE * median_low(sizes)
        large = [estimate for estimate in estimates if estimate.size >= negligible]
        # the decimals that the uncertainty of the estimates supports
        uncertain = [estimate for estimate in large if estimate.is_uncertain]
        supported = max(map(_decimals, uncertain or large))
        required = [supported]
        # the decimals of the first digit of each difference, or of its first two
        digits = 2 if margins else 1
        rounding_error = 10.0 ** (1 - MAX_DIGITS) * largest
        for estimate in estimates[1:]:
            difference = abs(estimate.value - estimates[0].value)
            if difference > rounding_error:
                required.append(digits - 1 - _exponent(difference))
        for margin in margins:
            for end in filter(None, margin.numbers[1:]):
                # An end that is printed as 0 would hide whether the interval contains 0.
                required.append(min(-_exponent(end), supported + 2))
        decimals = min(max(required), MAX_DIGITS - 1 - _exponent(largest))
        # Very large and very small numbers have a power of ten.
        power = 0
        if not 1e-6 <= largest < 1e12:
            power = min(_exponent(estimate.size) for estimate in large)
        numbers = []
        for estimate in (*estimates, *margins):
            numbers += estimate.numbers
        form = cls(decimals, power)
        while form.shown_decimals > 0 and all(map(form.ends_with_zero, numbers)):
            form = cls(form.decimals - 1, power)
        return form

    @property
    def shown_decimals(self) -> int:
        """The number of printed decimals."""
        return max(self.decimals + self.power, 0)

    def rounded(self, number: float) -> Decimal:
        """Return a number, divided by the power of ten and rounded."""
        scaled = Decimal(number).scaleb(-self.power)
        return round(scaled, self.decimals + self.power)

    def ends_with_zero(self, number: float) -> bool:
        """Whether the last decimal is 0."""
        rounded = self.rounded(number)
        return rounded == round(rounded, self.shown_decimals - 1)

    def __call__(self, number: float) -> str:
        """Return a number as text."""
        if not isfinite(number):
            return "undefined"
        return self._text(self.rounded(number))

    def signed(self, number: float) -> str:
        """Return a number as text; positive numbers have a sign, too."""
        text = self(number)
        return f"+{text}" if self.rounded(number) > 0 else text

    def difference(self, number: float, subtracted: float) -> str:
        """Return the difference of two printed numbers as text."""
        if not (isfinite(number) and isfinite(subtracted)):
            return "undefined"
        return self._text(self.rounded(number) - self.rounded(subtracted))

    def text(self, estimate: Estimate) -> Text:
        """Return an estimate as text."""
        value, low, high = map(self, (estimate.value, estimate.low, estimate.high))
        if low == high:
            return Text(value)
        return Text(value, low, high)

    def _text(self, rounded: Decimal) -> str:
        exponent = f"e{self.power:+}" if self.power else ""
        # + 0 removes the sign of -0
        return f"{rounded + 0:,.{self.shown_decimals}f}{exponent}"


def _exponent(number: float) -> int:
    """Return the power of ten of the first digit."""
    return floor(log10(abs(number)))


def _decimals(estimate: Estimate) -> int:
    """Return the decimals for two digits of the half width, and four of the ends."""
    decimals = 3 - _exponent(estimate.size)
    half_width = (estimate.high - estimate.low) / 2
    if half_width > 0:
        decimals = min(decimals, 1 - _exponent(half_width))
    return decimals


def percents(*shares: float, unit: str = " %") -> list[str]:
    """Return shares in percent, with enough decimals to distinguish the shares.

    Examples
    --------
    >>> percents(0.801, 0.62), percents(0.9996, 0.9994), percents(float("nan"))
    (['80 %', '62 %'], ['99.96 %', '99.94 %'], ['undefined'])
    """
    distinct = {0.0, 1.0}  # other shares must not look like 0 % or 100 %
    for share in shares:
        if not isnan(share):
            distinct.add(round(share, 9))
    decimals = 0
    while decimals < 7:
        texts = {f"{100 * share:.{decimals}f}" for share in distinct}
        if len(texts) == len(distinct):
            break
        decimals += 1
    return [
        "undefined" if isnan(share) else f"{100 * share:.{decimals}f}{unit}"
        for share in shares
    ]
