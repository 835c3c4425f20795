"""The map of the network's predictions, with editable points."""

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh import models
from bokeh.events import DoubleTap, Pan, PanEnd, PanStart, Tap

from ..session import Session
from ..shown import map_of
from .figures import (
    SELECTED,
    add_points,
    class_pixels,
    columns_of_points,
    evenly_spaced,
    number_pixels,
    plain_figure,
)

SIZE = 100
"""The number of pixels along a side."""

DATE = "return new Date(864e5 * tick).toISOString().slice(0, 10)"
"""The label of a tick at a number of days since 1970."""

NEAR = 0.03
"""The maximum distance between the mouse and a selected point, as a fraction of the
map.
"""


class MapView:
    """The map of predictions and points."""

    def __init__(self, on_edit: Callable[..., None]):
        self.figure = plain_figure("map", x_range=(0, 1), y_range=(0, 1))
        self.figure.grid.visible = False
        self._image = models.ColumnDataSource({"image": [np.zeros((2, 2), np.uint32)]})
        self._area = self.figure.image_rgba(
            "image", source=self._image, x=0, y=0, dw=1, dh=1, name="ground"
        ).glyph
        self._points = add_points(
            self.figure,
            9,
            line_width=1.5,
            selection_line_color=SELECTED,
            selection_line_width=5,
            nonselection_line_alpha=1,
            nonselection_fill_alpha="inside",  # test points remain hollow
        )
        self.figure.on_event(Tap, self._tapped)
        # a quick second click sends DoubleTap instead of Tap
        self.figure.on_event(DoubleTap, self._tapped)
        self.figure.on_event(PanStart, self._seized)
        self.figure.on_event(Pan, self._dragged)
        self.figure.on_event(PanEnd, self._dropped)
        self._held: int | None = None
        self._on_edit = on_edit
        self._axes: Any = None
        self._drawn: tuple[Any, bool] = (None, True)
        self.smooth = self.shows_test = True
        self.adds = False
        self.selected: int | None = None

    def update(self, session: Session):
        """Draw the current predictions, and the points if they have changed."""
        points = session.points
        predictions = map_of(session, SIZE)
        if session.class_count:
            pixels = class_pixels(predictions, self.smooth)
        else:
            pixels = number_pixels(predictions[..., 0], points.t.min(), points.t.max())
        if self._drawn != (points, self.shows_test):
            self._drawn = (points, self.shows_test)
            self._place(session)
            self.draw_points(session)
        self._image.data = {"image": [pixels]}

    def draw_points(self, session: Session):
        """Draw the session's points."""
        points = session.points
        x, y = self._axes
        rows = np.flatnonzero(~points.is_test | self.shows_test)
        rows = rows[evenly_spaced(len(rows))]
        selected = -1 if self.selected is None else self.selected
        self._points.selected.indices = np.flatnonzero(rows == selected).tolist()
        positions = {"x": x.value(points.XY[rows, 0]), "y": y.value(points.XY[rows, 1])}
        self._points.data = positions | columns_of_points(session, rows)

    def _place(self, session):
        """Set the limits and axes of the map, in the units of the table's columns."""
        figure = self.figure
        axes = session.points.axes
        x_limits, y_limits = session.points.limits
        x0, x1 = (axes[0].value(end) for end in x_limits)
        y0, y1 = (axes[1].value(end) for end in y_limits)
        figure.x_range.update(start=x0, end=x1)
        figure.y_range.update(start=y0, end=y1)
        self._area.update(x=x0, y=y0, dw=x1 - x0, dh=y1 - y0)
        if axes == self._axes:
            return  # because Bokeh needs a third of a second for new models
        self._axes = axes
        _label_axis(figure.xaxis[0], axes[0])
        _label_axis(figure.yaxis[0], axes[1])

    def following(self, right: int, up: int) -> int:
        """Return the row of the next drawn point: right 1 or -1 (right or left), or up 1 or -1 (above or below)."""
        x, y, rows = (np.asarray(self._points.data[name]) for name in ("x", "y", "row"))
        order = np.lexsort((y, x) if right else (x, y))
        rows = rows[order][:: right or up].tolist()
        if self.selected not in rows:
            return rows[0]
        position = rows.index(self.selected)
        return rows[min(position + 1, len(rows) - 1)]

    def _nearest(self, x, y):
        """Return the index of the drawn point under the mouse, or None."""
        points = self._points.data
        dx = (np.asarray(points["x"]) - x) / self._area.dw
        dy = (np.asarray(points["y"]) - y) / self._area.dh
        distances = np.hypot(dx, dy)
        if distances.min(initial=np.inf) >= NEAR:
            return None
        return int(distances.argmin())

    def _place_of(self, event):
        """Convert the mouse position to coordinates of the points."""
        x, y = self._axes
        return {"x": float(x.place(event.x)), "y": float(y.place(event.y))}

    def _tapped(self, event):
        nearest = self._nearest(event.x, event.y)
        if nearest is not None:
            self._on_edit("select", row=int(self._points.data["row"][nearest]))
        elif self.adds:
            self._on_edit("add", **self._place_of(event))

    def _seized(self, event):
        self._held = self._nearest(event.x, event.y)

    def _dragged(self, event):
        if self._held is not None:
            self._points.patch(
                {"x": [(self._held, event.x)], "y": [(self._held, event.y)]}
            )

    def _dropped(self, event):
        if self._held is not None:
            row = int(self._points.data["row"][self._held])
            self._held = None
            self._on_edit("move", row=row, **self._place_of(event))


def _label_axis(drawn, axis):
    # a plain string could be rendered as a formula
    drawn.axis_label = models.PlainText(text=axis.name)
    drawn.ticker = models.BasicTicker()
    drawn.formatter = models.BasicTickFormatter(use_scientific=True)
    if axis.has_dates:
        drawn.ticker = models.BasicTicker(desired_num_ticks=4)
        drawn.formatter = models.CustomJSTickFormatter(code=DATE)
    elif axis.categories:
        names = list(axis.categories)
        drawn.ticker = models.FixedTicker(ticks=list(range(len(names))))
        drawn.formatter = models.CustomJSTickFormatter(
            args={"names": names}, code="return names[tick]"
        )
