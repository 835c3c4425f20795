"""The classes in the input space."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.elementary import Array
from .data import checked_classes, checked_numbers, checked_rows, class_labels, feature_labels
from .style import add_legend, axes_or_new, colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_classes(
    X: Array,
    t: Array,
    ax: "Axes | None" = None,
    *,
    features: tuple[int, int] = (0, 1),
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    **scatter: Any,
) -> "Axes":
    """Draw the rows of two features, with a colour and a marker for each class.

    Parameters
    ----------
    X : array (N, I)
        The inputs.
    t : array (N,) or (N, C)
        Each row's class, as an integer from 0 or as a one-hot row; in a row of probabilities the largest counts.
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.
    features : tuple of int, default (0, 1)
        The columns of X on the horizontal and the vertical axis.
    feature_names : sequence of str, optional
        A name for each column of X; by default x₁, x₂, ….
    class_names : sequence of str, optional
        A name for each class; by default "class 0", "class 1", ….
    **scatter
        Passed on to `matplotlib.axes.Axes.scatter`, for example ``s`` or ``alpha``.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If X and t have different numbers of rows, t is not of classes, or a feature does not exist.

    Examples
    --------
    >>> X, t = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 0, 1])
    >>> ax = plot_classes(X, t, class_names=["orange star", "blue circle"])
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('$x_{1}$', ['orange star', 'blue circle'])
    """
    X = checked_rows(X)
    classes = checked_classes(t, X)
    chosen = checked_numbers(features, "features", (2,), X.shape[1], f"X has shape {X.shape}")
    xlabel, ylabel = feature_labels(feature_names, chosen, X.shape[1])
    labels = class_labels(class_names, classes)
    ax = axes_or_new(ax)
    scatter_classes(ax, X[:, chosen], classes, labels, **scatter)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def scatter_classes(
    ax: "Axes", points: np.ndarray, classes: np.ndarray, labels: Mapping[int, str], **scatter: Any
) -> None:
    """Draw points (N, 2) or (N, 3), class by class, with a legend of the labelled classes."""
    for number, label in labels.items():
        look = {
            "c": colour(number),
            "marker": marker(number),
            "s": 90 if marker(number) == "*" else 42,  # a star fills little of its square
            "edgecolors": "white",
            "linewidths": 0.5,
            "label": label,
        }
        ax.scatter(*points[classes == number].T, **{**look, **scatter})
    add_legend(ax)
