"""What all pictures look like: colours, markers and line styles, the axes they draw on and where the legend stands.

Nothing here changes matplotlib's global settings, and matplotlib is imported only where something is drawn.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""The palette of Okabe and Ito (2008), which the colour-blind can tell apart; it starts with the red and the blue."""

MARKERS = ("*", "o", "s", "^", "D", "v", "P", "X", "p")
"""One marker more than colours, so that no pair of colour and marker returns before class 72."""

LINES = ("-", "--", "-.", ":")
"""The line styles, for print in grey."""

TINTS = (0.2, 0.4, 0.3)
"""How much of its class's colour a region takes: not all the same, so that they differ in grey too."""

INK = "#333333"
"""The colour of what is neither of a class nor of a method: boundaries, thresholds and the like."""


def colour(number: int) -> str:
    """Return the colour of class or curve `number`; colours return after 8."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Return the marker of class or curve `number`; markers return after 9."""
    return MARKERS[number % len(MARKERS)]


def line(number: int) -> str:
    """Return the line style of curve `number`; line styles return after 4."""
    return LINES[number % len(LINES)]


def tint(number: int) -> str:
    """Return the pale, opaque colour of class `number`'s region."""
    share = TINTS[number % len(TINTS)]
    red, green, blue = (round(255 - share * (255 - level)) for level in bytes.fromhex(colour(number)[1:]))
    return f"#{red:02x}{green:02x}{blue:02x}"


def pyplot() -> Any:
    """Return matplotlib.pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot
    except ModuleNotFoundError:
        raise ImportError('Pictures need matplotlib, which is not here: pip install "vecprop[pictures]".') from None
    return matplotlib.pyplot


def axes_or_new(ax: "Axes | None", **subplot: Any) -> "Axes":
    """Return ax, or where it is None the axes of a new figure."""
    if ax is not None:
        return ax
    return pyplot().subplots(layout="constrained", subplot_kw=subplot)[1]


def add_legend(ax: "Axes") -> None:
    """Add a legend: beside the axes where the figure's layout makes room for it, else inside, where it hides least."""
    if ax.name == "3d":
        place = {"loc": "upper right"}  # a corner that the cube leaves free
    elif ax.figure.get_layout_engine() is not None:
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    else:
        place = {"loc": "best"}
    ax.legend(**place)
