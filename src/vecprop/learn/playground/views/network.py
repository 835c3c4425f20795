"""The network, drawn: edges are weights, which can be chosen and changed, and units show what they see of the plane."""

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import TapTool

from ....pictures.style import colour
from ..record import Edge
from ..session import Session
from .style import HIGH, INK, LOW, SELECTED, bytes_of, empty, of_numbers, plain_figure, rgba, without_axes

WIDTH, HEIGHT = 600.0, 500.0
"""The picture's size, in which the places of units are counted."""
SIDES = 125.0
"""From the picture's edge to the first and last units: room for names."""
MOST_EDGES = 800
"""The largest number of edges that are drawn; of more, those with the largest weights."""
UNIT_SIZE = 24
"""The number of places along a side of what a unit shows."""


class NetworkView:
    """The picture of the network."""

    def __init__(self, on_choose: Callable[[], None]) -> None:
        self.figure = without_axes(plain_figure("network", x_range=(0, WIDTH), y_range=(0, HEIGHT), min_border=0))
        self._edges = empty("xs ys width colour index")
        self._biases = empty("x y size colour index")
        self._units = empty("image x y side")
        self._frames = empty("x y side")
        self._names = empty("x y text align")
        look: dict[str, Any] = {"line_width": "width", "line_color": "colour", "line_alpha": 0.75}
        look |= {"selection_line_color": SELECTED, "selection_line_alpha": 1, "nonselection_line_alpha": 0.75}
        edges = self.figure.multi_line(source=self._edges, **look)
        self.figure.image_rgba("image", source=self._units, dw="side", dh="side")
        look = {"fill_alpha": 0, "line_width": 1, "line_alpha": 0.6, "name": INK}
        self.figure.block(width="side", height="side", source=self._frames, **look)
        look = {"selection_fill_color": SELECTED, "nonselection_alpha": 1}
        biases = self.figure.scatter(size="size", source=self._biases, fill_color="colour", line_color="colour", **look)
        look = {"text_align": "align", "text_baseline": "middle", "text_font_size": "12px", "name": INK}
        self.figure.text(source=self._names, **look)
        self.figure.add_tools(TapTool(renderers=[edges, biases]))
        for source in (self._edges, self._biases):
            source.selected.on_change("indices", self._chooser(source))
        self._on_choose = on_choose
        self._known: dict[int, Edge] = {}
        self._chosen: int | None = None
        self._placed: Any = None

    def update(self, session: Session) -> None:
        """Draw weights and units as they are now."""
        images = session.units(UNIT_SIZE)
        sizes = tuple(len(units) for units in images)
        places = [_places(layer, sizes) for layer in range(len(sizes))]
        sides = [
            min(0.82 * HEIGHT / max(size, 4), 0.55 * (WIDTH - 2 * SIDES) / max(len(sizes) - 1, 1)) for size in sizes
        ]
        self._draw_edges(session.weights(), places, sides)
        side = np.repeat(sides, sizes)
        corners = np.concatenate(places) - side[:, None] / 2
        where = {"x": corners[:, 0], "y": corners[:, 1], "side": side}
        self._draw_units(images, where, session.class_count > 0)
        columns = dict(zip("xy", (axis.name for axis in session.points.axes), strict=True))
        inputs = tuple(columns.get(name, name) for name in session.settings.features)
        names = (inputs, session.points.class_names or ("number",))
        if self._placed != (sizes, names):
            self._placed = (sizes, names)
            self._chosen = None
            self._edges.selected.indices = self._biases.selected.indices = []
            self._frames.data = where
            self._draw_names(names, places, sides)

    @property
    def chosen(self) -> Edge | None:
        """The chosen edge with its value now; None if none was chosen since the network was drawn with these units."""
        return None if self._chosen is None else self._known[self._chosen]

    def _draw_edges(self, edges: list[Edge], places: list[np.ndarray], sides: list[float]) -> None:
        self._known = {edge.index: edge for edge in edges}
        weights = [edge for edge in edges if edge.source is not None]
        weights = sorted(weights, key=lambda edge: -abs(edge.value))[:MOST_EDGES]
        weights.sort(key=lambda edge: edge.index)  # a chosen edge keeps its place
        ends = [(places[e.layer][e.source], places[e.layer + 1][e.target]) for e in weights]
        self._edges.data = {
            "xs": [
                [a[0] + sides[e.layer] / 2, b[0] - sides[e.layer + 1] / 2]
                for e, (a, b) in zip(weights, ends, strict=True)
            ],
            "ys": [[a[1], b[1]] for a, b in ends],
            "width": [_width(edge.value) for edge in weights],
            "colour": [_colour(edge.value) for edge in weights],
            "index": [edge.index for edge in weights],
        }
        biases = [edge for edge in edges if edge.source is None]
        corners = [places[e.layer + 1][e.target] - sides[e.layer + 1] / 2 for e in biases]
        self._biases.data = {
            "x": [corner[0] for corner in corners],
            "y": [corner[1] for corner in corners],
            "size": [4 + _width(edge.value) for edge in biases],
            "colour": [_colour(edge.value) for edge in biases],
            "index": [edge.index for edge in biases],
        }

    def _draw_units(self, images: list[np.ndarray], where: dict[str, np.ndarray], has_classes: bool) -> None:
        flat = [_pixels(image) for layer in images[:-1] for image in layer]
        if has_classes:
            flat += [rgba(bytes_of(colour(k)), 0.8 * image) for k, image in enumerate(images[-1])]
        else:
            flat += [_pixels(image) for image in images[-1]]
        self._units.data = {"image": flat, **where}

    def _draw_names(self, names: tuple[Any, Any], places: list[np.ndarray], sides: list[float]) -> None:
        ends = [(place, names[0], -1, "right", sides[0]) for place in places[:1]]
        ends += [(place, names[1], 1, "left", sides[-1]) for place in places[-1:]]
        rows = [
            (x + sign * (size / 2 + 6), y, _short(name), align)
            for place, words, sign, align, size in ends
            for (x, y), name in zip(place, words, strict=True)
        ]
        self._names.data = dict(zip(("x", "y", "text", "align"), map(list, zip(*rows, strict=True)), strict=True))

    def _chooser(self, source: Any) -> Callable[[str, list[int], list[int]], None]:
        def chosen(attribute: str, old: list[int], new: list[int]) -> None:
            if new and new[0] < len(source.data["index"]):
                self._chosen = int(source.data["index"][new[0]])
                self._on_choose()

        return chosen


def _places(layer: int, sizes: tuple[int, ...]) -> np.ndarray:
    """Return the centres, (units, 2), of a layer's units."""
    x = SIDES + layer * (WIDTH - 2 * SIDES) / (len(sizes) - 1)
    y = HEIGHT * (1 - (np.arange(sizes[layer]) + 0.5) / sizes[layer])
    return np.column_stack([np.full(sizes[layer], x), y])


def _pixels(image: np.ndarray) -> np.ndarray:
    """Return the pixels of a unit's output, whose scale ends as far below zero as above."""
    most = float(np.nan_to_num(np.abs(image)).max()) or 1.0
    return of_numbers(image, -most, most)


def _width(value: float) -> float:
    return float(np.clip(0.4 + 2.2 * np.sqrt(abs(value)), 0.4, 9))


def _colour(value: float) -> str:
    return HIGH if value > 0 else LOW


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"
