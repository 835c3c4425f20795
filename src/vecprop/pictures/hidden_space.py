"""Figures of the rows as points in the space of a hidden layer's outputs."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..core import Array, BinaryCrossEntropy, Dense, Network, SoftmaxCrossEntropy
from .plane import (
    NETWORKS,
    checked_classes,
    checked_indices,
    checked_rows,
    checked_theta,
    class_labels,
    scatter_classes,
    symbol,
)
from .style import Axes, axes_or_new, figure_of, ink

ELEVATION, TILT = 20.0, 0.3
"""The elevation of the view in degrees, and the cosine of the angle between the view
and the normal of a boundary.
"""


@figure_of(NETWORKS, "layers", "loss_function", plot="hidden_space")
def plot_hidden_space(
    network: Any,
    theta: Array,
    X: Array,
    t: Array | None = None,
    ax: "Axes | None" = None,
    *,
    layer: int = -2,
    axes: Sequence[int] | Literal["principal"] | None = None,
    class_names: Sequence[str] | None = None,
    **scatter: Any,
) -> "Axes":
    """Draw the rows as points in the space of a hidden layer's units, in three dimensions or two.

    The decision boundary is drawn too if all units of the layer are drawn and only a
    dense layer for two classes follows. In three dimensions, the boundary is a plane,
    which is seen nearly edge-on.

    Parameters
    ----------
    network : Network or MLPClassifier
        The network. You can pass a fitted model instead of network and theta:
        ``plot_hidden_space(model, X, y)``.
    theta : array (P,)
        The parameters of the network.
    X : array (N, I)
        The inputs.
    t : array (N,) or (N, C)
        The class of each row, as an integer from 0 or as a one-hot row.
    ax : Axes, optional
        The axes to draw on, with ``projection="3d"`` for three axes; by default a new
        figure is created.
    layer : int, default -2
        The index of the layer, as in `Network.hidden`; by default the last hidden
        layer.
    axes : sequence of int or "principal", optional
        The axes of the figure: the indices of two or three units, or "principal" for
        the principal axes, labeled with their shares of the variance. By default, all
        units are axes if there are two or three units. For more units, the axes are the
        principal axes.
    class_names : sequence of str, optional
        The names of the classes. The default names are "class 0", "class 1", ….
    **scatter
        Arguments of `matplotlib.axes.Axes.scatter`, for example ``s`` or ``alpha``.

    Returns
    -------
    Axes
        An `Axes3D` if there are three axes.

    Raises
    ------
    IndexError
        If the layer does not exist.
    ValueError, TypeError
        If theta has several members, X does not match the network, t does not match X,
        a unit does not exist, the layer has only one unit, or ax has the wrong number
        of dimensions.

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
        raise ValueError(
            f"Layer {layer} has {width} unit, but a figure needs at least 2: choose"
            " another layer."
        )
    if axes is None:
        axes = "principal" if width > 3 else range(width)
    cut = None
    if isinstance(axes, str) and axes == "principal":
        points, axis_labels = _principal_axes(H)
    else:
        units = checked_indices(
            axes,
            "axes",
            (2, 3),
            width,
            f'layer {layer} has {width} units, or "principal"',
        )
        points = H[:, units]
        axis_labels = [symbol("h", unit) for unit in units]
        cut = _cut(network, theta, layer, units)

    labels = class_labels(class_names, classes)
    space = _axes_in_space(ax, len(axis_labels))
    if space.name == "3d":
        scatter = {"depthshade": False, **scatter}  # colors show classes, not depth
    scatter_classes(space, points, classes, labels, **scatter)
    if cut is not None:
        n, c = cut
        _draw_cut(space, points, n, c)
    for axis, label in zip("xyz", axis_labels, strict=False):
        getattr(space, f"set_{axis}label")(
            label, labelpad=8 if space.name == "3d" else None
        )
    return space


def _axes_in_space(ax: "Axes | None", dimensions: int):
    """Return ax or new axes, with two or three dimensions."""
    options = {}
    creation = "no projection"
    if dimensions == 3:
        options = {"projection": "3d"}
        creation = 'subplot_kw={"projection": "3d"}'
    space: Any = axes_or_new(ax, **options)
    if (space.name == "3d") != (dimensions == 3):
        raise ValueError(
            f"The figure has {dimensions} axes, but ax does not: create ax with"
            f" {creation}, or choose other axes."
        )
    if dimensions == 3:
        space.set_box_aspect(None, zoom=0.9)  # leaves room for the labels
    return space


