"""Shared figure styles: plain figures, logarithmic axes and colors.

Figures have a transparent background; the page's script sets the color of lines and
text.
"""

from math import ceil, floor, log10
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    DataRange1d,
    FixedTicker,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.plotting import figure

from ....core import Array
from ....pictures.style import COLOURS, colour
from ..session import Session

INK = "ink"
"""The name of glyphs that use the page's text color."""

SELECTED = "#CC79A7"
"""The color of selected items."""

MOST_POINTS = 1_000
"""The maximum number of drawn points, for speed; more are thinned evenly."""


def plain_figure(name: str, **options) -> Any:
    """Create a Bokeh figure without toolbar and background."""
    options |= {
        "toolbar_location": None,
        "tools": "",
        "sizing_mode": "stretch_both",
        "output_backend": "canvas",
    }
    plot = figure(name=name, min_border=4, **options)
    plot.background_fill_color = plot.border_fill_color = plot.outline_line_color = None
    plot.grid.grid_line_alpha = 0.3
    return plot


def empty(names: str) -> Any:
    """Create a data source with empty columns."""
    return ColumnDataSource({name: [] for name in names.split()})


def add_points(plot: Any, size: int, **options) -> Any:
    """Add points with individual colors and markers; return their data source."""
    points = empty("x y row colour marker inside")
    plot.scatter(
        source=points,
        marker="marker",
        size=size,
        fill_color="colour",
        line_color="colour",
        fill_alpha="inside",
        **options,
    )
    return points


def legend_of(plot) -> Any:
    """Remove the frame of a figure's legend and return the legend."""
    (legend,) = plot.legend
    legend.update(border_line_color=None, background_fill_alpha=0, padding=0)
    return legend


def counted(plot: Any, unit: str, values: str) -> Any:
    """Label both axes; the horizontal axis counts epochs or steps from zero."""
    plot.x_range = DataRange1d(start=0)
    ticker = BasicTicker(min_interval=1, desired_num_ticks=5, num_minor_ticks=0)
    plot.xaxis.update(
        axis_label=unit, ticker=ticker, formatter=NumeralTickFormatter(format="0,0")
    )
    plot.yaxis.axis_label = values
    return plot


def without_axes(plot) -> Any:
    """Hide the axes and the grid of a figure."""
    plot.axis.visible = plot.grid.visible = False
    return plot


FEWEST_TICKS = 3
LEAST, MOST = 1e-280, 1e280
"""The smallest and largest drawn values."""


def log_figure(name: str, unit: str, values: str) -> Any:
    """Create a figure with a logarithmic axis for values over epochs or steps."""
    plot = counted(
        plain_figure(name, y_axis_type="log", y_range=Range1d()), unit, values
    )
    plot.scatter(0, 1, alpha=0)  # Bokeh draws no axes without data
    plot.yaxis.ticker = FixedTicker()
    fit_log_axis(plot, np.empty(0))
    return plot


def fit_log_axis(plot: Any, values) -> None:
    """Fit the limits and ticks of a logarithmic axis to the positive values."""
    drawn = values[np.isfinite(values) & (values > 0)]
    low = -1.0
    high = 0.0
    if drawn.size:
        low, high = np.log10(np.clip([drawn.min(), drawn.max()], LEAST, MOST))
    margin = max(0.05 * (high - low), 0.001)
    start = 10.0 ** (low - margin)
    end = 10.0 ** (high + margin)
    ticks = log_ticks(start, end)
    plot.y_range.update(start=start, end=end)
    plot.yaxis[0].ticker.ticks = list(ticks)
    plot.yaxis.major_label_overrides = ticks


def log_ticks(low: float, high: float) -> dict[float, str]:
    """Return labeled ticks of a logarithmic axis: powers of ten, 1-2-5 or even steps.

    Examples
    --------
    >>> list(log_ticks(2e-6, 3).values())
    ['1e-4', '0.01', '1']
    >>> list(log_ticks(0.02, 1.5).values())
    ['0.02', '0.05', '0.1', '0.2', '0.5', '1']
    >>> list(log_ticks(0.51, 0.6).values())
    ['0.52', '0.54', '0.56', '0.58', '0.6']
    """
    first = log10(low)
    last = log10(high)
    if last - first >= FEWEST_TICKS:
        ticks = [10.0**power for power in _even_ticks(first, last)]
    else:
        powers = range(floor(first), floor(last) + 1)
        ticks = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
        ticks = [tick for tick in ticks if low <= tick <= high]
    if len(ticks) < FEWEST_TICKS:
        ticks = _even_ticks(low, high)
    return {tick: _label(tick) for tick in ticks}


