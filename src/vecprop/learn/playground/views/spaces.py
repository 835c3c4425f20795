"""The hidden space, which the mouse turns, and the path of the last steps on the surface of the loss."""

from itertools import product

import numpy as np
from bokeh.models import LinearColorMapper

from ....core.network import Network
from ..session import Session
from .style import INK, add_points, empty, of_points, plain_figure, without_axes

MOST_POINTS = 1_000
"""The largest number of points that are drawn."""
BOUNDED = {"logistic": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""The ends of activations that have such."""


class HiddenView:
    """The hidden space."""

    def __init__(self) -> None:
        across, up = (-2.7, 2.7), (-1.8, 1.8)  # as wide as its place on the page
        self.figure = without_axes(plain_figure("hidden", x_range=across, y_range=up))
        self._box = empty("xs ys")
        self._cut = empty("xs ys")
        self._names = empty("x y text")
        self.figure.multi_line("xs", "ys", source=self._box, line_alpha=0.35, name=INK)
        self.figure.patches("xs", "ys", source=self._cut, fill_alpha=0.15, line_width=2, name=INK)
        self._points = add_points(self.figure, 8)
        self.figure.text("x", "y", "text", source=self._names, text_font_size="12px", text_align="center", name=INK)
        self.angles = np.array([0.6, 0.35])

    def turn(self, around: float, up: float) -> None:
        """Turn the space by angles in radians, as far as to see it from above or below."""
        self.angles += (around, up)
        self.angles[1] = np.clip(self.angles[1], -np.pi / 2, np.pi / 2)

    def update(self, session: Session) -> None:
        """Draw the points as the last hidden layer sees them now."""
        H = session.hidden()
        rows = np.linspace(0, len(H) - 1, min(len(H), MOST_POINTS)).astype(int)
        places, low, high = _scaled(H[rows], session.settings.activation)
        units = places.shape[1]
        corners = np.array(list(product((-1.0, 1.0), repeat=units))).reshape(-1, units)
        ends = [(a, b) for a in range(len(corners)) for b in range(a) if np.sum(corners[a] != corners[b]) == 1]
        flat = self._flat(corners)
        self._box.data = {name: [[flat[a, k], flat[b, k]] for a, b in ends] for k, name in enumerate(("xs", "ys"))}
        cut = _cut(session.network, session.theta, H.shape[1], units, corners, ends, low, high)
        self._cut.data = {name: [places] for name, places in zip(("xs", "ys"), self._flat(cut).T, strict=True)}
        points = session.points
        x, y = self._flat(places).T
        colours, markers = of_points(points.t[rows], session.class_count, float(points.t.min()), float(points.t.max()))
        inside = np.where(points.is_test[rows], 0.0, 0.9)
        self._points.data = {"x": x, "y": y, "row": rows, "colour": colours, "marker": markers, "inside": inside}
        tips = self._flat(np.where(np.eye(units) == 1, 1.15, -1.0) if units == 3 else 1.15 * np.eye(units))
        self._names.data = {"x": tips[:, 0], "y": tips[:, 1], "text": [f"unit {k + 1}" for k in range(units)]}

    def _flat(self, places: np.ndarray) -> np.ndarray:
        """Return where places, (K, units), are seen, (K, 2)."""
        if places.shape[1] < 3:
            return np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
        (cos, across), (sin, up) = np.cos(self.angles), np.sin(self.angles)
        x, y, z = places.T
        return np.column_stack([cos * x - sin * y, up * (sin * x + cos * y) + across * z])


def _scaled(H: np.ndarray, activation: str) -> tuple[np.ndarray, float, float]:
    """Return the outputs of at most three units from -1 to 1, and the outputs that are there."""
    units = H[:, :3]
    low, high = BOUNDED.get(activation, (float(units.min(initial=0)), float(units.max(initial=1))))
    return (units - low) / max(high - low, 1e-300) * 2 - 1, low, high


def _cut(
    network: Network,
    theta: np.ndarray,
    width: int,
    units: int,
    corners: np.ndarray,
    ends: list[tuple[int, int]],
    low: float,
    high: float,
) -> np.ndarray:
    """Return the corners, in order, of the plane in the box on which two classes are equally probable; or none."""
    if network.outputs != 2 or width != units or units < 2:
        return np.empty((0, units))
    last = network.layout.views(theta)[-1]
    W, b = last["W"], last["b"]
    heights = (low + (corners + 1) / 2 * (high - low)) @ (W[:, 0] - W[:, 1]) + b[0] - b[1]
    crossed = [(a, c) for a, c in ends if heights[a] * heights[c] < 0]
    shares = [heights[a] / (heights[a] - heights[c]) for a, c in crossed]
    places = [corners[a] + share * (corners[c] - corners[a]) for (a, c), share in zip(crossed, shares, strict=True)]
    if len(places) < 2:
        return np.empty((0, units))
    around = np.array(places)
    centred = around - around.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    flat = centred @ axes.T
    return around[np.argsort(np.arctan2(flat[:, 1] if len(axes) > 1 else 0 * flat[:, 0], flat[:, 0]))]


SIZE = 40
"""The number of places of the surface along a side."""


class MomentumView:
    """The surface of the loss, and the ball."""

    def __init__(self) -> None:
        self.figure = plain_figure("momentum", x_range=(-1, 1), y_range=(-1, 1))
        self._surface = empty("image x y dw dh")
        self._path = empty("x y")
        self._ball = empty("x y")
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
