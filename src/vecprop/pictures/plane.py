"""Figures in the plane of two features: rows, classes and the decision regions of a network."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..core import Array, BinaryCrossEntropy
from .style import Axes, add_legend, axes_or_new, colour, figure_of, ink, marker, tint

NETWORKS = "an MLPClassifier, X and y, or a Network, theta, X and t"
"""The first arguments of figures of a network."""


def plane(
    X, drawn: tuple[int, ...], held: Mapping[int, float], resolution: int
) -> tuple[Array, Array, Array]:
    """Return the grid coordinates along both axes, and the grid points as rows, (resolution², I).

    Raises
    ------
    ValueError
        If a column in held does not exist, or is drawn.
    """
    low = X[:, drawn].min(axis=0)
    high = X[:, drawn].max(axis=0)
    margin = 0.1 * (high - low)
    margin[margin == 0] = 1.0  # a constant feature
    x, y = np.linspace(low - margin, high + margin, resolution, axis=1)
    point = np.median(X, axis=0)
    for column, value in held.items():
        if column in drawn or column not in range(len(point)):
            raise ValueError(
                f"held contains feature {column!r}, but X has shape {X.shape} and"
                f" features {drawn[0]} and {drawn[1]} are drawn: choose other features."
            )
        point[column] = value
    grid = np.tile(point, (resolution * resolution, 1))
    grid[:, drawn] = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return x, y, grid


def checked_rows(X):
    """Validate X and return it as a matrix of floats."""
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[0] == 0 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"X has shape {X.shape} and dtype {X.dtype}, but a figure needs numbers of"
            " shape (N, I) with N at least 1."
        )
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0].tolist()
        raise ValueError(
            f"X is not finite: row {row}, column {column} is {X[row, column]}; fill or"
            " drop it."
        )
    return X.astype(float, copy=False)


def checked_classes(t, X, count: int | None = None):
    """Validate the classes t and return them as integers, (N,); ``count`` is the number of classes."""
    targets = np.asarray(t)
    advice = "pass one class per row, as integers (N,) or one-hot rows (N, C)"
    if targets.dtype.kind not in "biuf":
        raise TypeError(
            f"t has dtype {targets.dtype}, but classes must be the integers 0, 1, …:"
            " encode names first."
        )
    if targets.ndim not in (1, 2) or targets.shape[0] != X.shape[0]:
        raise ValueError(
            f"t has shape {targets.shape}, but X has shape {X.shape}: {advice}."
        )
    if targets.ndim == 1 or targets.shape[1] == 1:
        classes = targets.reshape(-1)
        is_class = (classes >= 0) & (classes < np.inf)
        is_wrong = ~is_class | (classes != np.floor(classes))
    else:
        classes = targets.argmax(axis=1)
        is_one = np.isclose(targets.sum(axis=1), 1, rtol=0, atol=1e-5)
        is_wrong = (targets < 0).any(axis=1) | ~is_one
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise ValueError(
            f"t has the invalid class {targets[row].tolist()} in row {row}: {advice}."
        )
    if count is not None and classes.max() >= count:
        row = int(classes.argmax())
        raise ValueError(
            f"t has class {int(classes[row])} in row {row}, but the network has classes"
            f" 0 to {count - 1}."
        )
    return classes.astype(int)


def checked_theta(theta):
    """Return theta, or raise if it has several members."""
    shape = tuple(np.shape(theta))
    if len(shape) != 1:
        raise ValueError(
            f"theta has shape {shape}, but a figure shows one network, (P,): pass one,"
            " such as theta[0]."
        )
    return theta


def checked_indices(
    numbers, name: str, lengths: tuple[int, ...], width: int, reason: str
) -> tuple[int, ...]:
    """Validate distinct column indices and return them. ``lengths`` contains the allowed numbers of indices."""
    indices = ()
    with suppress(TypeError, ValueError):  # raised by int for other values
        integers = tuple(map(int, numbers))
        if integers == tuple(numbers):
            indices = integers
    are_distinct = len(set(indices)) == len(indices)
    are_columns = set(indices) <= set(range(width))
    if len(indices) not in lengths or not are_distinct or not are_columns:
        count = " or ".join(str(length) for length in lengths)
        raise ValueError(
            f"{name}={numbers!r} must be {count} different indices from 0 to"
            f" {width - 1}, since {reason}."
        )
    return indices


def drawn_features(
    features, names: Sequence[str] | None, X
) -> tuple[tuple[int, ...], dict]:
    """Return the columns of two features, and the axis labels: their names, or x₁, x₂, …."""
    inputs = X.shape[1]
    drawn = checked_indices(
        features, "features", (2,), inputs, f"X has shape {X.shape}"
    )
    if names is None:
        names = [symbol("x", number) for number in range(inputs)]
    if len(names) != inputs:
        raise ValueError(
            f"feature_names has {len(names)} names, but X has {inputs} features: pass"
            " one per feature."
        )
    x, y = drawn
    return drawn, {"xlabel": names[x], "ylabel": names[y]}


def class_labels(names: Sequence[str] | None, classes) -> dict:
    """Return the labels of the classes: their names, or "class 0", "class 1", …."""
    numbers: list[int] = np.unique(classes).tolist()
    if names is None:
        return {number: f"class {number}" for number in numbers}
    if len(names) <= numbers[-1]:
        raise ValueError(
            f"class_names has {len(names)} names, but there are classes 0 to"
            f" {numbers[-1]}: name all."
        )
    return {number: names[number] for number in numbers}


def symbol(letter: str, number: int) -> str:
    """Return the symbol of a feature or unit, with a subscript that counts from 1."""
    return f"${letter}_{{{number + 1}}}$"


@figure_of("rows X and their classes t", "__len__")
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
    """Draw the rows in the plane of two features, with a color and a marker for each class.

    Parameters
    ----------
    X : array (N, I)
        The inputs.
    t : array (N,) or (N, C)
        The class of each row, as an integer from 0, a one-hot row or a row of
        probabilities.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.
    features : tuple of int, default (0, 1)
        The columns of X on the horizontal and the vertical axis.
    feature_names : sequence of str, optional
        The names of the columns of X. The default names are x₁, x₂, ….
    class_names : sequence of str, optional
        The names of the classes. The default names are "class 0", "class 1", ….
    **scatter
        Arguments of `matplotlib.axes.Axes.scatter`, for example ``s`` or ``alpha``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        If X and t have different lengths, t does not contain classes, or a feature does
        not exist.

    Examples
    --------
    >>> X, t = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 0, 1])
    >>> ax = plot_classes(X, t, class_names=["orange star", "blue circle"])
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('$x_{1}$', ['orange star', 'blue circle'])
    """
    X = checked_rows(X)
    classes = checked_classes(t, X)
    drawn, axis_labels = drawn_features(features, feature_names, X)
    labels = class_labels(class_names, classes)
    ax = axes_or_new(ax)
    scatter_classes(ax, X[:, drawn], classes, labels, **scatter)
    ax.set(**axis_labels)
    return ax


def scatter_classes(ax: "Axes", points, classes, labels: Mapping[int, str], **scatter):
    """Draw points of shape (N, 2) or (N, 3), class by class, with a legend."""
    for number, label in labels.items():
        look = {
            "label": label,
            "c": colour(number),
            "marker": marker(number),
            # stars look smaller than other markers
            "s": 90 if marker(number) == "*" else 42,
            "edgecolors": "white",
            "linewidths": 0.5,
        }
        ax.scatter(*points[classes == number].T, **{**look, **scatter})
    add_legend(ax)


@figure_of(NETWORKS, "layers", "loss_function", plot="decision_boundary")
def plot_decision_boundary(
    network: Any,
    theta: Array,
    X: Array,
    t: Array | None = None,
    ax: "Axes | None" = None,
    *,
    features: tuple[int, int] = (0, 1),
    held: Mapping[int, float] | None = None,
    resolution: int = 200,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    **scatter: Any,
) -> "Axes":
    """Draw the regions that a network assigns to the classes, their boundaries, and the rows.

    The network predicts the points of a grid over two features. Other features have
    fixed values, so the figure is a slice of the input space. All rows are drawn,
    including rows outside of the slice.

    Parameters
    ----------
    network : Network or MLPClassifier
        A classifier with `SoftmaxCrossEntropy`, or with `BinaryCrossEntropy` and one
        output. You can pass a fitted model instead of network and theta:
        ``plot_decision_boundary(model, X, y)``.
    theta : array (P,)
        The parameters of the network.
    X : array (N, I)
        The inputs.
    t : array (N,) or (N, C)
        The class of each row, as an integer from 0 or as a one-hot row.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.
    features : tuple of int, default (0, 1)
        The columns of X on the horizontal and the vertical axis.
    held : mapping of int to float, optional
        The fixed values of other columns, by index. By default, other columns have
        their medians.
    resolution : int, default 200
        The number of grid lines along each axis.
    feature_names : sequence of str, optional
        The names of the columns of X. The default names are x₁, x₂, ….
    class_names : sequence of str, optional
        The names of the classes. The default names are "class 0", "class 1", ….
    **scatter
        Arguments of `matplotlib.axes.Axes.scatter`, for example ``s`` or ``alpha``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        If the network is not a classifier, theta has several members, X does not match
        the network, t does not match X, or a feature does not exist.

    Examples
    --------
    >>> from vecprop import Dense, Network, SoftmaxCrossEntropy
    >>> network = Network(2, [Dense(2)], SoftmaxCrossEntropy())
    >>> theta = np.array([-1.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # class 1 where x₁ > 0
    >>> ax = plot_decision_boundary(network, theta, np.array([[-1.0, 0.0], [1.0, 1.0]]), np.array([0, 1]))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$x_{1}$', '$x_{2}$')
    """
    loss = network.loss_function
    count = network.outputs
    if isinstance(loss, BinaryCrossEntropy) and count == 1:
        count = 2
    elif not getattr(loss, "takes_classes", False):
        raise ValueError(
            "A decision boundary needs a classifier, but this network's loss is"
            f" {type(loss).__name__} with {count} output(s): use SoftmaxCrossEntropy,"
            " or BinaryCrossEntropy with one output."
        )
    X = checked_rows(X)
    if X.shape[1] != network.inputs:
        raise ValueError(
            f"X has shape {X.shape}, but the network takes (N, {network.inputs})."
        )
    classes = checked_classes(t, X, count)
    drawn, axis_labels = drawn_features(features, feature_names, X)
    x, y, grid = plane(X, drawn, held or {}, resolution)
    Y = np.asarray(network.predict(checked_theta(theta), grid))
    if network.outputs < count:  # one output is the probability of class 1
        Y = np.hstack((1 - Y, Y))
    Y = Y.reshape(resolution, resolution, count)
    labels = class_labels(class_names, np.union1d(classes, Y.argmax(axis=-1)))

    ax = axes_or_new(ax)
    # the last class painted at a point is the most probable one
    for number in range(count):
        lead = Y[..., number] - Y[..., :number].max(axis=-1, initial=0)
        if lead.max() > 0:
            ax.contourf(x, y, lead, levels=[0, np.inf], colors=[tint(number)], zorder=0)
        if lead.min() < 0 < lead.max():
            ax.contour(x, y, lead, levels=[0], colors=[ink()], linewidths=1, zorder=0)
    scatter_classes(ax, X[:, drawn], classes, labels, **scatter)
    ax.set(**axis_labels, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return ax