def _even_ticks(low, high):
    """Return at least three multiples of 1, 2 or 5 times a power of ten."""
    widest = (high - low) / FEWEST_TICKS
    power = floor(log10(widest))
    digit = 1
    for larger_digit in (2, 5):
        if float(f"{larger_digit}e{power}") <= widest:
            digit = larger_digit
    step = float(f"{digit}e{power}")
    return [
        float(f"{digit * number}e{power}")
        for number in range(ceil(low / step), floor(high / step) + 1)
    ]


def _label(tick):
    """Format a number without trailing zeros, in scientific notation if necessary."""
    if 1e-3 <= tick < 1e5:
        return f"{tick:.10g}"
    return np.format_float_scientific(
        tick, precision=9, trim="-", exp_digits=1
    ).replace("+", "")


MARKERS = (
    "star",
    "circle",
    "square",
    "triangle",
    "diamond",
    "inverted_triangle",
    "plus",
    "x",
    "hex",
)
"""Bokeh's names of the class markers used in the library's other pictures."""

LOW, HIGH = COLOURS[1], COLOURS[0]
"""The colors of low or negative values (blue) and high or positive values (orange)."""


def bytes_of(name: str) -> Array:
    """Return the red, green and blue values, (3,), of a color such as "#0072B2"."""
    return np.array([*bytes.fromhex(name[1:])], float)


def rgba(colours, opacity) -> Array:
    """Pack colors (..., 3) in [0, 255] and opacities (...) in [0, 1] into pixels."""
    pixels = np.empty((*opacity.shape, 4), np.uint8)
    pixels[..., :3] = colours
    pixels[..., 3] = np.clip(255 * opacity, 0, 255)
    return pixels.view(np.uint32)[..., 0]


def class_pixels(P, smooth: bool = True) -> Array:
    """Color class probabilities (..., C); more certain predictions are more opaque."""
    classes = P.shape[-1]
    palette = np.array([bytes_of(colour(k)) for k in range(classes)])
    certainty = np.ones(P.shape[:-1])
    if smooth:
        certainty = (P.max(axis=-1) * classes - 1) / (classes - 1)
    return rgba(palette[P.argmax(axis=-1)], 0.08 + 0.55 * np.nan_to_num(certainty))


def number_pixels(values, low: float, high: float) -> Array:
    """Color numbers from blue (low) through transparent to orange (high)."""
    scaled = np.nan_to_num(
        np.clip((values - low) / max(high - low, 1e-300) * 2 - 1, -1, 1)
    )
    return rgba(_low_or_high(scaled), 0.75 * np.abs(scaled))


def _low_or_high(scaled):
    """Return the color of the sign of numbers, (..., 3)."""
    return np.where(scaled[..., None] < 0, bytes_of(LOW), bytes_of(HIGH))


def evenly_spaced(count: int) -> Array:
    """Return the indices of the drawn points."""
    return np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int)


def columns_of_points(session: Session, rows) -> dict:
    """Return colors, markers and opacities for `add_points`; test points are hollow."""
    points = session.points
    columns: dict = {"row": rows, "inside": np.where(points.is_test[rows], 0.0, 0.9)}
    t = points.t[rows]
    if session.class_count:
        columns["colour"] = [colour(k) for k in t]
        columns["marker"] = [MARKERS[k % len(MARKERS)] for k in t]
        return columns
    scaled = 2 * (t - points.t.min()) / max(np.ptp(points.t), 1e-300) - 1
    grey = bytes_of("#B0B0B0")
    mixed = grey + np.abs(scaled)[:, None] * (_low_or_high(scaled) - grey)
    columns["colour"] = [
        "#" + bytes(row).hex().upper() for row in mixed.astype(np.uint8)
    ]
    columns["marker"] = ["circle"] * len(t)
    return columns
