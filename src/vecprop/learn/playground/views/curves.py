"""Plot the losses, the gradient norms of the layers and the losses of many starts."""

import numpy as np
from bokeh.models import DataRange1d

from ....core import Dense
from ....pictures.style import COLOURS, colour
from ..session import Session
from .figures import counted, empty, fit_log_axis, legend_of, log_figure, plain_figure

MOST_OF_LOSSES, MOST_OF_NORMS, MOST_OF_STARTS = 500, 300, 150
"""The maximum numbers of points per curve; more would not be visible."""


class LossView:
    """Plots the training and test losses."""

    def __init__(self):
        self.figure = counted(
            plain_figure("loss", y_range=DataRange1d(start=0)), "epoch", "loss"
        )
        self._curves = empty("epoch train test")
        line = {"x": "epoch", "source": self._curves, "line_width": 2}
        self.figure.line(y="train", color=COLOURS[1], legend_label="training", **line)
        self.figure.line(
            y="test", color=COLOURS[0], line_dash="6 3", legend_label="test", **line
        )
        legend_of(self.figure)

    def update(self, session: Session):
        """Draw the current curves."""
        entries = _thinned(len(session.history.epochs), MOST_OF_LOSSES)
        train, test = session.history.values[entries].T
        self._curves.data = {
            "epoch": session.history.epochs[entries],
            "train": train,
            "test": test,
        }


class GradientsView:
    """Plots the norms of gradients and updates."""

    def __init__(self):
        self.figure = log_figure("gradients", "step", "norm")
        self._curves = empty("xs ys colour dash name")
        self.figure.multi_line(
            source=self._curves,
            line_color="colour",
            line_dash="dash",
            line_width=1.8,
            legend_field="name",
        )
        legend = legend_of(self.figure)
        self.figure.center.remove(legend)
        self.figure.add_layout(legend, "right")  # next to the curves

    def update(self, session: Session):
        """Draw the current curves, without zeros because the axis is logarithmic."""
        layers = session.network.layers
        dense = [k for k, layer in enumerate(layers) if isinstance(layer, Dense)]
        columns: dict[str, list] = {name: [] for name in self._curves.data}
        for curves, noun, dash in (
            (session.gradient_norms, "gradient", "solid"),
            (session.moves, "update", "dashed"),
        ):
            for number, values in enumerate(curves.values.T):
                entries = np.flatnonzero(values > 0)
                entries = entries[_thinned(len(entries), MOST_OF_NORMS)]
                columns["xs"].append(curves.epochs[entries].astype(float))
                columns["ys"].append(values[entries])
                columns["colour"].append(colour(number))
                columns["dash"].append(dash)
                columns["name"].append(f"layer {dense[number]} {noun}")
        self._curves.data = columns
        fit_log_axis(self.figure, np.concatenate(columns["ys"]))


class StartsView:
    """Plots the losses of many starts."""

    def __init__(self):
        self.figure = log_figure("starts", "epoch", "loss")
        self._curves = empty("xs ys colour width opacity")
        self.figure.multi_line(
            source=self._curves,
            line_color="colour",
            line_width="width",
            line_alpha="opacity",
        )

    def draw(self, losses):
        """Draw the losses, (starts, epochs + 1), with the page's own network on top."""
        epochs = _thinned(losses.shape[1], MOST_OF_STARTS)
        losses = losses[::-1, epochs]
        count = len(losses)
        self._curves.data = {
            "xs": [epochs] * count,
            "ys": list(np.where(losses > 0, losses, np.nan)),
            "colour": [COLOURS[1]] * (count - 1) + [COLOURS[0]],
            "width": [1.0] * (count - 1) + [3.0],
            "opacity": [0.35] * (count - 1) + [1.0],
        }
        fit_log_axis(self.figure, losses)

    def clear(self):
        """Remove the curves after the settings have changed."""
        self._curves.data = {name: [] for name in self._curves.data}
        fit_log_axis(self.figure, np.empty(0))


def _thinned(count, most):
    """Return evenly spaced indices below count, including the first and the last."""
    if not count:
        return np.empty(0, int)
    return np.unique(np.linspace(0, count - 1, most).astype(int))


def described(losses) -> str:
    """Summarize the final losses of many starts in a sentence.

    Examples
    --------
    >>> described(np.array([[1.0, 0.5], [1.0, 0.1], [1.0, np.nan]]))
    '2 of 3 starts finished: the best loss is 0.1, the median 0.3, the worst 0.5.'
    """
    ends = losses[:, -1]
    ends = ends[np.isfinite(ends)]
    if not len(ends):
        return (
            f"None of the {len(losses)} starts finished: all diverged or reached the"
            " time limit."
        )
    best, median, worst = np.quantile(ends, [0, 0.5, 1])
    return (
        f"{len(ends)} of {len(losses)} starts finished: the best loss is {best:.4g},"
        f" the median {median:.4g}, the worst {worst:.4g}."
    )
