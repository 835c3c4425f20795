"""The losses of a model's restarts, with the one that was kept."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import add_legend, axes_or_new, colour, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_restarts(model: Any, ax: "Axes | None" = None) -> "Axes":
    r"""Draw the loss that each restart ended at, from the lowest to the highest, and mark the one that was kept.

    Steps in the figure are minima that several restarts have found. If the restart was chosen by a validation set, it
    need not have the lowest loss. The axis is logarithmic if all losses are positive.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        A model that was fitted with ``n_restarts`` above 1.
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model has no restarts.

    Examples
    --------
    >>> X, y = np.linspace(-1, 1, 20)[:, None], np.linspace(-1, 1, 20) ** 2
    >>> model = MLPRegressor(hidden_layer_sizes=(2,), solver="lbfgs", max_iter=1000, n_restarts=5, random_state=0)
    >>> ax = plot_restarts(model.fit(X, y))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('restart, by its loss', 'final loss $\\xi$')
    """
    losses = getattr(model, "restart_losses_", None)
    if losses is None:
        raise ValueError(f"This {type(model).__name__} has no restarts: fit it with n_restarts above 1.")
    order = np.argsort(losses, kind="stable")
    ended = np.asarray(losses)[order][np.isfinite(losses[order])]
    place = order.tolist().index(model.best_restart_)
    diverged = len(losses) - len(ended)

    ax = axes_or_new(ax)
    ax.plot(np.arange(1, len(ended) + 1), ended, "o", color=colour(1), markersize=5, label="restarts")
    kept = f"kept: restart {model.best_restart_}, {ended[place]:.3g}"
    ax.plot(place + 1, ended[place], "*", color=colour(0), markersize=14, markeredgecolor="white", label=kept)
    if diverged:
        look = {"color": ink(), "alpha": 0.15, "linewidth": 0, "label": f"{diverged} diverged"}
        ax.axvspan(len(ended) + 0.5, len(losses) + 0.5, **look)
    if ended[0] > 0:
        ax.set_yscale("log")
    ax.set(xlabel="restart, by its loss", ylabel=r"final loss $\xi$", xlim=(0.5, len(losses) + 0.5))
    ax.locator_params(axis="x", integer=True)
    add_legend(ax)
    return ax
