"""Pictures of a classifier's errors: ROC and precision-recall curves, and how right its probabilities are."""

from typing import Any

import numpy as np

from ...pictures.style import INK, colour
from .shares import draw_shares, groups_by

GROUPS = 10
"""The number of groups of rows, by their probabilities."""


def draw_roc(ax: Any, is_positive: np.ndarray, chances: dict[str, np.ndarray], decided: np.ndarray) -> None:
    """Draw the share of positive rows that are found against that of negative rows that are taken for positive."""
    from sklearn.metrics import roc_curve

    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    for number, (name, chance) in enumerate(chances.items()):
        false, true, _ = roc_curve(is_positive, chance)
        ax.plot(false, true, label=name, **_style(number))
    ax.plot(decided[~is_positive].mean(), decided[is_positive].mean(), "o", color=colour(1))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1), ylim=(0, 1.03), aspect="equal")
    ax.legend(loc="lower right")


def draw_precision(ax: Any, is_positive: np.ndarray, chances: dict[str, np.ndarray], decided: np.ndarray) -> None:
    """Draw precision against recall, and the precision of a guess; see `draw_roc`."""
    from sklearn.metrics import precision_recall_curve

    ax.axhline(is_positive.mean(), color=INK, linewidth=1, linestyle=":")
    for number, (name, chance) in enumerate(chances.items()):
        precision, recall, _ = precision_recall_curve(is_positive, chance)
        ax.step(recall, precision, where="post", label=name, **_style(number))
    if decided.any():
        ax.plot(decided[is_positive].mean(), is_positive[decided].mean(), "o", color=colour(1))
    ax.set(xlabel="recall", ylabel="precision", ylim=(0, 1.03), xlim=(0, 1.02), aspect="equal")
    ax.legend(loc="lower left")


def _style(number: int) -> dict[str, Any]:
    """Return the style of the model's curve, or of that of a baseline."""
    return {"color": colour((1, 0, 2)[number]), "linewidth": 2 if number == 0 else 1, "zorder": 3 - number}


def draw_calibration(ax: Any, chance: np.ndarray, is_so: np.ndarray, what: str) -> None:
    """Draw the share of rows in which something is so, against the mean of the probabilities that were given for it."""
    groups = groups_by(chance, GROUPS)
    means = [float(chance[group].mean()) for group in groups]
    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    ax.hist(chance, np.linspace(0, 1, 21), weights=np.full(len(chance), 0.25 / _most(chance)), color=INK, alpha=0.25)
    draw_shares(ax, means, [int(is_so[group].sum()) for group in groups], list(map(len, groups)))
    ax.set(xlabel=what, ylabel="share that is so", xlim=(0, 1), ylim=(0, 1.03), aspect="equal")


def _most(chance: np.ndarray) -> int:
    return int(np.histogram(chance, np.linspace(0, 1, 21))[0].max())
