"""The loss of training and of the test, epoch by epoch."""

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d

from ....pictures.style import COLOURS
from ..session import Session
from .plain_figure import counted, plain_figure

MOST_PLACES = 500
"""The largest number of epochs that are drawn: more than a line has pixels would be drawn for nothing."""


class LossView:
    """The curves of the loss."""

    def __init__(self) -> None:
        self.figure = counted(plain_figure("loss", y_range=DataRange1d(start=0)), "epoch", "loss")
        self._curves = ColumnDataSource({"epoch": [], "train": [], "test": []})
        line = {"x": "epoch", "source": self._curves, "line_width": 2}
        self.figure.line(y="train", color=COLOURS[1], legend_label="training", **line)
        self.figure.line(y="test", color=COLOURS[0], line_dash="6 3", legend_label="test", **line)
        self.figure.legend.update(border_line_color=None, background_fill_alpha=0, padding=0)

    def update(self, session: Session) -> None:
        """Draw the curves up to now."""
        history = session.history
        some = np.unique(np.linspace(0, len(history.epochs) - 1, MOST_PLACES).astype(int))
        curves = {"epoch": history.epochs, "train": history.train, "test": history.test}
        self._curves.data = {name: values[some] for name, values in curves.items()}
