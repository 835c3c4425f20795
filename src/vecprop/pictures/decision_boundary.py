"""The decision boundary: the regions that a network assigns to each class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.elementary import Array
from ..core.losses import BinaryCrossEntropy
from ..core.network import Network
from .plane import (
    checked_classes,
    checked_numbers,
    checked_rows,
    checked_theta,
    class_labels,
    feature_labels,
    plane,
    scatter_classes,
)
from .style import axes_or_new, ink, tint

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_decision_boundary(
    network: Network,
    theta: Array,
    X: Array,
    t: Array,
    ax: "Axes | None" = None,
    *,
    features: tuple[int, int] = (0, 1),
    held: Mapping[int, float] | None = None,
    resolution: int = 200,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    **scatter: Any,
) -> "Axes":
    """Draw the regions that a network assigns to each class, the boundary between them, and the rows.

    The network predicts all points of a grid over two features in one call. If there are more features, the others are
    held at fixed values, so that the picture is a slice. All rows are drawn, though they need not lie in that slice.

    Parameters
    ----------
    network : Network
        A classifier: its loss is `SoftmaxCrossEntropy`, or `BinaryCrossEntropy` with one output.
    theta : array (P,)
        Its parameters.
    X : array (N, I)
        The inputs.
    t : array (N,) or (N, C)
        Each row's class, as an integer from 0 or as a one-hot row.
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.
    features : tuple of int, default (0, 1)
        The columns of X on the horizontal and the vertical axis.
    held : mapping of int to float, optional
        The values of other columns, by number; by default their medians.
    resolution : int, default 200
        The number of grid lines along each axis.
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
        If the network is not a classifier, theta is of several members, X does not suit the network, t does not suit
        X, or a feature does not exist.

    Examples
    --------
    >>> from vecprop import Dense, Network, SoftmaxCrossEntropy
    >>> network = Network(2, [Dense(2)], SoftmaxCrossEntropy())
    >>> theta = np.array([-1.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # class 1 where x₁ > 0
    >>> ax = plot_decision_boundary(network, theta, np.array([[-1.0, 0.0], [1.0, 1.0]]), np.array([0, 1]))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$x_{1}$', '$x_{2}$')
    """
    count = _number_of_classes(network)
    X = checked_rows(X)
    if X.shape[1] != network.inputs:
        raise ValueError(f"X has shape {X.shape}, but the network takes (N, {network.inputs}).")
    classes = checked_classes(t, X, count)
    drawn = checked_numbers(features, "features", (2,), X.shape[1], f"X has shape {X.shape}")
    xlabel, ylabel = feature_labels(feature_names, drawn, X.shape[1])
    x, y, grid = plane(X, drawn, held or {}, resolution)
    Y = np.asarray(network.predict(checked_theta(theta), grid))
    if network.outputs < count:  # one output is the probability of class 1
        Y = np.hstack((1 - Y, Y))
    Y = Y.reshape(resolution, resolution, count)
    labels = class_labels(class_names, np.union1d(classes, Y.argmax(axis=-1)))

    ax = axes_or_new(ax)
    _draw_regions(ax, x, y, Y)
    scatter_classes(ax, X[:, drawn], classes, labels, **scatter)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return ax


def _number_of_classes(network: Network) -> int:
    """Return C, or raise an error if the network is not a classifier."""
    loss = network.loss_function
    if getattr(loss, "takes_classes", False):
        return network.outputs
    if isinstance(loss, BinaryCrossEntropy) and network.outputs == 1:
        return 2
    raise ValueError(
        f"A decision boundary needs a classifier, but this network's loss is {type(loss).__name__} on "
        f"{network.outputs} outputs: use SoftmaxCrossEntropy, or BinaryCrossEntropy with one output."
    )


def _draw_regions(ax: "Axes", x: np.ndarray, y: np.ndarray, Y: np.ndarray) -> None:
    """Paint each class where it is above all classes before it, so that the last one painted is the argmax."""
    for number in range(Y.shape[-1]):
        lead = Y[..., number] - Y[..., :number].max(axis=-1, initial=0)
        if lead.max() > 0:
            ax.contourf(x, y, lead, levels=[0, np.inf], colors=[tint(number)], zorder=0)
            if lead.min() < 0:
                ax.contour(x, y, lead, levels=[0], colors=[ink()], linewidths=1, zorder=0)
