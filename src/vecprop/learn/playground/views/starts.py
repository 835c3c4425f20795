"""Many starts at once: the loss of each as a thin line, that of the page's own start as a thick one."""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from ....pictures.style import COLOURS
from ..starts import Starts
from .log_axis import fit_log_axis, log_figure

MOST_PLACES = 150
"""The largest number of epochs of a line that are drawn."""


class StartsView:
    """The losses of many starts."""

    def __init__(self) -> None:
        self.figure = log_figure("starts", "epoch", "loss")
        self._curves: Any = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "width", "opacity")})
        self.figure.multi_line(
            "xs", "ys", source=self._curves, line_color="colour", line_width="width", line_alpha="opacity"
        )

    def draw(self, starts: Starts) -> None:
        """Draw the losses; the page's own start comes last, above the others."""
        epochs = np.unique(np.linspace(0, starts.losses.shape[1] - 1, MOST_PLACES).astype(int))
        losses = starts.losses[::-1, epochs]
        others = len(losses) - 1
        self._curves.data = {
            "xs": [epochs] * len(losses),
            "ys": list(np.where(losses > 0, losses, np.nan)),
            "colour": [COLOURS[1]] * others + [COLOURS[0]],
            "width": [1.0] * others + [3.0],
            "opacity": [0.35] * others + [1.0],
        }
        fit_log_axis(self.figure, losses)

    def clear(self) -> None:
        """Remove the losses, which are of other settings."""
        self._curves.data = {name: [] for name in self._curves.data}
        fit_log_axis(self.figure, np.empty(0))


def described(starts: Starts) -> str:
    """Return what has become of many starts, in a sentence.

    Examples
    --------
    >>> described(Starts(np.arange(3), np.array([[1.0, 0.5], [1.0, 0.1], [1.0, np.nan]])))
    'Of 3 starts 2 reached the end: the best loss is 0.1, the median 0.3, the worst 0.5.'
    """
    ends = starts.losses[:, -1]
    ends = ends[np.isfinite(ends)]
    if not len(ends):
        return f"None of {len(starts.losses)} starts reached the end: all diverged, or time was over."
    best, median, worst = np.quantile(ends, [0, 0.5, 1])
    return (
        f"Of {len(starts.losses)} starts {len(ends)} reached the end: "
        f"the best loss is {best:.4g}, the median {median:.4g}, the worst {worst:.4g}."
    )
