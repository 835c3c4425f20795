"""The final losses of many random starts: they show whether one method finds the minimum more often than another."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..core.elementary import Array
from .style import axes_or_new, colour, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_random_starts(
    losses: Mapping[str, Array], ax: "Axes | None" = None, *, threshold: float | None = None
) -> "Axes":
    r"""Draw the final loss of each random start as a dot, a row of dots for each method.

    The name of a method stands beside the number of its starts that were successful. Starts that have diverged have no
    dot, and count as unsuccessful. The axis is logarithmic if all losses are positive.

    Parameters
    ----------
    losses : mapping of str to array (M,) or (steps + 1, M)
        For each method, by name, the final losses of its M starts, or their losses over training.
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.
    threshold : float, optional
        The loss at or below which a start counts as successful; by default ten times the lowest.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If no loss is finite, losses have a wrong shape, or the lowest is not positive and no threshold is given.

    Examples
    --------
    >>> ax = plot_random_starts({"gradient descent": [3.0, 0.2], "momentum": [0.1, 0.2]}, threshold=1.0)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['gradient descent\n1 of 2', 'momentum\n2 of 2']
    """
    final = {name: _final_losses(name, method) for name, method in losses.items()}
    reached = np.concatenate([values[np.isfinite(values)] for values in final.values()] or [np.empty(0)])
    if reached.size == 0:
        raise ValueError("No start ended at a finite loss, so there is nothing to draw: give methods that converge.")
    lowest = float(reached.min())
    if threshold is None:
        if lowest <= 0:
            raise ValueError(f"The lowest loss is {lowest:g}, of which ten times is no threshold: give threshold=….")
        threshold = 10 * lowest

    ax = axes_or_new(ax)
    names = []
    for number, (name, values) in enumerate(final.items()):
        successes = np.count_nonzero(values <= threshold)
        names.append(f"{name}\n{successes} of {len(values)}")
        ended = values[np.isfinite(values)]
        ax.plot(ended, number + _spread(len(ended)), ".", color=colour(number), markersize=5, alpha=0.6, linewidth=0)
    ax.axvline(threshold, color=ink(), linestyle=":", linewidth=1)
    ax.annotate(
        f"success: at most {threshold:.3g} ",
        (threshold, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize="small",
    )
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=r"final loss $\xi$", ylim=(len(names) - 0.5, -0.5))
    if lowest > 0:
        ax.set_xscale("log")
    return ax


def _spread(count: int) -> np.ndarray:
    """Return heights between -0.3 and 0.3, evenly spread and in no order, so that dots do not hide each other."""
    golden = (5**0.5 - 1) / 2
    return 0.6 * ((np.arange(count) * golden + 0.5) % 1 - 0.5)


def _final_losses(name: str, losses: Array) -> np.ndarray:
    """Return the last loss of each start, (M,); that of a start that diverged is infinite."""
    losses = np.asarray(losses, dtype=float)
    if losses.ndim not in (1, 2) or losses.size == 0:
        raise ValueError(f'The losses of "{name}" have shape {losses.shape}: give (M,) or (steps + 1, M).')
    final = losses if losses.ndim == 1 else losses[-1]
    return np.where(np.isfinite(final), final, np.inf)
