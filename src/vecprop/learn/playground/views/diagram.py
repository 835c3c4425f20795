"""The diagram of the network, with selectable weights and the outputs of units."""

from collections.abc import Callable
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import TapTool

from ....core import Array
from ....pictures.style import colour
from ..session import Session
from ..shown import Edge, edges, units_of
from .figures import (
    HIGH,
    INK,
    LOW,
    SELECTED,
    bytes_of,
    empty,
    number_pixels,
    plain_figure,
    rgba,
    without_axes,
)

WIDTH, HEIGHT = 600.0, 500.0
"""The size of the diagram in plot units."""

SIDES = 150.0
"""The space for names next to the first and last units."""

MOST_EDGES = 800
"""The maximum number of drawn edges; edges with the largest weights are preferred."""

UNIT_SIZE = 24
"""The number of pixels along a side of a unit's image."""


class UnitColumn(NamedTuple):
    """The centers of a layer's units, (units, 2), and the side of their squares."""

    centers: Array
    side: float


class NetworkView:
    """The diagram of the network."""

    def __init__(self, on_choose: Callable[[], None]):
        self.figure = without_axes(
            plain_figure("network", x_range=(0, WIDTH), y_range=(0, HEIGHT))
        )
        self._edges = empty("xs ys width colour index")
        self._biases = empty("x y size colour index")
        self._units = empty("image x y side")
        self._frames = empty("x y side")
        self._names = empty("x y text align")
        selected = {
            "selection_line_color": SELECTED,
            "selection_line_alpha": 1,
            "selection_line_width": 6,
        }
        edges = self.figure.multi_line(
            source=self._edges,
            line_width="width",
            line_color="colour",
            line_alpha=0.75,
            nonselection_line_alpha=0.75,
            **selected,
        )
        self.figure.image_rgba("image", source=self._units, dw="side", dh="side")
        self.figure.block(
            width="side",
            height="side",
            source=self._frames,
            fill_alpha=0,
            line_width=1,
            line_alpha=0.6,
            name=INK,
        )
        biases = self.figure.scatter(
            size="size",
            source=self._biases,
            fill_color="colour",
            line_color="colour",
            selection_fill_color=SELECTED,
            nonselection_alpha=1,
            **selected,
        )
        self.figure.text(
            source=self._names,
            text_align="align",
            text_baseline="middle",
            text_font_size="12px",
            name=INK,
        )
        self.figure.add_tools(TapTool(renderers=[edges, biases]))
        for source in (self._edges, self._biases):
            source.selected.on_change("indices", self._chooser(source))
        self._on_choose = on_choose
        self._edges_by_index: dict[int, Edge] = {}
        self._chosen: int | None = None
        self._placed: Any = None

    @property
    def chosen(self) -> Edge | None:
        """The selected edge with its current value. If the units change, the selection is cleared."""
        return None if self._chosen is None else self._edges_by_index[self._chosen]

    def choose(self, step: int):
        """Select the next (1) or previous (-1) weight or bias."""
        indices = list(self._edges_by_index)
        position = min(step, 0)  # the first or the last
        if self._chosen is not None:
            position = indices.index(self._chosen) + step
        self._chosen = indices[position % len(indices)]
        for source in (self._edges, self._biases):
            is_chosen = np.asarray(source.data["index"]) == self._chosen
            source.selected.indices = np.flatnonzero(is_chosen).tolist()

    def update(self, session: Session):
        """Draw the current weights and units."""
        layers = units_of(session, UNIT_SIZE)
        columns = _unit_columns(layers)
        self._draw_edges(edges(session), columns)
        x, y = np.concatenate(
            [column.centers - column.side / 2 for column in columns]
        ).T
        sizes = [len(column.centers) for column in columns]
        sides = np.repeat([column.side for column in columns], sizes)
        squares = {"x": x, "y": y, "side": sides}
        pixels = _pixels_of_units(layers, has_classes=session.class_count > 0)
        self._units.data = {"image": pixels, **squares}
        x_axis, y_axis = session.points.axes
        names = {"x": x_axis.name, "y": y_axis.name}
        inputs = [names.get(name, name) for name in session.settings.features]
        outputs = session.points.class_names or (session.points.target.name,)
        if self._placed != (sizes, inputs, outputs):
            self._placed = sizes, inputs, outputs
            self._chosen = None
            self._edges.selected.indices = self._biases.selected.indices = []
            self._frames.data = squares
            self._draw_names(columns[0], inputs, columns[-1], outputs=outputs)

    def _draw_names(self, first, inputs, last, outputs):
        """Draw names to the left of the first column and to the right of the last column."""
        has_space = max(len(inputs), len(outputs)) <= 4
        texts = []
        for name in (*inputs, *outputs):
            lines = wrap(name, 9, max_lines=3 if has_space else 1, placeholder="…")
            texts.append("\n".join(lines))
        x0, y0 = first.centers.T
        x1, y1 = last.centers.T
        self._names.data = {
            "x": np.concatenate([x0 - first.side / 2 - 6, x1 + last.side / 2 + 6]),
            "y": np.concatenate([y0, y1]),
            "text": texts,
            "align": ["right"] * len(x0) + ["left"] * len(x1),
        }

    def _draw_edges(self, edges, columns):
        """Draw weights as lines between units, and biases as dots at corners of units."""
        self._edges_by_index = {edge.index: edge for edge in edges}
        weights = [edge for edge in edges if edge.source is not None]
        weights = sorted(weights, key=lambda edge: -abs(edge.value))[:MOST_EDGES]
        # a selected edge keeps its index in the source
        weights.sort(key=lambda edge: edge.index)
        lines = _edge_looks(weights) | {"xs": [], "ys": []}
        for edge in weights:
            source = columns[edge.layer]
            target = columns[edge.layer + 1]
            x0, y0 = source.centers[edge.source]
            x1, y1 = target.centers[edge.target]
            lines["xs"].append([x0 + source.side / 2, x1 - target.side / 2])
            lines["ys"].append([y0, y1])
        self._edges.data = lines
        biases = [edge for edge in edges if edge.source is None]
        looks = _edge_looks(biases)
        sizes = [4 + width for width in looks.pop("width")]
        corners = []
        for edge in biases:
            target = columns[edge.layer + 1]
            corners.append(target.centers[edge.target] - target.side / 2)
        x, y = np.transpose(corners)
        self._biases.data = {"x": x, "y": y, "size": sizes, **looks}

    def _chooser(self, source):
        def chosen(attribute, old, new):
            if new and new[0] < len(source.data["index"]):
                self._chosen = int(source.data["index"][new[0]])
                self._on_choose()

        return chosen


