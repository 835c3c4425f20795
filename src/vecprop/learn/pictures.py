"""Pictures of the tutorial: descent with and without momentum, and the final losses of many random starts."""

from collections.abc import Mapping

import numpy as np

from ..core.elementary import Array
from ..optimize.optimizers import GradientDescent, Momentum, Optimizer
from ..pictures.style import Axes, add_legend, axes_or_new, colour, ink, line, marker, note_above

STEEPNESS = np.array([1.0, 40.0])
"""The curvature of the valley along its floor and across it; their ratio makes gradient descent slow."""


def valley(theta: np.ndarray) -> np.ndarray:
    """Return the loss ξ = ½ Σ a θ² of a valley, where a is its curvature along each axis: (...,) for theta (..., 2)."""
    return np.sum(STEEPNESS * theta**2, axis=-1) / 2


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
    optimizers: dict[str, Optimizer] = {
        rf"gradient descent, $\mu$ = {learning_rate:g}": GradientDescent(learning_rate),
        rf"momentum, $\mu$ = {learning_rate:g}, $\lambda$ = {momentum:g}": Momentum(learning_rate, momentum),
    }
    ax = axes_or_new(ax)
    for number, (label, optimizer) in enumerate(optimizers.items()):
        theta = np.array(start, dtype=float)
        state, path = optimizer.init(theta), [theta.copy()]
        for _ in range(steps):
            optimizer.step(theta, STEEPNESS * theta, state)
            path.append(theta.copy())
        points = np.transpose(path)
        ax.plot(*points, color=colour(number), linestyle=line(number), marker=marker(number), label=label, markersize=5)
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


def plot_random_starts(
    losses: Mapping[str, Array], ax: "Axes | None" = None, *, threshold: float | None = None
) -> "Axes":
    r"""Draw the final loss of each random start as a dot, a row of dots for each method.

    The name of a method stands beside the number of its starts that were successful. Starts that have diverged have no
    dot, and count as unsuccessful. The axis is logarithmic if all losses are positive.

    Parameters
    ----------
    losses : mapping of str to array (M,) or (steps + 1, M)
        For each method, by name, the final losses of its M starts, or their losses over training.
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.
    threshold : float, optional
        The loss at or below which a start counts as successful; by default ten times the lowest.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If no loss is finite, losses have a wrong shape, or the lowest is not positive and no threshold is given.

    Examples
    --------
    >>> ax = plot_random_starts({"gradient descent": [3.0, 0.2], "momentum": [0.1, 0.2]}, threshold=1.0)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['gradient descent\n1 of 2', 'momentum\n2 of 2']
    """
    final: dict[str, np.ndarray] = {}
    for name, method in losses.items():
        values = np.asarray(method, dtype=float)
        if values.ndim not in (1, 2) or values.size == 0:
            raise ValueError(f'The losses of "{name}" have shape {values.shape}: give (M,) or (steps + 1, M).')
        final[name] = values if values.ndim == 1 else values[-1]
    reached = np.concatenate([values[np.isfinite(values)] for values in final.values()] or [np.empty(0)])
    if reached.size == 0:
        raise ValueError("No start ended at a finite loss, so there is nothing to draw: give methods that converge.")
    lowest = float(reached.min())
    if threshold is None:
        if lowest <= 0:
            raise ValueError(f"The lowest loss is {lowest:g}, of which ten times is no threshold: give threshold=….")
        threshold = 10 * lowest

    ax = axes_or_new(ax)
    names = []
    for number, (name, values) in enumerate(final.items()):
        ended = values[np.isfinite(values)]
        names.append(f"{name}\n{np.count_nonzero(ended <= threshold)} of {len(values)}")
        golden = (5**0.5 - 1) / 2  # its multiples spread evenly and in no order, so that dots do not hide each other
        heights = number + 0.6 * ((np.arange(len(ended)) * golden + 0.5) % 1 - 0.5)
        ax.plot(ended, heights, ".", color=colour(number), markersize=5, alpha=0.6, linewidth=0)
    ax.axvline(threshold, color=ink(), linestyle=":", linewidth=1)
    note_above(ax, f"success: at most {threshold:.3g} ", threshold, va="bottom", fontsize="small")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=r"final loss $\xi$", ylim=(len(names) - 0.5, -0.5))
    if lowest > 0:
        ax.set_xscale("log")
    return ax
