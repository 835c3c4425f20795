"""The curves of training: losses, gradients of the layers, and the losses of many starts."""

import numpy as np
from bokeh.models import DataRange1d

from ....pictures.style import COLOURS, colour
from ..record import Curves, Starts
from ..session import Session
from .style import add_legend, counted, empty, fit_log_axis, log_figure, plain_figure

MOST_OF_LOSSES, MOST_OF_NORMS, MOST_OF_STARTS = 500, 300, 150
"""The largest number of places of a curve: more than a line has pixels would be drawn for nothing."""


class LossView:
    """The curves of the loss."""

    def __init__(self) -> None:
        self.figure = counted(plain_figure("loss", y_range=DataRange1d(start=0)), "epoch", "loss")
        self._curves = empty("epoch train test")
        line = {"x": "epoch", "source": self._curves, "line_width": 2}
        self.figure.line(y="train", color=COLOURS[1], legend_label="training", **line)
        self.figure.line(y="test", color=COLOURS[0], line_dash="6 3", legend_label="test", **line)
        add_legend(self.figure)

    def update(self, session: Session) -> None:
        """Draw the curves up to now."""
        history = session.history
        some = np.unique(np.linspace(0, len(history.epochs) - 1, MOST_OF_LOSSES).astype(int))
        curves = {"epoch": history.epochs, "train": history.train, "test": history.test}
        self._curves.data = {name: values[some] for name, values in curves.items()}


class GradientsView:
    """The norms of gradients and moves."""

    def __init__(self) -> None:
        self.figure = log_figure("gradients", "step", "norm")
        self._curves = empty("xs ys colour dash name")
        self.figure.multi_line(
            "xs", "ys", source=self._curves, line_color="colour", line_dash="dash", line_width=1.8, legend_field="name"
        )
        legend = add_legend(self.figure)
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
    places = places[np.unique(np.linspace(0, len(places) - 1, MOST_OF_NORMS).astype(int))]
    return curves.epochs[places].astype(float), values[places]


class StartsView:
    """The losses of many starts."""

    def __init__(self) -> None:
        self.figure = log_figure("starts", "epoch", "loss")
        self._curves = empty("xs ys colour width opacity")
        self.figure.multi_line(
            "xs", "ys", source=self._curves, line_color="colour", line_width="width", line_alpha="opacity"
        )

    def draw(self, starts: Starts) -> None:
        """Draw the losses; the page's own start comes last, above the others."""
        epochs = np.unique(np.linspace(0, starts.losses.shape[1] - 1, MOST_OF_STARTS).astype(int))
        losses = starts.losses[::-1, epochs]
        others = len(losses) - 1
        self._curves.data = {
            "xs": [epochs] * len(losses),
            "ys": list(np.where(losses > 0, losses, np.nan)),
            "colour": [COLOURS[1]] * others + [COLOURS[0]],
            "width": [1.0] * others + [3.0],
            "opacity": [0.35] * others + [1.0],
        }
        fit_log_axis(self.figure, losses)

    def clear(self) -> None:
        """Remove the losses, which are of other settings."""
        self._curves.data = {name: [] for name in self._curves.data}
        fit_log_axis(self.figure, np.empty(0))


def described(starts: Starts) -> str:
    """Return what has become of many starts, in a sentence.

    Examples
    --------
    >>> described(Starts(np.arange(3), np.array([[1.0, 0.5], [1.0, 0.1], [1.0, np.nan]])))
    'Of 3 starts 2 reached the end: the best loss is 0.1, the median 0.3, the worst 0.5.'
    """
    ends = starts.losses[:, -1]
    ends = ends[np.isfinite(ends)]
    if not len(ends):
        return f"None of {len(starts.losses)} starts reached the end: all diverged, or time was over."
    best, median, worst = np.quantile(ends, [0, 0.5, 1])
    return (
        f"Of {len(starts.losses)} starts {len(ends)} reached the end: "
        f"the best loss is {best:.4g}, the median {median:.4g}, the worst {worst:.4g}."
    )
