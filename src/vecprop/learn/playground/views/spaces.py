"""The hidden space, and the loss surface with the path of recent parameters."""

from itertools import combinations, product

import numpy as np
from bokeh.models import LinearColorMapper

from ....pictures.hidden_space import corners_of_cut
from ..session import Session
from ..shown import hidden, loss_surface
from .figures import (
    INK,
    add_points,
    columns_of_points,
    empty,
    evenly_spaced,
    plain_figure,
    without_axes,
)

BOUNDED = {"logistic": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""The output ranges of bounded activations."""

SIZE = 40
"""The number of pixels of the loss surface along a side."""


class HiddenView:
    """Draws the outputs of the last hidden layer in 3D."""

    def __init__(self):
        # The ranges have the aspect ratio on the page.
        self.figure = without_axes(
            plain_figure("hidden", x_range=(-2.7, 2.7), y_range=(-1.8, 1.8))
        )
        self._box = empty("xs ys")
        self._cut = empty("xs ys")
        self._names = empty("x y text")
        self.figure.multi_line("xs", "ys", source=self._box, line_alpha=0.35, name=INK)
        self.figure.patches(
            "xs", "ys", source=self._cut, fill_alpha=0.15, line_width=2, name=INK
        )
        self._points = add_points(self.figure, 8)
        self.figure.text(
            "x",
            "y",
            "text",
            source=self._names,
            text_font_size="12px",
            text_align="center",
            name=INK,
        )
        self.angles = np.array([0.6, 0.35])

    def turn(self, around: float, up: float):
        """Rotate the space by angles in radians; the elevation stays within ±π/2."""
        self.angles += (around, up)
        self.angles[1] = np.clip(self.angles[1], -np.pi / 2, np.pi / 2)

    def update(self, session: Session):
        """Draw the outputs of up to three units, scaled to [-1, 1]."""
        H = hidden(session)[:, :3]
        rows = evenly_spaced(len(H))
        H = H[rows]
        units = H.shape[1]
        limits = (float(H.min(initial=0)), float(H.max(initial=1)))
        low, high = BOUNDED.get(session.settings.activation, limits)
        self._box.data = self._edges_of_box(units)
        x, y = self._flat(_cut(session, units, low=low, high=high)).T
        self._cut.data = {"xs": [x], "ys": [y]}
        scaled = (H - low) / max(high - low, 1e-300) * 2 - 1
        x, y = self._flat(scaled).T
        self._points.data = {"x": x, "y": y, **columns_of_points(session, rows)}
        # names at the ends of the axes, or of the edges from the corner (-1, -1, -1)
        tips = 1.15 * np.eye(units)
        if units == 3:
            tips = np.where(tips > 0, tips, -1.0)
        x, y = self._flat(tips).T
        names = [f"unit {k + 1}" for k in range(units)]
        self._names.data = {"x": x, "y": y, "text": names}

    def _edges_of_box(self, units):
        """Project the edges of the box [-1, 1]^units to the screen."""
        corners = np.array(list(product((-1.0, 1.0), repeat=units))).reshape(-1, units)
        x, y = self._flat(corners).T
        edges = {"xs": [], "ys": []}
        for start, end in combinations(range(len(corners)), 2):
            # the ends of an edge differ in one coordinate
            if np.sum(corners[start] != corners[end]) == 1:
                edges["xs"].append((x[end], x[start]))
                edges["ys"].append((y[end], y[start]))
        return edges

    def _flat(self, positions):
        """Project positions, (K, units), to the screen, (K, 2)."""
        if positions.shape[1] < 3:
            return np.pad(positions, ((0, 0), (0, 2 - positions.shape[1])))
        around, elevation = self.angles
        x, y, z = positions.T
        across = np.cos(around) * x - np.sin(around) * y
        depth = np.sin(around) * x + np.cos(around) * y
        return np.column_stack(
            [across, np.sin(elevation) * depth + np.cos(elevation) * z]
        )


def _cut(session, units, low, high):
    """Return the corners of the plane where both classes are equally probable."""
    last = session.network.layout.views(session.theta)[-1]
    if session.network.outputs != 2 or len(last["W"]) != units or units < 2:
        return np.empty((0, units))
    normal = last["W"] @ [1, -1]
    offset = float(last["b"] @ [1, -1])
    return 2 * corners_of_cut(normal * (high - low), low * normal.sum() + offset) - 1


class MomentumView:
    """Draws the loss surface, the recent path and the current parameters as a ball."""

    def __init__(self):
        self.figure = plain_figure("momentum", x_range=(-1, 1), y_range=(-1, 1))
        self._surface = empty("image x y dw dh")
        self._path = empty("x y")
        self._ball = empty("x y")
        colours = LinearColorMapper(palette="Cividis256")
        self.figure.image(
            "image", "x", "y", "dw", "dh", source=self._surface, color_mapper=colours
        )
        self.figure.line(
            "x", "y", source=self._path, line_color="#FFFFFF", line_width=2
        )
        self.figure.scatter("x", "y", source=self._path, size=4, color="#FFFFFF")
        self.figure.scatter(
            "x",
            "y",
            source=self._ball,
            size=16,
            fill_color="#D55E00",
            line_color="#FFFFFF",
            line_width=2,
        )
        self.figure.xaxis.axis_label = "first direction"
        self.figure.yaxis.axis_label = "second direction"

    def update(self, session: Session):
        """Draw the loss around the current parameters and the path to them."""
        loss, x, y, path = loss_surface(session, SIZE)
        self.figure.x_range.update(start=x[0], end=x[-1])
        self.figure.y_range.update(start=y[0], end=y[-1])
        height = np.log(np.maximum(loss, 1e-300))
        self._surface.data = {
            "image": [np.where(np.isfinite(height), height, np.nan)],
            "x": [x[0]],
            "y": [y[0]],
            "dw": [x[-1] - x[0]],
            "dh": [y[-1] - y[0]],
        }
        self._path.data = {"x": path[:, 0], "y": path[:, 1]}
        self._ball.data = {"x": path[-1:, 0], "y": path[-1:, 1]}
