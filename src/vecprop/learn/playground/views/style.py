"""Shared figure styles: plain figures, logarithmic axes and colors.

Figures have a transparent background; the page's script sets the color of lines and text.
"""

from math import ceil, floor, log10
from typing import Any

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, DataRange1d, FixedTicker, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from ....pictures.style import COLOURS, colour
from ..session import Session

INK = "ink"
"""The name of glyphs that use the page's text color."""

SELECTED = "#CC79A7"
"""The color of selected items."""

MOST_POINTS = 1_000
"""The maximum number of drawn points, for speed; more are thinned evenly."""


def plain_figure(name: str, **options: Any) -> Any:
    """Create a Bokeh figure without toolbar and background."""
    options |= {"toolbar_location": None, "tools": "", "sizing_mode": "stretch_both", "output_backend": "canvas"}
    made = figure(name=name, min_border=4, **options)
    made.background_fill_color = made.border_fill_color = made.outline_line_color = None
    made.grid.grid_line_alpha = 0.3
    return made


def empty(names: str) -> Any:
    """Create a data source with empty columns."""
    return ColumnDataSource({name: [] for name in names.split()})


def add_points(made: Any, size: int, **options: Any) -> Any:
    """Add points with individual colors and markers; return their data source."""
    points = empty("x y row colour marker inside")
    look = {"fill_color": "colour", "line_color": "colour", "fill_alpha": "inside", **options}
    made.scatter(source=points, marker="marker", size=size, **look)
    return points


def legend_of(made: Any) -> Any:
    """Remove the frame of a figure's legend and return the legend."""
    (legend,) = made.legend
    legend.update(border_line_color=None, background_fill_alpha=0, padding=0)
    return legend


def counted(made: Any, what: str, values: str) -> Any:
    """Label both axes; the horizontal axis counts epochs or steps from zero."""
    made.x_range = DataRange1d(start=0)
    ticker = BasicTicker(min_interval=1, desired_num_ticks=5, num_minor_ticks=0)
    made.xaxis.update(axis_label=what, ticker=ticker, formatter=NumeralTickFormatter(format="0,0"))
    made.yaxis.axis_label = values
    return made


def without_axes(made: Any) -> Any:
    """Hide the axes and the grid of a figure."""
    made.axis.visible = made.grid.visible = False
    return made


FEWEST_TICKS = 3
LEAST, MOST = 1e-280, 1e280
"""The smallest and largest drawn values."""


def log_figure(name: str, what: str, values: str) -> Any:
    """Create a figure with a logarithmic axis for values over epochs or steps."""
    made = counted(plain_figure(name, y_axis_type="log", y_range=Range1d()), what, values)
    made.scatter(0, 1, alpha=0)  # Bokeh draws no axes without data
    made.yaxis.ticker = FixedTicker()
    fit_log_axis(made, np.empty(0))
    return made


def fit_log_axis(made: Any, values: np.ndarray) -> None:
    """Fit the limits and ticks of a logarithmic axis to the positive values."""
    drawn = values[np.isfinite(values) & (values > 0)]
    low, high = np.log10(np.clip([drawn.min(), drawn.max()], LEAST, MOST)) if drawn.size else (-1.0, 0.0)
    margin = max(0.05 * (high - low), 0.001)
    start, end = 10.0 ** (low - margin), 10.0 ** (high + margin)
    ticks = log_ticks(start, end)
    made.y_range.update(start=start, end=end)
    made.yaxis[0].ticker.ticks = list(ticks)
    made.yaxis.major_label_overrides = ticks


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
    """Return at least three multiples of 1, 2 or 5 times a power of ten."""
    widest = (high - low) / FEWEST_TICKS
    power = floor(log10(widest))
    digit = max(digit for digit in (1, 2, 5) if digit == 1 or float(f"{digit}e{power}") <= widest)
    step = float(f"{digit}e{power}")
    return [float(f"{digit * number}e{power}") for number in range(ceil(low / step), floor(high / step) + 1)]


def _label(tick: float) -> str:
    """Format a number without trailing zeros, in scientific notation if necessary."""
    if 1e-3 <= tick < 1e5:
        return f"{tick:.10g}"
    return np.format_float_scientific(tick, precision=9, trim="-", exp_digits=1).replace("+", "")


MARKERS = ("star", "circle", "square", "triangle", "diamond", "inverted_triangle", "plus", "x", "hex")
"""Bokeh's names of the class markers used in the library's other pictures."""

LOW, HIGH = COLOURS[1], COLOURS[0]
"""The colors of low or negative values (blue) and high or positive values (orange)."""


def bytes_of(name: str) -> np.ndarray:
    """Return the red, green and blue values, (3,), of a color such as "#0072B2"."""
    return np.array([*bytes.fromhex(name[1:])], float)


def rgba(colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Pack colors (..., 3) in [0, 255] and opacities (...) in [0, 1] into pixels."""
    pixels = np.empty((*opacity.shape, 4), np.uint8)
    pixels[..., :3] = colours
    pixels[..., 3] = np.clip(255 * opacity, 0, 255)
    return pixels.view(np.uint32)[..., 0]


def of_classes(P: np.ndarray, smooth: bool = True) -> np.ndarray:
    """Color class probabilities (..., C); more certain predictions are more opaque."""
    palette = np.array([bytes_of(colour(k)) for k in range(P.shape[-1])])
    sure = (P.max(axis=-1) * P.shape[-1] - 1) / (P.shape[-1] - 1) if smooth else np.ones(P.shape[:-1])
    return rgba(palette[P.argmax(axis=-1)], 0.08 + 0.55 * np.nan_to_num(sure))


def of_numbers(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Color numbers from blue (low) through transparent to orange (high)."""
    scaled = np.nan_to_num(np.clip((values - low) / max(high - low, 1e-300) * 2 - 1, -1, 1))
    return rgba(np.where(scaled[..., None] < 0, bytes_of(LOW), bytes_of(HIGH)), 0.75 * np.abs(scaled))


def columns_of_points(session: Session, rows: np.ndarray) -> dict[str, Any]:
    """Return colors, markers and opacities for `add_points`; test points are hollow."""
    points = session.points
    columns: dict[str, Any] = {"row": rows, "inside": np.where(points.is_test[rows], 0.0, 0.9)}
    t = points.t[rows]
    if session.class_count:
        return columns | {"colour": [colour(k) for k in t], "marker": [MARKERS[k % len(MARKERS)] for k in t]}
    share = ((t - points.t.min()) / max(np.ptp(points.t), 1e-300))[:, None]
    grey = bytes_of("#B0B0B0")
    mixed = grey + np.abs(2 * share - 1) * (np.where(share < 0.5, bytes_of(LOW), bytes_of(HIGH)) - grey)
    colours = ["#{:02X}{:02X}{:02X}".format(*row) for row in mixed.astype(int)]
    return columns | {"colour": colours, "marker": ["circle"] * len(t)}
