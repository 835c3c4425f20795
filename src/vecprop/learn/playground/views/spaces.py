"""The hidden space, and the loss surface with the path of recent parameters."""

from itertools import product

import numpy as np
from bokeh.models import LinearColorMapper

from ....pictures.hidden_space import corners_of_cut
from ..session import Session
from ..shown import hidden, loss_surface
from .style import INK, MOST_POINTS, add_points, columns_of_points, empty, plain_figure, without_axes

BOUNDED = {"logistic": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""The output ranges of bounded activations."""

SIZE = 40
"""The number of pixels of the loss surface along a side."""


class HiddenView:
    """Draws the outputs of the last hidden layer in 3D."""

    def __init__(self) -> None:
        across, up = (-2.7, 2.7), (-1.8, 1.8)  # the aspect ratio on the page
        self.figure = without_axes(plain_figure("hidden", x_range=across, y_range=up))
        self._box, self._cut, self._names = empty("xs ys"), empty("xs ys"), empty("x y text")
        self.figure.multi_line("xs", "ys", source=self._box, line_alpha=0.35, name=INK)
        self.figure.patches("xs", "ys", source=self._cut, fill_alpha=0.15, line_width=2, name=INK)
        self._points = add_points(self.figure, 8)
        self.figure.text("x", "y", "text", source=self._names, text_font_size="12px", text_align="center", name=INK)
        self.angles = np.array([0.6, 0.35])

    def turn(self, around: float, up: float) -> None:
        """Rotate the space by angles in radians; the elevation stays within ±π/2."""
        self.angles += (around, up)
        self.angles[1] = np.clip(self.angles[1], -np.pi / 2, np.pi / 2)

    def update(self, session: Session) -> None:
        """Draw the outputs of up to three units, scaled to [-1, 1]."""
        H = hidden(session)[:, :3]
        rows = np.linspace(0, len(H) - 1, min(len(H), MOST_POINTS)).astype(int)
        H, units = H[rows], H.shape[1]
        ends = BOUNDED.get(session.settings.activation)
        low, high = ends or (float(H.min(initial=0)), float(H.max(initial=1)))
        corners = np.array(list(product((-1.0, 1.0), repeat=units))).reshape(-1, units)
        edges = [(a, b) for a in range(len(corners)) for b in range(a) if np.sum(corners[a] != corners[b]) == 1]
        flat = self._flat(corners)
        self._box.data = {name: [[flat[a, k], flat[b, k]] for a, b in edges] for k, name in enumerate(("xs", "ys"))}
        cut = self._flat(_cut(session, units, low, high))
        self._cut.data = {"xs": [cut[:, 0]], "ys": [cut[:, 1]]}
        x, y = self._flat((H - low) / max(high - low, 1e-300) * 2 - 1).T
        self._points.data = {"x": x, "y": y, **columns_of_points(session, rows)}
        tips = self._flat(np.where(np.eye(units) == 1, 1.15, -1.0) if units == 3 else 1.15 * np.eye(units))
        self._names.data = {"x": tips[:, 0], "y": tips[:, 1], "text": [f"unit {k + 1}" for k in range(units)]}

    def _flat(self, places: np.ndarray) -> np.ndarray:
        """Project places, (K, units), to the screen, (K, 2)."""
        if places.shape[1] < 3:
            return np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
        (cos, across), (sin, up) = np.cos(self.angles), np.sin(self.angles)
        x, y, z = places.T
        return np.column_stack([cos * x - sin * y, up * (sin * x + cos * y) + across * z])


def _cut(session: Session, units: int, low: float, high: float) -> np.ndarray:
    """Return the corners of the plane where both classes are equally probable."""
    last = session.network.layout.views(session.theta)[-1]
    if session.network.outputs != 2 or len(last["W"]) != units or units < 2:
        return np.empty((0, units))
    n, c = last["W"] @ [1, -1], float(last["b"] @ [1, -1])
    return 2 * corners_of_cut(n * (high - low), low * n.sum() + c) - 1


class MomentumView:
    """Draws the loss surface, the recent path and the current parameters as a ball."""

    def __init__(self) -> None:
        self.figure = plain_figure("momentum", x_range=(-1, 1), y_range=(-1, 1))
        self._surface, self._path, self._ball = empty("image x y dw dh"), empty("x y"), empty("x y")
        colours = LinearColorMapper(palette="Cividis256")
        self.figure.image("image", "x", "y", "dw", "dh", source=self._surface, color_mapper=colours)
        self.figure.line("x", "y", source=self._path, line_color="#FFFFFF", line_width=2)
        self.figure.scatter("x", "y", source=self._path, size=4, color="#FFFFFF")
        look = {"size": 16, "fill_color": "#D55E00", "line_color": "#FFFFFF", "line_width": 2}
        self.figure.scatter("x", "y", source=self._ball, **look)
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = "first direction", "second direction"

    def update(self, session: Session) -> None:
        """Draw the loss around the current parameters and the path to them."""
        loss, x, y, path = loss_surface(session, SIZE)
        self.figure.x_range.update(start=x[0], end=x[-1])
        self.figure.y_range.update(start=y[0], end=y[-1])
        height = np.log(np.maximum(loss, 1e-300))
        where = {"x": [x[0]], "y": [y[0]], "dw": [x[-1] - x[0]], "dh": [y[-1] - y[0]]}
        self._surface.data = {"image": [np.where(np.isfinite(height), height, np.nan)], **where}
        self._path.data = dict(zip("xy", path.T, strict=True))
        self._ball.data = {"x": path[-1:, 0], "y": path[-1:, 1]}
