"""Loss curves: of one training, and of the restarts of a model."""

from typing import Any

import numpy as np

from .style import Axes, add_legend, axes_or_new, colour, ink, line


def plot_loss(history: Any, ax: "Axes | None" = None, *, first: int = 0, **curve: Any) -> "Axes":
    r"""Draw the loss over training, and the validation loss if there is one.

    For several members each loss is a thin line, and their median a thick one.

    Parameters
    ----------
    history : object with ``loss`` and ``validation_loss``, or array (steps + 1,) or (steps + 1, \*M)
        The losses before each step and at the end: a history, for which the axis shows epochs, or an array, for which
        it shows iterations. The ``validation_loss`` of a history may be absent, None or empty.
    ax : Axes, optional
        The axes to draw on; by default those of a new figure.
    first : int, default 0
        The number of the epoch or iteration of the first loss; 1 for losses that are means over an epoch, unless they
        come from a history, which tells.
    **curve
        Passed on to `matplotlib.axes.Axes.plot`, for example ``color`` or ``label``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no losses, or the validation loss and the loss have different shapes.

    Examples
    --------
    >>> ax = plot_loss([2.0, 1.0, 0.5])
    >>> ax.get_xlabel(), ax.get_ylabel(), ax.lines[0].get_ydata()
    ('iteration', 'loss $\\xi$', array([2. , 1. , 0.5]))
    """
    loss = np.asarray(getattr(history, "loss", history), dtype=float)
    validation = np.asarray(getattr(history, "validation_loss", None), dtype=float)  # None becomes NaN, of shape ()
    if loss.ndim == 0 or loss.size == 0:
        raise ValueError(f"There are no losses to draw: they have shape {loss.shape}, not (steps + 1, *M).")
    curves = {"training": loss}
    # A running loss is that of an epoch: there is none before the first.
    is_running = len(getattr(history, "time", ())) == len(loss) + 1
    if validation.shape not in ((), (0,)):
        if validation.shape != (len(loss) + is_running, *loss.shape[1:]):
            raise ValueError(f"validation_loss has shape {validation.shape}, but loss {loss.shape}: give one for each.")
        curves["validation"] = validation

    ax = axes_or_new(ax)
    for number, (name, losses) in enumerate(curves.items()):
        start = first + (is_running and name == "training")
        epochs = range(start, start + len(losses))
        look = {"color": colour(1 - number), "linestyle": line(number), "label": name, **curve}
        if losses.ndim > 1:
            members = losses.reshape(len(losses), -1)
            ax.plot(epochs, members, color=look["color"], linestyle=look["linestyle"], linewidth=0.5, alpha=0.3)
            look = {"linewidth": 2.5, **look, "label": f"{look['label']}, median of {members.shape[1]}"}
            losses = np.median(np.where(np.isnan(members), np.inf, members), axis=1)  # NaN has diverged
        ax.plot(epochs, losses, **look)
    ax.set(xlabel="epoch" if hasattr(history, "loss") else "iteration", ylabel=r"loss $\xi$")
    ax.margins(x=0)
    if ax.get_xscale() == "linear":
        ax.locator_params(axis="x", integer=True)
    if len(curves) > 1 or loss.ndim > 1:
        ax.legend(loc="upper right")  # a falling loss leaves room there
    return ax


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
