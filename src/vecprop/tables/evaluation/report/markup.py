"""HTML that is put together from parts: text is escaped, unless it is HTML already; and pictures in it, as SVG."""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from io import StringIO
from itertools import islice
from typing import Any

from ....pictures.style import INK, colour


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(part: object) -> Html:
    """Return a part as HTML.

    Examples
    --------
    >>> html("a < b"), html(Html("<b>b</b>"))
    ('a &lt; b', '<b>b</b>')
    """
    return part if isinstance(part, Html) else Html(escape(str(part)))


def element(tag: str, *parts: object, **attributes: object) -> Html:
    """Return an element with its parts one after the other; ``_`` ends the name of an attribute that Python reserves.

    Examples
    --------
    >>> element("p", "1 < 2", element("br"), class_="wide")
    '<p class="wide">1 &lt; 2<br></p>'
    """
    named = "".join(f' {name.strip("_").replace("_", "-")}="{escape(str(of))}"' for name, of in attributes.items())
    end = "" if tag in ("br", "img") else f"</{tag}>"
    return Html(f"<{tag}{named}>{join(parts)}{end}")


def code_in(text: str) -> Html:
    """Return text whose parts in backticks are code.

    Examples
    --------
    >>> code_in("see `a < b`")
    'see <code>a &lt; b</code>'
    """
    parts = text.split("`")
    return join(element("code", part) if number % 2 else part for number, part in enumerate(parts))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Return several parts as HTML."""
    return Html(between.join(map(html, parts)))


def figures(value: float, count: int = 4) -> str:
    """Return a number to some figures, without an exponent unless it is very small or large.

    Examples
    --------
    >>> figures(15123.4), figures(0.00012345), figures(-0.5), figures(1.5e20)
    ('15,120', '0.0001234', '-0.5', '1.5e+20')
    """
    return f"{float(f'{value:.{count}g}'):,.12g}"


def bullets(sentences: Iterable[object], most: int = 50) -> Html:
    """Return a list of sentences, at most the first fifty."""
    items = [element("li", sentence) for sentence in islice(sentences, most)]
    return element("ul", join(items, "\n")) if items else Html()


def bar(share: float, *text: object, behind: float = 0.0) -> Html:
    """Return text above a bar whose length is a share of the width of its cell, before a paler one.

    Examples
    --------
    >>> bar(0.25, "25 %")
    '25 %<span class="bar" style="--behind: 0.0%"><span style="width: 25.0%"></span></span>'
    """
    front, back = (f"{100 * min(max(length, 0.0), 1.0):.1f}%" for length in (share, behind))
    return join(
        [*text, element("span", element("span", style=f"width: {front}"), class_="bar", style=f"--behind: {back}")]
    )


def table(heads: Mapping[str, str], rows: Iterable[Sequence[object]], kind: str = "") -> Html:
    """Return a table that may be wider than the page.

    Parameters
    ----------
    rows : iterable of sequence
        The cells of each row. Each says its column's head too, since narrow pages may show a row as a list.
    """
    attributes = [({"class_": of} if of else {}, title) for title, of in heads.items()]
    head = element("tr", *(element("th", title, scope="col", **of) for of, title in attributes))
    body = join(
        (
            element(
                "tr",
                *(
                    element("td", cell, data_head=title, **of)
                    for cell, (of, title) in zip(row, attributes, strict=True)
                ),
            )
            for row in rows
        ),
        "\n",
    )
    whole = element("table", element("thead", head), "\n", element("tbody", body), **({"class_": kind} if kind else {}))
    return element("div", whole, class_="wide")


def folded(summary: object, *parts: object, is_open: bool = False) -> Html:
    """Return parts that are hidden behind a line until it is clicked, or shown until then."""
    return element("details", element("summary", summary), *parts, **({"open": ""} if is_open else {}))


def long_table(heads: Mapping[str, str], rows: Sequence[Sequence[object]], most: int, kind: str = "") -> Html:
    """Return a table whose rows after the first ones are folded; all of them if they are but a few more."""
    if len(rows) <= most + 5:
        return table(heads, rows, kind)
    others = folded(f"{len(rows) - most:,} more", table(heads, rows[most:], kind))
    return join([table(heads, rows[:most], kind), others])


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
