"""A figure without decoration, which lies on the page's own colour; the page's script gives lines and text its ink."""

from typing import Any

from bokeh.models import BasicTicker, DataRange1d, NumeralTickFormatter
from bokeh.plotting import figure

INK = "ink"
"""The name of what is drawn in the colour of the page's text."""


def plain_figure(name: str, **options: Any) -> Any:
    """Return a figure of Bokeh without toolbar and background, by its name on the page."""
    made = figure(
        name=name,
        **{"toolbar_location": None, "tools": "", "sizing_mode": "stretch_both", "output_backend": "canvas", **options},
    )
    made.background_fill_color = made.border_fill_color = made.outline_line_color = None
    made.min_border = 4
    made.grid.grid_line_alpha = 0.3
    return made


def counted(made: Any, what: str, values: str) -> Any:
    """Return a figure with the names of its axes, whose horizontal one counts epochs or steps from zero."""
    made.x_range = DataRange1d(start=0)
    made.xaxis.update(
        axis_label=what,
        ticker=BasicTicker(min_interval=1, desired_num_ticks=5, num_minor_ticks=0),
        formatter=NumeralTickFormatter(format="0,0"),
    )
    made.yaxis.axis_label = values
    return made


def without_axes(made: Any) -> Any:
    """Return a figure whose axes and grid are not drawn."""
    made.axis.visible = made.grid.visible = False
    return made
