"""The pictures of a report, each as an image inside the page."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...pictures.loss import plot_loss
from ...pictures.style import INK, colour
from ..training.train_on_table import Trained

MOST_COLUMNS = 15
"""The number of columns that are drawn, the most important ones, so that their names can be read."""
MOST_POINTS = 5_000
"""The largest number of rows that are drawn as points: more would only overlap."""


def image(alt: str, size: tuple[float, float], draw: Callable[..., Any], *arguments: Any) -> str:
    """Return the picture that a function draws on an Axes of a size in inches, as HTML with the image inside."""
    import matplotlib
    from matplotlib import pyplot as plt

    before = matplotlib.get_backend()
    matplotlib.use("agg")
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    draw(ax, *arguments)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=144)
    plt.close(figure)
    matplotlib.use(before)
    data = b64encode(stream.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" width="{96 * size[0]:.0f}" alt="{escape(alt)}">'


def draw_losses(ax: Any, trained: Trained) -> None:
    """Draw the losses of the networks that predict, and their medians; each keeps its last loss after it has ended."""
    model = trained.model
    count = len(model.loss_curves_) // len(model.ensembles)  # others, of other quantiles, follow them
    both = zip(model.loss_curves_[:count], model.validation_loss_curves_[:count], strict=True)
    begun = [curves for curves in both if curves[0]]  # Ctrl-C may come before some networks begin
    loss, validation = map(_side_by_side, zip(*begun, strict=True))
    validation = validation[-len(loss) :]  # which is measured before the first epoch too
    plot_loss(SimpleNamespace(loss=loss, validation_loss=validation), ax, first=1)
    if min(loss.min(), validation.min()) > 0:
        ax.set_yscale("log")


def draw_confusion(ax: Any, trained: Trained) -> None:
    """Draw the confusion matrix."""
    from sklearn.metrics import ConfusionMatrixDisplay

    known = trained.truth >= 0
    names = [literal(str(name)) for name in trained.model.classes_]
    ConfusionMatrixDisplay.from_predictions(
        trained.truth[known],
        trained.measured.decided[known],
        labels=range(len(names)),
        display_labels=names,
        ax=ax,
        cmap="Blues",
        colorbar=False,
        include_values=len(names) <= 12,
        xticks_rotation="vertical" if len(names) > 3 else "horizontal",
    )


def draw_residuals(ax: Any, trained: Trained) -> None:
    """Draw the error of each prediction."""
    rows = np.linspace(0, len(trained.truth) - 1, min(len(trained.truth), MOST_POINTS)).astype(int)
    predicted, truth = trained.predicted[rows], trained.truth[rows]
    ax.scatter(predicted, truth - predicted, s=12, alpha=0.5, color=colour(1), linewidths=0)
    ax.axhline(0, color=INK, linewidth=1)
    ax.set(xlabel="predicted", ylabel="true − predicted")


def draw_calibration(ax: Any, trained: Trained) -> None:
    """Draw the calibration of probabilities or of intervals."""
    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="as promised")
    promised, kept = (_of_classes if trained.is_classifier else _of_intervals)(trained)
    ax.plot(promised, kept, marker="o", color=colour(1), label="on the test")
    what = "probability of the predicted class" if trained.is_classifier else "coverage of the interval"
    ax.set(xlabel=what, ylabel="share that is right" if trained.is_classifier else "share within", aspect="equal")
    ax.legend(loc="upper left")


def draw_importances(ax: Any, names: list[str], importances: np.ndarray, what: str) -> None:
    """Draw the most important columns: the rise of the loss when one is shuffled."""
    order = np.argsort(importances.mean(axis=1))[-MOST_COLUMNS:]
    labels = [name if len(name) < 30 else f"{name[:28]}…" for name in (names[number] for number in order)]
    labels = [literal(label) for label in labels]
    deviations = importances[order].std(axis=1)
    ax.barh(labels, importances[order].mean(axis=1), xerr=deviations, color=colour(1), ecolor=INK)
    ax.set_xlabel(f"how much the {what} rises when the column is shuffled")


def literal(text: str) -> str:
    r"""Return text in which matplotlib finds no mathematics.

    Examples
    --------
    >>> print(literal("$10 to $20"))
    \$10 to \$20
    """
    return text.replace("$", r"\$")


def _side_by_side(curves: Sequence[list[float]]) -> np.ndarray:
    """Return curves as columns of one length, (epochs + 1, M)."""
    longest = max(map(len, curves))
    return np.array([curve + [curve[-1]] * (longest - len(curve)) for curve in curves]).T


def _of_classes(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean probability of predicted classes, in groups of rows, and the share that is right."""
    sure = trained.predicted.max(axis=1)
    right = trained.predicted.argmax(axis=1) == trained.truth
    groups = np.array_split(np.argsort(sure), min(10, max(len(sure) // 10, 1)))
    return np.array([sure[group].mean() for group in groups]), np.array([right[group].mean() for group in groups])


def _of_intervals(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Return coverages that intervals promise, and the shares of the targets that lie within."""
    promised = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    ends = [trained.model.predict_interval(trained.measured.X, coverage) for coverage in promised]
    return promised, np.array(
        [((low <= trained.truth) & (trained.truth <= high)).mean() for low, high in map(np.transpose, ends)]
    )
