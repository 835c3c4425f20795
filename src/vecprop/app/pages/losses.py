"""The picture of the losses over the epochs of training."""

from typing import Any

import numpy as np

from ...pictures.style import INK, colour


def begun(model: Any) -> list[tuple[list[float], list[float]]]:
    """Return the losses of the networks that predict, and their validation losses, one of them before the first epoch.

    Networks of other quantiles follow them and are left out, as are those that had not begun when Ctrl-C came.
    """
    count = len(model.loss_curves_) // len(model.ensembles)
    both = zip(model.loss_curves_[:count], model.validation_loss_curves_[:count], strict=True)
    return [curves for curves in both if curves[0]]


def draw_losses(ax: Any, curves: list[tuple[list[float], list[float]]]) -> None:
    """Draw the losses of each network up to its own last epoch, and a point where the parameters that it keeps are."""
    for number, (loss, validation) in enumerate(curves):
        first = number == 0
        best = int(np.nanargmin(validation))
        ax.plot(range(1, len(loss) + 1), loss, color=colour(1), linewidth=0.9, label="training" if first else None)
        ax.plot(validation, color=colour(0), linewidth=0.9, label="validation" if first else None)
        ax.plot(best, validation[best], "o", color=INK, markersize=3.5, label="kept" if first else None)
    ax.set(xlabel="epoch", ylabel="loss", xlim=(0, max(len(loss) for loss, _ in curves)))
    known = np.concatenate([[*loss, *validation[1:]] for loss, validation in curves])
    low, high = known[np.isfinite(known)].min(), known[np.isfinite(known)].max()
    ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) or None)
    ax.legend()
