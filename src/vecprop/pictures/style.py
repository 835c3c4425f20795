"""The common style of the figures: colours, markers, line styles, axes and the place of the legend.

Nothing here changes matplotlib's global settings, and matplotlib is imported only when something is drawn.
"""

from typing import TYPE_CHECKING, Any

from ..system.extras import imported

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any


COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""The palette of Okabe and Ito (2008), which colour-blind readers can distinguish; it starts with red and blue."""

MARKERS = ("*", "o", "s", "^", "D", "v", "P", "X", "p")
"""The markers: one more than the colours, so that no pair of colour and marker repeats before class 72."""

LINES = ("-", "--", "-.", ":")
"""The line styles, which distinguish curves in grey print."""

TINTS = (0.2, 0.4, 0.3)
"""The shares of the class's colour in its region: different ones, so that regions differ in grey print too."""

INK = "#333333"
"""The colour of lines that belong to no class or method, such as boundaries and thresholds, on white."""


def colour(number: int) -> str:
    """Return the colour of class or curve `number`; colours repeat after 8."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Return the marker of class or curve `number`; markers repeat after 9."""
    return MARKERS[number % len(MARKERS)]


def line(number: int) -> str:
    """Return the line style of curve `number`; line styles repeat after 4."""
    return LINES[number % len(LINES)]


def tint(number: int) -> str:
    """Return the opaque colour of class `number`'s region: its colour, mixed with that of the axes."""
    from matplotlib.colors import to_hex, to_rgb

    share = TINTS[number % len(TINTS)]
    ground = to_rgb(pyplot().rcParams["axes.facecolor"])
    red, green, blue = (share * own + (1 - share) * of for own, of in zip(to_rgb(colour(number)), ground, strict=True))
    return to_hex((red, green, blue))


def ink() -> str:
    """Return the colour of lines that belong to no class: `INK`, or that of the axes' edges in a style that sets it."""
    edges = pyplot().rcParams["axes.edgecolor"]
    return INK if edges == "black" else edges


def pyplot() -> Any:
    """Return matplotlib.pyplot, or raise an error that says how to install it."""
    return imported("matplotlib.pyplot", "A picture", "pictures")


def axes_or_new(ax: "Axes | None", **subplot: Any) -> "Axes":
    """Return ax, or the axes of a new figure if it is None."""
    return pyplot().subplots(layout="constrained", subplot_kw=subplot)[1] if ax is None else ax


def note_above(ax: "Axes", words: str, x: float, **look: Any) -> None:
    """Write words above the axes, where the horizontal axis has the value x."""
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center"}
    ax.annotate(words, (x, 1), (0, 3), **place, **look)


def add_legend(ax: "Axes") -> None:
    """Add a legend: beside the axes if the figure's layout makes room for it, else at the best place inside."""
    if ax.name == "3d":
        place = {"loc": "upper right"}  # a corner outside the cube
    elif ax.figure.get_layout_engine() is not None:
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    else:
        place = {"loc": "best"}
    ax.legend(**place)
