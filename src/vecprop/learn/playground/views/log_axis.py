"""The vertical axis of a picture whose values are seen by their logarithm: its ends, and ticks that can be read."""

from math import ceil, floor, log10
from typing import Any

import numpy as np
from bokeh.models import FixedTicker, Range1d

from .plain_figure import counted, plain_figure

FEWEST_TICKS = 3
"""The smallest number of ticks of an axis."""
LEAST, MOST = 1e-280, 1e280
"""The smallest and the largest value that is drawn."""


def log_figure(name: str, what: str, values: str) -> Any:
    """Return a figure of values by their logarithm over the numbers of epochs or steps."""
    made = counted(plain_figure(name, y_axis_type="log", y_range=Range1d()), what, values)
    made.scatter(0, 1, alpha=0)  # without data, Bokeh would draw no axes
    made.yaxis.ticker = FixedTicker()
    fit_log_axis(made, np.empty(0))
    return made


def fit_log_axis(made: Any, values: np.ndarray) -> None:
    """Give the log axis of a figure ends and ticks that suit values; those that are not positive are not drawn."""
    drawn = values[np.isfinite(values) & (values > 0)]
    low, high = np.log10(np.clip([drawn.min(), drawn.max()], LEAST, MOST)) if drawn.size else (-1.0, 0.0)
    margin = max(0.05 * (high - low), 0.001)
    start, end = 10.0 ** (low - margin), 10.0 ** (high + margin)
    ticks = log_ticks(start, end)
    made.y_range.update(start=start, end=end)
    made.yaxis[0].ticker.ticks = list(ticks)
    made.yaxis.major_label_overrides = ticks


def log_ticks(low: float, high: float) -> dict[float, str]:
    """Return ticks between the ends of a log axis with their labels: powers of ten, 1-2-5, or even steps.

    Examples
    --------
    >>> list(log_ticks(2e-6, 3).values())
    ['1e-4', '0.01', '1']
    >>> list(log_ticks(0.02, 1.5).values())
    ['0.02', '0.05', '0.1', '0.2', '0.5', '1']
    >>> list(log_ticks(0.51, 0.6).values())
    ['0.52', '0.54', '0.56', '0.58', '0.6']
    """
    first, last = log10(low), log10(high)
    if last - first >= FEWEST_TICKS:
        ticks = [10.0**power for power in _even_ticks(first, last)]
    else:
        powers = range(floor(first), floor(last) + 1)
        ticks = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
        ticks = [tick for tick in ticks if low <= tick <= high]
    if len(ticks) < FEWEST_TICKS:
        ticks = _even_ticks(low, high)
    return {tick: _label(tick) for tick in ticks}


def _even_ticks(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten, at least three of them."""
    widest = (high - low) / FEWEST_TICKS
    power = floor(log10(widest))
    digit = max(digit for digit in (1, 2, 5) if digit == 1 or float(f"{digit}e{power}") <= widest)
    step = float(f"{digit}e{power}")
    return [float(f"{digit * number}e{power}") for number in range(ceil(low / step), floor(high / step) + 1)]


def _label(tick: float) -> str:
    """Return a number without the zeros at its end, by a power of ten if it is very small or large."""
    if 1e-3 <= tick < 1e5:
        return f"{tick:.10g}"
    digits, _, power = f"{tick:.9e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
