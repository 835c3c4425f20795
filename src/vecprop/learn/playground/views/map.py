"""The map: what the network says over the plane, with the points, which can be added, moved and looked at."""

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.events import DoubleTap, Pan, PanEnd, PanStart, Tap
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    PlainText,
)

from ..points import PLAIN_AXES, Axis
from ..session import Session
from .style import SELECTED, add_points, of_classes, of_numbers, of_points, plain_figure

SIZE = 100
"""The number of places along a side."""
NEAR = 0.03
"""The largest distance of the mouse from a point that is meant, as a share of the map."""
MOST_POINTS = 1_000
"""The number of points above which only a part is drawn, evenly taken: a browser draws no more in a moment."""


class MapView:
    """The map."""

    def __init__(self, on_edit: Callable[..., None]) -> None:
        self.figure = plain_figure("map", x_range=(0, 1), y_range=(0, 1))
        self.figure.grid.visible = False
        self._image = ColumnDataSource({"image": [np.zeros((2, 2), np.uint32)]})
        self._area = self.figure.image_rgba("image", source=self._image, x=0, y=0, dw=1, dh=1, name="ground").glyph
        look = {"selection_line_color": SELECTED, "selection_line_width": 4, "nonselection_alpha": 1}
        self._points = add_points(self.figure, 9, line_width=1.5, **look)
        for event, action in (
            (Tap, self._tapped),
            (DoubleTap, self._tapped),  # what a second click that soon follows is, instead of a tap
            (PanStart, self._seized),
            (Pan, self._dragged),
            (PanEnd, self._dropped),
        ):
            self.figure.on_event(event, action)
        self._held: int | None = None
        self._on_edit = on_edit
        self._axes: Any = PLAIN_AXES
        self._drawn: Any = None
        self.smooth = self.shows_test = True
        self.adds = False
        self.selected: int | None = None

    def update(self, session: Session) -> None:
        """Draw what the network says now, and the points if they have changed."""
        shown = session.map(SIZE)
        points = session.points
        if session.class_count:
            pixels = of_classes(shown.values, self.smooth)
        else:
            pixels = of_numbers(shown.values[..., 0], *_span(points.t))
        state = (points, self.shows_test)
        if self._drawn is None or any(a is not b for a, b in zip(state, self._drawn, strict=True)):
            self._drawn = state
            self._place(points.axes, shown.x, shown.y)
            self.draw_points(session)
        self._image.data = {"image": [pixels]}

    def draw_points(self, session: Session) -> None:
        """Draw the points, as they are in the session."""
        points = session.points
        rows = np.arange(len(points.t)) if self.shows_test else np.flatnonzero(~points.is_test)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_POINTS)).astype(int)]
        x, y = self._axes
        colours, markers = of_points(points.t[rows], session.class_count, *_span(points.t))
        self._points.selected.indices = np.flatnonzero(
            rows == (-1 if self.selected is None else self.selected)
        ).tolist()
        self._points.data = {
            "x": x.value(points.XY[rows, 0]),
            "y": y.value(points.XY[rows, 1]),
            "row": rows,
            "colour": colours,
            "marker": markers,
            "inside": np.where(points.is_test[rows], 0.0, 0.9),
        }

    def _place(self, axes: tuple[Axis, Axis], *limits: tuple[float, float]) -> None:
        """Give the map its limits and axes, in the units of the table's columns if there are such."""
        (x0, x1), (y0, y1) = ([axis.value(end) for end in ends] for axis, ends in zip(axes, limits, strict=True))
        self._area.update(x=x0, y=y0, dw=x1 - x0, dh=y1 - y0)
        self.figure.x_range.update(start=x0, end=x1)
        self.figure.y_range.update(start=y0, end=y1)
        self._axes = axes
        for axis, (drawn,) in zip(axes, (self.figure.xaxis, self.figure.yaxis), strict=True):
            names = list(axis.categories)
            drawn.axis_label = PlainText(text=axis.name)  # other text could be a formula
            drawn.ticker = FixedTicker(ticks=list(range(len(names)))) if names else BasicTicker()
            drawn.formatter = (
                CustomJSTickFormatter(args={"names": names}, code="return names[tick]")
                if names
                else BasicTickFormatter(use_scientific=True)
            )

    def _nearest(self, x: float, y: float) -> int | None:
        """Return the place, among the points drawn, of the one at the mouse."""
        points, spans = self._points.data, (self._area.dw, self._area.dh)
        distances = np.hypot(
            *((np.asarray(points[n]) - at) / span for n, at, span in zip("xy", (x, y), spans, strict=True))
        )
        nearest = int(distances.argmin()) if len(distances) else 0
        return nearest if len(distances) and distances[nearest] < NEAR else None

    def _place_of(self, x: float, y: float) -> dict[str, float]:
        """Return a place of the map in the plane of the points."""
        return {name: float(axis.place(at)) for name, axis, at in zip("xy", self._axes, (x, y), strict=True)}

    def _tapped(self, event: Any) -> None:
        nearest = self._nearest(event.x, event.y)
        if nearest is not None:
            self._points.selected.indices = [nearest]
            self._on_edit("select", row=int(self._points.data["row"][nearest]))
        elif self.adds:
            self._on_edit("add", **self._place_of(event.x, event.y))

    def _seized(self, event: Any) -> None:
        self._held = self._nearest(event.x, event.y)

    def _dragged(self, event: Any) -> None:
        if self._held is not None:
            self._points.patch({"x": [(self._held, event.x)], "y": [(self._held, event.y)]})

    def _dropped(self, event: Any) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._on_edit("move", row=int(self._points.data["row"][held]), **self._place_of(event.x, event.y))


def _span(t: np.ndarray) -> tuple[float, float]:
    """Return the numbers whose colours are the ends of the scale."""
    return float(t.min()), float(t.max())
