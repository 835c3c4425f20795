"""The ball: the path of the last steps on the surface of the loss, in the two directions of its largest moves."""

import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper, Range1d

from ..session import Session
from .plain_figure import plain_figure

SIZE = 40
"""The number of places of the surface along a side."""


class MomentumView:
    """The surface of the loss, and the ball."""

    def __init__(self) -> None:
        self.figure = plain_figure("momentum", x_range=Range1d(start=-1, end=1), y_range=Range1d(start=-1, end=1))
        self._surface = ColumnDataSource({name: [] for name in ("image", "x", "y", "dw", "dh")})
        self._path = ColumnDataSource({"x": [], "y": []})
        self._ball = ColumnDataSource({"x": [], "y": []})
        self.figure.image(
            "image", "x", "y", "dw", "dh", source=self._surface, color_mapper=LinearColorMapper(palette="Cividis256")
        )
        self.figure.line("x", "y", source=self._path, line_color="#FFFFFF", line_width=2)
        self.figure.scatter("x", "y", source=self._path, size=4, color="#FFFFFF")
        self.figure.scatter(
            "x", "y", source=self._ball, size=16, fill_color="#D55E00", line_color="#FFFFFF", line_width=2
        )
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = "first direction", "second direction"

    def update(self, session: Session) -> None:
        """Draw the surface around the parameters, and the path to them."""
        surface = session.surface(SIZE)
        x, y = surface.first, surface.second
        self.figure.x_range.update(start=x[0], end=x[-1])
        self.figure.y_range.update(start=y[0], end=y[-1])
        height = np.log(np.maximum(surface.loss, 1e-300))
        self._surface.data = {
            "image": [np.where(np.isfinite(height), height, np.nan)],
            "x": [x[0]],
            "y": [y[0]],
            "dw": [x[-1] - x[0]],
            "dh": [y[-1] - y[0]],
        }
        self._path.data = dict(zip("xy", surface.path.T, strict=True))
        self._ball.data = {"x": surface.path[-1:, 0], "y": surface.path[-1:, 1]}
