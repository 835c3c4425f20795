"""The hidden space: the rows as points in the space of a hidden layer's outputs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..core.elementary import Array
from ..core.network import Network
from .classes import scatter_classes
from .data import checked_classes, checked_numbers, checked_rows, checked_theta, class_labels, symbol
from .style import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_hidden_space(
    network: Network,
    theta: Array,
    X: Array,
    t: Array,
    ax: "Axes | None" = None,
    *,
    layer: int = -2,
    axes: Sequence[int] | Literal["principal"] | None = None,
    class_names: Sequence[str] | None = None,
    **scatter: Any,
) -> "Axes":
    """Draw the rows as points in the space of a hidden layer's units, in three dimensions or two.

    Parameters
    ----------
    network : Network
        The network.
    theta : array (P,)
        Its parameters.
    X : array (N, I)
        The inputs.
    t : array (N,) or (N, C)
        Each row's class, as an integer from 0 or as a one-hot row.
    ax : Axes, optional
        The axes to draw on, with ``projection="3d"`` for three axes; by default those of a new figure.
    layer : int, default -2
        The number of the layer, as in `Network.hidden`; by default the last but one, whose outputs the last layer
        classifies.
    axes : sequence of int or "principal", optional
        The axes of the figure: the numbers of two or three units, or the principal axes, with the share of the variance
        that each explains. By default the units of a layer that has two or three, else the principal axes.
    class_names : sequence of str, optional
        A name for each class; by default "class 0", "class 1", ….
    **scatter
        Passed on to `matplotlib.axes.Axes.scatter`, for example ``s`` or ``alpha``.

    Returns
    -------
    Axes
        An `Axes3D` if there are three axes.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    IndexError
        If the layer does not exist.
    ValueError, TypeError
        If theta is of several members, X does not suit the network, t does not suit X, a unit does not exist, the
        layer has only one unit, or ax has the wrong number of dimensions.

    Examples
    --------
    >>> from vecprop import Dense, Logistic, Network, SoftmaxCrossEntropy
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    >>> X, t = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> plot_hidden_space(network, network.init(seed=0), X, t).get_zlabel()
    '$h_{3}$'
    """
    X = checked_rows(X)
    classes = checked_classes(t, X)
    H = np.asarray(network.hidden(checked_theta(theta), X, layer))
    width = H.shape[1]
    if width < 2:
        raise ValueError(f"Layer {layer} has {width} unit, but a picture needs at least 2: choose another layer.")
    if axes is None:
        axes = "principal" if width > 3 else range(width)
    if isinstance(axes, str) and axes == "principal":
        points, axis_labels = _principal_axes(H)
    else:
        units = checked_numbers(axes, "axes", (2, 3), width, f'layer {layer} has {width} units, or "principal"')
        points, axis_labels = H[:, units], [symbol("h", unit) for unit in units]

    labels = class_labels(class_names, classes)
    solid = len(axis_labels) == 3
    space: Any = axes_or_new(ax, **({"projection": "3d"} if solid else {}))
    if (space.name == "3d") != solid:
        make = 'subplot_kw={"projection": "3d"}' if solid else "no projection"
        raise ValueError(
            f"The picture has {len(axis_labels)} axes, but ax has not: make ax with {make}, or give other axes."
        )
    if solid:
        scatter = {"depthshade": False, **scatter}  # colours show classes, not depth
        space.set_box_aspect(None, zoom=0.9)  # room for the labels
    scatter_classes(space, points, classes, labels, **scatter)
    for axis, label in zip("xyz", axis_labels, strict=False):
        getattr(space, f"set_{axis}label")(label, labelpad=8 if solid else None)
    return space


def _principal_axes(H: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the rows in the coordinates of the first two or three principal axes, and labels with their shares.

    With H - mean = U S Vᵀ the coordinates are U S, and axis k explains s_k² / Σ s² of the variance.
    """
    count = min(3, H.shape[1])
    if len(H) < count:
        raise ValueError(
            f"X has {len(H)} rows, but {count} principal axes need at least {count}: choose units by number."
        )
    U, s, Vt = np.linalg.svd(H - H.mean(axis=0), full_matrices=False)
    # The sign of an axis is arbitrary. Its largest entry is made positive, so that the figure is always the same.
    sign = np.sign(np.take_along_axis(Vt, np.abs(Vt).argmax(axis=1, keepdims=True), axis=1)).T
    shares = s**2 / (np.sum(s**2) or 1.0)  # without variance all shares are 0
    labels = [f"principal axis {k + 1} ({shares[k]:.0%})" for k in range(count)]
    return (U * s * sign)[:, :count], labels
