"""The common style of all figures: colors, markers, line styles, axes and legends.

This module does not change matplotlib's global settings. Matplotlib is imported when a
figure is drawn.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..system.extras import imported

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any


COLOURS = (
    "#D55E00",
    "#0072B2",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#F0E442",
)
"""The palette of Okabe and Ito (2008), which color-blind readers can distinguish; it
starts with red and blue.
"""

MARKERS = ("*", "o", "s", "^", "D", "v", "P", "X", "p")
"""The markers. There is one more marker than colors, so that the first 72 pairs of
color and marker differ.
"""

LINES = ("-", "--", "-.", ":")
"""The line styles, which distinguish curves in gray print."""

TINTS = (0.2, 0.4, 0.3)
"""The opacities of the class regions, which differ so that gray print also
distinguishes the regions.
"""

INK = "#333333"
"""The color of neutral lines, such as boundaries and thresholds, on a white
background.
"""


def colour(number: int) -> str:
    """Return the color of class or curve `number`; the eight colors repeat."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Return the marker of class or curve `number`; the nine markers repeat."""
    return MARKERS[number % len(MARKERS)]


def line(number: int) -> str:
    """Return the line style of curve `number`; the four line styles repeat."""
    return LINES[number % len(LINES)]


def tint(number: int) -> str:
    """Return the opaque color of a class region: the color of the class, mixed with the background."""
    from matplotlib.colors import to_hex, to_rgb

    share = TINTS[number % len(TINTS)]
    ground = np.array(to_rgb(pyplot().rcParams["axes.facecolor"]))
    red, green, blue = share * np.array(to_rgb(colour(number))) + (1 - share) * ground
    return to_hex((red, green, blue))


def ink() -> str:
    """Return the color of neutral lines: `INK`, or the edge color of the axes if a style sets it."""
    edges = pyplot().rcParams["axes.edgecolor"]
    return INK if edges == "black" else edges


def pyplot():
    """Return matplotlib.pyplot, or raise an error that says how to install it."""
    return imported("matplotlib.pyplot", "A figure", "pictures")


def axes_or_new(ax: "Axes | None", **subplot) -> "Axes":
    """Return ax, or the axes of a new figure if ax is None."""
    if ax is None:
        _, new_axes = pyplot().subplots(layout="constrained", subplot_kw=subplot)
        return new_axes
    if not hasattr(ax, "get_figure"):
        raise TypeError(
            "ax must be the Axes of a matplotlib figure, such as plt.gca(), got"
            f" {ax!r}."
        )
    return ax


def note_above(ax: "Axes", words: str, x: float, **look):
    """Write a note above the axes, at the horizontal position x."""
    ax.annotate(
        words,
        (x, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        **look,
    )


def add_legend(ax: "Axes"):
    """Add a legend: outside the axes if the figure has a layout engine, and otherwise at the best place inside."""
    if ax.name == "3d":
        ax.legend(loc="upper right")  # a corner outside the cube
    elif ax.figure.get_layout_engine() is not None:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    else:
        ax.legend(loc="best")


Function = TypeVar("Function", bound=Callable[..., Any])


def figure_of(
    needed: str, *attributes: str, plot: str = ""
) -> Callable[[Function], Function]:
    """Return a decorator of a figure, which checks that its first argument has these attributes.

    If the argument is a model with the method ``plot`` in its ``plot`` accessor, this
    method draws the figure.
    """

    def decorate(draw: Function) -> Function:
        @wraps(draw)
        def draw_checked(*arguments, **options):
            """Draw the figure, or let the model draw it."""
            if not arguments:
                return draw(**options)
            source, *further_arguments = arguments
            accessor = getattr(source, "plot", None)
            if plot and hasattr(accessor, plot):
                draw_model = getattr(accessor, plot)
                return draw_model(*further_arguments, **options)
            if not all(hasattr(source, name) for name in attributes):
                raise TypeError(
                    f"{draw.__name__} needs {needed}, got {type(source).__name__}."
                )
            return draw(*arguments, **options)

        return draw_checked  # pyright: ignore[reportReturnType]

    return decorate