def _cut(network: Network, theta, layer: int, units) -> tuple[Array, float] | None:
    """Return n and c of the boundary ``n h + c = 0`` between two classes, or None if the boundary is not flat."""
    later_layers = network.layers[layer % len(network.layers) + 1 :]
    if (
        len(later_layers) != 1
        or not isinstance(later_layers[0], Dense)
        or network.outputs > 2
    ):
        return None
    p = network.layout.views(np.asarray(theta))[-1]
    W = p["W"]
    b = p["b"]
    if network.outputs == 2:
        W = W @ [[-1], [1]]
        b = b @ [-1, 1]
    if len(units) != len(W) or not isinstance(
        network.loss_function, SoftmaxCrossEntropy | BinaryCrossEntropy
    ):
        return None
    return W[units, 0], float(np.sum(b))


def _draw_cut(ax, points, n, c: float):
    """Draw the part of ``n h + c = 0`` inside the bounding box of the points."""
    low = points.min(axis=0)
    size = points.max(axis=0) - low
    normal = n * size  # in coordinates of the box
    corners = corners_of_cut(normal, n @ low + c)
    if len(corners) < len(n):
        return  # the cut does not cross the box
    polygon = low + corners * size
    if len(n) == 2:
        x, y = polygon.T
        ax.plot(x, y, color=ink(), linewidth=1, zorder=0)
        return
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    ax.add_collection3d(
        Poly3DCollection([polygon], facecolor=ink(), alpha=0.2, edgecolor=ink())
    )
    normal = normal / (np.linalg.norm(normal) or 1)  # the box is drawn as a cube
    turns = np.arange(-180, 180, 5)
    up = np.deg2rad(ELEVATION)
    around = np.deg2rad(turns)
    x = np.cos(up) * np.cos(around)
    y = np.cos(up) * np.sin(around)
    views = np.stack([x, y, np.full(len(turns), np.sin(up))], axis=1)
    ax.view_init(ELEVATION, turns[abs(abs(views @ normal) - TILT).argmin()])


def corners_of_cut(n, c: float):
    """Return the points, in order, where ``n x + c = 0`` cuts the edges of the unit square or cube, (K, D)."""
    dimensions = len(n)
    cuts = np.empty((0, dimensions))
    for axis in np.flatnonzero(n):
        fixed_axes = np.delete(np.arange(dimensions), axis)
        for ends in np.ndindex(*[2] * len(fixed_axes)):
            x = np.empty(dimensions)
            x[fixed_axes] = ends
            x[axis] = -(c + n[fixed_axes] @ x[fixed_axes]) / n[axis]
            if 0 <= x[axis] <= 1:
                cuts = np.vstack([cuts, x])
    corners = np.unique(np.round(cuts, 12), axis=0)
    if len(n) == 2 or len(corners) < 3:
        return corners
    around = corners - corners.mean(axis=0)
    first = around[0] / np.linalg.norm(around[0])
    second = np.cross(n / np.linalg.norm(n), first)
    return corners[np.argsort(np.arctan2(around @ second, around @ first))]


def _principal_axes(H) -> tuple[Array, list[str]]:
    """Return the rows in the coordinates of the first two or three principal axes, and the axis labels.

    With H - mean = U S Vᵀ, the coordinates are U S, and axis k explains the share s_k²
    / Σ s² of the variance.
    """
    count = min(3, H.shape[1])
    if len(H) < count:
        raise ValueError(
            f"X has {len(H)} rows, but {count} principal axes need at least {count}:"
            " choose units by index."
        )
    U, s, Vt = np.linalg.svd(H - H.mean(axis=0), full_matrices=False)
    # The sign of an axis is arbitrary. A positive largest entry keeps figures
    # reproducible.
    largest = abs(Vt).argmax(axis=1, keepdims=True)
    sign = np.sign(np.take_along_axis(Vt, largest, axis=1)).T
    shares = s**2 / (np.sum(s**2) or 1.0)  # without variance all shares are 0
    labels = [f"principal axis {k + 1} ({shares[k]:.0%})" for k in range(count)]
    return (U * s * sign)[:, :count], labels
