"""Pictures inside a page, as SVG whose text and lines take the colours of the page, in light and dark mode."""

import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import Any

from ...pictures.style import INK, colour
from .markup import Html, element, html

WIDTH = 3.75
"""The width of a picture in inches, that of a small screen: there text is as large as on the page."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}
"""Text stays text, which the page's fonts draw, and a dollar sign is one."""
COLOURS = {INK: "currentColor", colour(1): "var(--blue)", colour(0): "var(--red)", colour(2): "var(--green)"}
"""What is drawn in these colours takes those of the page."""


def picture(caption: str, draw: Callable[..., Any], *arguments: Any, height: float = 2.8) -> Html:
    """Return the picture that a function draws on Axes, with its caption, as HTML."""
    return element("figure", drawn(caption, draw, *arguments, height=height), element("figcaption", caption))


def drawn(alt: str, draw: Callable[..., Any], *arguments: Any, height: float = 2.8) -> Html:
    """Return the picture that a function draws on Axes as an SVG element; see `picture`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    stream = StringIO()
    with rc_context({**STYLE, "svg.hashsalt": alt}), warnings.catch_warnings():  # the salt makes names in it unique
        warnings.filterwarnings("ignore", "Glyph")  # which the fonts of the page have
        figure = Figure((WIDTH, height), layout="constrained")
        draw(figure.subplots(), *arguments)
        figure.savefig(
            stream, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _in_a_page(stream.getvalue(), alt)


def _in_a_page(text: str, alt: str) -> Html:
    """Return the text of an SVG file as an element of a page: without names, fonts and style of its own."""
    size, body = re.search(r'viewBox="[^"]*"', text), text.partition("</style>")[2].partition("</defs>")[2]
    assert size
    body = re.sub(r"<[^>]*>", lambda tag: _of_the_page(tag[0]), body.strip())
    return Html(f'<svg role="img" aria-label="{html(alt)}" {size[0]}>{body}')


def _of_the_page(tag: str) -> str:
    tag = re.sub(r'^<g id="[^"]*"', "<g", re.sub(r" font-family: [^;\"]*;?", "", tag.replace(" \n", "")))
    for of_picture, of_page in COLOURS.items():
        tag = tag.replace(of_picture.lower(), of_page)
    return tag
