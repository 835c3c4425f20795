"""Plot gradient descent with and without momentum, and losses of random starts."""

from collections.abc import Mapping

import numpy as np

from ..core.elementary import Array
from ..optimize.optimizers import GradientDescent, Momentum, Optimizer
from ..pictures.style import (
    Axes,
    add_legend,
    axes_or_new,
    colour,
    ink,
    line,
    marker,
    note_above,
)

STEEPNESS = np.array([1.0, 40.0])
"""The curvature of the valley along and across its floor; a high ratio slows
gradient descent down.
"""

GOLDEN_RATIO = (5**0.5 - 1) / 2
"""The step between dots, which spreads them evenly, so that they rarely overlap."""


def valley(theta: np.ndarray) -> np.ndarray:
    """Return the loss ξ = ½ Σ a θ² with curvatures a, (...,), for theta (..., 2)."""
    return np.sum(STEEPNESS * theta**2, axis=-1) / 2


def plot_momentum(
    ax: "Axes | None" = None,
    *,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    start: tuple[float, float] = (-9.0, 2.0),
    steps: int = 60,
) -> "Axes":
    r"""Draw the paths of gradient descent with and without momentum in a narrow valley.

    The loss is ξ = ½ (θ₁² + 40 θ₂²), with its minimum at 0. Gradient descent quickly
    reaches the floor of the valley and then moves slowly, because the gradient is small
    there. Momentum accumulates speed, like a rolling ball.

    Parameters
    ----------
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.
    learning_rate : float, default 0.01
        The learning rate μ of both methods. Gradient descent diverges at 0.05 and
        above.
    momentum : float, default 0.9
        The decay λ of the previous update, less than 1.
    start : tuple of float, default (-9, 2)
        The initial parameters of both methods.
    steps : int, default 60
        The number of steps of each method.

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
        rf"momentum, $\mu$ = {learning_rate:g}, $\lambda$ = {momentum:g}": Momentum(
            learning_rate, momentum
        ),
    }
    ax = axes_or_new(ax)
    for number, (label, optimizer) in enumerate(optimizers.items()):
        theta = np.array(start, dtype=float)
        state = optimizer.init(theta)
        path = [theta.copy()]
        for _ in range(steps):
            optimizer.step(theta, STEEPNESS * theta, state)
            path.append(theta.copy())
        x, y = np.transpose(path)
        ax.plot(
            x,
            y,
            color=colour(number),
            linestyle=line(number),
            marker=marker(number),
            label=label,
            markersize=5,
        )
    ax.plot(0, 0, "+", color=ink(), markersize=12, label="minimum")
    # leaves space for the legend
    height = 1.6 * max(np.abs(curve.get_ydata()).max() for curve in ax.lines)
    ax.set_ylim(-height, height)
    theta = np.stack(
        np.meshgrid(np.linspace(*ax.get_xlim(), 200), np.linspace(*ax.get_ylim(), 200)),
        axis=-1,
    )
    loss = valley(theta)
    # evenly spaced contours, because ξ is quadratic
    levels = loss.max() * np.linspace(0, 1, 12)[1:-1] ** 2
    ax.contour(
        theta[..., 0],
        theta[..., 1],
        loss,
        levels=levels,
        colors="0.75",
        linewidths=0.8,
        zorder=0,
    )
    ax.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$")
    add_legend(ax)
    return ax


def plot_random_starts(
    losses: Mapping[str, Array],
    ax: "Axes | None" = None,
    *,
    threshold: float | None = None,
) -> "Axes":
    r"""Draw the final losses of random starts as dots, one row per method.

    The label of a row contains the name of the method and the number of successful
    starts. Divergent starts are not drawn and count as unsuccessful. The axis is
    logarithmic if all losses are positive.

    Parameters
    ----------
    losses : mapping of str to array (M,) or (steps + 1, M)
        The final losses of M starts per method, or their losses during training.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.
    threshold : float, optional
        The maximum final loss of a successful start. The default is ten times the
        lowest final loss.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If no loss is finite, a shape is wrong, or the lowest loss is not positive and
        threshold is None.

    Examples
    --------
    >>> ax = plot_random_starts({"gradient descent": [3.0, 0.2], "momentum": [0.1, 0.2]}, threshold=1.0)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['gradient descent\n1 of 2', 'momentum\n2 of 2']
    """
    final = {}
    starts = {}
    for name, method in losses.items():
        values = np.asarray(method, dtype=float)
        if values.ndim not in (1, 2) or values.size == 0:
            raise ValueError(
                f'The losses of "{name}" must have shape (M,) or (steps + 1, M), got'
                f" {values.shape}."
            )
        if values.ndim == 2:
            values = values[-1]
        final[name] = values[np.isfinite(values)]
        starts[name] = len(values)
    lowest = min(
        (float(values.min()) for values in final.values() if values.size), default=None
    )
    if lowest is None:
        raise ValueError(
            "No start has a finite final loss, so nothing can be drawn: pass methods"
            " that converge."
        )
    if threshold is None:
        if lowest <= 0:
            raise ValueError(
                f"The lowest loss is {lowest:g}, so there is no default threshold: pass"
                " threshold."
            )
        threshold = 10 * lowest

    ax = axes_or_new(ax)
    names = []
    for number, (name, values) in enumerate(final.items()):
        names.append(
            f"{name}\n{np.count_nonzero(values <= threshold)} of {starts[name]}"
        )
        heights = number + 0.6 * (
            (np.arange(len(values)) * GOLDEN_RATIO + 0.5) % 1 - 0.5
        )
        ax.plot(
            values,
            heights,
            ".",
            color=colour(number),
            markersize=5,
            alpha=0.6,
            linewidth=0,
        )
    ax.axvline(threshold, color=ink(), linestyle=":", linewidth=1)
    note_above(
        ax,
        f"success: at most {threshold:.3g} ",
        threshold,
        va="bottom",
        fontsize="small",
    )
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=r"final loss $\xi$", ylim=(len(names) - 0.5, -0.5))
    if lowest > 0:
        ax.set_xscale("log")
    return ax
