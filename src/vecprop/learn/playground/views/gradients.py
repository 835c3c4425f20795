"""The gradient of each layer and its move, step by step: where training stands still, and where it leaps."""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from ....pictures.style import colour
from ..record import Curves
from ..session import Session
from .log_axis import fit_log_axis, log_figure

MOST_PLACES = 300
"""The largest number of places of a curve."""


class GradientsView:
    """The norms of gradients and moves."""

    def __init__(self) -> None:
        self.figure = log_figure("gradients", "step", "norm")
        self._curves: Any = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "dash", "name")})
        self.figure.multi_line(
            "xs", "ys", source=self._curves, line_color="colour", line_dash="dash", line_width=1.8, legend_field="name"
        )
        (legend,) = self.figure.legend
        legend.update(border_line_color=None, background_fill_alpha=0, padding=0)
        self.figure.center.remove(legend)
        self.figure.add_layout(legend, "right")  # where it covers nothing

    def update(self, session: Session) -> None:
        """Draw the curves up to now."""
        history = session.history
        drawn = [
            (*_some(curves, layer), colour(layer), dash, f"{what} of layer {layer + 1}")
            for curves, what, dash in ((history.gradient_norms, "gradient", "solid"), (history.moves, "step", "dashed"))
            for layer in range(curves.values.shape[1])
        ]
        self._curves.data = dict(zip(self._curves.data, map(list, zip(*drawn, strict=True)), strict=True))
        fit_log_axis(self.figure, np.concatenate(self._curves.data["ys"]))


def _some(curves: Curves, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Return some steps and the values after them, without zeros, which a logarithm does not show."""
    values = curves.values[:, layer]
    places = np.flatnonzero(values > 0)
    if not len(places):
        return np.empty(0), np.empty(0)
    places = places[np.unique(np.linspace(0, len(places) - 1, MOST_PLACES).astype(int))]
    return curves.epochs[places].astype(float), values[places]
