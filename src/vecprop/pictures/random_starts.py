"""The final losses of many random starts: they show whether one method finds the minimum more often than another."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..core.elementary import Array
from .style import INK, axes_or_new, colour, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_random_starts(
    losses: Mapping[str, Array], ax: "Axes | None" = None, *, threshold: float | None = None
) -> "Axes":
    r"""Draw the distribution of the final loss over random starts, a curve for each method.

    At each loss the curve shows the share of starts that ended at or below it, so the curve of the better method is
    higher. If starts have diverged, the curve does not reach 1. The axis is logarithmic if all losses are positive.

    Parameters
    ----------
    losses : mapping of str to array (M,) or (steps + 1, M)
        For each method, by name, the final losses of its M starts, or their losses over training.
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.
    threshold : float, optional
        The loss at or below which a start counts as successful; by default ten times the lowest. The legend
        shows the number of successful starts of each method.

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
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['gradient descent: 1 of 2 starts at or below 1', 'momentum: 2 of 2 starts at or below 1']
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
    for number, (name, values) in enumerate(final.items()):
        ended = np.sort(values[np.isfinite(values)])
        successes = np.count_nonzero(values <= threshold)
        ax.plot(
            [lowest, *ended, reached.max()],
            np.append(np.arange(len(ended) + 1), len(ended)) / len(values),
            drawstyle="steps-post",
            color=colour(number),
            linestyle=line(number),
            label=f"{name}: {successes} of {len(values)} starts at or below {threshold:.3g}",
        )
    ax.axvline(threshold, color=INK, linestyle=":", linewidth=1)
    ax.set(xlabel=r"final loss $\xi$", ylabel="share of starts at or below", ylim=(-0.02, 1.02))
    if lowest > 0:
        ax.set_xscale("log")
    ax.legend(loc="best")
    return ax


def _final_losses(name: str, losses: Array) -> np.ndarray:
    """Return the last loss of each start, (M,); that of a start that diverged is infinite."""
    losses = np.asarray(losses, dtype=float)
    if losses.ndim not in (1, 2) or losses.size == 0:
        raise ValueError(f'The losses of "{name}" have shape {losses.shape}: give (M,) or (steps + 1, M).')
    final = losses if losses.ndim == 1 else losses[-1]
    return np.where(np.isfinite(final), final, np.inf)
