"""Figures of the rows as points in the space of a hidden layer's outputs."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

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
    boundary = None
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
        boundary = _boundary(network, theta, layer, units)

    labels = class_labels(class_names, classes)
    space = _axes_in_space(ax, len(axis_labels))
    if space.name == "3d":
        scatter = {"depthshade": False, **scatter}  # colors show classes, not depth
    scatter_classes(space, points, classes, labels, **scatter)
    if boundary is not None:
        _draw_boundary(space, points, boundary)
    padding = 8 if space.name == "3d" else None
    for axis, label in zip("xyz", axis_labels, strict=False):
        set_label = getattr(space, f"set_{axis}label")
        set_label(label, labelpad=padding)
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


class Boundary(NamedTuple):
    """The boundary n h + c = 0 between two classes."""

    n: Array
    c: float


def _boundary(network: Network, theta, layer: int, units) -> Boundary | None:
    """Return the boundary in the space of a layer's units, or None if it is not flat or has more dimensions.

    It is flat if only a dense layer for two classes follows. With two outputs, the
    boundary is z_1 - z_0 = 0. With one output, it is z = 0.
    """
    later_layers = network.layers[layer % len(network.layers) + 1 :]
    if len(later_layers) != 1 or not isinstance(later_layers[0], Dense):
        return None
    loss = network.loss_function
    if not isinstance(loss, SoftmaxCrossEntropy | BinaryCrossEntropy):
        return None
    *_, p = network.layout.views(np.asarray(theta, float))
    W = p["W"]
    b = p["b"]
    if network.outputs > 2 or len(units) != len(W):
        return None
    if network.outputs == 2:
        return Boundary(W[units, 1] - W[units, 0], float(b[1] - b[0]))
    return Boundary(W[units, 0], float(b[0]))


def _draw_boundary(ax, points, boundary: Boundary):
    """Draw the part of a boundary inside the bounding box of the points: a line or a polygon."""
    n, c = boundary
    low = points.min(axis=0)
    size = points.max(axis=0) - low
    # h = low + size x maps the unit cube to the box, so n h + c = (n size) x + n low + c
    normal = n * size
    corners = corners_of_cut(normal, n @ low + c)
    if len(corners) < len(n):
        return  # the boundary does not cross the box
    polygon = low + corners * size
    if len(n) == 2:
        x, y = polygon.T
        ax.plot(x, y, color=ink(), linewidth=1, zorder=0)
        return
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    ax.add_collection3d(
        Poly3DCollection([polygon], facecolor=ink(), alpha=0.2, edgecolor=ink())
    )
    ax.view_init(ELEVATION, _azimuth(normal))


def _azimuth(normal) -> float:
    """Return the azimuth, in degrees, of the view that sees a plane in a cube nearly edge-on.

    The direction of a view with elevation e and azimuth a is (cos e cos a, cos e sin a,
    sin e).
    """
    unit_normal = normal / (np.linalg.norm(normal) or 1)
    azimuths = np.arange(-180, 180, 5)
    e = np.deg2rad(ELEVATION)
    a = np.deg2rad(azimuths)
    heights = np.full(len(a), np.sin(e))
    views = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), heights], axis=1)
    return float(azimuths[abs(abs(views @ unit_normal) - TILT).argmin()])


def corners_of_cut(n, c: float):
    """Return the points, in order, where ``n x + c = 0`` cuts the edges of the unit square or cube, (K, D)."""
    dimensions = len(n)
    cuts = np.empty((0, dimensions))
    for axis in np.flatnonzero(n):
        # On an edge along this axis, the other coordinates are 0 or 1.
        other_axes = np.delete(np.arange(dimensions), axis)
        for ends in np.ndindex(*[2] * len(other_axes)):
            x = np.empty(dimensions)
            x[other_axes] = ends
            x[axis] = -(c + n[other_axes] @ x[other_axes]) / n[axis]
            if 0 <= x[axis] <= 1:
                cuts = np.vstack([cuts, x])
    # a corner of the cube is on several edges
    corners = np.unique(np.round(cuts, 12), axis=0)
    if dimensions == 2 or len(corners) < 3:
        return corners
    # Sort by the angle around the center, in coordinates of the plane.
    from_center = corners - corners.mean(axis=0)
    first_axis = from_center[0] / np.linalg.norm(from_center[0])
    second_axis = np.cross(n / np.linalg.norm(n), first_axis)
    angles = np.arctan2(from_center @ second_axis, from_center @ first_axis)
    return corners[np.argsort(angles)]


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
