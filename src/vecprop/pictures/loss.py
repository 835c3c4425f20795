"""Figures of the loss during training, and of the losses of a model's restarts."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .style import Axes, add_legend, axes_or_new, colour, figure_of, ink, line

MOST = 500
"""The largest number of members whose losses are drawn: matplotlib takes
milliseconds for each line.
"""


LOSSES = "a history, a training result, a fitted model or an array of losses"


@figure_of(LOSSES, plot="loss")
def plot_loss(
    history: Any, ax: "Axes | None" = None, *, first: int = 0, **curve: Any
) -> "Axes":
    r"""Plot the training loss, and the validation loss if there is one.

    For several members, thin lines show the losses of the members, or of 500 evenly
    spaced members, and a thick line shows the median of all members.

    Parameters
    ----------
    history : History, TrainingResult, TrainingResults, fitted model, or array (steps +
    1,) or (steps + 1, \*M)
        The losses before each step and at the end. The axis shows epochs for a history,
        and iterations for an array. Another object with ``loss`` is a history, too; its
        ``validation_loss`` may be absent, None or empty.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.
    first : int, default 0
        The epoch or iteration of the first loss. Use 1 for an array of mean losses over
        epochs.
    **curve
        Passed to `matplotlib.axes.Axes.plot`, for example ``color`` or ``label``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the loss is empty, or the validation loss has another shape.
    TypeError
        If history is neither a history, a result, a model nor an array.

    Examples
    --------
    >>> ax = plot_loss([2.0, 1.0, 0.5])
    >>> ax.get_xlabel(), ax.get_ylabel(), ax.lines[0].get_ydata()
    ('iteration', 'loss $\\xi$', array([2. , 1. , 0.5]))
    """
    history = history_of(history)
    loss = np.asarray(getattr(history, "loss", history), dtype=float)
    # None becomes NaN of shape ()
    validation = np.asarray(getattr(history, "validation_loss", None), dtype=float)
    if loss.ndim == 0 or loss.size == 0:
        raise ValueError(
            f"The loss has shape {loss.shape}, but must be a nonempty array (steps + 1,"
            " *M)."
        )
    curves = {"training": loss}
    # A running loss is a mean over an epoch, so the first loss belongs to epoch 1.
    is_running = len(getattr(history, "time", ())) == len(loss) + 1
    if validation.shape not in ((), (0,)):
        if validation.shape != (len(loss) + is_running, *loss.shape[1:]):
            raise ValueError(
                f"validation_loss has shape {validation.shape}, which does not match"
                f" loss, {loss.shape}."
            )
        curves["validation"] = validation

    ax = axes_or_new(ax)
    for number, (name, losses) in enumerate(curves.items()):
        start = first
        if is_running and name == "training":
            start += 1
        epochs = range(start, start + len(losses))
        look = {
            "color": colour(1 - number),
            "linestyle": line(number),
            "label": name,
            **curve,
        }
        if losses.ndim > 1:
            losses = losses.reshape(len(losses), -1)
            _draw_members(ax, epochs, losses, look=look)
            look.setdefault("linewidth", 2.5)
            look["label"] = f"{look['label']}, median of {losses.shape[1]}"
            # NaN: the member diverged
            losses = np.median(np.where(np.isnan(losses), np.inf, losses), axis=1)
        ax.plot(epochs, losses, **look)
    ax.set(
        xlabel="epoch" if hasattr(history, "loss") else "iteration",
        ylabel=r"loss $\xi$",
    )
    ax.margins(x=0)
    if ax.get_xscale() == "linear":
        ax.locator_params(axis="x", integer=True)
    if len(curves) > 1 or loss.ndim > 1:
        ax.legend(loc="upper right")  # a falling loss leaves room there
    return ax


def history_of(source):
    """Return the losses of a training result, several results, or a pipeline or search with scikit-learn's curve."""
    if isinstance(source, Sequence) and source and hasattr(source[0], "history"):
        histories = [result.history for result in source]
        return side_by_side([history for history in histories if len(history.loss)])
    # a history, or an array of losses
    history = getattr(source, "history", source)
    loss = getattr(history, "loss", history)
    if isinstance(loss, str) or np.asarray(loss).dtype.kind not in "biuf":
        raise TypeError(f"plot_loss needs {LOSSES}, got {type(source).__name__}.")
    return history


def side_by_side(histories: Sequence) -> SimpleNamespace:
    """Return the losses of several histories as one history. A fit that has ended keeps its last loss."""
    joined = SimpleNamespace()
    for name in ("loss", "validation_loss", "time"):
        curves = [np.asarray(getattr(history, name, ())) for history in histories]
        setattr(joined, name, _columns(curves))
    return joined


def _columns(curves: list[np.ndarray]) -> np.ndarray:
    """Return curves of different lengths as columns; the result is empty if a curve is empty."""
    if not curves or not all(map(len, curves)):
        return np.empty(0)
    steps = np.arange(max(map(len, curves)))
    columns = []
    for curve in curves:
        losses = curve[np.minimum(steps, len(curve) - 1)]
        columns.append(losses.reshape(len(steps), -1))
    return np.hstack(columns)


def plot_restarts(model: Any, ax: "Axes | None" = None) -> "Axes":
    r"""Plot the final losses of all restarts in increasing order, and mark the selected restart.

    Plateaus in the figure are minima that several restarts found. A restart that was
    selected by a validation set need not have the lowest loss. The vertical axis is
    logarithmic if all losses are positive.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        A model fitted with ``n_restarts`` above 1.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.

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
    ('restart, sorted by loss', 'final loss $\\xi$')
    """
    losses = getattr(model, "restart_losses_", None)
    if losses is None and not hasattr(model, "n_restarts"):
        raise TypeError(
            "plot_restarts needs a fitted MLPClassifier or MLPRegressor, got"
            f" {type(model).__name__}."
        )
    if losses is None:
        raise ValueError(
            f"This {type(model).__name__} has no restarts: fit it with n_restarts"
            " above 1."
        )
    order = np.argsort(losses, kind="stable")
    ended = np.asarray(losses)[order][np.isfinite(losses[order])]
    rank = order.tolist().index(model.best_restart_)
    diverged = len(losses) - len(ended)

    ax = axes_or_new(ax)
    ax.plot(
        np.arange(1, len(ended) + 1),
        ended,
        "o",
        color=colour(1),
        markersize=5,
        label="restarts",
    )
    selected = f"selected: restart {model.best_restart_}, {ended[rank]:.3g}"
    ax.plot(
        rank + 1,
        ended[rank],
        "*",
        color=colour(0),
        markersize=14,
        markeredgecolor="white",
        label=selected,
    )
    if diverged:
        start = len(ended) + 0.5
        ax.axvspan(
            start,
            start + diverged,
            color=ink(),
            alpha=0.15,
            linewidth=0,
            label=f"{diverged} diverged",
        )
    if ended[0] > 0:
        ax.set_yscale("log")
    ax.set(
        xlabel="restart, sorted by loss",
        ylabel=r"final loss $\xi$",
        xlim=(0.5, len(losses) + 0.5),
    )
    ax.locator_params(axis="x", integer=True)
    add_legend(ax)
    return ax


def _draw_members(ax: "Axes", epochs: range, losses: np.ndarray, look: dict):
    """Draw a thin line for each member, or for evenly spaced members if there are many."""
    spacing = -(-losses.shape[1] // MOST)
    ax.plot(
        epochs,
        losses[:, ::spacing],
        color=look["color"],
        linestyle=look["linestyle"],
        linewidth=0.5,
        alpha=0.3,
    )
