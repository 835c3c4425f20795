"""The diagram of the network, with selectable weights and the outputs of units."""

from collections.abc import Callable
from textwrap import wrap
from typing import Any

import numpy as np
from bokeh.models import TapTool

from ....pictures.style import colour
from ..session import Session
from ..shown import Edge, edges, units_of
from .style import HIGH, INK, LOW, SELECTED, bytes_of, empty, of_numbers, plain_figure, rgba, without_axes

WIDTH, HEIGHT = 600.0, 500.0
"""The size of the diagram in plot units."""

SIDES = 150.0
"""The space for names next to the first and last units."""

MOST_EDGES = 800
"""The maximum number of drawn edges; edges with the largest weights are preferred."""

UNIT_SIZE = 24
"""The number of pixels along a side of a unit's image."""


class NetworkView:
    """The diagram of the network."""

    def __init__(self, on_choose: Callable[[], None]) -> None:
        self.figure = without_axes(plain_figure("network", x_range=(0, WIDTH), y_range=(0, HEIGHT)))
        self._edges = empty("xs ys width colour index")
        self._biases = empty("x y size colour index")
        self._units = empty("image x y side")
        self._frames = empty("x y side")
        self._names = empty("x y text align")
        look: dict[str, Any] = {"line_width": "width", "line_color": "colour", "line_alpha": 0.75}
        selected = {"selection_line_color": SELECTED, "selection_line_alpha": 1, "selection_line_width": 6}
        edges = self.figure.multi_line(source=self._edges, nonselection_line_alpha=0.75, **look, **selected)
        self.figure.image_rgba("image", source=self._units, dw="side", dh="side")
        look = {"fill_alpha": 0, "line_width": 1, "line_alpha": 0.6, "name": INK}
        self.figure.block(width="side", height="side", source=self._frames, **look)
        look = {"selection_fill_color": SELECTED, "nonselection_alpha": 1, **selected}
        biases = self.figure.scatter(size="size", source=self._biases, fill_color="colour", line_color="colour", **look)
        look = {"text_align": "align", "text_baseline": "middle", "text_font_size": "12px", "name": INK}
        self.figure.text(source=self._names, **look)
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

    def choose(self, step: int) -> None:
        """Select the next (1) or previous (-1) weight or bias."""
        indices = list(self._edges_by_index)
        place = step // 2 if self._chosen is None else indices.index(self._chosen) + step
        self._chosen = indices[place % len(indices)]
        for source in (self._edges, self._biases):
            source.selected.indices = np.flatnonzero(np.asarray(source.data["index"]) == self._chosen).tolist()

    def update(self, session: Session) -> None:
        """Draw the current weights and units."""
        images = units_of(session, UNIT_SIZE)
        sizes = [len(units) for units in images]
        between = (WIDTH - 2 * SIDES) / (len(sizes) - 1)
        sides = [min(0.82 * HEIGHT / max(size, 4), 0.55 * between) for size in sizes]
        heights = [HEIGHT * (1 - (np.arange(size) + 0.5) / size) for size in sizes]
        places = [np.column_stack([np.full(len(y), SIDES + layer * between), y]) for layer, y in enumerate(heights)]
        self._draw_edges(edges(session), places, sides)
        pixels = [_pixels(image) for layer in images[:-1] for image in layer]
        if session.class_count:
            pixels += [rgba(bytes_of(colour(k)), 0.8 * image) for k, image in enumerate(images[-1])]
        else:
            pixels += [_pixels(image) for image in images[-1]]
        side = np.repeat(sides, sizes)
        corners = np.concatenate(places) - side[:, None] / 2
        where = {"x": corners[:, 0], "y": corners[:, 1], "side": side}
        self._units.data = {"image": pixels, **where}
        columns = dict(zip("xy", (axis.name for axis in session.points.axes), strict=True))
        inputs = [columns.get(name, name) for name in session.settings.features]
        outputs = session.points.class_names or (session.points.target.name,)
        if self._placed != (sizes, inputs, outputs):
            self._placed = sizes, inputs, outputs
            self._chosen = None
            self._edges.selected.indices = self._biases.selected.indices = []
            self._frames.data = where
            (x0, y0), (x1, y1) = places[0].T, places[-1].T
            x, y = np.concatenate([x0 - sides[0] / 2 - 6, x1 + sides[-1] / 2 + 6]), np.concatenate([y0, y1])
            lines = 3 if max(sizes[0], sizes[-1]) <= 4 else 1
            texts = ["\n".join(wrap(name, 9, max_lines=lines, placeholder="…")) for name in (*inputs, *outputs)]
            self._names.data = {"x": x, "y": y, "text": texts, "align": ["right"] * len(x0) + ["left"] * len(x1)}

    def _draw_edges(self, edges: list[Edge], places: list[np.ndarray], sides: list[float]) -> None:
        self._edges_by_index = {edge.index: edge for edge in edges}
        weights = [edge for edge in edges if edge.source is not None]
        weights = sorted(weights, key=lambda edge: -abs(edge.value))[:MOST_EDGES]
        weights.sort(key=lambda edge: edge.index)  # a selected edge keeps its index in the source
        xs, ys = [], []
        for edge in weights:
            begin, end = places[edge.layer][edge.source], places[edge.layer + 1][edge.target]
            xs.append([begin[0] + sides[edge.layer] / 2, end[0] - sides[edge.layer + 1] / 2])
            ys.append([begin[1], end[1]])
        self._edges.data = {"xs": xs, "ys": ys, "width": [_width(edge) for edge in weights], **_columns(weights)}
        biases = [edge for edge in edges if edge.source is None]
        corners = np.array([places[e.layer + 1][e.target] - sides[e.layer + 1] / 2 for e in biases])
        sizes = [4 + _width(edge) for edge in biases]
        self._biases.data = {"x": corners[:, 0], "y": corners[:, 1], "size": sizes, **_columns(biases)}

    def _chooser(self, source: Any) -> Callable[[str, list[int], list[int]], None]:
        def chosen(attribute: str, old: list[int], new: list[int]) -> None:
            if new and new[0] < len(source.data["index"]):
                self._chosen = int(source.data["index"][new[0]])
                self._on_choose()

        return chosen


def _columns(edges: list[Edge]) -> dict[str, list[Any]]:
    return {"colour": [HIGH if edge.value > 0 else LOW for edge in edges], "index": [edge.index for edge in edges]}


def _width(edge: Edge) -> float:
    return float(np.clip(0.4 + 2.2 * np.sqrt(abs(edge.value)), 0.4, 9))


def _pixels(image: np.ndarray) -> np.ndarray:
    """Color a unit's output on a scale that is symmetric around zero."""
    most = float(np.nan_to_num(np.abs(image)).max()) or 1.0
    return of_numbers(image, -most, most)
