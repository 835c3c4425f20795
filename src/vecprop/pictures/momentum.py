"""The paths of gradient descent with and without momentum on a loss surface."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..optimize.optimizers import GradientDescent, Momentum, Optimizer
from .style import add_legend, axes_or_new, colour, ink, line, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEEPNESS = np.array([1.0, 40.0])
"""The curvature of the valley along its floor and across it; their ratio makes gradient descent slow."""


def valley(theta: np.ndarray) -> np.ndarray:
    """Return the loss ξ = ½ Σ a θ² of a valley, where a is its curvature along each axis: (...,) for theta (..., 2)."""
    return np.sum(STEEPNESS * theta**2, axis=-1) / 2


def valley_gradient(theta: np.ndarray) -> np.ndarray:
    """Return the valley's gradient a θ, (..., 2)."""
    return STEEPNESS * theta


def descent_path(
    optimizer: Optimizer, gradient: Callable[[np.ndarray], np.ndarray], start: Sequence[float], steps: int
) -> np.ndarray:
    """Return the path of an optimizer on a loss surface, (steps + 1, P).

    Examples
    --------
    >>> descent_path(GradientDescent(0.5), lambda theta: theta, start=[4.0], steps=2)
    array([[4.], [2.], [1.]])
    """
    theta = np.array(start, dtype=float)
    state, path = optimizer.init(theta), [theta.copy()]
    for _ in range(steps):
        optimizer.step(theta, gradient(theta), state)
        path.append(theta.copy())
    return np.array(path)


def plot_momentum(
    ax: "Axes | None" = None,
    *,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    start: tuple[float, float] = (-9.0, 2.0),
    steps: int = 60,
) -> "Axes":
    r"""Draw the paths of gradient descent with and without momentum in a long and narrow valley.

    The loss is ξ = ½ (θ₁² + 40 θ₂²), with its minimum at 0. Gradient descent drops to the floor of the valley and
    creeps along it, since the gradient there is small. With momentum it gathers speed, like a ball.

    Parameters
    ----------
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.
    learning_rate : float, default 0.01
        The learning rate μ of both; from 0.05 on gradient descent diverges.
    momentum : float, default 0.9
        The factor λ of the speed at each step, less than 1 as by friction.
    start : tuple of float, default (-9, 2)
        The start of both.
    steps : int, default 60
        The number of steps of each.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If learning_rate or momentum is out of range.

    Examples
    --------
    >>> ax = plot_momentum(steps=30)
    >>> ax.lines[0].get_xydata().shape
    (31, 2)
    """
    paths = {
        rf"gradient descent, $\mu$ = {learning_rate:g}": GradientDescent(learning_rate),
        rf"momentum, $\mu$ = {learning_rate:g}, $\lambda$ = {momentum:g}": Momentum(learning_rate, momentum),
    }
    ax = axes_or_new(ax)
    for number, (label, optimizer) in enumerate(paths.items()):
        path = descent_path(optimizer, valley_gradient, start, steps)
        ax.plot(*path.T, color=colour(number), linestyle=line(number), marker=marker(number), label=label, markersize=5)
    ax.plot(0, 0, "+", color=ink(), markersize=12, label="minimum")
    height = 1.6 * max(np.abs(curve.get_ydata()).max() for curve in ax.lines)  # room for the legend above the start
    ax.set_ylim(-height, height)
    theta = np.stack(np.meshgrid(np.linspace(*ax.get_xlim(), 200), np.linspace(*ax.get_ylim(), 200)), axis=-1)
    loss = valley(theta)
    levels = loss.max() * np.linspace(0, 1, 12)[1:-1] ** 2  # equal steps of the distance, of which ξ is a square
    ax.contour(theta[..., 0], theta[..., 1], loss, levels=levels, colors="0.75", linewidths=0.8, zorder=0)
    ax.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$")
    add_legend(ax)
    return ax
