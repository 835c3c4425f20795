"""The HTML of a report: the macros of ``parts.html``, and plots as SVG."""

import re
import warnings
from collections.abc import Callable
from functools import cache
from io import StringIO
from typing import Any

import numpy as np

from ....pictures.style import INK, colour
from ....system.extras import imported
from ...error import figures, pandas, printable

Html = Any
"""Escaped HTML, a `markupsafe.Markup`."""


@cache
def template(name: str):
    """Return a template of this folder."""
    jinja = imported("jinja2", "A report", "tables")
    pages = jinja.Environment(
        loader=jinja.PackageLoader("vecprop.tables.evaluation.report", ""),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["percent"] = lambda share: f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    return pages.get_template(name)


def parts():
    """Return the macros of ``parts.html`` as functions."""
    return template("parts.html").module


def code_in(text: str) -> Html:
    """Return HTML of a text with code in backticks.

    Examples
    --------
    >>> print(code_in("see `a < b`"))
    see <code>a &lt; b</code>
    """
    from markupsafe import Markup, escape

    return Markup(re.sub("`(.*?)`", r"<code>\1</code>", str(escape(text))))


def shown(value) -> str:
    """Return a value as an integer, a number with four digits, or at most 24 characters.

    Examples
    --------
    >>> shown(1234.567), shown("632.900024414062"), shown("a long name of one thing"), shown(None)
    ('1,235', '632.9', 'a long name of one thing', 'missing')
    """
    # more digits than a reader needs
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+\.\d{6,}", value):
        value = float(value)
    is_number = isinstance(value, int | float | np.number)
    if is_number and not isinstance(value, bool) and np.isfinite(value):
        if not float(value).is_integer():
            return figures(float(value))
        return f"{value:.0f}" if abs(float(value)) < 10_000 else f"{value:,.0f}"
    if pandas().isna(value):
        return "missing"
    text = printable(re.sub(r" 00:00:00(\+00:00)?$", "", str(value)))
    return text if len(text) <= 24 else f"{text[:23]}…"


WIDTH = 3.75
"""The width of a plot in inches, chosen so that its text has the page's size on a
small screen.
"""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
"""Text stays text in the page's fonts, and a dollar sign is literal."""
COLORS = {
    INK: "currentColor",
    colour(1): "var(--blue)",
    colour(0): "var(--red)",
    colour(2): "var(--green)",
}
"""Replacements of plot colors by colors of the page."""


def picture(
    caption: str, draw: Callable[..., Any], *arguments, height: float = 2.8
) -> Html:
    """Return the plot that a function draws on Axes, with its caption, as HTML."""
    return parts().figure(caption, drawn(caption, draw, *arguments, height=height))


def drawn(alt: str, draw: Callable[..., Any], *arguments, height: float = 2.8) -> Html:
    """Return the plot that a function draws on Axes as an SVG element without fonts."""
    from markupsafe import Markup
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    stream = StringIO()
    # the salt makes the SVG's ids unique
    with rc_context({**STYLE, "svg.hashsalt": alt}), warnings.catch_warnings():
        # the fonts of the page have these glyphs
        warnings.filterwarnings("ignore", "Glyph")
        figure = Figure((WIDTH, height), layout="constrained")
        ax = figure.subplots()
        draw(ax, *arguments)
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(axis.get_major_formatter(), ScalarFormatter):
                axis.set_major_formatter(
                    lambda number, _: figures(round(number, 12) + 0.0, 10)
                )
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=no_metadata)
    text = stream.getvalue()
    (size,) = re.findall(r'viewBox="[^"]*"', text)
    _, _, below_style = text.partition("</style>")
    _, _, body = below_style.partition("</defs>")
    body = re.sub(r"<[^>]*>", _in_style_of_page, body.strip())
    start = Markup(f'<svg role="img" aria-label="{{}}" {size}>').format(alt)
    return start + Markup(body)


def _in_style_of_page(match: re.Match[str]) -> str:
    """Return a tag of an SVG with the page's colors, and without fonts and ids."""
    tag = match[0].replace(" \n", "")
    tag = re.sub(r" font-family: [^;\"]*;?", "", tag)
    tag = re.sub(r'^<g id="[^"]*"', "<g", tag)
    for plot_color, page_color in COLORS.items():
        tag = tag.replace(plot_color.lower(), page_color)
    return tag