def _unit_columns(images):
    """Place the units of each layer, from left to right."""
    gap = (WIDTH - 2 * SIDES) / (len(images) - 1)
    columns = []
    for layer, units in enumerate(images):
        size = len(units)
        x = np.full(size, SIDES + layer * gap)
        y = HEIGHT * (1 - (np.arange(size) + 0.5) / size)
        columns.append(
            UnitColumn(
                np.column_stack([x, y]),
                side=min(0.82 * HEIGHT / max(size, 4), 0.55 * gap),
            )
        )
    return columns


def _edge_looks(edges):
    looks: dict[str, list] = {"colour": [], "width": [], "index": []}
    for edge in edges:
        looks["colour"].append(HIGH if edge.value > 0 else LOW)
        looks["width"].append(
            float(np.clip(0.4 + 2.2 * np.sqrt(abs(edge.value)), 0.4, 9))
        )
        looks["index"].append(edge.index)
    return looks


def _pixels_of_units(layers, has_classes):
    """Color the images of all units; output units of classes have the classes' colors."""
    *hidden_layers, outputs = layers
    pixels = []
    for images in hidden_layers:
        pixels += map(_pixels, images)
    if has_classes:
        for k, image in enumerate(outputs):
            pixels.append(rgba(bytes_of(colour(k)), 0.8 * image))
    else:
        pixels += map(_pixels, outputs)
    return pixels


def _pixels(image):
    """Color a unit's output on a scale that is symmetric around zero."""
    most = float(np.nan_to_num(np.abs(image)).max()) or 1.0
    return number_pixels(image, -most, most)
